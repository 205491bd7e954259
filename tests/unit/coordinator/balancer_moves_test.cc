// Moves that can't go on as they were planned, and replicas that are replaced where they are.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/balancer_model.h"

namespace ringleader::coordinator {
namespace {

// Three nodes come to rest and a fourth joins. A partition that moves to it; 0: none does.
uint64_t BeginMoveToFourth(ModelCluster& cluster) {
  if (!cluster.JoinAndSettle({"a", "b", "c"}, 200)) return 0;
  cluster.Join("a");
  cluster.Run(1);
  return cluster.Moving();
}

TEST(Balancer, AReplicaThatLostItsLogIsReplacedInPlace) {
  // Protects: a damaged replica gets a successor under a new id though no other node is free.
  ModelCluster cluster(5, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  cluster.Damage(2, 5);
  cluster.Run(5);
  ASSERT_GE(cluster.RunUntilSettled(200), 0);
  uint64_t on_node_2 = 0;
  for (const v1::Replica& replica : cluster.metadata().partitions().at(5).wish()) {
    if (replica.node() == 2) on_node_2 = replica.id();
  }
  EXPECT_GT(on_node_2, 24u);
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
}

TEST(Balancer, AReplicaThatComesBackMakesRoomForItsSuccessorAgain) {
  // Protects: a log that lost that it had destroyed a replica stops no move: the successor is a
  // member already, and nothing could make it where the old one is.
  ModelCluster cluster(5, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  cluster.Damage(2, 5);
  for (int i = 0; i < 20 && cluster.Moving() == 0; ++i) cluster.Run(1);
  ASSERT_EQ(cluster.Moving(), 5u);
  cluster.SetHidden(2, 5);  // as if it were destroyed
  for (int i = 0; i < 20 && cluster.groups().at(5).members.size() < 4; ++i) cluster.Run(1);
  ASSERT_EQ(cluster.groups().at(5).members.size(), 4u);
  cluster.SetHidden(2, 0);
  ASSERT_GE(cluster.RunUntilSettled(200), 0);
  EXPECT_TRUE(cluster.IsWhole());
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
}

TEST(Balancer, AReplicaThatIsWellByTheTimeItIsReplacedStays) {
  // Protects a voter that was late from being destroyed before anybody can vote in its place.
  ModelCluster cluster(5, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  const auto before = cluster.groups().at(5).members;
  cluster.SetHidden(2, 5);
  for (int i = 0; i < 50 && cluster.Moving() == 0; ++i) cluster.Run(1);
  ASSERT_EQ(cluster.Moving(), 5u);
  cluster.SetHidden(2, 0);
  ASSERT_GE(cluster.RunUntilSettled(200), 0);
  EXPECT_TRUE(cluster.IsWhole());
  EXPECT_EQ(cluster.groups().at(5).members.size(), 3u);
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(cluster.groups().at(5).members[i].id(), before[i].id());
  }
}

TEST(Balancer, AMoveWhoseTargetDiesIsAborted) {
  // Protects: a move never waits for ever for a node that is gone, and leaves nothing behind.
  ModelCluster cluster(6, 16, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  cluster.Join("a");
  cluster.Run(3);
  ASSERT_NE(cluster.Moving(), 0u);
  cluster.Stop(4);
  cluster.Run(40);
  ASSERT_GE(cluster.RunUntilSettled(500), 0);
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
}

TEST(Balancer, AnAbortAsTheNewReplicaComesToVoteIsSwappedBack) {
  // Protects: an abort that finds the new replica voting leaves the wish as it was.
  ModelCluster cluster(6, 16, 3);
  const uint64_t moving = BeginMoveToFourth(cluster);
  ASSERT_NE(moving, 0u);
  const auto wish = cluster.metadata().partitions().at(moving).wish();
  ASSERT_NE(cluster.AbortAsItVotes(moving, 60), 0u);
  for (int i = 0; i < 20 && cluster.metadata().partitions().at(moving).has_move(); ++i) {
    cluster.Run(1);
  }
  for (const v1::Replica& replica : wish) {
    EXPECT_NE(FindReplica(cluster.metadata().partitions().at(moving).wish(), replica.id()),
              nullptr);
  }
  ASSERT_GE(cluster.RunUntilSettled(500), 0);
}

TEST(Balancer, AnAbortEndsThoughTheOldReplicaWasDestroyed) {
  // Protects: a successor on the same node that votes is kept: what it replaces is gone, and would
  // be waited for for ever.
  ModelCluster cluster(5, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  cluster.Damage(2, 5);
  const uint64_t successor = cluster.AbortAsItVotes(5, 60);
  ASSERT_NE(successor, 0u);
  ASSERT_GE(cluster.RunUntilSettled(200), 0);
  EXPECT_NE(FindReplica(cluster.metadata().partitions().at(5).wish(), successor), nullptr);
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
}

TEST(Balancer, AnAbortEndsThoughTheOldReplicasNodeIsDead) {
  // Protects: the same of a replica whose node is gone for good.
  ModelCluster cluster(3, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c", "a"}, 500));
  cluster.Stop(4);
  uint64_t moving = 0;
  for (const auto& [id, record] : cluster.metadata().partitions()) {
    for (const v1::Replica& replica : record.wish()) {
      if (replica.node() == 4) moving = id;
    }
  }
  ASSERT_NE(moving, 0u);
  const uint64_t added = cluster.AbortAsItVotes(moving, 200);
  ASSERT_NE(added, 0u);
  ASSERT_GE(cluster.RunUntilSettled(500), 0);
  EXPECT_NE(FindReplica(cluster.metadata().partitions().at(moving).wish(), added), nullptr);
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
}

// What `lose` does to the replica that was to be removed, after the abort was applied.
void ExpectAnAbortEndsAfter(void (ModelCluster::*lose)(uint64_t node, uint64_t partition)) {
  ModelCluster cluster(6, 16, 3);
  const uint64_t moving = BeginMoveToFourth(cluster);
  ASSERT_NE(moving, 0u);
  const uint64_t from = cluster.metadata().partitions().at(moving).move().remove_node();
  const uint64_t added = cluster.AbortAsItVotes(moving, 60);
  ASSERT_NE(added, 0u);
  (cluster.*lose)(from, moving);
  ASSERT_GE(cluster.RunUntilSettled(500), 0);
  EXPECT_NE(FindReplica(cluster.metadata().partitions().at(moving).wish(), added), nullptr);
}

TEST(Balancer, AnAbortEndsThoughTheOldReplicaHasNoLog) {
  // Protects: the same of a replica that lost its log while it was on its way to another node.
  ExpectAnAbortEndsAfter(&ModelCluster::Damage);
}

TEST(Balancer, AnAbortEndsThoughItsNodeDoesNotHaveTheOldReplica) {
  // Protects: the same of one that had been destroyed already, for an earlier move that was given
  // up.
  ExpectAnAbortEndsAfter(&ModelCluster::Lose);
}

TEST(Balancer, AnAbortDoesNotGiveUpAReplicaThatIsNotReportedForAMoment) {
  // Protects: the old replica is swapped back though one report leaves it out just then.
  ModelCluster cluster(6, 16, 3);
  const uint64_t moving = BeginMoveToFourth(cluster);
  ASSERT_NE(moving, 0u);
  const v1::MoveRecord move = cluster.metadata().partitions().at(moving).move();
  ASSERT_NE(cluster.AbortAsItVotes(moving, 60), 0u);
  cluster.Stop(4);
  cluster.SetHidden(move.remove_node(), moving);
  cluster.Run(2);
  cluster.SetHidden(move.remove_node(), 0);
  cluster.Run(10);
  bool votes = false;
  for (const v1::Replica& member : cluster.groups().at(moving).members) {
    votes |= member.id() == move.remove_replica() && member.voter();
  }
  EXPECT_TRUE(votes);
}

TEST(Balancer, AMoveWhoseNewReplicaLosesItsLogBeginsAnew) {
  // Protects: nobody waits for a learner that never catches up.
  ModelCluster cluster(6, 16, 3);
  const uint64_t moving = BeginMoveToFourth(cluster);
  ASSERT_NE(moving, 0u);
  cluster.Damage(4, moving);
  ASSERT_GE(cluster.RunUntilSettled(500), 0);
  EXPECT_TRUE(cluster.IsWhole());
}

TEST(Balancer, AReplicaThatItsNodeDoesNotHaveIsReplaced) {
  // Protects: what was destroyed for a successor comes back under a new id though the move to that
  // successor was given up: its tombstone lets no message make it again.
  ModelCluster cluster(5, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  cluster.Damage(2, 5);
  for (int i = 0; i < 20 && cluster.groups().at(5).members.size() < 4; ++i) cluster.Run(1);
  ASSERT_EQ(cluster.groups().at(5).members.size(), 4u);
  cluster.SetState(2, v1::NODE_STATE_UP, v1::NODE_STATE_DRAINING);
  cluster.Run(10);
  ASSERT_FALSE(cluster.metadata().partitions().at(5).has_move());
  ASSERT_FALSE(cluster.IsWhole());
  cluster.SetState(2, v1::NODE_STATE_DRAINING, v1::NODE_STATE_UP);
  ASSERT_GE(cluster.RunUntilSettled(200), 0);
  EXPECT_TRUE(cluster.IsWhole());
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
}

TEST(Balancer, AReplicaThatIsNotReportedForAMomentStays) {
  // Protects: no healthy replica is replaced because its node was slow to tell of it.
  ModelCluster cluster(5, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  const auto before = cluster.metadata().last_replica();
  for (int i = 0; i < 5; ++i) {  // each shorter than it takes, all together longer
    cluster.SetHidden(2, 5);
    cluster.Run(4);
    cluster.SetHidden(2, 0);
    cluster.Run(1);
  }
  cluster.SetHidden(2, 5);
  cluster.Run(4);
  cluster.NewMetadataLeader();  // counts anew
  cluster.Run(4);
  cluster.SetHidden(2, 0);
  cluster.SetMute(2, true);
  cluster.Run(30);
  cluster.SetMute(2, false);
  cluster.Run(10);
  EXPECT_EQ(cluster.metadata().last_replica(), before);
  EXPECT_TRUE(cluster.IsWhole());
}

}  // namespace
}  // namespace ringleader::coordinator
