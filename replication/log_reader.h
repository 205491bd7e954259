// Entries back from their segments: one place that reads a payload and checks it.
#ifndef RINGLEADER_REPLICATION_LOG_READER_H_
#define RINGLEADER_REPLICATION_LOG_READER_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/file_system.h"
#include "replication/log_batch.h"
#include "replication/log_index.h"
#include "replication/types.h"

namespace ringleader::replication {

// An entry with all that is needed to read it, copied out of the index. Holding the file keeps it
// readable after the segment was removed.
struct LocatedEntry {
  GroupId group = 0;
  Index index = 0;
  Term term = 0;
  EntrySlot slot;
  std::shared_ptr<const RandomAccessFile> file;
};

// DATA_LOSS if it can't be read or fails its checksum. Blocks. Thread-safe.
absl::StatusOr<Payload> ReadPayload(const LocatedEntry& entry);
// Several times if need be: DATA_LOSS is damage, and no moment's failure.
absl::StatusOr<Payload> ReadToJudge(const LocatedEntry& entry);

// Adds copies of the entries (by group, ascending) to a batch, as items that replace only. The
// payloads move to `payloads`, which must outlive the batch. Calls `damaged` for those that can't
// be read and goes on; other errors end it.
absl::Status AddCopies(absl::Span<const LocatedEntry> entries, Batch& batch,
                       std::vector<Payload>& payloads,
                       const std::function<void(const LocatedEntry&)>& damaged);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_READER_H_
