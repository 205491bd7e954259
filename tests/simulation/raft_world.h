// A simulated cluster of replication runtimes: machines with disk, clock, threads and network of
// their own, and groups of registers replicated over them. Everything from the log's bytes to the
// transport's frames is the production code; only the seams are simulated.
//
// Watches over every run what must hold whatever happens (RegisterObserver): two replicas of a
// group at the same index have the same history, a term of a group has one leader, logs match, and
// a machine whose disk was not harmed starts with the state that it had.
#ifndef RINGLEADER_TESTS_SIMULATION_RAFT_WORLD_H_
#define RINGLEADER_TESTS_SIMULATION_RAFT_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replication/runtime.h"
#include "tests/simulation/group_invariants.h"
#include "tests/simulation/register_machine.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"

namespace ringleader::simulation {

using replication::GroupId;
using replication::NodeId;
using replication::ReplicaId;

struct WorldOptions {
  int nodes = 3;
  int groups = 1;
  int replicas = 3;
  Duration task_time_max = std::chrono::microseconds(100);
  Duration sync_time_max{0};         // of the log's thread, where it is longer
  double clock_rate_spread = 0.004;  // each clock runs at 1 +- this
  replication::RuntimeOptions runtime;
};

// A machine. Its disk and clock survive the process.
struct Machine {
  NodeId node = 0;
  std::unique_ptr<SimulatedFileSystem> disk;
  std::unique_ptr<SimulatedClock> clock;
  Duration sync_time_max{0};  // of its log's thread, where it is longer than of the others
  bool wiped = false;         // once in the run
  bool harmed = false;        // lost something that it had synced, or all
  // Two failures in a row made it give up state that was whole (replication/README.md).
  bool gave_up_state = false;

  // The process; all null while it is down.
  std::unique_ptr<SimulatedThreads> threads;
  std::unique_ptr<Network> network;
  std::unique_ptr<replication::StateMachineFactory> factory;
  std::unique_ptr<replication::Runtime> runtime;
  std::unique_ptr<Listener> listener;
  OpenMachines machines;
  bool failed = false;  // its log failed for good: it has to end
  uint64_t starts = 0;

  bool up() const { return runtime != nullptr; }
};

class World {
 public:
  World(Simulation& simulation, const WorldOptions& options);
  ~World();

  // Starts all machines and creates the groups, without faults.
  void Create();

  // Process and machine.
  void Start(NodeId node);  // a start that fails (a broken disk) leaves it down
  void StartLater(NodeId node, Duration delay);  // until it works
  void Kill(NodeId node);                        // the process only: what was written stays
  void CutPower(NodeId node);                    // what was not synced may be gone
  void Wipe(NodeId node);                        // down, with an empty disk
  // Whether the machine's disk may be harmed: that of one in a run, which is a minority of every
  // group. It counts as harmed from here on.
  bool MayHarm(NodeId node) const;
  void Harm(NodeId node) { machines_.at(node).harmed = true; }
  // Its log takes up to this for a write, until it is told otherwise.
  void SlowDisk(NodeId node, Duration sync_time_max);
  void Pause(NodeId node);
  void Resume(NodeId node);
  Machine& machine(NodeId node) { return machines_.at(node); }
  std::map<NodeId, Machine>& machines() { return machines_; }

  SimulatedNetwork& network() { return network_; }
  Simulation& simulation() { return simulation_; }
  const WorldOptions& options() const { return options_; }
  std::vector<GroupId> groups() const;
  ReplicaId NewReplicaId() { return ++last_replica_; }

  // The node whose replica serves as the group's leader, or 0.
  NodeId LeaderOf(GroupId group);
  // Every member of every group is up, applied what its leader committed, and the leaders serve.
  bool Converged(std::string* why_not);
  // A group has no leader for a reason for which none is promised (voters_in_doubt.h); counted.
  bool StandsStillInDoubt();
  // Every replica, for a run that failed.
  void LogState() const;

  // Called with the outcome of a command on the replica that applied it.
  void OnOutcome(std::function<void(ReplicaId, uint64_t id, int64_t output)> outcome) {
    outcome_ = std::move(outcome);
  }

  // What broke first, with the virtual time; empty if nothing did.
  const std::string& violation() const { return violation_; }
  void Violation(const std::string& what);

  uint64_t entries_applied() const { return entries_applied_; }
  uint64_t elections() const { return elections_; }
  // How often what is rare happened in the processes, those that have ended included.
  std::map<std::string, uint64_t> Happened() const;

 private:
  void CheckState(const Machine& machine);
  bool NeedsReplacement(GroupId group, const replication::Member& member) const;
  void Applied(GroupId group, ReplicaId replica, const replication::Entry& entry, uint64_t hash);
  void Leadership(GroupId group, ReplicaId replica, replication::Term term, bool began);
  void WatchMachines();
  void LookAtLogs();
  static std::string Address(NodeId node);

  Simulation& simulation_;
  const WorldOptions options_;
  Random random_;
  SimulatedNetwork network_;
  RegisterObserver observer_;
  std::function<void(ReplicaId, uint64_t, int64_t)> outcome_;
  std::map<NodeId, Machine> machines_;
  ReplicaId last_replica_ = 0;
  std::string violation_;
  uint64_t entries_applied_ = 0;
  uint64_t elections_ = 0;
  uint64_t watch_periods_ = 0;
  GroupInvariants logs_;
  std::map<std::string, uint64_t> happened_;  // in processes that have ended
  std::map<std::pair<GroupId, replication::Index>, std::pair<ReplicaId, uint64_t>> histories_;
  std::map<std::pair<GroupId, replication::Term>, ReplicaId> leaders_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RAFT_WORLD_H_
