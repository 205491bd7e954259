// What the load generator drives: one client of a store, over the store's native protocol. The same
// generator, keys, values and number of outstanding requests drive each, so that the difference
// between two runs is the stores'.
#ifndef RINGLEADER_TESTS_BENCH_TARGET_H_
#define RINGLEADER_TESTS_BENCH_TARGET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringleader::bench {

enum class OperationKind { kPut, kGet, kUpdate, kDelete };
inline constexpr size_t kOperationKinds = 4;
absl::string_view NameOf(OperationKind kind);

struct Operation {
  OperationKind kind = OperationKind::kPut;
  absl::string_view key;    // valid during Start only, as is the value
  absl::string_view value;  // puts only
};

// One connection's worth of client. Start may be called from any thread, a completion included.
class Target {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  // Completions that are outstanding come, or never will, before it returns.
  virtual ~Target() = default;
  // Reads are linearizable; writes are answered when a majority has them on disk. NOT_FOUND is an
  // answer of a get. `done` runs once, on any thread, never inside Start.
  virtual void Start(const Operation& operation, Done done) = 0;
  // The same on the caller's thread, which waits: a read that is in memory needs no other.
  virtual absl::Status Run(const Operation& operation);
  // Of its own memory (CacheStatistics in ringleader/client.h).
  struct CacheCounts {
    uint64_t hits = 0, misses = 0, joined = 0;
    uint64_t expired = 0, inserted = 0, refused = 0, invalidated = 0, evicted = 0;
    uint64_t entries = 0, bytes = 0;  // now
  };
  virtual CacheCounts cache_counts() const { return {}; }
};

struct TargetOptions {
  std::vector<std::string> endpoints;  // ringleader: coordinators; etcd: members
  std::string table = "bench";         // ringleader only; made if it is not there
  std::string route = "auto";          // ringleader only: auto, direct or coordinators
  bool eventual = false;               // reads need not be linearizable
  uint64_t cache_bytes = 0;            // ringleader only: of the client's cache
  int number = 0;                      // which of the run's clients this is
};

absl::StatusOr<std::unique_ptr<Target>> NewRingleaderTarget(const TargetOptions& options);
absl::StatusOr<std::unique_ptr<Target>> NewEtcdTarget(const TargetOptions& options);

}  // namespace ringleader::bench

#endif  // RINGLEADER_TESTS_BENCH_TARGET_H_
