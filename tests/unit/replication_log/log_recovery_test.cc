// Protects the decisions of recovery one by one: which bad block is corruption, which is doubt,
// what survives, and what opening refuses.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "replication/log_format.h"
#include "tests/unit/replication_log/log_fixture.h"

namespace ringleader::replication {
namespace {

using Disk = SimulatedFileSystem;

class LogRecoveryTest : public testing::Test {
 protected:
  void Open() {
    log_.reset();
    disk_.RestartProcess();
    auto log = Log::Open(disk_, "log", options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Write(const GroupWrite& write) { ASSERT_TRUE(log_->Write({write}).ok()); }
  std::string Path(uint64_t segment) { return "log/" + SegmentName(segment); }
  GroupState Group(GroupId group) { return *log_->Group(group); }

  // Segment 1: header at blocks 0 and 1, Open's two batches at 2-3 and 4-5, the creation at 6-7,
  // and then three entries of 5000 bytes, each a batch of head, two payload blocks and tail.
  void WriteThreeEntries() {
    Open();
    Write(Creation(1, 1));
    for (Index index = 1; index <= 3; ++index) {
      Write(Append(1, {MakeEntry(1, index, std::string(5000, static_cast<char>('a' + index)))}));
    }
  }
  static constexpr uint64_t kFirstEntryBlock = 8;

  Disk disk_{1};
  LogOptions options_ = SmallOptions();
  std::unique_ptr<Log> log_;
};

TEST_F(LogRecoveryTest, ABadEntryBeforeALaterBatchIsCorruption) {
  WriteThreeEntries();
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 4 + 1, Disk::BadBlock::kNoise);
  Open();
  EXPECT_EQ(Group(1).damage, (std::vector<Damage>{{2, 2, 1, DamageKind::kCorrupt}}));
  EXPECT_EQ(Group(1).intact_last, 1u);
  EXPECT_EQ(Group(1).promised, (LogPosition{1, 3}));
  EXPECT_TRUE(absl::IsDataLoss(log_->Read(1, 2, 3, 1 << 20).status()));
  EXPECT_EQ(log_->Read(1, 1, 3, 1 << 20)->size(), 1u);  // cut before the damage
  EXPECT_EQ(*log_->TermAt(1, 2), 1u);
}

TEST_F(LogRecoveryTest, ABadEntryInTheLastBatchIsInDoubtUntilTheGroupDecides) {
  WriteThreeEntries();
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 8 + 1, Disk::BadBlock::kUnreadable);
  for (int life = 0; life < 3; ++life) {  // later batches don't turn doubt into corruption
    Open();
    EXPECT_EQ(Group(1).damage, (std::vector<Damage>{{3, 3, 1, DamageKind::kInDoubt}}));
    EXPECT_EQ(Group(1).promised, (LogPosition{1, 3}));
  }
  GroupWrite discard;
  discard.group = 1;
  discard.truncate_after = 2;
  Write(discard);
  Open();
  EXPECT_EQ(Group(1).promised, (LogPosition{1, 2}));
  EXPECT_TRUE(Group(1).damage.empty());
}

// Whoever repaired it knew that it had been written.
TEST_F(LogRecoveryTest, ARepairThatGoesBadLeavesNoDoubt) {
  WriteThreeEntries();
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 8 + 1, Disk::BadBlock::kNoise);
  Open();
  ASSERT_EQ(Group(1).damage, (std::vector<Damage>{{3, 3, 1, DamageKind::kInDoubt}}));
  const std::string payload(5000, 'd');
  Write({.group = 1, .repairs = {MakeEntry(1, 3, payload)}});
  ASSERT_TRUE(Group(1).damage.empty());
  ASSERT_TRUE(log_->Write({}).ok());
  bool is_damaged = false;
  for (const std::string& path : disk_.Files()) {
    const size_t at = disk_.Content(path).find(payload);
    if (at == std::string::npos) continue;
    disk_.DamageBlock(path, at / Disk::kBlockBytes, Disk::BadBlock::kNoise);
    is_damaged = true;
  }
  ASSERT_TRUE(is_damaged);
  Open();
  EXPECT_EQ(Group(1).damage, (std::vector<Damage>{{3, 3, 1, DamageKind::kCorrupt}}));
}

TEST_F(LogRecoveryTest, AnEmptyBatchProvesTheOneBeforeIt) {
  WriteThreeEntries();
  ASSERT_TRUE(log_->Write({}).ok());
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 8 + 1, Disk::BadBlock::kNoise);
  Open();
  EXPECT_EQ(Group(1).damage, (std::vector<Damage>{{3, 3, 1, DamageKind::kCorrupt}}));
}

TEST_F(LogRecoveryTest, EitherCopyOfATableIsEnough) {
  for (const uint64_t block : {kFirstEntryBlock + 4, kFirstEntryBlock + 7,   // a proven batch
                               kFirstEntryBlock + 8, kFirstEntryBlock + 11,  // the last batch
                               uint64_t{0}, uint64_t{1}}) {                  // the header
    log_.reset();
    disk_.RestartProcess();
    ASSERT_TRUE(RemoveRecursively(disk_, "log").ok());
    WriteThreeEntries();
    disk_.DamageBlock(Path(1), block, Disk::BadBlock::kZeros);
    Open();
    EXPECT_TRUE(Group(1).damage.empty()) << block;
    EXPECT_EQ(Group(1).promised, (LogPosition{1, 3}));
    EXPECT_EQ(log_->report().bad_blocks, 1u);
  }
}

TEST_F(LogRecoveryTest, TermAndVoteSurviveAnyOneBadBlock) {
  for (uint64_t block = 0; block < 12; ++block) {
    Disk disk(block + 1);
    {
      auto log = Log::Open(disk, "log", options_);
      ASSERT_TRUE((*log)->Write({Creation(1, 1)}).ok());
      GroupWrite vote;
      vote.group = 1;
      vote.hard_state = HardState{7, 2};
      ASSERT_TRUE((*log)->Write({vote}).ok());
    }
    disk.DamageBlock(Path(1), block, Disk::BadBlock::kNoise);
    auto log = Log::Open(disk, "log", options_);
    ASSERT_TRUE(log.ok());
    EXPECT_EQ((*log)->Group(1)->hard_state, (HardState{7, 2})) << block;
  }
}

TEST_F(LogRecoveryTest, BothCopiesOfAProvenTableLostMakeEveryGroupSuspectForGood) {
  WriteThreeEntries();
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 4, Disk::BadBlock::kNoise);
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 7, Disk::BadBlock::kNoise);
  for (int life = 0; life < 3; ++life) {
    Open();
    EXPECT_TRUE(Group(1).suspect);
    EXPECT_TRUE(log_->report().lost_history);
  }
  GroupWrite destroy;
  destroy.group = 1;
  destroy.destroy = true;
  Write(destroy);
  Write(Creation(1, 2));
  Open();
  EXPECT_FALSE(Group(1).suspect);
  EXPECT_TRUE(log_->report().lost_history);  // of the node: for ever
}

TEST_F(LogRecoveryTest, BothCopiesOfTheLastTableLostIsATornTail) {
  WriteThreeEntries();
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 8, Disk::BadBlock::kZeros);
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 11, Disk::BadBlock::kZeros);
  Open();
  EXPECT_EQ(Group(1).promised, (LogPosition{1, 2}));
  EXPECT_FALSE(Group(1).suspect);
}

// Protects acknowledged writes: nothing is in the batch's own place, as if it had never been
// written, and no later batch misses it. Where it landed it tells of itself.
TEST_F(LogRecoveryTest, ALastBatchInAWrongPlaceMakesEveryGroupSuspect) {
  for (const int64_t shift : {-6, -3, 1, 2, 6}) {
    log_.reset();
    for (const std::string& path : disk_.Files()) ASSERT_TRUE(disk_.RemoveFile(path).ok());
    WriteThreeEntries();
    disk_.MisdirectNextWrite(".segment", shift);
    Write(Append(1, {MakeEntry(1, 4, "acknowledged")}));
    Open();
    EXPECT_TRUE(Group(1).suspect) << shift;
    Open();
    EXPECT_TRUE(Group(1).suspect) << shift;
  }
}

// Nor does the log write zeros over it, which go ahead of every few dozen batches.
TEST_F(LogRecoveryTest, ALastBatchInAWrongPlaceIsNotZeroed) {
  options_.segment_bytes = 1 << 20;
  options_.log_bytes_target = 4 << 20;
  for (Index before = 1; before <= 70; ++before) {
    log_.reset();
    for (const std::string& path : disk_.Files()) ASSERT_TRUE(disk_.RemoveFile(path).ok());
    Open();
    Write(Creation(1, 1));
    for (Index index = 1; index <= before; ++index) Write(Append(1, {MakeEntry(1, index, "x")}));
    disk_.MisdirectNextWrite(".segment", 2);
    const uint64_t misdirected = disk_.misdirected_writes();
    Write(Append(1, {MakeEntry(1, before + 1, "acknowledged")}));
    ASSERT_EQ(disk_.misdirected_writes(), misdirected + 1);
    Open();
    // Where the zeros went astray, the batch did not.
    EXPECT_TRUE(Group(1).suspect || Group(1).promised.index == before + 1) << before;
  }
}

// Nor does an opening that fails on its way take away what tells of it.
TEST_F(LogRecoveryTest, ALastBatchInAWrongPlaceIsNotCutOffBeforeThatIsRecorded) {
  for (const int64_t shift : {1, 2, 6}) {
    log_.reset();
    for (const std::string& path : disk_.Files()) ASSERT_TRUE(disk_.RemoveFile(path).ok());
    WriteThreeEntries();
    disk_.MisdirectNextWrite(".segment", shift);
    Write(Append(1, {MakeEntry(1, 4, "acknowledged")}));
    for (int attempt = 0; attempt < 2; ++attempt) {
      log_.reset();
      disk_.RestartProcess();
      disk_.InjectError(Disk::Operation::kSync, ".segment", 0, 1, absl::InternalError("injected"));
      EXPECT_FALSE(Log::Open(disk_, "log", options_).ok());
    }
    Open();
    EXPECT_TRUE(Group(1).suspect) << shift;
  }
}

// Protects votes and entries from a device that fails for a while: what it does not give is neither
// empty nor damaged, before it has been asked for some time.
TEST_F(LogRecoveryTest, WhatCanNotBeReadForAWhileIsNoDamage) {
  WriteThreeEntries();
  disk_.InjectError(Disk::Operation::kRead, ".segment", 0, UINT64_MAX,
                    absl::DataLossError("input/output error"));
  std::vector<Duration> pauses;
  options_.sleep = [&](Duration pause) {
    pauses.push_back(pause);
    if (pauses.size() < 2) return;
    disk_.InjectError(Disk::Operation::kRead, "", 0, 0, absl::InternalError("none any more"));
  };
  Open();
  EXPECT_EQ(pauses, (std::vector<Duration>{std::chrono::seconds(1), std::chrono::seconds(2)}));
  EXPECT_EQ(log_->report().batches_lost, 0u);
  EXPECT_FALSE(Group(1).suspect);
  EXPECT_TRUE(Group(1).damage.empty());
  EXPECT_EQ(Group(1).promised, (LogPosition{1, 3}));
  // A read that fails once is not even that.
  disk_.InjectError(Disk::Operation::kRead, ".segment", 1, 2,
                    absl::DataLossError("input/output error"));
  Open();
  EXPECT_EQ(pauses.size(), 2u);
  EXPECT_EQ(Group(1).promised, (LogPosition{1, 3}));
}

// Seed 7691821: two reads of an entry failed, and beside a lost disk that was one harm too many.
TEST_F(LogRecoveryTest, AnEntryThatCanNotBeReadForAMomentIsNotDistrusted) {
  WriteThreeEntries();
  for (const uint64_t failures : {2, 3}) {
    disk_.InjectError(Disk::Operation::kRead, ".segment", 0, failures,
                      absl::DataLossError("input/output error"));
    EXPECT_EQ(log_->Distrust(1, 2), failures == 3);
  }
  EXPECT_EQ(Group(1).damage, (std::vector<Damage>{{2, 2, 1, DamageKind::kCorrupt}}));
}

TEST_F(LogRecoveryTest, ANewestSegmentThatCanNotBeReadIsNotTakenForAnEmptyOne) {
  WriteThreeEntries();
  for (uint64_t block = 0; block < 20; ++block) {
    disk_.DamageBlock(Path(1), block, Disk::BadBlock::kUnreadable);
  }
  Open();
  EXPECT_TRUE(log_->report().lost_history);
  EXPECT_GT(log_->report().unreadable_blocks, 0u);
}

// Protects all that older segments said: once they are gone, the segment that an opening began is
// complete, whatever has become of the batch that made it so.
TEST_F(LogRecoveryTest, AnOpeningsSegmentWithoutThoseBeforeItIsNotUnfinished) {
  WriteThreeEntries();
  Write({.group = 1, .applied = 3, .compact_to = 3});
  Open();  // segment 2: a checkpoint, and the batch that proves it
  ASSERT_FALSE(*disk_.Exists(Path(1)));
  disk_.DamageBlock(Path(2), 4, Disk::BadBlock::kNoise);
  disk_.DamageBlock(Path(2), 5, Disk::BadBlock::kNoise);
  Open();
  ASSERT_TRUE(log_->Group(1).has_value());
  EXPECT_EQ(Group(1).promised, (LogPosition{1, 3}));
}

TEST_F(LogRecoveryTest, AMissingSegmentIsALossAndLaterCheckpointsTellWhatWasLost) {
  WriteThreeEntries();
  Open();  // segment 2, which holds entry 3 again
  for (Index index = 4; index <= 5; ++index) {
    Write(Append(1, {MakeEntry(1, index, std::string(5000, 'x'))}));
  }
  Open();  // segment 3, which holds entry 5 again
  log_.reset();
  ASSERT_TRUE(disk_.RemoveFile(Path(2)).ok());
  Open();
  EXPECT_EQ(log_->report().batches_lost, 1u);
  EXPECT_FALSE(Group(1).suspect);  // segment 3 begins with a checkpoint
  EXPECT_EQ(Group(1).promised, (LogPosition{1, 5}));
  EXPECT_EQ(Group(1).damage, (std::vector<Damage>{{3, 4, 1, DamageKind::kCorrupt}}));
}

TEST_F(LogRecoveryTest, ARepairTakesThePlaceOfTheBadRecordAndTruncatesNothing) {
  WriteThreeEntries();
  disk_.DamageBlock(Path(1), kFirstEntryBlock + 1, Disk::BadBlock::kZeros);
  Open();
  GroupWrite repair;
  repair.group = 1;
  repair.repairs = {MakeEntry(1, 1, std::string(5000, 'b'))};
  Write(repair);
  for (int life = 0; life < 2; ++life, Open()) {
    EXPECT_TRUE(Group(1).damage.empty());
    EXPECT_EQ(log_->Read(1, 1, 3, 1 << 20)->size(), 3u);
    EXPECT_EQ(Text((*log_->Read(1, 1, 1, 1))[0]), std::string(5000, 'b'));
  }
}

TEST_F(LogRecoveryTest, WhatOnlyThePageCacheShowsIsWrittenAnewBeforeItCounts) {
  // The last write reached the cache and not the disk; the process restarts and sees it.
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Disk disk(seed);
    {
      auto log = Log::Open(disk, "log", options_);
      ASSERT_TRUE((*log)->Write({Creation(1, 1)}).ok());
      disk.InjectError(Disk::Operation::kSync, ".segment", 0, 1, absl::DataLossError("injected"));
      EXPECT_TRUE(
          absl::IsDataLoss((*log)->Write({Append(1, {MakeEntry(1, 1, std::string(9000, 'x'))})})));
    }
    disk.RestartProcess();
    {
      auto log = Log::Open(disk, "log", options_);
      ASSERT_TRUE(log.ok());
      EXPECT_EQ((*log)->Group(1)->intact_last, 1u);
    }
    disk.Restart();  // and now the power fails
    auto log = Log::Open(disk, "log", options_);
    ASSERT_TRUE(log.ok());
    ASSERT_EQ((*log)->Group(1)->intact_last, 1u) << seed;
    EXPECT_EQ(Text((*(*log)->Read(1, 1, 1, 1))[0]), std::string(9000, 'x'));
  }
}

TEST_F(LogRecoveryTest, ALogOfAnotherClusterOrNodeIsRefused) {
  WriteThreeEntries();
  log_.reset();
  LogOptions other = options_;
  other.cluster = 78;
  const absl::Status cluster = Log::Open(disk_, "log", other).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(cluster)) << cluster;
  EXPECT_TRUE(absl::StrContains(cluster.message(), "cluster 77")) << cluster;
  other = options_;
  other.node = 6;
  EXPECT_TRUE(absl::IsFailedPrecondition(Log::Open(disk_, "log", other).status()));
}

TEST_F(LogRecoveryTest, ALogIsOpenOnce) {
  Open();
  EXPECT_TRUE(absl::IsUnavailable(Log::Open(disk_, "log", options_).status()));
}

TEST_F(LogRecoveryTest, ATombstoneStaysAndAReplicaIdIsNotUsedTwice) {
  WriteThreeEntries();
  GroupWrite destroy;
  destroy.group = 1;
  destroy.destroy = true;
  Write(destroy);
  Open();
  EXPECT_TRUE(Group(1).destroyed);
  EXPECT_EQ(Group(1).creation.replica, 1u);
  EXPECT_TRUE(absl::IsOutOfRange(log_->Read(1, 1, 1, 1).status()));
  EXPECT_DEATH(log_->Write({Creation(1, 1)}).IgnoreError(), "destroyed under this replica id");
}

}  // namespace
}  // namespace ringleader::replication
