#include "coordinator/health.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ringleader::coordinator {
namespace {

// Whether the node says that its replica has stopped, or waits to be filled.
bool HasFailed(const Observations& seen, uint64_t node, uint64_t partition) {
  const auto host = seen.find(node);
  if (host == seen.end()) return false;
  const auto report = host->second.replicas.find(partition);
  return report != host->second.replicas.end() && !report->second.failure().empty();
}

v1::PartitionHealth HealthOf(const Metadata& metadata, const Observations& seen,
                             const v1::PartitionRecord& record) {
  v1::PartitionHealth health;
  health.set_partition(record.partition().id());
  uint32_t voters = 0, voters_alive = 0;
  for (const v1::Replica& replica : record.partition().replicas()) {
    const v1::NodeRecord* node = metadata.FindNode(replica.node());
    const bool alive = node != nullptr && node->node().alive() &&
                       !HasFailed(seen, replica.node(), record.partition().id());
    if (!replica.voter()) continue;
    ++voters;
    voters_alive += alive;
  }
  health.set_has_quorum(voters_alive > voters / 2);
  health.set_replicas_alive(voters_alive);
  health.set_replicas_wanted(metadata.plan().replicas());
  if (record.has_move()) {
    const v1::MoveRecord& move = record.move();
    health.set_moving(absl::StrCat("from node ", move.remove_node(), " to node ", move.add_node(),
                                   move.aborting() ? ", being aborted" : "", " (", move.reason(),
                                   ")"));
  }
  return health;
}

constexpr size_t kReplicaAlarmsMax = 20;

std::string BadFileText(const v1::ReplicaReport& report) {
  return absl::StrCat("the scrub can't read ", report.bad_file(),
                      ". It is to be rebuilt once all others of the partition are well; without "
                      "any other, export what can be read.");
}

// Replicas that stand still because of something that is wrong with them.
void AddReplicaAlarms(const Metadata& metadata, const Observations& seen,
                      v1::StatusResponse& response) {
  size_t failed = 0;
  for (const auto& [node, host] : seen) {
    const v1::NodeRecord* record = metadata.FindNode(node);
    if (record == nullptr || !record->node().alive()) continue;
    for (const auto& [partition, report] : host.replicas) {
      const bool is_well = report.failure().empty() && report.bad_file().empty();
      if (is_well || ++failed > kReplicaAlarmsMax) continue;
      response.add_alarms(
          absl::StrCat("Replica ", report.replica(), " of partition ", partition, " on node ", node,
                       ": ", report.failure().empty() ? BadFileText(report) : report.failure()));
    }
  }
  for (const Balancer::Divergence& divergence : Balancer::FindDivergences(metadata, seen)) {
    if (!divergence.odd.empty()) {
      response.add_alarms(absl::StrCat("Partition ", divergence.partition, ": replica ",
                                       divergence.odd.front().replica, " on node ",
                                       divergence.odd.front().node,
                                       " holds other data than most; it is to be rebuilt."));
    } else {
      response.add_alarms(absl::StrCat(
          "Partition ", divergence.partition,
          ": its replicas hold different data and no majority agrees. Nothing is changed; find out "
          "which is right, and move the others away."));
    }
  }
  if (failed > kReplicaAlarmsMax) {
    response.add_alarms(absl::StrCat(failed - kReplicaAlarmsMax, " more replicas are in trouble."));
  }
}

void AddDiskAlarm(const v1::Node& node, const NodeSeen& seen, v1::StatusResponse& response) {
  if (seen.disk_full) {
    response.add_alarms(absl::StrCat("Node ", node.id(), " at ", node.address(),
                                     ": its disk is full, ", seen.free_bytes,
                                     " bytes are free: it takes no writes. Make room; it goes on "
                                     "by itself."));
  } else if (seen.disk_stalled) {
    response.add_alarms(
        absl::StrCat("Node ", node.id(), " at ", node.address(), ": its disk makes no progress."));
  }
}

void AddAlarms(const Metadata& metadata, const Observations& seen, v1::StatusResponse& response) {
  size_t without_quorum = 0, short_of_replicas = 0, without_leader = 0;
  for (const v1::PartitionHealth& health : response.partitions()) {
    without_quorum += !health.has_quorum();
    short_of_replicas += health.replicas_alive() < health.replicas_wanted();
    uint64_t node = 0;
    without_leader += Balancer::LeaderReport(metadata, seen, health.partition(), &node) == nullptr;
  }
  if (metadata.partitions().empty()) {
    response.add_alarms(absl::StrCat("Partitions are not formed: ", metadata.plan().replicas(),
                                     " nodes are needed, ", metadata.nodes().size(),
                                     " have registered."));
  }
  if (without_quorum > 0) {
    response.add_alarms(absl::StrCat(without_quorum,
                                     " partitions have no quorum: start their "
                                     "nodes again. Their data can't be read or written."));
  }
  if (without_leader > without_quorum) {
    response.add_alarms(absl::StrCat(without_leader, " partitions report no leader."));
  }
  if (short_of_replicas > 0) {
    response.add_alarms(absl::StrCat(short_of_replicas,
                                     " partitions have fewer replicas alive "
                                     "than wanted."));
  }
  std::set<uint64_t> hosts;
  for (const auto& [id, record] : metadata.partitions()) {
    for (const v1::Replica& replica : record.wish()) hosts.insert(replica.node());
  }
  for (const auto& [id, record] : metadata.nodes()) {
    if (record.node().state() == v1::NODE_STATE_REMOVED) continue;
    // A wiped disk's former id: once its replicas live elsewhere nobody waits for it any more.
    const bool is_past = !hosts.contains(id) && Balancer::IsSuperseded(metadata, record.node());
    if (!record.node().alive() && !is_past) {
      response.add_alarms(
          absl::StrCat("Node ", id, " at ", record.node().address(), " does not report."));
    }
    const auto found = seen.find(id);
    // What a node said last says nothing of one that is gone.
    if (found != seen.end() && record.node().alive()) {
      AddDiskAlarm(record.node(), found->second, response);
    }
  }
  AddReplicaAlarms(metadata, seen, response);
}

}  // namespace

v1::StatusResponse DescribeHealth(const Metadata& metadata, const Observations& seen,
                                  const std::vector<std::string>& coordinator_addresses,
                                  uint64_t coordinator_leader,
                                  const std::set<uint64_t>& coordinators_alive) {
  v1::StatusResponse response;
  response.set_formation(metadata.plan().formation());
  response.set_map_version(metadata.version());
  response.set_coordinator_leader(coordinator_leader);
  response.set_cluster_version(metadata.cluster_version());
  for (const auto& [id, record] : metadata.coordinators()) {
    v1::Coordinator& coordinator = *response.add_coordinators();
    coordinator.set_id(id);
    coordinator.set_version(record.version());
    if (record.has_versions()) *coordinator.mutable_versions() = record.versions();
    coordinator.set_leader(id == coordinator_leader);
    coordinator.set_alive(coordinators_alive.contains(id));
    if (!coordinator.alive()) {
      response.add_alarms(absl::StrCat("Coordinator ", id - 1, " does not answer."));
    }
    if (id <= coordinator_addresses.size()) {
      coordinator.set_address(coordinator_addresses[id - 1]);
    }
  }
  for (const auto& [id, record] : metadata.nodes()) *response.add_nodes() = record.node();
  for (const auto& [id, record] : metadata.partitions()) {
    *response.add_partitions() = HealthOf(metadata, seen, record);
  }
  AddAlarms(metadata, seen, response);
  return response;
}

}  // namespace ringleader::coordinator
