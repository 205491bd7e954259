// A small key-value cluster in memory behind the simulated network: nodes with the Data service and
// a coordinator with Cluster.Watch and Data. It keeps write sessions as a partition does, and
// counts what was applied, so that a test can tell once from twice. What goes wrong is the test's
// choice.
#ifndef RINGLEADER_TESTS_UNIT_CLIENT_FAKE_CLUSTER_H_
#define RINGLEADER_TESTS_UNIT_CLIENT_FAKE_CLUSTER_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/network.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"
#include "ringleader/data/v1/data.pb.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"
#include "tests/unit/client/lane_node.h"

namespace ringleader::client {

// What becomes of a request that a node got.
enum class Treatment {
  kServe,
  kServeAndBreak,  // carried out, and the stream breaks instead of the answer
  kBreak,          // the stream breaks, nothing happened
  kServeSilently,  // carried out, no answer
  kIgnore,         // no answer, nothing happened
};

class FakeCluster {
 public:
  static constexpr int kNodes = 3;
  static constexpr int kPartitions = 4;
  static constexpr uint64_t kTable = 7;
  static constexpr simulation::HostId kClientHost = 100;

  FakeCluster(simulation::Simulation& simulation, simulation::SimulatedNetwork& network);
  ~FakeCluster();

  static std::string NodeAddress(uint64_t node);
  static std::string CoordinatorAddress() { return "coordinator-1:7000"; }

  // The truth.
  void SetLeader(uint64_t partition, uint64_t node);  // a new term
  void Split(uint64_t partition);                     // in halves; the new one gets the next id
  // Tells watchers the truth, whole or as a change of everything.
  void Publish(bool complete);
  coordinator::v1::MapUpdate Map(bool complete) const;
  void StopNode(uint64_t node);
  void StartNode(uint64_t node);

  // Asked for every request that reaches a node or the coordinator; null: kServe.
  std::function<Treatment(uint64_t node, const data::v1::Request&)> treat;
  // Answers instead of the partition if it returns true.
  std::function<bool(uint64_t node, const data::v1::Request&, data::v1::Response*)> answer;
  // Takes the cache sessions of all nodes; null: they know no such thing.
  LaneNode* lanes = nullptr;
  // That "users" has; all but kTable is a table made anew after that one.
  uint64_t table_id = kTable;
  // The map does not have the table "users" (yet), though the metadata leader knows it.
  bool hides_table = false;
  // What the metadata leader says of a table: its state, or that there is none; nullptr: nothing.
  std::function<coordinator::v1::TableResponse(const std::string& name)> describe;
  // Nodes that give no hint, or a hint that was true once.
  bool gives_hints = true;
  std::map<uint64_t, data::v1::RouteHint> stale_hints;  // by node

  // Updates carried out, by (session, sequence): never more than one for each.
  std::map<std::pair<uint64_t, uint64_t>, int> applied;
  std::map<std::string, int> counts;         // by encoded key: updates carried out
  std::map<std::string, std::string> items;  // by encoded partition key attribute: puts
  std::map<std::string, uint64_t> tokens;    // of items
  uint64_t item_bytes = 0;                   // that a scan reads for each item
  std::map<uint64_t, int> requests;          // by node; 0: the coordinator
  int frames = 0;
  size_t largest_frame = 0;
  int watches = 0;
  int descriptions = 0;  // asked for

 private:
  friend class FakeNode;
  struct Partition {
    coordinator::v1::Partition description;
    std::map<uint64_t, std::map<uint64_t, data::v1::Response>> sessions;
    std::map<uint64_t, uint64_t> lowest;
  };

  void Handle(uint64_t node, const data::v1::Request& request, data::v1::Response* response);
  void Apply(Partition& partition, const data::v1::Request& request, data::v1::Response* response);
  void ScanPartition(const Partition& partition, const data::v1::Request& request,
                     data::v1::Response* response);
  Partition* Owner(const data::v1::Request& request);

  simulation::Simulation& simulation_;
  simulation::SimulatedNetwork& network_;
  std::map<uint64_t, Partition> partitions_;
  uint64_t version_ = 1;
  std::map<uint64_t, std::unique_ptr<class FakeNode>> nodes_;  // 0: the coordinator
  std::vector<std::weak_ptr<Call>> watchers_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_TESTS_UNIT_CLIENT_FAKE_CLUSTER_H_
