# find_package(ringleader): target ringleader::client. Its libraries are Debian 12 packages.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(absl)
find_dependency(Protobuf)
find_dependency(gRPC)
find_dependency(simdjson)
find_dependency(spdlog)
include(${CMAKE_CURRENT_LIST_DIR}/ringleader-targets.cmake)
