#include "tests/simulation/raft_faults.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader::simulation {
namespace {

using replication::Configuration;
using replication::Member;
using replication::Replica;
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

}  // namespace

Faults::Faults(World& world, const FaultOptions& options)
    : world_(world), options_(options), random_(world.simulation().random().Fork()) {}

void Faults::Start() { Next(); }

void Faults::Next() {
  world_.simulation().At(Some(options_.every_max), [this] {
    if (healed_) return;
    Inject();
    Next();
  });
}

NodeId Faults::RandomNode() { return 1 + random_.Below(world_.machines().size()); }

NodeId Faults::RandomUp() {
  std::vector<NodeId> up;
  for (const auto& [node, machine] : world_.machines()) {
    if (machine.up()) up.push_back(node);
  }
  return up.empty() ? 0 : up[random_.Below(up.size())];
}

void Faults::Inject() {
  const NodeId node = RandomUp();
  if (node == 0) return;
  switch (random_.Below(12)) {
    case 0:
      return Down(node, /*power=*/false);
    case 1:
      return Down(node, /*power=*/true);
    case 2: {  // the whole cluster loses power at once
      if (!random_.Chance(0.3)) return;
      Count("power cut of all");
      for (const auto& [each, machine] : world_.machines()) {
        if (machine.up()) Down(each, /*power=*/true);
      }
      return;
    }
    case 3:
      return PauseFor(node);
    case 4:
    case 5:
      return Partition();
    case 6:
      return NetworkWeather();
    case 7:
      return InjectDisk(node);
    case 8:
      return options_.bad_blocks ? BadBlock(node) : Partition();
    case 9:
      Count("clock jump");
      world_.machine(node).clock->JumpWall(
          Duration(random_.Between(-3'600'000'000'000, 3'600'000'000'000)));
      return world_.machine(node).clock->JumpBoot(Some(options_.lasts_max));
    case 10:
      return Transfer();
    default:
      return options_.membership ? ChangeMembers() : Transfer();
  }
}

void Faults::Down(NodeId node, bool power) {
  Count(power ? "power cut" : "kill");
  power ? world_.CutPower(node) : world_.Kill(node);
  world_.StartLater(node, Some(options_.lasts_max));
}

void Faults::PauseFor(NodeId node) {
  Count("pause");
  world_.Pause(node);
  world_.simulation().At(Some(options_.lasts_max), [this, node] { world_.Resume(node); });
}

void Faults::Partition() {
  SimulatedNetwork& network = world_.network();
  std::vector<std::pair<NodeId, NodeId>> blocked;
  const auto block = [&](NodeId from, NodeId to) {
    if (from != to) blocked.push_back({from, to});
  };
  const size_t nodes = world_.machines().size();
  const NodeId victim = RandomNode();
  const uint64_t shape = random_.Below(4);
  for (NodeId from = 1; from <= nodes; ++from) {
    for (NodeId to = 1; to <= nodes; ++to) {
      if (shape == 0 && (from == victim) != (to == victim)) block(from, to);  // isolated
      if (shape == 1 && from == victim) block(from, to);                      // can't speak
      if (shape == 2 && to == victim) block(from, to);                        // can't hear
      if (shape == 3 && (from % 2) != (to % 2)) block(from, to);              // halves
    }
  }
  Count(absl::StrCat("partition ", shape == 0   ? "around one"
                                   : shape == 1 ? "from one"
                                   : shape == 2 ? "to one"
                                                : "in halves"));
  for (const auto& [from, to] : blocked) network.Block(from, to);
  world_.simulation().At(Some(options_.lasts_max), [this, blocked] {
    for (const auto& [from, to] : blocked) world_.network().Unblock(from, to);
  });
}

void Faults::NetworkWeather() {
  Count("network weather");
  world_.network().SetFaults(DrawWeather(random_));
}

void Faults::InjectDisk(NodeId node) {
  SimulatedFileSystem& disk = *world_.machine(node).disk;
  using Operation = SimulatedFileSystem::Operation;
  switch (random_.Below(4)) {
    case 0:
      Count("power cut in a disk operation");
      return disk.CrashAfter(random_.Below(200));
    case 1:
      Count("failed sync");
      disk.InjectError(Operation::kSync, "", random_.Below(20), 1,
                       absl::DataLossError("injected: the sync failed"));
      return;
    case 2:
      Count("failed write");
      disk.InjectError(Operation::kWrite, "", random_.Below(20), 1,
                       absl::DataLossError("injected: the write failed"));
      return;
    default:
      Count("full disk");
      disk.SetCapacity(disk.UsedBytes() + random_.Below(100'000));
      world_.simulation().At(Some(options_.lasts_max), [&disk] { disk.SetCapacity(UINT64_MAX); });
  }
}

// A block of the log goes bad while the process is down, on a minority of the machines.
void Faults::BadBlock(NodeId node) {
  const size_t minority = (static_cast<size_t>(world_.options().replicas) - 1) / 2;
  if (!damaged_.contains(node) && damaged_.size() >= std::min<size_t>(minority, 1)) return;
  SimulatedFileSystem& disk = *world_.machine(node).disk;
  world_.Kill(node);
  std::vector<std::string> files;
  for (const std::string& file : disk.Files()) {
    if (absl::StrContains(file, "/log/") && !disk.Content(file).empty()) files.push_back(file);
  }
  if (!files.empty() && damaged_.insert(node).second) {
    Count("bad block in the log");
    const std::string& file = files[random_.Below(files.size())];
    const uint64_t blocks = disk.Content(file).size() / SimulatedFileSystem::kBlockBytes;
    if (blocks > 0) {
      disk.DamageBlock(file, random_.Below(blocks),
                       random_.Chance(0.5) ? SimulatedFileSystem::BadBlock::kNoise
                                           : SimulatedFileSystem::BadBlock::kZeros);
    }
  }
  world_.StartLater(node, Some(options_.lasts_max));
}

void Faults::Transfer() {
  const auto groups = world_.groups();
  const GroupId group = groups[random_.Below(groups.size())];
  const NodeId leader = world_.LeaderOf(group);
  if (leader == 0) return;
  const auto replica = world_.machine(leader).runtime->Find(group);
  const Configuration configuration = replica->view().configuration;
  const Member to = configuration.voters[random_.Below(configuration.voters.size())];
  if (to.node == leader) return;
  Count("transfer");
  replica->Transfer(to.replica, [](const absl::Status&) {});
}

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
    NodeId free = 0;
    for (const auto& [node, machine] : world_.machines()) {
      if (!machine.up() || Names(view.configuration, node)) continue;
      if (ReplicaOn(machine, group) == 0) free = node;
    }
    RemoveStrays(group);
    if (free == 0) return;
    Count("learner added");
    learners.push_back({world_.NewReplicaId(), free});
  } else if (demoted_.contains(learners.front().replica)) {
    Count("learner removed");
    learners.clear();
  } else {
    Count("voter replaced");
    const size_t out = random_.Below(voters.size());
    const Member leaving = voters[out];
    voters[out] = learners.front();
    std::sort(voters.begin(), voters.end());
    learners = {leaving};
    demoted_.insert(leaving.replica);
  }
  replica->ChangeMembers(std::move(voters), std::move(learners),
                         [](absl::StatusOr<replication::LogPosition>) {});
}

// Replicas that a committed configuration left out are destroyed, as a coordinator would.
void Faults::RemoveStrays(GroupId group) {
  const NodeId leader = world_.LeaderOf(group);
  const ReplicaView view = world_.machine(leader).runtime->Find(group)->view();
  for (auto& [node, machine] : world_.machines()) {
    if (!machine.up() || Names(view.configuration, node)) continue;
    const ReplicaId stray = ReplicaOn(machine, group);
    if (stray == 0) continue;
    Count("replica destroyed");
    machine.runtime->DestroyReplica(group, stray, [](const absl::Status&) {});
  }
}

void Faults::Heal() {
  healed_ = true;
  world_.network().UnblockAll();
  world_.network().SetFaults({});
  for (auto& [node, machine] : world_.machines()) {
    machine.disk->SetCapacity(UINT64_MAX);
    machine.disk->InjectError(SimulatedFileSystem::Operation::kSync, "", 0, 0,
                              absl::InternalError("none any more"));
    if (!machine.up()) world_.StartLater(node, Duration(1));
    world_.Resume(node);
  }
}

}  // namespace ringleader::simulation
