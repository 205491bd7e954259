#include "tests/simulation/raft_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/raft_faults.h"
#include "tests/simulation/raft_workload.h"
#include "tests/simulation/raft_world.h"

namespace ringleader::simulation {
namespace {

constexpr Duration kConvergeWithin = std::chrono::seconds(90);
constexpr Duration kServeWithin = std::chrono::seconds(20);
constexpr Duration kConvergeStep = std::chrono::milliseconds(100);
// A run in which less than this got through proves nothing.
constexpr uint64_t kOperationsMin = 20;

// Sizes, timeouts and limits as wide as the code allows, so that rare paths are common somewhere.
WorldOptions DrawWorld(Random& random) {
  WorldOptions world;
  world.nodes = static_cast<int>(random.Between(3, 5));
  world.replicas = world.nodes == 5 && random.Chance(0.4) ? 5 : 3;
  world.groups = static_cast<int>(random.Between(1, 3));
  world.task_time_max = std::chrono::microseconds(random.Between(1, 500));
  replication::ReplicaOptions& replica = world.runtime.replica;
  replica.retain_bytes = static_cast<uint64_t>(random.Between(0, 64 << 10));
  replica.compaction_ticks = static_cast<uint32_t>(random.Between(1, 20));
  replica.core.append_bytes_max = static_cast<uint64_t>(random.Between(1, 16 << 10));
  replica.core.inflight_messages_max = static_cast<uint32_t>(random.Between(1, 32));
  replica.core.entry_cache_bytes_max = static_cast<uint64_t>(random.Between(1 << 10, 64 << 10));
  replica.core.unapplied_bytes_max = static_cast<uint64_t>(random.Between(4 << 10, 1 << 20));
  replica.core.uncommitted_bytes_max = static_cast<uint64_t>(random.Between(4 << 10, 1 << 20));
  world.runtime.log.segment_bytes = static_cast<uint64_t>(random.Between(64 << 10, 512 << 10));
  world.runtime.log.reserve_bytes = 16 << 10;
  world.runtime.log.log_bytes_target = 4 * world.runtime.log.segment_bytes;
  world.runtime.snapshots.chunk_bytes = static_cast<uint64_t>(random.Between(64, 4 << 10));
  world.runtime.snapshots.window_bytes = 4 * world.runtime.snapshots.chunk_bytes;
  world.runtime.workers = static_cast<int>(random.Between(1, 2));
  world.runtime.appliers = static_cast<int>(random.Between(1, 2));
  return world;
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

void AwaitConvergence(World& world) {
  std::string why_not;
  for (Duration waited{0}; waited < kConvergeWithin; waited += kConvergeStep) {
    world.simulation().RunFor(kConvergeStep);
    if (world.Converged(&why_not)) return;
  }
  world.Violation(absl::StrCat("not converged after healing: ", why_not));
}

// Load goes on: every group has to serve again soon, whatever happened to it.
void AwaitService(World& world, const Workload& workload) {
  const uint64_t before = workload.succeeded();
  Duration waited{0};
  for (; waited < kServeWithin; waited += kConvergeStep) {
    world.simulation().RunFor(kConvergeStep);
    const auto groups = world.groups();
    const bool all_lead = std::all_of(groups.begin(), groups.end(),
                                      [&](GroupId group) { return world.LeaderOf(group) != 0; });
    if (all_lead && workload.succeeded() > before) return;
  }
  world.Violation("not serving after healing");
}

}  // namespace

RunResult RunSeed(uint64_t seed) {
  Simulation simulation(seed);
  Random& random = simulation.random();
  const WorldOptions options = DrawWorld(random);
  World world(simulation, options);
  WorkloadOptions load;
  load.clients = static_cast<int>(random.Between(3, 10));
  load.keys = static_cast<int>(random.Between(2, 5));
  load.padding_bytes_max = random.Chance(0.3) ? 20'000 : 500;
  Workload workload(world, load);
  Faults faults(world, {});
  Random flush_random = random.Fork();
  bool stopped = false;

  world.Create();
  workload.Start();
  simulation.RunFor(std::chrono::seconds(3));
  FlushSometimes(world, flush_random, stopped);
  faults.Start();
  simulation.RunFor(std::chrono::seconds(random.Between(20, 60)));
  faults.Heal();
  AwaitService(world, workload);
  simulation.RunFor(std::chrono::seconds(3));
  workload.Stop();
  simulation.RunFor(load.timeout + std::chrono::seconds(1));
  AwaitConvergence(world);
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
  result.counts["lease read"] = workload.lease_reads();
  result.counts["quorum read"] = workload.quorum_reads();
  result.counts["operation of unknown outcome"] = workload.unknown();
  result.counts["entry applied"] = world.entries_applied();
  result.counts["term with a leader"] = world.elections();
  return result;
}

}  // namespace ringleader::simulation
