#include "tests/simulation/cluster_world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/admin.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/status.h"
#include "node/data_service.h"
#include "tests/simulation/cluster_counts.h"

namespace ringleader::simulation {
namespace {

using coordinator::Coordinator;
using coordinator::CoordinatorOptions;

constexpr absl::string_view kDataDirectory = "/data";
constexpr absl::string_view kLogThread = "log";
constexpr Duration kWatchPeriod = std::chrono::milliseconds(1);
constexpr uint64_t kObserveEvery = 20;  // watch periods
constexpr Duration kSupervisorDelayMax = std::chrono::seconds(6);
constexpr Duration kRestartAfter = std::chrono::milliseconds(500);
constexpr HostId kObserverHost = 999;
// Longer than any lease: no two steps of a clock fall into one.
constexpr Duration kClockStepsApart = std::chrono::seconds(12);
constexpr Duration kAdministrationMin = std::chrono::seconds(5);

std::string Text(const std::vector<replication::Member>& members) {
  return absl::StrJoin(members, " ", [](std::string* out, const replication::Member& member) {
    absl::StrAppend(out, member.replica, "@", member.node);
  });
}

}  // namespace

std::string MembersText(const replication::Configuration& members) {
  return absl::StrCat("[", Text(members.voters), "] before [", Text(members.outgoing),
                      "] learners [", Text(members.learners), "] version ", members.version);
}

ClusterWorld::ClusterWorld(Simulation& simulation, const ClusterOptions& options)
    : simulation_(simulation),
      waits_(simulation),
      options_(options),
      random_(simulation.random().Fork()),
      network_(simulation),
      gate_([this] { return CachingProcesses(); },
            [this](const std::string& what) { GateViolation(what); }),
      invariants_(simulation, [this](const std::string& what) { Violation(what); }) {
  // A snapshot is one ordered stream, which breaks or arrives. What Raft sends may be lost and sent
  // again, and connections that follow each other may overtake.
  for (const auto lane : {replication::Lane::kControl, replication::Lane::kAppend}) {
    network_.AddLossyMethods(replication::LaneMethod(lane));
  }
  const auto add = [this](MachineKind kind, int count) {
    for (int i = 1; i <= count; ++i) AddMachine(kind, static_cast<uint64_t>(i));
  };
  add(MachineKind::kCoordinator, options.coordinators);
  add(MachineKind::kNode, options.nodes_max);
  add(MachineKind::kClient, options.clients + 1);  // the last one administers
  for (const HostId host : Hosts(MachineKind::kCoordinator)) {
    coordinator_addresses_.push_back(machine(host).address);
  }
  observer_ = network_.NewEndpoint(kObserverHost, nullptr);
}

ClusterWorld::~ClusterWorld() {
  client_killed_ = nullptr;
  invalidated_ = nullptr;
  for (const HostId host : Hosts(MachineKind::kClient)) Kill(host);
  for (const auto& [host, machine] : machines_) Kill(host);
}

void ClusterWorld::AddMachine(MachineKind kind, uint64_t number) {
  auto machine = std::make_unique<ClusterMachine>();
  machine->kind = kind;
  machine->number = number;
  switch (kind) {
    case MachineKind::kCoordinator:
      machine->host = number;
      machine->address = absl::StrCat("coordinator-", number, ":7000");
      break;
    case MachineKind::kNode:
      machine->host = kNodeHosts + number;
      machine->address = absl::StrCat("node-", number, ":7100");
      break;
    case MachineKind::kClient:
      machine->host = kClientHosts + number;
      break;
  }
  machine->disk = std::make_unique<SimulatedFileSystem>(random_.Next());
  const double spread = options_.clock_rate_spread * (2 * random_.Fraction() - 1);
  machine->clock = std::make_unique<SimulatedClock>(simulation_, 1 + spread);
  machine->sync_time_max = options_.sync_time_max;
  machines_[machine->host] = std::move(machine);
}

void ClusterWorld::Create() {
  for (const auto& [host, machine] : machines_) {
    if (machine->kind == MachineKind::kNode &&
        machine->number > static_cast<uint64_t>(options_.nodes)) {
      continue;
    }
    Start(host);
  }
  simulation_.At(kWatchPeriod, [this] { Watch(); });
}

// --- Processes ----------------------------------------------------------------------------------

void ClusterWorld::Start(HostId host) {
  ClusterMachine& machine = this->machine(host);
  CHECK(!machine.up());
  ++machine.starts;
  machine.failed = false;
  machine.threads = std::make_unique<SimulatedThreads>(simulation_, options_.task_time_max,
                                                       absl::StrCat("host ", host));
  machine.threads->Slow(kLogThread, machine.sync_time_max);
  const ProcessScope process(simulation_, machine.threads.get());
  if (machine.kind == MachineKind::kClient) return StartClient(machine);
  machine.network =
      network_.NewEndpoint(host, [threads = machine.threads.get()] { return threads->paused(); });
  machine.refused =
      machine.kind == MachineKind::kNode ? StartNode(machine) : StartCoordinator(machine);
  if (machine.refused.ok()) return;
  simulation_.Trace(machine.refused.ToString());
  Kill(host);
}

absl::Status ClusterWorld::StartNode(ClusterMachine& machine) {
  NodeOptions options = options_.node;
  options.data = std::string(kDataDirectory);
  options.listen = machine.address;
  options.advertise = machine.address;
  options.zone = absl::StrCat("zone-", machine.number % static_cast<uint64_t>(options_.zones));
  options.agent.coordinators = coordinator_addresses_;
  options.runtime.log.entropy = random_.Next() | 1;
  options.partition.lease.lease_term =
      options_.lease_terms[(machine.number + machine.starts) % options_.lease_terms.size()];
  options.partition.before_apply = [this](replication::GroupId partition,
                                          absl::Span<const replication::Entry> entries) {
    invariants_.Applying(partition, entries);
    gate_.Applying(partition, entries);
  };
  // As in production nothing of the process runs after this but the task that said it.
  options.on_fatal = [&machine](const absl::Status& why) {
    machine.failed = true;
    machine.refused = why;
    machine.threads->Pause();
  };
  ASSIGN_OR_RETURN(
      machine.node,
      Node::Start(options, {*machine.disk, *machine.network, *machine.threads, *machine.clock},
                  random_.Fork()));
  return absl::OkStatus();
}

absl::Status ClusterWorld::StartCoordinator(ClusterMachine& machine) {
  CoordinatorOptions options;
  options.number = machine.number;
  options.addresses = coordinator_addresses_;
  options.directory = std::string(kDataDirectory);
  options.partitions = options_.partitions;
  options.replicas = options_.replicas;
  options.balancer = options_.balancer;
  options.runtime = options_.coordinator_runtime;
  options.data.cache.bytes_max = options_.door_cache_bytes;
  options.on_fatal = [&machine](const absl::Status& why) {
    machine.failed = true;
    machine.refused = why;
    machine.threads->Pause();
  };
  ASSIGN_OR_RETURN(machine.coordinator,
                   Coordinator::Start(
                       options, {*machine.disk, *machine.network, *machine.threads, *machine.clock},
                       random_.Fork()));
  return absl::OkStatus();
}

void ClusterWorld::StartClient(ClusterMachine& machine) {
  ClientOptions options;
  options.coordinators = coordinator_addresses_;
  options.route = options_.routes[machine.number % options_.routes.size()];
  options.cache.bytes_max = options_.cache_bytes[machine.number % options_.cache_bytes.size()];
  if (options_.watches) {
    options.cache.on_invalidated = [this, client = static_cast<int>(machine.number) - 1](
                                       absl::string_view table, const Item& key) {
      if (invalidated_ != nullptr) invalidated_(client, table, key);
    };
  }
  // Who administers has the time that it takes.
  const bool is_load = machine.number <= static_cast<uint64_t>(options_.clients);
  options.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      is_load ? options_.request_timeout : std::max(options_.request_timeout, kAdministrationMin));
  auto network = network_.NewEndpoint(
      machine.host, [threads = machine.threads.get()] { return threads->paused(); });
  client::RouterOptions router = client::RouterOptionsOf(options);
  router.attempt_timeout = options_.attempt_timeout;
  machine.connection = std::make_unique<client::Connection>(
      router, std::move(network), *machine.threads, *machine.clock, random_.Fork(), options.cache);
}

void ClusterWorld::Kill(HostId host) {
  ClusterMachine& machine = this->machine(host);
  if (machine.kind == MachineKind::kClient) return KillClient(machine);
  TallyProcess(machine, happened_);
  {
    const ProcessScope process(simulation_, machine.threads.get());
    machine.node = nullptr;
    machine.coordinator = nullptr;
    machine.network = nullptr;
  }
  machine.threads = nullptr;
  machine.disk->RestartProcess();
}

// The library's objects end as they do, which takes time. Of a process that was killed nobody hears
// of it; one that closes its client gives back what it holds.
void ClusterWorld::KillClient(ClusterMachine& machine) {
  if (!machine.up()) return;
  if (random_.Chance(0.5)) network_.Silence(machine.host);
  machine.ending = true;
  TallyProcess(machine, happened_);
  std::unique_ptr<client::Connection> ending = std::move(machine.connection);
  if (client_killed_ != nullptr) client_killed_(static_cast<int>(machine.number) - 1);
  machine.threads->Resume();
  ending = nullptr;
  machine.threads = nullptr;
  machine.ending = false;
}

void ClusterWorld::CutPower(HostId host) {
  machine(host).disk->CrashNow();
  Kill(host);
  machine(host).disk->Restart();
  machine(host).clock->Reboot();
}

void ClusterWorld::Wipe(HostId host) {
  Kill(host);
  MembersOf(host).Forget(host);
  happened_["misdirected write"] += machine(host).disk->misdirected_writes();
  machine(host).disk = std::make_unique<SimulatedFileSystem>(random_.Next());
  machine(host).refused = absl::OkStatus();
  machine(host).wiped = machine(host).harmed = true;
}

void ClusterWorld::SlowDisk(HostId host, Duration sync_time_max) {
  machine(host).sync_time_max = sync_time_max;
  if (machine(host).up()) machine(host).threads->Slow(kLogThread, sync_time_max);
}

bool ClusterWorld::StepClock(HostId host) {
  ClusterMachine& stepped = machine(host);
  if (options_.clock_step_max < Duration(1) || simulation_.now() < stepped.may_step_at) {
    return false;
  }
  stepped.may_step_at = simulation_.now() + kClockStepsApart;
  stepped.clock->JumpBoth(Duration(random_.Between(1, options_.clock_step_max.count())));
  return true;
}

void ClusterWorld::Pause(HostId host) {
  if (machine(host).up()) machine(host).threads->Pause();
}

void ClusterWorld::Resume(HostId host) {
  if (machine(host).up() && !machine(host).failed) machine(host).threads->Resume();
}

void ClusterWorld::StartLater(HostId host, Duration delay) {
  simulation_.At(delay, [this, host] {
    ClusterMachine& down = machine(host);
    if (!down.up() && down.may_be_emptied && absl::IsDataLoss(down.refused)) Wipe(host);
    if (!down.up() && !down.ending) Start(host);
    // A start may fail while the disk does; it is tried again until it works.
    if (!machine(host).up()) StartLater(host, kRestartAfter);
  });
}

// --- What an observer sees ----------------------------------------------------------------------

// A machine whose disk stopped in the middle of something, or whose process said that it has to
// end, goes down; its supervisor starts it again.
void ClusterWorld::Watch() {
  const bool observe = ++watch_periods_ % kObserveEvery == 0;
  for (const auto& [host, machine] : machines_) {
    if (!machine->up() || machine->kind == MachineKind::kClient) continue;
    if (observe) Observe(*machine);
    if (!machine->disk->crashed() && !machine->failed) continue;
    machine->disk->crashed() ? CutPower(host) : Kill(host);
    StartLater(host, Duration(random_.Between(1, kSupervisorDelayMax.count())));
  }
  if (observe) {
    invariants_.LookAtPlans(MetadataTerm(), Partitions());
    invariants_.LookAtLogs(ReplicasOf(MachineKind::kCoordinator), ReplicasOf(MachineKind::kNode));
    gate_.LookAround();
  }
  simulation_.At(kWatchPeriod, [this] { Watch(); });
}

// What stands still is among them: its memory is still its own.
std::vector<CachingProcess> ClusterWorld::CachingProcesses() const {
  std::vector<CachingProcess> processes;
  for (const auto& [host, machine] : machines_) {
    const client::ItemCache* memory = nullptr;
    if (machine->connection != nullptr) memory = machine->connection->memory();
    if (machine->coordinator != nullptr) memory = machine->coordinator->data_door().memory();
    if (memory != nullptr) processes.push_back({host, memory});
  }
  return processes;
}

ClusterMembers::Views ClusterWorld::ViewsOf(const replication::Runtime& runtime) {
  ClusterMembers::Views views;
  for (const auto& replica : runtime.Replicas()) {
    views[replica->group()] = {replica->id(), replica->view()};
  }
  return views;
}

GroupInvariants::Replicas ClusterWorld::ReplicasOf(MachineKind kind) const {
  GroupInvariants::Replicas replicas;
  for (const auto& [host, machine] : machines_) {
    if (machine->kind != kind || machine->runtime() == nullptr) continue;
    for (auto& replica : machine->runtime()->Replicas()) replicas.push_back(std::move(replica));
  }
  return replicas;
}

void ClusterWorld::Observe(const ClusterMachine& machine) {
  if (machine.runtime() == nullptr) return;
  MembersOf(machine.host).Observe(machine.host, ViewsOf(*machine.runtime()));
  invariants_.Look(machine);
}

std::map<std::string, uint64_t> ClusterWorld::Happened() {
  std::map<std::string, uint64_t> counts = happened_;
  for (const auto& [what, count] : gate_.counts()) counts[what] += count;
  for (const auto& [what, count] : invariants_.counts()) counts[what] += count;
  for (const auto& [host, machine] : machines_) {
    TallyProcess(*machine, counts);
    counts["misdirected write"] += machine->disk->misdirected_writes();
  }
  return counts;
}

std::vector<HostId> ClusterWorld::Hosts(MachineKind kind) const {
  std::vector<HostId> hosts;
  for (const auto& [host, machine] : machines_) {
    if (machine->kind == kind) hosts.push_back(host);
  }
  return hosts;
}

client::Connection& ClusterWorld::connection(int client) {
  return *machine(kClientHosts + 1 + static_cast<uint64_t>(client)).connection;
}

bool ClusterWorld::ClientRuns(int client) {
  const ClusterMachine& process = machine(kClientHosts + 1 + static_cast<uint64_t>(client));
  return process.up() && !process.threads->paused();
}

client::Connection& ClusterWorld::administration() { return connection(options_.clients); }

HostId ClusterWorld::MetadataLeader() const {
  HostId leader = 0;
  replication::Term newest = 0;
  for (const auto& [host, machine] : machines_) {
    if (machine->coordinator == nullptr || machine->runtime() == nullptr) continue;
    const auto& store = machine->coordinator->store();
    if (!store.leads() || !store.metadata().formed()) continue;
    const auto replica = store.replica();
    if (replica == nullptr) continue;
    // The store hears of the end of its leadership after its replica, whose term is another's then.
    const replication::ReplicaView view = replica->view();
    if (view.role != replication::Role::kLeader || view.term < newest) continue;
    newest = view.term;
    leader = host;
  }
  return leader;
}

replication::Term ClusterWorld::MetadataTerm() const {
  const HostId leader = MetadataLeader();
  return leader == 0 ? 0 : machines_.at(leader)->coordinator->store().replica()->view().term;
}

HostId ClusterWorld::LeaderOf(replication::GroupId partition) const {
  HostId leader = 0;
  replication::Term newest = 0;
  for (const auto& [host, machine] : machines_) {
    if (machine->node == nullptr || machine->runtime() == nullptr) continue;
    const auto replica = machine->runtime()->Find(partition);
    if (replica == nullptr) continue;
    const replication::ReplicaView view = replica->view();
    if (!view.serving || view.term < newest) continue;
    newest = view.term;
    leader = host;
  }
  return leader;
}

std::map<uint64_t, coordinator::v1::PartitionRecord> ClusterWorld::Partitions() const {
  const HostId leader = MetadataLeader();
  if (leader == 0) return {};
  return machines_.at(leader)->coordinator->store().metadata().partitions();
}

std::vector<uint64_t> ClusterWorld::DrainingNodes() const {
  std::vector<uint64_t> draining;
  const HostId leader = MetadataLeader();
  if (leader == 0) return draining;
  for (const auto& [id, record] : machines_.at(leader)->coordinator->store().metadata().nodes()) {
    if (record.node().state() == coordinator::v1::NODE_STATE_DRAINING) draining.push_back(id);
  }
  return draining;
}

HostId ClusterWorld::HostOf(uint64_t node) const {
  const HostId leader = MetadataLeader();
  if (leader == 0) return 0;
  const auto* record = machines_.at(leader)->coordinator->store().metadata().FindNode(node);
  if (record == nullptr) return 0;
  for (const auto& [host, machine] : machines_) {
    if (machine->address == record->node().address()) return host;
  }
  return 0;
}

std::string ClusterWorld::AtThisTime(const std::string& what) const {
  return absl::StrCat("at ", simulation_.now() / std::chrono::milliseconds(1), " ms: ", what);
}

void ClusterWorld::Violation(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ = AtThisTime(what);
  LogError(what);
  if (LogEnabled(LogLevel::kInfo)) LogState();
}

// What the metadata and the replicas say of themselves.
void ClusterWorld::LogState() const {
  if (const HostId leader = MetadataLeader(); leader != 0) {
    const coordinator::Metadata& metadata = machines_.at(leader)->coordinator->store().metadata();
    for (const auto& [id, record] : metadata.nodes()) LogInfo("node: ", record.ShortDebugString());
  }
  for (const auto& [id, record] : Partitions()) LogInfo("plan: ", record.ShortDebugString());
  for (const auto& [host, machine] : machines_) {
    if (machine->runtime() == nullptr) continue;
    for (const auto& replica : machine->runtime()->Replicas()) {
      const replication::ReplicaView view = replica->view();
      LogInfo("host ", host, ": group ", replica->group(), " replica ", replica->id(), ": term ",
              view.term, view.serving ? ", leads" : "", ", commit ", view.commit, ", applied ",
              view.applied, ", members ", MembersText(view.configuration));
    }
    for (const auto& [group, why] : machine->runtime()->damaged()) {
      LogInfo("host ", host, ": group ", group, ": ", why.ToString());
    }
  }
}

void ClusterWorld::GateViolation(const std::string& what) {
  if (options_.gate_ends_run) return Violation(what);
  if (gate_violation_.empty()) gate_violation_ = AtThisTime(what);
}

}  // namespace ringleader::simulation
