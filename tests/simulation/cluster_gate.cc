#include "tests/simulation/cluster_gate.h"

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "node/effects.h"

namespace ringleader::simulation {

using client::ItemCache;
using replication::Entry;

void ClusterGate::Applying(replication::GroupId partition, absl::Span<const Entry> entries) {
  replication::Index& applied = applied_[partition];
  for (const Entry& entry : entries) {
    if (entry.index <= applied) continue;
    applied = entry.index;
    if (entry.kind != replication::EntryKind::kCommand || entry.payload == nullptr) continue;
    const absl::StatusOr<Effects> effects = DecodeEffects(*entry.payload);
    if (!effects.ok()) continue;  // the replica says so and stops
    for (const Effect& effect : effects->effects) {
      const Change change{partition, {entry.term, entry.index}, effect.tag != EffectTag::kPut, {}};
      if (effect.tag == EffectTag::kPut || effect.tag == EffectTag::kDelete) {
        Assert(effect.key, change);
      } else if (effect.tag == EffectTag::kTable && effect.table.phase == TablePhase::kRetired) {
        AssertTable(effect.table.id, change);
      }
    }
  }
}

void ClusterGate::Assert(absl::string_view key, const Change& change) {
  Change& newest = changes_[std::string(key)];
  bool was_held = false;
  for (const CachingProcess& process : processes_()) {
    const std::optional<ItemCache::Held> held = process.memory->Peek(key);
    if (held.has_value() && !held->is_over) Violated(key, change, process, *held, "is committed");
    if (held.has_value() && held->is_over) ++counts_["gate: a grant was over at a commit"];
    if (!newest.holders.contains(process.host)) continue;
    was_held = true;
    if (!held.has_value()) ++counts_["gate: a grant was taken back before a commit"];
  }
  ++counts_["gate: asserted"];
  if (was_held) ++counts_["gate: asserted of an item that was held"];
  newest = change;
}

// Deletes all that the table has in this partition.
void ClusterGate::AssertTable(model::TableId table, const Change& change) {
  ++counts_["gate: asserted of a table that ends"];
  std::vector<std::string> ended;
  for (const auto& [key, newest] : changes_) {
    if (newest.partition == change.partition && model::TableInKey(key) == table) {
      ended.push_back(key);
    }
  }
  for (const std::string& key : ended) Assert(key, change);
}

void ClusterGate::LookAround() {
  const std::vector<CachingProcess> processes = processes_();
  if (processes.empty()) return;
  for (auto& [key, change] : changes_) {
    for (const CachingProcess& process : processes) {
      const std::optional<ItemCache::Held> held = process.memory->Peek(key);
      if (!held.has_value() || held->is_over) continue;
      if (IsOlder(*held, change)) Violated(key, change, process, *held, "was committed");
      change.holders.insert(process.host);
    }
  }
}

// Of two absences there is no telling, and no need: they are the same answer.
bool ClusterGate::IsOlder(const ItemCache::Held& held, const Change& change) {
  if (change.is_delete || held.is_absent) return change.is_delete != held.is_absent;
  return held.version < change.position.index;
}

void ClusterGate::Violated(absl::string_view key, const Change& change,
                           const CachingProcess& process, const ItemCache::Held& held,
                           absl::string_view when) {
  violated_(absl::StrCat(
      "the gate: entry ", change.position.index, " of partition ", change.partition, " and term ",
      change.position.term, " ", when, ", which ", change.is_delete ? "deletes " : "puts ",
      absl::CEscape(key), ", and host ", process.host, " has ",
      held.is_absent ? "its absence" : absl::StrCat("its version ", held.version),
      " by an unexpired grant of term ", held.origin.term));
}

}  // namespace ringleader::simulation
