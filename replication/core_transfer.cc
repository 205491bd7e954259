// Leadership transfer (Raft section 3.10). The asked voter's election ignores stickiness, hence
// this leader's lease ends before the request is sent and does not return in this term, whatever
// becomes of the transfer (DESIGN section 11, rule 5). If nothing becomes of it, this leader has
// itself elected once more: in the next term the request is void, wherever it still is.
#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "replication/configuration.h"
#include "replication/core.h"

namespace ringleader::replication {

absl::Status Core::TransferLeadership(ReplicaId to) {
  if (absl::Status status = CheckServing(); !status.ok()) return status;
  if (to == self_ || !Contains(configuration().voters, to)) {
    return absl::InvalidArgumentError("leadership can only go to another voter");
  }
  if (transferee_ == to) return absl::OkStatus();
  if (transferee_ != 0) {
    return absl::FailedPreconditionError("leadership is being transferred to another voter");
  }
  transferee_ = to;
  transfer_elapsed_ = 0;
  timeout_now_sent_ = false;
  SendTimeoutNowIfCaughtUp();
  if (!timeout_now_sent_) SendAppends(to, /*even_if_empty=*/true);
  return absl::OkStatus();
}

void Core::SendTimeoutNowIfCaughtUp() {
  if (transferee_ == 0 || timeout_now_sent_) return;
  const auto peer = progress_.find(transferee_);
  if (peer == progress_.end() || peer->second.match < log_.last().index) return;
  timeout_now_sent_ = true;
  RARE_BRANCH("transfer: a voter is asked to stand");
  if (!MUTANT("lease-outlives-transfer")) lease_withdrawn_ = effects_.lease_revoked = true;
  Send(NewMessage(MessageKind::kTimeoutNow, transferee_));
}

void Core::AbortTransfer() {
  if (transferee_ != 0) RARE_BRANCH("transfer: given up");
  transferee_ = 0;
  timeout_now_sent_ = false;
}

// Once a quorum was heard since. The voters answer at once, as nobody has a lease.
void Core::LeadAnewIfWithoutLease() {
  if (!lease_withdrawn_ || transferee_ != 0) return;
  if (!IsVoter(configuration(), self_) || !Promotable()) return;
  RARE_BRANCH("transfer: a leader that is left without a lease stands again");
  BecomeFollower(hard_state_.term, 0);
  StartElection(/*preliminary=*/false, /*transfer=*/true);
}

void Core::StepTimeoutNow(const Message& message) {
  if (role_ != Role::kFollower || message.term != hard_state_.term || Silent()) return;
  StartElection(/*preliminary=*/false, /*transfer=*/true);
}

}  // namespace ringleader::replication
