// Majorities. While a configuration is joint every decision needs a majority of the new voters and
// one of the outgoing ones (Raft section 6); learners count for nothing. Pure functions.
#ifndef RINGLEADER_REPLICATION_QUORUM_H_
#define RINGLEADER_REPLICATION_QUORUM_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "replication/types.h"

namespace ringleader::replication {

enum class Decision : uint8_t { kPending, kWon, kLost };

// The largest value that a quorum has reached: of each majority the median, and the smaller of
// both. value_of(replica) is its value, 0 if unknown. Without voters: 0, as an empty configuration
// decides nothing.
uint64_t QuorumValue(const Configuration& configuration,
                     absl::FunctionRef<uint64_t(ReplicaId)> value_of);

// kWon if a quorum says yes, kLost if no quorum can any more, as kPending is still open.
// answer_of: +1 yes, -1 no, 0 unknown. Without voters: kLost.
Decision QuorumDecision(const Configuration& configuration,
                        absl::FunctionRef<int(ReplicaId)> answer_of);

// True if the replicas for which `holds` is true are a quorum.
bool QuorumHolds(const Configuration& configuration, absl::FunctionRef<bool(ReplicaId)> holds);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_QUORUM_H_
