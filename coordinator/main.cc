// ring-coordinator: one of the 1, 3 or 5 processes that keep a cluster's metadata.
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/address.h"
#include "common/admin_server.h"
#include "common/build_info.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/file_system.h"
#include "common/grpc_network.h"
#include "common/logging.h"
#include "common/mutex.h"
#include "common/open_files.h"
#include "common/options.h"
#include "common/random.h"
#include "coordinator/coordinator.h"

namespace ringleader::coordinator {
namespace {

// A quarter of a node's: metadata changes seldom, and opening reads all of the log.
constexpr uint64_t kLogSegmentBytes = 8 << 20;
constexpr int kExitFatal = 1;
constexpr int kExitUsage = 2;         // also: a start that can't succeed as it is
constexpr int64_t kAdminPort = 9000;  // of coordinator 0

struct Settings {
  std::string data;
  int64_t id = 0;
  std::vector<std::string> coordinators = {"127.0.0.1:7000"};
  std::string listen;
  std::string admin_listen;
  std::string cluster = "ringleader";
  int64_t partitions = 64;
  int64_t replicas = 3;
  int64_t dead_after_s = 300;
  int64_t cache_bytes = 64 << 20;
  bool insecure = false;
};

void Define(OptionSet& options, Settings& settings) {
  options.Add({.name = "data",
               .help = "Directory that holds what this coordinator stores.",
               .required = true},
              &settings.data);
  options.Add({.name = "id", .help = "This coordinator's place in --coordinators, from 0."}, 0,
              static_cast<int64_t>(kCoordinatorsMax) - 1, &settings.id);
  options.Add({.name = "coordinators",
               .help = "Addresses of all coordinators, host:port, in the same order everywhere."},
              &settings.coordinators);
  options.Add({.name = "listen", .help = "Address to listen on; empty: its own in --coordinators."},
              &settings.listen);
  options.Add({.name = "admin-listen",
               .help = "Address of the admin pages: /metrics, /healthz, /readyz; empty: "
                       "127.0.0.1, port 9000 plus --id."},
              &settings.admin_listen);
  options.Add({.name = "cluster", .help = "The cluster's name; data of another one is refused."},
              &settings.cluster);
  options.Add({.name = "partitions",
               .help = "Partitions of a new cluster, a power of two; fixed when it is formed."},
              1, kPartitionsMax, &settings.partitions);
  options.Add({.name = "replicas",
               .help = "Replicas of each partition of a new cluster; fixed when it is formed."},
              1, kReplicasMax, &settings.replicas);
  options.Add({.name = "dead-after",
               .unit = "s",
               .help = "A node that is silent for so long has its replicas made anew elsewhere."},
              10, 86400, &settings.dead_after_s);
  options.Add({.name = "cache",
               .unit = "bytes",
               .help = "Memory for items that are often read through this coordinator; 0: none."},
              0, int64_t{1} << 40, &settings.cache_bytes);
  options.Add({.name = "insecure",
               .help = "Listen on other addresses than loopback without authentication or TLS."},
              &settings.insecure);
}

int Refuse(absl::string_view why) {
  std::fprintf(stderr, "ring-coordinator: %s\n", std::string(why).c_str());
  return kExitUsage;
}

CoordinatorOptions OptionsOf(const Settings& settings) {
  CoordinatorOptions options;
  options.cluster = settings.cluster;
  options.number = static_cast<uint64_t>(settings.id) + 1;
  options.addresses = settings.coordinators;
  options.listen = settings.listen;
  options.directory = settings.data;
  options.versions = BuildVersions();
  options.partitions = static_cast<uint32_t>(settings.partitions);
  options.replicas = static_cast<uint32_t>(settings.replicas);
  options.data.cache.bytes_max = static_cast<uint64_t>(settings.cache_bytes);
  options.runtime.log.sleep = BlockFor;
  options.runtime.log.segment_bytes = kLogSegmentBytes;
  options.runtime.log.log_bytes_target = 4 * kLogSegmentBytes;
  options.balancer.dead_after = std::chrono::seconds(settings.dead_after_s);
  // What is on disk is unknown: only a start from it can tell.
  options.on_fatal = [](const absl::Status& why) {
    std::quick_exit(absl::IsFailedPrecondition(why) ? kExitUsage : kExitFatal);
  };
  return options;
}

// Waits for the executor; main is not one of its tasks.
void HandOverAndWait(Coordinator& coordinator) {
  Mutex mutex;
  Condition changed;
  bool done = false;
  coordinator.HandOver([&] {
    MutexLock lock(mutex);
    done = true;
    changed.NotifyAll();
  });
  MutexLock lock(mutex);
  while (!done) changed.Wait(lock);
}

int Serve(const Settings& settings, const OptionSet& set, const std::string& listen,
          const std::string& admin_listen, const sigset_t& signals) {
  LogInfo(BuildDescription(), ", ring-coordinator");
  LogInfo("options:\n", set.Describe());
  // Before the data is touched: a taken port stops the start and nothing else.
  auto admin = AdminServer::Start(admin_listen, SystemClock());
  if (!admin.ok()) return Refuse(admin.status().message());
  const auto network = NewGrpcNetwork({});
  auto coordinator = Coordinator::Start(
      OptionsOf(settings), {PosixFileSystem(), *network, SystemThreads(), SystemClock()},
      Random(SystemEntropy()));
  if (!coordinator.ok()) return Refuse(coordinator.status().message());
  (*admin)->Attach((*coordinator)->Admin());
  LogInfo("listening on ", listen, ", admin pages on ", admin_listen);
  int signal = 0;
  CHECK_EQ(sigwait(&signals, &signal), 0);
  LogInfo("signal ", signal, ": handing over and stopping");
  HandOverAndWait(**coordinator);
  *admin = nullptr;
  coordinator->reset();
  return 0;
}

int Main(int argc, char** argv) {
  RaiseOpenFilesLimit();
  // Before any thread exists, so that all leave the signals to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Settings settings;
  OptionSet options("ring-coordinator",
                    "Keeps a Ringleader cluster's metadata and places its data.");
  Define(options, settings);
  ParseOrExit(options, argc, argv);
  if (static_cast<size_t>(settings.id) >= settings.coordinators.size()) {
    return Refuse(absl::StrCat("--id ", settings.id, " is out of range: --coordinators lists ",
                               settings.coordinators.size()));
  }
  const std::string listen = settings.listen.empty()
                                 ? settings.coordinators[static_cast<size_t>(settings.id)]
                                 : settings.listen;
  const std::string admin_listen = settings.admin_listen.empty()
                                       ? absl::StrCat("127.0.0.1:", kAdminPort + settings.id)
                                       : settings.admin_listen;
  for (const std::string& address : {listen, admin_listen}) {
    if (IsLoopback(address) || settings.insecure) continue;
    return Refuse(absl::StrCat(address,
                               " is not a loopback address: without authentication and TLS "
                               "anybody who reaches it rules the cluster. --insecure allows it."));
  }
  return Serve(settings, options, listen, admin_listen, signals);
}

}  // namespace
}  // namespace ringleader::coordinator

int main(int argc, char** argv) { return ringleader::coordinator::Main(argc, argv); }
