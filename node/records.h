// What a partition keeps in LevelDB beside its items, as bytes. All formats are version 1, have
// golden-bytes tests, and may not change; a record of another version stops the replica.
//
//   key                                value
//   01 "eras"                          Eras (eras.h)
//   01 "state"                         StoreState
//   01 "table" table id (8, BE)        TableRecord
//   02 session (8, BE)                 SessionRecord
//   10 ... (model/key_codec.h)         StoredItem
//
// Pure functions; DATA_LOSS for bytes that no encoder here writes.
#ifndef RINGLEADER_NODE_RECORDS_H_
#define RINGLEADER_NODE_RECORDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/table_schema.h"
#include "model/token.h"
#include "replication/state_machine.h"

namespace ringleader {

// Written with every batch of effects.
struct StoreState {
  replication::AppliedState applied;
  // The applied index before the batch that wrote this: a batch that was skipped shows.
  replication::Index previous = 0;
  // Of the newest write entry (effects.h).
  int64_t time_us = 0;
  int64_t elapsed_us = 0;
  // Absent in a learner that has no snapshot yet.
  std::optional<model::TokenRange> range;
  friend bool operator==(const StoreState&, const StoreState&) = default;
};

std::string StateKey();
std::string EncodeState(const StoreState& state);
absl::StatusOr<StoreState> DecodeState(absl::string_view bytes);

enum class TablePhase : uint8_t {
  kLive = 0,
  kRetired = 1,  // for ever: its id never returns
};

struct TableRecord {
  uint64_t id = 0;
  uint64_t schema_version = 0;
  TablePhase phase = TablePhase::kLive;
  std::string definition;  // a serialized ringleader.coordinator.v1.Table
  friend bool operator==(const TableRecord&, const TableRecord&) = default;
};

std::string TableKey(uint64_t table);
std::string TableKeyPrefix();
std::string EncodeTable(const TableRecord& table);
absl::StatusOr<TableRecord> DecodeTable(absl::string_view bytes);

// What is remembered of one carried-out write, to answer it again.
struct StoredResult {
  uint64_t item_version = 0;
  std::string item;       // what return_values asked for, encoded
  bool item_kept = true;  // false: it was longer than kResultItemBytesMax
  // A failed condition or the like: `item` is the whole answer, a serialized
  // ringleader.data.v1.Response.
  bool changed_nothing = false;
  friend bool operator==(const StoredResult&, const StoredResult&) = default;
};

inline constexpr size_t kResultItemBytesMax = 4096;
inline constexpr size_t kSessionResultsMax = 1024;

struct SessionRecord {
  uint64_t session = 0;
  uint64_t lowest = 1;     // every sequence below it was answered and is forgotten
  int64_t elapsed_us = 0;  // of its newest write, by the partition's own count
  std::map<uint64_t, StoredResult> results;  // by sequence
  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

// The byte before a result's item, here and in log entries: bit 0 item_kept, bit 1 changed_nothing
// (which is kept always).
uint8_t FlagsOf(const StoredResult& result);
bool SetFlags(uint8_t flags, StoredResult* result);  // false: no such flags

std::string SessionKey(uint64_t session);
std::string SessionKeyPrefix();
std::string EncodeSession(const SessionRecord& session);
absl::StatusOr<SessionRecord> DecodeSession(absl::string_view bytes);

// An item with its version: the index and the time of the entry that wrote it.
struct StoredItem {
  uint64_t index = 0;
  int64_t time_us = 0;
  absl::string_view item;  // model/item_codec.h's bytes, inside what was decoded
};

void AppendStoredItem(uint64_t index, int64_t time_us, absl::string_view item, std::string* out);
absl::StatusOr<StoredItem> DecodeStoredItem(absl::string_view bytes);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_RECORDS_H_
