#include "coordinator/metadata.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/mutants.h"
#include "common/status.h"

namespace ringleader::coordinator {
namespace {

constexpr uint64_t kTablesFirst = 1;

CommandOutcome Refuse(v1::Error error, std::string message, uint64_t id = 0) {
  return {error, std::move(message), id};
}

CommandOutcome Done(uint64_t id = 0) { return {v1::ERROR_NONE, "", id}; }

bool IsPowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

bool HasNode(const google::protobuf::RepeatedPtrField<v1::Replica>& replicas, uint64_t node) {
  return std::any_of(replicas.begin(), replicas.end(),
                     [node](const v1::Replica& replica) { return replica.node() == node; });
}

}  // namespace

std::string EncodeCommand(v1::Command command) {
  command.set_version(kCommandVersion);
  return command.SerializeAsString();
}

absl::Status ValidatePlan(const v1::FormationPlan& plan) {
  if (plan.formation() == 0) return absl::InvalidArgumentError("the plan has no formation id");
  if (plan.incarnations_size() == 0 ||
      static_cast<size_t>(plan.incarnations_size()) > kCoordinatorsMax) {
    return absl::InvalidArgumentError("the plan names no coordinators, or too many");
  }
  const std::set<uint64_t> distinct(plan.incarnations().begin(), plan.incarnations().end());
  if (distinct.contains(0) || distinct.size() != static_cast<size_t>(plan.incarnations_size())) {
    return absl::InvalidArgumentError("the plan's incarnations are not distinct");
  }
  if (!IsPowerOfTwo(plan.partitions()) || plan.partitions() > kPartitionsMax) {
    return absl::InvalidArgumentError("the number of partitions is not a power of two up to 4096");
  }
  if (plan.replicas() == 0 || plan.replicas() > kReplicasMax) {
    return absl::InvalidArgumentError("the number of replicas is not 1 to 7");
  }
  return absl::OkStatus();
}

const v1::Replica* FindReplica(const google::protobuf::RepeatedPtrField<v1::Replica>& replicas,
                               uint64_t replica) {
  for (const v1::Replica& each : replicas) {
    if (each.id() == replica) return &each;
  }
  return nullptr;
}

absl::StatusOr<CommandOutcome> Metadata::Apply(absl::string_view command_bytes) {
  v1::Command command;
  if (!command.ParseFromArray(command_bytes.data(), static_cast<int>(command_bytes.size()))) {
    return absl::DataLossError("malformed metadata command");
  }
  if (command.version() != kCommandVersion || command.kind_case() == v1::Command::KIND_NOT_SET) {
    return absl::FailedPreconditionError(
        "a metadata command of a newer version: this coordinator has to be upgraded");
  }
  return Apply(command);
}

CommandOutcome Metadata::Apply(const v1::Command& command) {
  if (!formed() && command.kind_case() != v1::Command::kFoundCluster) {
    return Refuse(v1::ERROR_UNAVAILABLE, "the cluster is not formed yet");
  }
  switch (command.kind_case()) {
    case v1::Command::kFoundCluster:
      return FoundCluster(command.found_cluster());
    case v1::Command::kRejoinCoordinator:
      return Rejoin(command.rejoin_coordinator());
    case v1::Command::kRegisterNode:
      return RegisterNode(command.register_node());
    case v1::Command::kSetNodeState:
      return SetState(command.set_node_state());
    case v1::Command::kSetNodeAlive:
      return SetAlive(command.set_node_alive());
    case v1::Command::kFormPartitions:
      return Form(command.form_partitions());
    case v1::Command::kRecordReport:
      return Record(command.record_report());
    case v1::Command::kPlanMove:
      return Plan(command.plan_move());
    case v1::Command::kFinishMove:
      return Finish(command.finish_move());
    case v1::Command::kAbortMove:
      return Abort(command.abort_move());
    case v1::Command::kCreateTable:
      return CreateTable(command.create_table());
    case v1::Command::kTableActive:
      return TableActive(command.table_active());
    case v1::Command::kDeleteTable:
      return DeleteTable(command.delete_table());
    case v1::Command::kTableGone:
      return TableGone(command.table_gone());
    case v1::Command::kDescribeCoordinator:
      return Describe(command.describe_coordinator());
    case v1::Command::kRaiseVersion:
      return Raise(command.raise_version());
    case v1::Command::KIND_NOT_SET:
      break;
  }
  return Refuse(v1::ERROR_INVALID, "an empty command");
}

// --- Coordinators and nodes ---------------------------------------------------------------------

CommandOutcome Metadata::FoundCluster(const v1::FormationPlan& plan) {
  if (formed()) {
    return plan.formation() == plan_.formation()
               ? Done(plan.formation())
               : Refuse(v1::ERROR_CONFLICT, "the cluster is formed by another plan");
  }
  if (const absl::Status status = ValidatePlan(plan); !status.ok()) {
    return Refuse(v1::ERROR_INVALID, std::string(status.message()));
  }
  plan_ = plan;
  cluster_version_ = std::max(plan.cluster_version(), kClusterVersionFirst);
  for (int i = 0; i < plan.incarnations_size(); ++i) {
    const auto id = static_cast<uint64_t>(i) + 1;
    v1::CoordinatorRecord& record = coordinators_[id];
    record.set_id(id);
    record.set_incarnation(plan.incarnations(i));
    record.set_replica(id);
  }
  last_coordinator_replica_ = coordinators_.size();
  ++version_;
  return Done(plan.formation());
}

CommandOutcome Metadata::Rejoin(const v1::RejoinCoordinator& command) {
  const auto found = coordinators_.find(command.coordinator());
  if (found == coordinators_.end() || command.incarnation() == 0) {
    return Refuse(v1::ERROR_NOT_FOUND, "there is no such coordinator in this cluster");
  }
  v1::CoordinatorRecord& record = found->second;
  if (record.incarnation() != command.incarnation()) {
    record.set_incarnation(command.incarnation());
    record.set_replica(++last_coordinator_replica_);
    // Another disk, and maybe another build: it has to say itself what it runs.
    record.clear_version();
    record.clear_versions();
  }
  return Done(record.replica());
}

CommandOutcome Metadata::RegisterNode(const v1::RegisterRequest& command) {
  if (command.incarnation() == 0 || command.address().empty()) {
    return Refuse(v1::ERROR_INVALID, "a node registers with an incarnation and an address");
  }
  if (command.formation() != 0 && command.formation() != plan_.formation()) {
    return Refuse(v1::ERROR_CONFLICT,
                  absl::StrCat("this node belongs to another cluster: its data is of cluster ",
                               command.formation(), ", and this is cluster ", plan_.formation()));
  }
  if (const VersionRange versions = VersionsOf(command.versions());
      !versions.Holds(cluster_version_)) {
    return Refuse(v1::ERROR_VERSION,
                  absl::StrCat("this build runs cluster versions ", versions.Text(),
                               ", and the cluster is at version ", cluster_version_,
                               versions.newest < cluster_version_
                                   ? ": a newer build has to be installed"
                                   : ": raise it by `ringctl cluster version --raise` first"));
  }
  v1::NodeRecord* record = nullptr;
  for (auto& [id, known] : nodes_) {
    if (known.incarnation() == command.incarnation()) record = &known;
  }
  if (record != nullptr && record->node().state() == v1::NODE_STATE_REMOVED) {
    return Refuse(v1::ERROR_CONFLICT, "this node was removed; it can return with an empty disk",
                  record->node().id());
  }
  if (record == nullptr && command.formation() != 0) {
    return Refuse(v1::ERROR_CONFLICT, "this cluster does not know this node any more");
  }
  if (record == nullptr) {
    if (nodes_.size() >= kNodesMax) {
      return Refuse(v1::ERROR_UNAVAILABLE, "there are as many nodes as a cluster may have");
    }
    record = &nodes_[++last_node_];
    record->set_incarnation(command.incarnation());
    record->mutable_node()->set_id(last_node_);
  }
  v1::Node wanted = record->node();
  wanted.set_address(command.address());
  wanted.set_zone(command.zone());
  wanted.set_admin_address(command.admin_address());
  wanted.set_version(command.version());
  wanted.clear_versions();
  if (command.has_versions()) *wanted.mutable_versions() = command.versions();
  wanted.set_alive(true);
  // Whoever was at this address is not there any more: its disk was replaced.
  for (auto& [id, other] : nodes_) {
    if (id == wanted.id() || other.node().address() != command.address() || !other.node().alive()) {
      continue;
    }
    other.mutable_node()->set_alive(false);
    Changed(other);
  }
  if (wanted.SerializeAsString() != record->node().SerializeAsString() || record->changed() == 0) {
    *record->mutable_node() = std::move(wanted);
    Changed(*record);
  }
  return Done(record->node().id());
}

CommandOutcome Metadata::SetState(const v1::SetNodeState& command) {
  const auto found = nodes_.find(command.node());
  if (found == nodes_.end()) return Refuse(v1::ERROR_NOT_FOUND, "there is no such node");
  v1::Node& node = *found->second.mutable_node();
  if (node.state() == command.to()) return Done(command.node());
  if (node.state() != command.from() || node.state() == v1::NODE_STATE_REMOVED) {
    return Refuse(v1::ERROR_CONFLICT, "the node is in another state by now");
  }
  node.set_state(command.to());
  Changed(found->second);
  return Done(command.node());
}

CommandOutcome Metadata::SetAlive(const v1::SetNodeAlive& command) {
  const auto found = nodes_.find(command.node());
  if (found == nodes_.end()) return Refuse(v1::ERROR_NOT_FOUND, "there is no such node");
  if (found->second.node().alive() != command.alive()) {
    found->second.mutable_node()->set_alive(command.alive());
    Changed(found->second);
  }
  return Done(command.node());
}

// --- Partitions ---------------------------------------------------------------------------------

CommandOutcome Metadata::Form(const v1::FormPartitions& command) {
  if (!partitions_.empty()) return Refuse(v1::ERROR_CONFLICT, "the partitions are formed already");
  if (static_cast<uint32_t>(command.partitions_size()) != plan_.partitions()) {
    return Refuse(v1::ERROR_INVALID, "the number of partitions is not the formation plan's");
  }
  for (const v1::FirstReplicas& first : command.partitions()) {
    const std::set<uint64_t> distinct(first.nodes().begin(), first.nodes().end());
    if (distinct.size() != plan_.replicas() ||
        distinct.size() != static_cast<size_t>(first.nodes_size())) {
      return Refuse(v1::ERROR_INVALID, "a partition has the wrong number of replicas");
    }
    for (const uint64_t node : distinct) {
      const v1::NodeRecord* record = FindNode(node);
      if (record == nullptr || record->node().state() != v1::NODE_STATE_UP) {
        return Refuse(v1::ERROR_CONFLICT, absl::StrCat("node ", node, " takes no replicas"));
      }
    }
  }
  // 2^64 tokens in equal ranges, without ever writing 2^64.
  const uint64_t width_less_one = UINT64_MAX / plan_.partitions();
  uint64_t first_token = 0;
  for (const v1::FirstReplicas& first : command.partitions()) {
    const uint64_t id = partitions_.size() + 1;
    v1::PartitionRecord& record = partitions_[id];
    v1::Partition& partition = *record.mutable_partition();
    partition.set_id(id);
    partition.set_first_token(first_token);
    partition.set_last_token(first_token + width_less_one);
    first_token += width_less_one + 1;
    for (const uint64_t node : first.nodes()) {
      v1::Replica& replica = *partition.add_replicas();
      replica.set_id(++last_replica_);
      replica.set_node(node);
      replica.set_voter(true);
    }
    *record.mutable_wish() = partition.replicas();
    record.set_plan_version(1);
    Changed(record);
  }
  CHECK_EQ(partitions_.rbegin()->second.partition().last_token(), UINT64_MAX);
  return Done();
}

CommandOutcome Metadata::Record(const v1::RecordReport& command) {
  const auto found = partitions_.find(command.partition());
  if (found == partitions_.end()) return Refuse(v1::ERROR_NOT_FOUND, "no such partition");
  v1::Partition& partition = *found->second.mutable_partition();
  const bool newer_leader = command.term() > partition.leader_term();
  const bool newer_members =
      command.members_size() > 0 &&
      (command.configuration_version() > partition.epoch() ||
       (partition.leader_term() == 0 && command.configuration_version() == partition.epoch()));
  if (!newer_leader && !newer_members && !MUTANT("takes-older-reports")) {
    return Refuse(v1::ERROR_CONFLICT, "a newer report was recorded before");
  }
  if (newer_leader) {
    partition.set_leader_term(command.term());
    partition.set_leader_node(command.leader_node());
  }
  if (newer_members || (command.members_size() > 0 && MUTANT("takes-older-reports"))) {
    partition.set_epoch(command.configuration_version());
    *partition.mutable_replicas() = command.members();
  }
  Changed(found->second);
  return Done(command.partition());
}

CommandOutcome Metadata::Plan(const v1::PlanMove& command) {
  const auto found = partitions_.find(command.partition());
  if (found == partitions_.end()) return Refuse(v1::ERROR_NOT_FOUND, "no such partition");
  v1::PartitionRecord& record = found->second;
  const bool fits = record.plan_version() == command.expected_plan_version() && !record.has_move();
  if (!fits && !MUTANT("plans-unfenced")) {
    return Refuse(v1::ERROR_CONFLICT, "the partition has a newer plan");
  }
  const v1::NodeRecord* node = FindNode(command.add_node());
  if (node == nullptr || node->node().state() != v1::NODE_STATE_UP) {
    return Refuse(v1::ERROR_INVALID, "the new replica's node takes no replicas");
  }
  const v1::Replica* removed = FindReplica(record.wish(), command.remove_replica());
  if (removed == nullptr) return Refuse(v1::ERROR_NOT_FOUND, "no such replica");
  if (command.add_node() != removed->node() && HasNode(record.wish(), command.add_node())) {
    return Refuse(v1::ERROR_INVALID, "the node has a replica of this partition already");
  }
  v1::MoveRecord& move = *record.mutable_move();
  move.set_add_replica(++last_replica_);
  move.set_add_node(command.add_node());
  move.set_remove_replica(command.remove_replica());
  move.set_remove_node(removed->node());
  move.set_reason(command.reason());
  ++move_counts_.planned;
  record.set_plan_version(record.plan_version() + 1);
  return Done(move.add_replica());
}

CommandOutcome Metadata::Finish(const v1::EndMove& command) {
  const auto found = partitions_.find(command.partition());
  if (found == partitions_.end()) return Refuse(v1::ERROR_NOT_FOUND, "no such partition");
  v1::PartitionRecord& record = found->second;
  if (record.plan_version() != command.expected_plan_version() || !record.has_move()) {
    return Refuse(v1::ERROR_CONFLICT, "the partition has a newer plan");
  }
  const v1::MoveRecord move = record.move();
  const auto& members = record.partition().replicas();
  const v1::Replica* added = FindReplica(members, move.add_replica());
  const bool gone = FindReplica(members, move.remove_replica()) == nullptr;
  // An abort may come too late: then the move is done.
  const bool done = added != nullptr && added->voter() && gone;
  const bool undone = move.aborting() && added == nullptr;
  if (!done && !undone) {
    return Refuse(v1::ERROR_CONFLICT, "the group's members do not show the end of the move");
  }
  if (done) {
    for (v1::Replica& replica : *record.mutable_wish()) {
      if (replica.id() == move.remove_replica()) replica = *added;
    }
  }
  ++(done ? move_counts_.finished : move_counts_.undone);
  record.clear_move();
  record.set_plan_version(record.plan_version() + 1);
  return Done(command.partition());
}

CommandOutcome Metadata::Abort(const v1::EndMove& command) {
  const auto found = partitions_.find(command.partition());
  if (found == partitions_.end()) return Refuse(v1::ERROR_NOT_FOUND, "no such partition");
  v1::PartitionRecord& record = found->second;
  if (record.plan_version() != command.expected_plan_version() || !record.has_move() ||
      record.move().aborting()) {
    return Refuse(v1::ERROR_CONFLICT, "the partition has a newer plan");
  }
  const v1::Replica* added =
      FindReplica(record.partition().replicas(), record.move().add_replica());
  if (added != nullptr && added->voter()) {
    return Refuse(v1::ERROR_CONFLICT, "the new replica votes: the move can only be finished");
  }
  record.mutable_move()->set_aborting(true);
  record.set_plan_version(record.plan_version() + 1);
  return Done(command.partition());
}

// --- Tables -------------------------------------------------------------------------------------

CommandOutcome Metadata::CreateTable(const v1::AddTable& command) {
  if (const v1::TableRecord* known = FindTable(command.name())) {
    return Refuse(v1::ERROR_EXISTS, absl::StrCat("Table already exists: ", command.name()),
                  known->table().id());
  }
  if (command.name().empty() || command.schema().partition_key().name().empty()) {
    return Refuse(v1::ERROR_INVALID, "a table has a name and a partition key");
  }
  if (tables_.size() >= kTablesMax) {
    return Refuse(v1::ERROR_UNAVAILABLE, "there are as many tables as a cluster may have");
  }
  last_table_ = std::max(last_table_ + 1, kTablesFirst);
  v1::TableRecord& record = tables_[last_table_];
  v1::Table& table = *record.mutable_table();
  table.set_id(last_table_);
  table.set_name(command.name());
  table.set_state(v1::TABLE_STATE_CREATING);
  table.set_schema_version(1);
  *table.mutable_schema() = command.schema();
  table.set_created_ms(command.created_ms());
  table_names_[command.name()] = last_table_;
  Changed(record);
  return Done(last_table_);
}

CommandOutcome Metadata::TableActive(const v1::EndTableStep& command) {
  const auto found = tables_.find(command.table());
  if (found == tables_.end()) return Refuse(v1::ERROR_NOT_FOUND, "no such table");
  v1::Table& table = *found->second.mutable_table();
  if (table.state() != v1::TABLE_STATE_CREATING ||
      table.schema_version() != command.schema_version()) {
    return Refuse(v1::ERROR_CONFLICT, "the table is in another state by now");
  }
  table.set_state(v1::TABLE_STATE_ACTIVE);
  Changed(found->second);
  return Done(command.table());
}

CommandOutcome Metadata::DeleteTable(const std::string& name) {
  const auto named = table_names_.find(name);
  if (named == table_names_.end()) {
    return Refuse(v1::ERROR_NOT_FOUND,
                  absl::StrCat("Requested resource not found: Table: ", name, " not found"));
  }
  v1::TableRecord& record = tables_.at(named->second);
  if (record.table().state() == v1::TABLE_STATE_DELETING) return Done(named->second);
  if (record.table().state() != v1::TABLE_STATE_ACTIVE) {
    return Refuse(v1::ERROR_IN_USE, absl::StrCat("Table ", name, " is being created"),
                  named->second);
  }
  record.mutable_table()->set_state(v1::TABLE_STATE_DELETING);
  record.mutable_table()->set_schema_version(record.table().schema_version() + 1);
  Changed(record);
  return Done(named->second);
}

CommandOutcome Metadata::TableGone(const v1::EndTableStep& command) {
  const auto found = tables_.find(command.table());
  if (found == tables_.end()) return Refuse(v1::ERROR_NOT_FOUND, "no such table");
  const v1::Table& table = found->second.table();
  if (table.state() != v1::TABLE_STATE_DELETING ||
      table.schema_version() != command.schema_version()) {
    return Refuse(v1::ERROR_CONFLICT, "the table is in another state by now");
  }
  table_names_.erase(table.name());
  tables_.erase(found);
  deleted_tables_[++version_] = command.table();
  if (deleted_tables_.size() > kDeletedTablesMax) {
    deleted_before_ = deleted_tables_.begin()->first;
    deleted_tables_.erase(deleted_tables_.begin());
  }
  return Done(command.table());
}

}  // namespace ringleader::coordinator
