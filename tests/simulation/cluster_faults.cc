#include "tests/simulation/cluster_faults.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"

namespace ringleader::simulation {
namespace {

namespace meta = ::ringleader::coordinator::v1;

constexpr uint64_t kSyncCutsMin = 5;  // the weight of power cuts in runs that cut syncs
// A coordinator decides several times in as long.
constexpr Duration kOrderSentWithin = std::chrono::milliseconds(500);
constexpr Duration kOrderLateMax = std::chrono::seconds(4);

}  // namespace

ClusterFaults::ClusterFaults(ClusterWorld& world, PassingTable& passing, const FaultPace& pace)
    : world_(world), passing_(passing), pace_(pace), random_(world.simulation().random().Fork()) {
  weights_ = DrawWeights(random_, static_cast<size_t>(Kind::kKinds));
  // Entries are in doubt where power fails between a write of the log and its sync. With another
  // voter's log lost they may stay so (fault-model.md, "What is not promised").
  cuts_syncs_ = random_.Chance(0.4);
  if (!cuts_syncs_) return;
  uint64_t& cuts = weights_[static_cast<size_t>(Kind::kPowerInOperation)];
  cuts = std::max(cuts, kSyncCutsMin);
  for (const Kind loss : {Kind::kWipe, Kind::kDamage, Kind::kMisdirect}) {
    weights_[static_cast<size_t>(loss)] = 0;
  }
}

void ClusterFaults::RunFor(Duration span) {
  const Duration end = world_.simulation().now() + span;
  while (world_.simulation().now() < end && world_.violation().empty()) {
    world_.simulation().RunFor(Some(pace_.every_max));
    Inject(static_cast<Kind>(DrawKind(random_, weights_)));
  }
}

void ClusterFaults::Count(const std::string& what) {
  LogInfo("fault: ", what);
  ++counts_[what];
}

HostId ClusterFaults::Random(MachineKind kind) {
  std::vector<HostId> up;
  for (const HostId host : world_.Hosts(kind)) {
    if (world_.machine(host).up()) up.push_back(host);
  }
  return up.empty() ? 0 : up[random_.Below(up.size())];
}

// Nodes hold the data and are many: they are hit more often.
HostId ClusterFaults::RandomServer() {
  return Random(random_.Chance(0.7) ? MachineKind::kNode : MachineKind::kCoordinator);
}

// 0: none runs. The last client administers and stays.
HostId ClusterFaults::RandomClient() {
  std::vector<HostId> up;
  for (const HostId host : world_.Hosts(MachineKind::kClient)) {
    const auto number = static_cast<int>(world_.machine(host).number);
    if (number <= world_.options().clients && world_.machine(host).up()) up.push_back(host);
  }
  return up.empty() ? 0 : up[random_.Below(up.size())];
}

HostId ClusterFaults::RandomAny() {
  const HostId client = random_.Chance(0.3) ? RandomClient() : 0;
  return client != 0 ? client : RandomServer();
}

void ClusterFaults::Inject(Kind kind) {
  const HostId host = RandomServer();
  if (host == 0) return;
  switch (kind) {
    case Kind::kKill:
      return Down(host, /*power=*/false);
    case Kind::kPower:
      return Down(host, /*power=*/true);
    case Kind::kPowerAll:
      return PowerAll();
    case Kind::kPause:
      return PauseOne();
    case Kind::kPartition:
      return Partition();
    case Kind::kIsolateLeader:
      return IsolateLeader();
    case Kind::kWeather:
      return Weather();
    case Kind::kDiskError:
      return DiskError(host);
    case Kind::kDiskFull:
      return FillDisk(host);
    case Kind::kSlowDisk:
      return SlowDisk(host);
    case Kind::kPowerInOperation:
      return PowerInOperation(host);
    case Kind::kDamage:
      return Damage();
    case Kind::kMisdirect:
      return Misdirect();
    case Kind::kWipe:
      return WipeOne();
    case Kind::kClock:
      return JumpClock(host);
    case Kind::kClockStep:
      return StepClock();
    case Kind::kClientKill:
      return KillClient();
    case Kind::kTransfer:
      return TransferLeader();
    case Kind::kMove:
      return MovePartition();
    case Kind::kDrain:
      return DrainOne();
    case Kind::kJoin:
      return Join();
    case Kind::kFlush:
      return FlushOne();
    case Kind::kLeases:
      return StrikeLeases();
    case Kind::kSlowLink:
      return SlowOneLink();
    case Kind::kStopLeader:
      return StopLeader(1 + random_.Below(world_.options().partitions));
    case Kind::kTable:
      return passing_.Change();
    case Kind::kKinds:
      break;
  }
  CHECK(false) << "no kind of fault";
}

// --- Processes, clocks and disks ----------------------------------------------------------------

void ClusterFaults::PauseOne() {
  const HostId host = RandomAny();
  if (host == 0) return;
  Count(world_.machine(host).kind == MachineKind::kClient ? "pause of a client" : "pause");
  world_.Pause(host);
  world_.simulation().At(Some(pace_.lasts_max), [this, host] { world_.Resume(host); });
}

void ClusterFaults::KillClient() {
  const HostId client = RandomClient();
  if (client == 0) return;
  Count("kill of a client");
  world_.Kill(client);
  world_.StartLater(client, Some(pace_.lasts_max));
}

void ClusterFaults::JumpClock(HostId host) {
  Count("clock jump");
  SimulatedClock& clock = *world_.machine(host).clock;
  clock.JumpWall(Duration(random_.Between(-3'600'000'000'000, 3'600'000'000'000)));
  clock.JumpBoot(Some(pace_.lasts_max));
}

void ClusterFaults::StepClock() {
  const HostId host = RandomAny();
  if (host != 0 && world_.StepClock(host)) Count("step of both clocks");
}

void ClusterFaults::FillDisk(HostId host) {
  Count("full disk");
  SimulatedFileSystem& disk = *world_.machine(host).disk;
  const bool is_full_to_the_last = random_.Chance(0.25);
  disk.SetCapacity(disk.UsedBytes() + (is_full_to_the_last ? 0 : random_.Below(100'000)));
  // What is written to the log has its space already: it is the tables that find none.
  if (is_full_to_the_last) Flush(host);
  // The disk may be another one by then: one that was replaced has room.
  const Duration lasts = Some(pace_.lasts_max);
  world_.simulation().At(lasts,
                         [this, host] { world_.machine(host).disk->SetCapacity(UINT64_MAX); });
  if (!random_.Chance(0.5)) return;
  // There is some room before: for a table, or for its opening only.
  world_.simulation().At(lasts / 2, [this, host, some = random_.Below(2'000'000)] {
    if (is_healed_) return;
    SimulatedFileSystem& by_then = *world_.machine(host).disk;
    by_then.SetCapacity(by_then.UsedBytes() + some);
  });
}

void ClusterFaults::SlowDisk(HostId host) {
  Count("slow disk");
  world_.SlowDisk(host,
                  DrawDuration(random_, std::chrono::milliseconds(20), std::chrono::seconds(5)));
  world_.simulation().At(Some(pace_.lasts_max),
                         [this, host] { world_.SlowDisk(host, world_.options().sync_time_max); });
}

void ClusterFaults::PowerInOperation(HostId host) {
  SimulatedFileSystem& disk = *world_.machine(host).disk;
  if (cuts_syncs_ && random_.Chance(0.7)) {
    Count("power cut at a sync of the log");
    return disk.CrashAtSync(".segment");
  }
  // A memtable has become a table, and what was written since is in memory only.
  if (random_.Chance(0.5)) {
    Count("power cut at the next sync of a manifest");
    return disk.CrashAtSync("/MANIFEST");
  }
  Count("power cut in a disk operation");
  disk.CrashAfter(random_.Below(500));
}

void ClusterFaults::Down(HostId host, bool power) {
  Count(power ? "power cut" : "kill");
  power ? world_.CutPower(host) : world_.Kill(host);
  world_.StartLater(host, Some(pace_.lasts_max));
}

void ClusterFaults::PowerAll() {
  Count("power cut of all");
  for (const MachineKind kind : {MachineKind::kCoordinator, MachineKind::kNode}) {
    for (const HostId host : world_.Hosts(kind)) {
      if (world_.machine(host).up()) Down(host, /*power=*/true);
    }
  }
}

// Memtables become tables and logs are cut, as they would in time: peers then need snapshots.
void ClusterFaults::FlushOne() {
  const HostId node = Random(MachineKind::kNode);
  if (node == 0 || world_.machine(node).runtime() == nullptr) return;
  Count("flush and compaction");
  Flush(node);
}

void ClusterFaults::Flush(HostId host) {
  const auto* const runtime = world_.machine(host).runtime();
  if (runtime == nullptr) return;
  for (const auto& replica : runtime->Replicas()) replica->FlushAndCompact();
}

void ClusterFaults::DiskError(HostId host) {
  using Operation = SimulatedFileSystem::Operation;
  const std::pair<Operation, const char*> kinds[] = {{Operation::kSync, "failed sync"},
                                                     {Operation::kWrite, "failed write"},
                                                     {Operation::kRead, "failed read"},
                                                     {Operation::kAllocate, "failed allocation"},
                                                     {Operation::kNames, "failed name change"}};
  const auto& [operation, what] = kinds[random_.Below(std::size(kinds))];
  Count(what);
  const char* const parts[] = {"", "/log/", "/groups/", "MANIFEST", ".ldb"};
  SimulatedFileSystem& disk = *world_.machine(host).disk;
  // What can't be read is as good as lost, where it lasts.
  if (operation == Operation::kRead) world_.machine(host).harmed = true;
  if (operation == Operation::kRead && random_.Chance(0.5)) {
    // As a device says it; a log that asks again gets an answer.
    disk.InjectError(operation, "/log/", random_.Below(20), 1 + random_.Below(2),
                     absl::DataLossError(absl::StrCat("injected: ", what)));
    return;
  }
  disk.InjectError(operation, parts[random_.Below(std::size(parts))], random_.Below(20),
                   1 + random_.Below(3), absl::InternalError(absl::StrCat("injected: ", what)));
}

bool ClusterFaults::MayDamage(HostId host) {
  const MachineKind kind = world_.machine(host).kind;
  if (kind == MachineKind::kCoordinator && world_.options().coordinators < 3) return false;
  if (kind == MachineKind::kNode && world_.options().replicas < 3) return false;
  // A new disk makes another node of it, which may be given replicas of the same groups: harmed
  // again before the old ones are replaced, it would be two of their members.
  if (world_.machine(host).wiped || !world_.OthersAreWhole(host)) return false;
  if (damaged_.contains(host)) return true;
  const auto others = std::count_if(damaged_.begin(), damaged_.end(),
                                    [&](HostId each) { return world_.machine(each).kind == kind; });
  const int minority =
      kind == MachineKind::kCoordinator ? (world_.options().coordinators - 1) / 2 : 1;
  return others < minority;
}

// Bits flip and blocks go bad in the files of one machine: while its process is down, or in the log
// that it writes.
void ClusterFaults::Damage() {
  const HostId host = RandomServer();
  if (host == 0 || !MayDamage(host)) return;
  damaged_.insert(host);
  const bool in_log = random_.Chance(0.5);
  const bool runs_on = in_log && random_.Chance(0.4);
  if (!runs_on) world_.Kill(host);
  ClusterMachine& machine = world_.machine(host);
  machine.may_be_emptied = machine.harmed = true;
  std::vector<std::string> files;
  for (const std::string& file : machine.disk->Files()) {
    const bool wanted =
        in_log ? absl::StrContains(file, "/log/") : absl::StrContains(file, "/groups/");
    if (wanted && !machine.disk->Content(file).empty()) files.push_back(file);
  }
  const uint64_t times = 1 + random_.Below(3);
  for (uint64_t i = 0; i < times && !files.empty(); ++i) {
    const std::string& file = files[random_.Below(files.size())];
    const uint64_t bytes = machine.disk->Content(file).size();
    Count(runs_on  ? "damage in the log that is written"
          : in_log ? "damage in the log"
                   : "damage in a replica's files");
    if (random_.Chance(0.5)) {
      machine.disk->FlipBit(file, random_.Below(8 * bytes));
    } else {
      machine.disk->DamageBlock(file, random_.Below(bytes) / SimulatedFileSystem::kBlockBytes,
                                static_cast<SimulatedFileSystem::BadBlock>(random_.Below(3)));
    }
  }
  if (!runs_on) world_.StartLater(host, Some(pace_.lasts_max));
}

// A write of a running process lands elsewhere in its file. Some of the processes are started again
// soon, while it is the last thing that their log was told.
void ClusterFaults::Misdirect() {
  const HostId host = RandomServer();
  if (host == 0 || !MayDamage(host)) return;
  damaged_.insert(host);
  ClusterMachine& machine = world_.machine(host);
  machine.may_be_emptied = machine.harmed = true;
  const char* const parts[] = {"/log/", "/log/", ".ldb", "MANIFEST"};
  const int64_t blocks = random_.Between(1, 6);
  machine.disk->MisdirectNextWrite(parts[random_.Below(std::size(parts))],
                                   random_.Chance(0.5) ? blocks : -blocks);
  Count("misdirection of a write");
  if (!random_.Chance(0.5)) return;
  world_.simulation().At(Some(pace_.lasts_max), [this, host] {
    if (is_healed_ || !world_.machine(host).up()) return;
    world_.Kill(host);
    world_.StartLater(host, Some(pace_.lasts_max));
  });
}

void ClusterFaults::WipeOne() {
  const HostId host = RandomServer();
  if (host == 0 || !MayDamage(host)) return;
  damaged_.insert(host);
  Count(world_.machine(host).kind == MachineKind::kNode ? "wiped node" : "wiped coordinator");
  world_.Wipe(host);
  world_.StartLater(host, Some(pace_.lasts_max));
}

// --- Network ------------------------------------------------------------------------------------

void ClusterFaults::Block(const std::vector<std::pair<HostId, HostId>>& links, Duration span) {
  for (const auto& [from, to] : links) world_.network().Block(from, to);
  world_.simulation().At(span, [this, links] {
    for (const auto& [from, to] : links) world_.network().Unblock(from, to);
  });
}

void ClusterFaults::Partition() {
  std::vector<HostId> all = world_.Hosts(MachineKind::kCoordinator);
  for (const HostId node : world_.Hosts(MachineKind::kNode)) all.push_back(node);
  const bool with_clients = random_.Chance(0.3);
  if (with_clients) {
    for (const HostId host : world_.Hosts(MachineKind::kClient)) all.push_back(host);
  }
  const HostId victim = all[random_.Below(all.size())];
  const uint64_t shape = random_.Below(5);
  std::map<HostId, bool> side;
  for (const HostId host : all) side[host] = random_.Chance(0.5);
  std::vector<std::pair<HostId, HostId>> links;
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < all.size(); ++j) {
      if (i == j) continue;
      const HostId from = all[i], to = all[j];
      const size_t apart = i > j ? i - j : j - i;
      const bool neighbours = apart == 1 || apart == all.size() - 1;
      const bool cut = shape == 0   ? (from == victim) != (to == victim)
                       : shape == 1 ? from == victim
                       : shape == 2 ? to == victim
                       : shape == 3 ? side[from] != side[to]
                                    : !neighbours;
      if (cut) links.push_back({from, to});
    }
  }
  const char* const names[] = {"around one", "from one", "to one", "in two parts", "to a ring"};
  Count(absl::StrCat("partition ", names[shape]));
  Block(links, Some(pace_.lasts_max));
}

// Whoever leads something is cut off from its peers, or what it says, or what it hears. Its clients
// are not.
void ClusterFaults::IsolateLeader() {
  const auto partitions = world_.Partitions();
  HostId leader = world_.MetadataLeader();
  if (!partitions.empty() && random_.Chance(0.7)) {
    leader = world_.LeaderOf(1 + random_.Below(partitions.size()));
  }
  if (leader == 0) return;
  const uint64_t shape = random_.Below(4);
  const bool says_nothing = shape != 0, hears_nothing = shape != 1;
  Count(!says_nothing ? "deaf leader" : !hears_nothing ? "mute leader" : "isolated leader");
  std::vector<std::pair<HostId, HostId>> links;
  for (const HostId peer : world_.Hosts(world_.machine(leader).kind)) {
    if (peer == leader) continue;
    if (says_nothing) links.push_back({leader, peer});
    if (hears_nothing) links.push_back({peer, leader});
  }
  if (random_.Chance(0.4)) ShutIn(leader, links);
  Block(links, Some(pace_.lasts_max));
}

// Some clients reach no other server than this one.
void ClusterFaults::ShutIn(HostId server, std::vector<std::pair<HostId, HostId>>& links) {
  for (const HostId client : world_.Hosts(MachineKind::kClient)) {
    const bool administers =
        static_cast<int>(world_.machine(client).number) > world_.options().clients;
    if (administers || !random_.Chance(0.5)) continue;
    Count("client shut in with a leader");
    for (const MachineKind kind : {MachineKind::kCoordinator, MachineKind::kNode}) {
      for (const HostId other : world_.Hosts(kind)) {
        if (other == server) continue;
        links.push_back({client, other});
        links.push_back({other, client});
      }
    }
  }
}

// Requests, orders and answers that arrive when nobody waits for them any more.
void ClusterFaults::SlowOneLink() {
  const HostId from = RandomAny(), to = RandomAny();
  if (from == 0 || to == 0 || from == to) return;
  Count("slow link");
  world_.network().SlowLink(
      from, to, DrawDuration(random_, std::chrono::milliseconds(20), std::chrono::seconds(4)));
  After(Some(pace_.lasts_max),
        [this, from, to] { world_.network().SlowLink(from, to, Duration(0)); });
}

void ClusterFaults::Weather() {
  Count("network weather");
  world_.network().SetFaults(DrawWeather(random_));
}

// --- Administration -----------------------------------------------------------------------------

void ClusterFaults::TransferLeader() {
  const auto partitions = world_.Partitions();
  if (partitions.empty()) return;
  auto chosen = partitions.begin();
  std::advance(chosen, static_cast<int64_t>(random_.Below(partitions.size())));
  const auto& replicas = chosen->second.partition().replicas();
  if (replicas.empty()) return;
  Count("transfer");
  meta::TransferRequest request;
  request.set_partition(chosen->first);
  request.set_to_node(
      replicas[static_cast<int>(random_.Below(static_cast<uint64_t>(replicas.size())))].node());
  world_.administration()
      .Administer<meta::AdminResponse>("TransferPartition", request)
      .IgnoreError();
}

void ClusterFaults::MovePartition() {
  const auto partitions = world_.Partitions();
  if (partitions.empty()) return;
  auto chosen = partitions.begin();
  std::advance(chosen, static_cast<int64_t>(random_.Below(partitions.size())));
  const auto& wish = chosen->second.wish();
  const HostId to = Random(MachineKind::kNode);
  if (wish.empty() || to == 0 || world_.machine(to).runtime() == nullptr) return;
  Count("move ordered");
  const uint64_t node = world_.machine(to).number;
  const bool is_there = std::any_of(wish.begin(), wish.end(), [node](const meta::Replica& replica) {
    return replica.node() == node;
  });
  const bool gives_up = !is_there && random_.Chance(0.5);
  if (gives_up) SlowOrders(chosen->first);
  meta::MovePartitionRequest request;
  request.set_partition(chosen->first);
  request.set_from_node(
      wish[static_cast<int>(random_.Below(static_cast<uint64_t>(wish.size())))].node());
  request.set_to_node(node);
  world_.administration().Administer<meta::AdminResponse>("MovePartition", request).IgnoreError();
  if (!gives_up) return;
  world_.simulation().RunFor(Some(kOrderSentWithin));
  Drain(node, /*back=*/false);
  if (random_.Chance(0.3)) return;
  world_.simulation().RunFor(Some(pace_.every_max) + kOrderSentWithin);
  Drain(node, /*back=*/true);
}

// What a partition's leader is ordered to do comes late: perhaps when nobody wants it any more.
void ClusterFaults::SlowOrders(uint64_t partition) {
  const HostId from = world_.MetadataLeader(), to = world_.LeaderOf(partition);
  if (from == 0 || to == 0) return;
  Count("slow link to who is given orders");
  world_.network().SlowLink(from, to, Duration(random_.Between(1, kOrderLateMax.count())));
  After(2 * kOrderSentWithin,
        [this, from, to] { world_.network().SlowLink(from, to, Duration(0)); });
}

void ClusterFaults::DrainOne() {
  const uint64_t node = 1 + random_.Below(static_cast<uint64_t>(world_.options().nodes));
  Drain(node, /*back=*/random_.Chance(0.5));
}

void ClusterFaults::Drain(uint64_t node, bool back) {
  Count(back ? "node undrained" : "node drained");
  meta::NodeRequest request;
  request.set_node(node);
  world_.administration()
      .Administer<meta::AdminResponse>(back ? "UndrainNode" : "DrainNode", request)
      .IgnoreError();
}

void ClusterFaults::Join() {
  for (const HostId host : world_.Hosts(MachineKind::kNode)) {
    if (world_.machine(host).starts > 0) continue;
    Count("node joined");
    return world_.StartLater(host, Duration(1));
  }
}

void ClusterFaults::Heal() {
  is_healed_ = true;
  LogInfo("faults are over");
  world_.network().UnblockAll();
  world_.network().MendLinks();
  world_.network().SetFaults({});
  for (const MachineKind kind :
       {MachineKind::kCoordinator, MachineKind::kNode, MachineKind::kClient}) {
    for (const HostId host : world_.Hosts(kind)) {
      ClusterMachine& machine = world_.machine(host);
      machine.disk->CrashNoMore();
      machine.disk->MisdirectNoWrite();
      machine.disk->SetCapacity(UINT64_MAX);
      machine.disk->InjectError(SimulatedFileSystem::Operation::kSync, "", 0, 0,
                                absl::InternalError("none any more"));
      world_.SlowDisk(host, world_.options().sync_time_max);
      if (machine.starts == 0) continue;  // has not joined
      if (!machine.up()) world_.StartLater(host, Duration(1));
      world_.Resume(host);
    }
  }
  // Ids are never reused: those of wiped disks are among them, and nobody minds.
  for (uint64_t node = 1; node <= static_cast<uint64_t>(world_.options().nodes_max) + 8; ++node) {
    if (!Undrain(node)) break;
  }
}

void ClusterFaults::UndrainLate() {
  for (const uint64_t node : world_.DrainingNodes()) Undrain(node);
}

void ClusterFaults::EmptyLostCoordinators() {
  for (const HostId host : world_.Hosts(MachineKind::kCoordinator)) {
    const ClusterMachine& machine = world_.machine(host);
    if (!machine.may_be_emptied || machine.runtime() == nullptr) continue;
    const auto damaged = machine.runtime()->damaged();
    const auto is_lost = [](const auto& group) { return absl::IsDataLoss(group.second); };
    if (std::none_of(damaged.begin(), damaged.end(), is_lost)) continue;
    Count("lost coordinator emptied");
    world_.Wipe(host);
    world_.StartLater(host, Duration(1));
  }
}

// False: there is no such node. Coordinators that start just now are asked again.
bool ClusterFaults::Undrain(uint64_t node) {
  meta::NodeRequest request;
  request.set_node(node);
  absl::Status undrained;
  for (int tries = 0; tries < 20; ++tries) {
    undrained =
        world_.administration().Administer<meta::AdminResponse>("UndrainNode", request).status();
    const ErrorKind kind = KindOf(undrained);
    if (kind == ErrorKind::kNotFound) return false;
    // Any other answer: it was not draining.
    if (kind != ErrorKind::kUnavailable && kind != ErrorKind::kDeadline &&
        kind != ErrorKind::kUnknownOutcome) {
      return true;
    }
    world_.simulation().RunFor(std::chrono::seconds(1));
  }
  world_.Violation(absl::StrCat("node ", node, " can't be undrained: ", undrained.ToString()));
  return false;
}

}  // namespace ringleader::simulation
