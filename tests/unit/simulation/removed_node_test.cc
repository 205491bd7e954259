// A node that was removed while it could not be reached, and still leads: against real nodes and
// coordinators in virtual time.
#include <gtest/gtest.h>

#include "common/logging.h"
#include "tests/simulation/cluster_world.h"
#include "tests/unit/simulation/things_table.h"

namespace ringleader::simulation {
namespace {

using std::chrono::seconds;
namespace meta = ::ringleader::coordinator::v1;

// Protects a partition from a leader that nobody hears: the coordinators take no report of a
// removed node, so what it leads could neither move nor learn of a table.
TEST(RemovedNodeTest, LeadsNothingOnceItHearsThatItWasRemoved) {
  SetLogLevel(LogLevel::kOff);
  Simulation simulation(9);
  ClusterWorld world(simulation, ThingsOptions(/*clients=*/1));
  CreateWithThings(simulation, world);
  const HostId leader = world.LeaderOf(1);
  ASSERT_NE(leader, 0u);
  for (const HostId host : world.Hosts(MachineKind::kCoordinator)) {
    world.network().Block(leader, host);
    world.network().Block(host, leader);
  }
  meta::NodeRequest request;
  for (uint64_t node = 1; node <= 3; ++node) {
    if (world.HostOf(node) == leader) request.set_node(node);
  }
  ASSERT_NE(request.node(), 0u);
  simulation.RunFor(seconds(15));  // it is silent
  const auto removed =
      world.administration().Administer<meta::AdminResponse>("RemoveNode", request);
  ASSERT_TRUE(removed.ok()) << removed.status();
  ASSERT_EQ(world.LeaderOf(1), leader);
  world.network().UnblockAll();
  simulation.RunFor(seconds(10));
  EXPECT_NE(world.LeaderOf(1), leader);
  const KeySchema key{.partition = {"id", AttributeType::kString}};
  const auto made = world.administration().CreateTable("others", key);
  EXPECT_TRUE(made.ok()) << made.status();
}

}  // namespace
}  // namespace ringleader::simulation
