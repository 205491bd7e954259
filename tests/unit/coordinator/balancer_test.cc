#include "coordinator/balancer.h"

#include <gtest/gtest.h>

#include "common/random.h"
#include "tests/unit/coordinator/balancer_model.h"

namespace ringleader::coordinator {
namespace {

TEST(Balancer, FormsPlacesAndSpreadsLeaders) {
  // Protects: nodes that join become a cluster: every partition made, led, leaders even.
  ModelCluster cluster(1, 64, 3);
  for (const char* zone : {"a", "b"}) cluster.Join(zone);
  cluster.Run(20);
  EXPECT_TRUE(cluster.metadata().partitions().empty());  // two nodes can't hold three replicas
  cluster.Join("c");
  ASSERT_GE(cluster.RunUntilSettled(200), 0);
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
  cluster.Run(200);
  for (const auto& [node, led] : cluster.Leaders()) {
    EXPECT_GE(led, 21u) << node;
    EXPECT_LE(led, 22u) << node;
  }
}

TEST(Balancer, NewNodesTakeTheirShare) {
  // Protects: growth: moves end, balanced, though orders are lost on the way.
  ModelCluster cluster(2, 64, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 200));
  cluster.LoseOrders(0.3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c"}, 2000));
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}, {4, "a"}, {5, "b"}, {6, "c"}});
}

TEST(Balancer, ADeadNodeIsReplacedAndAShortAbsenceIsNot) {
  // Protects: a restart moves no data; a death restores every replica elsewhere.
  ModelCluster cluster(3, 32, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c", "a"}, 500));
  const auto before = cluster.Loads();
  cluster.Stop(4);
  cluster.Run(20);
  cluster.Restart(4);
  cluster.Run(30);
  EXPECT_EQ(cluster.Loads(), before);
  cluster.Stop(4);
  cluster.Run(40);
  ASSERT_GE(cluster.RunUntilSettled(2000), 0);
  ExpectBalanced(cluster, {{1, "a"}, {2, "b"}, {3, "c"}});
}

TEST(Balancer, ADrainedNodeEmpties) {
  // Protects: draining moves everything away, and no new replica arrives.
  ModelCluster cluster(4, 32, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c", "a"}, 500));
  cluster.SetState(1, v1::NODE_STATE_UP, v1::NODE_STATE_DRAINING);
  ASSERT_GE(cluster.RunUntilSettled(2000), 0);
  EXPECT_EQ(cluster.Loads().count(1), 0u);
  ExpectBalanced(cluster, {{4, "a"}, {2, "b"}, {3, "c"}});
  for (const auto& [id, group] : cluster.groups()) EXPECT_NE(group.leader, 1u);
}

TEST(Balancer, AMemberThatNoPlanNamesIsRemoved) {
  // Protects: an order that is carried out after its move has ended leaves no replica behind.
  ModelCluster cluster(8, 4, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c", "d"}, 200));
  std::set<uint64_t> hosts;
  for (const v1::Replica& member : cluster.groups().at(1).members) hosts.insert(member.node());
  uint64_t other = 1;
  while (hosts.contains(other)) ++other;
  cluster.AddStray(1, other);
  cluster.Run(10);
  EXPECT_EQ(cluster.groups().at(1).members.size(), 3u);
  EXPECT_EQ(cluster.metadata().partitions().at(1).partition().replicas_size(), 3);
}

// Protects a node that is well: a younger id that once had its address and was removed condemns
// nobody.
TEST(Balancer, ARemovedNodeSupersedesNobody) {
  ModelCluster cluster(12, 8, 3);
  ASSERT_TRUE(cluster.JoinAndSettle({"a", "b", "c", "d"}, 200));
  const size_t held = cluster.Loads()[1];
  ASSERT_GT(held, 0u);
  v1::Command command;
  command.mutable_register_node()->set_incarnation(5000);
  command.mutable_register_node()->set_address(cluster.metadata().FindNode(1)->node().address());
  const uint64_t other = cluster.Apply(command).id;
  ASSERT_EQ(other, 5u);
  EXPECT_TRUE(Balancer::IsSuperseded(cluster.metadata(), cluster.metadata().FindNode(1)->node()));
  cluster.SetState(other, v1::NODE_STATE_UP, v1::NODE_STATE_REMOVED);
  cluster.Run(60);
  EXPECT_TRUE(cluster.metadata().FindNode(1)->node().alive());
  EXPECT_EQ(cluster.Loads()[1], held);
}

TEST(Balancer, TablesSettleInEveryPartition) {
  // Protects: a table is ACTIVE only when every leader applied it, and gone when all retired it.
  ModelCluster cluster(7, 16, 1);
  cluster.Join("a");
  cluster.Join("b");
  ASSERT_GE(cluster.RunUntilSettled(200), 0);
  cluster.LoseOrders(0.5);
  v1::Command create;
  create.mutable_create_table()->set_name("t");
  create.mutable_create_table()->mutable_schema()->mutable_partition_key()->set_name("k");
  ASSERT_TRUE(cluster.Apply(create).ok());
  cluster.Stop(2);
  cluster.Run(20);
  EXPECT_EQ(cluster.metadata().tables().at(1).table().state(), v1::TABLE_STATE_CREATING);
  cluster.Restart(2);
  cluster.Run(20);
  EXPECT_EQ(cluster.metadata().tables().at(1).table().state(), v1::TABLE_STATE_ACTIVE);
  for (const auto& [id, group] : cluster.groups()) EXPECT_TRUE(group.applied_tables.contains(1));
  v1::Command remove;
  remove.set_delete_table("t");
  ASSERT_TRUE(cluster.Apply(remove).ok());
  cluster.Run(20);
  EXPECT_TRUE(cluster.metadata().tables().empty());
  for (const auto& [id, group] : cluster.groups()) EXPECT_TRUE(group.retired_tables.contains(1));
}

TEST(Balancer, ConvergesAfterRandomTrouble) {
  // Protects: whatever happened, once it stops the cluster is whole: no quorum was lost by a plan
  // (checked at every change), rules hold, nothing is left over.
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    ModelCluster cluster(seed * 31, 16, 3);
    std::vector<PlacementNode> nodes;
    const auto join = [&] {
      const std::string zone(1, static_cast<char>('a' + random.Below(3)));
      nodes.push_back({cluster.Join(zone), zone});
    };
    for (int i = 0; i < 4; ++i) join();
    ASSERT_GE(cluster.RunUntilSettled(500), 0);
    cluster.LoseOrders(0.2);
    uint64_t stopped = 0;
    for (int step = 0; step < 30; ++step) {
      switch (random.Below(5)) {
        case 0:
          if (nodes.size() < 7) join();
          break;
        case 1:
          if (stopped != 0) cluster.Restart(stopped);
          stopped = nodes[random.Below(nodes.size())].id;
          cluster.Stop(stopped);
          break;
        case 2:
          if (stopped != 0) cluster.Restart(stopped);
          stopped = 0;
          break;
        case 3:
          cluster.NewMetadataLeader();
          break;
        default:
          break;
      }
      cluster.Run(static_cast<int>(random.Below(40)));
    }
    if (stopped != 0) cluster.Restart(stopped);
    ASSERT_GE(cluster.RunUntilSettled(3000), 0);
    ExpectBalanced(cluster, nodes);
  }
}

}  // namespace
}  // namespace ringleader::coordinator
