// What the log holds, in memory: for each group its states, the outline of its log, and where each
// entry's payload is. Changed only by applying the items of batches, in their order, once they are
// durable: opening the log and writing to it run the same code.
//
// 16 bytes an entry, plus a few hundred a group. Not thread-safe; Log guards it.
#ifndef RINGLEADER_REPLICATION_LOG_INDEX_H_
#define RINGLEADER_REPLICATION_LOG_INDEX_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "replication/log_shape.h"
#include "replication/log_table.h"
#include "replication/log_types.h"

namespace ringleader::replication {

// Where an entry's payload is and how to know it.
struct EntrySlot {
  enum State : uint32_t { kIntact = 0, kCorrupt = 1, kInDoubt = 2 };

  uint32_t segment = 0;
  uint32_t offset = 0;  // in the segment
  uint32_t bytes : 26 = 0;
  uint32_t kind : 4 = 0;
  uint32_t state : 2 = kIntact;
  uint32_t checksum = 0;
};
static_assert(sizeof(EntrySlot) == 16);

// Where the payloads of a batch are, and which of them are good.
struct PayloadPlace {
  uint32_t segment = 0;
  uint32_t offset = 0;  // of the item's first payload
  // For each record, what it is worth; empty: all intact.
  std::vector<EntrySlot::State> states;
};

// The live entries of a segment, by group: what keeps it from being removed.
struct SegmentUse {
  uint64_t entries = 0;
  uint64_t bytes = 0;
  absl::flat_hash_map<GroupId, uint64_t> groups;
};

class LogIndex {
 public:
  struct GroupLog {
    GroupCreation creation;
    bool destroyed = false;
    bool suspect = false;
    HardState hard_state;
    std::optional<SnapshotMeta> snapshot;
    Index applied = 0;
    LogShape shape;
    std::deque<EntrySlot> slots;  // of shape.first() ... shape.last()
    uint64_t damaged = 0;         // slots that are not intact

    const EntrySlot& slot(Index index) const { return slots[index - shape.first()]; }
  };

  // Applies one item; `place` says where its payloads are (for EntriesItem, else ignored).
  // DATA_LOSS if the item doesn't fit what is here, and then nothing changed: a bug in what Log
  // wrote, or the trace of a batch that was lost.
  absl::Status Apply(const LogItem& item, const PayloadPlace& place);

  // Batches were lost: nobody here knows any more what they did.
  void MarkAllSuspect();
  void MarkSuspect(GroupId group);
  // The payload turned out bad: from now on kCorrupt, if the entry is still in that slot.
  void MarkCorrupt(GroupId group, Index index, const EntrySlot& slot);

  const GroupLog* Find(GroupId group) const;
  bool lost_history() const { return lost_history_; }
  std::vector<GroupState> States() const;
  GroupState State(GroupId group, const GroupLog& log) const;
  CheckpointItem Checkpoint() const;

  // Segments with live entries only.
  const absl::btree_map<uint32_t, SegmentUse>& uses() const { return uses_; }
  uint64_t live_entries() const { return live_entries_; }
  uint64_t live_bytes() const { return live_bytes_; }

  // Calls visit(group, index, term, slot) for the entries that are in `segment`, of one group.
  template <typename Visit>
  void ForEachEntryIn(uint32_t segment, GroupId group, Visit visit) const {
    const GroupLog* const log = Find(group);
    if (log == nullptr) return;
    for (size_t i = 0; i < log->slots.size(); ++i) {
      const EntrySlot& slot = log->slots[i];
      if (slot.segment != segment || slot.state != EntrySlot::kIntact) continue;
      const Index index = log->shape.first() + i;
      if (!visit(index, *log->shape.TermAt(index), slot)) return;
    }
  }

 private:
  absl::Status ApplyItem(const CreateItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const HardStateItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const SnapshotItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const TruncateItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const EntriesItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const AppliedItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const CompactItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const DestroyItem& item, const PayloadPlace& place);
  absl::Status ApplyItem(const CheckpointItem& item, const PayloadPlace& place);

  absl::StatusOr<GroupLog*> Living(GroupId group);
  absl::Status ReplaceEntries(GroupId group, GroupLog& log, const EntriesItem& item,
                              const PayloadPlace& place);
  void ApplyGroup(const GroupState& state);
  // Changes of slots go through these, which keep `damaged` and the uses.
  void Push(GroupId group, GroupLog& log, const EntrySlot& slot);
  void Count(GroupId group, const EntrySlot& slot);
  void Release(GroupId group, GroupLog& log, const EntrySlot& slot);
  void TrimBack(GroupId group, GroupLog& log);  // to shape.last()
  void TrimFront(GroupId group, GroupLog& log, Index first_before);

  absl::btree_map<GroupId, GroupLog> groups_;
  absl::btree_map<uint32_t, SegmentUse> uses_;
  uint64_t live_entries_ = 0;
  uint64_t live_bytes_ = 0;
  bool lost_history_ = false;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_INDEX_H_
