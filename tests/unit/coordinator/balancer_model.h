// A model of a cluster for the tests of the balancer.
#ifndef RINGLEADER_TESTS_UNIT_COORDINATOR_BALANCER_MODEL_H_
#define RINGLEADER_TESTS_UNIT_COORDINATOR_BALANCER_MODEL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "coordinator/balancer.h"

namespace ringleader::coordinator {

// A group as its own log has it; the truth that reports tell of.
struct ModelGroup {
  std::vector<v1::Replica> members;  // those made so far
  uint64_t version = 0;
  uint64_t term = 0;
  uint64_t leader = 0;                  // node; 0: none
  std::map<uint64_t, int> catching_up;  // learners, with rounds left
  std::set<uint64_t> applied_tables, retired_tables;
};

// A small model of nodes that carry out orders as a node does: each checked against what is there,
// each lost with some probability, with delays, restarts and deaths.
class ModelCluster {
 public:
  ModelCluster(uint64_t seed, uint32_t partitions, uint32_t replicas)
      : random_(seed), balancer_(Options()) {
    v1::Command command;
    v1::FormationPlan& plan = *command.mutable_found_cluster();
    plan.set_formation(7);
    plan.add_incarnations(1);
    plan.set_partitions(partitions);
    plan.set_replicas(replicas);
    Apply(command);
    balancer_.Reset(now_);
  }

  static BalancerOptions Options() {
    BalancerOptions options;
    options.alive_timeout = std::chrono::seconds(5);
    options.dead_after = std::chrono::seconds(30);
    options.leaders_settle = std::chrono::seconds(5);
    return options;
  }

  uint64_t Join(const std::string& zone) {
    v1::Command command;
    v1::RegisterRequest& request = *command.mutable_register_node();
    request.set_incarnation(1000 + nodes_.size());
    request.set_address(absl::StrCat("node-", nodes_.size(), ":7100"));
    request.set_zone(zone);
    const uint64_t id = Apply(command).id;
    nodes_[id];
    seen_[id].heard = now_;
    return id;
  }

  // Whether the cluster comes to rest with a node in each of these zones, within so many rounds.
  bool JoinAndSettle(const std::vector<std::string>& zones, int limit) {
    for (const std::string& zone : zones) Join(zone);
    return RunUntilSettled(limit) >= 0;
  }

  void SetState(uint64_t node, v1::NodeState from, v1::NodeState to) {
    v1::Command command;
    command.mutable_set_node_state()->set_node(node);
    command.mutable_set_node_state()->set_from(from);
    command.mutable_set_node_state()->set_to(to);
    EXPECT_TRUE(Apply(command).ok());
  }

  CommandOutcome Apply(const v1::Command& command) { return metadata_.Apply(command); }
  void Stop(uint64_t node) { nodes_.at(node).up = false; }
  void Restart(uint64_t node) { nodes_.at(node).up = true; }
  // Its log has lost history: the replica stays closed.
  void Damage(uint64_t node, uint64_t partition) { nodes_.at(node).damaged.insert(partition); }
  // It had the replica destroyed, and can't get it again.
  void Lose(uint64_t node, uint64_t partition) {
    ModelNode& host = nodes_.at(node);
    host.tombstones[partition] = host.replicas.at(partition);
    host.replicas.erase(partition);
  }
  // It attends, and says nothing of its replicas.
  void SetMute(uint64_t node, bool mute) { nodes_.at(node).mute = mute; }
  // It has the replica, and its report leaves it out.
  void SetHidden(uint64_t node, uint64_t partition) { nodes_.at(node).hidden = partition; }
  bool IsWhole() const {
    for (const auto& [id, record] : metadata_.partitions()) {
      for (const v1::Replica& replica : record.wish()) {
        if (!Serves(id, replica)) return false;
      }
    }
    return true;
  }
  // An order to make a learner, carried out after its move was given up.
  void AddStray(uint64_t partition, uint64_t node) {
    ModelGroup& group = groups_.at(partition);
    v1::Replica& stray = group.members.emplace_back();
    stray.set_id(1'000'000 + partition);
    stray.set_node(node);
    ++group.version;
  }
  const Metadata& metadata() const { return metadata_; }
  const std::map<uint64_t, ModelGroup>& groups() const { return groups_; }
  // A partition that has a move; 0: none.
  uint64_t Moving() const {
    for (const auto& [id, record] : metadata_.partitions()) {
      if (record.has_move()) return id;
    }
    return 0;
  }
  // The abort is applied before anybody has heard that the new replica votes. Returns its id.
  uint64_t AbortAsItVotes(uint64_t partition, int limit) {
    const v1::PartitionRecord& record = metadata_.partitions().at(partition);
    for (int i = 0; i < limit; ++i) {
      Round();
      for (const v1::Replica& member : groups_.at(partition).members) {
        if (!record.has_move() || member.id() != record.move().add_replica()) continue;
        if (!member.voter()) continue;
        v1::Command command;
        command.mutable_abort_move()->set_partition(partition);
        command.mutable_abort_move()->set_expected_plan_version(record.plan_version());
        EXPECT_TRUE(Apply(command).ok());
        return member.id();
      }
    }
    return 0;
  }
  void LoseOrders(double probability) { loss_ = probability; }
  void NewMetadataLeader() {
    seen_.clear();
    balancer_.Reset(now_);
  }

  // One second.
  void Round() {
    now_.raw += std::chrono::seconds(1);
    now_.boot += std::chrono::seconds(1);
    for (auto& [id, group] : groups_) Elect(id, group);
    for (auto& [id, node] : nodes_) {
      if (node.up) Report(id);
    }
    Decision decision = balancer_.Decide(metadata_, seen_, now_);
    for (const v1::Command& command : decision.commands) Apply(command);
    for (const auto& [node, orders] : decision.orders) {
      if (nodes_.at(node).up && !random_.Chance(loss_)) Carry(node, orders);
    }
    CheckInvariants();
  }

  void Run(int rounds) {
    for (int i = 0; i < rounds; ++i) Round();
  }

  // Rounds until nothing moves and every partition is led; -1: not within `limit`.
  int RunUntilSettled(int limit) {
    int quiet = 0;
    for (int i = 0; i < limit; ++i) {
      Round();
      bool still = !metadata_.partitions().empty();
      for (const auto& [id, record] : metadata_.partitions()) {
        still = still && !record.has_move() && groups_.contains(id) && groups_.at(id).leader != 0;
      }
      quiet = still ? quiet + 1 : 0;
      if (quiet >= 20) return i;
    }
    return -1;
  }

  std::map<uint64_t, size_t> Loads() const {
    std::map<uint64_t, size_t> loads;
    for (const auto& [id, record] : metadata_.partitions()) {
      for (const v1::Replica& replica : record.wish()) ++loads[replica.node()];
    }
    return loads;
  }
  std::map<uint64_t, size_t> Leaders() const {
    std::map<uint64_t, size_t> leaders;
    for (const auto& [id, group] : groups_) ++leaders[group.leader];
    return leaders;
  }

 private:
  struct ModelNode {
    bool up = true;
    bool mute = false;
    uint64_t hidden = 0;                    // a partition
    std::map<uint64_t, uint64_t> replicas;  // partition to replica
    std::set<uint64_t> damaged;             // partitions
    std::map<uint64_t, uint64_t> tombstones;
  };

  bool Serves(uint64_t partition, const v1::Replica& replica) const {
    const ModelNode& node = nodes_.at(replica.node());
    const auto hosted = node.replicas.find(partition);
    return node.up && !node.damaged.contains(partition) && hosted != node.replicas.end() &&
           hosted->second == replica.id();
  }

  bool HasQuorum(uint64_t partition, const ModelGroup& group) const {
    size_t voters = 0, serving = 0;
    for (const v1::Replica& member : group.members) {
      voters += member.voter();
      serving += member.voter() && Serves(partition, member);
    }
    return serving > voters / 2;
  }

  void Elect(uint64_t id, ModelGroup& group) {
    for (const v1::Replica& member : group.members) {
      if (member.voter() && member.node() == group.leader && Serves(id, member)) {
        if (HasQuorum(id, group)) return;
      }
    }
    group.leader = 0;
    if (!HasQuorum(id, group)) return;
    for (const v1::Replica& member : group.members) {
      if (!member.voter() || !Serves(id, member)) continue;
      group.leader = member.node();
      ++group.term;
      return;
    }
  }

  void Report(uint64_t id) {
    ModelNode& node = nodes_.at(id);
    NodeSeen& seen = seen_[id];
    seen.heard = now_;
    seen.complete = !node.mute;
    seen.replicas.clear();
    if (node.mute) return;
    for (const auto& [partition, replica] : node.replicas) {
      if (partition == node.hidden) continue;
      v1::ReplicaReport& report = seen.replicas[partition];
      report.set_partition(partition);
      report.set_replica(replica);
      if (node.damaged.contains(partition)) {
        report.set_failure("its log has lost history");
        report.set_needs_replacement(true);
        continue;
      }
      ModelGroup& group = groups_[partition];
      report.set_term(group.term);
      report.set_configuration_version(group.version);
      report.set_configuration_committed(true);
      report.set_leads(group.leader == id);
      if (group.leader != id) continue;
      for (const v1::Replica& member : group.members) {
        *report.add_members() = member;
        if (!Serves(partition, member)) {
          // The leader's messages make a learner where nothing is in its way.
          ModelNode& host = nodes_.at(member.node());
          const bool free =
              !host.replicas.contains(partition) && host.tombstones[partition] < member.id();
          if (!member.voter() && host.up && free) host.replicas[partition] = member.id();
          continue;
        }
        if (--group.catching_up[member.id()] <= 0) report.add_caught_up(member.id());
      }
      for (const uint64_t table : group.applied_tables) report.add_applied_tables(table);
      for (const uint64_t table : group.retired_tables) report.add_retired_tables(table);
    }
  }

  void Carry(uint64_t id, const v1::NodeOrders& orders) {
    ModelNode& node = nodes_.at(id);
    for (const v1::CreateReplica& order : orders.create()) {
      if (!node.replicas.try_emplace(order.partition(), order.replica()).second) continue;
      ModelGroup& group = groups_[order.partition()];
      group.members.assign(order.voters().begin(), order.voters().end());
    }
    for (const v1::DestroyReplica& order : orders.destroy()) {
      const auto hosted = node.replicas.find(order.partition());
      if (hosted == node.replicas.end() || hosted->second != order.replica()) continue;
      node.tombstones[order.partition()] = order.replica();
      const bool was_damaged = node.damaged.erase(order.partition()) > 0;
      for (const v1::Replica& member : groups_.at(order.partition()).members) {
        EXPECT_TRUE(member.id() != order.replica() || was_damaged)
            << "a member's replica was destroyed";
      }
      node.replicas.erase(hosted);
    }
    for (const v1::ChangeMembers& order : orders.change()) Change(id, order);
    for (const v1::TransferLeadership& order : orders.transfer()) {
      ModelGroup& group = groups_.at(order.partition());
      for (const v1::Replica& member : group.members) {
        if (group.leader != id || member.id() != order.to_replica()) continue;
        if (!member.voter() || !Serves(order.partition(), member)) continue;
        group.leader = member.node();
        ++group.term;
        break;
      }
    }
    for (const v1::ApplySchema& order : orders.schema()) {
      ModelGroup& group = groups_.at(order.partition());
      if (group.leader != id) continue;
      const bool retire = order.table().state() == v1::TABLE_STATE_DELETING;
      (retire ? group.retired_tables : group.applied_tables).insert(order.table().id());
    }
  }

  // As the core would: demote before removing, only learners that have caught up begin to vote.
  void Change(uint64_t id, const v1::ChangeMembers& order) {
    ModelGroup& group = groups_.at(order.partition());
    if (group.leader != id || group.version != order.expected_version()) return;
    const bool had_quorum = HasQuorum(order.partition(), group);
    std::set<uint64_t> wanted;
    for (const v1::Replica& member : order.members()) wanted.insert(member.id());
    for (const v1::Replica& member : group.members) {
      ASSERT_TRUE(!member.voter() || wanted.contains(member.id())) << "a voter was removed";
    }
    for (const v1::Replica& member : order.members()) {
      const auto known = std::find_if(group.members.begin(), group.members.end(),
                                      [&](const auto& each) { return each.id() == member.id(); });
      if (known == group.members.end()) {
        ASSERT_FALSE(member.voter());
        group.catching_up[member.id()] = 3 + static_cast<int>(random_.Below(5));
      } else if (member.voter() && !known->voter()) {
        ASSERT_LE(group.catching_up[member.id()], 0) << "it has not caught up";
        if (!Serves(order.partition(), member)) return;  // nor will what is not there
      }
    }
    group.members.assign(order.members().begin(), order.members().end());
    ++group.version;
    ASSERT_TRUE(!had_quorum || HasQuorum(order.partition(), group)) << "a plan cost a quorum";
  }

  void CheckInvariants() {
    size_t moves = 0;
    for (const auto& [id, record] : metadata_.partitions()) {
      moves += record.has_move();
      std::set<uint64_t> named;
      for (const v1::Replica& replica : record.wish()) named.insert(replica.id());
      if (record.has_move()) named.insert(record.move().add_replica());
      for (const v1::Replica& member : groups_[id].members) {
        ASSERT_TRUE(named.contains(member.id())) << "a member that neither wish nor move names";
      }
    }
    ASSERT_LE(moves, Options().moves_max);
  }

  Random random_;
  Balancer balancer_;
  Metadata metadata_;
  Observations seen_;
  Instant now_;
  std::map<uint64_t, ModelNode> nodes_;
  std::map<uint64_t, ModelGroup> groups_;
  double loss_ = 0;
};

inline void ExpectBalanced(const ModelCluster& cluster, const std::vector<PlacementNode>& nodes) {
  const Metadata& metadata = cluster.metadata();
  const size_t replicas = metadata.plan().replicas();
  const size_t cap = ZoneCap(nodes, replicas);
  std::map<uint64_t, std::string> zone_of;
  for (const PlacementNode& node : nodes) zone_of[node.id] = node.zone;
  for (const auto& [id, record] : metadata.partitions()) {
    std::map<std::string, size_t> in_zone;
    std::set<uint64_t> hosts, members, wished;
    for (const v1::Replica& replica : record.wish()) {
      ASSERT_TRUE(zone_of.contains(replica.node())) << "partition " << id;
      ASSERT_TRUE(hosts.insert(replica.node()).second);
      ASSERT_LE(++in_zone[zone_of[replica.node()]], cap);
      wished.insert(replica.id());
    }
    for (const v1::Replica& member : cluster.groups().at(id).members) members.insert(member.id());
    ASSERT_EQ(members, wished);
  }
  auto loads = cluster.Loads();
  for (const auto& [node, quota] : Quotas(nodes, metadata.plan().partitions(), replicas)) {
    EXPECT_GE(loads[node] + 1, BandOf(quota).low) << "node " << node;
    EXPECT_LE(loads[node], BandOf(quota).high + 1) << "node " << node;
  }
}

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_TESTS_UNIT_COORDINATOR_BALANCER_MODEL_H_
