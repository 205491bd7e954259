#include "tests/simulation/raft_faults.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "tests/simulation/raft_strategies.h"
#include "tests/simulation/raft_workload.h"

namespace ringleader::simulation {

using replication::Configuration;
using replication::Member;

Faults::Faults(World& world, Workload& workload, Strategies& strategies,
               const FaultOptions& options)
    : world_(world),
      workload_(workload),
      strategies_(strategies),
      options_(options),
      random_(world.simulation().random().Fork()) {
  weights_ = DrawWeights(random_, static_cast<size_t>(Kind::kKinds));
  const auto weight = [this](Kind kind) -> uint64_t& {
    return weights_[static_cast<size_t>(kind)];
  };
  if (options.wipes) {
    for (const Kind cut : {Kind::kPower, Kind::kPowerAll, Kind::kDisk}) weight(cut) = 0;
  } else {
    weight(Kind::kWipe) = 0;
  }
  weight(options.tears ? Kind::kBadBlock : Kind::kTear) = 0;
}

void Faults::Start() {
  Next();
  if (options_.members_every_max > Duration(0)) NextMembers();
  if (options_.strikes > 0) Watch();
}

void Faults::Next() {
  world_.simulation().At(Some(options_.pace.every_max), [this] {
    if (healed_) return;
    if (!strategies_.Holds()) Inject();
    Next();
  });
}

void Faults::NextMembers() {
  world_.simulation().At(Some(options_.members_every_max), [this] {
    if (healed_) return;
    ChangeMembers();
    NextMembers();
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

// A node that leads a group; 0: the group that was drawn has no leader.
NodeId Faults::RandomLeader() {
  const auto groups = world_.groups();
  return world_.LeaderOf(groups[random_.Below(groups.size())]);
}

void Faults::Inject() {
  const NodeId node = RandomUp();
  if (node == 0) return;
  switch (static_cast<Kind>(DrawKind(random_, weights_))) {
    case Kind::kKill:
      return Down(node, /*power=*/false);
    case Kind::kPower:
      return Down(node, /*power=*/true);
    case Kind::kPowerAll:
      return PowerAll();
    case Kind::kPause:
      return PauseFor(node);
    case Kind::kPartition:
      return Partition();
    case Kind::kWeather:
      return NetworkWeather();
    case Kind::kDisk:
      return InjectDisk(node);
    case Kind::kSlowDisk:
      return SlowDiskFor(node);
    case Kind::kBadBlock:
      return BadBlock(node);
    case Kind::kTear:
      return TearBatch();
    case Kind::kWipe:
      return Wipe(node);
    case Kind::kClock:
      Count("clock jump");
      world_.machine(node).clock->JumpWall(
          Duration(random_.Between(-3'600'000'000'000, 3'600'000'000'000)));
      return world_.machine(node).clock->JumpBoot(Some(options_.pace.lasts_max));
    case Kind::kTransfer:
      return Transfer();
    case Kind::kKinds:
      break;
  }
  CHECK(false) << "no kind of fault";
}

void Faults::Down(NodeId node, bool power) {
  Count(power ? "power cut" : "kill");
  power ? world_.CutPower(node) : world_.Kill(node);
  world_.StartLater(node, Some(options_.pace.lasts_max));
}

// The whole cluster loses power at once.
void Faults::PowerAll() {
  if (!random_.Chance(0.5)) return;
  Count("power cut of all");
  for (const auto& [node, machine] : world_.machines()) {
    if (machine.up()) Down(node, /*power=*/true);
  }
}

void Faults::PauseFor(NodeId node) {
  Count("pause");
  world_.Pause(node);
  world_.simulation().At(Some(options_.pace.lasts_max), [this, node] { world_.Resume(node); });
}

void Faults::Block(const std::vector<std::pair<NodeId, NodeId>>& links, Duration lasts) {
  for (const auto& [from, to] : links) world_.network().Block(from, to);
  world_.simulation().At(lasts, [this, links] {
    for (const auto& [from, to] : links) world_.network().Unblock(from, to);
  });
}

// Clients reach every node all the while: a leader that is cut off is asked.
void Faults::Partition() {
  NodeId victim = random_.Chance(0.5) ? RandomLeader() : 0;
  if (victim == 0) victim = RandomNode();
  const NodeId other = RandomNode();
  const uint64_t shape = random_.Below(6);
  std::map<NodeId, bool> side;
  for (const auto& [node, machine] : world_.machines()) side[node] = random_.Chance(0.5);
  std::vector<std::pair<NodeId, NodeId>> links;
  for (const auto& [from, a] : world_.machines()) {
    for (const auto& [to, b] : world_.machines()) {
      const bool cut = shape == 0   ? (from == victim) != (to == victim)
                       : shape == 1 ? from == victim
                       : shape == 2 ? to == victim
                       : shape == 3 ? side[from] != side[to]
                       : shape == 4 ? side[from] && !side[to]
                                    : from == victim && to == other;
      if (cut && from != to) links.push_back({from, to});
    }
  }
  const char* const names[] = {
      "around one", "from one", "to one", "in two parts", "in two parts, one way", "of one link"};
  Count(absl::StrCat("partition ", names[shape]));
  Block(links, Some(options_.pace.lasts_max));
}

void Faults::SlowDiskFor(NodeId node) {
  Count("slow disk");
  world_.SlowDisk(node,
                  DrawDuration(random_, std::chrono::milliseconds(20), std::chrono::seconds(5)));
  world_.simulation().At(Some(options_.pace.lasts_max),
                         [this, node] { world_.SlowDisk(node, world_.options().sync_time_max); });
}

void Faults::NetworkWeather() {
  Count("network weather");
  world_.network().SetFaults(DrawWeather(random_));
}

// Power fails at the sync of a batch of many entries; that of the larger ones has a table of
// several pages, which can be torn.
void Faults::TearBatch() {
  const auto groups = world_.groups();
  const GroupId group = groups[random_.Below(groups.size())];
  const NodeId leader = world_.LeaderOf(group);
  if (leader == 0) return;
  Count("power cut at a sync of many entries");
  const bool pages = random_.Chance(0.5);
  workload_.Flood(group, leader, pages ? 700 + random_.Below(2300) : 100 + random_.Below(400));
  world_.machine(leader).disk->CrashAtSync(".segment");
}

void Faults::InjectDisk(NodeId node) {
  SimulatedFileSystem& disk = *world_.machine(node).disk;
  using Operation = SimulatedFileSystem::Operation;
  switch (random_.Below(4)) {
    case 0:
      if (random_.Chance(0.7)) {
        Count("power cut at a sync of the log");
        return disk.CrashAtSync(".segment");
      }
      Count("power cut in a disk operation");
      return disk.CrashAfter(random_.Below(200));
    case 1:
    case 2: {
      const bool is_sync = random_.Chance(0.5);
      Count(is_sync ? "failed sync" : "failed write");
      const auto fail = [&disk, kind = is_sync ? Operation::kSync : Operation::kWrite](
                            absl::string_view path_part, uint64_t skip) {
        disk.InjectError(kind, path_part, skip, 1, absl::DataLossError("injected: it failed"));
      };
      if (!random_.Chance(0.35)) return fail("", random_.Below(20));
      // A state that is opened again and fails again is given up.
      const auto fail_state = [this, node, fail] {
        const Machine& machine = world_.machine(node);
        if (healed_ || !machine.up()) return;
        fail("/registers", 0);
        for (const auto& replica : machine.runtime->Replicas()) replica->FlushAndCompact();
      };
      fail_state();
      const Duration reopened = world_.options().runtime.reopen_after;
      world_.simulation().At(reopened + Some(std::chrono::seconds(4)), fail_state);
      return;
    }
    default:
      Count("full disk");
      disk.SetCapacity(disk.UsedBytes() + random_.Below(100'000));
      world_.simulation().At(Some(options_.pace.lasts_max),
                             [this, node] { world_.machine(node).disk->SetCapacity(UINT64_MAX); });
  }
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

void Faults::Heal() {
  healed_ = true;
  world_.network().UnblockAll();
  world_.network().SetFaults({});
  for (auto& [node, machine] : world_.machines()) {
    machine.disk->CrashNoMore();
    machine.disk->SetCapacity(UINT64_MAX);
    machine.disk->InjectError(SimulatedFileSystem::Operation::kSync, "", 0, 0,
                              absl::InternalError("none any more"));
    world_.SlowDisk(node, world_.options().sync_time_max);
    if (!machine.up()) world_.StartLater(node, Duration(1));
    world_.Resume(node);
  }
}

}  // namespace ringleader::simulation
