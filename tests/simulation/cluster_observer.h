// What must hold at any time, whatever goes wrong, as an observer sees it who looks into all
// processes from time to time: one leader a term, logs that match, the same entry at the same index
// wherever it is applied, equal state at equal index (by the hashes that replicas take of their
// stores), state that only harm to its disk takes away, epochs that only grow.
//
// Not thread-safe: one simulation, one thread.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_OBSERVER_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_OBSERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "coordinator/metadata.h"
#include "replication/replica.h"
#include "replication/types.h"
#include "tests/simulation/group_invariants.h"
#include "tests/simulation/simulation.h"

namespace ringleader::simulation {

struct ClusterMachine;

class ClusterObserver {
 public:
  ClusterObserver(Simulation& simulation, std::function<void(const std::string&)> violated)
      : simulation_(simulation), violated_(std::move(violated)) {}

  // A process that runs, or stands still.
  void Look(const ClusterMachine& machine);
  // The partitions of a coordinator that leads the metadata in this term. With the newest leader
  // gone, one of an earlier term may be left that does not know of its end yet: it tells nothing.
  void LookAtPlans(replication::Term term,
                   const std::map<uint64_t, coordinator::v1::PartitionRecord>& partitions);

  // A replica of a partition is about to apply these.
  void Applying(replication::GroupId partition, absl::Span<const replication::Entry> entries);

  // All replicas of the coordinators' metadata and of the nodes' partitions.
  void LookAtLogs(const GroupInvariants::Replicas& metadata,
                  const GroupInvariants::Replicas& partitions);

  // No leader of the metadata was seen in a later term.
  bool IsNewest(replication::Term term) const { return term >= metadata_term_; }

  uint64_t elections() const { return elections_; }
  // How often something was there to be compared.
  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  using Replicated = std::pair<bool, replication::GroupId>;  // of coordinators; the group
  struct Hash {
    uint64_t hash = 0;
    uint64_t host = 0;            // that took it first
    std::set<uint64_t> compared;  // with it, itself among them
  };

  void SawLeader(const ClusterMachine& machine, const replication::Replica& replica,
                 replication::Term term);
  void LostState(const ClusterMachine& machine, const replication::Replica& replica);
  void CompareHashes(const ClusterMachine& machine);

  Simulation& simulation_;
  const std::function<void(const std::string&)> violated_;
  uint64_t elections_ = 0;
  GroupInvariants metadata_logs_;
  GroupInvariants partition_logs_;
  std::map<std::pair<Replicated, replication::Term>, replication::ReplicaId> leaders_;
  std::map<std::pair<replication::GroupId, replication::Index>, Hash> hashes_;
  // Of a term, a kind and a payload; as they were applied first.
  std::map<replication::GroupId, std::map<replication::Index, uint64_t>> entries_;
  replication::Term metadata_term_ = 0;
  std::map<uint64_t, uint64_t> epochs_;  // by partition
  std::map<std::string, uint64_t> counts_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_OBSERVER_H_
