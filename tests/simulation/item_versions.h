// Checks what an item's readers and writers were told of its version (client.h): a version is one
// value, and versions only grow.
#ifndef RINGLEADER_TESTS_SIMULATION_ITEM_VERSIONS_H_
#define RINGLEADER_TESTS_SIMULATION_ITEM_VERSIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ringleader::simulation {

// What one operation was told. Absent items and writes that changed nothing have no version.
struct SeenVersion {
  uint64_t version = 0;
  int64_t value = 0;
  int64_t call = 0;  // any clock shared by all clients
  int64_t returned = 0;
  bool is_write = false;     // others in its log entry have the same version
  bool is_eventual = false;  // says nothing of the order
};

// All that were seen of one item. Empty: they fit; else what does not.
std::string CheckVersions(const std::vector<SeenVersion>& seen);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_ITEM_VERSIONS_H_
