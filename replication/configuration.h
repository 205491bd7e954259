// Questions to a Configuration, the steps of a membership change (Raft section 6: joint consensus
// only), and its bytes in log entries and snapshots. Pure functions.
#ifndef RINGLEADER_REPLICATION_CONFIGURATION_H_
#define RINGLEADER_REPLICATION_CONFIGURATION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "replication/types.h"

namespace ringleader::replication {

bool Contains(const std::vector<Member>& members, ReplicaId replica);

// Counts for a majority: in voters or outgoing.
bool IsVoter(const Configuration& configuration, ReplicaId replica);
// Receives the log.
bool IsMember(const Configuration& configuration, ReplicaId replica);
// `replica` alone decides everything.
bool IsOnlyVoter(const Configuration& configuration, ReplicaId replica);
// voters and outgoing without duplicates, sorted.
std::vector<ReplicaId> AllVoters(const Configuration& configuration);
// voters, outgoing and learners without duplicates, sorted.
std::vector<ReplicaId> AllMembers(const Configuration& configuration);

// INVALID_ARGUMENT unless there are voters, lists are sorted without duplicates, ids are not 0, no
// learner is a voter (it may be outgoing: it is being demoted), and a replica has one node.
absl::Status ValidateConfiguration(const Configuration& configuration);

// The first entry of the change from `current` (not joint) to the wanted members: joint if the set
// of voters changes, else already final. Version grows by one.
Configuration BeginChange(const Configuration& current, std::vector<Member> voters,
                          std::vector<Member> learners);
// The entry that ends a joint configuration. Version grows by one.
Configuration LeaveJoint(const Configuration& joint);

// Format, version 1: byte 1; varint version; then voters, outgoing, learners, each a varint count
// and per member varint replica, varint node, byte flags (0; bit 0 is reserved for a log-only
// witness). On disk and on the wire: it may not change.
std::string EncodeConfiguration(const Configuration& configuration);
// INVALID_ARGUMENT for bytes that EncodeConfiguration can't have written for a valid configuration.
absl::StatusOr<Configuration> DecodeConfiguration(absl::string_view bytes);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_CONFIGURATION_H_
