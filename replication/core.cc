#include "replication/core.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "replication/configuration.h"

namespace ringleader::replication {
namespace {

// Answers that wait for the hard state. There is at most one per peer and kind; the bound is for
// senders that are not members.
constexpr size_t kWaitingMessagesMax = 256;

void CheckOptions(const CoreOptions& options) {
  CHECK_GE(options.heartbeat_ticks, 1u);
  CHECK_LT(options.heartbeat_ticks, options.election_ticks);
  CHECK_GE(options.inflight_messages_max, 1u);
  CHECK_GE(options.inflight_bytes_max, 1u);
  CHECK_GE(options.append_bytes_max, 1u);
  CHECK_GE(options.uncommitted_bytes_max, 1u);
  CHECK_GE(options.unapplied_bytes_max, 1u);
}

void CheckRecovered(const RecoveredState& state) {
  CHECK_NE(state.group, 0u);
  CHECK_NE(state.replica, 0u);
  CHECK_LE(state.base.index, state.applied);
  CHECK_LE(state.applied, state.last_index);
  CHECK_LE(state.configuration_index, state.applied);
  CHECK_GE(state.hard_state.term, state.base.term);
  if (!state.term_runs.empty()) CHECK_GE(state.hard_state.term, state.term_runs.back().term);
  if (state.configuration.voters.empty()) {
    CHECK_EQ(state.last_index, 0u) << "a log without a configuration";
  } else {
    CHECK_GE(state.base.index, 1u) << "a group begins at index 1 or above";
    CHECK_OK(ValidateConfiguration(state.configuration));
  }
}

bool AsksForVote(const Message& message) {
  return message.kind == MessageKind::kVote || message.kind == MessageKind::kPreVote;
}

}  // namespace

Core::Core(const CoreOptions& options, RecoveredState recovered, Random random)
    : options_(options),
      random_(random),
      group_(recovered.group),
      self_(recovered.replica),
      hard_state_(recovered.hard_state),
      durable_hard_state_(recovered.hard_state),
      handed_hard_state_(recovered.hard_state),
      log_(recovered, options.entry_cache_bytes_max),
      commit_(recovered.applied),
      handed_(recovered.applied),
      applied_(recovered.applied),
      persist_handed_(recovered.last_index),
      promise_(recovered.promised),
      doubtful_(recovered.doubtful) {
  CheckOptions(options);
  CheckRecovered(recovered);
  configurations_.push_back({recovered.configuration_index, std::move(recovered.configuration)});
  for (PlacedConfiguration& later : recovered.later_configurations) {
    CHECK(later.index > applied_ && later.index > configurations_.back().index);
    CHECK_LE(later.index, recovered.last_index);
    configurations_.push_back(std::move(later));
  }
  // As long as it refuses others after it heard a leader (stickiness), or did before; one more as
  // the first tick may come at once.
  if (recovered.restarted && !MUTANT("votes-after-restart")) {
    const uint32_t silence = std::max(options_.election_ticks - 1, recovered.promised_ticks) + 2;
    const uint32_t away =
        MUTANT("away-counts-twice") ? 2 * recovered.ticks_away : recovered.ticks_away;
    silence_left_ = silence - std::min(silence, away);
  }
  reported_ = {role_, hard_state_.term, leader_};
  ResetElectionTimer(role_);
  election_elapsed_ = std::min(recovered.ticks_away, options_.election_ticks);
  SettlePromiseIfKept();
}

// --- Dispatch -----------------------------------------------------------------------------------

void Core::Step(Message message) {
  const bool for_us = message.group == group_ && message.to == self_;
  if (!for_us || message.from == 0 || message.from == self_ || message.term == 0) return;
  if (message.witness) return;
  if (AsksForVote(message) && Silent() && message.term >= hard_state_.term) {
    heard_in_silence_ = std::move(message);
    return;
  }
  if (StepTerm(message)) StepKind(message);
}

// Whether a message of a higher term leaves this replica's term alone.
static bool KeepsTerm(const Message& message) {
  switch (message.kind) {
    case MessageKind::kPreVote:
      return true;
    case MessageKind::kPreVoteAnswer:
      return !message.rejected;  // carries the term that was asked for
    case MessageKind::kDoubtQuery:
    case MessageKind::kDoubtAnswer:
      return message.preliminary;
    default:
      return false;
  }
}

// Compares terms (Raft figure 2, "rules for servers"). False: the message is done with.
bool Core::StepTerm(const Message& message) {
  if (message.term == hard_state_.term) return true;
  if (message.term < hard_state_.term) {
    if (message.kind == MessageKind::kAppendAnswer && MUTANT("takes-older-acknowledgements")) {
      return true;
    }
    AnswerOldTerm(message);
    return false;
  }
  const bool vote = AsksForVote(message);
  const bool doubt = message.kind == MessageKind::kDoubtQuery;
  // A forgetful replica neither votes nor testifies (rule 11).
  if ((vote || doubt) && Forgetful() && !MUTANT("wiped-voter-returns")) return false;
  if (doubt && Silent()) return false;
  // Stickiness: whoever hears a leader neither votes nor adopts a candidate's term (Raft section
  // 4.2.3; rule 6).
  if ((vote || doubt) && !message.transfer && LeaderIsFresh() && !MUTANT("no-stickiness")) {
    return false;
  }
  if (KeepsTerm(message)) return true;
  const uint32_t elapsed = election_elapsed_;
  BecomeFollower(message.term, 0);
  // A query must not put off the election of whoever can end the doubt.
  if (doubt) election_elapsed_ = elapsed;
  return true;
}

void Core::AnswerOldTerm(const Message& message) {
  switch (message.kind) {
    // A leader that was left behind (this replica moved on while cut off) has to learn the newer
    // term, or it would go on for ever without this replica.
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot: {
      Message answer = NewMessage(MessageKind::kAppendAnswer, message.from);
      answer.rejected = true;
      Send(std::move(answer));
      return;
    }
    case MessageKind::kPreVote: {
      Message answer = NewMessage(MessageKind::kPreVoteAnswer, message.from);
      answer.rejected = true;
      Send(std::move(answer));
      return;
    }
    case MessageKind::kDoubtQuery:
      return RejectDoubtQuery(message);
    default:
      return;
  }
}

void Core::StepKind(Message& message) {
  switch (message.kind) {
    case MessageKind::kPreVote:
    case MessageKind::kVote:
      return StepVote(message);
    case MessageKind::kPreVoteAnswer:
    case MessageKind::kVoteAnswer:
      return StepVoteAnswer(message);
    case MessageKind::kAppend:
      return StepAppend(message);
    case MessageKind::kAppendAnswer:
      return StepAppendAnswer(message);
    case MessageKind::kHeartbeat:
      return StepHeartbeat(message);
    case MessageKind::kHeartbeatAnswer:
      return StepHeartbeatAnswer(message);
    case MessageKind::kSnapshot:
      return StepSnapshot(message);
    case MessageKind::kTimeoutNow:
      return StepTimeoutNow(message);
    case MessageKind::kDoubtQuery:
      return StepDoubtQuery(message);
    case MessageKind::kDoubtAnswer:
      return StepDoubtAnswer(message);
  }
}

void Core::Tick() {
  TickSilence();
  if (apply_fetch_retry_) apply_fetch_pending_ = apply_fetch_retry_ = false;
  if (role_ == Role::kLeader) {
    TickLeader();
  } else {
    TickElection();
  }
}

// --- Terms and roles ----------------------------------------------------------------------------

void Core::BecomeFollower(Term term, ReplicaId leader) {
  CHECK_GE(term, hard_state_.term);
  EndRole();
  if (term > hard_state_.term) EnterTerm(term, 0);
  role_ = Role::kFollower;
  leader_ = leader;
  ResetElectionTimer(role_);
}

// What waited to be said in the old term is void: acknowledgements of another leader's entries
// must not count in this one (rule 9).
void Core::EnterTerm(Term term, ReplicaId vote) {
  CHECK_GT(term, hard_state_.term);
  hard_state_ = {term, vote};
  waiting_messages_.clear();
  verified_ = 0;
  acknowledged_ = 0;
  leader_ = 0;
  asking_ = false;
  doubt_answers_.clear();
}

void Core::EndRole() {
  votes_.clear();
  if (role_ != Role::kLeader) return;
  role_ = Role::kFollower;
  effects_.lease_revoked = true;
  effects_.lost_leadership = LostLeadership{hard_state_.term, commit_};
  for (const WaitingRead& read : waiting_reads_) effects_.aborted_reads.push_back(read.read);
  waiting_reads_.clear();
  progress_.clear();
  transferee_ = 0;
  timeout_now_sent_ = false;
  lease_withdrawn_ = false;
  uncommitted_.clear();
  unapplied_.clear();
  uncommitted_bytes_ = 0;
  unapplied_bytes_ = 0;
  // Requests that were not taken yet belong to the leadership that ended.
  effects_.heartbeats.clear();
  effects_.confirmed_round.reset();
  effects_.snapshots.clear();
  std::erase_if(effects_.fetches,
                [this](const FetchRequest& fetch) { return fetch.replica != self_; });
}

// core.md, "How long nobody leads".
void Core::ResetElectionTimer(Role role) {
  const uint32_t ticks = options_.election_ticks;
  election_elapsed_ = 0;
  switch (role) {
    case Role::kFollower:
    case Role::kLeader:
      election_timeout_ = ticks + 1;
      break;
    case Role::kPreCandidate:
      election_timeout_ = ticks / 3 + 1;
      break;
    case Role::kCandidate:
      election_timeout_ = ticks / 2 + 1;
      break;
  }
  election_timeout_ += static_cast<uint32_t>(random_.Below(std::max(ticks / 2, 2u)));
}

void Core::HearLeader(ReplicaId leader) {
  CHECK(role_ != Role::kLeader) << "two leaders in term " << hard_state_.term;
  CHECK(leader_ == 0 || leader_ == leader) << "two leaders in term " << hard_state_.term;
  if (role_ != Role::kFollower) BecomeFollower(hard_state_.term, leader);
  leader_ = leader;
  leader_silence_ = 0;
  election_elapsed_ = 0;
  // One whose vote was split stands again soon, unless another has won.
  if (election_timeout_ <= options_.election_ticks) ResetElectionTimer(Role::kFollower);
  asking_ = false;
}

// --- Sending ------------------------------------------------------------------------------------

Message Core::NewMessage(MessageKind kind, ReplicaId to) const {
  Message message;
  message.kind = kind;
  message.group = group_;
  message.from = self_;
  message.to = to;
  message.term = hard_state_.term;
  return message;
}

void Core::Send(Message message) {
  if (HardStateDurable()) {
    effects_.messages.push_back(std::move(message));
    return;
  }
  for (Message& waiting : waiting_messages_) {
    if (waiting.kind == message.kind && waiting.to == message.to) {
      waiting = std::move(message);
      return;
    }
  }
  if (waiting_messages_.size() < kWaitingMessagesMax) {
    waiting_messages_.push_back(std::move(message));
  }
}

void Core::ReleaseWaitingMessages() {
  if (!HardStateDurable()) return;
  for (Message& message : waiting_messages_) effects_.messages.push_back(std::move(message));
  waiting_messages_.clear();
  if (role_ == Role::kCandidate) CountOwnVote();
}

}  // namespace ringleader::replication
