// A log that lost its end: the promise to act as if it were still there, and the query by which a
// group without a leader finds out that a doubtful promise never counted. The argument for its
// safety is in replication/core.md, "Corruption and doubt".
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "replication/configuration.h"
#include "replication/core.h"

namespace ringleader::replication {
namespace {

// Election timeouts between two queries that change the term: enough for a peer that shows the
// entries to be elected, which ends the doubt better.
constexpr uint32_t kRestTimeouts = 3;

}  // namespace

// A leader, or a snapshot, brought the log to or past the promise: the order of logs by (term,
// index) then says by itself what the promise said.
void Core::SettlePromiseIfKept() {
  if (promise_ == LogPosition{} || InstallPending()) return;
  const LogPosition durable{*log_.TermAt(log_.durable()), log_.durable()};
  if (durable < promise_) return;
  RARE_BRANCH("doubt: a promise is settled");
  promise_ = {};
  doubtful_ = asking_ = false;
  effects_.promise_settled = true;
}

// First without changing anything: a replica that is cut off would otherwise drive the term up and
// unseat a healthy leader when it returns. Then in a new term, which every answerer has on disk
// before it answers, so that no leader of an older term can commit by what it remembers.
void Core::AskDoubt(bool preliminary) {
  if (!Electable()) return;
  if (!preliminary) {
    EndRole();
    RARE_BRANCH("doubt: the group is asked");
    EnterTerm(hard_state_.term + 1, 0);
    role_ = Role::kFollower;
    ResetElectionTimer(role_);
    doubt_rest_ = kRestTimeouts;
  }
  asking_ = true;
  asking_preliminary_ = preliminary;
  doubt_answers_.clear();
  for (const ReplicaId replica : AllVoters(configuration())) {
    if (replica == self_) continue;
    Message query = NewMessage(MessageKind::kDoubtQuery, replica);
    if (preliminary) ++query.term;
    query.position = log_.last();
    query.promise = promise_;
    query.preliminary = preliminary;
    Send(std::move(query));
  }
  DecideDoubt();
}

// A forgetful replica does not testify, nor in a query of the term that it has already: it may have
// held what is asked for, and would count among those that certainly lack it (rule 11).
void Core::StepDoubtQuery(const Message& message) {
  if (Forgetful() && !MUTANT("wiped-voter-returns")) return;
  if (message.preliminary && message.term <= hard_state_.term) {
    return RejectDoubtQuery(message);
  }
  Message answer = NewMessage(MessageKind::kDoubtAnswer, message.from);
  answer.term = message.term;
  answer.position = log_.last();
  answer.promise = promise_;
  answer.doubtful = doubtful_;
  answer.preliminary = message.preliminary;
  answer.round = configuration().version;
  Send(std::move(answer));
}

// It is behind. Tells the term and nothing else: it must not be taken for the answer of one who has
// nothing, and by the time it arrives the asker may be asking in this very term.
void Core::RejectDoubtQuery(const Message& query) {
  Message answer = NewMessage(MessageKind::kDoubtAnswer, query.from);
  answer.rejected = true;
  Send(std::move(answer));
}

void Core::StepDoubtAnswer(const Message& message) {
  if (message.rejected) return;
  if (!asking_ || message.preliminary != asking_preliminary_) return;
  if (message.term != hard_state_.term + (asking_preliminary_ ? 1 : 0)) return;
  if (!IsVoter(configuration(), message.from)) return;
  doubt_answers_.insert_or_assign(message.from, message);
  DecideDoubt();
}

void Core::DecideDoubt() {
  const auto answered = [this](ReplicaId replica) {
    return replica == self_ || doubt_answers_.contains(replica);
  };
  if (asking_preliminary_) {
    if (QuorumHolds(configuration(), answered)) AskDoubt(/*preliminary=*/false);
    return;
  }
  for (const auto& [replica, answer] : doubt_answers_) {
    // Its log names members that the lost entries may have named too: the majorities of this
    // replica's configuration may not be the ones that counted. The lost entries are of this
    // replica's last term or later ones, though: nothing in a log of older terms is among them.
    if (answer.round > configuration().version && answer.position.term >= log_.last().term) return;
  }
  const std::optional<LogPosition> held = HeldAtMost();
  if (!held && !MUTANT("doubt-settled-alone")) return;
  asking_ = false;
  RARE_BRANCH("doubt: answers decide");
  // Whatever can be committed of the lost entries is no further than `held`: that much of the
  // promise stays, and whoever holds it gets this replica's vote.
  promise_ = held ? std::min(promise_, std::max(*held, log_.last())) : log_.last();
  SettlePromiseIfKept();
}

// The furthest place up to which lost entries may be committed, as far as the answers tell.
std::optional<LogPosition> Core::HeldAtMost() const {
  // What an answerer has, or once acknowledged: it never held anything beyond.
  std::vector<LogPosition> reaches;
  LogPosition shown;
  bool all_answered = true;
  for (const ReplicaId replica : AllVoters(configuration())) {
    if (replica == self_) continue;
    const auto known = doubt_answers_.find(replica);
    if (known == doubt_answers_.end()) {
      all_answered = false;
      continue;
    }
    const Message& answer = known->second;
    const LogPosition reach = std::max(answer.position, answer.promise);
    if (Contains(configuration().voters, replica)) reaches.push_back(reach);
    shown = std::max(shown, answer.doubtful ? answer.position : reach);
  }
  std::optional<LogPosition> held;
  // An entry beyond the reach of so many voters that the others are no majority is not committed.
  // Of a joint configuration the new voters count: they decide in it and in what follows it.
  const size_t voters = configuration().voters.size();
  const size_t blocking = voters - voters / 2;
  std::sort(reaches.begin(), reaches.end());
  if (reaches.size() >= blocking) held = reaches[blocking - 1];
  // Nobody shows it and nobody is sure to have had it: then it was never written.
  if (doubtful_ && all_answered) held = held ? std::min(*held, shown) : shown;
  return held;
}

}  // namespace ringleader::replication
