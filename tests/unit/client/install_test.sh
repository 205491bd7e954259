#!/bin/sh
# Protects: an application can build against the installed client library, with nothing else of the
# repository. Usage: install_test.sh <build directory with ringleader_client and ringctl built>
set -eu
build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --component client --prefix "$work/prefix" > "$work/install.log"
mkdir "$work/app"
cat > "$work/app/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(app LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(ringleader REQUIRED)
add_executable(app main.cc)
target_link_libraries(app PRIVATE ringleader::client)
END
cat > "$work/app/main.cc" <<'END'
#include <ringleader/client.h>
int main() {
  ringleader::Item item;
  item.Set("id", ringleader::AttributeValue::String("ada"));
  ringleader::ClientOptions options;
  options.coordinators = {"127.0.0.1:1"};  // nobody listens there
  options.connect_timeout = std::chrono::milliseconds(200);
  auto client = ringleader::Client::Connect(options);
  const bool is_right = !client.ok() && ringleader::KindOf(client.status()) ==
                                            ringleader::ErrorKind::kUnavailable;
  return is_right ? 0 : 1;
}
END
cmake -S "$work/app" -B "$work/app/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" > "$work/cmake.log" ||
  { cat "$work/cmake.log"; exit 1; }
cmake --build "$work/app/build" > "$work/build.log" || { cat "$work/build.log"; exit 1; }
"$work/app/build/app"
echo "1 passed, 0 failed"
