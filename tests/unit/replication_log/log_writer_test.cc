// Protects group commit: order, one batch at a time, bounded queues, and what a full or failed disk
// means. With real threads, so that the thread sanitizer sees them, and on one simulated thread.
#include "replication/log_writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "replication/log_format.h"
#include "tests/unit/replication_log/log_fixture.h"

namespace ringleader::replication {
namespace {

using Disk = SimulatedFileSystem;

// All executors on the test's thread: tasks run when the test says so.
class Loop {
 public:
  class LoopExecutor : public Executor {
   public:
    explicit LoopExecutor(Loop& loop) : loop_(loop) {}
    void Post(Task task) override { loop_.ready_.push_back(std::move(task)); }
    TimerId PostAfter(Duration, Task task) override {
      loop_.timers_.push_back(std::move(task));
      return 1;
    }
    void Cancel(TimerId) override {}
    bool IsCurrent() const override { return true; }
    void Stop() override {}

   private:
    Loop& loop_;
  };

  std::unique_ptr<Executor> Start() { return std::make_unique<LoopExecutor>(*this); }
  void Run() {
    while (!ready_.empty()) {
      Task task = std::move(ready_.front());
      ready_.pop_front();
      task();
    }
  }
  void FireTimers() {
    std::deque<Task> timers;
    timers.swap(timers_);
    for (Task& task : timers) task();
    Run();
  }
  size_t timers() const { return timers_.size(); }

 private:
  std::deque<Task> ready_;
  std::deque<Task> timers_;
};

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    auto log = Log::Open(disk_, "log", options_);
    ASSERT_TRUE(log.ok());
    log_ = *std::move(log);
    reply_ = loop_.Start();
    writer_ = std::make_unique<LogWriter>(*log_, loop_.Start(), SystemClock(), writer_options_);
  }

  absl::Status Submit(GroupWrite write) {
    const size_t number = submitted_++;
    return writer_->Submit({std::move(write)}, *reply_, [this, number](const absl::Status& status) {
      completed_.push_back(number);
      last_status_ = status;
    });
  }
  GroupWrite OneEntry(Index index, size_t bytes) {
    return Append(1, {MakeEntry(1, index, std::string(bytes, 'x'))});
  }

  Disk disk_{1};
  LogOptions options_ = SmallOptions();
  LogWriterOptions writer_options_{
      .queue_bytes_max = 200000, .batch_bytes_max = 50000, .submission_bytes_max = 60000};
  std::unique_ptr<Log> log_;
  Loop loop_;
  std::unique_ptr<Executor> reply_;
  std::unique_ptr<LogWriter> writer_;
  size_t submitted_ = 0;
  std::vector<size_t> completed_;
  absl::Status last_status_;
};

TEST_F(LogWriterTest, WhatIsSubmittedTogetherSharesOneSync) {
  const uint64_t syncs = log_->statistics().syncs;
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  for (Index index = 1; index <= 10; ++index) ASSERT_TRUE(Submit(OneEntry(index, 100)).ok());
  EXPECT_TRUE(writer_->progress().pending);
  EXPECT_TRUE(completed_.empty());
  loop_.Run();
  EXPECT_EQ(log_->statistics().syncs - syncs, 1u);
  EXPECT_EQ(completed_, (std::vector<size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_FALSE(writer_->progress().pending);
  EXPECT_EQ(writer_->queued_bytes(), 0u);
}

TEST_F(LogWriterTest, TheQueueIsBoundedAndSaysSo) {
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(OneEntry(1, 60001))));
  Index index = 0;
  absl::Status status;
  while ((status = Submit(OneEntry(++index, 20000))).ok()) ASSERT_LT(index, 20u);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  loop_.Run();
  EXPECT_TRUE(Submit(OneEntry(index, 20000)).ok());
  loop_.Run();
  EXPECT_EQ(log_->Group(1)->promised.index, index);
}

TEST_F(LogWriterTest, AfterAPauseAnEmptyBatchProvesTheLast) {
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  loop_.Run();
  const uint64_t batches = log_->statistics().batches;
  ASSERT_EQ(loop_.timers(), 1u);
  loop_.FireTimers();
  EXPECT_EQ(log_->statistics().batches, batches + 1);
  EXPECT_EQ(loop_.timers(), 0u);  // once
}

TEST_F(LogWriterTest, WhatAScrubFoundBadIsWrittenAnewThoughNobodyWrites) {
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  loop_.Run();
  Index last = 0;
  while (log_->statistics().segments < 3) {
    ASSERT_TRUE(Submit(OneEntry(++last, 5000)).ok());
    loop_.Run();
  }
  const std::string first = "log/" + SegmentName(1);
  disk_.DamageBlock(first, 12, Disk::BadBlock::kNoise);  // the head of a batch
  writer_->Rewrite();
  loop_.Run();
  EXPECT_TRUE(*disk_.Exists(first));  // nobody knows of it yet
  ASSERT_EQ(log_->Scrub(0)->bad_blocks, 1u);
  ASSERT_TRUE(log_->RewriteIsDue());
  writer_->Rewrite();
  loop_.Run();
  EXPECT_FALSE(log_->RewriteIsDue());
  loop_.FireTimers();  // an empty batch says where the log begins
  EXPECT_FALSE(*disk_.Exists(first));
  EXPECT_EQ(log_->Read(1, 1, last, 1 << 30)->size(), last);
}

class BusyLogTest : public LogWriterTest {
 protected:
  void SetUp() override {
    writer_options_.gather_entries = 5;
    writer_options_.gather_factor = 1000000;  // of microseconds: longer than the test takes
    writer_options_.gather_max = std::chrono::hours(1);
    LogWriterTest::SetUp();
    ASSERT_TRUE(Submit(Creation(1, 1)).ok());
    loop_.Run();
  }
  // One batch, and one more entry after it.
  void Write(Index entries) {
    for (Index index = 1; index <= entries; ++index) {
      ASSERT_TRUE(Submit(OneEntry(index, 100)).ok());
    }
    loop_.Run();
    ASSERT_TRUE(Submit(OneEntry(entries + 1, 100)).ok());
    loop_.Run();
  }
};

TEST_F(BusyLogTest, AfterALargeBatchTheNextGathers) {
  const uint64_t batches = log_->statistics().batches;
  Write(5);
  EXPECT_EQ(log_->statistics().batches, batches + 1);
  EXPECT_TRUE(writer_->progress().pending);
  ASSERT_TRUE(Submit(OneEntry(7, 100)).ok());
  loop_.FireTimers();
  EXPECT_EQ(log_->statistics().batches, batches + 2);
  EXPECT_FALSE(writer_->progress().pending);
  EXPECT_EQ(completed_.size(), 8u);
}

TEST_F(BusyLogTest, AfterASmallBatchTheNextFollowsAtOnce) {
  const uint64_t batches = log_->statistics().batches;
  Write(4);
  EXPECT_EQ(log_->statistics().batches, batches + 2);
  EXPECT_FALSE(writer_->progress().pending);
}

TEST_F(LogWriterTest, ABusyLogHasOneTimerForItsSeal) {
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  loop_.Run();
  for (Index index = 1; index <= 3; ++index) {
    ASSERT_TRUE(Submit(OneEntry(index, 100)).ok());
    loop_.Run();
  }
  const uint64_t batches = log_->statistics().batches;
  EXPECT_EQ(loop_.timers(), 1u);
  loop_.FireTimers();  // it was armed by an older batch: once more
  EXPECT_EQ(log_->statistics().batches, batches);
  EXPECT_EQ(loop_.timers(), 1u);
  loop_.FireTimers();
  EXPECT_EQ(log_->statistics().batches, batches + 1);
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(LogWriterTest, OnAFullDiskOnlyCompactionsPassAndNothingIsLost) {
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  Index index = 0;
  while (log_->statistics().segments < 3) {
    ASSERT_TRUE(Submit(OneEntry(++index, 20000)).ok());
    loop_.Run();
  }
  disk_.SetCapacity(disk_.UsedBytes());
  const Index durable = index;
  while (!writer_->progress().out_of_space) {
    ASSERT_TRUE(Submit(OneEntry(++index, 20000)).ok());
    loop_.Run();
    ASSERT_LT(index, 100u);
  }
  const size_t done = completed_.size();
  EXPECT_LT(done, submitted_);
  EXPECT_TRUE(writer_->progress().pending);
  EXPECT_TRUE(writer_->progress().failure.ok());
  loop_.FireTimers();
  EXPECT_EQ(completed_.size(), done);  // still full
  GroupWrite compaction;
  compaction.group = 1;
  compaction.compact_to = durable;
  ASSERT_TRUE(Submit(compaction).ok());
  for (int attempt = 0; attempt < 5; ++attempt) loop_.FireTimers();
  EXPECT_EQ(completed_.size(), submitted_);
  EXPECT_TRUE(last_status_.ok());
  EXPECT_FALSE(writer_->progress().out_of_space);
  EXPECT_EQ(log_->Group(1)->promised.index, index);
}

// Protects elections and the freeing of disks: a vote and a tombstone wait for no other group's
// entries, and for their own group's they do.
TEST_F(LogWriterTest, OnAFullDiskVotesAndTombstonesPassOtherGroupsEntries) {
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  ASSERT_TRUE(Submit(Creation(2, 2)).ok());
  loop_.Run();
  disk_.SetCapacity(disk_.UsedBytes());
  Index index = 0;
  while (!writer_->progress().out_of_space) {
    ASSERT_TRUE(Submit(OneEntry(++index, 20000)).ok());
    loop_.Run();
    ASSERT_LT(index, 100u);
  }
  const size_t done = completed_.size();
  GroupWrite vote;
  vote.hard_state = HardState{7, 2};
  for (const GroupId group : {GroupId{1}, GroupId{2}}) {
    vote.group = group;
    ASSERT_TRUE(Submit(vote).ok());
  }
  loop_.FireTimers();
  EXPECT_EQ(completed_.size(), done + 1);
  EXPECT_EQ(log_->Group(2)->hard_state, (HardState{7, 2}));
  EXPECT_NE(log_->Group(1)->hard_state, (HardState{7, 2}));
  GroupWrite tombstone;
  tombstone.group = 2;
  tombstone.destroy = true;
  ASSERT_TRUE(Submit(tombstone).ok());
  loop_.FireTimers();
  EXPECT_EQ(completed_.size(), done + 2);
  EXPECT_TRUE(log_->Group(2)->destroyed);
  EXPECT_TRUE(writer_->progress().out_of_space);
}

TEST_F(LogWriterTest, AFailedSyncFailsEverythingForGood) {
  ASSERT_TRUE(Submit(Creation(1, 1)).ok());
  loop_.Run();
  disk_.InjectError(Disk::Operation::kSync, ".segment", 0, 1, absl::DataLossError("injected"));
  ASSERT_TRUE(Submit(OneEntry(1, 40000)).ok());
  ASSERT_TRUE(Submit(OneEntry(2, 40000)).ok());
  loop_.Run();
  EXPECT_EQ(completed_.size(), 3u);
  EXPECT_TRUE(absl::IsDataLoss(last_status_)) << last_status_;
  EXPECT_EQ(writer_->progress().failure, last_status_);
  EXPECT_EQ(Submit(OneEntry(3, 1)), last_status_);
}

TEST(LogWriterThreadsTest, ManyThreadsSubmitAndReadAtOnce) {
  Disk disk(1);
  LogOptions options = SmallOptions();
  auto opened = Log::Open(disk, "log", options);
  ASSERT_TRUE(opened.ok());
  Log& log = **opened;
  constexpr GroupId kGroups = 4;
  constexpr Index kEntries = 200;
  for (GroupId group = 1; group <= kGroups; ++group) {
    ASSERT_TRUE(log.Write({Creation(group, 1)}).ok());
  }
  std::atomic<Index> done[kGroups + 1] = {};
  auto reply = SystemThreads().Start("reply");
  {
    LogWriter writer(log, SystemThreads().Start("log"), SystemClock(), LogWriterOptions());
    std::vector<std::thread> threads;
    for (GroupId group = 1; group <= kGroups; ++group) {
      threads.emplace_back([&, group] {
        for (Index index = 1; index <= kEntries; ++index) {
          const std::string payload = std::to_string(group * 1000 + index);
          GroupWrite write = Append(group, {MakeEntry(1, index, payload)});
          if (index % 20 == 0 && done[group] > 10) write.compact_to = done[group] - 10;
          ASSERT_TRUE(writer
                          .Submit({write}, *reply,
                                  [&done, group, index](const absl::Status& status) {
                                    EXPECT_TRUE(status.ok()) << status;
                                    EXPECT_EQ(done[group].exchange(index), index - 1);
                                  })
                          .ok());
          const Index durable = done[group];
          if (durable == 0) continue;
          const auto read = log.Read(group, durable, durable, 1);
          ASSERT_TRUE(read.ok()) << read.status();
          EXPECT_EQ(Text((*read)[0]), std::to_string(group * 1000 + durable));
          writer.progress();
          log.statistics();
        }
        while (done[group] != kEntries) std::this_thread::yield();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(writer.progress().Stalled(SystemClock().Now()) > std::chrono::seconds(60));
  }
  for (GroupId group = 1; group <= kGroups; ++group) {
    EXPECT_EQ(log.Group(group)->promised.index, kEntries);
  }
}

// Protects the log from two that write at once: a replica that is opened again drops a damaged
// prefix while the writer's thread is at work.
TEST(LogThreadsTest, WritersTakeTurns) {
  Disk disk(1);
  constexpr GroupId kGroups = 4;
  constexpr Index kEntries = 100;
  auto log = Log::Open(disk, "log", SmallOptions());
  ASSERT_TRUE(log.ok());
  for (GroupId group = 1; group <= kGroups; ++group) {
    ASSERT_TRUE((*log)->Write({Creation(group, 1)}).ok());
  }
  std::vector<std::thread> threads;
  for (GroupId group = 1; group <= kGroups; ++group) {
    threads.emplace_back([&, group] {
      for (Index index = 1; index <= kEntries; ++index) {
        const std::string payload = std::to_string(group * 1000 + index);
        ASSERT_TRUE((*log)->Write({Append(group, {MakeEntry(1, index, payload)})}).ok());
        ASSERT_TRUE((*log)->Reclaim(1 << 10).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  log->reset();
  log = Log::Open(disk, "log", SmallOptions());
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_TRUE((*log)->report().notes.empty());
  for (GroupId group = 1; group <= kGroups; ++group) {
    const auto read = (*log)->Read(group, 1, kEntries, UINT64_MAX);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->size(), kEntries);
    for (const Entry& entry : *read)
      EXPECT_EQ(Text(entry), std::to_string(group * 1000 + entry.index));
  }
}

}  // namespace
}  // namespace ringleader::replication
