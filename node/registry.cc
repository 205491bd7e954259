#include "node/registry.h"

#include <utility>

namespace ringleader {

void Registry::Opened(replication::GroupId group, Partition* partition,
                      const std::optional<model::TokenRange>& range) {
  MutexLock lock(mutex_);
  open_[group] = {partition, range, {}, {}, {}};
}

void Registry::Closed(replication::GroupId group, const Partition* partition) {
  MutexLock lock(mutex_);
  const auto found = open_.find(group);
  if (found != open_.end() && found->second.partition == partition) open_.erase(found);
}

Partition* Registry::Open(replication::GroupId group) const {
  MutexLock lock(mutex_);
  const auto found = open_.find(group);
  return found == open_.end() ? nullptr : found->second.partition;
}

replication::GroupId Registry::FindByToken(model::Token token) const {
  MutexLock lock(mutex_);
  for (const auto& [group, open] : open_) {
    if (open.range.has_value() && open.range->Contains(token)) return group;
  }
  return 0;
}

void Registry::TableApplied(replication::GroupId group, std::shared_ptr<const TableInfo> table) {
  MutexLock lock(mutex_);
  const bool retired = table->record.phase == TablePhase::kRetired;
  if (const auto found = open_.find(group); found != open_.end()) {
    AppliedTables& tables = found->second.tables;
    (retired ? tables.retired : tables.live).insert(table->record.id);
    if (retired) tables.live.erase(table->record.id);
  }
  std::shared_ptr<const TableInfo>& known = tables_[table->record.id];
  if (known != nullptr) {
    if (known->record.phase == TablePhase::kRetired) return;
    if (table->record.phase == TablePhase::kLive &&
        table->record.schema_version <= known->record.schema_version) {
      return;
    }
  }
  known = std::move(table);
}

Registry::AppliedTables Registry::TablesOf(replication::GroupId group,
                                           const std::set<uint64_t>& asked) const {
  AppliedTables tables;
  MutexLock lock(mutex_);
  const auto found = open_.find(group);
  if (found == open_.end()) return tables;
  const AppliedTables& all = found->second.tables;
  for (const uint64_t id : asked) {
    if (all.live.contains(id)) tables.live.insert(id);
    if (all.retired.contains(id)) tables.retired.insert(id);
  }
  return tables;
}

std::shared_ptr<const TableInfo> Registry::FindTable(uint64_t id) const {
  MutexLock lock(mutex_);
  const auto found = tables_.find(id);
  if (found == tables_.end() || found->second->record.phase == TablePhase::kRetired) return nullptr;
  return found->second;
}

std::shared_ptr<const TableInfo> Registry::FindTable(absl::string_view name) const {
  MutexLock lock(mutex_);
  for (const auto& [id, table] : tables_) {
    if (table->record.phase == TablePhase::kLive && table->schema.name == name) return table;
  }
  return nullptr;
}

void Registry::Hashed(replication::GroupId group, const RangeHash& hash) {
  MutexLock lock(mutex_);
  const auto found = open_.find(group);
  if (found == open_.end()) return;
  std::deque<RangeHash>& hashes = found->second.hashes;
  hashes.push_back(hash);
  if (hashes.size() > kHashesKept) hashes.pop_front();
}

std::deque<Registry::RangeHash> Registry::HashesOf(replication::GroupId group) const {
  MutexLock lock(mutex_);
  const auto found = open_.find(group);
  return found == open_.end() ? std::deque<RangeHash>() : found->second.hashes;
}

void Registry::SetBadFile(replication::GroupId group, absl::string_view path) {
  MutexLock lock(mutex_);
  const auto found = open_.find(group);
  if (found != open_.end()) found->second.bad_file = std::string(path);
}

std::string Registry::BadFileOf(replication::GroupId group) const {
  MutexLock lock(mutex_);
  const auto found = open_.find(group);
  return found == open_.end() ? "" : found->second.bad_file;
}

void Registry::SetAddress(replication::NodeId node, absl::string_view address) {
  MutexLock lock(mutex_);
  addresses_[node] = std::string(address);
}

std::string Registry::Address(replication::NodeId node) const {
  MutexLock lock(mutex_);
  const auto found = addresses_.find(node);
  return found == addresses_.end() ? std::string() : found->second;
}

}  // namespace ringleader
