// The partitions that are open on this node, as those see it who route to them: which tokens each
// has, which tables are known, where other nodes are.
//
// Threads: everything is thread-safe. A Partition itself belongs to its applier: the pointer that
// Open returns may be used in a task of that applier and not kept, as the partition is destroyed on
// the same applier.
#ifndef RINGLEADER_NODE_REGISTRY_H_
#define RINGLEADER_NODE_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "model/token.h"
#include "node/table_info.h"
#include "replication/types.h"

namespace ringleader {

class Partition;

class Registry {
 public:
  // The partition opened last wins its group: after a snapshot was installed, the new one.
  void Opened(replication::GroupId group, Partition* partition,
              const std::optional<model::TokenRange>& range);
  void Closed(replication::GroupId group, const Partition* partition);
  // Null: not open here.
  Partition* Open(replication::GroupId group) const;
  // The partition here that has this token; 0: none.
  replication::GroupId FindByToken(model::Token token) const;

  // A table as a partition here has it.
  void TableApplied(replication::GroupId group, std::shared_ptr<const TableInfo> table);
  // Tables by what a partition has applied of them.
  struct AppliedTables {
    std::set<uint64_t> live;
    std::set<uint64_t> retired;
  };
  // Of `asked`: retired ids stay for ever, so nobody gets them all.
  AppliedTables TablesOf(replication::GroupId group, const std::set<uint64_t>& asked) const;
  // The live table, or null.
  std::shared_ptr<const TableInfo> FindTable(uint64_t id) const;
  std::shared_ptr<const TableInfo> FindTable(absl::string_view name) const;

  // What a partition here held, at an index, of the range that the entry there named.
  struct RangeHash {
    replication::Index index = 0;
    uint64_t hash = 0;
    friend bool operator==(const RangeHash&, const RangeHash&) = default;
  };
  static constexpr size_t kHashesKept = 4;  // so that reports of several nodes meet
  void Hashed(replication::GroupId group, const RangeHash& hash);
  // The last ones since it was opened, oldest first.
  std::deque<RangeHash> HashesOf(replication::GroupId group) const;

  // A file of its state that the scrub found bad, since it was opened; empty: none.
  void SetBadFile(replication::GroupId group, absl::string_view path);
  std::string BadFileOf(replication::GroupId group) const;

  // The cluster's, as far as this node knows it; 0: not yet.
  void SetClusterVersion(uint32_t version) { cluster_version_.store(version); }
  uint32_t cluster_version() const { return cluster_version_.load(); }

  void SetAddress(replication::NodeId node, absl::string_view address);
  // Empty: unknown.
  std::string Address(replication::NodeId node) const;

 private:
  struct OpenPartition {
    Partition* partition = nullptr;
    std::optional<model::TokenRange> range;
    AppliedTables tables;
    std::deque<RangeHash> hashes;
    std::string bad_file;
  };

  std::atomic<uint32_t> cluster_version_ = 0;
  mutable Mutex mutex_;
  std::map<replication::GroupId, OpenPartition> open_ ABSL_GUARDED_BY(mutex_);
  // The newest that any partition has had.
  std::map<uint64_t, std::shared_ptr<const TableInfo>> tables_ ABSL_GUARDED_BY(mutex_);
  std::map<replication::NodeId, std::string> addresses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_REGISTRY_H_
