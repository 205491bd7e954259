#include "coordinator/metadata_members.h"

#include <algorithm>

#include "replication/configuration.h"

namespace ringleader::coordinator {

using replication::Contains;
using replication::Member;

std::optional<MembersChange> NextMembersChange(const Metadata& metadata,
                                               const replication::Configuration& current) {
  if (!metadata.formed() || current.joint()) return std::nullopt;
  std::vector<Member> wanted;
  for (const auto& [id, record] : metadata.coordinators()) {
    wanted.push_back({record.replica(), id});
  }
  MembersChange change{current.voters, current.learners};
  // What is nobody's replica any more leaves first.
  for (const Member& learner : current.learners) {
    if (Contains(wanted, learner.replica)) continue;
    std::erase(change.learners, learner);
    return change;
  }
  for (const Member& member : wanted) {
    if (Contains(current.voters, member.replica)) continue;
    if (!Contains(current.learners, member.replica)) {
      change.learners.push_back(member);
    } else {
      const auto old = std::find_if(change.voters.begin(), change.voters.end(),
                                    [&](const Member& voter) { return voter.node == member.node; });
      std::erase(change.learners, member);
      if (old != change.voters.end()) {
        change.learners.push_back(*old);
        change.voters.erase(old);
      }
      change.voters.push_back(member);
    }
    std::sort(change.voters.begin(), change.voters.end());
    std::sort(change.learners.begin(), change.learners.end());
    return change;
  }
  return std::nullopt;
}

}  // namespace ringleader::coordinator
