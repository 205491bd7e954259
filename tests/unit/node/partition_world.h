// Nodes with partitions in the simulation, without coordinators: groups are created directly.
// Everything is the production code but disk, clock, network and threads; compactions have a thread
// of their own, as LevelDB waits for them inside a call.
#ifndef RINGLEADER_TESTS_UNIT_NODE_PARTITION_WORLD_H_
#define RINGLEADER_TESTS_UNIT_NODE_PARTITION_WORLD_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/cluster_version.h"
#include "node/data_service.h"
#include "node/partition_factory.h"
#include "node/service_router.h"
#include "replication/runtime.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"

namespace ringleader {

struct PartitionNode {
  std::unique_ptr<SimulatedFileSystem> disk;
  std::unique_ptr<simulation::SimulatedClock> clock;
  std::unique_ptr<Executor> compactions;
  // The process.
  std::unique_ptr<simulation::SimulatedThreads> threads;
  std::unique_ptr<Network> network;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<CacheSessions> cache_sessions;
  std::unique_ptr<PartitionFactory> factory;
  std::unique_ptr<DataService> data;
  std::unique_ptr<replication::Runtime> runtime;
  std::unique_ptr<ServiceRouter> router;
  std::unique_ptr<Listener> listener;
};

class PartitionWorld {
 public:
  static constexpr replication::GroupId kGroup = 1;
  static constexpr uint64_t kTable = 5;

  PartitionWorld(uint64_t seed, int nodes);
  ~PartitionWorld();

  void Start(uint64_t node);
  void Kill(uint64_t node);
  void CutPower(uint64_t node);
  // Creates kGroup on nodes 1 .. voters, waits for a leader, and creates kTable ("pk" S, "sk" N).
  void CreatePartition(int voters);
  // 0: none.
  uint64_t Leader();
  uint64_t WaitForLeader();
  Partition* PartitionOf(uint64_t node) { return nodes_.at(node).registry->Open(kGroup); }
  std::shared_ptr<replication::Replica> ReplicaOf(uint64_t node) {
    return nodes_.at(node).runtime->Find(kGroup);
  }

  // Hands a request to a node as its data service does. `done` is called when it is answered.
  void Send(uint64_t node, data::v1::Request request, std::function<void(data::v1::Response)> done);
  // Runs until the answer; ERROR_DEADLINE after 10 s.
  data::v1::Response Call(uint64_t node, data::v1::Request request);
  // To the leader.
  data::v1::Response Call(data::v1::Request request) {
    return Call(WaitForLeader(), std::move(request));
  }
  void RunFor(Duration span) { simulation_.RunFor(span); }
  // Every item's bytes, with versions, in order of keys.
  std::string Dump(uint64_t node);

  simulation::Simulation& simulation() { return simulation_; }
  simulation::SimulatedNetwork& network() { return network_; }
  PartitionNode& node(uint64_t number) { return nodes_.at(number); }
  uint64_t nodes() const { return nodes_.size(); }  // numbered from 1
  static std::string Address(uint64_t node);
  // For nodes that start afterwards.
  PartitionOptions& partition_options() { return partition_options_; }
  // Runs Partition::Maintain, as a node does every 100 ms.
  void Maintain(uint64_t node);

 private:
  void CreateTable();

  simulation::Simulation simulation_;
  simulation::SimulatedNetwork network_;
  PartitionOptions partition_options_;
  std::map<uint64_t, PartitionNode> nodes_;
};

// Items with "pk", "sk" and the rest as given in DynamoDB's plain JSON.
std::string ItemBytes(absl::string_view json);
std::string KeyBytes(absl::string_view pk, int sk);
std::string PlainJson(const std::string& item_bytes);
data::v1::Request GetRequest(absl::string_view pk, int sk);
data::v1::Request PutRequest(absl::string_view json);
// "SET ...", with values in plain JSON ({":v": 1}).
data::v1::Request UpdateRequest(absl::string_view pk, int sk, absl::string_view update,
                                absl::string_view values);
// Adds 1 to "n" of the item with sort key 1.
data::v1::Request Increment(absl::string_view pk);

}  // namespace ringleader

#endif  // RINGLEADER_TESTS_UNIT_NODE_PARTITION_WORLD_H_
