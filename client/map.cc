#include "client/map.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader::client {
namespace {

using coordinator::v1::MapUpdate;
using coordinator::v1::Partition;

model::AttributeType TypeOf(coordinator::v1::KeyType type) {
  switch (type) {
    case coordinator::v1::KEY_TYPE_NUMBER:
      return model::AttributeType::kNumber;
    case coordinator::v1::KEY_TYPE_BINARY:
      return model::AttributeType::kBinary;
    default:
      return model::AttributeType::kString;
  }
}

// Sorts by token and checks that the ring is covered exactly once.
absl::Status CheckCover(std::vector<const Partition*>* partitions) {
  if (partitions->empty()) return absl::OkStatus();  // a cluster that is just forming
  std::sort(partitions->begin(), partitions->end(), [](const Partition* a, const Partition* b) {
    return a->first_token() < b->first_token();
  });
  uint64_t expected = 0;
  for (size_t i = 0; i < partitions->size(); ++i) {
    const Partition& partition = *(*partitions)[i];
    const bool is_last = i + 1 == partitions->size();
    if (partition.first_token() != expected || partition.last_token() < partition.first_token() ||
        (partition.last_token() == UINT64_MAX) != is_last) {
      return absl::InvalidArgumentError(
          absl::StrCat("the map's partitions do not cover the ring: partition ", partition.id(),
                       " has tokens ", partition.first_token(), " to ", partition.last_token(),
                       " where ", expected, " was to follow"));
    }
    expected = partition.last_token() + 1;
  }
  return absl::OkStatus();
}

}  // namespace

bool IsNewer(const Leader& leader, uint64_t epoch, uint64_t term) {
  return std::tie(leader.epoch, leader.term) > std::tie(epoch, term);
}

model::TableSchema SchemaOf(const coordinator::v1::Table& table) {
  model::TableSchema schema;
  schema.id = table.id();
  schema.version = table.schema_version();
  schema.name = table.name();
  const auto& partition_key = table.schema().partition_key();
  schema.key.partition = {partition_key.name(), TypeOf(partition_key.type())};
  const auto& sort_key = table.schema().sort_key();
  if (!sort_key.name().empty()) schema.key.sort = {sort_key.name(), TypeOf(sort_key.type())};
  return schema;
}

absl::StatusOr<bool> ClusterMap::Apply(const MapUpdate& update) {
  if (formation_ != 0 && update.formation() != formation_) {
    return absl::FailedPreconditionError(
        absl::StrCat("the coordinator belongs to another cluster: its formation is ",
                     update.formation(), ", this client's is ", formation_));
  }
  if (update.version() <= version_) return false;
  if (!update.complete() && version_ == 0) {
    return absl::InvalidArgumentError("changes to a map that is not here");
  }
  Partitions partitions;
  for (const Partition& partition : update.partitions()) {
    partitions[partition.id()] = std::make_unique<Partition>(partition);
  }
  std::vector<const Partition*> by_token;
  for (const auto& [id, partition] : partitions) by_token.push_back(partition.get());
  if (!update.complete()) {
    for (const auto& [id, partition] : partitions_) {
      if (!partitions.contains(id)) by_token.push_back(partition.get());
    }
  }
  if (absl::Status cover = CheckCover(&by_token); !cover.ok()) return cover;

  // Nothing fails from here on.
  formation_ = update.formation();
  version_ = update.version();
  if (update.complete()) {
    partitions_.clear();
    tables_.clear();
    table_ids_.clear();
    nodes_.clear();
  }
  for (auto& [id, partition] : partitions) partitions_[id] = std::move(partition);
  by_token_ = std::move(by_token);
  for (const auto& node : update.nodes()) nodes_[node.id()] = node;
  for (const uint64_t id : update.deleted_tables()) {
    highest_table_ = std::max(highest_table_, id);
    const auto found = tables_.find(id);
    if (found == tables_.end()) continue;
    const auto named = table_ids_.find(found->second->schema.name);
    // The name may belong to a newer table already.
    if (named != table_ids_.end() && named->second == id) table_ids_.erase(named);
    tables_.erase(found);
  }
  for (const auto& table : update.tables()) {
    tables_[table.id()] = std::make_unique<MapTable>(MapTable{table, SchemaOf(table)});
    highest_table_ = std::max(highest_table_, table.id());
    uint64_t& named = table_ids_[table.name()];
    named = std::max(named, table.id());  // ids only grow: the newer table has the name
  }
  if (update.coordinators_size() > 0) {
    coordinators_.assign(update.coordinators().begin(), update.coordinators().end());
  }
  DropOldCorrections();
  return true;
}

const Partition* ClusterMap::FindByToken(model::Token token) const {
  const auto after = std::upper_bound(
      by_token_.begin(), by_token_.end(), token,
      [](model::Token value, const Partition* p) { return value < p->first_token(); });
  if (after == by_token_.begin()) return nullptr;
  const Partition* found = *std::prev(after);
  CHECK_GE(found->last_token(), token);
  return found;
}

const Partition* ClusterMap::FindPartition(uint64_t id) const {
  const auto found = partitions_.find(id);
  return found == partitions_.end() ? nullptr : found->second.get();
}

const MapTable* ClusterMap::FindTable(absl::string_view name) const {
  const auto found = table_ids_.find(std::string(name));
  return found == table_ids_.end() ? nullptr : FindTable(found->second);
}

const MapTable* ClusterMap::FindTable(uint64_t id) const {
  const auto found = tables_.find(id);
  return found == tables_.end() ? nullptr : found->second.get();
}

const coordinator::v1::Node* ClusterMap::FindNode(uint64_t id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

// The newer of the map's word and a hint's, refuted or not.
Leader ClusterMap::Believed(const Partition& partition) const {
  Leader leader{
      .node = partition.leader_node(), .epoch = partition.epoch(), .term = partition.leader_term()};
  if (const auto* node = FindNode(leader.node); node != nullptr) leader.address = node->address();
  const auto found = corrections_.find(partition.id());
  if (found == corrections_.end() || found->second.leader.node == 0) return leader;
  const Leader& hinted = found->second.leader;
  return IsNewer(hinted, leader.epoch, leader.term) ? hinted : leader;
}

Leader ClusterMap::LeaderOf(const Partition& partition, Duration now) const {
  Leader leader = Believed(partition);
  const auto found = corrections_.find(partition.id());
  if (found == corrections_.end()) return leader;
  const Correction& correction = found->second;
  if (now < correction.refuted_until &&
      !IsNewer(leader, correction.refuted_epoch, correction.refuted_term)) {
    return Leader{.epoch = leader.epoch, .term = leader.term};
  }
  return leader;
}

bool ClusterMap::Learn(const data::v1::RouteHint& hint) {
  const Partition* partition = FindPartition(hint.partition());
  if (partition == nullptr || hint.leader_node() == 0 || hint.leader_address().empty())
    return false;
  const Leader leader{.node = hint.leader_node(),
                      .address = hint.leader_address(),
                      .epoch = hint.epoch(),
                      .term = hint.term()};
  const Leader believed = Believed(*partition);
  if (!IsNewer(leader, believed.epoch, believed.term)) return false;
  Correction& correction = corrections_[partition->id()];
  if (!IsNewer(leader, correction.refuted_epoch, correction.refuted_term)) return false;
  correction.leader = leader;
  return true;
}

void ClusterMap::Refute(uint64_t partition, const Leader& believed, Duration now) {
  const Partition* found = FindPartition(partition);
  if (found == nullptr) return;
  const Leader present = Believed(*found);
  if (IsNewer(present, believed.epoch, believed.term)) return;
  Correction& correction = corrections_[partition];
  correction.refuted_epoch = present.epoch;
  correction.refuted_term = present.term;
  correction.refuted_until = now + kRefutedFor;
}

void ClusterMap::DropOldCorrections() {
  for (auto i = corrections_.begin(); i != corrections_.end();) {
    const auto current = i++;
    const Partition* partition = FindPartition(current->first);
    const Correction& correction = current->second;
    const bool is_useful =
        partition != nullptr &&
        (IsNewer(correction.leader, partition->epoch(), partition->leader_term()) ||
         std::tie(correction.refuted_epoch, correction.refuted_term) >=
             std::make_tuple(partition->epoch(), partition->leader_term()));
    if (!is_useful) corrections_.erase(current);
  }
}

}  // namespace ringleader::client
