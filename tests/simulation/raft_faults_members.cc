// Members come and go: new learners on nodes without a replica, learners taking voters' places,
// demoted ones leaving, removed replicas destroyed.
#include <algorithm>
#include <utility>
#include <vector>

#include "replication/configuration.h"
#include "tests/simulation/raft_faults.h"
#include "tests/simulation/raft_strategies.h"

namespace ringleader::simulation {
namespace {

using replication::Configuration;
using replication::Contains;
using replication::Member;
using replication::ReplicaView;

bool Names(const Configuration& configuration, NodeId node) {
  for (const auto* list :
       {&configuration.voters, &configuration.outgoing, &configuration.learners}) {
    for (const Member& member : *list) {
      if (member.node == node) return true;
    }
  }
  return false;
}

// The replica of a group that a machine's log holds, open or not; 0: none.
ReplicaId ReplicaOn(const Machine& machine, GroupId group) {
  const auto state = machine.runtime->log().Group(group);
  return state.has_value() && !state->destroyed ? state->creation.replica : 0;
}

// A replica that came later was destroyed here: no message makes this one.
bool HasTombstoneOf(const Machine& machine, GroupId group, ReplicaId replica) {
  if (!machine.up()) return false;
  const auto state = machine.runtime->log().Group(group);
  return state.has_value() && state->destroyed && state->creation.replica >= replica;
}

}  // namespace

// One step toward other members: a new learner on a node without a replica, a learner taking a
// voter's place, a demoted one leaving.
void Faults::ChangeMembers() {
  const auto groups = world_.groups();
  const GroupId group = groups[random_.Below(groups.size())];
  const NodeId leader = world_.LeaderOf(group);
  if (leader == 0) return;
  const auto replica = world_.machine(leader).runtime->Find(group);
  const ReplicaView view = replica->view();
  if (view.configuration.joint() || view.configuration_index > view.commit) return;
  std::vector<Member> voters = view.configuration.voters;
  std::vector<Member> learners = view.configuration.learners;
  if (learners.empty()) {
    RemoveStrays(group);
    for (const auto& [node, machine] : world_.machines()) {
      const bool is_free = machine.up() && !Names(view.configuration, node);
      if (learners.size() == 2 || !is_free || ReplicaOn(machine, group) != 0) continue;
      if (!learners.empty() && random_.Chance(0.5)) break;
      Count("learner added");
      learners.push_back({world_.NewReplicaId(), node});
    }
    if (learners.empty()) return;
  } else if (demoted_.contains(learners.front().replica)) {
    Count("learner removed");
    learners.clear();
  } else {
    // Two at once: the old voters' majority and the new ones' may then have nobody in common.
    for (Member& learner : learners) {
      Count("voter replaced");
      Member& leaving = voters[random_.Below(voters.size())];
      if (Contains(view.configuration.learners, leaving.replica)) continue;  // it came just now
      std::swap(leaving, learner);
      demoted_.insert(learner.replica);
    }
    std::erase_if(learners,
                  [this](const Member& each) { return !demoted_.contains(each.replica); });
    std::sort(voters.begin(), voters.end());
    std::sort(learners.begin(), learners.end());
    strategies_.BeforeChange(group, leader, voters);
  }
  replica->ChangeMembers(std::move(voters), std::move(learners),
                         [](absl::StatusOr<replication::LogPosition>) {});
}

// Replicas that a committed configuration left out are destroyed, as a coordinator would. By the
// word of a leader with a lease: one that was deposed may not know of members that came since.
// One may come after another has its place on the node, by a message that was long under way; then
// that other one can't be made any more, and the coordinator would leave it out.
void Faults::RemoveStrays(GroupId group) {
  if (world_.LeaderOf(group) == 0) return;
  const auto leader = world_.machine(world_.LeaderOf(group)).runtime->Find(group);
  const ReplicaView view = leader->view();
  if (!leader->LeaseRead().ok() || view.configuration_index > view.commit) return;
  for (auto& [node, machine] : world_.machines()) {
    const ReplicaId stray = machine.up() ? ReplicaOn(machine, group) : 0;
    if (stray == 0 || replication::IsMember(view.configuration, stray)) continue;
    Count("replica destroyed");
    machine.runtime->DestroyReplica(group, stray, [](const absl::Status&) {});
  }
  std::vector<Member> learners = view.configuration.learners;
  std::erase_if(learners, [&](const Member& learner) {
    return HasTombstoneOf(world_.machine(learner.node), group, learner.replica);
  });
  if (learners.size() == view.configuration.learners.size()) return;
  Count("learner removed that can't come");
  leader->ChangeMembers(view.configuration.voters, std::move(learners),
                        [](absl::StatusOr<replication::LogPosition>) {});
}

}  // namespace ringleader::simulation
