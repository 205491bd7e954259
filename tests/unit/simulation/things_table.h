// A cluster of nodes as the tests of one client see it: the table "things", with the key "id".
#ifndef RINGLEADER_TESTS_UNIT_SIMULATION_THINGS_TABLE_H_
#define RINGLEADER_TESTS_UNIT_SIMULATION_THINGS_TABLE_H_

#include <chrono>

#include "tests/simulation/cluster_world.h"

namespace ringleader::simulation {

// Three nodes that clients reach directly; nobody keeps items in memory.
inline ClusterOptions ThingsOptions(int clients, int partitions = 1) {
  ClusterOptions options;
  options.nodes = options.nodes_max = 3;
  options.clients = clients;
  options.partitions = partitions;
  options.routes = {RoutePolicy::kDirect};
  options.cache_bytes = {0};
  options.node.memtable_bytes = 1 << 20;
  return options;
}

// Creates the cluster and the table, as soon as there is somebody who can, and lets both settle.
inline void CreateWithThings(Simulation& simulation, ClusterWorld& world) {
  world.Create();
  const KeySchema key{.partition = {"id", AttributeType::kString}};
  for (int tries = 0; tries < 20; ++tries) {
    simulation.RunFor(std::chrono::seconds(1));
    const absl::Status made = world.administration().CreateTable("things", key).status();
    if (made.ok() || KindOf(made) == ErrorKind::kTableExists) break;
  }
  simulation.RunFor(std::chrono::seconds(2));
}

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_UNIT_SIMULATION_THINGS_TABLE_H_
