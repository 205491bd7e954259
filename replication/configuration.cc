#include "replication/configuration.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"
#include "common/status.h"
#include "replication/wire.h"

namespace ringleader::replication {
namespace {

constexpr uint8_t kConfigurationFormat = 1;
constexpr size_t kMemberBytesMin = 3;

std::vector<ReplicaId> Union(std::initializer_list<const std::vector<Member>*> lists) {
  std::set<ReplicaId> replicas;
  for (const std::vector<Member>* list : lists) {
    for (const Member& member : *list) replicas.insert(member.replica);
  }
  return {replicas.begin(), replicas.end()};
}

void EncodeMembers(const std::vector<Member>& members, WireWriter* writer) {
  writer->Varint(members.size());
  for (const Member& member : members) {
    writer->Varint(member.replica);
    writer->Varint(member.node);
    writer->Byte(0);
  }
}

std::vector<Member> DecodeMembers(WireReader* reader) {
  std::vector<Member> members(reader->Count(kMemberBytesMin));
  for (Member& member : members) {
    member.replica = reader->Varint();
    member.node = reader->Varint();
    if (reader->Byte() != 0) reader->Fail();
  }
  return members;
}

}  // namespace

bool Contains(const std::vector<Member>& members, ReplicaId replica) {
  return std::any_of(members.begin(), members.end(),
                     [replica](const Member& member) { return member.replica == replica; });
}

bool IsVoter(const Configuration& configuration, ReplicaId replica) {
  return Contains(configuration.voters, replica) || Contains(configuration.outgoing, replica);
}

bool IsMember(const Configuration& configuration, ReplicaId replica) {
  return IsVoter(configuration, replica) || Contains(configuration.learners, replica);
}

bool IsOnlyVoter(const Configuration& configuration, ReplicaId replica) {
  return AllVoters(configuration) == std::vector<ReplicaId>{replica};
}

std::vector<ReplicaId> AllVoters(const Configuration& configuration) {
  return Union({&configuration.voters, &configuration.outgoing});
}

std::vector<ReplicaId> AllMembers(const Configuration& configuration) {
  return Union({&configuration.voters, &configuration.outgoing, &configuration.learners});
}

absl::Status ValidateConfiguration(const Configuration& configuration) {
  if (configuration.voters.empty()) return absl::InvalidArgumentError("no voters");
  std::map<ReplicaId, NodeId> nodes;
  for (const auto* list :
       {&configuration.voters, &configuration.outgoing, &configuration.learners}) {
    ReplicaId previous = 0;
    for (const Member& member : *list) {
      if (member.replica <= previous) {
        return absl::InvalidArgumentError("members are not sorted by replica, or one is repeated");
      }
      previous = member.replica;
      if (member.node == 0) return absl::InvalidArgumentError("a member has no node");
      if (nodes.try_emplace(member.replica, member.node).first->second != member.node) {
        return absl::InvalidArgumentError("a replica is on two nodes");
      }
    }
  }
  for (const Member& learner : configuration.learners) {
    if (Contains(configuration.voters, learner.replica)) {
      return absl::InvalidArgumentError("a replica is voter and learner");
    }
  }
  return absl::OkStatus();
}

Configuration BeginChange(const Configuration& current, std::vector<Member> voters,
                          std::vector<Member> learners) {
  CHECK(!current.joint());
  Configuration next;
  next.voters = std::move(voters);
  next.learners = std::move(learners);
  std::sort(next.voters.begin(), next.voters.end());
  std::sort(next.learners.begin(), next.learners.end());
  if (next.voters != current.voters && !MUTANT("one-step-change")) next.outgoing = current.voters;
  next.version = current.version + 1;
  return next;
}

Configuration LeaveJoint(const Configuration& joint) {
  CHECK(joint.joint());
  Configuration next = joint;
  next.outgoing.clear();
  next.version = joint.version + 1;
  return next;
}

std::string EncodeConfiguration(const Configuration& configuration) {
  std::string bytes;
  WireWriter writer(&bytes);
  writer.Byte(kConfigurationFormat);
  writer.Varint(configuration.version);
  EncodeMembers(configuration.voters, &writer);
  EncodeMembers(configuration.outgoing, &writer);
  EncodeMembers(configuration.learners, &writer);
  return bytes;
}

absl::StatusOr<Configuration> DecodeConfiguration(absl::string_view bytes) {
  WireReader reader(bytes);
  if (reader.Byte() != kConfigurationFormat) {
    return absl::InvalidArgumentError("configuration: unknown format version");
  }
  Configuration configuration;
  configuration.version = reader.Varint();
  configuration.voters = DecodeMembers(&reader);
  configuration.outgoing = DecodeMembers(&reader);
  configuration.learners = DecodeMembers(&reader);
  if (!reader.AtEnd()) return absl::InvalidArgumentError("configuration: malformed");
  RETURN_IF_ERROR(Annotate(ValidateConfiguration(configuration), "configuration"));
  return configuration;
}

}  // namespace ringleader::replication
