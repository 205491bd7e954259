# Every library is a Debian 12 package; deploy/install-packages installs them.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(gRPC 1.51 REQUIRED)
find_package(leveldb 1.23 REQUIRED)
find_package(prometheus-cpp REQUIRED)  # its package does not state a version
find_package(Boost 1.81 REQUIRED)
find_package(simdjson 3.0 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(GTest 1.12 REQUIRED)
find_library(TCMALLOC_LIBRARY tcmalloc_minimal REQUIRED)
find_path(CLI11_INCLUDE_DIR CLI/CLI.hpp REQUIRED)
