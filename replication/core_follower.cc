// The follower's side of replication: appends, heartbeats and snapshots from a leader (Raft
// sections 3.5, 3.6 and 5.1).
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "replication/configuration.h"
#include "replication/core.h"

namespace ringleader::replication {

bool Core::AppendIsWellFormed(const Message& message) const {
  LogPosition previous = message.position;
  if (previous.term > message.term) return false;
  for (const Entry& entry : message.entries) {
    if (entry.index != previous.index + 1) return false;
    if (entry.term < previous.term || entry.term > message.term || entry.term == 0) return false;
    if (entry.kind == EntryKind::kConfiguration &&
        (entry.payload == nullptr || !DecodeConfiguration(*entry.payload).ok())) {
      return false;
    }
    previous = {entry.term, entry.index};
  }
  return true;
}

void Core::StepAppend(Message& message) {
  if (!AppendIsWellFormed(message)) return;
  HearLeader(message.from);
  if (message.position.index < commit_) {
    // Late: what is committed equals every leader's log. What goes beyond it counts: if it did not,
    // a leader would be told again and again of what this disk has, and send the same each time.
    const Index committed = commit_ - message.position.index;
    if (message.entries.size() <= committed) {
      verified_ = std::max(verified_, commit_);
      return AcknowledgeAppend(/*always=*/true);
    }
    message.entries.erase(message.entries.begin(),
                          message.entries.begin() + static_cast<ptrdiff_t>(committed));
    message.position = {*log_.TermAt(commit_), commit_};
  }
  if (!log_.Matches(message.position)) return RejectAppend(message);
  // The disk is far behind: the leader tries again when a heartbeat is answered.
  if (log_.undurable_bytes() > options_.uncommitted_bytes_max) {
    RARE_BRANCH("follower: an append waits for the disk");
    return;
  }
  TakeAppended(message);
}

void Core::TakeAppended(Message& message) {
  std::vector<Entry>& entries = message.entries;
  const Index reached = message.position.index + entries.size();
  const auto news = std::find_if(entries.begin(), entries.end(), [this](const Entry& entry) {
    return !log_.Matches({entry.term, entry.index});
  });
  if (news != entries.end()) {
    if (news->index <= log_.last().index) {
      RARE_BRANCH("follower: entries are overwritten");
      Truncate(news->index);
    }
    entries.erase(entries.begin(), news);
    for (const Entry& entry : entries) {
      if (entry.kind != EntryKind::kConfiguration) continue;
      AdoptConfiguration(entry.index, *DecodeConfiguration(*entry.payload));
    }
    log_.Append(std::move(entries));
  }
  verified_ = std::max(verified_, reached);
  CommitTo(std::min(message.commit, reached));
  AcknowledgeAppend(/*always=*/verified_ <= log_.durable());
}

void Core::RejectAppend(const Message& message) {
  Message answer = NewMessage(MessageKind::kAppendAnswer, message.from);
  answer.rejected = true;
  answer.index = message.position.index;
  answer.position = log_.HighestPossibleMatch(message.position);
  answer.lost = log_.last() < promise_;
  Send(std::move(answer));
}

// Tells the leader how far this log is durable and equal to the leader's. Acknowledgements of a
// pipeline are folded into one: always == false sends only news.
void Core::AcknowledgeAppend(bool always) {
  if (InstallPending()) return;
  const Index index =
      MUTANT("acknowledges-unsynced") ? verified_ : std::min(verified_, log_.durable());
  if (index <= acknowledged_ && !always) return;
  acknowledged_ = std::max(acknowledged_, index);
  Message answer = NewMessage(MessageKind::kAppendAnswer, leader_);
  answer.position.index = index;
  Send(std::move(answer));
}

void Core::StepHeartbeat(const Message& message) {
  HearLeader(message.from);
  // The leader never names more than this replica acknowledged in this term; less may be left if
  // its log was damaged since.
  CommitTo(std::min(message.commit, log_.last().index));
  Message answer = NewMessage(MessageKind::kHeartbeatAnswer, message.from);
  answer.round = message.round;
  answer.lost = Empty() && !MUTANT("wiped-voter-returns");
  Send(std::move(answer));
  if (log_.last() < promise_) {
    // Without a new entry the leader would not notice what is missing.
    Message lost;
    lost.position = promise_;
    lost.from = message.from;
    RejectAppend(lost);
  }
}

// --- Snapshots ----------------------------------------------------------------------------------

void Core::StepSnapshot(Message& message) {
  SnapshotMeta& meta = message.snapshot;
  if (meta.last.index == 0 || meta.last.term > message.term) return;
  if (!ValidateConfiguration(meta.configuration).ok()) return;
  HearLeader(message.from);
  if (installing_) return;
  // A new voter was a learner first and has a log. An empty one lost its log and its votes, and
  // never returns under this id (rule 11), nor by a snapshot from before it was a voter.
  const bool counted = message.lost || IsVoter(meta.configuration, self_);
  if (Forgetful() && counted && !MUTANT("wiped-voter-returns")) {
    RARE_BRANCH("follower: a voter without a log refuses a snapshot");
    refused_to_vote_ = true;
    return;
  }
  if (meta.last.index <= commit_ || log_.Matches(meta.last)) {
    // Nothing to gain: the log has it all.
    CommitTo(meta.last.index);
    verified_ = std::max(verified_, commit_);
    return AcknowledgeAppend(/*always=*/true);
  }
  InstallSnapshot(std::move(meta));
}

void Core::InstallSnapshot(SnapshotMeta meta) {
  RARE_BRANCH("follower: a snapshot is installed");
  log_.Reset(meta.last);
  persist_handed_ = handed_ = commit_ = verified_ = meta.last.index;
  acknowledged_ = 0;
  for (PendingBatch& batch : pending_batches_) batch.last_index = 0;
  // Entries that nobody took yet are covered by the snapshot.
  effects_.apply.clear();
  std::erase_if(effects_.fetches,
                [this](const FetchRequest& fetch) { return fetch.replica == self_; });
  apply_fetch_pending_ = apply_fetch_retry_ = false;
  configurations_.clear();
  configurations_.push_back({meta.last.index, meta.configuration});
  installing_ = std::move(meta);
  install_unhanded_ = true;
}

}  // namespace ringleader::replication
