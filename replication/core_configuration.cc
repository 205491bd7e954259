// Membership: joint consensus (Raft section 6 of the 2014 paper; section 4.3 of the dissertation).
// A configuration is in force from the moment it is in the log; why, and why voters are demoted
// before they are removed: replication/core.md, "Membership".
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "replication/configuration.h"
#include "replication/core.h"

namespace ringleader::replication {
namespace {

Entry ConfigurationEntry(const Configuration& configuration) {
  Entry entry;
  entry.kind = EntryKind::kConfiguration;
  entry.payload = std::make_shared<const std::string>(EncodeConfiguration(configuration));
  return entry;
}

}  // namespace

absl::StatusOr<LogPosition> Core::ProposeConfiguration(std::vector<Member> voters,
                                                       std::vector<Member> learners) {
  if (absl::Status status = CheckServing(); !status.ok()) return status;
  if (transferee_ != 0) return absl::UnavailableError("leadership is being transferred");
  if (configuration().joint() || configuration_index() > commit_) {
    return absl::FailedPreconditionError("a membership change is under way");
  }
  Configuration next = BeginChange(configuration(), std::move(voters), std::move(learners));
  if (absl::Status status = CheckChange(next); !status.ok()) return status;
  return AppendConfiguration(std::move(next));
}

absl::Status Core::CheckChange(const Configuration& next) const {
  if (absl::Status status = ValidateConfiguration(next); !status.ok()) return status;
  const Configuration& current = configuration();
  if (next.voters == current.voters && next.learners == current.learners) {
    return absl::InvalidArgumentError("these are the members already");
  }
  for (const auto* list : {&next.voters, &next.learners}) {
    for (const Member& member : *list) {
      for (const auto* old : {&current.voters, &current.learners}) {
        for (const Member& known : *old) {
          if (known.replica == member.replica && known.node != member.node) {
            return absl::InvalidArgumentError("a replica can't move to another node");
          }
        }
      }
    }
  }
  for (const Member& voter : current.voters) {
    if (!IsMember(next, voter.replica) ||
        (!Contains(next.voters, voter.replica) && !Contains(next.learners, voter.replica))) {
      return absl::FailedPreconditionError("a voter has to become a learner before it is removed");
    }
  }
  for (const Member& voter : next.voters) {
    if (Contains(current.voters, voter.replica)) continue;
    const auto peer = progress_.find(voter.replica);
    if (peer == progress_.end() || peer->second.state != Progress::State::kReplicate) {
      return absl::FailedPreconditionError("a new voter has to be a learner that has caught up");
    }
  }
  return absl::OkStatus();
}

LogPosition Core::AppendConfiguration(Configuration configuration) {
  if (configuration.joint()) RARE_BRANCH("members: a joint change begins");
  std::vector<Entry> entries;
  entries.push_back(ConfigurationEntry(configuration));
  const LogPosition position = AppendEntries(std::move(entries));
  AdoptConfiguration(position.index, std::move(configuration));
  RebuildProgress();
  if (!IsVoter(this->configuration(), self_)) {
    // It leads until this is committed, but a lease of it would bind voters that are no longer its
    // own: the next leader could be elected by a quorum that it is not part of.
    lease_withdrawn_ = true;
    effects_.lease_revoked = true;
  }
  return position;
}

void Core::AdoptConfiguration(Index index, Configuration configuration) {
  CHECK_GT(index, configuration_index());
  configurations_.push_back({index, std::move(configuration)});
}

// The log ends at `last` now: configurations after it never were.
void Core::RestoreConfigurations(Index last) {
  while (configurations_.size() > 1 && configurations_.back().index > last) {
    RARE_BRANCH("members: a change is taken back");
    configurations_.pop_back();
  }
  CHECK_LE(configurations_.back().index, last);
}

const Configuration& Core::configuration_at(Index index) const {
  for (auto placed = configurations_.rbegin(); placed != configurations_.rend(); ++placed) {
    if (placed->index <= index) return placed->configuration;
  }
  return configurations_.front().configuration;
}

void Core::RebuildProgress() {
  const std::vector<ReplicaId> members = AllMembers(configuration());
  std::erase_if(progress_, [&](const auto& known) {
    return !std::binary_search(members.begin(), members.end(), known.first);
  });
  for (const ReplicaId replica : members) {
    if (replica == self_ || progress_.contains(replica)) continue;
    Progress progress;
    progress.next = log_.last().index + 1;
    progress.inflight = InflightWindow(options_.inflight_messages_max, options_.inflight_bytes_max);
    progress_.emplace(replica, std::move(progress));
  }
  if (transferee_ != 0 && !Contains(configuration().voters, transferee_)) AbortTransfer();
}

// The joint configuration ends as soon as it is committed (rule 14), by whoever leads then.
void Core::LeaveJointIfCommitted() {
  if (!ready_to_serve() || !configuration().joint()) return;
  if (configuration_index() > commit_ && !MUTANT("leaves-joint-uncommitted")) return;
  RARE_BRANCH("members: a joint change ends");
  AppendConfiguration(LeaveJoint(configuration()));
}

// A leader that the committed configuration does not name any more has finished its work (Raft
// section 4.2.2). The best voter is asked to follow at once, so that the group need not wait for a
// timeout.
void Core::StepDownIfRemoved() {
  if (configuration_index() > commit_ || IsVoter(configuration(), self_)) return;
  ReplicaId best = 0;
  for (const Member& voter : configuration().voters) {
    const auto peer = progress_.find(voter.replica);
    if (peer == progress_.end() || peer->second.match < configuration_index()) continue;
    if (best == 0 || peer->second.match > progress_.at(best).match) best = voter.replica;
  }
  RARE_BRANCH("members: a leader that is no voter ends");
  if (best != 0) Send(NewMessage(MessageKind::kTimeoutNow, best));
  BecomeFollower(hard_state_.term, 0);
}

}  // namespace ringleader::replication
