// How a replica comes back: its log, its state machine, and what to do when one of them has lost
// something.
//
// The log says what this replica has promised (term, vote, how far it acknowledged), the state
// machine what it has applied. Four cases:
//   whole        The core starts with both.
//   log damaged  Above the applied index: the core starts with the intact part and the promise;
//                entries come from the leader (repair_tracker.h). At or below it: the state machine
//                already has what those entries did, so the log starts over behind the applied
//                index.
//   state lost   (Missing, unreadable, or behind the log's first entry) but the log intact: the
//                replica keeps term, vote and promise, starts empty, and waits for a snapshot.
//   suspect      The log may have forgotten a vote or an acknowledgement, or has, as the state is
//                ahead of it: refused; the group replaces the replica by one with another id.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "common/status.h"
#include "replication/configuration.h"
#include "replication/replica.h"

namespace ringleader::replication {

struct Replica::Opened {
  RecoveredState recovered;
  std::unique_ptr<StateMachine> machine;
  bool rebuilding = false;
};

namespace {

AppliedState InitialState(const GroupState& state) {
  AppliedState initial;
  if (state.snapshot.has_value()) {
    initial.last = state.snapshot->last;
    initial.configuration = state.snapshot->configuration;
  }
  return initial;
}

// Entries applied+1 .. last, for their configurations and as the core's first cache. UNAVAILABLE:
// the one behind `recovered.tail` can't be read, which says nothing against the state.
absl::Status ReadTail(Log& log, const CoreOptions& options, const GroupState& state,
                      RecoveredState& recovered) {
  uint64_t tail_bytes = 0;
  Index next = recovered.applied + 1;
  while (next <= recovered.last_index) {
    auto entries = log.Read(state.group, next, recovered.last_index, options.append_bytes_max);
    if (absl::IsDataLoss(entries.status())) {
      return absl::UnavailableError(entries.status().message());
    }
    RETURN_IF_ERROR(entries.status());
    for (Entry& entry : *entries) {
      if (entry.kind == EntryKind::kConfiguration) {
        ASSIGN_OR_RETURN(
            Configuration configuration,
            DecodeConfiguration(entry.payload == nullptr ? absl::string_view()
                                                         : absl::string_view(*entry.payload)));
        recovered.later_configurations.push_back({entry.index, std::move(configuration)});
      }
      tail_bytes += CostBytes(entry);
      recovered.tail.push_back(std::move(entry));
    }
    next = recovered.tail.back().index + 1;
    size_t drop = 0;
    while (tail_bytes > options.entry_cache_bytes_max && drop + 1 < recovered.tail.size()) {
      tail_bytes -= CostBytes(recovered.tail[drop++]);
    }
    recovered.tail.erase(recovered.tail.begin(),
                         recovered.tail.begin() + static_cast<std::ptrdiff_t>(drop));
  }
  return absl::OkStatus();
}

// Errors that say nothing against the state: the disk is full, or this program is older than what
// it finds, or a call failed that found nothing wrong with the data (a write, a name, a right that
// is missing): that is tried again every now and then. Filling such a replica anew from its peers
// would throw good state away, and with the same done on every node there would be none left.
bool IsStateIntact(const absl::Status& error) {
  return absl::IsResourceExhausted(error) || absl::IsFailedPrecondition(error) ||
         absl::IsInternal(error);
}

// What stands there already was set aside first and is the whole state; what came after it is what
// a replica without state has made since.
absl::Status SetAside(FileSystem& file_system, const std::string& directory,
                      const std::string& current, absl::string_view name) {
  const std::string aside = JoinPath(directory, name);
  ASSIGN_OR_RETURN(const bool exists, file_system.IsDirectory(current));
  if (!exists) return absl::OkStatus();
  const auto taken = file_system.IsDirectory(aside);
  if (taken.ok() && *taken) return RemoveRecursively(file_system, current);
  RETURN_IF_ERROR(file_system.Rename(current, aside));
  return file_system.SyncDirectory(directory);
}

// Puts what was distrusted in the place of `current`, which is not whole; false: there is nothing.
// An interruption leaves it where it is, beside none.
absl::StatusOr<bool> TakeBack(FileSystem& file_system, const std::string& directory,
                              const std::string& current) {
  const std::string aside = JoinPath(directory, Replica::kDistrusted);
  const auto exists = file_system.IsDirectory(aside);
  if (!exists.ok() || !*exists) return false;
  RETURN_IF_ERROR(RemoveRecursively(file_system, current));
  RETURN_IF_ERROR(file_system.Rename(aside, current));
  RETURN_IF_ERROR(file_system.SyncDirectory(directory));
  return true;
}

// The state machine over `current`, if that is whole and the log continues it.
absl::StatusOr<std::unique_ptr<StateMachine>> OpenMachine(const ReplicaPlace& place,
                                                          const GroupState& state,
                                                          const std::string& current) {
  // An empty directory is the state of a new group only: later it is state that was lost.
  const bool is_new =
      state.applied == 0 && (!state.snapshot.has_value() || state.snapshot->generation == 0);
  const AppliedState initial = is_new ? InitialState(state) : AppliedState{};
  auto machine = place.factory.Open(state.group, state.creation.replica, current, initial);
  if (!machine.ok() && !IsStateIntact(machine.status())) {
    // One call that failed says little: given up for it, the state of a second replica could be the
    // last that its group had.
    LogWarning("group ", state.group, " replica ", state.creation.replica, ": ",
               machine.status().ToString(), "; its state is opened once more");
    machine = place.factory.Open(state.group, state.creation.replica, current, initial);
  }
  if (machine.ok() && (*machine)->applied().last.index < state.compacted.index) {
    return absl::DataLossError(absl::StrCat("its state ends at index ",
                                            (*machine)->applied().last.index,
                                            " and its log begins after ", state.compacted.index));
  }
  return machine;
}

// What is left of a replica that has lost its state: what it has promised.
RecoveredState PromisesOf(const GroupState& state, bool restarted) {
  RecoveredState recovered;
  recovered.group = state.group;
  recovered.replica = state.creation.replica;
  recovered.hard_state = state.hard_state;
  recovered.restarted = restarted;
  return recovered;
}

// Starts over behind what is applied; durable before it counts.
absl::Status DropDamagedPrefix(const ReplicaPlace& place, const GroupState& state,
                               const AppliedState& applied) {
  LogWarning("group ", state.group, ": log entries at and below the applied index ",
             applied.last.index, " are damaged; the log starts over behind it");
  SnapshotMeta meta{.last = applied.last, .configuration = applied.configuration};
  meta.generation = state.snapshot.has_value() ? state.snapshot->generation : 0;
  // `applied` tells the next opening that this group is not new, whatever it finds in the
  // directory.
  return place.log.Write(
      {GroupWrite{.group = state.group, .snapshot = meta, .applied = applied.last.index}});
}

}  // namespace

absl::StatusOr<std::shared_ptr<Replica>> Replica::Open(const ReplicaPlace& place,
                                                       const GroupState& found,
                                                       const std::string& directory, OpenMode mode,
                                                       Random random) {
  GroupState state = found;
  CHECK(!state.destroyed);
  if (state.suspect && !MUTANT("suspect-log-is-trusted")) {
    return absl::DataLossError(
        absl::StrCat("group ", state.group, " replica ", state.creation.replica,
                     ": its log lost what it had promised; it has to be replaced"));
  }
  const uint64_t generation = state.snapshot.has_value() ? state.snapshot->generation : 0;
  const std::string current = JoinPath(directory, absl::StrCat(generation));
  if (!mode.set_aside.empty()) {
    RETURN_IF_ERROR(SetAside(place.file_system, directory, current, mode.set_aside));
  }
  RETURN_IF_ERROR(CreateDirectories(place.file_system, current));
  DeleteOtherGenerations(place.file_system, directory, generation, /*installed=*/false);

  Opened opened{.recovered = PromisesOf(state, mode.restarted)};
  auto machine = OpenMachine(place, state, current);
  if (!machine.ok() && !IsStateIntact(machine.status()) && mode.take_back) {
    ASSIGN_OR_RETURN(const bool taken, TakeBack(place.file_system, directory, current));
    if (taken) {
      RARE_BRANCH("replica: distrusted state is taken back");
      LogWarning("group ", state.group, " replica ", state.creation.replica,
                 " takes back the state that was distrusted");
      machine = OpenMachine(place, state, current);
    }
  }
  if (IsStateIntact(machine.status())) return machine.status();
  if (!machine.ok()) {
    LogWarning("group ", state.group, " replica ", state.creation.replica, ": ",
               machine.status().ToString(), "; it waits for a snapshot");
    opened.rebuilding = true;
    opened.recovered.promised = state.promised;
  } else {
    opened.machine = *std::move(machine);
    const AppliedState applied = opened.machine->applied();
    if (applied.last.index > state.promised.index) {
      // Nothing is applied before it is durable in the log.
      RARE_BRANCH("replica: its state shows that its log has forgotten");
      place.log.Suspect(state.group);
      return absl::DataLossError(absl::StrCat("group ", state.group, ": its state is at index ",
                                              applied.last.index, " and its log ends at ",
                                              state.promised.index, "; it has to be replaced"));
    }
    if (applied.last.index > state.intact_last && !state.damage.empty()) {
      RETURN_IF_ERROR(DropDamagedPrefix(place, state, applied));
      state = *place.log.Group(state.group);
    }
    RETURN_IF_ERROR(RecoverReadable(place, applied, state, opened.recovered));
    // What was set aside before is older than this now.
    DeleteOtherGenerations(place.file_system, directory, generation, /*installed=*/true);
  }
  const Duration period = place.options.tick_period;
  opened.recovered.promised_ticks =
      static_cast<uint32_t>((place.promise_lengths.before + period - Duration(1)) / period);
  if (mode.away_since.has_value()) {
    const Duration away = WaiterElapsed(*mode.away_since, place.clock.Now());
    opened.recovered.ticks_away =
        static_cast<uint32_t>(std::clamp<int64_t>(away / period, 0, UINT32_MAX));
  }
  return std::shared_ptr<Replica>(
      new Replica(place, state, directory, std::move(opened), std::move(random)));
}

// What can't be read behind the applied index becomes damage of the log, as while a replica runs:
// the peers have it. The only voter has none; it tries again, for ever.
absl::Status Replica::RecoverReadable(const ReplicaPlace& place, const AppliedState& applied,
                                      GroupState& state, RecoveredState& recovered) {
  const RecoveredState promises = recovered;
  for (;;) {
    const absl::Status status = Recover(place, state, applied, recovered);
    const Configuration& members = applied.configuration;
    if (!absl::IsUnavailable(status) || (members.voters.size() < 2 && !members.joint())) {
      return status;
    }
    const Index unreadable =
        1 + (recovered.tail.empty() ? recovered.applied : recovered.tail.back().index);
    if (!place.log.Distrust(state.group, unreadable)) return status;
    RARE_BRANCH("replica: opened around an entry that can't be read");
    state = *place.log.Group(state.group);
    recovered = promises;
  }
}

absl::Status Replica::Recover(const ReplicaPlace& place, const GroupState& state,
                              const AppliedState& applied, RecoveredState& recovered) {
  recovered.base = state.compacted;
  recovered.last_index = state.intact_last;
  for (const TermRun& run : state.runs) {
    if (run.first <= state.intact_last) recovered.term_runs.push_back(run);
  }
  recovered.applied = applied.last.index;
  recovered.configuration = applied.configuration;
  recovered.configuration_index = std::max(applied.configuration_index, recovered.base.index);
  if (!state.damage.empty() && !MUTANT("damage-is-torn-write")) {
    recovered.promised = state.promised;
    recovered.doubtful = std::all_of(state.damage.begin(), state.damage.end(), [](const auto& one) {
      return one.kind == DamageKind::kInDoubt;
    });
  }
  return ReadTail(place.log, place.options.core, state, recovered);
}

Replica::Replica(const ReplicaPlace& place, const GroupState& state, const std::string& directory,
                 Opened opened, Random random)
    : place_(place),
      group_(state.group),
      id_(state.creation.replica),
      directory_(directory),
      core_(place.options.core, std::move(opened.recovered), std::move(random)),
      repairs_(state, opened.rebuilding),
      snapshot_floor_(opened.rebuilding ? state.compacted.index : 0),
      machine_(std::move(opened.machine)) {
  if (machine_ != nullptr) applied_ = machine_->applied().last.index;
  MutexLock lock(view_mutex_);
  view_.rebuilding = opened.rebuilding;
}

}  // namespace ringleader::replication
