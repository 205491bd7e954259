#include "tests/simulation/cluster_observer.h"

#include "absl/strings/str_cat.h"
#include "tests/simulation/cluster_world.h"

namespace ringleader::simulation {

void ClusterObserver::Look(const ClusterMachine& machine) {
  if (machine.runtime() == nullptr) return;
  LookForLeaders(machine);
  if (machine.node != nullptr) CompareHashes(machine);
}

void ClusterObserver::LookForLeaders(const ClusterMachine& machine) {
  for (const auto& replica : machine.runtime()->Replicas()) {
    const replication::ReplicaView view = replica->view();
    if (view.role != replication::Role::kLeader) continue;
    const Replicated group{machine.kind == MachineKind::kCoordinator, replica->group()};
    const auto [known, fresh] = leaders_.try_emplace({group, view.term}, replica->id());
    if (fresh) {
      ++elections_;
      simulation_.Trace(view.term);
    } else if (known->second != replica->id()) {
      violated_(absl::StrCat(group.first ? "metadata" : absl::StrCat("partition ", group.second),
                             ": replicas ", known->second, " and ", replica->id(),
                             " both lead in term ", view.term));
    }
  }
}

// What a disk changed fails its checksum, so that this holds on damaged ones as well.
void ClusterObserver::CompareHashes(const ClusterMachine& machine) {
  for (const auto& replica : machine.runtime()->Replicas()) {
    const replication::GroupId group = replica->group();
    for (const Registry::RangeHash& taken : machine.node->registry().HashesOf(group)) {
      const auto [known, fresh] =
          hashes_.try_emplace({group, taken.index}, Hash{taken.hash, machine.host, {}});
      if (fresh || !known->second.compared.insert(machine.host).second) continue;
      ++counts_["hashes compared"];
      if (known->second.hash == taken.hash) continue;
      violated_(absl::StrCat("partition ", group, ": hosts ", known->second.host, " and ",
                             machine.host, " hold different state at index ", taken.index));
    }
  }
}

void ClusterObserver::LookAtLogs(const GroupInvariants::Replicas& metadata,
                                 const GroupInvariants::Replicas& partitions) {
  const absl::Status coordinators = metadata_logs_.Look(simulation_.now(), metadata);
  if (!coordinators.ok()) violated_(absl::StrCat("metadata, ", coordinators.message()));
  const absl::Status nodes = partition_logs_.Look(simulation_.now(), partitions);
  if (!nodes.ok()) violated_(absl::StrCat("partitions, ", nodes.message()));
  counts_["logs of all groups compared"] =
      metadata_logs_.comparisons() + partition_logs_.comparisons();
}

void ClusterObserver::LookAtPlans(
    replication::Term term,
    const std::map<uint64_t, coordinator::v1::PartitionRecord>& partitions) {
  if (!IsNewest(term)) return;
  metadata_term_ = term;
  for (const auto& [id, record] : partitions) {
    uint64_t& epoch = epochs_[id];
    const uint64_t now = record.partition().epoch();
    if (epoch != 0 && now > epoch) ++counts_["members of a partition changed"];
    if (now < epoch) {
      violated_(absl::StrCat("partition ", id, ": its epoch fell from ", epoch, " to ", now));
    }
    epoch = now;
  }
}

}  // namespace ringleader::simulation
