#include "replication/log_table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/coding.h"
#include "common/status.h"
#include "replication/log.h"

namespace ringleader::replication {
namespace {

// On disk; may not change. 0 is no item, so that a table can't begin in padding.
enum class ItemKind : uint8_t {
  kCreate = 1,
  kHardState = 2,
  kSnapshot = 3,
  kTruncate = 4,
  kEntries = 5,
  kReplacedEntries = 6,
  kApplied = 7,
  kCompact = 8,
  kDestroy = 9,
  kCheckpoint = 10,
};

constexpr uint8_t kDestroyedFlag = 1;
constexpr uint8_t kSuspectFlag = 2;
constexpr uint8_t kSnapshotFlag = 4;
constexpr uint64_t kMembersMax = 1 << 10;
constexpr EntryKind kLastEntryKind = EntryKind::kConfiguration;

void PutKind(ItemKind kind, std::string& to) { to.push_back(static_cast<char>(kind)); }

void PutPosition(const LogPosition& position, std::string& to) {
  PutVarint(position.term, to);
  PutVarint(position.index, to);
}

LogPosition TakePosition(Decoder& from) {
  const Term term = from.Varint();
  return {term, from.Varint()};
}

void PutCreation(const GroupCreation& creation, std::string& to) {
  PutVarint(creation.replica, to);
  PutLengthPrefixed(creation.plan, to);
}

GroupCreation TakeCreation(Decoder& from) {
  GroupCreation creation;
  creation.replica = from.Varint();
  creation.plan = std::string(from.LengthPrefixed());
  return creation;
}

void PutHardState(const HardState& hard_state, std::string& to) {
  PutVarint(hard_state.term, to);
  PutVarint(hard_state.vote, to);
}

HardState TakeHardState(Decoder& from) {
  const Term term = from.Varint();
  return {term, from.Varint()};
}

void PutMembers(const std::vector<Member>& members, std::string& to) {
  PutVarint(members.size(), to);
  for (const Member& member : members) {
    PutVarint(member.replica, to);
    PutVarint(member.node, to);
  }
}

std::vector<Member> TakeMembers(Decoder& from) {
  std::vector<Member> members(from.VarintUpTo(std::min<uint64_t>(kMembersMax, from.remaining())));
  for (Member& member : members) {
    member.replica = from.Varint();
    member.node = from.Varint();
  }
  return members;
}

void PutSnapshot(const SnapshotMeta& snapshot, std::string& to) {
  PutPosition(snapshot.last, to);
  PutVarint(snapshot.generation, to);
  PutVarint(snapshot.configuration.version, to);
  PutMembers(snapshot.configuration.voters, to);
  PutMembers(snapshot.configuration.outgoing, to);
  PutMembers(snapshot.configuration.learners, to);
}

SnapshotMeta TakeSnapshot(Decoder& from) {
  SnapshotMeta snapshot;
  snapshot.last = TakePosition(from);
  snapshot.generation = from.Varint();
  snapshot.configuration.version = from.Varint();
  snapshot.configuration.voters = TakeMembers(from);
  snapshot.configuration.outgoing = TakeMembers(from);
  snapshot.configuration.learners = TakeMembers(from);
  return snapshot;
}

// Terms come as runs (term, count); then for each entry length and kind in one number, checksum.
void PutEntries(const EntriesItem& item, std::string& to) {
  PutKind(item.replaces_only ? ItemKind::kReplacedEntries : ItemKind::kEntries, to);
  PutVarint(item.group, to);
  PutVarint(item.first, to);
  PutVarint(item.records.size(), to);
  for (size_t at = 0; at < item.records.size();) {
    size_t end = at + 1;
    while (end < item.records.size() && item.records[end].term == item.records[at].term) ++end;
    PutVarint(item.records[at].term, to);
    PutVarint(end - at, to);
    at = end;
  }
  for (const EntryRecord& record : item.records) {
    PutVarint(uint64_t{record.bytes} << 4 | static_cast<uint64_t>(record.kind), to);
    PutFixed32(record.checksum, to);
  }
}

EntriesItem TakeEntries(Decoder& from, bool replaces_only, bool& valid) {
  EntriesItem item;
  item.group = from.Varint();
  item.replaces_only = replaces_only;
  item.first = from.Varint();
  item.records.resize(from.VarintUpTo(from.remaining()));  // each takes more than one byte
  for (size_t at = 0; at < item.records.size() && from.ok();) {
    const Term term = from.Varint();
    const uint64_t count = from.VarintUpTo(item.records.size() - at);
    if (count == 0) {
      valid = false;
      return item;
    }
    for (const size_t end = at + count; at < end; ++at) item.records[at].term = term;
  }
  for (EntryRecord& record : item.records) {
    const uint64_t length_and_kind = from.VarintUpTo(kEntryBytesMax << 4 | 0xf);
    record.bytes = static_cast<uint32_t>(length_and_kind >> 4);
    record.kind = static_cast<EntryKind>(length_and_kind & 0xf);
    record.checksum = from.Fixed32();
    if (record.kind > kLastEntryKind) valid = false;
  }
  if (item.first == 0 || item.records.empty()) valid = false;
  return item;
}

void PutGroup(const GroupState& state, std::string& to) {
  PutVarint(state.group, to);
  to.push_back(static_cast<char>((state.destroyed ? kDestroyedFlag : 0) |
                                 (state.suspect ? kSuspectFlag : 0) |
                                 (state.snapshot.has_value() ? kSnapshotFlag : 0)));
  PutCreation(state.creation, to);
  if (state.destroyed) return;
  PutHardState(state.hard_state, to);
  if (state.snapshot.has_value()) PutSnapshot(*state.snapshot, to);
  PutVarint(state.applied, to);
  PutPosition(state.compacted, to);
  PutVarint(state.promised.index, to);
  PutVarint(state.runs.size(), to);
  for (const TermRun& run : state.runs) {
    PutVarint(run.first, to);
    PutVarint(run.term, to);
  }
  uint64_t in_doubt = 0;
  for (const Damage& damage : state.damage) in_doubt += damage.kind == DamageKind::kInDoubt;
  PutVarint(in_doubt, to);
  for (const Damage& damage : state.damage) {
    if (damage.kind != DamageKind::kInDoubt) continue;
    PutVarint(damage.first, to);
    PutVarint(damage.last, to);
    PutVarint(damage.term, to);
  }
}

// Runs begin right behind the compacted position, ascend, and end with the log.
bool ValidRuns(const GroupState& state) {
  if (state.promised.index < state.compacted.index) return false;
  if (state.runs.empty()) return state.promised.index == state.compacted.index;
  Index expected_after = state.compacted.index;
  for (const TermRun& run : state.runs) {
    if (run.first <= expected_after) return false;
    expected_after = run.first;
  }
  return state.runs.front().first == state.first_index() &&
         state.runs.back().first <= state.promised.index;
}

GroupState TakeGroup(Decoder& from, bool& valid) {
  GroupState state;
  state.group = from.Varint();
  const uint8_t flags = from.Byte();
  state.destroyed = (flags & kDestroyedFlag) != 0;
  state.suspect = (flags & kSuspectFlag) != 0;
  state.creation = TakeCreation(from);
  if (flags > (kDestroyedFlag | kSuspectFlag | kSnapshotFlag)) valid = false;
  if (state.destroyed) return state;
  state.hard_state = TakeHardState(from);
  if ((flags & kSnapshotFlag) != 0) state.snapshot = TakeSnapshot(from);
  state.applied = from.Varint();
  state.compacted = TakePosition(from);
  state.promised.index = from.Varint();
  state.runs.resize(from.VarintUpTo(from.remaining()));
  for (TermRun& run : state.runs) {
    run.first = from.Varint();
    run.term = from.Varint();
  }
  state.promised.term = state.runs.empty() ? state.compacted.term : state.runs.back().term;
  state.damage.resize(from.VarintUpTo(from.remaining()));
  for (Damage& damage : state.damage) {
    damage.first = from.Varint();
    damage.last = from.Varint();
    damage.term = from.Varint();
    damage.kind = DamageKind::kInDoubt;
    if (damage.first < state.first_index() || damage.last < damage.first ||
        damage.last > state.promised.index) {
      valid = false;
    }
  }
  if (!ValidRuns(state)) valid = false;
  return state;
}

CheckpointItem TakeCheckpoint(Decoder& from, bool& valid) {
  CheckpointItem item;
  item.lost_history = from.VarintUpTo(1) == 1;
  const uint64_t count = from.VarintUpTo(from.remaining());
  item.groups.reserve(std::min<uint64_t>(count, 1 << 16));
  for (uint64_t i = 0; i < count && from.ok() && valid; ++i) {
    item.groups.push_back(TakeGroup(from, valid));
  }
  return item;
}

void PutItem(const CreateItem& item, std::string& to) {
  PutKind(ItemKind::kCreate, to);
  PutVarint(item.group, to);
  PutCreation(item.creation, to);
}

void PutItem(const HardStateItem& item, std::string& to) {
  PutKind(ItemKind::kHardState, to);
  PutVarint(item.group, to);
  PutHardState(item.hard_state, to);
}

void PutItem(const SnapshotItem& item, std::string& to) {
  PutKind(ItemKind::kSnapshot, to);
  PutVarint(item.group, to);
  PutSnapshot(item.snapshot, to);
}

void PutItem(const TruncateItem& item, std::string& to) {
  PutKind(ItemKind::kTruncate, to);
  PutVarint(item.group, to);
  PutVarint(item.last, to);
}

void PutItem(const EntriesItem& item, std::string& to) { PutEntries(item, to); }

void PutItem(const AppliedItem& item, std::string& to) {
  PutKind(ItemKind::kApplied, to);
  PutVarint(item.group, to);
  PutVarint(item.applied, to);
}

void PutItem(const CompactItem& item, std::string& to) {
  PutKind(ItemKind::kCompact, to);
  PutVarint(item.group, to);
  PutPosition(item.compacted, to);
}

void PutItem(const DestroyItem& item, std::string& to) {
  PutKind(ItemKind::kDestroy, to);
  PutVarint(item.group, to);
}

void PutItem(const CheckpointItem& item, std::string& to) {
  PutKind(ItemKind::kCheckpoint, to);
  PutVarint(item.lost_history ? 1 : 0, to);
  PutVarint(item.groups.size(), to);
  for (const GroupState& state : item.groups) PutGroup(state, to);
}

LogItem TakeItem(Decoder& from, bool& valid) {
  const ItemKind kind = static_cast<ItemKind>(from.Byte());
  switch (kind) {
    case ItemKind::kEntries:
      return TakeEntries(from, false, valid);
    case ItemKind::kReplacedEntries:
      return TakeEntries(from, true, valid);
    case ItemKind::kCheckpoint:
      return TakeCheckpoint(from, valid);
    default:
      break;
  }
  const GroupId group = from.Varint();
  switch (kind) {
    case ItemKind::kCreate:
      return CreateItem{group, TakeCreation(from)};
    case ItemKind::kHardState:
      return HardStateItem{group, TakeHardState(from)};
    case ItemKind::kSnapshot:
      return SnapshotItem{group, TakeSnapshot(from)};
    case ItemKind::kTruncate:
      return TruncateItem{group, from.Varint()};
    case ItemKind::kApplied:
      return AppliedItem{group, from.Varint()};
    case ItemKind::kCompact:
      return CompactItem{group, TakePosition(from)};
    case ItemKind::kDestroy:
      return DestroyItem{group};
    default:
      valid = false;
      return DestroyItem{};
  }
}

}  // namespace

uint64_t EntriesItem::payload_bytes() const {
  uint64_t bytes = 0;
  for (const EntryRecord& record : records) bytes += record.bytes;
  return bytes;
}

void AppendItem(const LogItem& item, std::string& to) {
  std::visit([&to](const auto& alternative) { PutItem(alternative, to); }, item);
}

std::string EncodeTable(const std::vector<LogItem>& items) {
  std::string table;
  PutVarint(items.size(), table);
  for (const LogItem& item : items) AppendItem(item, table);
  return table;
}

absl::StatusOr<std::vector<LogItem>> DecodeTable(absl::string_view table) {
  Decoder decoder(table);
  bool valid = true;
  const uint64_t count = decoder.VarintUpTo(table.size());
  std::vector<LogItem> items;
  for (uint64_t i = 0; i < count && decoder.ok() && valid; ++i) {
    items.push_back(TakeItem(decoder, valid));
  }
  if (!valid || !decoder.AtEnd()) {
    return absl::DataLossError(absl::StrCat("item ", items.size(), " of ", count,
                                            " in a batch's table is not understood"));
  }
  return items;
}

}  // namespace ringleader::replication
