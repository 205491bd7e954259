// The cluster as metrics. Only the metadata leader shows ringleader_cluster_*: it alone hears the
// nodes, and what every coordinator showed would be there several times.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/coordinator.h"
#include "coordinator/director.h"
#include "replication/runtime_metrics.h"

namespace ringleader::coordinator {
namespace {

double Number(uint64_t value) { return static_cast<double>(value); }

void CollectPartitions(const Metadata& metadata, const v1::StatusResponse& health,
                       const Observations& seen, MetricSink& sink) {
  uint64_t without_quorum = 0, under_replicated = 0, without_leader = 0, moving = 0, aborting = 0;
  for (const v1::PartitionHealth& partition : health.partitions()) {
    without_quorum += !partition.has_quorum();
    under_replicated += partition.replicas_alive() < partition.replicas_wanted();
    uint64_t node = 0;
    without_leader +=
        Balancer::LeaderReport(metadata, seen, partition.partition(), &node) == nullptr;
  }
  for (const auto& [id, record] : metadata.partitions()) {
    moving += record.has_move();
    aborting += record.has_move() && record.move().aborting();
  }
  sink.Gauge("ringleader_cluster_version", "The version that the cluster was raised to.",
             Number(metadata.cluster_version()));
  sink.Gauge("ringleader_cluster_partitions", "Partitions of the cluster.",
             Number(metadata.partitions().size()));
  sink.Gauge("ringleader_cluster_partitions_wanted",
             "Partitions that the cluster was founded with; none exist before enough nodes do.",
             Number(metadata.plan().partitions()));
  sink.Gauge("ringleader_cluster_partitions_without_quorum",
             "Partitions that can neither be read nor written.", Number(without_quorum));
  sink.Gauge("ringleader_cluster_partitions_under_replicated",
             "Partitions with fewer replicas alive than wanted.", Number(under_replicated));
  sink.Gauge("ringleader_cluster_partitions_without_leader",
             "Partitions of which no node reports that it leads.", Number(without_leader));
  sink.Gauge("ringleader_cluster_moves_under_way", "Replicas on their way between nodes.",
             Number(moving));
  sink.Gauge("ringleader_cluster_moves_aborting", "Of those, the ones being taken back.",
             Number(aborting));
  const char* const moves = "ringleader_cluster_moves_total";
  const char* const help = "Moves of replicas, by step, since this coordinator started.";
  sink.Counter(moves, help, Number(metadata.move_counts().planned), {{"step", "planned"}});
  sink.Counter(moves, help, Number(metadata.move_counts().finished), {{"step", "finished"}});
  sink.Counter(moves, help, Number(metadata.move_counts().undone), {{"step", "aborted"}});
}

const char* StateOf(const v1::Node& node) {
  if (node.state() == v1::NODE_STATE_REMOVED) return "removed";
  if (!node.alive()) return "silent";
  return node.state() == v1::NODE_STATE_DRAINING ? "draining" : "up";
}

void CollectNodes(const Metadata& metadata, const Observations& seen, MetricSink& sink) {
  std::map<std::string, uint64_t> states = {
      {"up", 0}, {"draining", 0}, {"silent", 0}, {"removed", 0}};
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> held;  // by node: replicas, leaders
  for (const auto& [id, record] : metadata.partitions()) {
    for (const v1::Replica& replica : record.partition().replicas()) ++held[replica.node()].first;
    uint64_t node = 0;
    if (Balancer::LeaderReport(metadata, seen, id, &node) != nullptr) ++held[node].second;
  }
  uint64_t damaged = 0;
  for (const auto& [id, record] : metadata.nodes()) {
    ++states[StateOf(record.node())];
    if (record.node().state() == v1::NODE_STATE_REMOVED) continue;
    const MetricLabels labels = {{"node", absl::StrCat(id)}};
    sink.Gauge("ringleader_cluster_node_replicas", "Replicas on each node.", Number(held[id].first),
               labels);
    sink.Gauge("ringleader_cluster_node_leaders", "Partitions that each node leads.",
               Number(held[id].second), labels);
    sink.Gauge("ringleader_cluster_node_alive", "1 if the node reports.", record.node().alive(),
               labels);
    const auto found = seen.find(id);
    if (found == seen.end()) continue;
    for (const auto& [partition, report] : found->second.replicas) {
      damaged += !report.failure().empty();
    }
  }
  sink.Gauge("ringleader_cluster_replicas_damaged",
             "Replicas that their nodes report as failed; they are opened again or rebuilt.",
             Number(damaged));
  for (const auto& [state, count] : states) {
    sink.Gauge("ringleader_cluster_nodes", "Nodes by state; silent: not heard of.", Number(count),
               {{"state", state}});
  }
}

void CollectCache(const CacheStatistics& cache, MetricSink& sink) {
  const char* const reads = "Gets through this coordinator that its memory could have answered.";
  sink.Counter("ringleader_coordinator_cache_reads_total", reads, cache.hits, {{"result", "hit"}});
  sink.Counter("ringleader_coordinator_cache_reads_total", reads, cache.misses,
               {{"result", "miss"}});
  sink.Counter("ringleader_coordinator_cache_granted_total",
               "Items taken into this coordinator's memory.", cache.inserted);
  sink.Counter("ringleader_coordinator_cache_joined_total",
               "Of the misses those that the answer to another one's request answered.",
               cache.joined);
  sink.Counter("ringleader_coordinator_cache_invalidated_total",
               "Items that left it because somebody changed them.", cache.invalidated);
  sink.Counter("ringleader_coordinator_cache_evicted_total",
               "Items that left it to make room for others.", cache.evicted);
  sink.Gauge("ringleader_coordinator_cache_items", "Items in this coordinator's memory.",
             Number(cache.entries));
  sink.Gauge("ringleader_coordinator_cache_bytes", "Bytes of them and of what they cost.",
             Number(cache.bytes));
}

}  // namespace

void Director::Collect(MetricSink& sink) const {
  const Metadata& metadata = store_.metadata();
  sink.Gauge("ringleader_coordinator_watchers", "Clients and nodes that follow the map here.",
             Number(watchers_.size()));
  sink.Gauge("ringleader_coordinator_attending_nodes", "Nodes that report to this coordinator.",
             Number(attendances_.size()));
  sink.Gauge("ringleader_coordinator_map_version", "Version of the map that this coordinator has.",
             Number(metadata.version()));
  if (!store_.leads()) return;
  const v1::StatusResponse health = DescribeHealth();
  CollectPartitions(metadata, health, observations_, sink);
  CollectNodes(metadata, observations_, sink);
  sink.Gauge("ringleader_cluster_alarms", "Sentences that `ringctl health` has for an operator.",
             Number(static_cast<uint64_t>(health.alarms_size())));
  sink.Gauge("ringleader_cluster_tables", "Tables, those being created or deleted included.",
             Number(metadata.tables().size()));
  const auto alive = std::count_if(health.coordinators().begin(), health.coordinators().end(),
                                   [](const v1::Coordinator& one) { return one.alive(); });
  sink.Gauge("ringleader_cluster_coordinators_alive", "Coordinators that answer.",
             static_cast<double>(alive));
  sink.Gauge("ringleader_cluster_coordinators", "Coordinators of the cluster.",
             Number(metadata.coordinators().size()));
}

AdminHost Coordinator::Admin() {
  return {.executor = control_.get(),
          .collect = [this](MetricSink& sink) { Collect(sink); },
          .missing = [this] { return Missing(); },
          .executors =
              [this] {
                std::vector<std::pair<std::string, Executor*>> all = {
                    {"control", control_.get()}, {"data-door", &data_door_->executor()}};
                if (runtime_ == nullptr) return all;
                for (auto& one : runtime_->Executors()) all.push_back(std::move(one));
                return all;
              }};
}

void Coordinator::Collect(MetricSink& sink) const {
  sink.Gauge("ringleader_coordinator_ready", "1 if it serves: what /readyz answers.",
             Missing().empty());
  sink.Gauge("ringleader_coordinator_leads", "1 if this coordinator leads the metadata.",
             store_->leads());
  sink.Gauge("ringleader_coordinator_knows_leader",
             "1 if this coordinator knows who leads: a majority is there.", store_->leader() != 0);
  director_->Collect(sink);
  data_door_->metrics().Collect(sink);
  CollectCache(data_door_->cache_statistics(), sink);
  if (runtime_ != nullptr) replication::CollectRuntime(*runtime_, seams_.clock.Now(), sink);
}

std::vector<std::string> Coordinator::Missing() const {
  if (runtime_ == nullptr) {
    return {
        "The coordinator has no place in a cluster yet: a new cluster waits for all of its "
        "coordinators, one that lost its data for the leader of the others."};
  }
  std::vector<std::string> missing;
  const replication::LogProgress progress = runtime_->log_progress();
  if (store_->replica() == nullptr) {
    missing.push_back("Its copy of the metadata is not open; the log says why.");
  } else if (store_->leader() == 0) {
    missing.push_back(
        "No coordinator leads: a majority of them is not reachable. Data is served; nothing about "
        "the cluster can change.");
  } else if (!store_->metadata().formed()) {
    missing.push_back("It does not have the metadata yet.");
  }
  if (progress.out_of_space) missing.push_back("The disk is full.");
  if (progress.Stalled(seams_.clock.Now()) >= options_.runtime.replica.disk_stall_max) {
    missing.push_back("The log's disk makes no progress.");
  }
  return missing;
}

}  // namespace ringleader::coordinator
