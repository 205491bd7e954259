// From what groups want durable to the bytes of a batch. Checks the writes against the outline of
// each group's log first: nothing that contradicts the log reaches the disk.
#ifndef RINGLEADER_REPLICATION_LOG_BATCH_H_
#define RINGLEADER_REPLICATION_LOG_BATCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "replication/log.h"
#include "replication/log_format.h"
#include "replication/log_index.h"
#include "replication/log_table.h"

namespace ringleader::replication {

// A batch before it has a place. The payloads stay where they are; their owner outlives this.
struct Batch {
  std::vector<LogItem> items;
  std::vector<absl::string_view> payloads;  // of the items' records, in order
  std::string table;                        // the items' encoding, by Seal
  uint64_t payload_bytes = 0;
  uint64_t entries = 0;

  // Adds records to `item` and their payloads to the batch.
  void AddRecord(EntriesItem& item, Term term, EntryKind kind, absl::string_view payload);
  // Encodes the table. RESOURCE_EXHAUSTED is never returned; INVALID_ARGUMENT if the batch can't be
  // written as one.
  absl::Status Seal(uint64_t payload_bytes_max);
};

// One use: construct, then Build.
class BatchBuilder {
 public:
  // Copies what it needs of `index`: the index may change afterwards.
  BatchBuilder(const LogIndex& index, absl::Span<const GroupWrite> writes);
  // INVALID_ARGUMENT as Log::Write says; fails a CHECK on what contradicts the log.
  absl::StatusOr<Batch> Build(uint64_t payload_bytes_max);

 private:
  struct Outline {
    bool known = false;
    bool destroyed = false;
    ReplicaId replica = 0;
    LogShape shape;
  };

  absl::Status Add(const GroupWrite& write);
  void AddCreation(const GroupWrite& write, Outline& outline);
  void AddLogChanges(const GroupWrite& write, Outline& outline);
  void AddEntries(const GroupWrite& write, Outline& outline);
  void AddRepairs(const GroupWrite& write, const Outline& outline);

  const absl::Span<const GroupWrite> writes_;
  absl::flat_hash_map<GroupId, Outline> outlines_;
  Batch batch_;
};

// The pieces of a batch at its place, for one write. Lives as long as the write.
class BatchImage {
 public:
  BatchImage(const SegmentHeader& segment, const BatchHeader& header, const Batch& batch);
  absl::Span<const absl::string_view> pieces() const { return pieces_; }

 private:
  std::string head_;
  std::string padding_;
  std::string tail_;
  std::vector<absl::string_view> pieces_;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_BATCH_H_
