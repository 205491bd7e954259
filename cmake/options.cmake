# Compilers, warnings, sanitizers, and the tools that make builds quick where they are installed.
if(NOT CMAKE_BUILD_TYPE)  # what `cmake -B build` alone means
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# -O2 keeps frame pointers and line tables: a crash report or a profile from a user must be readable.
# NDEBUG is left out on purpose: CHECK is on in release, and so are the libraries' cheap assertions.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -fno-omit-frame-pointer")

set(RINGLEADER_SANITIZER "" CACHE STRING "none, address (with undefined behaviour), thread, or fuzzer (address, and libFuzzer's counters)")
set_property(CACHE RINGLEADER_SANITIZER PROPERTY STRINGS "" address thread fuzzer)

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wimplicit-fallthrough -Wcast-qual -Wformat=2 -Wundef
                    -Wno-missing-field-initializers)  # designated initializers leave defaults out on purpose
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Wthread-safety-beta)
else()
  # g++ 12 warns of these in inlined standard library code where nothing is wrong (PR 105562, 105329).
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict)
  # The compiler collects its own garbage from 512 MiB on instead of 128: a tenth less time, 0.9 GB a job at most.
  add_compile_options(--param=ggc-min-heapsize=524288)
endif()

if(RINGLEADER_SANITIZER STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
elseif(RINGLEADER_SANITIZER STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(RINGLEADER_SANITIZER STREQUAL "fuzzer")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
elseif(NOT RINGLEADER_SANITIZER STREQUAL "")
  message(FATAL_ERROR "RINGLEADER_SANITIZER is '${RINGLEADER_SANITIZER}'; it can be address, thread or fuzzer")
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths are taken relative to the checkout, so that every checkout of it shares what is compiled (but for groups:
  # CMake names their files by whole paths). What is not in the cache is not preprocessed first: a fifth less time.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1 ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()
