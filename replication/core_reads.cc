// Heartbeat rounds: proof that no other leader was elected when they were sent. They confirm reads
// (Raft section 6.4), let the owner derive the leader's lease, and feed the quorum check. A round
// is named by term and a counter of this object, never by anything a peer or client chose (DESIGN
// section 11, rule 3).
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "replication/core.h"

namespace ringleader::replication {

absl::StatusOr<uint64_t> Core::ReadIndex() {
  if (absl::Status status = CheckServing(); !status.ok()) return status;
  if (waiting_reads_.size() >= options_.waiting_reads_max) {
    return absl::ResourceExhaustedError("too many reads wait for a confirmation");
  }
  waiting_reads_.push_back({++last_read_, commit_, 0});
  return last_read_;
}

// Reads that arrive while a round for earlier ones is under way wait for its end, or for the next
// heartbeat, and share the next round.
bool Core::ReadsNeedRound() const {
  return !waiting_reads_.empty() && waiting_reads_.front().round == 0;
}

void Core::StartRound() {
  CHECK(role_ == Role::kLeader);
  heartbeat_elapsed_ = 0;
  ++round_;
  HeartbeatRound heartbeat{hard_state_.term, round_, {}};
  for (const auto& [replica, progress] : progress_) {
    // What a peer is not known to have must not be called committed there (Raft section 3.5).
    heartbeat.peers.push_back(
        {replica, MUTANT("heartbeat-commits-all") ? commit_ : std::min(progress.match, commit_)});
  }
  effects_.heartbeats.push_back(std::move(heartbeat));
  for (auto read = waiting_reads_.rbegin(); read != waiting_reads_.rend() && read->round == 0;
       ++read) {
    read->round = round_;
  }
  ConfirmRounds();
}

void Core::ConfirmRounds() {
  const uint64_t reached = QuorumValue(configuration(), [this](ReplicaId replica) -> uint64_t {
    if (replica == self_) return round_;
    const auto peer = progress_.find(replica);
    return peer == progress_.end() ? 0 : peer->second.acknowledged_round;
  });
  if (reached <= confirmed_round_) return;
  confirmed_round_ = reached;
  // A leader withdraws its lease before it votes for anybody: of itself it needs no promise.
  const uint64_t promised_us = QuorumValue(configuration(), [&](ReplicaId replica) -> uint64_t {
    if (replica == self_) return UINT64_MAX;
    const auto peer = progress_.find(replica);
    const bool answered = peer != progress_.end() && peer->second.acknowledged_round >= reached;
    return answered ? peer->second.promised_us : 0;
  });
  effects_.confirmed_round = ConfirmedRound{hard_state_.term, reached, promised_us};
  if (waiting_reads_.size() > 1) RARE_BRANCH("reads: several share a round");
  while (!waiting_reads_.empty()) {
    const WaitingRead& read = waiting_reads_.front();
    if (read.round == 0 || read.round > reached) break;
    effects_.reads.push_back({read.read, read.index});
    waiting_reads_.pop_front();
  }
}

void Core::HeartbeatAcknowledged(ReplicaId replica, Term term, uint64_t round) {
  Message answer;
  answer.kind = MessageKind::kHeartbeatAnswer;
  answer.group = group_;
  answer.from = replica;
  answer.to = self_;
  answer.term = term;
  answer.round = round;
  Step(std::move(answer));
}

void Core::StepHeartbeatAnswer(const Message& message) {
  const auto peer = progress_.find(message.from);
  if (role_ != Role::kLeader || peer == progress_.end() || message.round > round_) return;
  Progress& progress = peer->second;
  progress.active = true;
  // An empty peer wants a snapshot; it can't confirm anything, as it does not know whom it voted
  // for.
  const uint64_t round = MUTANT("any-answer-confirms-all") ? round_ : message.round;
  if (!message.lost && round > progress.acknowledged_round) {
    progress.acknowledged_round = round;
    progress.promised_us = message.promised_us;
  }
  ConfirmRounds();
  // The peer is there: an append or an answer that was lost must not stop it for ever.
  progress.probe_sent = false;
  if (progress.state == Progress::State::kReplicate && progress.inflight.full()) {
    progress.inflight.FreeOldest();
  }
  const bool behind = progress.match < LastFor(message.from);
  if (behind || progress.state == Progress::State::kProbe) {
    SendAppends(message.from, /*even_if_empty=*/true);
  }
}

}  // namespace ringleader::replication
