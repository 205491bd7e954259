// The cluster's metadata: which coordinators, nodes, partitions and tables there are, as plain
// values, and the commands that change them. The pure half of the replicated state machine
// (metadata_machine.h is the other).
//
// Commands are compare-and-set: each names the version or state that it was decided on, and one
// that comes too late changes nothing and says so (DESIGN section 11, rule 20). Each is idempotent
// or answers kConflict when repeated. What Apply does depends on state and command alone.
//
// Invariants
//   1. Ids of nodes, replicas and tables are never given out twice.
//   2. wish and move of a partition name every replica that may be a member of its group: a member
//      as reported is in one of them. What neither names may be destroyed, and never comes back.
//   3. Two replicas of a partition are never on one node, in wish and move together; but a replica
//      that lost its log may have its successor on its own node, which destroys it first.
//   4. The cluster's version never falls, and every coordinator and every node that is not removed
//      has said that it can run it.
//   5. `version` grows with every change that the map shows, and `changed` of what changed is that
//      version.
//
// A partition's `epoch` is its group's configuration version, as last reported committed.
//
// Not thread-safe: a value.
#ifndef RINGLEADER_COORDINATOR_METADATA_H_
#define RINGLEADER_COORDINATOR_METADATA_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/cluster_version.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"
#include "ringleader/coordinator/v1/metadata.pb.h"

namespace ringleader::coordinator {

inline constexpr uint32_t kCommandVersion = 1;
inline constexpr uint32_t kPartitionsMax = 4096;
inline constexpr uint32_t kReplicasMax = 7;
inline constexpr size_t kNodesMax = 1000;  // removed ones included
inline constexpr size_t kTablesMax = 2500;
inline constexpr size_t kCoordinatorsMax = 7;
// Deletions that watchers are told one by one; who is further behind gets the whole map.
inline constexpr size_t kDeletedTablesMax = 1000;

// What became of a command. `id`: of the node, replica or table that it was about.
struct CommandOutcome {
  v1::Error error = v1::ERROR_NONE;
  std::string message;
  uint64_t id = 0;
  bool may_have_happened = false;  // with an error: or may happen yet

  bool ok() const { return error == v1::ERROR_NONE; }
};

class Metadata {
 public:
  // An error: the bytes are no command that this program knows; nothing was changed, and a replica
  // must not go on, as others may have known it.
  absl::StatusOr<CommandOutcome> Apply(absl::string_view command_bytes);
  CommandOutcome Apply(const v1::Command& command);

  bool formed() const { return plan_.formation() != 0; }
  const v1::FormationPlan& plan() const { return plan_; }
  uint64_t version() const { return version_; }
  uint32_t cluster_version() const { return cluster_version_; }
  // Coordinators and nodes that have not said that they can run this cluster version, each as a
  // sentence for an operator.
  std::vector<std::string> WhoCannotRun(uint32_t cluster_version) const;
  // That any of them has said it can run.
  uint32_t NewestKnownVersion() const;
  uint64_t last_replica() const { return last_replica_; }
  const std::map<uint64_t, v1::CoordinatorRecord>& coordinators() const { return coordinators_; }
  const std::map<uint64_t, v1::NodeRecord>& nodes() const { return nodes_; }
  const std::map<uint64_t, v1::PartitionRecord>& partitions() const { return partitions_; }
  const std::map<uint64_t, v1::TableRecord>& tables() const { return tables_; }
  // Moves whose commands this copy has applied; not part of the state.
  struct MoveCounts {
    uint64_t planned = 0;
    uint64_t finished = 0;
    uint64_t undone = 0;  // aborted, and all traces gone
  };
  const MoveCounts& move_counts() const { return move_counts_; }
  // Null: there is none.
  const v1::TableRecord* FindTable(absl::string_view name) const;
  const v1::NodeRecord* FindNode(uint64_t node) const;

  // What changed since `have_version`, or everything if that is 0 or too long ago. Without the
  // coordinators' addresses, which are not metadata.
  v1::MapUpdate MapSince(uint64_t have_version) const;

  // The same value has the same image, and the image the same value.
  v1::MetadataImage Image() const;
  static absl::StatusOr<Metadata> FromImage(const v1::MetadataImage& image);

 private:
  CommandOutcome FoundCluster(const v1::FormationPlan& plan);
  CommandOutcome Rejoin(const v1::RejoinCoordinator& command);
  CommandOutcome Describe(const v1::DescribeCoordinator& command);
  CommandOutcome Raise(const v1::RaiseVersion& command);
  CommandOutcome RegisterNode(const v1::RegisterRequest& command);
  CommandOutcome SetState(const v1::SetNodeState& command);
  CommandOutcome SetAlive(const v1::SetNodeAlive& command);
  CommandOutcome Form(const v1::FormPartitions& command);
  CommandOutcome Record(const v1::RecordReport& command);
  CommandOutcome Plan(const v1::PlanMove& command);
  CommandOutcome Finish(const v1::EndMove& command);
  CommandOutcome Abort(const v1::EndMove& command);
  CommandOutcome CreateTable(const v1::AddTable& command);
  CommandOutcome TableActive(const v1::EndTableStep& command);
  CommandOutcome DeleteTable(const std::string& name);
  CommandOutcome TableGone(const v1::EndTableStep& command);

  void Changed(v1::NodeRecord& record) { record.set_changed(++version_); }
  void Changed(v1::PartitionRecord& record) { record.set_changed(++version_); }
  void Changed(v1::TableRecord& record) { record.set_changed(++version_); }

  v1::FormationPlan plan_;
  uint64_t version_ = 0;
  uint32_t cluster_version_ = kClusterVersionFirst;
  uint64_t last_node_ = 0;
  uint64_t last_replica_ = 0;
  uint64_t last_table_ = 0;
  uint64_t last_coordinator_replica_ = 0;
  std::map<uint64_t, v1::CoordinatorRecord> coordinators_;
  std::map<uint64_t, v1::NodeRecord> nodes_;
  std::map<uint64_t, v1::PartitionRecord> partitions_;
  std::map<uint64_t, v1::TableRecord> tables_;
  std::map<std::string, uint64_t> table_names_;
  std::map<uint64_t, uint64_t> deleted_tables_;  // by the version that deleted them
  uint64_t deleted_before_ = 0;
  MoveCounts move_counts_;
};

// A command as the log carries it.
std::string EncodeCommand(v1::Command command);

v1::VersionRange VersionsMessage(const VersionRange& versions);
// Of a build that says nothing: the first version alone.
VersionRange VersionsOf(const v1::VersionRange& versions);

// Whether a plan is one that MakePlan could have made.
absl::Status ValidatePlan(const v1::FormationPlan& plan);

// The members that a replica list shows: null if `replica` is not in it.
const v1::Replica* FindReplica(const google::protobuf::RepeatedPtrField<v1::Replica>& replicas,
                               uint64_t replica);

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_METADATA_H_
