// Majorities, single and joint.
#include "replication/quorum.h"

#include <gtest/gtest.h>

#include <map>

namespace ringleader::replication {
namespace {

std::vector<Member> Members(std::initializer_list<ReplicaId> replicas) {
  std::vector<Member> members;
  for (const ReplicaId replica : replicas) members.push_back({replica, replica});
  return members;
}

uint64_t Value(const Configuration& configuration, std::map<ReplicaId, uint64_t> values) {
  return QuorumValue(configuration, [&](ReplicaId replica) { return values[replica]; });
}

Decision Decide(const Configuration& configuration, std::map<ReplicaId, int> answers) {
  return QuorumDecision(configuration, [&](ReplicaId replica) { return answers[replica]; });
}

// Protects the commit index: the value that a majority has reached, for even numbers the lower one.
TEST(Quorum, ValueIsWhatAMajorityReached) {
  EXPECT_EQ(Value({}, {{1, 5}}), 0u);
  EXPECT_EQ(Value({Members({1}), {}, {}, 0}, {{1, 5}, {2, 9}}), 5u);
  EXPECT_EQ(Value({Members({1, 2}), {}, {}, 0}, {{1, 5}, {2, 9}}), 5u);
  EXPECT_EQ(Value({Members({1, 2, 3}), {}, {}, 0}, {{1, 5}, {2, 9}, {3, 7}}), 7u);
  EXPECT_EQ(Value({Members({1, 2, 3, 4}), {}, {}, 0}, {{1, 5}, {2, 9}, {3, 7}, {4, 8}}), 7u);
}

// Protects joint consensus: both majorities, the slower one decides.
TEST(Quorum, JointValueIsTheSlowerMajority) {
  const Configuration joint{Members({1, 4, 5}), Members({1, 2, 3}), {}, 0};
  EXPECT_EQ(Value(joint, {{1, 9}, {4, 9}, {5, 9}, {2, 3}, {3, 2}}), 3u);
  EXPECT_EQ(Value(joint, {{1, 9}, {4, 1}, {5, 2}, {2, 9}, {3, 9}}), 2u);
}

// Protects elections: learners do not count, and a lost election is known as early as possible.
TEST(Quorum, DecisionNeedsBothMajoritiesAndIgnoresLearners) {
  const Configuration single{Members({1, 2, 3}), {}, Members({4, 5, 6}), 0};
  EXPECT_EQ(Decide(single, {{1, 1}, {4, 1}, {5, 1}, {6, 1}}), Decision::kPending);
  EXPECT_EQ(Decide(single, {{1, 1}, {2, 1}}), Decision::kWon);
  EXPECT_EQ(Decide(single, {{1, -1}, {2, -1}}), Decision::kLost);
  EXPECT_EQ(Decide(single, {{1, 1}, {2, -1}}), Decision::kPending);
  const Configuration joint{Members({1, 4, 5}), Members({1, 2, 3}), {}, 0};
  EXPECT_EQ(Decide(joint, {{1, 1}, {4, 1}}), Decision::kPending);
  EXPECT_EQ(Decide(joint, {{1, 1}, {4, 1}, {2, 1}}), Decision::kWon);
  EXPECT_EQ(Decide(joint, {{1, 1}, {4, 1}, {2, -1}, {3, -1}}), Decision::kLost);
  EXPECT_EQ(Decide({}, {{1, 1}}), Decision::kLost);
}

// Protects every quorum rule by brute force: two sets that both hold are never disjoint.
TEST(Quorum, AnyTwoQuorumsMeet) {
  const Configuration configurations[] = {{Members({1, 2, 3, 4}), {}, {}, 0},
                                          {Members({1, 2, 3}), Members({3, 4, 5, 6}), {}, 0}};
  for (const Configuration& configuration : configurations) {
    for (unsigned set = 0; set < 64; ++set) {
      const auto in = [&](ReplicaId replica) { return (set >> (replica - 1) & 1) != 0; };
      const auto out = [&](ReplicaId replica) { return !in(replica); };
      EXPECT_FALSE(QuorumHolds(configuration, in) && QuorumHolds(configuration, out)) << set;
    }
  }
}

}  // namespace
}  // namespace ringleader::replication
