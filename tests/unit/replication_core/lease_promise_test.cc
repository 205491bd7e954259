// Protects leases from a voter that promises less than the others: a round protects for as long as
// the shortest promise of the quorum that confirmed it.
#include <gtest/gtest.h>

#include "tests/unit/replication_core/test_cluster.h"

namespace ringleader::replication {
namespace {

class LeasePromiseTest : public ::testing::Test {
 protected:
  LeasePromiseTest() {
    cluster_.Bootstrap(5);
    cluster_.core(1).Campaign();
    EXPECT_TRUE(cluster_.Settle());
    EXPECT_TRUE(core().ready_to_serve());
  }

  uint64_t StartRound() {
    for (;;) {
      core().Tick();
      const Effects effects = core().TakeEffects();
      if (!effects.heartbeats.empty()) return effects.heartbeats.back().round;
    }
  }
  void Answer(ReplicaId from, uint64_t round, uint64_t promised_us) {
    core().Step({.kind = MessageKind::kHeartbeatAnswer,
                 .group = kTestGroup,
                 .from = from,
                 .to = 1,
                 .term = core().term(),
                 .round = round,
                 .promised_us = promised_us});
  }
  // 0: the round is not confirmed by what was answered last.
  uint64_t Promised() {
    const Effects effects = core().TakeEffects();
    return effects.confirmed_round.has_value() ? effects.confirmed_round->promised_us : 0;
  }

  TestCluster cluster_{CoreOptions(), 1};
  Core& core() { return cluster_.core(1); }
};

TEST_F(LeasePromiseTest, TheShortestOfAQuorumCounts) {
  const uint64_t round = StartRound();
  Answer(2, round, 900);
  EXPECT_EQ(Promised(), 0u);
  Answer(3, round, 100);
  EXPECT_EQ(Promised(), 100u);
}

// Of more answers than a quorum's, as those of an earlier round that come with this one's.
TEST_F(LeasePromiseTest, WhoPromisedForAnEarlierRoundDoesNotCountForThisOne) {
  const uint64_t earlier = StartRound();
  Answer(2, earlier, 900);
  Answer(3, earlier, 800);
  EXPECT_EQ(Promised(), 800u);
  const uint64_t round = StartRound();
  Answer(4, round, 100);
  EXPECT_EQ(Promised(), 0u);
  Answer(5, round, 200);
  EXPECT_EQ(Promised(), 100u);
}

// A restarted voter's answer is the process's that gives it.
TEST_F(LeasePromiseTest, AVotersLatestAnswerCounts) {
  const uint64_t earlier = StartRound();
  Answer(2, earlier, 900);
  const uint64_t round = StartRound();
  Answer(2, round, 100);
  Answer(2, earlier, 900);
  Answer(3, round, 900);
  EXPECT_EQ(Promised(), 100u);
}

}  // namespace
}  // namespace ringleader::replication
