// ring-node: a storage node of a Ringleader cluster.
//
// Exit codes: 0 after SIGTERM or SIGINT; 2 for options and for a start that can't succeed as it is;
// 70 when the log's disk has failed: what it holds is unknown to the process, and a start reads it
// anew.
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/address.h"
#include "common/admin_server.h"
#include "common/build_info.h"
#include "common/clock.h"
#include "common/grpc_network.h"
#include "common/logging.h"
#include "common/open_files.h"
#include "common/options.h"
#include "node/node.h"

namespace ringleader {
namespace {

constexpr int kExitUsage = 2;
constexpr int kExitFatal = 70;
// Entries: at 64 partitions of one busy node a follower applies about with every tick.
constexpr size_t kFollowerGather = 64;
// Replicas that are opened at a time: the disk syncs for several at once.
constexpr int kOpeners = 8;
// A grant lasts from a round of heartbeats, one each tick, and is renewed several times: below this
// little is left of one. Above it a client that died holds writes up for longer than they wait.
constexpr int64_t kClientLeaseTermMinMs = 300;
constexpr int64_t kClientLeaseTermMaxMs = 60'000;
static_assert(kClientLeaseTermMaxMs <= kLeaseTermMaxMs);

struct Flags {
  std::string data;
  std::string listen = "127.0.0.1:7100";
  std::string advertise;
  std::string admin_listen = "127.0.0.1:9100";
  std::vector<std::string> coordinators = {"127.0.0.1:7000"};
  std::string zone;
  int64_t cluster = 0;
  std::string read_mode = "lease";
  int64_t tick_ms = 100;
  int64_t election_ticks = 10;
  double clock_drift = 0.01;
  int64_t cache_bytes = 256 << 20;
  int64_t memtable_bytes = 256 << 20;
  int64_t free_bytes_min = 256 << 20;
  int64_t appliers = 0;
  int64_t drain_s = 10;
  double hash_pass_h = 24;
  int64_t scrub_period_h = 24;
  std::string client_leases = "on";
  int64_t client_lease_term_ms = 2000;
  bool insecure = false;
};

void Define(OptionSet& options, Flags* flags) {
  constexpr int64_t kGiB = 1 << 30;
  options.Add({.name = "data",
               .help = "Directory that holds everything this node stores",
               .required = true},
              &flags->data);
  options.Add({.name = "listen", .help = "host:port to serve on"}, &flags->listen);
  options.Add({.name = "advertise",
               .help = "host:port by which others reach only this node; as --listen if not given"},
              &flags->advertise);
  options.Add(
      {.name = "admin-listen", .help = "host:port of the admin pages: /metrics, /healthz, /readyz"},
      &flags->admin_listen);
  options.Add({.name = "coordinators", .help = "host:port of each coordinator"},
              &flags->coordinators);
  options.Add({.name = "zone", .help = "Where this node is: replicas are spread over zones"},
              &flags->zone);
  options.Add({.name = "cluster", .help = "Refuse every cluster but this one; 0 takes any"}, 0,
              INT64_MAX, &flags->cluster);
  options.AddChoice({.name = "read-mode", .help = "How linearizable reads are confirmed"},
                    {"lease", "quorum"}, &flags->read_mode);
  options.Add({.name = "tick", .unit = "ms", .help = "Raft's unit of time"}, 10, 10000,
              &flags->tick_ms);
  options.Add({.name = "election-ticks",
               .help = "Ticks without a leader before an election; a lease lasts one less, "
                       "by the shortest of the nodes that confirm it"},
              5, 1000, &flags->election_ticks);
  options.Add({.name = "clock-drift",
               .help = "By how much two nodes' clocks may differ in rate, as a fraction"},
              0.0, 0.5, &flags->clock_drift);
  options.Add({.name = "cache", .unit = "bytes", .help = "Cache of stored blocks"}, 1 << 20,
              1024 * kGiB, &flags->cache_bytes);
  options.Add({.name = "memtables", .unit = "bytes", .help = "Memory for writes, all partitions"},
              16 << 20, 1024 * kGiB, &flags->memtable_bytes);
  options.Add({.name = "free-min", .unit = "bytes", .help = "Refuse writes with less disk free"}, 0,
              1024 * kGiB, &flags->free_bytes_min);
  options.Add({.name = "appliers",
               .help = "Threads that evaluate, apply and read; 0: one for every two cores"},
              0, 64, &flags->appliers);
  options.Add({.name = "drain", .unit = "s", .help = "Time to hand leaderships over at the end"}, 0,
              600, &flags->drain_s);
  options.Add({.name = "hash-pass",
               .unit = "h",
               .help = "Time in which replicas compare all that they hold; 0: never"},
              0.0, 24.0 * 365, &flags->hash_pass_h);
  options.Add({.name = "scrub-period",
               .unit = "h",
               .help = "Log and tables are read and checked once in such a time; 0: never"},
              0, 24 * 365, &flags->scrub_period_h);
  options.AddChoice({.name = "client-leases",
                     .help = "Lease items to clients that cache; never with --read-mode quorum"},
                    {"on", "off"}, &flags->client_leases);
  options.Add({.name = "client-lease-term",
               .unit = "ms",
               .help = "How long a write waits at most for a client that holds its item"},
              kClientLeaseTermMinMs, kClientLeaseTermMaxMs, &flags->client_lease_term_ms);
  options.Add({.name = "insecure", .help = "Listen beyond loopback without authentication and TLS"},
              &flags->insecure);
}

// More threads than cores make every node of a machine wait for the others' wake-ups: with three
// nodes on two cores one thread each takes a tenth less processor time a write than two.
int AppliersOf(const Flags& flags) {
  if (flags.appliers > 0) return static_cast<int>(flags.appliers);
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return 2;
  return std::clamp(CPU_COUNT(&cores) / 2, 1, 8);
}

NodeOptions MakeOptions(const Flags& flags) {
  NodeOptions options;
  options.data = flags.data;
  options.listen = flags.listen;
  options.advertise = flags.advertise.empty() ? flags.listen : flags.advertise;
  options.admin_address = ReachableAddress(flags.admin_listen, options.advertise);
  options.zone = flags.zone;
  options.versions = BuildVersions();
  options.formation = static_cast<uint64_t>(flags.cluster);
  options.agent.coordinators = flags.coordinators;
  options.runtime.appliers = AppliersOf(flags);
  options.runtime.openers = kOpeners;
  options.runtime.replica.tick_period = std::chrono::milliseconds(flags.tick_ms);
  options.runtime.replica.core.election_ticks = static_cast<uint32_t>(flags.election_ticks);
  options.runtime.replica.clock_drift_max = flags.clock_drift;
  options.runtime.replica.follower_gather = kFollowerGather;
  options.partition.quorum_reads = flags.read_mode == "quorum";
  options.partition.grants = flags.client_leases == "on";
  options.partition.lease.drift = flags.clock_drift;
  options.partition.lease.lease_term = std::chrono::milliseconds(flags.client_lease_term_ms);
  options.partition.hash_pass = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::ratio<3600>>(flags.hash_pass_h));
  options.scrub.period = std::chrono::hours(flags.scrub_period_h);
  options.block_cache_bytes = static_cast<uint64_t>(flags.cache_bytes);
  options.memtable_bytes = static_cast<uint64_t>(flags.memtable_bytes);
  options.runtime.log.sleep = BlockFor;
  options.free_bytes_min = static_cast<uint64_t>(flags.free_bytes_min);
  options.on_fatal = [](const absl::Status& why) {
    LogError("this process can't go on: ", why.ToString());
    const bool usage = absl::IsFailedPrecondition(why) || absl::IsUnavailable(why);
    // No destructor: nothing that would write may run any more.
    _exit(usage ? kExitUsage : kExitFatal);
  };
  return options;
}

// Signals are blocked in every thread and taken here.
void WaitForEnd(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) continue;
  LogInfo("signal ", signal, ": handing leaderships over");
}

int Serve(const Flags& flags, const OptionSet& set) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  LogInfo(BuildDescription(), ", ring-node\n", set.Describe());
  // Before the data is touched: a taken port stops the start and nothing else.
  auto admin = AdminServer::Start(flags.admin_listen, SystemClock());
  if (!admin.ok()) {
    LogError("ring-node can't start: ", admin.status().message());
    return kExitUsage;
  }
  const auto network = NewGrpcNetwork(GrpcNetworkOptions());
  auto node =
      Node::Start(MakeOptions(flags), {PosixFileSystem(), *network, SystemThreads(), SystemClock()},
                  Random(SystemEntropy()));
  if (!node.ok()) {
    LogError("ring-node can't start: ", node.status().message());
    return kExitUsage;
  }
  (*admin)->Attach((*node)->Admin());
  LogInfo("listens on ", flags.listen, " (port ", (*node)->port(), "), admin pages on port ",
          (*admin)->port());
  WaitForEnd(signals);
  Mutex mutex;
  Condition drained;
  bool done = false;
  (*node)->Drain(std::chrono::seconds(flags.drain_s), [&](size_t left) {
    if (left > 0) LogWarning(left, " partitions are still led here; they elect anew");
    MutexLock lock(mutex);
    done = true;
    drained.NotifyOne();
  });
  {
    MutexLock lock(mutex);
    while (!done) drained.Wait(lock);
  }
  *admin = nullptr;
  *node = nullptr;
  LogInfo("stopped");
  return 0;
}

int Main(int argc, char** argv) {
  RaiseOpenFilesLimit();
  Flags flags;
  OptionSet options("ring-node", "A storage node of a Ringleader cluster.");
  Define(options, &flags);
  ParseOrExit(options, argc, argv);
  if (flags.coordinators.empty()) {
    std::fprintf(stderr, "ring-node: --coordinators: at least one\n");
    return kExitUsage;
  }
  for (const auto& [option, address] :
       {std::pair("--listen", &flags.listen), std::pair("--admin-listen", &flags.admin_listen)}) {
    if (flags.insecure || IsLoopback(*address)) continue;
    std::fprintf(stderr,
                 "ring-node: %s %s is reachable by others, and there is neither "
                 "authentication nor TLS: say --insecure if that is what you want\n",
                 option, address->c_str());
    return kExitUsage;
  }
  const bool advertises = !flags.advertise.empty();
  if (const std::string& address = advertises ? flags.advertise : flags.listen;
      IsWildcard(address)) {
    std::fprintf(stderr,
                 "ring-node: %s %s is no address by which others reach this node: say --advertise "
                 "with a host name or an IP that only this machine has\n",
                 advertises ? "--advertise" : "--listen", address.c_str());
    return kExitUsage;
  }
  return Serve(flags, options);
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
