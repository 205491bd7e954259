// Replicas that are opened again while the process runs: after an error, by order, and where nobody
// else could fill them.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "common/logging.h"
#include "common/rare_branches.h"
#include "replication/runtime.h"

namespace ringleader::replication {
namespace {

constexpr int kWatchTicks = 10;
constexpr int kTakeBackDoublings = 6;

}  // namespace

// Opens the replica again, as a restart of the process would.
void Runtime::ReopenLater(GroupId group, const absl::Status& why) {
  LogWarning("group ", group, ": its replica here is not open: ", why.ToString());
  const Instant now = seams_.clock.Now();
  Replica::OpenMode mode;
  {
    MutexLock lock(mutex_);
    damaged_[group] = why;
    const auto state = log_->Group(group);
    if (!state.has_value() || state->destroyed || state->suspect) {
      changing_.erase(group);
      return;
    }
    changing_.insert(group);
    reopening_.emplace(group, std::nullopt);
    // Only damage speaks against the state: no full disk, no format of a newer program, nothing
    // that would stop every replica alike. And of the only voter there is no other copy.
    if (absl::IsDataLoss(why) && !only_voters_.contains(group)) {
      const auto [last, fresh] = distrusted_since_.try_emplace(group, now);
      const bool again = !fresh && WaiterElapsed(last->second, now) < options_.distrust_within;
      if (again) mode.set_aside = Replica::kDistrusted;
      last->second = now;
    }
  }
  files_->PostAfter(options_.reopen_after, [this, group, mode] { Reopen(group, mode); });
}

void Runtime::Reopen(GroupId group, Replica::OpenMode mode) {
  if (DestroyUnopened(group)) return;
  // An empty write behind everything that the stopped replica has submitted: what the log says
  // afterwards is final.
  const absl::Status submitted = writer_->Submit(
      {GroupWrite{.group = group}}, *appliers_[group % appliers_.size()],
      [this, group, mode](const absl::Status& status) {
        if (!status.ok()) return;  // the log has failed for good
        const GroupState state = *log_->Group(group);
        LogInfo("group ", group, ": opening its replica again",
                mode.set_aside.empty() ? "" : ", without its state, which is ", mode.set_aside);
        if (!mode.set_aside.empty()) counters_.replicas_rebuilt.Add();
        auto replica = Replica::Open(
            PlaceOf(group), state, DirectoryOf(group, state.creation.replica), mode, ForkRandom());
        replica.ok() ? Register(*replica) : ReopenLater(group, replica.status());
      });
  if (absl::IsResourceExhausted(submitted)) {
    {
      MutexLock lock(mutex_);
      reopening_.emplace(group, std::nullopt);
    }
    files_->PostAfter(options_.reopen_after, [this, group, mode] { Reopen(group, mode); });
  }
}

// What can't be opened, for as long as its disk is full, can be destroyed: that may be what frees
// the disk.
bool Runtime::DestroyUnopened(GroupId group) {
  std::optional<Done> ordered;
  {
    MutexLock lock(mutex_);
    auto waiting = reopening_.extract(group);
    if (!waiting.empty()) ordered = std::move(waiting.mapped());
    if (!ordered.has_value()) return false;
    damaged_.erase(group);
  }
  RARE_BRANCH("replica: destroyed while it waits to be opened");
  const ReplicaId replica = log_->Group(group)->creation.replica;
  // Behind the end of its state machine, if that was open.
  appliers_[group % appliers_.size()]->Post(
      [this, group, replica, done = *std::move(ordered)]() mutable {
        FinishDestroy(group, replica, std::move(done));
      });
  return true;
}

// Replicas that wait for a snapshot while nobody leads who could send one: nobody leads, or whoever
// does has no quorum without them, and so nothing new enough. Any other leader takes his time.
void Runtime::WatchRebuilding() {
  const Instant now = seams_.clock.Now();
  const Duration least = options_.takes_back_after();
  for (const auto& replica : Replicas()) {
    const GroupId group = replica->group();
    const ReplicaView view = replica->view();
    if (!view.rebuilding) {
      const auto found = waiting_.find(group);
      if (found == waiting_.end()) continue;
      Waiting& before = found->second;
      if (!std::exchange(before.is_whole, true)) before.since = now;
      if (WaiterElapsed(before.since, now) >= options_.distrust_within) waiting_.erase(found);
      continue;
    }
    Waiting& waiting = waiting_.try_emplace(group, Waiting{.since = now}).first->second;
    const bool is_served = view.leader.replica != 0 && replica->too_old_of() != view.term;
    if (std::exchange(waiting.is_whole, false) || is_served) waiting.since = now;
    if (WaiterElapsed(waiting.since, now) < least * (1 << waiting.tries)) continue;
    waiting.since = now;
    waiting.tries = std::min(waiting.tries + 1, kTakeBackDoublings);
    OpenAnew(group, replica->id(), absl::UnavailableError("nobody leads who could fill it"),
             {.take_back = true});
  }
  // Of replicas that are gone.
  std::erase_if(waiting_, [&](const auto& waiting) {
    return WaiterElapsed(waiting.second.since, now) > least * (2 << kTakeBackDoublings);
  });
  files_->PostAfter(kWatchTicks * options_.replica.tick_period, [this] { WatchRebuilding(); });
}

void Runtime::RebuildReplica(GroupId group, ReplicaId replica, const absl::Status& why) {
  OpenAnew(group, replica, why, {.set_aside = Replica::kQuarantined});
}

void Runtime::ReopenReplica(GroupId group, ReplicaId replica, const absl::Status& why) {
  OpenAnew(group, replica, why, {});
}

void Runtime::OpenAnew(GroupId group, ReplicaId replica, const absl::Status& why,
                       Replica::OpenMode mode) {
  files_->Post([this, group, replica, why, mode] {
    const auto known = log_->Group(group);
    if (!known.has_value() || known->destroyed || known->creation.replica != replica) return;
    {
      MutexLock lock(mutex_);
      if (!changing_.insert(group).second) return;
      damaged_[group] = why;
    }
    LogError(
        "group ", group, " replica ", replica, " is ",
        mode.set_aside.empty() ? "opened again: " : "rebuilt from its peers: ", why.ToString());
    Detach(group, why, [this, group, mode] { Reopen(group, mode); });
  });
}

}  // namespace ringleader::replication
