#include "tests/simulation/cluster_run.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "replication/lease.h"
#include "tests/simulation/cluster_faults.h"
#include "tests/simulation/cluster_passing_table.h"
#include "tests/simulation/cluster_workload.h"
#include "tests/simulation/cluster_world.h"
#include "tests/simulation/run_draws.h"

namespace ringleader::simulation {
namespace {

// An election takes up to 2 s and may have to be repeated; a client leaves an address that did not
// answer alone for a while, and gives an attempt up to 8 s.
constexpr Duration kServeWithin = std::chrono::seconds(30);
// The slowest way back: a node is taken for dead, its replicas move two at a time, and a replica
// that failed twice waits a minute until it may be rebuilt a second time.
constexpr Duration kHealthyWithin = std::chrono::seconds(240);
constexpr Duration kPlacedWithin = std::chrono::seconds(120);
constexpr Duration kStep = std::chrono::milliseconds(500);
constexpr Duration kAgreeWithin = std::chrono::seconds(20);
constexpr Duration kReadWithin = std::chrono::seconds(30);
constexpr Duration kNoticesWithin = std::chrono::seconds(1);
// A run in which less than this got through proves nothing.
constexpr uint64_t kOperationsMin = 50;

// Rates, and steps of what they leave of the bound, over the shortest lease that anybody holds.
void DrawClocks(Random& random, ClusterOptions& cluster) {
  const double bound = cluster.node.runtime.replica.clock_drift_max;
  cluster.clock_rate_spread = random.Chance(0.5) ? 0.4 * bound : 0.1 * bound;
  const replication::ReplicaOptions& replica = cluster.node.runtime.replica;
  const Duration lease = replication::LeaseLength(replica.core.election_ticks, replica.tick_period,
                                                  replica.clock_drift_max);
  const Duration shortest =
      std::min(lease, *std::min_element(cluster.lease_terms.begin(), cluster.lease_terms.end()));
  const double left = 0.9 * (bound - 2 * cluster.clock_rate_spread);
  cluster.clock_step_max =
      Duration(static_cast<int64_t>(left * static_cast<double>(shortest.count())));
}

// Sizes, timeouts and limits as wide as the code allows, so that rare paths are common somewhere.
ClusterOptions DrawCluster(Random& random) {
  ClusterOptions cluster;
  const int coordinators[] = {1, 3, 3, 3, 5};
  cluster.coordinators = coordinators[random.Below(std::size(coordinators))];
  cluster.nodes = static_cast<int>(random.Between(3, 5));
  cluster.nodes_max = cluster.nodes + static_cast<int>(random.Between(0, 1));
  cluster.zones = random.Chance(0.5) ? 1 : 3;
  cluster.clients = static_cast<int>(random.Between(2, 4));
  cluster.partitions = 1u << random.Between(0, 2);
  cluster.task_time_max = std::chrono::microseconds(random.Between(1, 500));
  cluster.sync_time_max = DrawSyncTime(random);
  // From requests of which one attempt is made to such as outlast a restart of everything; from
  // attempts that are given up while they are carried out, and in most runs several of them.
  cluster.request_timeout =
      DrawDuration(random, std::chrono::milliseconds(1500), std::chrono::seconds(20));
  const Duration attempt_min = std::chrono::milliseconds(250);
  const Duration attempt_max = random.Chance(0.8)
                                   ? std::max(attempt_min, cluster.request_timeout / 4)
                                   : std::chrono::seconds(8);
  cluster.attempt_timeout = DrawDuration(random, attempt_min, attempt_max);
  const std::vector<std::vector<RoutePolicy>> routes = {
      {RoutePolicy::kAuto},
      {RoutePolicy::kAuto, RoutePolicy::kCoordinators},
      {RoutePolicy::kDirect, RoutePolicy::kAuto, RoutePolicy::kCoordinators}};
  cluster.routes = routes[random.Below(routes.size())];
  cluster.balancer.alive_timeout = std::chrono::seconds(random.Between(3, 10));
  cluster.balancer.dead_after = std::chrono::seconds(random.Between(10, 40));
  cluster.balancer.leaders_settle = std::chrono::seconds(random.Between(2, 10));
  DrawReplication(random, cluster.coordinator_runtime);
  DrawReplication(random, cluster.node.runtime);
  cluster.node.runtime.openers = static_cast<int>(random.Between(1, 4));
  cluster.node.block_cache_bytes = 1 << 20;
  // Down to LevelDB's own smallest.
  cluster.node.memtable_bytes = 1 << 20;
  cluster.node.partition_memtable_min = static_cast<uint64_t>(DrawScale(random, 64 << 10, 1 << 20));
  cluster.node.compactors = static_cast<int>(random.Between(1, 2));
  cluster.node.free_bytes_min = 64 << 10;
  cluster.node.partition.quorum_reads = random.Chance(0.2);
  cluster.node.partition.hash_pass = std::chrono::seconds(random.Between(5, 60));
  cluster.node.scrub.period = cluster.node.partition.hash_pass;
  cluster.node.scrub.first_pass_after = Duration(0);  // most nodes don't stand for a minute
  cluster.node.partition.hash_pause_min = std::chrono::seconds(1);
  cluster.node.partition.hash_bytes_max = static_cast<uint64_t>(random.Between(1 << 10, 64 << 10));
  cluster.node.partition.entries_in_flight_max = random.Below(4) + 1;
  cluster.node.partition.orphan_max =
      DrawDuration(random, std::chrono::milliseconds(10), std::chrono::seconds(1));
  // Some keep nothing, so that there are runs in which what was leased before is all there is.
  // The small ones have room for some of the items only, and for the largest not at all.
  const std::vector<std::vector<uint64_t>> caches = {{1 << 20}, {16 << 10}, {0, 1 << 20}, {0}};
  cluster.cache_bytes = caches[random.Below(caches.size())];
  const uint64_t door_caches[] = {0, 16 << 10, 1 << 20, 1 << 20};
  cluster.door_cache_bytes = door_caches[random.Below(std::size(door_caches))];
  cluster.watches = random.Chance(0.5);
  cluster.node.partition.grants = random.Chance(0.9);
  cluster.node.partition.eras_period = std::chrono::milliseconds(random.Between(100, 10'000));
  cluster.node.partition.eras_spare = random.Chance(0.5) ? 0 : 64;
  // One for all nodes, or several, so that a leader's successor may have been given a shorter one.
  // Long ones outlast two elections.
  cluster.lease_terms.clear();
  const bool are_long = random.Chance(0.2);
  for (uint64_t terms = 1 + random.Below(3); terms > 0; --terms) {
    cluster.lease_terms.push_back(std::chrono::milliseconds(are_long ? random.Between(4000, 8000)
                                                                     : random.Between(200, 4000)));
  }
  DrawClocks(random, cluster);
  return cluster;
}

// What coordinators tell one node comes so late that the groups lead without it, and call it first.
void SlowOrders(ClusterWorld& world, Random& random) {
  const std::vector<HostId> nodes = world.Hosts(MachineKind::kNode);
  const HostId late = nodes[random.Below(nodes.size())];
  const Duration longer =
      DrawDuration(random, std::chrono::milliseconds(500), std::chrono::seconds(4));
  for (const HostId coordinator : world.Hosts(MachineKind::kCoordinator)) {
    world.network().SlowLink(coordinator, late, longer);
  }
}

// The cluster forms and takes a table: nothing goes wrong yet but the weather, in some.
void Form(ClusterWorld& world, ClusterWorkload& workload, Random& random) {
  if (random.Chance(0.3)) world.network().SetFaults(DrawWeather(random));
  world.Create();
  if (random.Chance(0.2)) SlowOrders(world, random);
  std::string why_not;
  for (int tries = 0; tries < 10; ++tries) {
    world.simulation().RunFor(std::chrono::seconds(2));
    const absl::Status created = workload.CreateTable();
    const auto table = world.administration().DescribeTable(kWorkloadTable);
    if (table.ok() && table->state == TableState::kActive) return;
    why_not = absl::StrCat(created.ToString(), "; ", table.status().ToString());
  }
  world.Violation(absl::StrCat("the cluster did not form: ", why_not));
}

// Load goes on: every key has to be served again soon, whatever happened, and as much as it takes
// for the run to show something. False: a key is not, for a reason that the fault model names.
bool AwaitService(ClusterWorld& world, const ClusterWorkload& workload) {
  const Duration healed = world.simulation().now();
  int waits_for = 0;
  while (world.simulation().now() < healed + kServeWithin &&
         (waits_for < workload.options().keys || workload.succeeded() < kOperationsMin)) {
    if (waits_for < workload.options().keys && workload.last_success(waits_for) > healed) {
      ++waits_for;
      continue;
    }
    world.simulation().RunFor(kStep);
  }
  if (waits_for == workload.options().keys) return true;
  if (world.StandsStillInDoubt()) return false;
  world.Violation(absl::StrCat("key-", waits_for, " is not served after healing"));
  return true;
}

// `holds` waits itself.
template <typename Condition>
void Await(ClusterWorld& world, Duration limit, const char* what, Condition holds) {
  std::string why_not;
  const Duration end = world.simulation().now() + limit;
  while (world.violation().empty()) {
    if (holds(&why_not)) return;
    if (world.simulation().now() > end) {
      return world.Violation(absl::StrCat(what, " after healing: ", why_not));
    }
    world.simulation().RunFor(kStep);
  }
}

void Run(ClusterWorld& world, ClusterWorkload& workload, PassingTable& passing,
         ClusterFaults& faults, Random& random) {
  Form(world, workload, random);
  if (!world.violation().empty()) return;
  if (random.Chance(0.5)) passing.Change();
  world.network().MendLinks();
  workload.Start();
  world.simulation().RunFor(std::chrono::seconds(3));
  faults.RunFor(std::chrono::seconds(random.Between(20, 60)));
  if (world.violation().empty()) faults.Heal();
  if (world.violation().empty() && !AwaitService(world, workload)) {
    workload.Stop();
    while (!workload.idle()) world.simulation().RunFor(kStep);
    return workload.Check();
  }
  Await(world, kHealthyWithin, "not healthy", [&](std::string* why) {
    faults.UndrainLate();
    faults.EmptyLostCoordinators();
    return world.Healthy(why);
  });
  Await(world, kPlacedWithin, "badly placed", [&](std::string* why) { return world.Placed(why); });
  workload.Stop();
  while (!(workload.idle() && passing.idle()) && world.violation().empty()) {
    world.simulation().RunFor(kStep);
  }
  std::string why_not;
  if (world.violation().empty() && !passing.Renew(&why_not)) world.Violation(why_not);
  if (world.violation().empty() &&
      !(workload.AddToAll(kReadWithin, &why_not) && workload.ReadAll(kReadWithin, &why_not))) {
    world.Violation(why_not);
  }
  world.simulation().RunFor(kNoticesWithin);
  if (world.violation().empty()) workload.CheckDerived();
  Await(world, kAgreeWithin, "replicas differ",
        [&](std::string* why) { return world.ReplicasAgree(why); });
  Await(world, kAgreeWithin, "coordinators differ",
        [&](std::string* why) { return world.CoordinatorsAgree(why); });
  workload.Check();
  passing.Check();
  if (workload.succeeded() < kOperationsMin) {
    world.Violation(absl::StrCat("only ", workload.succeeded(), " operations got through"));
  }
}

}  // namespace

RunResult RunCluster(uint64_t seed, const ClusterRunOptions& run) {
  Simulation simulation(seed);
  Random& random = simulation.random();
  ClusterOptions options = DrawCluster(random);
  if (run.clock_spread >= 0) {
    options.clock_rate_spread = run.clock_spread;
    options.gate_ends_run = false;
  }
  ClusterWorkloadOptions load;
  load.lanes = static_cast<int>(random.Between(1, 3));
  load.keys = static_cast<int>(random.Between(4, 12));
  load.reads_percent = static_cast<uint64_t>(random.Between(40, 90));
  load.deletes_percent = static_cast<uint64_t>(random.Between(5, 35));
  load.conditions_percent = static_cast<uint64_t>(random.Between(10, 50));
  // Large ones take several blocks of the log: a power cut leaves some of them.
  const uint64_t paddings[] = {100, 500, 2000, 20'000, 20'000};
  load.padding_bytes_max = paddings[random.Below(std::size(paddings))];
  // Lanes of a few messages in some, so that sessions end because they are full. The larger half of
  // the items never fits.
  if (random.Chance(0.5)) {
    options.node.cache_sessions.queue_bytes_max =
        load.padding_bytes_max / 2 + static_cast<uint64_t>(DrawScale(random, 50, 2000));
  }
  auto ending = std::make_unique<ClusterWorld>(simulation, options);
  ClusterWorld& world = *ending;
  PassingTable passing(world);
  ClusterWorkload workload(world, passing, load);
  ClusterFaults faults(world, passing, DrawPace(random));
  Run(world, workload, passing, faults, random);

  RunResult result = ResultOf(seed, simulation, world.network().counts());
  result.violation = world.violation();
  if (!world.gate_violation().empty()) {
    absl::StrAppend(&result.violation, result.violation.empty() ? "" : "\n",
                    world.gate_violation());
  }
  result.operations = workload.succeeded();
  result.elections = world.elections();
  for (const auto& [what, count] : faults.counts()) result.counts[what] += count;
  for (const auto& [what, count] : world.Happened()) result.counts[what] += count;
  for (const auto& [what, count] : passing.counts()) result.counts[what] += count;
  for (const auto& [what, count] : workload.counts()) {
    result.counts[absl::StrCat("operation: ", what)] += count;
    if (what == absl::StrCat("error: ", KindName(ErrorKind::kUnknownOutcome))) {
      result.unknown += count;
    }
  }
  result.counts["term with a leader"] = world.elections();
  ending = nullptr;  // before the workload and the faults, which have events in it
  return result;
}

}  // namespace ringleader::simulation
