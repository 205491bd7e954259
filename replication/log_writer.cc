#include "replication/log_writer.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status.h"

namespace ringleader::replication {
namespace {

// What a queued write costs beyond its payloads; roughly, so that empty ones are bounded too.
constexpr uint64_t kWriteBytes = 256;
constexpr uint64_t kEntryBytes = 64;

uint64_t BytesOf(const GroupWrite& write) {
  uint64_t bytes = kWriteBytes + (write.create.has_value() ? write.create->plan.size() : 0);
  for (const Entry& entry : write.entries) bytes += kEntryBytes + entry.payload_bytes();
  for (const Entry& entry : write.repairs) bytes += kEntryBytes + entry.payload_bytes();
  return bytes;
}

absl::Status CheckSizes(absl::Span<const GroupWrite> writes) {
  for (const GroupWrite& write : writes) {
    if (write.create.has_value() && write.create->plan.size() > kPlanBytesMax) {
      return absl::InvalidArgumentError("a plan larger than the log takes");
    }
    for (const std::vector<Entry>* entries : {&write.entries, &write.repairs}) {
      for (const Entry& entry : *entries) {
        if (entry.payload_bytes() > kEntryBytesMax) {
          return absl::InvalidArgumentError("an entry larger than the log takes");
        }
      }
    }
  }
  return absl::OkStatus();
}

// Does nothing but free space.
bool OnlyCompacts(const GroupWrite& write) {
  return write.compact_to.has_value() && !write.create.has_value() &&
         !write.hard_state.has_value() && !write.snapshot.has_value() &&
         !write.truncate_after.has_value() && write.entries.empty() && write.repairs.empty() &&
         !write.destroy;
}

// A term, a vote or a tombstone, which take the reserve only: without them nobody is elected on
// full disks, and what a destroyed replica has there stays.
bool IsSmall(const GroupWrite& write) {
  return !write.create.has_value() && !write.snapshot.has_value() &&
         !write.truncate_after.has_value() && write.entries.empty() && write.repairs.empty();
}

// Entries that wait don't conflict with compacting what is durable already; these would.
bool ForbidsOvertaking(const GroupWrite& write) {
  return write.create.has_value() || write.snapshot.has_value() ||
         write.truncate_after.has_value() || write.destroy;
}

}  // namespace

LogWriter::LogWriter(Log& log, std::unique_ptr<Executor> executor, Clock& clock,
                     const LogWriterOptions& options)
    : log_(log), clock_(clock), options_(options), executor_(std::move(executor)) {
  MutexLock lock(mutex_);
  progress_.last_completed = clock_.Now();
}

// Stopped, not reset: the task under way still posts to it.
LogWriter::~LogWriter() { executor_->Stop(); }

absl::Status LogWriter::Submit(std::vector<GroupWrite> writes, Executor& reply, Done done) {
  RETURN_IF_ERROR(CheckSizes(writes));
  Submission submission{std::move(writes), 0, &reply, std::move(done)};
  for (const GroupWrite& write : submission.writes) submission.bytes += BytesOf(write);
  if (submission.bytes > options_.submission_bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a submission of ", submission.bytes, " bytes; at most ", options_.submission_bytes_max));
  }
  const Instant now = clock_.Now();
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(progress_.failure);
  if (queued_bytes_ + submission.bytes > options_.queue_bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the log's queue is full: ", queued_bytes_, " bytes wait for the disk"));
  }
  queued_bytes_ += submission.bytes;
  queue_.push_back(std::move(submission));
  if (!progress_.pending) {
    progress_.pending = true;
    progress_.pending_since = now;
  }
  if (!scheduled_) {
    scheduled_ = true;
    ScheduleBatch(now);
  }
  return absl::OkStatus();
}

void LogWriter::ScheduleBatch(const Instant& now) {
  const Duration pause = gather_ - HolderElapsed(progress_.last_completed, now);
  if (gather_ > Duration(0) && pause > Duration(0)) {
    executor_->PostAfter(pause, [this] { RunBatch(); });
  } else {
    executor_->Post([this] { RunBatch(); });
  }
}

void LogWriter::Rewrite() {
  MutexLock lock(mutex_);
  rewrite_asked_ = true;
  if (scheduled_ || !progress_.failure.ok()) return;  // the end of that batch sees to it
  scheduled_ = true;
  executor_->Post([this] { RunBatch(); });
}

LogProgress LogWriter::progress() const {
  MutexLock lock(mutex_);
  return progress_;
}

uint64_t LogWriter::queued_bytes() const {
  MutexLock lock(mutex_);
  return queued_bytes_;
}

void LogWriter::RunBatch() {
  std::vector<Submission> batch = TakeBatch();
  absl::Status status = WriteBatch(batch);
  bool out_of_space = absl::IsResourceExhausted(status);
  if (out_of_space) {
    PutBack(std::move(batch));
    batch = TakeWhatPasses();
    if (!batch.empty()) {
      status = WriteBatch(batch);
      if (absl::IsResourceExhausted(status)) {
        PutBack(std::move(batch));
        batch.clear();
      }
    }
  }
  if (!status.ok() && !absl::IsResourceExhausted(status)) {
    Fail(std::move(batch), status);
    return;
  }
  Complete(std::move(batch));
  // Space that was just freed is used at once, not after the pause.
  ScheduleNext(out_of_space && !status.ok());
}

std::vector<LogWriter::Submission> LogWriter::TakeBatch() {
  std::vector<Submission> batch;
  uint64_t bytes = 0;
  MutexLock lock(mutex_);
  while (!queue_.empty() &&
         (batch.empty() || bytes + queue_.front().bytes <= options_.batch_bytes_max)) {
    bytes += queue_.front().bytes;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

// Of the queue, what may go first although the disk is full: compactions of entries that the log
// holds, unless a write of that group before them changes more than its tail; and what is small, if
// nothing of its group waits before it.
std::vector<LogWriter::Submission> LogWriter::TakeWhatPasses() {
  std::vector<Submission> batch;
  std::deque<Submission> others;
  absl::flat_hash_set<GroupId> waiting, blocked;
  MutexLock lock(mutex_);
  for (Submission& submission : queue_) {
    bool may_overtake = !submission.writes.empty();
    for (const GroupWrite& write : submission.writes) {
      const bool compacts = OnlyCompacts(write) && !blocked.contains(write.group) &&
                            log_.TermAt(write.group, *write.compact_to).ok();
      may_overtake &= compacts || (IsSmall(write) && !waiting.contains(write.group));
    }
    for (const GroupWrite& write : submission.writes) {
      if (!may_overtake) waiting.insert(write.group);
      if (ForbidsOvertaking(write)) blocked.insert(write.group);
    }
    if (may_overtake) {
      batch.push_back(std::move(submission));
    } else {
      others.push_back(std::move(submission));
    }
  }
  queue_.swap(others);
  return batch;
}

void LogWriter::PutBack(std::vector<Submission> batch) {
  MutexLock lock(mutex_);
  while (!batch.empty()) {
    queue_.push_front(std::move(batch.back()));
    batch.pop_back();
  }
}

absl::Status LogWriter::WriteBatch(std::vector<Submission>& batch) {
  std::vector<GroupWrite> writes;
  std::vector<size_t> counts;
  for (Submission& submission : batch) {
    counts.push_back(submission.writes.size());
    std::move(submission.writes.begin(), submission.writes.end(), std::back_inserter(writes));
  }
  absl::Status status = MeasuredWrite(writes);
  if (!absl::IsResourceExhausted(status)) return status;
  size_t at = 0;  // nothing was written: they go back where they came from
  for (size_t i = 0; i < batch.size(); ++i) {
    for (size_t j = 0; j < counts[i]; ++j) batch[i].writes[j] = std::move(writes[at++]);
  }
  return status;
}

absl::Status LogWriter::MeasuredWrite(const std::vector<GroupWrite>& writes) {
  uint64_t entries = 0, bytes = 0;
  for (const GroupWrite& write : writes) {
    entries += write.entries.size() + write.repairs.size();
    for (const Entry& entry : write.entries) bytes += entry.payload_bytes();
    for (const Entry& entry : write.repairs) bytes += entry.payload_bytes();
  }
  const Instant begun = clock_.Now();
  absl::Status status = log_.Write(writes);
  if (!status.ok()) return status;
  const Duration took = HolderElapsed(begun, clock_.Now());
  meters_.write_time.Observe(took);
  meters_.batch_entries.Observe(entries);
  meters_.batch_bytes.Observe(bytes);
  const bool busy = entries >= options_.gather_entries;
  MutexLock lock(mutex_);
  gather_ = busy ? std::min(took * options_.gather_factor, options_.gather_max) : Duration(0);
  return status;
}

void LogWriter::Complete(std::vector<Submission> batch) {
  if (batch.empty()) return;
  const Instant now = clock_.Now();
  uint64_t bytes = 0;
  for (Submission& submission : batch) {
    bytes += submission.bytes;
    submission.reply->Post(
        [done = std::move(submission.done)]() mutable { done(absl::OkStatus()); });
  }
  MutexLock lock(mutex_);
  CHECK_GE(queued_bytes_, bytes);
  queued_bytes_ -= bytes;
  ++progress_.syncs;
  progress_.last_completed = now;
  progress_.pending_since = now;
}

void LogWriter::Fail(std::vector<Submission> batch, const absl::Status& failure) {
  MutexLock lock(mutex_);
  progress_.failure = failure;
  while (!queue_.empty()) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  for (Submission& submission : batch) {
    submission.reply->Post(
        [done = std::move(submission.done), failure]() mutable { done(failure); });
  }
  queued_bytes_ = 0;  // scheduled_ stays: nothing runs any more
}

void LogWriter::ScheduleNext(bool out_of_space) {
  // Copying forward competes with nobody when there is nothing to write, and keeps pace when there
  // is.
  bool is_rewriting = false;
  if (!out_of_space) {
    const absl::StatusOr<uint64_t> reclaimed = log_.Reclaim(options_.reclaim_bytes);
    if (!reclaimed.ok() && !absl::IsResourceExhausted(reclaimed.status())) {
      Fail({}, reclaimed.status());
      return;
    }
    is_rewriting = reclaimed.ok() && *reclaimed > 0 && log_.RewriteIsDue();
  }
  MutexLock lock(mutex_);
  progress_.pending = !queue_.empty();
  progress_.out_of_space = out_of_space && progress_.pending;
  scheduled_ = progress_.pending || is_rewriting || rewrite_asked_;
  rewrite_asked_ = false;
  if (!scheduled_) {
    ArmSeal();
  } else if (out_of_space) {
    executor_->PostAfter(options_.retry, [this] { RunBatch(); });
  } else {
    ScheduleBatch(clock_.Now());
  }
}

// One at a time: a timer for each batch would wake a busy node's log as often as its batches do.
void LogWriter::ArmSeal() {
  if (seal_armed_ || options_.seal_after <= Duration(0)) return;
  seal_armed_ = true;
  executor_->PostAfter(options_.seal_after, [this, syncs = progress_.syncs] { Seal(syncs); });
}

void LogWriter::Seal(uint64_t syncs) {
  {
    MutexLock lock(mutex_);
    seal_armed_ = false;
    if (scheduled_ || !progress_.failure.ok()) return;  // the end of that batch arms it again
    if (progress_.syncs != syncs) return ArmSeal();
    scheduled_ = true;  // what is submitted meanwhile waits for ScheduleNext
  }
  const absl::Status status = log_.Write({});
  if (!status.ok() && !absl::IsResourceExhausted(status)) {
    Fail({}, status);
    return;
  }
  MutexLock lock(mutex_);
  progress_.last_completed = clock_.Now();
  scheduled_ = !queue_.empty() || rewrite_asked_;
  if (scheduled_) executor_->Post([this] { RunBatch(); });
}

}  // namespace ringleader::replication
