# The three kinds of target. Includes are written from the repository's root: "model/item.h".

# Everything that the unit and simulation tests need, and nothing else: what the sanitizer presets build.
add_custom_target(checks)
# Those of them that run real threads: what the thread sanitizer can say something about. The simulations run on
# one thread, whatever they simulate.
add_custom_target(threaded_checks)
# The libraries of every folder but tests/: what clang's analysis reads.
add_custom_target(libraries)

# ringleader_library(NAME SOURCES a.cc ... DEPS ringleader::x absl::y ...)  ->  target ringleader::NAME
function(ringleader_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_library(ringleader_${name} STATIC ${arg_SOURCES})
  add_library(ringleader::${name} ALIAS ringleader_${name})
  target_include_directories(ringleader_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
  target_link_libraries(ringleader_${name} PUBLIC ${arg_DEPS})
  if(NOT CMAKE_CURRENT_SOURCE_DIR MATCHES "^${CMAKE_SOURCE_DIR}/tests/")
    add_dependencies(libraries ringleader_${name})
  endif()
  set(mutated "")
  set(plain "")
  foreach(source ${arg_SOURCES})
    get_filename_component(path ${source} ABSOLUTE)
    file(STRINGS ${path} places REGEX "MUTANT\\(\"" LIMIT_COUNT 1)
    if(places)
      list(APPEND mutated ${path})
    else()
      list(APPEND plain ${path})
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY RINGLEADER_MUTATED_SOURCES ${mutated})
  # What is compiled together (CMAKE_UNITY_BUILD of the presets): sources with mutants stay among themselves, as
  # ringleader_mutants() replaces their objects whole.
  set_target_properties(ringleader_${name} PROPERTIES UNITY_BUILD_MODE GROUP)
  ringleader_group(${name}_mutated ${mutated})
  ringleader_group(${name} ${plain})
endfunction()

# ringleader_group(NAME a.cc ...): as few groups as CMAKE_UNITY_BUILD_BATCH_SIZE allows, of equal sizes.
function(ringleader_group name)
  list(LENGTH ARGN count)
  if(NOT CMAKE_UNITY_BUILD OR count EQUAL 0)
    return()
  endif()
  set(size ${CMAKE_UNITY_BUILD_BATCH_SIZE})
  if(NOT size GREATER 0)
    set(size 8)  # CMake's own default; its 0 means all of them
  endif()
  math(EXPR groups "(${count} + ${size} - 1) / ${size}")
  set(index 0)
  foreach(source ${ARGN})
    math(EXPR group "${index} * ${groups} / ${count}")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${name}_${group})
    math(EXPR index "${index} + 1")
  endforeach()
endfunction()

# ringleader_mutants(TARGET): the program gets the mutants of common/mutants.h. The sources that have some are
# compiled once more, as its own objects; these stand before the libraries, which so are asked for the others only.
# After all libraries. A source that gets its first mutant is found when CMake runs next.
function(ringleader_mutants target)
  get_property(sources GLOBAL PROPERTY RINGLEADER_MUTATED_SOURCES)
  target_sources(${target} PRIVATE ${sources} ${CMAKE_SOURCE_DIR}/common/mutants.cc)
  target_compile_definitions(${target} PRIVATE RINGLEADER_MUTANTS)
  ringleader_compiles_quickly(${target})
endfunction()

# ringleader_claimed_versions(TARGET): the program claims to run other cluster versions than it does, for tests
# (common/cluster_version.h). Its own object of that file stands before the library's. After all libraries.
function(ringleader_claimed_versions target)
  target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/common/cluster_version.cc)
  target_compile_definitions(${target} PRIVATE RINGLEADER_CLAIMED_VERSIONS)
endfunction()

# ringleader_compiles_quickly(TARGET): for code that waits for others, or checks them: a third less time with macros
# as gtest's, a fifth with CLI11.
function(ringleader_compiles_quickly target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>)
endfunction()

# ringleader_program(NAME SOURCES main.cc DEPS ...)  ->  build/bin/NAME
function(ringleader_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
endfunction()

# ringleader_server(NAME ...): a program that runs for long, with an allocator that gives memory to threads without
# a lock or a system call, in huge pages: a write costs a tenth less processor time than with the C library's, and
# a tenth less again. Sanitizers bring their own.
function(ringleader_server name)
  ringleader_program(${name} ${ARGN})
  if(RINGLEADER_SANITIZER STREQUAL "")
    # First, before whatever else defines malloc; nothing names it, so the linker would leave it out.
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/common/huge_pages.cc)
    target_link_options(${name} PRIVATE -Wl,--push-state,--no-as-needed ${TCMALLOC_LIBRARY} -Wl,--pop-state)
  endif()
endfunction()

# ringleader_test(NAME SOURCES a_test.cc ... DEPS ...)  ->  build/bin/tests/NAME, one gtest binary a folder:
# linking is what costs, so a folder's unit tests share one. Part of `checks` unless NO_SANITIZER is given
# (gRPC's and LevelDB's uninstrumented code floods the thread sanitizer); THREADED: it runs real threads.
function(ringleader_test name)
  cmake_parse_arguments(arg "NO_SANITIZER;THREADED" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/tests
                        UNITY_BUILD_BATCH_SIZE 6)  # a changed test is there in 15 s
  ringleader_compiles_quickly(${name})
  if(RINGLEADER_SANITIZER STREQUAL "")
    target_compile_options(${name} PRIVATE $<$<CONFIG:RelWithDebInfo>:-g0>)  # CHECK and EXPECT name their lines
  endif()
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE RINGLEADER_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT arg_NO_SANITIZER)
    add_dependencies(checks ${name})
  endif()
  if(arg_THREADED)
    add_dependencies(threaded_checks ${name})
  endif()
endfunction()
