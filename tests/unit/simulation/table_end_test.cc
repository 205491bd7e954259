// The end of a table while leaders change: against real nodes and coordinators in virtual time.
#include <gtest/gtest.h>

#include "common/logging.h"
#include "tests/simulation/cluster_world.h"
#include "tests/unit/simulation/things_table.h"

namespace ringleader::simulation {
namespace {

using std::chrono::seconds;
namespace meta = ::ringleader::coordinator::v1;

// Protects the end of a table: whoever comes to lead a partition, or the metadata, asks and tells
// again what has ended where. A node that hears the whole map anew does too.
TEST(TableEndTest, ComesThoughEveryLeaderChanges) {
  SetLogLevel(LogLevel::kOff);
  Simulation simulation(11);
  ClusterWorld world(simulation, ThingsOptions(/*clients=*/1, /*partitions=*/4));
  CreateWithThings(simulation, world);
  meta::TableRequest things;
  things.set_name("things");
  const auto describe = [&] {
    return world.administration().Administer<meta::TableResponse>("DescribeTable", things);
  };
  ASSERT_TRUE(describe().ok());
  const HostId leader = world.LeaderOf(1);
  world.Kill(leader);
  const auto ends = world.administration().Administer<meta::TableResponse>("DeleteTable", things);
  ASSERT_TRUE(ends.ok()) << ends.status();
  ASSERT_EQ(ends->table().state(), meta::TABLE_STATE_DELETING);
  const HostId metadata_leader = world.MetadataLeader();
  world.Kill(metadata_leader);
  simulation.RunFor(seconds(1));
  world.Start(leader);
  world.Start(metadata_leader);
  simulation.RunFor(seconds(30));
  const auto gone = describe();
  EXPECT_TRUE(absl::IsNotFound(gone.status())) << gone.status();
}

}  // namespace
}  // namespace ringleader::simulation
