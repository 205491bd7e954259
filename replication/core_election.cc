// Elections: timeouts, pre-votes, votes, stickiness, the silence after a restart, and what ends a
// leadership (Raft sections 3.4, 4.2.3, 6.2, 9.6; DESIGN section 11, rules 6 and 7).
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "replication/configuration.h"
#include "replication/core.h"

namespace ringleader::replication {

void Core::TickElection() {
  if (leader_silence_ < options_.election_ticks) ++leader_silence_;
  if (++election_elapsed_ < election_timeout_) {
    if (election_elapsed_ % options_.heartbeat_ticks == 0) AskVoters();
    return;
  }
  ResetElectionTimer(role_);
  leader_ = 0;
  if (Silent()) return;
  if (promise_ != LogPosition{} && !MUTANT("stands-below-promise")) {
    if (doubt_rest_ > 0) {
      --doubt_rest_;
    } else {
      AskDoubt(/*preliminary=*/true);
    }
    return;
  }
  StartElection(/*preliminary=*/true, /*transfer=*/false);
}

void Core::TickLeader() {
  if (transferee_ != 0 && ++transfer_elapsed_ >= options_.election_ticks) AbortTransfer();
  if (++election_elapsed_ >= options_.election_ticks) {
    election_elapsed_ = 0;
    CheckQuorum();
    if (role_ != Role::kLeader) return;
  }
  if (++heartbeat_elapsed_ >= options_.heartbeat_ticks) StartRound();
  SendCommitNews();
}

// A leader that no quorum answers steps down: its clients should look elsewhere, and its voters may
// have elected another. So does one whose reads nobody confirms: they would wait for ever.
void Core::CheckQuorum() {
  const bool heard = QuorumHolds(configuration(), [this](ReplicaId replica) {
    const auto peer = progress_.find(replica);
    return replica == self_ || (peer != progress_.end() && peer->second.active);
  });
  for (auto& [replica, progress] : progress_) {
    progress.was_active = std::exchange(progress.active, false);
  }
  const bool confirmed = std::exchange(checked_round_, confirmed_round_) < confirmed_round_;
  if (!heard || (!confirmed && !waiting_reads_.empty())) {
    return BecomeFollower(hard_state_.term, 0);
  }
  LeadAnewIfWithoutLease();
}

// The newest request for a vote that came meanwhile is taken up as if it had come only now. After
// an outage of everybody the voters' silence ends at about the same time: the first that stands is
// a little early for the others, and would have to ask them again.
void Core::TickSilence() {
  if (silence_left_ == 0 || --silence_left_ > 0 || !heard_in_silence_.has_value()) return;
  Step(*std::exchange(heard_in_silence_, std::nullopt));
}

bool Core::Silent() const { return silence_left_ > 0 && !IsOnlyVoter(configuration(), self_); }

bool Core::LeaderIsFresh() const {
  if (role_ == Role::kLeader) return true;
  return leader_silence_ < options_.election_ticks;
}

// A replica that its latest configuration does not name still counts itself in while that is not
// committed: it may be the only one that has it, and nobody else could win (Raft section 4.2.2).
bool Core::Electable() const {
  if (IsVoter(configuration(), self_)) return true;
  if (configuration_index() <= commit_) return false;
  return IsVoter(configuration_at(configuration_index() - 1), self_);
}

// A replica that lost what it acknowledged may not stand: it could win over peers that hold less
// than it once promised to hold.
bool Core::Promotable() const {
  return Electable() && (promise_ == LogPosition{} || MUTANT("stands-below-promise"));
}

// What a candidate has to reach: what this replica has, or once acknowledged.
LogPosition Core::VotingPosition() const {
  return MUTANT("votes-below-promise") ? log_.last() : std::max(log_.last(), promise_);
}

void Core::Campaign() {
  if (role_ == Role::kLeader || Silent()) return;
  StartElection(/*preliminary=*/true, /*transfer=*/false);
}

void Core::StartElection(bool preliminary, bool transfer) {
  if (!Promotable()) return;
  CHECK(role_ != Role::kLeader);
  EndRole();
  if (!preliminary) EnterTerm(hard_state_.term + 1, self_);
  leader_ = 0;
  role_ = preliminary ? Role::kPreCandidate : Role::kCandidate;
  by_transfer_ = transfer;
  ResetElectionTimer(role_);
  AskVoters();
  // The vote for itself counts once it is durable, like any other (ReleaseWaitingMessages).
  if (preliminary) CountOwnVote();
}

// Those that have not answered: a request on a connection that had just broken is lost, and one
// that came while a voter kept silent was ignored.
void Core::AskVoters() {
  if (role_ != Role::kPreCandidate && role_ != Role::kCandidate) return;
  const bool preliminary = role_ == Role::kPreCandidate;
  for (const ReplicaId replica : AllVoters(configuration())) {
    if (replica == self_ || votes_.contains(replica)) continue;
    Message request = NewMessage(preliminary ? MessageKind::kPreVote : MessageKind::kVote, replica);
    if (preliminary) ++request.term;
    request.position = log_.last();
    request.transfer = by_transfer_;
    Send(std::move(request));
  }
}

void Core::CountOwnVote() { RecordVote(self_, true); }

void Core::RecordVote(ReplicaId from, bool granted) {
  votes_.try_emplace(from, granted);
  const Decision decision = QuorumDecision(configuration(), [this](ReplicaId replica) {
    const auto vote = votes_.find(replica);
    if (vote == votes_.end()) return 0;
    return vote->second ? 1 : -1;
  });
  if (decision == Decision::kLost) {
    const bool split = role_ == Role::kCandidate;
    BecomeFollower(hard_state_.term, 0);
    if (split) ResetElectionTimer(Role::kPreCandidate);
  }
  if (decision != Decision::kWon) return;
  if (role_ == Role::kPreCandidate) {
    StartElection(/*preliminary=*/false, /*transfer=*/false);
  } else {
    BecomeLeader();
  }
}

void Core::StepVote(const Message& message) {
  if (Forgetful() && !MUTANT("wiped-voter-returns")) return;
  const bool preliminary = message.kind == MessageKind::kPreVote;
  const bool free =
      preliminary ? message.term > hard_state_.term
                  : hard_state_.vote == message.from || (hard_state_.vote == 0 && leader_ == 0);
  // Configurations are not consulted: the candidate's log may be the newer one and make this
  // replica a voter before its own log does (Raft section 4.1; rule 14). A candidate counts only
  // those that its own configuration names.
  const bool granted =
      free && (message.position >= VotingPosition() || MUTANT("votes-for-older-logs"));
  Message answer = NewMessage(preliminary ? MessageKind::kPreVoteAnswer : MessageKind::kVoteAnswer,
                              message.from);
  answer.rejected = !granted;
  if (granted && preliminary) answer.term = message.term;
  if (granted && !preliminary) {
    // Once: a candidate asks again while it has no answer.
    if (hard_state_.vote != message.from) {
      BecomeFollower(hard_state_.term, 0);  // a pre-candidate gives up
      hard_state_.vote = message.from;
    }
  }
  Send(std::move(answer));
}

void Core::StepVoteAnswer(const Message& message) {
  if (message.kind == MessageKind::kPreVoteAnswer) {
    if (role_ != Role::kPreCandidate) return;
    const Term asked = hard_state_.term + 1;
    if (message.term != (message.rejected ? hard_state_.term : asked)) return;
  } else if (role_ != Role::kCandidate || message.term != hard_state_.term) {
    return;
  }
  RecordVote(message.from, !message.rejected);
}

void Core::BecomeLeader() {
  CHECK(role_ == Role::kCandidate);
  CHECK(HardStateDurable()) << "leader of a term that is not on disk";
  votes_.clear();
  role_ = Role::kLeader;
  leader_ = self_;
  election_elapsed_ = 0;
  checked_round_ = confirmed_round_ = round_;
  lease_withdrawn_ = !IsVoter(configuration(), self_);
  progress_.clear();
  RebuildProgress();
  term_first_index_ = log_.last().index + 1;
  if (MUTANT("serves-before-own-entry")) term_first_index_ = 0;
  // Nothing of an earlier term may be committed by counting, hence an entry of this one (rules 1
  // and 2; Raft section 5.4.2).
  Entry first;
  first.kind = EntryKind::kEmpty;
  std::vector<Entry> entries;
  entries.push_back(std::move(first));
  AppendEntries(std::move(entries));
  StartRound();
}

}  // namespace ringleader::replication
