// What a directory of segments means: the heart of the log. Decides for every batch whether it was
// certainly durable, and so for every bad block whether it is corruption or a write that never
// completed. Reads only. The decision table and the argument are in replication/log.md.
#ifndef RINGLEADER_REPLICATION_LOG_RECOVERY_H_
#define RINGLEADER_REPLICATION_LOG_RECOVERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "replication/log.h"
#include "replication/log_index.h"
#include "replication/log_scan.h"

namespace ringleader::replication {

struct RecoveredLog {
  LogIndex index;
  LogReport report;
  std::vector<ScannedSegment> segments;  // part of the log, ascending; their batches that count
  std::vector<std::string> garbage;      // paths to remove: superseded, or never completed
  uint64_t last_segment = 0;             // the next one made is this plus one
  uint64_t last_sequence = 0;            // of the last batch that shows itself at all; not proven
  // The last batch, if its table was read: its entries are in doubt until written anew.
  uint32_t unproven_segment = 0;
  uint64_t unproven_begin = 0;  // bytes in that segment
  uint64_t unproven_end = 0;    // 0: there is none
};

// INVALID_ARGUMENT: out of their bounds, or in contradiction.
absl::Status CheckLogOptions(const LogOptions& options);

// FAILED_PRECONDITION if the log isn't this cluster's and node's or is newer; DATA_LOSS if intact
// batches contradict each other, which is a bug.
absl::StatusOr<RecoveredLog> RecoverLog(FileSystem& file_system, absl::string_view directory,
                                        const LogOptions& options);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_RECOVERY_H_
