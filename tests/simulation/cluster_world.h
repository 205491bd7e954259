// A whole simulated cluster: coordinators, storage nodes and processes with the client library,
// each on a machine with disk, clock, threads and network of its own. Everything from the log's
// bytes and LevelDB's files to the client's frames is the production code, assembled as main.cc
// does; only the seams are simulated.
//
// Watches over every run what must hold whatever happens (cluster_observer.h), and the gate of the
// client cache (cluster_gate.h).
//
// Not thread-safe: one simulation, one thread. Methods that wait (blocking_waits.h) are called
// between events, never from one.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_WORLD_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/connection.h"
#include "common/check.h"
#include "coordinator/coordinator.h"
#include "node/node.h"
#include "tests/simulation/blocking_waits.h"
#include "tests/simulation/cluster_gate.h"
#include "tests/simulation/cluster_members.h"
#include "tests/simulation/cluster_observer.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"

namespace ringleader::simulation {

struct ClusterOptions {
  int coordinators = 3;
  int nodes = 4;
  int nodes_max = 5;  // the rest join later
  int clients = 3;
  int zones = 1;
  uint32_t partitions = 4;
  uint32_t replicas = 3;
  Duration task_time_max = std::chrono::microseconds(100);
  Duration sync_time_max{0};         // of a log's thread, where it is longer
  double clock_rate_spread = 0.004;  // each clock runs at 1 +- this
  bool gate_ends_run = true;   // that it was broken; otherwise what comes of it is seen as well
  Duration clock_step_max{0};  // both of a machine's clocks may gain this at once
  coordinator::BalancerOptions balancer;
  // For each node and coordinator; what belongs to one machine is filled in.
  NodeOptions node;
  // Of the client cache's leases, of the nodes in turn; a restarted one takes the next. Not empty.
  std::vector<Duration> lease_terms = {LeaseOptions().lease_term};
  replication::RuntimeOptions coordinator_runtime;
  std::vector<RoutePolicy> routes;    // of the clients, in turn; not empty
  std::vector<uint64_t> cache_bytes;  // of the clients' caches, in turn; not empty
  bool watches = false;               // each client that caches is told what it holds no longer
  uint64_t door_cache_bytes = 0;      // of each coordinator's cache
  Duration request_timeout = std::chrono::seconds(5);
  Duration attempt_timeout = std::chrono::seconds(3);
};

enum class MachineKind { kCoordinator, kNode, kClient };
// Machines are numbered from these on; coordinators from 1.
inline constexpr HostId kNodeHosts = 100, kClientHosts = 200;

// A machine. Its disk and clock survive the process.
struct ClusterMachine {
  HostId host = 0;
  MachineKind kind = MachineKind::kNode;
  uint64_t number = 0;  // among its kind, from 1
  std::string address;
  std::unique_ptr<SimulatedFileSystem> disk;
  std::unique_ptr<SimulatedClock> clock;
  Duration sync_time_max{0};  // of its log's thread, where it is longer than of the others

  // The process; all null while it is down.
  std::unique_ptr<SimulatedThreads> threads;
  std::unique_ptr<Network> network;  // a client's is its connection's own
  std::unique_ptr<Node> node;
  std::unique_ptr<coordinator::Coordinator> coordinator;
  std::unique_ptr<client::Connection> connection;
  bool ending = false;  // a client's connection is being destroyed, which takes time
  bool failed = false;  // it said that it has to end
  uint64_t starts = 0;
  Duration may_step_at{0};  // virtual time from when its clocks may gain a step again
  absl::Status refused;     // why the last start did not succeed, or what the process ended with
  bool wiped = false;       // once in the run
  bool harmed = false;      // what its disk was told to keep may be gone, or be given up for gone
  bool may_be_emptied = false;  // its data may be damaged: when its process says DATA_LOSS, an
                                // operator empties the disk

  bool up() const { return node != nullptr || coordinator != nullptr || connection != nullptr; }
  const replication::Runtime* runtime() const {
    if (node != nullptr) return node->runtime();
    return coordinator != nullptr ? coordinator->runtime() : nullptr;
  }
};

std::string MembersText(const replication::Configuration& members);

class ClusterWorld {
 public:
  ClusterWorld(Simulation& simulation, const ClusterOptions& options);
  // Ends every process. Time passes meanwhile, so what has set events outlives this.
  ~ClusterWorld();

  // Starts everything but the nodes that join later. The cluster forms as time passes.
  void Create();

  // Process and machine.
  void Start(HostId host);  // a start that fails (a broken disk) leaves it down
  void StartLater(HostId host, Duration delay);  // until it works
  void Kill(HostId host);  // the process only: what was written stays. A client's takes some time
  void CutPower(HostId host);  // what was not synced may be gone
  void Wipe(HostId host);      // down, with an empty disk
  // Its log takes up to this for a write, until it is told otherwise.
  void SlowDisk(HostId host, Duration sync_time_max);
  // Its two clocks for durations gain up to clock_step_max, if the bound on drift allows another
  // step. False: it does not.
  bool StepClock(HostId host);
  void Pause(HostId host);
  void Resume(HostId host);
  ClusterMachine& machine(HostId host) { return *machines_.at(host); }
  // Its disk may be harmed for good: all that its groups need beside it is whole.
  bool OthersAreWhole(HostId host) const { return MembersOf(host).OthersAreWhole(host); }
  // Of a kind, in the order of their numbers.
  std::vector<HostId> Hosts(MachineKind kind) const;
  client::Connection& connection(int client);
  client::Connection& administration();
  // Its process runs: what is in its memory can be looked at.
  bool ClientRuns(int client);
  // Told when a client's process is killed, before its calls end: what it has under way nobody
  // hears of any more.
  void OnClientKilled(std::function<void(int client)> told) { client_killed_ = std::move(told); }

  // Told with ClusterOptions::watches.
  void OnInvalidated(
      std::function<void(int client, absl::string_view table, const Item& key)> told) {
    invalidated_ = std::move(told);
  }

  // The host of the coordinator that leads the metadata; 0: none does.
  HostId MetadataLeader() const;
  replication::Term MetadataTerm() const;  // of that; 0: none
  // The host of the node whose replica serves as the partition's leader; 0: none does.
  HostId LeaderOf(replication::GroupId partition) const;
  // Those that run or stand still.
  std::vector<CachingProcess> CachingProcesses() const;
  // As the leading coordinator has them; empty: none leads.
  std::map<uint64_t, coordinator::v1::PartitionRecord> Partitions() const;
  std::vector<uint64_t> DrainingNodes() const;
  // The host at a node's address, by the leading coordinator's metadata; 0: unknown.
  HostId HostOf(uint64_t node) const;

  // Whether a partition that nobody leads has an entry in doubt on one node and nothing of a voter,
  // or no state, on another: the fault model promises no service then. Counted.
  bool StandsStillInDoubt();
  // Everybody is well: all are up, `ringctl health` has nothing to say, nothing moves. Waits.
  bool Healthy(std::string* why_not);
  // Every partition has the members that its plan names, spread over zones as far as the nodes that
  // are alive allow.
  bool Placed(std::string* why_not) const;
  // Every replica of every partition holds the same items, by an eventually consistent scan of
  // each. Waits.
  bool ReplicasAgree(std::string* why_not);
  // Every coordinator's copy of the metadata is the same.
  bool CoordinatorsAgree(std::string* why_not) const;

  SimulatedNetwork& network() { return network_; }
  Simulation& simulation() { return simulation_; }
  const ClusterOptions& options() const { return options_; }

  // What broke first, with the virtual time; empty if nothing did.
  const std::string& violation() const { return violation_; }
  // The gate, where that does not end the run.
  const std::string& gate_violation() const { return gate_violation_; }
  void Violation(const std::string& what);
  uint64_t elections() const { return invariants_.elections(); }
  // How often what is rare happened in the processes, those that have ended included.
  std::map<std::string, uint64_t> Happened();

 private:
  // Of a server.
  const ClusterMembers& MembersOf(HostId host) const {
    CHECK_LT(host, kClientHosts);
    return host > kNodeHosts ? nodes_ : coordinators_;
  }
  ClusterMembers& MembersOf(HostId host) {
    return const_cast<ClusterMembers&>(std::as_const(*this).MembersOf(host));
  }
  void AddMachine(MachineKind kind, uint64_t number);
  absl::Status StartNode(ClusterMachine& machine);
  absl::Status StartCoordinator(ClusterMachine& machine);
  void StartClient(ClusterMachine& machine);
  void KillClient(ClusterMachine& machine);
  void Watch();
  std::string AtThisTime(const std::string& what) const;
  void LogState() const;
  void GateViolation(const std::string& what);
  bool HasItsMembers(const coordinator::v1::Partition& planned, size_t nodes_alive,
                     std::string* why_not) const;
  static ClusterMembers::Views ViewsOf(const replication::Runtime& runtime);
  GroupInvariants::Replicas ReplicasOf(MachineKind kind) const;
  void Observe(const ClusterMachine& machine);
  // One page after the other, of one replica.
  absl::StatusOr<std::string> Dump(HostId host, uint64_t partition);
  absl::StatusOr<data::v1::Response> Ask(HostId host, const data::v1::Request& request);

  Simulation& simulation_;
  const BlockingWaits waits_;
  const ClusterOptions options_;
  Random random_;
  SimulatedNetwork network_;
  std::map<HostId, std::unique_ptr<ClusterMachine>> machines_;
  std::vector<std::string> coordinator_addresses_;
  std::unique_ptr<Network> observer_;  // a place in the network that no fault touches
  ClusterGate gate_;
  ClusterObserver invariants_;
  ClusterMembers coordinators_;
  ClusterMembers nodes_;
  std::function<void(int client)> client_killed_;
  std::function<void(int client, absl::string_view table, const Item& key)> invalidated_;
  std::string violation_;
  std::string gate_violation_;
  uint64_t watch_periods_ = 0;
  std::map<std::string, uint64_t> happened_;  // in processes that have ended, and seen from outside
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_WORLD_H_
