// What goes wrong in a run, drawn from the seed: crashes, power cuts in the middle of a disk
// operation, pauses, partitions, lossy networks, failing and full disks, bad blocks in the log,
// clock jumps, transfers of leadership and changes of members. At most a minority of the machines
// is harmed at a time where the promise depends on it (bad blocks); everything else may hit all.
#ifndef RINGLEADER_TESTS_SIMULATION_RAFT_FAULTS_H_
#define RINGLEADER_TESTS_SIMULATION_RAFT_FAULTS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/simulation/raft_world.h"
#include "tests/simulation/run_draws.h"

namespace ringleader::simulation {

struct FaultOptions {
  FaultPace pace;
  Duration members_every_max{0};  // between two steps of members; 0: members stay
  // Of a group's rare moments (Strike) this part is hit.
  double strikes = 0;
  // One machine may lose its disk; power is never cut then.
  bool wipes = false;
  // Power may be cut at the sync of a batch of many entries; no disk is harmed then.
  bool tears = false;
};

class Strategies;
class Workload;

class Faults {
 public:
  Faults(World& world, Workload& workload, Strategies& strategies, const FaultOptions& options);

  void Start();
  // Stops, and mends everything: machines up and running, network clean, disks fine.
  void Heal();
  // Destroys replicas that a committed configuration left out, as a coordinator would.
  void RemoveStrays(GroupId group);

  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  enum class Kind {
    kKill,
    kPower,
    kPowerAll,
    kPause,
    kPartition,
    kWeather,
    kDisk,
    kSlowDisk,
    kBadBlock,
    kTear,
    kWipe,
    kClock,
    kTransfer,
    kKinds,
  };

  void Next();
  void NextMembers();
  void Inject();
  void InjectDisk(NodeId node);
  void TearBatch();
  NodeId RandomNode();
  NodeId RandomUp();
  NodeId RandomLeader();
  void Down(NodeId node, bool power);
  void PowerAll();
  void Partition();
  void Block(const std::vector<std::pair<NodeId, NodeId>>& links, Duration lasts);
  void PauseFor(NodeId node);
  void SlowDiskFor(NodeId node);
  void NetworkWeather();
  void Transfer();

  // raft_faults_aimed.cc: where something is at stake
  void Watch();
  void WatchReplica(NodeId node, const replication::Replica& replica);
  void EachAlone();
  void Strike(NodeId node);
  void BadBlock(NodeId node);
  void Wipe(NodeId node);

  // raft_faults_members.cc
  void ChangeMembers();

  Duration Some(Duration max) { return Duration(random_.Between(1, max.count())); }
  void Count(const std::string& what) { ++counts_[what]; }

  World& world_;
  Workload& workload_;
  Strategies& strategies_;
  const FaultOptions options_;
  Random random_;
  bool healed_ = false;
  std::map<std::string, uint64_t> counts_;
  std::vector<uint64_t> weights_;  // by kind
  // By group and node: what of a moment was noticed already, so that it is struck at once only.
  std::map<std::pair<GroupId, NodeId>, replication::Term> new_leaders_, transfers_;
  std::map<std::pair<GroupId, NodeId>, replication::Index> changes_, installs_;
  std::set<std::pair<GroupId, NodeId>> rebuilding_;
  std::set<ReplicaId> demoted_;  // learners on their way out
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RAFT_FAULTS_H_
