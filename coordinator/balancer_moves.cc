// Moves of replicas and leaders: what to begin, and the next step of what is under way.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "coordinator/balancer_round.h"

namespace ringleader::coordinator {
namespace {

using Replicas = google::protobuf::RepeatedPtrField<v1::Replica>;

bool Includes(const google::protobuf::RepeatedField<uint64_t>& values, uint64_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

v1::EndMove EndOf(const v1::PartitionRecord& record) {
  v1::EndMove end;
  end.set_partition(record.partition().id());
  end.set_expected_plan_version(record.plan_version());
  return end;
}

Replicas Without(const Replicas& members, uint64_t replica) {
  Replicas rest;
  for (const v1::Replica& member : members) {
    if (member.id() != replica) *rest.Add() = member;
  }
  return rest;
}

}  // namespace

// --- What is under way --------------------------------------------------------------------------

// Its target is leaving or dead, or the new replica's log is lost before it votes: then it never
// catches up.
bool Balancer::ShouldAbort(const Round& round, const v1::PartitionRecord& record) const {
  const v1::MoveRecord& move = record.move();
  const v1::NodeRecord* node = round.metadata.FindNode(move.add_node());
  CHECK(node != nullptr);
  if (node->node().state() != v1::NODE_STATE_UP || round.dead.contains(move.add_node())) {
    return true;
  }
  const v1::ReplicaReport* there = round.Replica(move.add_node(), record.partition().id());
  return there != nullptr && there->replica() == move.add_replica() && there->needs_replacement();
}

// Whether what an aborted move would have removed can vote again. What was destroyed to make room
// on its own node, has no log, is not on its node any more, or lived on one that is gone for good
// never catches up: who waited for it would wait for ever.
bool Balancer::MayVoteAgain(const Round& round, const v1::PartitionRecord& record) const {
  const v1::MoveRecord& move = record.move();
  if (move.add_node() == move.remove_node() || round.dead.contains(move.remove_node())) {
    return false;
  }
  const v1::ReplicaReport* there = round.Replica(move.remove_node(), record.partition().id());
  const bool is_there = there != nullptr && there->replica() == move.remove_replica();
  return is_there ? !there->needs_replacement() : !IsGone(round, move.remove_replica());
}

void Balancer::Advance(Round& round, const v1::PartitionRecord& record,
                       const v1::ReplicaReport& report, uint64_t leader_node) {
  const v1::MoveRecord& move = record.move();
  const Replicas& members = report.members();
  if (!report.configuration_committed() || report.joint() || members.empty()) return;
  const v1::Replica* added = FindReplica(members, move.add_replica());
  const v1::Replica* old = FindReplica(members, move.remove_replica());
  const bool votes = added != nullptr && added->voter();

  if ((votes && old == nullptr) || (move.aborting() && added == nullptr)) {
    // Ended by what is recorded, so the report must be recorded first.
    if (record.partition().epoch() >= report.configuration_version()) {
      *round.NewCommand().mutable_finish_move() = EndOf(record);
    }
    return;
  }
  if (!move.aborting() && !votes && ShouldAbort(round, record)) {
    RARE_BRANCH("plan: a move is aborted");
    *round.NewCommand().mutable_abort_move() = EndOf(record);
    return;
  }

  if (!move.aborting() && !votes && move.add_node() == move.remove_node()) {
    // The same node: what is there has to go before its successor can be made. It may come back
    // when the successor is a member already, if the node's log lost that it was destroyed.
    const v1::ReplicaReport* there = round.Replica(move.remove_node(), record.partition().id());
    if (there != nullptr && there->replica() == move.remove_replica()) {
      if (added == nullptr && there->failure().empty() && !there->needs_replacement()) {
        // It was late, and votes: destroyed, it would be missed until its successor does.
        RARE_BRANCH("plan: a replica that is well by now is not replaced");
        *round.NewCommand().mutable_abort_move() = EndOf(record);
        return;
      }
      v1::DestroyReplica& order = *round.decision.orders[move.remove_node()].add_destroy();
      order.set_partition(record.partition().id());
      order.set_replica(move.remove_replica());
      return;
    }
  }

  Replicas wanted = members;
  if (move.aborting() && !votes) {
    wanted = Without(members, move.add_replica());
  } else if (move.aborting() && MayVoteAgain(round, record)) {
    // It had come to vote by the time the abort was applied: it is a learner first.
    for (v1::Replica& member : wanted) {
      if (member.id() == move.add_replica()) member.set_voter(false);
      if (member.id() == move.remove_replica()) member.set_voter(true);
    }
  } else if (added == nullptr) {
    v1::Replica& learner = *wanted.Add();
    learner.set_id(move.add_replica());
    learner.set_node(move.add_node());
  } else if (!votes) {
    if (!Includes(report.caught_up(), move.add_replica())) return;
    if (leader_node == move.remove_node() && old != nullptr && old->voter()) {
      // Whoever leads hands over first, so that nobody waits for an election.
      for (const v1::Replica& member : members) {
        if (member.voter() && member.node() != leader_node && round.alive.contains(member.node()) &&
            Includes(report.caught_up(), member.id())) {
          OrderTransfer(round, record.partition().id(), member.node());
          return;
        }
      }
    }
    for (v1::Replica& member : wanted) {
      if (member.id() == move.add_replica()) member.set_voter(true);
      if (member.id() == move.remove_replica()) member.set_voter(false);
    }
  } else {
    // The last step, also of an abort that came too late.
    wanted = Without(members, move.remove_replica());
  }
  v1::ChangeMembers& order = *round.decision.orders[leader_node].add_change();
  order.set_partition(record.partition().id());
  order.set_expected_version(report.configuration_version());
  *order.mutable_members() = std::move(wanted);
}

// An order of a move may be carried out after the move has ended: nobody else knows the learner
// that it made.
void Balancer::RemoveStrays(Round& round, const v1::PartitionRecord& record,
                            const v1::ReplicaReport& report, uint64_t leader_node) {
  if (!report.configuration_committed() || report.joint()) return;
  Replicas wanted;
  for (const v1::Replica& member : report.members()) {
    if (member.voter() || FindReplica(record.wish(), member.id()) != nullptr) {
      *wanted.Add() = member;
    }
  }
  if (wanted.size() == report.members_size()) return;
  RARE_BRANCH("plan: a stray is removed");
  if (MUTANT("strays-stay")) return;
  v1::ChangeMembers& order = *round.decision.orders[leader_node].add_change();
  order.set_partition(record.partition().id());
  order.set_expected_version(report.configuration_version());
  *order.mutable_members() = std::move(wanted);
}

// --- What begins --------------------------------------------------------------------------------

void Balancer::StartMove(Round& round, const v1::PartitionRecord& record, uint64_t to_node,
                         uint64_t remove_replica, const std::string& reason) const {
  auto& command = *round.NewCommand().mutable_plan_move();
  command.set_partition(record.partition().id());
  command.set_expected_plan_version(record.plan_version());
  command.set_add_node(to_node);
  command.set_remove_replica(remove_replica);
  command.set_reason(reason);
  ++round.moves;
  ++round.moves_into[to_node];
  round.planned.insert(record.partition().id());
}

// Since when the nodes have not had what the wish says they have. A replica that was destroyed for
// a successor on its own node is such a one if the move to that is given up: its tombstone lets no
// message make it again. For a moment it may also be a report that came late.
void Balancer::NoteMissing(const Round& round) {
  std::map<uint64_t, Instant> missing;
  for (const auto& [id, record] : round.metadata.partitions()) {
    const bool moves = record.has_move() && !record.move().aborting();
    if (moves || !round.leaders.contains(id)) continue;
    for (const v1::Replica& replica : record.wish()) {
      if (!round.alive.contains(replica.node()) || !round.seen.at(replica.node()).complete) {
        continue;
      }
      const v1::ReplicaReport* report = round.Replica(replica.node(), id);
      if (report != nullptr && report->replica() == replica.id()) continue;
      const auto known = missing_.find(replica.id());
      missing[replica.id()] = known == missing_.end() ? round.now : known->second;
    }
  }
  missing_ = std::move(missing);
}

// For so long that it is no report that came late.
bool Balancer::IsGone(const Round& round, uint64_t replica) const {
  const auto missing = missing_.find(replica);
  return missing != missing_.end() &&
         WaiterElapsed(missing->second, round.now) >= options_.alive_timeout;
}

// A replica whose log forgot what it had promised, that never got one, or that its node does not
// have, gets a successor on the same node.
void Balancer::PlanReplacements(Round& round) const {
  for (const auto& [id, record] : round.metadata.partitions()) {
    if (round.moves >= options_.moves_max) return;
    if (record.has_move() || !round.leaders.contains(id)) continue;
    for (const v1::Replica& replica : record.wish()) {
      const v1::ReplicaReport* report = round.Replica(replica.node(), id);
      const v1::NodeRecord* node = round.metadata.FindNode(replica.node());
      const bool has_no_log =
          report != nullptr && report->replica() == replica.id() && report->needs_replacement();
      const bool is_gone = IsGone(round, replica.id());
      if ((!has_no_log && !is_gone) || !round.alive.contains(replica.node()) ||
          node->node().state() != v1::NODE_STATE_UP ||
          round.moves_into[replica.node()] >= options_.moves_into_node_max) {
        continue;
      }
      StartMove(round, record, replica.node(), replica.id(),
                is_gone ? "its node does not have it" : "it has no log to vote by");
      break;
    }
  }
}

bool Balancer::MayMove(const Round& round, const v1::PartitionRecord& record,
                       const Move& move) const {
  if (record.has_move() || round.planned.contains(record.partition().id()) ||
      !round.leaders.contains(record.partition().id()) || !round.alive.contains(move.to)) {
    return false;
  }
  const auto into = round.moves_into.find(move.to);
  if (into != round.moves_into.end() && into->second >= options_.moves_into_node_max) return false;
  if (move.forced) return true;
  // Only for balance: not while a replica is missing, as a move has moments in which one more is.
  return std::all_of(record.wish().begin(), record.wish().end(), [&](const v1::Replica& replica) {
    const v1::ReplicaReport* report = round.Replica(replica.node(), record.partition().id());
    return round.alive.contains(replica.node()) && report != nullptr && report->failure().empty();
  });
}

void Balancer::PlanMoves(Round& round) const {
  std::vector<PlacementNode> nodes;
  for (const auto& [id, record] : round.metadata.nodes()) {
    if (record.node().state() != v1::NODE_STATE_UP || round.dead.contains(id)) continue;
    nodes.push_back({id, record.node().zone()});
  }
  Assignment current;
  std::vector<const v1::PartitionRecord*> records;
  for (const auto& [id, record] : round.metadata.partitions()) {
    std::vector<uint64_t>& replicas = current.emplace_back();
    for (const v1::Replica& replica : record.wish()) {
      const bool leaves = record.has_move() && !record.move().aborting() &&
                          replica.id() == record.move().remove_replica();
      replicas.push_back(leaves ? record.move().add_node() : replica.node());
    }
    records.push_back(&record);
  }
  if (round.moves >= options_.moves_max) return;
  for (const Move& move : Rebalance(nodes, current, round.metadata.plan().replicas())) {
    if (round.moves >= options_.moves_max) return;
    const v1::PartitionRecord& record = *records[move.partition];
    if (!MayMove(round, record, move)) continue;
    for (const v1::Replica& replica : record.wish()) {
      if (replica.node() != move.from) continue;
      StartMove(round, record, move.to, replica.id(),
                move.forced ? absl::StrCat("node ", move.from, " is leaving or dead") : "balance");
    }
  }
}

// --- Leaders ------------------------------------------------------------------------------------

bool Balancer::OrderTransfer(Round& round, uint64_t partition, uint64_t to_node) {
  const auto led = round.leaders.find(partition);
  if (led == round.leaders.end()) return false;
  const auto last = transfers_.find(partition);
  if (last != transfers_.end() &&
      WaiterElapsed(last->second, round.now) < options_.transfer_retry) {
    return false;
  }
  for (const v1::Replica& member : led->second.report->members()) {
    if (!member.voter() || member.node() != to_node) continue;
    transfers_[partition] = round.now;
    v1::TransferLeadership& order = *round.decision.orders[led->second.node].add_transfer();
    order.set_partition(partition);
    order.set_to_replica(member.id());
    return true;
  }
  return false;
}

namespace {

// Nodes that may lead the partition besides who does.
std::vector<uint64_t> Candidates(const Metadata& metadata, const Observations& seen,
                                 const std::set<uint64_t>& alive, const v1::ReplicaReport& report,
                                 uint64_t leader) {
  std::vector<uint64_t> nodes;
  for (const v1::Replica& member : report.members()) {
    if (member.node() == leader || !member.voter() || !alive.contains(member.node())) continue;
    if (!Includes(report.caught_up(), member.id())) continue;
    const v1::NodeRecord* node = metadata.FindNode(member.node());
    if (node == nullptr || node->node().state() != v1::NODE_STATE_UP) continue;
    const NodeSeen& host = seen.at(member.node());
    if (!host.draining && !host.disk_stalled) nodes.push_back(member.node());
  }
  return nodes;
}

}  // namespace

// A process that is asked to stop keeps no leadership, whatever else goes on.
void Balancer::LeaveDraining(Round& round) {
  std::map<uint64_t, size_t> load;
  for (const auto& [partition, led] : round.leaders) ++load[led.node];
  for (const auto& [partition, led] : round.leaders) {
    const NodeSeen& host = round.seen.at(led.node);
    if (!host.draining && !host.disk_stalled) continue;
    const std::vector<uint64_t> nodes =
        Candidates(round.metadata, round.seen, round.alive, *led.report, led.node);
    if (nodes.empty()) continue;
    const uint64_t target = *std::min_element(
        nodes.begin(), nodes.end(), [&](uint64_t a, uint64_t b) { return load[a] < load[b]; });
    if (OrderTransfer(round, partition, target)) ++load[target];
  }
}

void Balancer::EvenLeaders(Round& round) {
  std::map<uint64_t, uint64_t> now_leading;
  for (const auto& [partition, led] : round.leaders) now_leading[partition] = led.node;
  if (now_leading != last_leaders_) {
    // What it ordered itself need not settle.
    for (const auto& [partition, node] : now_leading) {
      const auto before = last_leaders_.find(partition);
      const bool same = before != last_leaders_.end() && before->second == node;
      const auto ordered = transfers_.find(partition);
      const bool own = ordered != transfers_.end() &&
                       WaiterElapsed(ordered->second, round.now) < 2 * options_.transfer_retry;
      if (!same && !own) changed_ = round.now;
    }
    last_leaders_ = std::move(now_leading);
  }
  if (WaiterElapsed(changed_, round.now) < options_.leaders_settle) return;
  std::vector<uint64_t> leaders, partitions;
  Assignment candidates;
  for (const auto& [partition, led] : round.leaders) {
    partitions.push_back(partition);
    leaders.push_back(led.node);
    std::vector<uint64_t>& nodes = candidates.emplace_back();
    if (!round.metadata.partitions().at(partition).has_move()) {
      nodes = Candidates(round.metadata, round.seen, round.alive, *led.report, led.node);
    }
    nodes.push_back(led.node);
  }
  size_t ordered = 0;
  for (const Move& move : SpreadLeaders(leaders, candidates)) {
    if (ordered >= options_.transfers_max) return;
    ordered += OrderTransfer(round, partitions[move.partition], move.to);
  }
}

}  // namespace ringleader::coordinator
