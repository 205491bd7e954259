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

namespace ringleader::simulation {

struct FaultOptions {
  Duration every_max = std::chrono::seconds(2);  // between two faults
  Duration lasts_max = std::chrono::seconds(6);  // pauses, partitions, full disks, downtime
  bool membership = true;
  bool bad_blocks = true;
};

class Faults {
 public:
  Faults(World& world, const FaultOptions& options);

  void Start();
  // Stops, and mends everything: machines up and running, network clean, disks fine.
  void Heal();

  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  void Next();
  void Inject();
  void InjectDisk(NodeId node);
  NodeId RandomNode();
  NodeId RandomUp();
  void Down(NodeId node, bool power);
  void Partition();
  void PauseFor(NodeId node);
  void NetworkWeather();
  void BadBlock(NodeId node);
  void Transfer();
  void ChangeMembers();
  void RemoveStrays(GroupId group);
  Duration Some(Duration max) { return Duration(random_.Between(1, max.count())); }
  void Count(const std::string& what) { ++counts_[what]; }

  World& world_;
  const FaultOptions options_;
  Random random_;
  bool healed_ = false;
  std::map<std::string, uint64_t> counts_;
  std::set<NodeId> damaged_;     // had a bad block in this run
  std::set<ReplicaId> demoted_;  // learners on their way out
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RAFT_FAULTS_H_
