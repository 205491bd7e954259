// Group commit: gathers what all groups of a node want durable into batches for the one Log.
//
// One batch is under way at a time; whatever is submitted meanwhile goes into the next. An idle
// node syncs at once. A busy one, whose last batch had many entries, lets a few times as much time
// pass as that took, so that its disk and its processors don't spend themselves on small syncs.
//
// Threads: Submit and progress are thread-safe and never wait for the disk. Log::Write runs on the
// writer's own executor. A `done` runs as a task of the executor that was given with it, in the
// order of submission.
//
// A full disk: nothing fails and nothing is reordered within a group. The writer keeps what it has,
// lets writes pass that only compact (they free the space), and tries again every `retry`;
// meanwhile `progress` shows no sync, so that leaders step down (DESIGN section 11, rule 17), and
// once the queue is full Submit refuses. Any other failure of the log is final: every `done`, and
// every Submit from then on, gets that error, and the process must exit.
#ifndef RINGLEADER_REPLICATION_LOG_WRITER_H_
#define RINGLEADER_REPLICATION_LOG_WRITER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "replication/counters.h"
#include "replication/log.h"

namespace ringleader::replication {

struct LogWriterOptions {
  uint64_t queue_bytes_max = 256ull << 20;      // submitted and not yet durable
  uint64_t batch_bytes_max = 8ull << 20;        // aimed at; one submission alone may exceed it
  uint64_t submission_bytes_max = 48ull << 20;  // below LogOptions::batch_bytes_max
  uint64_t reclaim_bytes = 1ull << 20;  // copied forward after a batch while the log is too long
  Duration retry = std::chrono::milliseconds(100);  // between attempts while the disk is full
  // A batch of so many entries is followed by a pause: as long as it took times gather_factor, at
  // most gather_max. What a sync costs (system calls, wake-ups, frames of acknowledgements) is paid
  // once for all that arrived meanwhile.
  uint64_t gather_entries = 8;
  int gather_factor = 3;  // 0: never
  Duration gather_max = std::chrono::milliseconds(4);
  // After this time without work, or up to twice as much, an empty batch follows, once: it proves
  // the last batch, so that a block that goes bad later is known to be corruption and not a torn
  // write. 0 switches it off.
  Duration seal_after = std::chrono::seconds(1);
};

// Readings of the Clock, for whoever decides whether this disk may carry a leader.
struct LogProgress {
  uint64_t syncs = 0;         // batches completed
  Instant last_completed{};   // when the last of them did; when the writer started if none has
  bool pending = false;       // something is submitted and not durable
  Instant pending_since{};    // when that began, or the last completion if that is later
  bool out_of_space = false;  // the last attempt was refused for lack of space
  absl::Status failure;       // not OK: final

  // How long the disk has owed an answer: 0 if nothing is pending.
  Duration Stalled(const Instant& now) const {
    return pending ? HolderElapsed(pending_since, now) : Duration(0);
  }
};

class LogWriter {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;

  // `log` and `clock` outlive the writer; nobody else calls the log's Reclaim. `executor` is the
  // writer's own: it may block on the disk.
  LogWriter(Log& log, std::unique_ptr<Executor> executor, Clock& clock,
            const LogWriterOptions& options);
  // Waits for the batch under way. A `done` not yet posted is destroyed without being called.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Queues the writes; they become durable together, after everything submitted before. `done` then
  // runs on `reply` (which outlives the writer) with OK, or with the log's final error.
  //   RESOURCE_EXHAUSTED  the queue is full; nothing was queued and `done` is dropped
  //   INVALID_ARGUMENT    larger than the log can take in one batch; the same
  //   anything else       the log failed before
  absl::Status Submit(std::vector<GroupWrite> writes, Executor& reply, Done done);

  // Copies forward what a scrub found to be due (Log::RewriteIsDue), whether or not anything is
  // written meanwhile: a log that nobody writes to keeps its bad blocks otherwise.
  void Rewrite();

  LogProgress progress() const;
  uint64_t queued_bytes() const;
  const LogWriterMeters& meters() const { return meters_; }

 private:
  struct Submission {
    std::vector<GroupWrite> writes;
    uint64_t bytes = 0;
    Executor* reply = nullptr;
    Done done;
  };

  // Tasks of executor_.
  void RunBatch();
  void Seal(uint64_t syncs);

  // Now, or when the pause after the last batch is over.
  void ScheduleBatch(const Instant& now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ArmSeal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::vector<Submission> TakeBatch();
  std::vector<Submission> TakeWhatPasses();
  void PutBack(std::vector<Submission> batch);
  absl::Status WriteBatch(std::vector<Submission>& batch);
  absl::Status MeasuredWrite(const std::vector<GroupWrite>& writes);
  void Complete(std::vector<Submission> batch);
  void Fail(std::vector<Submission> batch, const absl::Status& failure);
  void ScheduleNext(bool out_of_space);

  Log& log_;
  Clock& clock_;
  const LogWriterOptions options_;
  LogWriterMeters meters_;

  // Never held across a call that may block.
  mutable Mutex mutex_;
  std::deque<Submission> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;   // the batch under way included
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;      // a RunBatch is posted, delayed or running
  bool rewrite_asked_ ABSL_GUARDED_BY(mutex_) = false;  // since the last ScheduleNext
  bool seal_armed_ ABSL_GUARDED_BY(mutex_) = false;     // a Seal is posted
  Duration gather_ ABSL_GUARDED_BY(mutex_) = Duration(0);  // the pause after the last batch
  LogProgress progress_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<Executor> executor_;  // last: stops before what its tasks use goes away
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_WRITER_H_
