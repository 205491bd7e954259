// Protects the data plane from the loss of the coordinators: nodes need them to learn and to be
// moved, not to serve, also after a restart.
#include <gtest/gtest.h>

#include <memory>

#include "common/logging.h"
#include "tests/simulation/cluster_world.h"
#include "tests/unit/simulation/things_table.h"

namespace ringleader::simulation {
namespace {

using std::chrono::seconds;

TEST(AloneTest, NodesThatRestartWithoutCoordinatorsServe) {
  SetLogLevel(LogLevel::kOff);
  Simulation simulation(11);
  ClusterWorld world(simulation, ThingsOptions(/*clients=*/1, /*partitions=*/4));
  CreateWithThings(simulation, world);
  Item item;
  item.Set("id", AttributeValue::String("a"));
  const auto before = world.connection(0).Put("things", item, {});
  ASSERT_TRUE(before.ok()) << before.status();

  for (const HostId host : world.Hosts(MachineKind::kCoordinator)) world.CutPower(host);
  for (const HostId host : world.Hosts(MachineKind::kNode)) world.CutPower(host);
  simulation.RunFor(seconds(1));
  for (const HostId host : world.Hosts(MachineKind::kNode)) world.Start(host);
  for (int number = 0; number < 20; ++number) {
    item.Set("id", AttributeValue::String("b" + std::to_string(number)));
    const auto put = world.connection(0).Put("things", item, {});
    ASSERT_TRUE(put.ok()) << put.status();
  }
}

}  // namespace
}  // namespace ringleader::simulation
