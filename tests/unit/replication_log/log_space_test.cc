// Protects the log's length, and what it does when there is no space or the disk fails.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "common/check.h"
#include "replication/log_format.h"
#include "tests/unit/replication_log/log_fixture.h"

namespace ringleader::replication {
namespace {

using Disk = SimulatedFileSystem;

GroupWrite Compaction(GroupId group, Index index) {
  GroupWrite write;
  write.group = group;
  write.compact_to = index;
  return write;
}

class LogSpaceTest : public testing::Test {
 protected:
  void Open() {
    log_.reset();
    disk_.Restart();
    auto log = Log::Open(disk_, "log", options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }

  // Appends 10000-byte entries to a group until the log refuses or `count` are written.
  absl::Status Fill(GroupId group, Index count) {
    Index index = log_->Group(group)->promised.index;
    for (; count > 0; --count) {
      ++index;
      const absl::Status status =
          log_->Write({Append(group, {MakeEntry(1, index, std::string(10000, 'x'))})});
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  Disk disk_{1};
  LogOptions options_ = SmallOptions();
  std::unique_ptr<Log> log_;
};

TEST_F(LogSpaceTest, CompactedSegmentsAreRemovedAndStayRemoved) {
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1)}).ok());
  ASSERT_TRUE(Fill(1, 60).ok());
  EXPECT_GT(log_->statistics().segments, 4u);
  ASSERT_TRUE(log_->Write({Compaction(1, 60)}).ok());
  ASSERT_TRUE(log_->Write({}).ok());  // says durably where the log begins
  EXPECT_EQ(log_->statistics().segments, 1u);
  EXPECT_EQ(log_->statistics().live_entries, 0u);
  Open();
  EXPECT_FALSE(log_->report().lost_history);
  EXPECT_EQ(log_->Group(1)->compacted, (LogPosition{1, 60}));
}

TEST_F(LogSpaceTest, NoFileIsRemovedBeforeADurableBatchSaysSo) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Disk disk(seed);
    auto log = Log::Open(disk, "log", options_);
    ASSERT_TRUE((*log)->Write({Creation(1, 1)}).ok());
    for (Index index = 1; index <= 30; ++index) {
      ASSERT_TRUE((*log)->Write({Append(1, {MakeEntry(1, index, std::string(9999, 'x'))})}).ok());
    }
    ASSERT_TRUE((*log)->Write({Compaction(1, 30)}).ok());
    disk.CrashAfter(seed % 4);  // in the batch that would say so
    (*log)->Write({}).IgnoreError();
    log->reset();
    disk.Restart();
    log = Log::Open(disk, "log", options_);
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_FALSE((*log)->report().lost_history);
    EXPECT_EQ((*log)->report().batches_lost, 0u);
  }
}

TEST_F(LogSpaceTest, ACrashWhileOpeningLosesNothingThatOnlyOldSegmentsTell) {
  // Protects: the segment that an opening begins counts with its second batch only; found by
  // ring-sim: where no entry was live, its first batch already removed all that came before.
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const uint64_t operations = seed % 25;
    Disk disk(seed);
    auto log = Log::Open(disk, "log", options_);
    ASSERT_TRUE((*log)->Write({Creation(1, 1)}).ok());
    ASSERT_TRUE((*log)->Write({Append(1, {MakeEntry(3, 1, "x")})}).ok());
    ASSERT_TRUE((*log)->Write({Compaction(1, 1)}).ok());
    log->reset();
    disk.Restart();
    disk.CrashAfter(operations);
    Log::Open(disk, "log", options_).status().IgnoreError();
    disk.Restart();
    log = Log::Open(disk, "log", options_);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE((*log)->Group(1).has_value()) << "crash after " << operations << " operations";
    EXPECT_EQ((*log)->Group(1)->compacted, (LogPosition{3, 1}));
    EXPECT_FALSE((*log)->report().lost_history);
  }
}

TEST_F(LogSpaceTest, AGroupThatPinsTheOldestSegmentIsCopiedForward) {
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1), Creation(2, 2)}).ok());
  ASSERT_TRUE(log_->Write({Append(1, {MakeEntry(1, 1, "pin"), MakeEntry(1, 2, "")})}).ok());
  uint64_t bytes_max = 0;
  for (int round = 0; round < 100; ++round) {
    ASSERT_TRUE(Fill(2, 2).ok());
    ASSERT_TRUE(log_->Write({Compaction(2, log_->Group(2)->promised.index)}).ok());
    if (log_->statistics().segments == 2) {
      ASSERT_FALSE(log_->Pins().empty());
      EXPECT_EQ(log_->Pins()[0].group, 1u);
      EXPECT_EQ(log_->Pins()[0].last, 2u);
    }
    ASSERT_TRUE(log_->Reclaim(100).ok());
    bytes_max = std::max(bytes_max, log_->statistics().bytes);
  }
  EXPECT_LT(bytes_max, options_.log_bytes_target + 2 * options_.segment_bytes);
  EXPECT_GT(log_->statistics().reclaimed_bytes, 0u);
  EXPECT_EQ(Text((*log_->Read(1, 1, 2, 1 << 20))[0]), "pin");
  Open();
  EXPECT_EQ(Text((*log_->Read(1, 1, 2, 1 << 20))[0]), "pin");
  EXPECT_TRUE(log_->Group(1)->damage.empty());
}

TEST_F(LogSpaceTest, AFullDiskRefusesEntriesAndLetsTheCompactionThroughThatFreesIt) {
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1)}).ok());
  ASSERT_TRUE(Fill(1, 30).ok());
  disk_.SetCapacity(disk_.UsedBytes() + 1000);
  const absl::Status refused = Fill(1, 100);
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  const GroupState before = *log_->Group(1);
  EXPECT_TRUE(absl::IsResourceExhausted(Fill(1, 1)));
  EXPECT_EQ(log_->Group(1)->promised, before.promised);  // nothing changed
  EXPECT_EQ(log_->statistics().out_of_space, 2u);
  GroupWrite vote;
  vote.group = 1;
  vote.hard_state = HardState{9, 1};
  EXPECT_TRUE(log_->Write({vote}).ok());
  EXPECT_TRUE(log_->Write({Compaction(1, before.promised.index)}).ok());
  EXPECT_TRUE(log_->Write({}).ok());
  EXPECT_TRUE(Fill(1, 5).ok()) << "space came back";
  const GroupState after = *log_->Group(1);
  Open();
  EXPECT_EQ(log_->Group(1)->promised, after.promised);
  EXPECT_EQ(log_->Group(1)->hard_state, (HardState{9, 1}));
}

TEST_F(LogSpaceTest, AFullDiskDoesNotKeepANodeFromStarting) {
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1)}).ok());
  ASSERT_TRUE(Fill(1, 30).ok());
  disk_.SetCapacity(disk_.UsedBytes() + 64 * 1024);  // less than a segment
  Open();
  EXPECT_EQ(log_->Group(1)->intact_last, 30u);
  EXPECT_TRUE(log_->Write({Compaction(1, 30)}).ok());
  EXPECT_TRUE(log_->Write({}).ok());
  EXPECT_TRUE(Fill(1, 3).ok());
}

TEST_F(LogSpaceTest, AFailedSyncOrWriteIsFinal) {
  for (const Disk::Operation operation : {Disk::Operation::kSync, Disk::Operation::kWrite}) {
    Open();
    const GroupId group = operation == Disk::Operation::kSync ? 1 : 2;
    ASSERT_TRUE(log_->Write({Creation(group, 1)}).ok());
    disk_.InjectError(operation, ".segment", 0, 1, absl::ResourceExhaustedError("injected"));
    const absl::Status failed = Fill(group, 1);
    EXPECT_EQ(failed.code(), absl::StatusCode::kInternal) << failed;
    EXPECT_EQ(log_->Write({}), failed);  // the disk would take it; the log doesn't
    EXPECT_EQ(log_->Reclaim(1).status(), failed);
    EXPECT_EQ(log_->Group(group)->promised.index, 0u);
  }
}

TEST_F(LogSpaceTest, ABatchBeyondItsBoundIsRefusedWhole) {
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1)}).ok());
  const std::string large(options_.batch_bytes_max + 1, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(log_->Write({Append(1, {MakeEntry(1, 1, large)})})));
  EXPECT_TRUE(log_->Write({Append(1, {MakeEntry(1, 1, large.substr(1))})}).ok());
  GroupWrite plan = Creation(2, 1);
  plan.create->plan = std::string(kPlanBytesMax + 1, 'p');
  EXPECT_TRUE(absl::IsInvalidArgument(log_->Write({plan})));
  Open();
  EXPECT_EQ(Text((*log_->Read(1, 1, 1, 1))[0]), large.substr(1));
}

TEST_F(LogSpaceTest, AWriteThatContradictsTheLogNeverReachesTheDisk) {
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1)}).ok());
  ASSERT_TRUE(Fill(1, 3).ok());
  EXPECT_DEATH(log_->Write({Append(1, {MakeEntry(1, 5, "gap")})}).IgnoreError(), "entries from 5");
  EXPECT_DEATH(log_->Write({Append(9, {MakeEntry(1, 1, "")})}).IgnoreError(), "never created");
  GroupWrite repair;
  repair.group = 1;
  repair.repairs = {MakeEntry(2, 2, "")};
  EXPECT_DEATH(log_->Write({repair}).IgnoreError(), "can't repair");
  EXPECT_DEATH(log_->Write({Compaction(1, 4)}).IgnoreError(), "compacting to 4");
}

TEST_F(LogSpaceTest, SmallWritesCostTwoBlocksAndOneSync) {
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1), Creation(2, 1)}).ok());
  const LogStatistics before = log_->statistics();
  ASSERT_TRUE(log_->Write({Append(1, {MakeEntry(1, 1, std::string(500, 'x'))}),
                           Append(2, {MakeEntry(1, 1, std::string(500, 'y'))})})
                  .ok());
  const LogStatistics after = log_->statistics();
  EXPECT_EQ(after.syncs - before.syncs, 1u);
  EXPECT_EQ(after.written_bytes - before.written_bytes, 2 * kBlockBytes);
}

// Protects the time of a sync: small batches find their blocks written before, and large ones,
// whose journal costs little beside their data, are not written twice.
TEST_F(LogSpaceTest, ZerosGoAheadOfSmallBatches) {
  options_.segment_bytes = 8 << 20;
  options_.log_bytes_target = 32 << 20;
  options_.batch_bytes_max = 1 << 20;
  Open();
  ASSERT_TRUE(log_->Write({Creation(1, 1)}).ok());
  Index next = 1;
  const auto zeroed_by = [&](int batches, size_t bytes) {
    const uint64_t before = log_->statistics().zeroed_bytes;
    for (int i = 0; i < batches; ++i, ++next) {
      CHECK_OK(log_->Write({Append(1, {MakeEntry(1, next, std::string(bytes, 'x'))})}));
    }
    return log_->statistics().zeroed_bytes - before;
  };
  const uint64_t small = zeroed_by(320, 1000);  // two blocks each: 2.5 MiB
  EXPECT_GE(small, 9u * (256 << 10));
  EXPECT_LE(small, 11u * (256 << 10));
  EXPECT_EQ(zeroed_by(5, 200'000), 0u);
  EXPECT_EQ(zeroed_by(1, 1000), uint64_t{256 << 10});
}

TEST_F(LogSpaceTest, WorksOnTheMachinesFileSystem) {
  const char* const base = std::getenv("TMPDIR");
  const std::string directory =
      JoinPath(base != nullptr ? base : "/tmp", "ringleader_log_test_" + std::to_string(getpid()));
  FileSystem& files = PosixFileSystem();
  ASSERT_TRUE(RemoveRecursively(files, directory).ok());
  Random random(1);
  Model model;
  options_.entropy = 0;
  for (int life = 0; life < 3; ++life) {
    auto log = Log::Open(files, JoinPath(directory, "node/log"), options_);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_EQ(Difference(**log, model, false), "");
    EXPECT_TRUE(
        absl::IsUnavailable(Log::Open(files, JoinPath(directory, "node/log"), options_).status()));
    for (int step = 0; step < 100; ++step) {
      ASSERT_TRUE((*log)->Write(RandomBatch(random, model)).ok());
    }
    ASSERT_EQ(Difference(**log, model, false), "");
  }
  EXPECT_TRUE(RemoveRecursively(files, directory).ok());
}

}  // namespace
}  // namespace ringleader::replication
