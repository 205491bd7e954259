// Cluster versions: which behaviour all processes of a cluster have, and so may count on.
//
// The metadata holds one number, the cluster's version, which an administrator raises once every
// process can run it, and which never falls (coordinator/README.md, "Versions"). What an older
// build can't understand is done only from the version on that says all do.
#ifndef RINGLEADER_COMMON_CLUSTER_VERSION_H_
#define RINGLEADER_COMMON_CLUSTER_VERSION_H_

#include <cstdint>
#include <string>

namespace ringleader {

// What each version brought. Numbers are never reused.
inline constexpr uint32_t kClusterVersionFirst = 1;
inline constexpr uint32_t kClusterVersionEras = 2;  // all know eras in the log: leases are granted

// Both included.
struct VersionRange {
  uint32_t oldest = kClusterVersionFirst;
  uint32_t newest = kClusterVersionEras;

  bool Holds(uint32_t version) const { return oldest <= version && version <= newest; }
  // "1 to 2"
  std::string Text() const;
};

// What this build can run. Programs made for tests (ringleader_claimed_versions in
// cmake/targets.cmake) claim what the environment variable RINGLEADER_CLAIMED_VERSIONS says
// instead ("1-3"), and end at once if it makes no sense.
VersionRange BuildVersions();

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_CLUSTER_VERSION_H_
