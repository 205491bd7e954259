#include "replication/log_index.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/mutants.h"
#include "common/status.h"

namespace ringleader::replication {
namespace {

absl::Status Misfit(GroupId group, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("group ", group, ": ", what));
}

EntrySlot SlotOf(const EntryRecord& record, const PayloadPlace& place, uint64_t offset,
                 EntrySlot::State state) {
  EntrySlot slot;
  slot.segment = place.segment;
  slot.offset = static_cast<uint32_t>(offset);
  slot.bytes = record.bytes;
  slot.kind = static_cast<uint32_t>(record.kind);
  slot.state = state;
  slot.checksum = record.checksum;
  return slot;
}

EntrySlot::State StateAt(const PayloadPlace& place, size_t record) {
  return place.states.empty() ? EntrySlot::kIntact : place.states[record];
}

}  // namespace

absl::Status LogIndex::Apply(const LogItem& item, const PayloadPlace& place) {
  return std::visit([&](const auto& alternative) { return ApplyItem(alternative, place); }, item);
}

const LogIndex::GroupLog* LogIndex::Find(GroupId group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

absl::StatusOr<LogIndex::GroupLog*> LogIndex::Living(GroupId group) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return Misfit(group, "was never created here");
  if (found->second.destroyed) return Misfit(group, "is destroyed");
  return &found->second;
}

void LogIndex::Count(GroupId group, const EntrySlot& slot) {
  SegmentUse& use = uses_[slot.segment];
  ++use.entries;
  use.bytes += slot.bytes;
  ++use.groups[group];
  ++live_entries_;
  live_bytes_ += slot.bytes;
}

void LogIndex::Push(GroupId group, GroupLog& log, const EntrySlot& slot) {
  log.slots.push_back(slot);
  if (slot.state == EntrySlot::kIntact) {
    Count(group, slot);
  } else {
    ++log.damaged;
  }
}

void LogIndex::Release(GroupId group, GroupLog& log, const EntrySlot& slot) {
  if (slot.state != EntrySlot::kIntact) {
    CHECK_GT(log.damaged, 0u);
    --log.damaged;
    return;
  }
  const auto use = uses_.find(slot.segment);
  CHECK(use != uses_.end());
  use->second.bytes -= slot.bytes;
  const auto share = use->second.groups.find(group);
  if (--share->second == 0) use->second.groups.erase(share);
  if (--use->second.entries == 0) uses_.erase(use);
  --live_entries_;
  live_bytes_ -= slot.bytes;
}

void LogIndex::TrimBack(GroupId group, GroupLog& log) {
  const size_t keep = log.shape.last() - log.shape.compacted().index;
  while (log.slots.size() > keep) {
    Release(group, log, log.slots.back());
    log.slots.pop_back();
  }
}

void LogIndex::TrimFront(GroupId group, GroupLog& log, Index first_before) {
  for (Index index = first_before; index < log.shape.first() && !log.slots.empty(); ++index) {
    Release(group, log, log.slots.front());
    log.slots.pop_front();
  }
}

absl::Status LogIndex::ApplyItem(const CreateItem& item, const PayloadPlace&) {
  const auto found = groups_.find(item.group);
  if (found != groups_.end()) {
    if (!found->second.destroyed) return Misfit(item.group, "is created twice");
    if (found->second.creation.replica == item.creation.replica) {
      return Misfit(item.group, "is created again under the id of the replica destroyed");
    }
  }
  GroupLog log;
  log.creation = item.creation;
  groups_[item.group] = std::move(log);  // a tombstone has no slots to release
  return absl::OkStatus();
}

absl::Status LogIndex::ApplyItem(const HardStateItem& item, const PayloadPlace&) {
  ASSIGN_OR_RETURN(GroupLog* const log, Living(item.group));
  log->hard_state = item.hard_state;
  return absl::OkStatus();
}

absl::Status LogIndex::ApplyItem(const SnapshotItem& item, const PayloadPlace&) {
  ASSIGN_OR_RETURN(GroupLog* const log, Living(item.group));
  if (item.snapshot.last.index < log->shape.compacted().index) {
    return Misfit(item.group, "a snapshot is older than the compacted position");
  }
  const Index first = log->shape.first();
  log->snapshot = item.snapshot;
  log->shape.RestartAfter(item.snapshot.last);
  TrimFront(item.group, *log, first);
  TrimBack(item.group, *log);
  return absl::OkStatus();
}

absl::Status LogIndex::ApplyItem(const TruncateItem& item, const PayloadPlace&) {
  ASSIGN_OR_RETURN(GroupLog* const log, Living(item.group));
  if (item.last < log->shape.compacted().index) {
    return Misfit(item.group, "is truncated below its compacted position");
  }
  log->shape.TruncateAfter(item.last);
  TrimBack(item.group, *log);
  return absl::OkStatus();
}

absl::Status LogIndex::ApplyItem(const EntriesItem& item, const PayloadPlace& place) {
  ASSIGN_OR_RETURN(GroupLog* const log, Living(item.group));
  if (item.replaces_only) return ReplaceEntries(item.group, *log, item, place);
  if (item.first < log->shape.first() || item.first > log->shape.last() + 1) {
    return Misfit(item.group, absl::StrCat("entries from ", item.first, " don't join a log of ",
                                           log->shape.first(), " to ", log->shape.last()));
  }
  log->shape.TruncateAfter(item.first - 1);
  TrimBack(item.group, *log);
  uint64_t offset = place.offset;
  for (size_t i = 0; i < item.records.size(); ++i) {
    log->shape.Append(item.records[i].term);
    Push(item.group, *log, SlotOf(item.records[i], place, offset, StateAt(place, i)));
    offset += item.records[i].bytes;
  }
  return absl::OkStatus();
}

// A bad copy never takes the place of a good one. It shows, though, that the entry was there: one
// that was in doubt is not any more.
absl::Status LogIndex::ReplaceEntries(GroupId group, GroupLog& log, const EntriesItem& item,
                                      const PayloadPlace& place) {
  for (size_t i = 0; i < item.records.size(); ++i) {
    const Index index = item.first + i;
    if (!log.shape.Holds(index) || log.shape.TermAt(index) != item.records[i].term) {
      return Misfit(group, absl::StrCat("entry ", index, " is replaced by one of another log"));
    }
  }
  uint64_t offset = place.offset;
  for (size_t i = 0; i < item.records.size(); ++i) {
    EntrySlot& slot = log.slots[item.first + i - log.shape.first()];
    if (StateAt(place, i) == EntrySlot::kIntact) {
      Release(group, log, slot);
      slot = SlotOf(item.records[i], place, offset, EntrySlot::kIntact);
      Count(group, slot);
    } else if (slot.state == EntrySlot::kInDoubt) {
      slot.state = StateAt(place, i);
    }
    offset += item.records[i].bytes;
  }
  return absl::OkStatus();
}

absl::Status LogIndex::ApplyItem(const AppliedItem& item, const PayloadPlace&) {
  ASSIGN_OR_RETURN(GroupLog* const log, Living(item.group));
  log->applied = std::max(log->applied, item.applied);
  return absl::OkStatus();
}

absl::Status LogIndex::ApplyItem(const CompactItem& item, const PayloadPlace&) {
  ASSIGN_OR_RETURN(GroupLog* const log, Living(item.group));
  if (item.compacted.index <= log->shape.compacted().index) return absl::OkStatus();
  if (log->shape.TermAt(item.compacted.index) != item.compacted.term) {
    return Misfit(item.group, "is compacted to a position that its log doesn't hold");
  }
  const Index first = log->shape.first();
  log->shape.CompactTo(item.compacted.index);
  TrimFront(item.group, *log, first);
  return absl::OkStatus();
}

absl::Status LogIndex::ApplyItem(const DestroyItem& item, const PayloadPlace&) {
  ASSIGN_OR_RETURN(GroupLog* const log, Living(item.group));
  log->shape = LogShape();
  TrimBack(item.group, *log);
  if (MUTANT("no-tombstones")) {
    groups_.erase(item.group);
    return absl::OkStatus();
  }
  GroupLog tombstone;
  tombstone.creation = std::move(log->creation);
  tombstone.destroyed = true;
  *log = std::move(tombstone);
  return absl::OkStatus();
}

// A checkpoint is the whole truth at its place in the log: it also mends what lost batches left
// unknown. Records already seen are kept where they agree with it.
absl::Status LogIndex::ApplyItem(const CheckpointItem& item, const PayloadPlace&) {
  lost_history_ = item.lost_history;
  absl::flat_hash_map<GroupId, bool> listed;
  for (const GroupState& state : item.groups) listed[state.group] = true;
  for (auto group = groups_.begin(); group != groups_.end();) {
    if (listed.contains(group->first)) {
      ++group;
      continue;
    }
    group->second.shape = LogShape();
    TrimBack(group->first, group->second);
    group = groups_.erase(group);
  }
  for (const GroupState& state : item.groups) ApplyGroup(state);
  return absl::OkStatus();
}

void LogIndex::ApplyGroup(const GroupState& state) {
  GroupLog& log = groups_[state.group];
  const LogShape shape_before =
      std::exchange(log.shape, LogShape(state.compacted, state.promised.index, state.runs));
  std::deque<EntrySlot> slots_before;
  slots_before.swap(log.slots);
  for (const EntrySlot& slot : slots_before) Release(state.group, log, slot);
  const bool same_replica = log.creation.replica == state.creation.replica;
  log.creation = state.creation;
  log.destroyed = state.destroyed;
  log.suspect = state.suspect;
  log.hard_state = state.hard_state;
  log.snapshot = state.snapshot;
  log.applied = state.applied;
  auto doubt = state.damage.begin();
  for (Index index = log.shape.first(); index <= log.shape.last(); ++index) {
    EntrySlot slot;
    slot.state = EntrySlot::kCorrupt;
    while (doubt != state.damage.end() && doubt->last < index) ++doubt;
    if (doubt != state.damage.end() && doubt->first <= index) slot.state = EntrySlot::kInDoubt;
    if (same_replica && shape_before.Holds(index) &&
        shape_before.TermAt(index) == log.shape.TermAt(index)) {
      const EntrySlot& before = slots_before[index - shape_before.first()];
      if (before.state == EntrySlot::kIntact) slot = before;
    }
    Push(state.group, log, slot);
  }
}

void LogIndex::MarkAllSuspect() {
  lost_history_ = true;
  for (auto& [group, log] : groups_) {
    if (!log.destroyed) log.suspect = true;
  }
}

void LogIndex::MarkSuspect(GroupId group) {
  const auto found = groups_.find(group);
  if (found != groups_.end() && !found->second.destroyed) found->second.suspect = true;
}

void LogIndex::MarkCorrupt(GroupId group, Index index, const EntrySlot& slot) {
  const auto found = groups_.find(group);
  if (found == groups_.end() || !found->second.shape.Holds(index)) return;
  GroupLog& log = found->second;
  EntrySlot& current = log.slots[index - log.shape.first()];
  if (current.state != EntrySlot::kIntact || current.segment != slot.segment ||
      current.offset != slot.offset) {
    return;
  }
  Release(group, log, current);
  current.state = EntrySlot::kCorrupt;
  ++log.damaged;
}

GroupState LogIndex::State(GroupId group, const GroupLog& log) const {
  GroupState state;
  state.group = group;
  state.creation = log.creation;
  state.destroyed = log.destroyed;
  state.suspect = log.suspect;
  state.hard_state = log.hard_state;
  state.snapshot = log.snapshot;
  state.applied = log.applied;
  state.compacted = log.shape.compacted();
  state.promised = log.shape.last_position();
  state.intact_last = log.shape.last();
  state.runs = log.shape.runs();
  if (log.damaged == 0) return state;
  for (Index index = log.shape.first(); index <= log.shape.last(); ++index) {
    const EntrySlot& slot = log.slot(index);
    if (slot.state == EntrySlot::kIntact) continue;
    if (state.damage.empty()) state.intact_last = index - 1;
    const Term term = *log.shape.TermAt(index);
    const DamageKind kind =
        slot.state == EntrySlot::kCorrupt ? DamageKind::kCorrupt : DamageKind::kInDoubt;
    if (!state.damage.empty() && state.damage.back().last == index - 1 &&
        state.damage.back().term == term && state.damage.back().kind == kind) {
      state.damage.back().last = index;
    } else {
      state.damage.push_back({index, index, term, kind});
    }
  }
  return state;
}

std::vector<GroupState> LogIndex::States() const {
  std::vector<GroupState> states;
  states.reserve(groups_.size());
  for (const auto& [group, log] : groups_) states.push_back(State(group, log));
  return states;
}

CheckpointItem LogIndex::Checkpoint() const { return {lost_history_, States()}; }

}  // namespace ringleader::replication
