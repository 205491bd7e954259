// The leader's side of replication: proposals, appends, their answers, commitment (Raft sections
// 3.5, 3.6 and 10.2.1).
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "replication/configuration.h"
#include "replication/core.h"

namespace ringleader::replication {

// --- Proposing ----------------------------------------------------------------------------------

absl::Status Core::CheckServing() const {
  if (role_ != Role::kLeader) return absl::FailedPreconditionError("not the leader");
  if (!ready_to_serve()) {
    return absl::UnavailableError("the new leader has not applied its first entry");
  }
  return absl::OkStatus();
}

absl::StatusOr<LogPosition> Core::Propose(std::vector<Payload> payloads) {
  CHECK(!payloads.empty());
  if (absl::Status status = CheckServing(); !status.ok()) return status;
  for (const Payload& payload : payloads) {
    // Before anybody has it: a log that refused it later would stop the replica, and every other.
    if (payload != nullptr && payload->size() > options_.entry_bytes_max) {
      return absl::InvalidArgumentError("an entry larger than a log takes");
    }
  }
  if (transferee_ != 0) return absl::UnavailableError("leadership is being transferred");
  if (uncommitted_bytes_ >= options_.uncommitted_bytes_max) {
    return absl::ResourceExhaustedError("too many bytes wait to be committed");
  }
  if (unapplied_bytes_ >= options_.unapplied_bytes_max) {
    return absl::ResourceExhaustedError("too many bytes wait to be applied");
  }
  std::vector<Entry> entries(payloads.size());
  for (size_t i = 0; i < payloads.size(); ++i) {
    entries[i].kind = EntryKind::kCommand;
    entries[i].payload = std::move(payloads[i]);
  }
  return AppendEntries(std::move(entries));
}

// Gives the entries their positions in this leader's log; returns the first.
LogPosition Core::AppendEntries(std::vector<Entry> entries) {
  CHECK(role_ == Role::kLeader);
  const LogPosition first{hard_state_.term, log_.last().index + 1};
  uint64_t bytes = 0;
  Index index = first.index;
  for (Entry& entry : entries) {
    entry.term = first.term;
    entry.index = index++;
    bytes += CostBytes(entry);
  }
  log_.Append(std::move(entries));
  uncommitted_.push_back({log_.last().index, bytes});
  uncommitted_bytes_ += bytes;
  broadcast_ = true;
  return first;
}

// --- Sending ------------------------------------------------------------------------------------

void Core::BroadcastAppends() {
  for (auto& [replica, progress] : progress_) {
    // A follower learns a new commit index with the next entries, or by an empty append if none are
    // to come soon.
    const bool news = progress.sent_commit < commit_ && !proposal_expected_;
    SendAppends(replica, /*even_if_empty=*/news);
  }
}

// What was expected may never be proposed.
void Core::SendCommitNews() {
  for (auto& [replica, progress] : progress_) {
    if (progress.sent_commit < commit_) SendAppends(replica, /*even_if_empty=*/true);
  }
}

void Core::SendAppends(ReplicaId to, bool even_if_empty) {
  Progress& progress = progress_.at(to);
  while (SendAppend(to, progress, even_if_empty)) even_if_empty = false;
}

// Sends one append if the peer's state allows one; true if it did.
bool Core::SendAppend(ReplicaId to, Progress& progress, bool even_if_empty) {
  if (progress.Paused()) return false;
  if (progress.next <= log_.base().index) {
    RequestSnapshot(to, progress, log_.base().index);
    return false;
  }
  const Index last = LastFor(to);
  std::vector<Entry> entries;
  if (progress.next <= last) {
    if (progress.next < log_.cache_first()) {
      FetchFor(to, progress);
      return false;
    }
    entries = log_.Cached(progress.next, last, options_.append_bytes_max);
  } else if (!even_if_empty) {
    return false;
  }
  EmitAppend(to, progress, std::move(entries));
  return true;
}

void Core::EmitAppend(ReplicaId to, Progress& progress, std::vector<Entry> entries) {
  CHECK(HardStateDurable());
  Message append = NewMessage(MessageKind::kAppend, to);
  append.position = {*log_.TermAt(progress.next - 1), progress.next - 1};
  append.commit = commit_;
  progress.sent_commit = commit_;
  if (progress.state == Progress::State::kProbe) {
    progress.probe_sent = true;
  } else if (!entries.empty()) {
    uint64_t bytes = 0;
    for (const Entry& entry : entries) bytes += CostBytes(entry);
    progress.next = entries.back().index + 1;
    progress.inflight.Add(entries.back().index, bytes);
  }
  append.entries = std::move(entries);
  Send(std::move(append));
}

// A learner gets what is committed only. One that had more than every voter that is left would
// refuse its vote to all of them, were it asked as a new voter by a candidate whose change of
// members did not get through (core.md, "Membership").
Index Core::LastFor(ReplicaId to) const {
  if (IsVoter(configuration(), to) || MUTANT("learner-runs-ahead")) return log_.last().index;
  return commit_;
}

void Core::FetchFor(ReplicaId to, Progress& progress) {
  const Index last = std::min(LastFor(to), log_.cache_first() - 1);
  effects_.fetches.push_back({to, progress.next, last, options_.append_bytes_max});
  progress.fetching = true;
}

void Core::RequestSnapshot(ReplicaId to, Progress& progress, Index at_least) {
  if (!progress.active) return;  // building one for a dead peer is work for nothing
  progress.BecomeSnapshot();
  Message message = NewMessage(MessageKind::kSnapshot, to);
  // The snapshot is of what is applied, or newer, and tells by itself what it contains.
  message.lost = std::any_of(configurations_.begin(), configurations_.end(),
                             [&](const auto& placed) {
                               return placed.index > applied_ && IsVoter(placed.configuration, to);
                             }) &&
                 !MUTANT("fills-later-voter");
  effects_.snapshots.push_back({std::move(message), at_least});
}

void Core::EntriesFetched(ReplicaId replica, Index first,
                          absl::StatusOr<std::vector<Entry>> entries) {
  if (replica == self_) return ApplyFetched(first, std::move(entries));
  const auto peer = progress_.find(replica);
  if (peer == progress_.end()) return;
  Progress& progress = peer->second;
  if (!progress.fetching) return;
  progress.fetching = false;
  // The peer answered meanwhile and needs others by now.
  if (progress.next != first) return SendAppends(replica, /*even_if_empty=*/false);
  if (entries.ok()) {  // it may have been made a learner since
    std::erase_if(*entries,
                  [last = LastFor(replica)](const Entry& entry) { return entry.index > last; });
  }
  if (progress.next <= log_.base().index || absl::IsOutOfRange(entries.status())) {
    RequestSnapshot(replica, progress, log_.base().index);
  } else if (absl::IsDataLoss(entries.status()) && first <= applied_) {
    // Its disk lost it. Peers that wait for it can commit nothing; what it did is in the state.
    RARE_BRANCH("leader: a snapshot stands in for an entry that can't be read");
    RequestSnapshot(replica, progress, first);
  } else if (!entries.ok() || entries->empty() || !IsOurs(*entries, first)) {
    progress.BecomeProbe();
    progress.probe_sent = true;  // retried when a heartbeat is answered
  } else if (!progress.Paused()) {
    EmitAppend(replica, progress, *std::move(entries));
    SendAppends(replica, /*even_if_empty=*/false);
  }
}

void Core::ReportUnreachable(ReplicaId replica) {
  const auto peer = progress_.find(replica);
  if (peer == progress_.end()) return;
  // What was under way is probably lost.
  if (peer->second.state == Progress::State::kReplicate) peer->second.BecomeProbe();
}

void Core::ReportSnapshot(ReplicaId replica, absl::StatusOr<Index> last) {
  const auto peer = progress_.find(replica);
  if (peer == progress_.end() || !peer->second.snapshot_requested) return;
  Progress& progress = peer->second;
  progress.BecomeProbe();
  if (last.ok()) progress.next = std::max(progress.next, std::min(*last, log_.last().index) + 1);
  // The peer is still installing, or it failed: either way nothing is sent until it answers.
  progress.probe_sent = true;
}

// --- Answers ------------------------------------------------------------------------------------

void Core::StepAppendAnswer(const Message& message) {
  const auto peer = progress_.find(message.from);
  if (role_ != Role::kLeader || peer == progress_.end()) return;
  Progress& progress = peer->second;
  progress.active = true;
  if (message.rejected) return StepAppendRejected(message, progress);
  const Index index = message.position.index;
  if (index > log_.last().index || index < progress.match) return;
  progress.match = index;
  switch (progress.state) {
    case Progress::State::kProbe:
      progress.BecomeReplicate();
      break;
    case Progress::State::kReplicate:
      progress.next = std::max(progress.next, index + 1);
      progress.inflight.FreeTo(index);
      break;
    case Progress::State::kSnapshot:
      progress.next = index + 1;
      if (index >= log_.base().index) progress.BecomeReplicate();
      break;
  }
  AdvanceCommit();
  if (role_ != Role::kLeader) return;
  SendTimeoutNowIfCaughtUp();
  SendAppends(message.from, /*even_if_empty=*/false);
}

void Core::StepAppendRejected(const Message& message, Progress& progress) {
  const LogPosition hint = message.position;
  const Index agree =
      hint.index < log_.base().index ? hint.index : log_.HighestPossibleMatch(hint).index;
  // It says that it lost what it had acknowledged, or a probe right behind that did not fit. Late
  // answers do no harm here: what is known of the peer is less than the truth, until it answers.
  const bool probed =
      progress.state == Progress::State::kProbe && message.index == progress.next - 1;
  if ((message.lost || probed) && agree < progress.match) {
    // What was committed with its help stays committed. A peer that knows of its loss votes for
    // nobody who lacks that; one that does not is given it at once.
    if (!message.lost) RARE_BRANCH("leader: a peer may have lost what it acknowledged");
    progress.match = agree;
    if (progress.state == Progress::State::kSnapshot) return;
    progress.BecomeProbe();
  } else if (progress.state == Progress::State::kReplicate) {
    if (message.index <= progress.match) return;  // late
    progress.BecomeProbe();
  } else if (progress.state == Progress::State::kProbe) {
    if (message.index != progress.next - 1) return;  // late
    progress.next = std::max(std::min(message.index, agree + 1), progress.match + 1);
    progress.probe_sent = false;
  } else {
    return;
  }
  SendAppends(message.from, /*even_if_empty=*/true);
}

// --- Commitment ---------------------------------------------------------------------------------

// Only an entry of this term commits by counting; those before it commit with it (rule 1). The
// leader counts its own entries once they are durable here.
void Core::AdvanceCommit() {
  if (role_ != Role::kLeader) return;
  const Index reached = QuorumValue(configuration(), [this](ReplicaId replica) -> Index {
    if (replica == self_)
      return MUTANT("counts-unsynced-self") ? log_.last().index : log_.durable();
    const auto peer = progress_.find(replica);
    return peer == progress_.end() ? 0 : peer->second.match;
  });
  if (reached > commit_ &&
      (log_.TermAt(reached) == hard_state_.term || MUTANT("counts-older-terms"))) {
    CommitTo(reached);
    LeaveJointIfCommitted();
    StepDownIfRemoved();
  }
}

void Core::CommitTo(Index index) {
  if (index <= commit_) return;
  CHECK_LE(index, log_.last().index);
  commit_ = index;
  broadcast_ = role_ == Role::kLeader;
  for (; !uncommitted_.empty() && uncommitted_.front().last <= commit_; uncommitted_.pop_front()) {
    const Charge charge = uncommitted_.front();
    uncommitted_bytes_ -= charge.bytes;
    unapplied_.push_back(charge);
    unapplied_bytes_ += charge.bytes;
  }
}

}  // namespace ringleader::replication
