// The cluster map as this process knows it: partitions by token, tables by name and id, nodes, and
// who leads what. Fed by Cluster.Watch (complete maps, then changes) and corrected by the route
// hints of nodes.
//
// Invariants:
//   1. One formation, versions only grow. A map of another cluster is refused.
//   2. While routable(), the partitions cover the ring without gap or overlap.
//   3. Belief in a leader only moves forward in (epoch, term), or becomes "unknown".
//
// Not thread-safe. Pointers are valid until the next Apply.
#ifndef RINGLEADER_CLIENT_MAP_H_
#define RINGLEADER_CLIENT_MAP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "model/table_schema.h"
#include "model/token.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader::client {

// The model's form of a table's description.
model::TableSchema SchemaOf(const coordinator::v1::Table& table);

struct MapTable {
  coordinator::v1::Table description;
  model::TableSchema schema;
};

// Who is believed to lead a partition; node 0: unknown.
struct Leader {
  uint64_t node = 0;
  std::string address;
  uint64_t epoch = 0;
  uint64_t term = 0;
};

// Whether `leader` is of a later epoch, or a later term of the same.
bool IsNewer(const Leader& leader, uint64_t epoch, uint64_t term);

class ClusterMap {
 public:
  // How long a refuted belief stays refuted if nothing newer is learned: the refusal may itself
  // have come from a node that was behind.
  static constexpr Duration kRefutedFor = std::chrono::seconds(1);

  // True: something changed. False: not newer than what is held. Errors, and nothing changed:
  // FAILED_PRECONDITION, it is of another formation; INVALID_ARGUMENT, changes without a map to
  // apply them to, or partitions that do not cover the ring (ask for a complete map).
  absl::StatusOr<bool> Apply(const coordinator::v1::MapUpdate& update);

  uint64_t formation() const { return formation_; }
  uint64_t version() const { return version_; }
  // There is a map, and it has partitions.
  bool routable() const { return !by_token_.empty(); }

  const coordinator::v1::Partition* FindByToken(model::Token token) const;
  const coordinator::v1::Partition* FindPartition(uint64_t id) const;
  // In the order of their tokens.
  const std::vector<const coordinator::v1::Partition*>& partitions() const { return by_token_; }
  const MapTable* FindTable(absl::string_view name) const;
  const MapTable* FindTable(uint64_t id) const;
  const absl::flat_hash_map<uint64_t, std::unique_ptr<MapTable>>& tables() const { return tables_; }
  // No table that this map has had has a greater id; ids only grow.
  uint64_t highest_table() const { return highest_table_; }
  const coordinator::v1::Node* FindNode(uint64_t id) const;
  const std::vector<std::string>& coordinators() const { return coordinators_; }

  Leader LeaderOf(const coordinator::v1::Partition& partition, Duration now) const;

  // A node's answer. True: it is newer than what was believed, and names a leader.
  bool Learn(const data::v1::RouteHint& hint);
  // `believed` was wrong or gave no answer. Ignored if something newer is known by now.
  void Refute(uint64_t partition, const Leader& believed, Duration now);

 private:
  struct Correction {
    Leader leader;               // newer than the map's; node 0: none
    uint64_t refuted_epoch = 0;  // this and everything older is not believed ...
    uint64_t refuted_term = 0;
    Duration refuted_until{0};  // ... until then
  };
  using Partitions = absl::flat_hash_map<uint64_t, std::unique_ptr<coordinator::v1::Partition>>;

  Leader Believed(const coordinator::v1::Partition& partition) const;
  void DropOldCorrections();

  uint64_t formation_ = 0;
  uint64_t version_ = 0;
  uint64_t highest_table_ = 0;
  Partitions partitions_;
  std::vector<const coordinator::v1::Partition*> by_token_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<MapTable>> tables_;
  absl::flat_hash_map<std::string, uint64_t> table_ids_;
  absl::flat_hash_map<uint64_t, coordinator::v1::Node> nodes_;
  std::vector<std::string> coordinators_;
  absl::flat_hash_map<uint64_t, Correction> corrections_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_MAP_H_
