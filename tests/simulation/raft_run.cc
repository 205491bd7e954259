#include "tests/simulation/raft_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/raft_faults.h"
#include "tests/simulation/raft_strategies.h"
#include "tests/simulation/raft_workload.h"
#include "tests/simulation/raft_world.h"
#include "tests/simulation/run_draws.h"

namespace ringleader::simulation {
namespace {

constexpr Duration kConvergeWithin = std::chrono::seconds(90);
constexpr Duration kServeWithin = std::chrono::seconds(20);
constexpr Duration kConvergeStep = std::chrono::milliseconds(100);
// A run in which less than this got through proves nothing.
constexpr uint64_t kOperationsMin = 20;

WorldOptions DrawWorld(Random& random) {
  WorldOptions world;
  // Mostly one or more than a group needs: they are where members move to.
  world.nodes = random.Chance(0.25) ? 3 : static_cast<int>(random.Between(4, 6));
  world.replicas = world.nodes >= 5 && random.Chance(0.3) ? 5 : 3;
  world.groups = static_cast<int>(random.Between(1, 3));
  world.task_time_max = std::chrono::microseconds(random.Between(1, 500));
  world.sync_time_max = DrawSyncTime(random);
  DrawReplication(random, world.runtime);
  replication::CoreOptions& core = world.runtime.replica.core;
  core.unapplied_bytes_max = static_cast<uint64_t>(DrawScale(random, 4 << 10, 1 << 20));
  core.uncommitted_bytes_max = static_cast<uint64_t>(DrawScale(random, 4 << 10, 1 << 20));
  world.runtime.take_back_after =
      DrawDuration(random, std::chrono::seconds(1), std::chrono::seconds(10));
  return world;
}

FaultOptions DrawFaults(Random& random) {
  FaultOptions faults;
  faults.pace = DrawPace(random);
  // A wiped voter and another's last write that a power failure cut may stop a group for good
  // (fault-model.md): a run has either.
  faults.wipes = random.Chance(0.2);
  // Hundreds of entries in doubt and another voter's bad block stop a group as well.
  faults.tears = !faults.wipes && random.Chance(0.3);
  if (random.Chance(0.7)) {
    faults.members_every_max =
        DrawDuration(random, std::chrono::milliseconds(200), std::chrono::seconds(3));
  }
  faults.strikes = random.Chance(0.5) ? random.Fraction() : 0;
  return faults;
}

StrategyOptions DrawStrategies(Random& random, const FaultOptions& faults) {
  StrategyOptions strategies;
  strategies.wipes = faults.wipes;
  strategies.tears = faults.tears;
  strategies.calm = random.Chance(0.5) ? 1 : random.Fraction();
  if (random.Chance(0.5)) {
    strategies.every_max =
        DrawDuration(random, std::chrono::milliseconds(500), std::chrono::seconds(4));
  }
  return strategies;
}

// State machines flush by themselves now and then, as a memtable fills.
void FlushSometimes(World& world, Random& random, const bool& stopped) {
  world.simulation().At(Duration(random.Between(1, 2'000'000'000)), [&world, &random, &stopped] {
    if (stopped) return;
    for (auto& [node, machine] : world.machines()) {
      if (!machine.up() || !random.Chance(0.5)) continue;
      for (const auto& replica : machine.runtime->Replicas()) replica->FlushAndCompact();
    }
    FlushSometimes(world, random, stopped);
  });
}

void AwaitConvergence(World& world, Faults& faults) {
  std::string why_not;
  for (Duration waited{0}; waited < kConvergeWithin; waited += kConvergeStep) {
    world.simulation().RunFor(kConvergeStep);
    if (world.Converged(&why_not)) return;
    for (const GroupId group : world.groups()) faults.RemoveStrays(group);
  }
  world.LogState();
  world.Violation(absl::StrCat("not converged after healing: ", why_not));
}

// Load goes on: every group has to serve again soon, whatever happened to it.
// False: a group stands still for ever, as is not promised otherwise.
bool AwaitService(World& world, const Workload& workload) {
  const uint64_t before = workload.succeeded();
  Duration waited{0};
  for (; waited < kServeWithin; waited += kConvergeStep) {
    world.simulation().RunFor(kConvergeStep);
    const auto groups = world.groups();
    const bool all_lead = std::all_of(groups.begin(), groups.end(),
                                      [&](GroupId group) { return world.LeaderOf(group) != 0; });
    if (all_lead && workload.succeeded() > before) return true;
  }
  if (world.StandsStillInDoubt()) return false;
  world.LogState();
  world.Violation("not serving after healing");
  return true;
}

}  // namespace

RunResult RunSeed(uint64_t seed) {
  Simulation simulation(seed);
  Random& random = simulation.random();
  const WorldOptions options = DrawWorld(random);
  World world(simulation, options);
  WorkloadOptions load;
  load.clients = static_cast<int>(random.Between(3, 10));
  // With many clients on one key a history has too many orders to be decided.
  load.keys = static_cast<int>(random.Between(load.clients <= 5 ? 1 : 2, 4));
  load.wander = random.Fraction();
  load.padding_bytes_max = random.Chance(0.3) ? 20'000 : 500;
  Workload workload(world, load);
  const FaultOptions fault_options = DrawFaults(random);
  Strategies strategies(world, workload, DrawStrategies(random, fault_options));
  Faults faults(world, workload, strategies, fault_options);
  Random flush_random = random.Fork();
  bool stopped = false;

  world.Create();
  workload.Start();
  simulation.RunFor(std::chrono::seconds(3));
  FlushSometimes(world, flush_random, stopped);
  faults.Start();
  strategies.Start();
  simulation.RunFor(std::chrono::seconds(random.Between(20, 60)));
  strategies.Heal();
  faults.Heal();
  const bool serves = AwaitService(world, workload);
  simulation.RunFor(std::chrono::seconds(3));
  workload.Stop();
  simulation.RunFor(load.timeout + std::chrono::seconds(1));
  if (serves) AwaitConvergence(world, faults);
  stopped = true;
  workload.Check();
  if (workload.succeeded() < kOperationsMin) {
    world.Violation(absl::StrCat("only ", workload.succeeded(), " operations got through"));
  }

  RunResult result = ResultOf(seed, simulation, world.network().counts());
  result.violation = world.violation();
  result.operations = workload.succeeded();
  result.unknown = workload.unknown();
  result.elections = world.elections();
  for (const auto& [what, count] : faults.counts()) result.counts[what] += count;
  for (const auto& [what, count] : strategies.counts()) result.counts[what] += count;
  for (const auto& [what, count] : world.Happened()) result.counts[what] += count;
  result.counts["lease read refused: it had run out"] = workload.leases_lapsed();
  result.counts["lease read"] = workload.lease_reads();
  result.counts["quorum read"] = workload.quorum_reads();
  result.counts["operation of unknown outcome"] = workload.unknown();
  result.counts["entry applied"] = world.entries_applied();
  result.counts["term with a leader"] = world.elections();
  return result;
}

}  // namespace ringleader::simulation
