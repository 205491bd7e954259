// The core towards its owner: effects out, acknowledgements of writing and applying in.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "replication/configuration.h"
#include "replication/core.h"

namespace ringleader::replication {

// --- Effects ------------------------------------------------------------------------------------

bool Core::HasEffects() const {
  const Effects& e = effects_;
  if (e.lease_revoked || e.lost_leadership || e.confirmed_round || e.promise_settled) return true;
  if (!e.aborted_reads.empty() || !e.messages.empty() || !e.heartbeats.empty()) return true;
  if (!e.snapshots.empty() || !e.fetches.empty() || !e.apply.empty() || !e.reads.empty()) {
    return true;
  }
  if (hard_state_ != handed_hard_state_ || install_unhanded_) return true;
  if (persist_handed_ < log_.last().index || broadcast_) return true;
  return ReadsNeedRound() || MayHandOut() || ChangedSoftState().has_value();
}

Effects Core::TakeEffects() {
  if (role_ == Role::kLeader && broadcast_) BroadcastAppends();
  broadcast_ = false;
  if (ReadsNeedRound()) StartRound();
  CollectApply();
  CollectPersist();
  effects_.soft_state = ChangedSoftState();
  if (effects_.soft_state) reported_ = *effects_.soft_state;
  log_.TrimCache();
  return std::exchange(effects_, Effects());
}

std::optional<SoftState> Core::ChangedSoftState() const {
  const SoftState now{role_, hard_state_.term, leader_};
  if (now == reported_) return std::nullopt;
  return now;
}

// --- Persisting ---------------------------------------------------------------------------------

void Core::CollectPersist() {
  PendingBatch batch;
  if (hard_state_ != handed_hard_state_) {
    effects_.hard_state = batch.hard_state = handed_hard_state_ = hard_state_;
  }
  if (install_unhanded_) {
    effects_.install_snapshot = installing_;
    batch.install = true;
    install_unhanded_ = false;
  }
  if (persist_handed_ < log_.last().index) {
    const Index last = log_.last().index;
    effects_.entries = log_.Cached(persist_handed_ + 1, last, UINT64_MAX);
    batch.last_index = persist_handed_ = last;
  }
  if (!batch.hard_state && !batch.install && batch.last_index == 0) return;
  batch.number = effects_.persist_batch = ++last_batch_;
  pending_batches_.push_back(batch);
}

void Core::Persisted(uint64_t persist_batch) {
  while (!pending_batches_.empty() && pending_batches_.front().number <= persist_batch) {
    const PendingBatch batch = pending_batches_.front();
    pending_batches_.pop_front();
    if (batch.hard_state) durable_hard_state_ = *batch.hard_state;
    if (batch.last_index > log_.durable()) log_.SetDurable(batch.last_index);
  }
  ReleaseWaitingMessages();
  SettlePromiseIfKept();
  if (role_ == Role::kLeader) {
    AdvanceCommit();
  } else if (leader_ != 0) {
    AcknowledgeAppend(/*always=*/false);
  }
}

bool Core::InstallPending() const {
  return install_unhanded_ || std::any_of(pending_batches_.begin(), pending_batches_.end(),
                                          [](const PendingBatch& batch) { return batch.install; });
}

// Everything that remembers entries at or after `first` forgets them, writes under way included: a
// late acknowledgement must count for nothing that is not there any more (rule 9).
void Core::Truncate(Index first) {
  CHECK_GT(first, commit_) << "group " << group_ << ": a committed entry would be replaced";
  CHECK_GT(first, verified_);
  log_.Truncate(first);
  persist_handed_ = std::min(persist_handed_, first - 1);
  for (PendingBatch& batch : pending_batches_) {
    if (MUTANT("truncation-leaves-writes")) continue;
    batch.last_index = std::min(batch.last_index, first - 1);
  }
  RestoreConfigurations(first - 1);
}

// --- Applying -----------------------------------------------------------------------------------

// Entries are applied only when they are durable here: otherwise the state machine could be ahead
// of its own log after a crash.
Index Core::ApplyLimit() const {
  if (installing_) return handed_;
  return std::max(handed_, std::min(commit_, log_.durable()));
}

bool Core::MayHandOut() const {
  if (handed_ >= ApplyLimit() || apply_fetch_pending_) return false;
  return applying_bytes_ < options_.unapplied_bytes_max;
}

void Core::CollectApply() {
  if (!MayHandOut()) return;
  const Index limit = ApplyLimit();
  if (handed_ + 1 < log_.cache_first()) {
    const Index last = std::min(limit, log_.cache_first() - 1);
    effects_.fetches.push_back({self_, handed_ + 1, last, options_.append_bytes_max});
    apply_fetch_pending_ = true;
    return;
  }
  HandOut(log_.Cached(handed_ + 1, limit, options_.unapplied_bytes_max - applying_bytes_));
}

void Core::HandOut(std::vector<Entry> entries) {
  uint64_t bytes = 0;
  for (const Entry& entry : entries) {
    CHECK_EQ(entry.index, handed_ + 1);
    handed_ = entry.index;
    bytes += CostBytes(entry);
  }
  applying_.push_back({handed_, bytes});
  applying_bytes_ += bytes;
  effects_.apply.insert(effects_.apply.end(), std::make_move_iterator(entries.begin()),
                        std::make_move_iterator(entries.end()));
}

void Core::ApplyFetched(Index first, absl::StatusOr<std::vector<Entry>> entries) {
  if (!apply_fetch_pending_ || first != handed_ + 1 || installing_) return;
  if (!entries.ok() || entries->empty() || !IsOurs(*entries, first) ||
      entries->back().index > ApplyLimit()) {
    apply_fetch_retry_ = true;  // at the next tick
    return;
  }
  apply_fetch_pending_ = false;
  HandOut(*std::move(entries));
}

// Whether fetched entries are the ones that this log has now.
bool Core::IsOurs(const std::vector<Entry>& entries, Index first) const {
  for (const Entry& entry : entries) {
    if (entry.index != first++ || !log_.Matches({entry.term, entry.index})) return false;
  }
  return true;
}

void Core::Applied(Index index) {
  CHECK_LE(index, handed_) << "group " << group_ << ": applied what was not handed out";
  applied_ = std::max(applied_, index);
  if (installing_ && applied_ >= installing_->last.index) installing_.reset();
  for (; !applying_.empty() && applying_.front().last <= applied_; applying_.pop_front()) {
    applying_bytes_ -= applying_.front().bytes;
  }
  for (; !unapplied_.empty() && unapplied_.front().last <= applied_; unapplied_.pop_front()) {
    unapplied_bytes_ -= unapplied_.front().bytes;
  }
  LeaveJointIfCommitted();
}

LogPosition Core::AdvanceCompaction(Index index, Index durable_applied) {
  CHECK_LE(durable_applied, applied_);
  if (InstallPending()) return {};  // the old log is all there is until the snapshot is durable
  log_.Compact(std::min({index, durable_applied, log_.durable()}));
  while (configurations_.size() > 1 && configurations_[1].index <= log_.base().index) {
    configurations_.pop_front();
  }
  return log_.base();
}

}  // namespace ringleader::replication
