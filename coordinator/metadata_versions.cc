// Which builds the cluster has, and its version (README.md, "Versions").
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/metadata.h"

namespace ringleader::coordinator {

v1::VersionRange VersionsMessage(const VersionRange& versions) {
  v1::VersionRange message;
  message.set_oldest(versions.oldest);
  message.set_newest(versions.newest);
  return message;
}

VersionRange VersionsOf(const v1::VersionRange& versions) {
  if (versions.newest() == 0) return {kClusterVersionFirst, kClusterVersionFirst};
  return {versions.oldest(), versions.newest()};
}

CommandOutcome Metadata::Describe(const v1::DescribeCoordinator& command) {
  const auto found = coordinators_.find(command.coordinator());
  if (found == coordinators_.end()) return {v1::ERROR_NOT_FOUND, "no such coordinator", 0};
  if (found->second.incarnation() != command.incarnation()) {
    return {v1::ERROR_CONFLICT, "the coordinator has lost its data since", 0};
  }
  found->second.set_version(command.version());
  *found->second.mutable_versions() = VersionsMessage(VersionsOf(command.versions()));
  return {v1::ERROR_NONE, "", command.coordinator()};
}

CommandOutcome Metadata::Raise(const v1::RaiseVersion& command) {
  if (command.to() == cluster_version_) return {v1::ERROR_NONE, "", cluster_version_};
  if (command.to() < cluster_version_) {
    return {v1::ERROR_INVALID,
            absl::StrCat("the cluster is at version ", cluster_version_, ", and never falls to ",
                         command.to()),
            0};
  }
  if (command.from() != cluster_version_) {
    return {v1::ERROR_CONFLICT,
            absl::StrCat("the cluster is at version ", cluster_version_, " by now"), 0};
  }
  if (const std::vector<std::string> others = WhoCannotRun(command.to()); !others.empty()) {
    return {
        v1::ERROR_CONFLICT,
        absl::StrCat("the cluster stays at version ", cluster_version_, ", as not everyone can ",
                     "run ", command.to(), ": ", absl::StrJoin(others, "; ")),
        0};
  }
  cluster_version_ = command.to();
  ++version_;
  return {v1::ERROR_NONE, "", cluster_version_};
}

std::vector<std::string> Metadata::WhoCannotRun(uint32_t cluster_version) const {
  std::vector<std::string> others;
  for (const auto& [id, record] : coordinators_) {
    if (!record.has_versions()) {
      others.push_back(absl::StrCat("coordinator ", id - 1, " has not said what it runs"));
    } else if (const VersionRange versions = VersionsOf(record.versions());
               !versions.Holds(cluster_version)) {
      others.push_back(absl::StrCat("coordinator ", id - 1, " runs ", versions.Text()));
    }
  }
  for (const auto& [id, record] : nodes_) {
    if (record.node().state() == v1::NODE_STATE_REMOVED) continue;
    const VersionRange versions = VersionsOf(record.node().versions());
    if (versions.Holds(cluster_version)) continue;
    others.push_back(
        absl::StrCat("node ", id, " at ", record.node().address(), " runs ", versions.Text(),
                     record.node().alive() ? "" : " and is away (if for good, remove it)"));
  }
  return others;
}

uint32_t Metadata::NewestKnownVersion() const {
  uint32_t newest = cluster_version_;
  for (const auto& [id, record] : coordinators_) {
    newest = std::max(newest, VersionsOf(record.versions()).newest);
  }
  for (const auto& [id, record] : nodes_) {
    if (record.node().state() == v1::NODE_STATE_REMOVED) continue;
    newest = std::max(newest, VersionsOf(record.node().versions()).newest);
  }
  return newest;
}

}  // namespace ringleader::coordinator
