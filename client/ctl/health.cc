#include "client/ctl/health.h"

#include "absl/strings/str_cat.h"

namespace ringleader::ctl {
namespace {

namespace meta = ::ringleader::coordinator::v1;

std::string StateText(const meta::Node& node) {
  if (node.state() == meta::NODE_STATE_REMOVED) return "removed";
  const absl::string_view alive = node.alive() ? "up" : "silent";
  return node.state() == meta::NODE_STATE_DRAINING ? absl::StrCat(alive, ", draining")
                                                   : std::string(alive);
}

}  // namespace

Health HealthOf(const meta::StatusResponse& status) {
  Health health;
  int degraded = 0;
  int moving = 0;
  for (const auto& partition : status.partitions()) {
    if (!partition.has_quorum()) {
      health.problems.push_back(absl::StrCat(
          "partition ", partition.partition(), " has no quorum: ", partition.replicas_alive(),
          " of ", partition.replicas_wanted(), " replicas are alive; bring their nodes back"));
    } else if (partition.replicas_alive() < partition.replicas_wanted()) {
      ++degraded;
    }
    if (!partition.moving().empty()) ++moving;
  }
  // A cluster that says nothing of partitions can't be called healthy.
  if (status.partitions().empty()) health.problems.push_back("the cluster has no partitions yet");
  for (const std::string& alarm : status.alarms()) {
    health.problems.push_back(absl::StrCat("alarm: ", alarm));
  }
  health.text = absl::StrCat(health.is_healthy() ? "healthy" : "NOT healthy", ": ",
                             status.partitions_size(), " partitions, ", degraded,
                             " with fewer replicas than wanted, ", moving, " moving\n");
  for (const std::string& problem : health.problems) absl::StrAppend(&health.text, problem, "\n");
  return health;
}

std::string VersionsText(const meta::VersionRange& versions) {
  if (versions.newest() == 0) return "unknown";
  return absl::StrCat(versions.oldest(), " to ", versions.newest());
}

Table NodeTable(const meta::StatusResponse& status) {
  Table table({"node", "address", "zone", "state", "version", "runs"});
  for (const auto& node : status.nodes()) {
    table.Add({absl::StrCat(node.id()), node.address(), node.zone(), StateText(node),
               node.version(), VersionsText(node.versions())});
  }
  return table;
}

Table BuildTable(const meta::StatusResponse& status) {
  Table table({"process", "address", "state", "version", "runs"});
  for (const auto& coordinator : status.coordinators()) {
    table.Add({absl::StrCat("coordinator ", coordinator.id() - 1), coordinator.address(),
               coordinator.alive() ? "alive" : "silent", coordinator.version(),
               VersionsText(coordinator.versions())});
  }
  for (const auto& node : status.nodes()) {
    if (node.state() == meta::NODE_STATE_REMOVED) continue;
    table.Add({absl::StrCat("node ", node.id()), node.address(), StateText(node), node.version(),
               VersionsText(node.versions())});
  }
  return table;
}

}  // namespace ringleader::ctl
