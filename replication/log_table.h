// The table of a batch: what it does to which group, as a list of items. Entries stand in it with
// everything but their payload (index, term, kind, length, checksum), so that a lost payload block
// never loses what was there. Payloads follow in the order of the items. On disk: an item's
// encoding may not change, new kinds need a new log version.
#ifndef RINGLEADER_REPLICATION_LOG_TABLE_H_
#define RINGLEADER_REPLICATION_LOG_TABLE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "replication/log_types.h"

namespace ringleader::replication {

struct CreateItem {
  GroupId group = 0;
  GroupCreation creation;
  friend bool operator==(const CreateItem&, const CreateItem&) = default;
};

struct HardStateItem {
  GroupId group = 0;
  HardState hard_state;
  friend bool operator==(const HardStateItem&, const HardStateItem&) = default;
};

struct SnapshotItem {
  GroupId group = 0;
  SnapshotMeta snapshot;
  friend bool operator==(const SnapshotItem&, const SnapshotItem&) = default;
};

struct TruncateItem {
  GroupId group = 0;
  Index last = 0;  // the log ends here
  friend bool operator==(const TruncateItem&, const TruncateItem&) = default;
};

struct EntryRecord {
  Term term = 0;
  EntryKind kind = EntryKind::kEmpty;
  uint32_t bytes = 0;
  uint32_t checksum = 0;  // EntryChecksum
  friend bool operator==(const EntryRecord&, const EntryRecord&) = default;
};

struct EntriesItem {
  GroupId group = 0;
  bool replaces_only = false;  // a repair or a copy: nothing is truncated
  Index first = 0;
  std::vector<EntryRecord> records;

  uint64_t payload_bytes() const;
  friend bool operator==(const EntriesItem&, const EntriesItem&) = default;
};

struct AppliedItem {
  GroupId group = 0;
  Index applied = 0;
  friend bool operator==(const AppliedItem&, const AppliedItem&) = default;
};

struct CompactItem {
  GroupId group = 0;
  LogPosition compacted;
  friend bool operator==(const CompactItem&, const CompactItem&) = default;
};

struct DestroyItem {
  GroupId group = 0;
  friend bool operator==(const DestroyItem&, const DestroyItem&) = default;
};

// Everything about every group but its entries' records. Of GroupState::damage only what is in
// doubt is kept: corruption shows itself again.
struct CheckpointItem {
  bool lost_history = false;
  std::vector<GroupState> groups;  // ascending
};

using LogItem = std::variant<CreateItem, HardStateItem, SnapshotItem, TruncateItem, EntriesItem,
                             AppliedItem, CompactItem, DestroyItem, CheckpointItem>;

void AppendItem(const LogItem& item, std::string& to);
std::string EncodeTable(const std::vector<LogItem>& items);
// DATA_LOSS if the bytes aren't a table; never reads or allocates beyond what they hold.
absl::StatusOr<std::vector<LogItem>> DecodeTable(absl::string_view table);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_TABLE_H_
