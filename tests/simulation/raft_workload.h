// Clients of the registers, and the record of what they saw. Each has one operation under way at a
// time: writes, compare-and-sets and adds through the leader's log, reads by lease or by quorum.
// Three more are idle until a fault of several steps calls them (Besiege).
#ifndef RINGLEADER_TESTS_SIMULATION_RAFT_WORKLOAD_H_
#define RINGLEADER_TESTS_SIMULATION_RAFT_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/linearizability.h"
#include "tests/simulation/raft_world.h"

namespace ringleader::simulation {

struct WorkloadOptions {
  int clients = 4;
  int keys = 3;  // of each group
  Duration think_max = std::chrono::milliseconds(50);
  double wander = 0.3;  // chance that an operation starts at a random node
  Duration timeout = std::chrono::seconds(1);
  uint64_t padding_bytes_max = 2000;
};

class Workload {
 public:
  Workload(World& world, const WorkloadOptions& options);

  void Start();
  void Stop() { stopped_ = true; }

  // Until Release: two clients read from this node's replica of the group on end and from no other,
  // as whoever has not heard of a newer leader would, one by lease and one by quorum; a third
  // writes wherever the group has a leader.
  void Besiege(GroupId group, NodeId node);
  // Until Release: no write of this group is sent, so that all replicas' logs become equal.
  void Hush(GroupId group) { hushed_ = group; }
  void Release();
  // So many entries at once by this leader, for a register that nobody reads.
  void Flood(GroupId group, NodeId leader, size_t entries);

  // Checks every key's history. Reports to world.Violation.
  void Check();

  uint64_t succeeded() const { return succeeded_; }
  uint64_t unknown() const { return unknown_; }
  uint64_t lease_reads() const { return lease_reads_; }
  uint64_t quorum_reads() const { return quorum_reads_; }
  // Reads at a leader that had no lease at that moment.
  uint64_t leases_lapsed() const { return leases_lapsed_; }

 private:
  using Key = std::pair<GroupId, uint64_t>;

  enum class Duty { kOwn, kLeaseReads, kQuorumReads, kWrites };

  struct Client {
    Random random;
    Duty duty = Duty::kOwn;
    bool at_work = false;  // an operation is under way or will follow
    NodeId target = 1;
    uint64_t attempt = 0;  // the one under way; 0: none
    RegisterEvent event;
    Key key;
    bool sent = false;  // the cluster may have it
    uint64_t timer = 0;
  };

  void Next(size_t client);
  void Begin(size_t client);
  void Draw(Client& client);
  void Attempt(size_t client);
  void SendCommand(size_t client, const std::shared_ptr<replication::Replica>& replica);
  void SendRead(size_t client, const std::shared_ptr<replication::Replica>& replica);
  void FinishRead(size_t client, uint64_t attempt, Machine& machine, uint64_t starts,
                  const std::shared_ptr<replication::Replica>& replica,
                  absl::StatusOr<replication::Index> index);
  void Refused(size_t client, uint64_t attempt);
  void Succeeded(size_t client, uint64_t attempt, int64_t output);
  void TimedOut(size_t client, uint64_t attempt);
  void Record(Client& client);
  bool Resolve(uint64_t id, RegisterEvent& event) const;
  int64_t Now() const { return world_.simulation().now().count(); }

  World& world_;
  const WorkloadOptions options_;
  bool stopped_ = false;
  std::vector<Client> clients_;
  GroupId besieged_ = 0;  // 0: none
  NodeId besieged_node_ = 0;
  GroupId hushed_ = 0;  // 0: none
  uint64_t last_attempt_ = 0;
  int64_t last_value_ = 0;
  std::map<uint64_t, std::pair<size_t, ReplicaId>> commands_;  // by id: whose, and sent to
  std::map<uint64_t, int64_t> outcomes_;  // by id: of every command that some replica has applied
  std::map<Key, std::vector<std::pair<RegisterEvent, uint64_t>>>
      histories_;  // with the command's id
  uint64_t succeeded_ = 0;
  uint64_t unknown_ = 0;
  uint64_t lease_reads_ = 0;
  uint64_t quorum_reads_ = 0;
  uint64_t leases_lapsed_ = 0;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RAFT_WORKLOAD_H_
