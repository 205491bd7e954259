#include "tests/simulation/cluster_observer.h"

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/cluster_world.h"

namespace ringleader::simulation {

void ClusterObserver::Look(const ClusterMachine& machine) {
  if (machine.runtime() == nullptr) return;
  for (const auto& replica : machine.runtime()->Replicas()) {
    const replication::ReplicaView view = replica->view();
    if (view.role == replication::Role::kLeader) SawLeader(machine, *replica, view.term);
    if (view.rebuilding && !machine.harmed) LostState(machine, *replica);
  }
  if (machine.node != nullptr) CompareHashes(machine);
}

void ClusterObserver::SawLeader(const ClusterMachine& machine, const replication::Replica& replica,
                                replication::Term term) {
  const Replicated group{machine.kind == MachineKind::kCoordinator, replica.group()};
  const auto [known, fresh] = leaders_.try_emplace({group, term}, replica.id());
  if (fresh) {
    ++elections_;
    simulation_.Trace(term);
  } else if (known->second != replica.id()) {
    violated_(absl::StrCat(group.first ? "metadata" : absl::StrCat("partition ", group.second),
                           ": replicas ", known->second, " and ", replica.id(),
                           " both lead in term ", term));
  }
}

// Whatever moment a process ends at: a state machine changes over to a snapshot by one commit point
// (rule 12), and its log is never ahead of what it has made durable (rule 13).
void ClusterObserver::LostState(const ClusterMachine& machine,
                                const replication::Replica& replica) {
  violated_(absl::StrCat("host ", machine.host, ", group ", replica.group(), ": replica ",
                         replica.id(), " has lost its state, and nothing harmed its disk"));
}

void ClusterObserver::Applying(replication::GroupId partition,
                               absl::Span<const replication::Entry> entries) {
  std::map<replication::Index, uint64_t>& applied = entries_[partition];
  for (const replication::Entry& entry : entries) {
    absl::string_view payload;
    if (entry.payload != nullptr) payload = *entry.payload;
    const uint64_t mark = absl::HashOf(entry.term, static_cast<int>(entry.kind), payload);
    const auto [known, fresh] = applied.try_emplace(entry.index, mark);
    if (!fresh) ++counts_["applied entry compared"];
    if (known->second == mark) continue;
    violated_(
        absl::StrCat("partition ", partition, ": two entries were applied at index ", entry.index));
  }
}

// What a disk changed fails its checksum, so that this holds on damaged ones as well.
void ClusterObserver::CompareHashes(const ClusterMachine& machine) {
  for (const auto& replica : machine.runtime()->Replicas()) {
    const replication::GroupId group = replica->group();
    for (const Registry::RangeHash& taken : machine.node->registry().HashesOf(group)) {
      const auto [known, ignored] =
          hashes_.try_emplace({group, taken.index}, Hash{taken.hash, machine.host, {machine.host}});
      if (known->second.compared.insert(machine.host).second) ++counts_["hashes compared"];
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
