#include "replication/quorum.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "common/mutants.h"

namespace ringleader::replication {
namespace {

uint64_t MajorityValue(const std::vector<Member>& voters,
                       absl::FunctionRef<uint64_t(ReplicaId)> value_of) {
  std::vector<uint64_t> values;
  values.reserve(voters.size());
  for (const Member& voter : voters) values.push_back(value_of(voter.replica));
  // With n values, the one at position n/2 of the descending order has n/2 + 1 at or above it.
  const auto median = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), median, values.end(), std::greater<>());
  return *median;
}

Decision MajorityDecision(const std::vector<Member>& voters,
                          absl::FunctionRef<int(ReplicaId)> answer_of) {
  size_t yes = 0;
  size_t no = 0;
  for (const Member& voter : voters) {
    const int answer = answer_of(voter.replica);
    if (answer > 0) ++yes;
    if (answer < 0) ++no;
  }
  const size_t majority = voters.size() / 2 + 1;
  if (yes >= majority) return Decision::kWon;
  return voters.size() - no >= majority ? Decision::kPending : Decision::kLost;
}

}  // namespace

uint64_t QuorumValue(const Configuration& configuration,
                     absl::FunctionRef<uint64_t(ReplicaId)> value_of) {
  if (configuration.voters.empty()) return 0;
  const uint64_t value = MajorityValue(configuration.voters, value_of);
  if (!configuration.joint() || MUTANT("commits-by-new-voters")) return value;
  return std::min(value, MajorityValue(configuration.outgoing, value_of));
}

Decision QuorumDecision(const Configuration& configuration,
                        absl::FunctionRef<int(ReplicaId)> answer_of) {
  if (configuration.voters.empty()) return Decision::kLost;
  const Decision incoming = MajorityDecision(configuration.voters, answer_of);
  if (!configuration.joint()) return incoming;
  const Decision outgoing = MajorityDecision(configuration.outgoing, answer_of);
  if (incoming == outgoing) return incoming;
  const bool lost = incoming == Decision::kLost || outgoing == Decision::kLost;
  return lost ? Decision::kLost : Decision::kPending;
}

bool QuorumHolds(const Configuration& configuration, absl::FunctionRef<bool(ReplicaId)> holds) {
  return QuorumDecision(configuration, [&](ReplicaId replica) { return holds(replica) ? 1 : 0; }) ==
         Decision::kWon;
}

}  // namespace ringleader::replication
