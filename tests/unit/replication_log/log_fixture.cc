#include "tests/unit/replication_log/log_fixture.h"

#include "absl/strings/str_cat.h"

namespace ringleader::replication {
namespace {

void ApplySnapshot(const SnapshotMeta& snapshot, ModelGroup& group) {
  const Index index = snapshot.last.index;
  const bool matches = (group.entries.contains(index) || index == group.compacted.index) &&
                       group.TermAt(index) == snapshot.last.term;
  if (!matches) group.entries.clear();
  group.entries.erase(group.entries.begin(), group.entries.upper_bound(index));
  group.compacted = snapshot.last;
  group.snapshot = snapshot;
}

std::string RandomPayload(Random& random) {
  const uint64_t shape = random.Below(10);
  const uint64_t size = shape == 0 ? 0 : shape < 7 ? random.Below(200) : random.Below(9000);
  std::string payload(size, '\0');
  for (char& byte : payload) byte = static_cast<char>(random.Next());
  return payload;
}

void AddRandomEntries(Random& random, const ModelGroup& group, GroupWrite& write) {
  Term term = std::max<Term>(1, group.promised().term);
  Index index = group.last() + 1;
  if (random.Chance(0.2) && !group.entries.empty()) {
    index = static_cast<Index>(random.Between(static_cast<int64_t>(group.compacted.index + 1),
                                              static_cast<int64_t>(group.last())));
    ++term;  // a new leader replaces the tail
  }
  const uint64_t count = 1 + random.Below(5);
  for (uint64_t i = 0; i < count; ++i) {
    if (random.Chance(0.1)) ++term;
    write.entries.push_back(MakeEntry(term, index++, RandomPayload(random)));
  }
}

GroupWrite RandomWrite(Random& random, GroupId id, const ModelGroup& group) {
  GroupWrite write;
  write.group = id;
  if (random.Chance(0.3)) {
    write.hard_state = HardState{group.hard_state.term + 1 + random.Below(3), random.Below(4)};
  }
  if (random.Chance(0.03)) {
    SnapshotMeta snapshot;
    snapshot.last = {group.promised().term + random.Below(2), group.last() + random.Below(20)};
    snapshot.generation = random.Below(1000);
    snapshot.configuration.voters = {{1, 1}, {2, 2}, {3, 3}};
    snapshot.configuration.version = random.Below(9);
    write.snapshot = snapshot;
    return write;
  }
  if (random.Chance(0.8)) AddRandomEntries(random, group, write);
  if (random.Chance(0.15) && group.last() > group.compacted.index) {
    const Index last = write.entries.empty() ? group.last() : write.entries.front().index - 1;
    if (last > group.compacted.index) {
      write.compact_to = group.compacted.index + 1 + random.Below(last - group.compacted.index);
    }
  }
  if (random.Chance(0.01)) write.destroy = true;
  return write;
}

std::string CompareEntry(const Log& log, GroupId group, Index index, Term term,
                         const std::string& payload, bool damage_allowed) {
  const absl::StatusOr<Term> found = log.TermAt(group, index);
  if (!found.ok() || *found != term) return absl::StrCat("entry ", index, ": wrong term");
  const absl::StatusOr<std::vector<Entry>> entries = log.Read(group, index, index, 1);
  if (absl::IsDataLoss(entries.status()) && damage_allowed) return "";
  if (!entries.ok()) return absl::StrCat("entry ", index, ": ", entries.status().ToString());
  if (entries->size() != 1 || (*entries)[0].index != index || (*entries)[0].term != term ||
      Text((*entries)[0]) != payload) {
    return absl::StrCat("entry ", index, ": wrong content");
  }
  return "";
}

std::string CompareGroup(const Log& log, const GroupState& state, const ModelGroup& group,
                         bool damage_allowed) {
  if (state.creation != group.creation) return "creation";
  if (state.destroyed != group.destroyed) return "tombstone";
  if (state.suspect) return "suspect";
  if (state.destroyed) return "";
  if (state.hard_state != group.hard_state) return "hard state";
  if (state.snapshot != group.snapshot) return "snapshot";
  if (state.compacted != group.compacted) return "compacted position";
  if (state.promised != group.promised()) {
    return absl::StrCat("promised ", state.promised.index, " instead of ", group.last());
  }
  if (!damage_allowed && (!state.damage.empty() || state.intact_last != group.last())) {
    return "damage";
  }
  for (const auto& [index, entry] : group.entries) {
    std::string difference =
        CompareEntry(log, state.group, index, entry.first, entry.second, damage_allowed);
    if (!difference.empty()) return difference;
  }
  return "";
}

}  // namespace

void ApplyToModel(const GroupWrite& write, Model& model) {
  ModelGroup& group = model[write.group];
  if (write.create.has_value()) {
    group = ModelGroup();
    group.creation = *write.create;
  }
  if (write.hard_state.has_value()) group.hard_state = *write.hard_state;
  if (write.snapshot.has_value()) ApplySnapshot(*write.snapshot, group);
  if (write.truncate_after.has_value()) {
    group.entries.erase(group.entries.upper_bound(*write.truncate_after), group.entries.end());
  }
  for (const Entry& entry : write.entries) {
    group.entries.erase(group.entries.lower_bound(entry.index), group.entries.end());
    group.entries[entry.index] = {entry.term, Text(entry)};
  }
  if (write.compact_to.has_value() && *write.compact_to > group.compacted.index) {
    group.compacted = {group.TermAt(*write.compact_to), *write.compact_to};
    group.entries.erase(group.entries.begin(), group.entries.upper_bound(*write.compact_to));
  }
  if (write.destroy) {
    ModelGroup tombstone;
    tombstone.creation = group.creation;
    tombstone.destroyed = true;
    group = tombstone;
  }
}

std::vector<GroupWrite> RandomBatch(Random& random, Model& model) {
  std::vector<GroupWrite> batch;
  const uint64_t writes = random.Below(6);
  for (uint64_t i = 0; i < writes; ++i) {
    const GroupId id = 1 + random.Below(5);
    const auto found = model.find(id);
    if (found == model.end() || found->second.destroyed) {
      const ReplicaId before = found == model.end() ? 0 : found->second.creation.replica;
      batch.push_back(Creation(id, before + 1));
    } else {
      batch.push_back(RandomWrite(random, id, found->second));
    }
    ApplyToModel(batch.back(), model);
  }
  return batch;
}

std::string Difference(const Log& log, const Model& model, bool damage_allowed) {
  const std::vector<GroupState> states = log.Groups();
  if (states.size() != model.size()) return "number of groups";
  for (const GroupState& state : states) {
    const auto found = model.find(state.group);
    if (found == model.end()) return absl::StrCat("group ", state.group, " is unknown");
    const std::string difference = CompareGroup(log, state, found->second, damage_allowed);
    if (!difference.empty()) return absl::StrCat("group ", state.group, ": ", difference);
  }
  return "";
}

}  // namespace ringleader::replication
