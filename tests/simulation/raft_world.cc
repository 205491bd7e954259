#include "tests/simulation/raft_world.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/logging.h"
#include "tests/simulation/run_result.h"
#include "tests/simulation/voters_in_doubt.h"

namespace ringleader::simulation {
namespace {

using replication::AppliedState;
using replication::Configuration;
using replication::Entry;
using replication::Replica;
using replication::ReplicaView;
using replication::StateMachine;
using replication::Term;

constexpr uint64_t kCluster = 77;
constexpr absl::string_view kDataDirectory = "/data";
constexpr absl::string_view kLogThread = "log";
constexpr Duration kWatchPeriod = std::chrono::milliseconds(1);
constexpr uint64_t kLookAtLogsEvery = 10;  // of the periods
constexpr Duration kSupervisorDelayMax = std::chrono::seconds(6);

class RegisterFactory : public replication::StateMachineFactory {
 public:
  RegisterFactory(FileSystem& file_system, const RegisterObserver& observer, OpenMachines& open)
      : file_system_(file_system), observer_(observer), open_(open) {}

  absl::StatusOr<std::unique_ptr<StateMachine>> Open(GroupId group, ReplicaId replica,
                                                     absl::string_view directory,
                                                     const AppliedState& initial) override {
    auto machine =
        RegisterMachine::Open(file_system_, group, replica, directory, initial, observer_, open_);
    if (!machine.ok()) return machine.status();
    return std::unique_ptr<StateMachine>(*std::move(machine));
  }

 private:
  FileSystem& file_system_;
  const RegisterObserver& observer_;
  OpenMachines& open_;
};

}  // namespace

std::string World::Address(NodeId node) { return absl::StrCat("node-", node, ":7100"); }

World::World(Simulation& simulation, const WorldOptions& options)
    : simulation_(simulation),
      options_(options),
      random_(simulation.random().Fork()),
      network_(simulation) {
  // Snapshots go in order or not at all (fault-model.md).
  for (const auto lane : {replication::Lane::kControl, replication::Lane::kAppend}) {
    network_.AddLossyMethods(replication::LaneMethod(lane));
  }
  observer_.applied = [this](GroupId group, ReplicaId replica, const Entry& entry, uint64_t hash) {
    Applied(group, replica, entry, hash);
  };
  observer_.outcome = [this](ReplicaId replica, uint64_t id, int64_t output) {
    if (outcome_) outcome_(replica, id, output);
  };
  observer_.leadership = [this](GroupId group, ReplicaId replica, Term term, bool began) {
    Leadership(group, replica, term, began);
  };
  for (int i = 1; i <= options.nodes; ++i) {
    Machine& machine = machines_[static_cast<NodeId>(i)];
    machine.node = static_cast<NodeId>(i);
    machine.disk = std::make_unique<SimulatedFileSystem>(random_.Next());
    const double spread = options.clock_rate_spread * (2 * random_.Fraction() - 1);
    machine.clock = std::make_unique<SimulatedClock>(simulation_, 1 + spread);
    machine.sync_time_max = options.sync_time_max;
  }
}

World::~World() {
  for (auto& [node, machine] : machines_) Kill(node);
}

void World::Create() {
  for (const auto& [node, machine] : machines_) Start(node);
  int created = 0;
  for (int g = 1; g <= options_.groups; ++g) {
    Configuration configuration;
    for (int r = 0; r < options_.replicas; ++r) {
      const auto node = static_cast<NodeId>((g + r) % options_.nodes + 1);
      configuration.voters.push_back({NewReplicaId(), node});
    }
    for (const auto& member : configuration.voters) {
      replication::NewGroup group{.group = static_cast<GroupId>(g), .replica = member.replica};
      group.configuration = configuration;
      machines_.at(member.node).runtime->CreateGroup(group, [&created](const absl::Status& status) {
        CHECK_OK(status);
        ++created;
      });
    }
  }
  while (created < options_.groups * options_.replicas) CHECK(simulation_.Step());
  simulation_.At(kWatchPeriod, [this] { WatchMachines(); });
}

void World::Start(NodeId node) {
  Machine& machine = machines_.at(node);
  CHECK(!machine.up());
  ++machine.starts;
  machine.failed = false;
  machine.threads = std::make_unique<SimulatedThreads>(simulation_, options_.task_time_max,
                                                       absl::StrCat("node-", node));
  machine.threads->Slow(kLogThread, machine.sync_time_max);
  machine.network =
      network_.NewEndpoint(node, [threads = machine.threads.get()] { return threads->paused(); });
  machine.factory = std::make_unique<RegisterFactory>(*machine.disk, observer_, machine.machines);
  replication::RuntimeOptions runtime = options_.runtime;
  runtime.cluster = kCluster;
  runtime.node = node;
  runtime.directory = std::string(kDataDirectory);
  runtime.log.entropy = random_.Next() | 1;
  runtime.on_fatal = [&machine](const absl::Status&) { machine.failed = true; };
  auto opened = replication::Runtime::Open(
      runtime, {*machine.disk, *machine.network, *machine.threads, *machine.clock},
      *machine.factory, random_.Fork());
  if (!opened.ok()) {
    simulation_.Trace(opened.status().ToString());
    Kill(node);
    return;
  }
  machine.runtime = *std::move(opened);
  CheckState(machine);
  for (const auto& [other, ignored] : machines_) {
    if (other != node) machine.runtime->transport().SetAddress(other, Address(other));
  }
  auto listener = machine.network->Listen(Address(node), &machine.runtime->transport());
  CHECK_OK(listener);
  machine.listener = *std::move(listener);
}

void World::Kill(NodeId node) {
  Machine& machine = machines_.at(node);
  if (machine.up()) {
    Tally(*machine.runtime, happened_);
    machine.gave_up_state |= machine.runtime->counters().replicas_rebuilt.value() > 0;
  }
  machine.listener = nullptr;
  machine.runtime = nullptr;
  machine.factory = nullptr;
  machine.network = nullptr;
  machine.threads = nullptr;
  machine.disk->RestartProcess();
}

void World::CutPower(NodeId node) {
  machines_.at(node).disk->CrashNow();
  Kill(node);
  machines_.at(node).disk->Restart();
  machines_.at(node).clock->Reboot();
}

void World::Wipe(NodeId node) {
  Kill(node);
  Machine& machine = machines_.at(node);
  machine.disk = std::make_unique<SimulatedFileSystem>(random_.Next());
  machine.wiped = machine.harmed = true;
}

bool World::MayHarm(NodeId node) const {
  for (const auto& [other, machine] : machines_) {
    if (machine.harmed) return other == node;
  }
  return true;
}

// Whatever moment a process ends at: a state machine changes over to a snapshot by one commit point
// (rule 12), and its log is never ahead of what it has made durable (rule 13).
void World::CheckState(const Machine& machine) {
  if (machine.harmed || machine.gave_up_state) return;
  for (const auto& replica : machine.runtime->Replicas()) {
    if (!replica->view().rebuilding) continue;
    Violation(absl::StrCat("group ", replica->group(), ": replica ", replica->id(),
                           " has lost its state, and nothing harmed its disk"));
  }
}

void World::SlowDisk(NodeId node, Duration sync_time_max) {
  Machine& machine = machines_.at(node);
  machine.sync_time_max = sync_time_max;
  if (machine.up()) machine.threads->Slow(kLogThread, sync_time_max);
}

void World::Pause(NodeId node) {
  if (machines_.at(node).up()) machines_.at(node).threads->Pause();
}

void World::Resume(NodeId node) {
  if (machines_.at(node).up()) machines_.at(node).threads->Resume();
}

// A machine whose disk stopped in the middle of something, or whose log failed, goes down; its
// supervisor starts it again.
void World::WatchMachines() {
  for (auto& [node, machine] : machines_) {
    if (!machine.up()) continue;
    if (!machine.disk->crashed() && !machine.failed) continue;
    machine.disk->crashed() ? CutPower(node) : Kill(node);
    StartLater(node, Duration(random_.Between(1, kSupervisorDelayMax.count())));
  }
  if (++watch_periods_ % kLookAtLogsEvery == 0) LookAtLogs();
  simulation_.At(kWatchPeriod, [this] { WatchMachines(); });
}

void World::LookAtLogs() {
  GroupInvariants::Replicas replicas;
  for (const auto& [node, machine] : machines_) {
    if (!machine.up()) continue;
    for (auto& replica : machine.runtime->Replicas()) replicas.push_back(std::move(replica));
  }
  const absl::Status held = logs_.Look(simulation_.now(), replicas);
  if (!held.ok()) Violation(std::string(held.message()));
}

void World::StartLater(NodeId node, Duration delay) {
  simulation_.At(delay, [this, node] {
    if (!machines_.at(node).up()) Start(node);
    // A start may fail while the disk does; it is tried again until it works.
    if (!machines_.at(node).up()) StartLater(node, std::chrono::milliseconds(500));
  });
}

std::vector<GroupId> World::groups() const {
  std::vector<GroupId> groups;
  for (int g = 1; g <= options_.groups; ++g) groups.push_back(static_cast<GroupId>(g));
  return groups;
}

NodeId World::LeaderOf(GroupId group) {
  NodeId leader = 0;
  Term term = 0;
  for (const auto& [node, machine] : machines_) {
    if (!machine.up()) continue;
    const auto replica = machine.runtime->Find(group);
    if (replica == nullptr) continue;
    const ReplicaView view = replica->view();
    if (view.serving && view.term >= term) {
      leader = node;
      term = view.term;
    }
  }
  return leader;
}

// A voter that a damaged log has forgotten, or whose promises it lost, or that a new disk never
// knew, is never filled again: a coordinator puts another in its place (rule 11), and here there is
// none.
bool World::NeedsReplacement(GroupId group, const replication::Member& member) const {
  const Machine& machine = machines_.at(member.node);
  if (!machine.up()) return false;
  const auto state = machine.runtime->log().Group(group);
  // Also one that knows of an earlier replica only: it may have forgotten that this one followed.
  if (state.has_value() && state->creation.replica <= member.replica && state->suspect) return true;
  const auto replica = machine.runtime->Find(group);
  return replica != nullptr && replica->id() == member.replica && replica->view().unfillable &&
         (machine.wiped || machine.runtime->log().report().lost_history);
}

bool World::Converged(std::string* why_not) {
  for (const GroupId group : groups()) {
    const NodeId leader = LeaderOf(group);
    if (leader == 0) {
      *why_not = absl::StrCat("group ", group, " has no leader");
      return false;
    }
    const ReplicaView view = machines_.at(leader).runtime->Find(group)->view();
    for (const auto* list : {&view.configuration.voters, &view.configuration.learners}) {
      for (const auto& member : *list) {
        const Machine& machine = machines_.at(member.node);
        const auto replica = machine.up() ? machine.runtime->Find(group) : nullptr;
        const bool is_there = replica != nullptr && replica->id() == member.replica;
        if (is_there && replica->view().applied >= view.commit) continue;
        if (NeedsReplacement(group, member)) continue;
        *why_not = absl::StrCat(
            "group ", group, ": replica ", member.replica, " on node ", member.node, " is ",
            !is_there
                ? "not there"
                : absl::StrCat("at ", replica->view().applied, ", the leader at ", view.commit,
                               replica->view().rebuilding ? ", rebuilding" : ""));
        return false;
      }
    }
  }
  return true;
}

bool World::StandsStillInDoubt() {
  for (const GroupId group : groups()) {
    if (LeaderOf(group) != 0) continue;
    // As the replica sees it that has the newest.
    ReplicaView newest;
    for (const auto& [node, machine] : machines_) {
      const auto replica = machine.up() ? machine.runtime->Find(group) : nullptr;
      if (replica == nullptr) continue;
      const ReplicaView view = replica->view();
      if (view.configuration_index >= newest.configuration_index) newest = view;
    }
    VotersInDoubt voters;
    for (const replication::Member& voter : newest.configuration.voters) {
      const Machine& machine = machines_.at(voter.node);
      voters.Add(machine.up() ? machine.runtime.get() : nullptr, group, voter.replica);
    }
    if (!voters.MayStandStill()) continue;
    ++happened_["stands still: voters in doubt or lost"];
    return true;
  }
  return false;
}

void World::LogState() const {
  for (const auto& [node, machine] : machines_) {
    LogInfo("node ", node, machine.up() ? "" : " is down");
    if (!machine.up()) continue;
    for (const GroupId group : groups()) {
      const auto replica = machine.runtime->Find(group);
      if (replica == nullptr) continue;
      const ReplicaView view = replica->view();
      const auto ids = [](std::string* out, const replication::Member& member) {
        absl::StrAppend(out, member.replica, "@", member.node);
      };
      LogInfo("  group ", group, " replica ", replica->id(), ": role ", static_cast<int>(view.role),
              " term ", view.term, " base ", view.base, " applied ", view.applied, " commit ",
              view.commit, " last ", view.last, view.rebuilding ? " rebuilding" : "",
              view.unfillable ? " unfillable" : "", " v", view.configuration_index, " voters ",
              absl::StrJoin(view.configuration.voters, ",", ids), " outgoing ",
              absl::StrJoin(view.configuration.outgoing, ",", ids), " learners ",
              absl::StrJoin(view.configuration.learners, ",", ids), " ",
              view.failure.ok() ? "" : view.failure.ToString());
      const auto log = machine.runtime->log().Group(group);
      if (!log.has_value()) continue;
      if (!log->damage.empty()) {
        LogInfo("    promised up to ", log->promised.index, " of term ", log->promised.term);
      }
      for (const replication::Damage& damage : log->damage) {
        LogInfo("    ", damage.kind == replication::DamageKind::kInDoubt ? "in doubt " : "corrupt ",
                damage.first, " to ", damage.last);
      }
    }
  }
}

std::map<std::string, uint64_t> World::Happened() const {
  std::map<std::string, uint64_t> counts = happened_;
  counts["logs of all groups compared"] = logs_.comparisons();
  for (const auto& [node, machine] : machines_) {
    if (machine.up()) Tally(*machine.runtime, counts);
  }
  return counts;
}

void World::Violation(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ = absl::StrCat("at ", simulation_.now() / std::chrono::milliseconds(1), " ms: ", what);
}

void World::Applied(GroupId group, ReplicaId replica, const Entry& entry, uint64_t hash) {
  ++entries_applied_;
  simulation_.Trace(hash);
  const auto [known, fresh] = histories_.try_emplace({group, entry.index}, replica, hash);
  if (!fresh && known->second.second != hash) {
    Violation(absl::StrCat("group ", group, ": replicas ", known->second.first, " and ", replica,
                           " applied different histories up to index ", entry.index));
  }
}

void World::Leadership(GroupId group, ReplicaId replica, Term term, bool began) {
  if (!began) return;
  ++elections_;
  simulation_.Trace(term);
  const auto [known, fresh] = leaders_.try_emplace({group, term}, replica);
  if (!fresh && known->second != replica) {
    Violation(absl::StrCat("group ", group, ": replicas ", known->second, " and ", replica,
                           " both lead in term ", term));
  }
}

}  // namespace ringleader::simulation
