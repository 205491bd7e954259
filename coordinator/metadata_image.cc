// Metadata as other forms of itself: what watchers are told, and what is stored.
#include <algorithm>

#include "coordinator/metadata.h"

namespace ringleader::coordinator {

const v1::TableRecord* Metadata::FindTable(absl::string_view name) const {
  const auto found = table_names_.find(std::string(name));
  return found == table_names_.end() ? nullptr : &tables_.at(found->second);
}

const v1::NodeRecord* Metadata::FindNode(uint64_t node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

v1::MapUpdate Metadata::MapSince(uint64_t have_version) const {
  v1::MapUpdate update;
  update.set_formation(plan_.formation());
  update.set_version(version_);
  update.set_cluster_version(cluster_version_);
  const bool complete =
      have_version == 0 || have_version > version_ || have_version < deleted_before_;
  const uint64_t since = complete ? 0 : have_version;
  update.set_complete(complete);
  for (const auto& [id, record] : nodes_) {
    if (record.changed() > since) *update.add_nodes() = record.node();
  }
  for (const auto& [id, record] : partitions_) {
    if (record.changed() > since) *update.add_partitions() = record.partition();
  }
  for (const auto& [id, record] : tables_) {
    if (record.changed() > since) *update.add_tables() = record.table();
  }
  if (complete) return update;
  for (auto deleted = deleted_tables_.upper_bound(since); deleted != deleted_tables_.end();
       ++deleted) {
    update.add_deleted_tables(deleted->second);
  }
  return update;
}

v1::MetadataImage Metadata::Image() const {
  v1::MetadataImage image;
  *image.mutable_plan() = plan_;
  image.set_version(version_);
  image.set_last_node(last_node_);
  image.set_last_replica(last_replica_);
  image.set_last_table(last_table_);
  image.set_last_coordinator_replica(last_coordinator_replica_);
  image.set_deleted_before(deleted_before_);
  // What was written before there were cluster versions keeps its bytes.
  if (cluster_version_ > kClusterVersionFirst) image.set_cluster_version(cluster_version_);
  for (const auto& [id, record] : coordinators_) *image.add_coordinators() = record;
  for (const auto& [id, record] : nodes_) *image.add_nodes() = record;
  for (const auto& [id, record] : partitions_) *image.add_partitions() = record;
  for (const auto& [id, record] : tables_) *image.add_tables() = record;
  for (const auto& [changed, table] : deleted_tables_) {
    v1::DeletedTable& deleted = *image.add_deleted_tables();
    deleted.set_table(table);
    deleted.set_changed(changed);
  }
  return image;
}

absl::StatusOr<Metadata> Metadata::FromImage(const v1::MetadataImage& image) {
  Metadata metadata;
  metadata.plan_ = image.plan();
  metadata.version_ = image.version();
  metadata.last_node_ = image.last_node();
  metadata.last_replica_ = image.last_replica();
  metadata.last_table_ = image.last_table();
  metadata.last_coordinator_replica_ = image.last_coordinator_replica();
  metadata.deleted_before_ = image.deleted_before();
  metadata.cluster_version_ = std::max(image.cluster_version(), kClusterVersionFirst);
  for (const auto& record : image.coordinators()) metadata.coordinators_[record.id()] = record;
  for (const auto& record : image.nodes()) metadata.nodes_[record.node().id()] = record;
  for (const auto& record : image.partitions()) {
    metadata.partitions_[record.partition().id()] = record;
  }
  for (const auto& record : image.tables()) {
    metadata.tables_[record.table().id()] = record;
    metadata.table_names_[record.table().name()] = record.table().id();
  }
  for (const auto& deleted : image.deleted_tables()) {
    metadata.deleted_tables_[deleted.changed()] = deleted.table();
  }
  if (metadata.table_names_.size() != metadata.tables_.size() ||
      metadata.nodes_.size() != static_cast<size_t>(image.nodes_size()) ||
      metadata.partitions_.size() != static_cast<size_t>(image.partitions_size())) {
    return absl::DataLossError("the stored metadata names something twice");
  }
  return metadata;
}

}  // namespace ringleader::coordinator
