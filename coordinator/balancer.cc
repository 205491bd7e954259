#include "coordinator/balancer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "coordinator/balancer_round.h"

namespace ringleader::coordinator {

bool Balancer::IsSuperseded(const Metadata& metadata, const v1::Node& node) {
  return std::any_of(metadata.nodes().begin(), metadata.nodes().end(), [&](const auto& other) {
    return other.first > node.id() && other.second.node().state() != v1::NODE_STATE_REMOVED &&
           other.second.node().address() == node.address();
  });
}

void Balancer::Reset(const Instant& now) {
  since_ = changed_ = now;
  last_leaders_.clear();
  last_alive_.clear();
  transfers_.clear();
  missing_.clear();
}

Decision Balancer::Decide(const Metadata& metadata, const Observations& seen, const Instant& now) {
  Round round{.metadata = metadata, .seen = seen, .now = now};
  if (!metadata.formed()) return {};
  JudgeNodes(round);
  if (metadata.partitions().empty()) {
    FormPartitions(round);
    return std::move(round.decision);
  }
  for (const auto& [id, record] : metadata.partitions()) {
    uint64_t node = 0;
    const v1::ReplicaReport* report = LeaderReport(metadata, seen, id, &node);
    if (report != nullptr && round.alive.contains(node)) round.leaders[id] = {node, report};
    if (!record.has_move()) continue;
    ++round.moves;
    ++round.moves_into[record.move().add_node()];
  }
  NoteMissing(round);
  for (const auto& [id, record] : metadata.partitions()) {
    Reconcile(round, record);
    const auto led = round.leaders.find(id);
    if (led == round.leaders.end()) continue;
    if (record.has_move()) {
      Advance(round, record, *led->second.report, led->second.node);
    } else {
      RemoveStrays(round, record, *led->second.report, led->second.node);
    }
  }
  OrderDestruction(round);
  OrderRebuilding(round);
  MendBadFiles(round);
  PlanReplacements(round);
  PlanMoves(round);
  SettleTables(round);
  LeaveDraining(round);
  EvenLeaders(round);
  return std::move(round.decision);
}

// --- Nodes --------------------------------------------------------------------------------------

void Balancer::JudgeNodes(Round& round) {
  for (const auto& [id, record] : round.metadata.nodes()) {
    if (record.node().state() == v1::NODE_STATE_REMOVED) round.dead.insert(id);
    const auto found = round.seen.find(id);
    const bool heard = found != round.seen.end() &&
                       WaiterElapsed(found->second.heard, round.now) < options_.alive_timeout &&
                       !IsSuperseded(round.metadata, record.node());
    if (heard) round.alive.insert(id);
    // In the first moments of a leadership silence means nothing.
    const bool judged = heard || WaiterElapsed(since_, round.now) >= options_.alive_timeout;
    if (judged && heard != record.node().alive()) {
      auto& command = *round.NewCommand().mutable_set_node_alive();
      command.set_node(id);
      command.set_alive(heard);
    }
    if (!heard && IsDead(round, record)) round.dead.insert(id);
  }
  if (round.alive != last_alive_) {
    last_alive_ = round.alive;
    changed_ = round.now;
  }
}

bool Balancer::IsDead(const Round& round, const v1::NodeRecord& record) const {
  if (IsSuperseded(round.metadata, record.node())) return true;
  const auto found = round.seen.find(record.node().id());
  Duration silent = WaiterElapsed(since_, round.now);
  if (found != round.seen.end()) {
    silent = std::min(silent, WaiterElapsed(found->second.heard, round.now));
  }
  return silent >= options_.dead_after;
}

void Balancer::FormPartitions(Round& round) const {
  std::vector<PlacementNode> nodes;
  for (const auto& [id, record] : round.metadata.nodes()) {
    if (record.node().state() != v1::NODE_STATE_UP || !round.alive.contains(id)) continue;
    nodes.push_back({id, record.node().zone()});
  }
  const v1::FormationPlan& plan = round.metadata.plan();
  const auto assignment = PlaceAll(nodes, plan.partitions(), plan.replicas());
  if (!assignment.ok()) return;  // nodes are missing
  auto& command = *round.NewCommand().mutable_form_partitions();
  for (const auto& replicas : *assignment) {
    auto& first = *command.add_partitions();
    for (const uint64_t node : replicas) first.add_nodes(node);
  }
}

// --- Partitions as they are ---------------------------------------------------------------------

const v1::ReplicaReport* Balancer::LeaderReport(const Metadata& metadata, const Observations& seen,
                                                uint64_t partition, uint64_t* node) {
  const v1::PartitionRecord& record = metadata.partitions().at(partition);
  const v1::ReplicaReport* best = nullptr;
  const auto consider = [&](uint64_t host) {
    const auto found = seen.find(host);
    const v1::NodeRecord* const node_record = metadata.FindNode(host);
    if (found == seen.end() || node_record == nullptr || !node_record->node().alive()) return;
    const auto replica = found->second.replicas.find(partition);
    if (replica == found->second.replicas.end() || !replica->second.leads()) return;
    if (best == nullptr || replica->second.term() > best->term()) {
      best = &replica->second;
      *node = host;
    }
  };
  for (const v1::Replica& replica : record.wish()) consider(replica.node());
  if (record.has_move()) consider(record.move().add_node());
  // A term that ended says nothing any more.
  return best != nullptr && best->term() >= record.partition().leader_term() ? best : nullptr;
}

void Balancer::Reconcile(Round& round, const v1::PartitionRecord& record) const {
  const auto led = round.leaders.find(record.partition().id());
  if (led != round.leaders.end()) {
    RecordReport(round, record, *led->second.report, led->second.node);
  } else if (record.partition().leader_term() == 0) {
    OrderCreation(round, record);
  }
}

void Balancer::RecordReport(Round& round, const v1::PartitionRecord& record,
                            const v1::ReplicaReport& report, uint64_t node) const {
  const v1::Partition& known = record.partition();
  const bool members_final =
      report.configuration_committed() && !report.joint() && report.members_size() > 0;
  const bool newer_members =
      members_final && (report.configuration_version() > known.epoch() || known.leader_term() == 0);
  if (report.term() <= known.leader_term() && !newer_members) return;
  auto& command = *round.NewCommand().mutable_record_report();
  command.set_partition(known.id());
  command.set_leader_node(node);
  command.set_term(report.term());
  if (!newer_members) return;
  command.set_configuration_version(report.configuration_version());
  *command.mutable_members() = report.members();
}

// Until the group has had a leader: from then on its log is the truth, and a replica that is
// missing has lost its disk.
void Balancer::OrderCreation(Round& round, const v1::PartitionRecord& record) const {
  for (const v1::Replica& replica : record.wish()) {
    const auto found = round.seen.find(replica.node());
    if (found == round.seen.end() || !found->second.complete ||
        !round.alive.contains(replica.node())) {
      continue;
    }
    // One that needs replacement may be what its leader's message made there before this order: it
    // becomes the voter then. The node refuses the order for any other.
    const v1::ReplicaReport* there = round.Replica(replica.node(), record.partition().id());
    if (there != nullptr && !there->needs_replacement()) continue;
    v1::CreateReplica& order = *round.decision.orders[replica.node()].add_create();
    order.set_partition(record.partition().id());
    order.set_replica(replica.id());
    order.set_first_token(record.partition().first_token());
    order.set_last_token(record.partition().last_token());
    *order.mutable_voters() = record.wish();
    v1::PartitionPlan plan;
    plan.set_formation(round.metadata.plan().formation());
    plan.set_partition(record.partition().id());
    plan.set_plan_version(record.plan_version());
    order.set_plan(plan.SerializeAsString());
  }
}

// By the metadata's invariant 2 such a replica is no member and never will be; one with a number
// that is not given out yet comes from a decision that this coordinator has not heard of.
void Balancer::OrderDestruction(Round& round) const {
  for (const auto& [node, seen] : round.seen) {
    if (!round.alive.contains(node)) continue;
    for (const auto& [partition, report] : seen.replicas) {
      const auto found = round.metadata.partitions().find(partition);
      if (found == round.metadata.partitions().end()) continue;
      const v1::PartitionRecord& record = found->second;
      if (report.replica() > round.metadata.last_replica() ||
          FindReplica(record.wish(), report.replica()) != nullptr ||
          (record.has_move() && record.move().add_replica() == report.replica())) {
        continue;
      }
      v1::DestroyReplica& order = *round.decision.orders[node].add_destroy();
      order.set_partition(partition);
      order.set_replica(report.replica());
    }
  }
}

// --- Tables -------------------------------------------------------------------------------------

void Balancer::SettleTables(Round& round) const {
  for (const auto& [id, record] : round.metadata.tables()) {
    const v1::Table& table = record.table();
    if (table.state() == v1::TABLE_STATE_ACTIVE) continue;
    const bool deleting = table.state() == v1::TABLE_STATE_DELETING;
    bool everywhere = true;
    for (const auto& [partition, ignored] : round.metadata.partitions()) {
      const auto led = round.leaders.find(partition);
      if (led == round.leaders.end()) {
        everywhere = false;
        continue;
      }
      const auto& settled =
          deleting ? led->second.report->retired_tables() : led->second.report->applied_tables();
      if (std::find(settled.begin(), settled.end(), id) != settled.end()) continue;
      everywhere = false;
      v1::ApplySchema& order = *round.decision.orders[led->second.node].add_schema();
      order.set_partition(partition);
      *order.mutable_table() = table;
    }
    if (!everywhere) continue;
    v1::Command& command = round.NewCommand();
    v1::EndTableStep& step =
        deleting ? *command.mutable_table_gone() : *command.mutable_table_active();
    step.set_table(id);
    step.set_schema_version(table.schema_version());
  }
}

}  // namespace ringleader::coordinator
