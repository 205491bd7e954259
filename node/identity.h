// Who this data directory is: a random number drawn once, when it was made, and what the
// coordinators answered to it. A wiped disk draws another number and so becomes another node
// (DESIGN section 5).
//
// File `identity`, text, replaced whole; format 1 may not change:
//   ringleader-node 1
//   incarnation <16 hex digits>
//   formation <16 hex digits>     0: not registered
//   node <decimal>                0: not registered
//   crc32c <8 hex digits>         of the lines above
#ifndef RINGLEADER_NODE_IDENTITY_H_
#define RINGLEADER_NODE_IDENTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file_system.h"
#include "common/random.h"

namespace ringleader {

struct NodeIdentity {
  uint64_t incarnation = 0;
  uint64_t formation = 0;
  uint64_t node = 0;
  friend bool operator==(const NodeIdentity&, const NodeIdentity&) = default;
};

std::string EncodeIdentity(const NodeIdentity& identity);
// DATA_LOSS: damaged. FAILED_PRECONDITION: of a newer format.
absl::StatusOr<NodeIdentity> DecodeIdentity(absl::string_view text);

// The directory's identity; draws and stores one if it has none. A directory without one that holds
// anything else than a lock is refused: it lost what says whose it is.
absl::StatusOr<NodeIdentity> LoadIdentity(FileSystem& file_system, absl::string_view directory,
                                          Random& random);
// The newest cluster version that this directory's node has acted by (common/cluster_version.h), so
// that an older build is refused by its own start; 0: none is known. File `cluster-version`, text,
// replaced whole; format 1 may not change:
//   ringleader-cluster-version 1
//   version <decimal>
//   crc32c <8 hex digits>         of the lines above
// A damaged one counts as none: the coordinators tell it again. Load it behind LoadIdentity, which
// makes the names of this directory durable.
std::string EncodeClusterVersion(uint32_t version);
uint32_t LoadClusterVersion(FileSystem& file_system, absl::string_view directory);
// Durable when it returns OK.
absl::Status SaveClusterVersion(FileSystem& file_system, absl::string_view directory,
                                uint32_t version);
// Durable when it returns OK.
absl::Status SaveIdentity(FileSystem& file_system, absl::string_view directory,
                          const NodeIdentity& identity);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_IDENTITY_H_
