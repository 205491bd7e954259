// The log's one implementation: its parts in log.cc (opening, writing, rolling, copying forward)
// and log_scrub.cc (reading everything back).
//
// Threads: who writes holds `writing_`; Scrub is for one at a time, beside a writer; the rest is
// for any.
#ifndef RINGLEADER_REPLICATION_LOG_IMPLEMENTATION_H_
#define RINGLEADER_REPLICATION_LOG_IMPLEMENTATION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/file_system.h"
#include "common/mutex.h"
#include "common/random.h"
#include "replication/log.h"
#include "replication/log_batch.h"
#include "replication/log_format.h"
#include "replication/log_index.h"
#include "replication/log_reader.h"
#include "replication/log_recovery.h"

namespace ringleader::replication {

struct Segment {
  std::string path;
  uint64_t size_bytes = 0;
  std::shared_ptr<const RandomAccessFile> file;
  // Of its header; 0 where that could not be read.
  uint64_t first_sequence = 0;
  uint64_t void_from = 0;  // not 0: written by opening, and batches from here on count no more
};

// The segment that batches go to. Belongs to who writes.
struct Active {
  SegmentHeader header;
  std::unique_ptr<WritableFile> file;
  uint64_t size_bytes = 0;  // preallocated
  uint64_t end_bytes = 0;   // where the next batch goes
  uint64_t zeroed_to = 0;   // up to here every block has been written before, or is a batch's
  bool fresh = false;       // nothing in it but what begins every segment
};

// One sealed segment, as it stands in the index when its scrub begins.
struct ScrubPlan {
  uint64_t segment = 0;
  uint64_t end_sequence = 0;  // batches from here on are not its own, or void
  uint64_t first_sequence = 0;
  std::set<GroupId> groups;  // that have live entries in it
};

class LogImplementation : public Log {
 public:
  LogImplementation(FileSystem& file_system, absl::string_view directory, const LogOptions& options)
      : file_system_(file_system),
        directory_(directory),
        options_(options),
        clock_(options.clock != nullptr ? *options.clock : SystemClock()),
        salts_(options.entropy != 0 ? options.entropy : SystemEntropy()) {}

  absl::Status OpenDirectory();

  const LogReport& report() const override { return report_; }
  std::vector<GroupState> Groups() const override;
  std::optional<GroupState> Group(GroupId group) const override;
  absl::Status Write(absl::Span<const GroupWrite> batch) override;
  absl::StatusOr<uint64_t> Reclaim(uint64_t bytes_max) override;
  absl::StatusOr<LogScrub> Scrub(uint64_t after) override;
  bool Distrust(GroupId group, Index index) override;
  void Suspect(GroupId group) override;
  bool RewriteIsDue() const override;
  std::vector<LogPin> Pins() const override;
  absl::StatusOr<std::vector<Entry>> Read(GroupId group, Index first, Index last,
                                          uint64_t bytes_max) const override;
  absl::StatusOr<Term> TermAt(GroupId group, Index index) const override;
  LogStatistics statistics() const override;

 private:
  // Opening.
  std::vector<LocatedEntry> Unproven(const RecoveredLog& recovered) const;
  absl::StatusOr<Batch> RecoveryBatch(const RecoveredLog& recovered, std::vector<Payload>& payloads)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status StartAnew(const RecoveredLog& recovered) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status TrimSegments(const RecoveredLog& recovered) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);

  // Writing.
  absl::StatusOr<Active> CreateSegment(uint64_t number, uint64_t void_from, uint64_t size_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status PrepareSegment(const Active& segment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status MakeRoom(uint64_t bytes, bool may_use_reserve)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status Grow(uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status Roll(uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  bool HasObsolete() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status FreeObsolete() ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  bool Fits(uint64_t bytes, bool with_reserve) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status Commit(const Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status WriteBatch(const Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status ZeroAhead(uint64_t end_bytes, uint64_t batch_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status SyncTimed(WritableFile& file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  void ApplyBatch(const Batch& batch, const BatchHeader& header)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  void RemoveObsolete(uint64_t oldest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  uint64_t OldestNeeded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  uint64_t FileBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsLong() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<LocatedEntry> ReclaimChoice(uint64_t bytes_max) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);

  // Scrubbing (log_scrub.cc).
  std::optional<ScrubPlan> PlanScrub(uint64_t after) const;
  std::vector<LocatedEntry> LiveEntries(uint64_t segment, GroupId group) const;

  std::vector<LocatedEntry> Locate(GroupId group, const LogIndex::GroupLog& log, Index first,
                                   Index last, uint64_t bytes_max) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FileSystem& file_system_;
  const std::string directory_;
  const LogOptions options_;
  Clock& clock_;
  LogReport report_;  // set by OpenDirectory

  std::unique_ptr<FileLock> lock_;  // set by OpenDirectory

  // Held while a batch is made, written and synced.
  Mutex writing_ ABSL_ACQUIRED_BEFORE(mutex_);
  Random salts_ ABSL_GUARDED_BY(writing_);
  Active active_ ABSL_GUARDED_BY(writing_);
  uint64_t next_sequence_ ABSL_GUARDED_BY(writing_) = 1;
  absl::Status failure_ ABSL_GUARDED_BY(writing_);  // not OK: final

  // Held for moments, never across a call that may block.
  mutable Mutex mutex_;
  LogIndex index_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Segment> segments_ ABSL_GUARDED_BY(mutex_);
  mutable LogStatistics statistics_ ABSL_GUARDED_BY(mutex_);
  // Segments up to here have bad blocks: what lives in them is copied forward, however short the
  // log is.
  uint64_t rewrite_through_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_IMPLEMENTATION_H_
