// The worker's side of a replica: inputs to the core, and its effects carried out.
#include "replication/replica.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "common/status.h"

namespace ringleader::replication {
namespace {

// Log bytes between two retention marks.
constexpr uint64_t kRetentionStepBytes = 256 << 10;
// How near to the log's end a follower counts as caught up: what one round trip brings.
constexpr Index kCaughtUpEntries = 1000;
// As much as a follower gathers before it applies.
constexpr uint64_t kGatherBytesMax = 64 << 10;

}  // namespace

ReplicaView Replica::view() const {
  MutexLock lock(view_mutex_);
  return view_;
}

absl::StatusOr<Index> Replica::LeaseRead() const {
  const Instant now = place_.clock.Now();
  MutexLock lock(view_mutex_);
  if (!view_.serving) return absl::FailedPreconditionError("this replica does not lead");
  if (!view_.lease_allowed || !view_.has_lease ||
      (HolderElapsed(view_.lease_from, now) >= view_.lease_length &&
       !MUTANT("lease-without-end"))) {
    return absl::UnavailableError("no lease at this moment");
  }
  return view_.commit;
}

std::optional<Instant> Replica::ConfirmedRound(Term term) const {
  MutexLock lock(view_mutex_);
  if (!view_.serving || view_.term != term || !view_.lease_allowed || !view_.has_lease) {
    return std::nullopt;
  }
  return view_.lease_from;
}

void Replica::QuorumRead(ReadReady ready) {
  place_.worker.Post([self = shared_from_this(), ready = std::move(ready)]() mutable {
    absl::StatusOr<uint64_t> read =
        self->closed_ ? absl::UnavailableError("the replica is stopped") : self->core_.ReadIndex();
    if (read.ok()) {
      self->reads_.emplace(*read, std::move(ready));
    } else {
      self->place_.applier.Post(
          [ready = std::move(ready), why = read.status()]() mutable { ready(why); });
    }
    self->Turn();
    self->place_.flush_soon();
  });
}

void Replica::Propose(Term term, std::vector<Payload> payloads, Proposed proposed) {
  place_.worker.Post([self = shared_from_this(), term, payloads = std::move(payloads),
                      proposed = std::move(proposed)]() mutable {
    absl::StatusOr<LogPosition> position = absl::AbortedError("the term is over");
    const uint64_t count = payloads.size();
    if (!self->closed_ && self->core_.role() == Role::kLeader && self->core_.term() == term) {
      position = self->core_.Propose(std::move(payloads));
    }
    ReplicationCounters& counters = self->place_.counters;
    (position.ok() ? counters.proposals : counters.proposals_refused).Add(count);
    // Before the turn that may hand the entries to the applier: they are answered in this order.
    self->place_.applier.Post(
        [proposed = std::move(proposed), position]() mutable { proposed(position); });
    self->Turn();
    self->place_.flush_soon();
  });
}

void Replica::ChangeMembers(std::vector<Member> voters, std::vector<Member> learners,
                            Proposed proposed, std::optional<uint64_t> version) {
  place_.worker.Post([self = shared_from_this(), voters = std::move(voters),
                      learners = std::move(learners), proposed = std::move(proposed),
                      version]() mutable {
    const bool fits = !version.has_value() || MUTANT("orders-unfenced") ||
                      self->core_.configuration().version == *version;
    if (self->closed_) {
      proposed(absl::UnavailableError("the replica is stopped"));
    } else if (!fits) {
      proposed(absl::FailedPreconditionError("the members have changed since"));
    } else {
      proposed(self->core_.ProposeConfiguration(std::move(voters), std::move(learners)));
    }
    self->Turn();
    self->place_.flush_soon();
  });
}

void Replica::Transfer(ReplicaId to, Done done) {
  place_.worker.Post([self = shared_from_this(), to, done = std::move(done)]() mutable {
    done(self->closed_ ? absl::UnavailableError("the replica is stopped")
                       : self->core_.TransferLeadership(to));
    self->Turn();
    self->place_.flush_soon();
  });
}

void Replica::Step(NodeId from, Message message) {
  if (closed_) return;
  heard_from_[message.from] = from;
  core_.Step(std::move(message));
  Turn();
}

void Replica::Tick(const Instant& now) {
  if (closed_) return;
  WatchDisk(now);
  core_.Tick();
  Turn();
  HandOutEntries();
  NoteCaughtUp();
  SubmitPending();
  if (++ticks_ % place_.options.compaction_ticks == 0) {
    place_.applier.Post([self = shared_from_this()] {
      if (!self->HasState()) return;
      Index durable = self->machine_->durable_applied();
      if (MUTANT("compacts-undurable")) durable = self->applied_;
      self->place_.worker.Post([self, durable] { self->CompactTo(durable); });
    });
  }
}

void Replica::Unreachable(NodeId node) {
  if (closed_) return;
  for (const auto& [replica, progress] : core_.progress()) {
    if (NodeOf(replica) == node) core_.ReportUnreachable(replica);
  }
  Turn();
}

void Replica::CampaignIfAlone() {
  const Configuration& configuration = core_.configuration();
  if (closed_ || configuration.joint() || configuration.voters.size() != 1 ||
      configuration.voters[0].replica != id_) {
    return;
  }
  core_.Campaign();
  Turn();
}

void Replica::SnapshotStaged(Message message, absl::AnyInvocable<void(StagedFate)> decided) {
  if (closed_ || snapshot_decided_ != nullptr) return decided(StagedFate::kRefused);
  const uint64_t generation = message.snapshot.generation;
  snapshot_decided_ = std::move(decided);
  core_.Step(std::move(message));
  Turn();
  UpdateView();  // what was refused has no effects to carry out
  const bool taken = std::any_of(installing_.begin(), installing_.end(), [&](const auto& install) {
    return install.second.generation == generation;
  });
  if (!taken) std::exchange(snapshot_decided_, nullptr)(StagedFate::kRefused);  // it came too late
}

void Replica::SnapshotReported(ReplicaId to, absl::StatusOr<Index> last) {
  if (closed_) return;
  core_.ReportSnapshot(to, std::move(last));
  Turn();
}

void Replica::Close(const absl::Status& why) {
  if (closed_) return;
  closed_ = true;
  gathered_.clear();
  for (auto& [read, ready] : reads_) {
    place_.applier.Post([ready = std::move(ready), why]() mutable { ready(why); });
  }
  reads_.clear();
  // Its record may be durable, or become so.
  if (snapshot_decided_ != nullptr) {
    std::exchange(snapshot_decided_, nullptr)(StagedFate::kUnknown);
  }
  {
    MutexLock lock(view_mutex_);
    view_.failure = why;
    view_.serving = view_.lease_allowed = false;
    view_.role = Role::kFollower;
  }
  place_.applier.Post([self = shared_from_this(), why, term = serving_term_] {
    if (!self->stopped_.ok()) return;
    if (term != 0 && self->machine_ != nullptr) self->machine_->LeadershipEnded(term);
    self->stopped_ = why;
    self->DropWaiting(why);
    self->machine_ = nullptr;
  });
  serving_term_ = 0;
}

void Replica::Discard() {
  closed_ = true;
  reads_.clear();
  snapshot_decided_ = nullptr;
  waiting_applied_.clear();
  machine_ = nullptr;
}

void Replica::Fail(const absl::Status& why) {
  if (closed_) return;
  LogError("group ", group_, " replica ", id_, " stops serving: ", why.ToString());
  Close(why);
  if (place_.on_failed) place_.on_failed(group_, why);
}

// --- Effects ------------------------------------------------------------------------------------

void Replica::Turn() {
  CHECK(!turning_) << "a turn inside a turn";
  turning_ = true;
  core_.ExpectProposal(proposal_expected_);
  while (!closed_ && core_.HasEffects()) CarryOut(core_.TakeEffects());
  turning_ = false;
  if (!closed_) NoteLeadership();
}

void Replica::CarryOut(Effects effects) {
  Withdraw(effects);
  Persist(effects);
  SendAll(effects);
  UpdateView();  // before anything is handed out: invariant 1
  HandOut(effects);
}

void Replica::Withdraw(const Effects& effects) {
  if (effects.lease_revoked || effects.lost_leadership.has_value()) {
    MutexLock lock(view_mutex_);
    view_.lease_allowed = view_.has_lease = false;
    if (effects.lost_leadership.has_value()) view_.serving = false;
  }
  if (effects.lost_leadership.has_value()) {
    LogInfo("group ", group_, ": lost leadership of term ", effects.lost_leadership->term);
    place_.counters.leaderships_lost.Add();
    hold_heartbeats_ = false;
    const Term term = effects.lost_leadership->term;
    if (serving_term_ == term) {
      serving_term_ = 0;
      place_.applier.Post([self = shared_from_this(), term] {
        if (self->HasState()) self->machine_->LeadershipEnded(term);
      });
    }
  }
  for (const uint64_t read : effects.aborted_reads) {
    const auto found = reads_.find(read);
    if (found == reads_.end()) continue;
    place_.applier.Post([ready = std::move(found->second)]() mutable {
      ready(absl::UnavailableError("leadership ended before the read was confirmed"));
    });
    reads_.erase(found);
  }
}

void Replica::Persist(Effects& effects) {
  GroupWrite write{.group = group_};
  if (effects.promise_settled && repairs_.Settle()) {
    write.truncate_after = core_.last_position().index;
    if (!effects.entries.empty()) write.truncate_after = effects.entries.front().index - 1;
  }
  if (effects.persist_batch == 0) {
    // Nothing waits for it: a crash before it is durable reports the promise again.
    if (write.truncate_after.has_value()) unsubmitted_.emplace_back(0, std::move(write));
    SubmitPending();
    return;
  }
  write.hard_state = effects.hard_state;
  if (effects.install_snapshot.has_value()) {
    write.snapshot = effects.install_snapshot;
    if (core_.promised() <= effects.install_snapshot->last) {
      // The core starts over behind the snapshot, and so does the log: nothing is left to repair. A
      // promise that goes further stays on disk with the log's tail, until the leader's entries
      // have kept it.
      write.truncate_after = effects.install_snapshot->last.index;
      repairs_.Settle();
    }
    if (MUTANT("installs-before-recorded")) InstallDurable(*effects.install_snapshot);
    installing_[effects.persist_batch] = *effects.install_snapshot;
  }
  repairs_.Split(std::move(effects.entries), write);
  if (!write.repairs.empty()) RARE_BRANCH("log: lost entries are repaired");
  unsubmitted_.emplace_back(effects.persist_batch, std::move(write));
  SubmitPending();
}

void Replica::SubmitPending() {
  while (!closed_ && !unsubmitted_.empty()) {
    auto& [batch, write] = unsubmitted_.front();
    std::vector<GroupWrite> writes = {write};  // payloads are shared: this copies pointers
    const absl::Status submitted = place_.writer.Submit(
        std::move(writes), place_.worker,
        [self = shared_from_this(), batch = batch](const absl::Status& status) {
          if (self->closed_) return;
          if (!status.ok()) return self->Fail(status);
          const auto install = self->installing_.find(batch);
          if (install != self->installing_.end() && !MUTANT("installs-before-recorded")) {
            self->InstallDurable(install->second);
          }
          if (batch != 0) self->core_.Persisted(batch);
          self->installing_.erase(batch);
          self->Turn();
          self->place_.flush_soon();
        });
    if (absl::IsResourceExhausted(submitted)) return;  // the next tick tries again
    if (!submitted.ok()) {
      // Fail ends turns; the caller is inside one.
      place_.worker.Post([self = shared_from_this(), submitted] { self->Fail(submitted); });
      return;
    }
    unsubmitted_.pop_front();
  }
}

// What is not applied and can't be read is with the peers only: opened again, as after a restart,
// this replica gets it from whoever leads then. The only voter has no peers; it tries for ever.
void Replica::NoteUnreadable(Index index, const absl::Status& why) {
  if (std::exchange(unreadable_, index) != index) {
    LogWarning("group ", group_, ": log entry ", index, ": ", why.ToString());
  }
  const Configuration& members = core_.configuration();
  if (index <= core_.applied_index() || giving_up_ ||
      (members.voters.size() < 2 && !members.joint())) {
    return;
  }
  giving_up_ = true;
  place_.files.Post([self = shared_from_this(), index] {
    const bool is_damaged = self->place_.log.Distrust(self->group_, index);
    self->place_.applier.Post([self, index, is_damaged] {
      // What was applied and is in memory only may be unreadable as well.
      const bool may = is_damaged && self->HasState() && self->machine_->Flush().ok();
      self->place_.worker.Post([self, index, may] {
        self->giving_up_ = false;
        if (self->closed_ || !may || index <= self->core_.applied_index()) return;
        RARE_BRANCH("replica: opened again for an entry that can't be read");
        self->Fail(absl::UnavailableError(
            absl::StrCat("log entry ", index, " can't be read, and is not applied yet")));
      });
    });
  });
}

// Nobody waits for what a follower applies, so it does so in larger batches: their cost is mostly
// one a batch (a task, the state's records, an answer to the worker). A leader hands out all there
// is, so that nothing is left here when it has applied its own first entry and serves.
void Replica::HandOut(Effects& effects) {
  for (Entry& entry : effects.apply) {
    gathered_bytes_ += CostBytes(entry);
    gathered_.push_back(std::move(entry));
  }
  const ReplicaOptions& options = place_.options;
  if (core_.role() == Role::kLeader || gathered_.size() >= options.follower_gather ||
      gathered_bytes_ >= std::min(kGatherBytesMax, options.core.unapplied_bytes_max / 2)) {
    HandOutEntries();
  }
  for (const ReadState& read : effects.reads) {
    const auto found = reads_.find(read.read);
    if (found == reads_.end()) continue;
    place_.applier.Post(
        [ready = std::move(found->second), index = read.index]() mutable { ready(index); });
    reads_.erase(found);
  }
}

void Replica::HandOutEntries() {
  if (gathered_.empty()) return;
  gathered_bytes_ = 0;
  place_.applier.Post(
      [self = shared_from_this(), entries = std::exchange(gathered_, {})]() mutable {
        self->ApplyEntries(std::move(entries));
      });
}

void Replica::AppliedTo(Index index, uint64_t bytes) {
  if (closed_) return;
  core_.Applied(index);
  applied_bytes_total_ += bytes;
  if (retention_.empty() ||
      applied_bytes_total_ - retention_.back().bytes_total >= kRetentionStepBytes) {
    retention_.push_back({index, applied_bytes_total_});
  }
  Turn();
  place_.flush_soon();
}

// The data of the snapshot is on disk, and the log says that it counts: the state machine changes
// over.
void Replica::InstallDurable(SnapshotMeta meta) {
  retention_.clear();
  HandOutEntries();  // they are from before the snapshot: the applier must not see them after it
  place_.applier.Post([self = shared_from_this(), meta = std::move(meta)] { self->Install(meta); });
}

void Replica::UpdateView() {
  Member leader;
  leader.replica = core_.leader();
  if (leader.replica != 0) leader.node = NodeOf(leader.replica);
  MutexLock lock(view_mutex_);
  if (view_.term != core_.term() || core_.role() != Role::kLeader) view_.has_lease = false;
  if (core_.role() != view_.role || core_.term() != view_.term) {
    if (core_.role() == Role::kCandidate) place_.counters.elections_started.Add();
    if (core_.role() == Role::kLeader) place_.counters.elections_won.Add();
  }
  view_.role = core_.role();
  view_.term = core_.term();
  view_.leader = leader;
  view_.serving = core_.ready_to_serve();
  view_.lease_allowed = core_.lease_allowed();
  view_.commit = core_.commit_index();
  view_.applied = core_.applied_index();
  view_.last = core_.last_position().index;
  view_.base = core_.base_position().index;
  view_.transferee = core_.transferee();
  view_.unfillable = core_.unfillable();
  // Compared as a whole: one that was taken back may be followed by another with the same index and
  // version.
  if (view_.configuration != core_.configuration()) view_.configuration = core_.configuration();
  view_.configuration_index = core_.configuration_index();
  if (view_.applied > 0) view_.rebuilding = false;
}

// Tells the state machine, once a term, when evaluation may begin.
void Replica::NoteLeadership() {
  if (!core_.ready_to_serve() || serving_term_ == core_.term()) return;
  serving_term_ = core_.term();
  UpdateView();
  LogInfo("group ", group_, ": leads in term ", serving_term_);
  place_.applier.Post([self = shared_from_this(), term = serving_term_] {
    if (self->HasState()) self->machine_->LeadershipBegan(term);
  });
}

void Replica::NoteCaughtUp() {
  std::vector<ReplicaId> caught_up;
  if (!closed_ && core_.role() == Role::kLeader) {
    caught_up.push_back(id_);
    for (const auto& [replica, progress] : core_.progress()) {
      const bool near = progress.match + kCaughtUpEntries >= core_.LastFor(replica);
      // Just after a check of the quorum nobody has answered yet in the new period.
      const bool answers = progress.active || progress.was_active;
      if (replica != id_ && answers && near) caught_up.push_back(replica);
    }
  }
  MutexLock lock(view_mutex_);
  view_.caught_up = std::move(caught_up);
}

// DESIGN section 11, rule 17: a leader whose disk makes no progress must not stay one.
void Replica::WatchDisk(const Instant& now) {
  if (core_.role() != Role::kLeader) {
    hold_heartbeats_ = false;
    return;
  }
  const Duration stalled = place_.writer.progress().Stalled(now);
  const Duration bound = place_.options.disk_stall_max;
  if (stalled < bound) {
    hold_heartbeats_ = false;
    return;
  }
  if (stalled >= 2 * bound && !hold_heartbeats_) {
    hold_heartbeats_ = true;
    RARE_BRANCH("leader: its disk stalls, no more heartbeats");
    LogWarning("group ", group_, ": the log's disk has not answered for ",
               stalled / std::chrono::milliseconds(1),
               " ms; no more heartbeats, so that the others elect");
  }
  if (core_.transferee() != 0) return;
  ReplicaId best = 0;
  Index best_match = 0;
  for (const Member& voter : core_.configuration().voters) {
    const auto progress = core_.progress().find(voter.replica);
    if (progress == core_.progress().end() || !progress->second.active) continue;
    if (best == 0 || progress->second.match > best_match) {
      best = voter.replica;
      best_match = progress->second.match;
    }
  }
  if (best != 0) core_.TransferLeadership(best).IgnoreError();  // tried again with the next tick
}

void Replica::FlushAndCompact() {
  place_.applier.Post([self = shared_from_this()] {
    if (!self->HasState()) return;
    const absl::Status flushed = self->machine_->Flush();
    const Index durable = flushed.ok() ? self->machine_->durable_applied() : 0;
    self->place_.worker.Post([self, flushed, durable] {
      if (absl::IsResourceExhausted(flushed))
        return;  // space may come back; nothing is lost by waiting
      if (!flushed.ok()) return self->Fail(Annotate(flushed, "flushing applied state"));
      self->retention_.clear();  // what is asked for is room in the log
      self->CompactTo(durable);
    });
  });
}

void Replica::CompactTo(Index durable) {
  if (closed_) return;
  // Everything older than retain_bytes; all of it if nothing was kept track of.
  Index wanted = retention_.empty() ? durable : 0;
  while (!retention_.empty() &&
         applied_bytes_total_ - retention_.front().bytes_total > place_.options.retain_bytes) {
    compact_wanted_ = std::max(compact_wanted_, retention_.front().index);
    retention_.pop_front();
  }
  wanted = std::min(std::max(wanted, compact_wanted_), durable);
  const Index base_before = core_.base_position().index;
  const LogPosition base = core_.AdvanceCompaction(wanted, durable);
  if (base.index <= base_before) return;
  unsubmitted_.emplace_back(
      0, GroupWrite{.group = group_, .applied = durable, .compact_to = base.index});
  Turn();
  SubmitPending();
  place_.flush_soon();
}

}  // namespace ringleader::replication
