// Protects the scrub of the log: every bad block of a sealed segment is found, nothing good is
// called bad, and what is found is mended while there is a second copy.
#include <gtest/gtest.h>

#include "replication/log_format.h"
#include "tests/unit/replication_log/log_fixture.h"

namespace ringleader::replication {
namespace {

using Disk = SimulatedFileSystem;

class LogScrubTest : public testing::Test {
 protected:
  void Open() {
    log_.reset();
    disk_.RestartProcess();
    auto log = Log::Open(disk_, "log", options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  std::string Path(uint64_t segment) { return "log/" + SegmentName(segment); }
  // Everything from the first segment on.
  LogScrub ScrubAll() {
    LogScrub total;
    for (uint64_t after = 0;;) {
      const auto scrub = log_->Scrub(after);
      EXPECT_TRUE(scrub.ok()) << scrub.status();
      if (!scrub.ok() || scrub->segment == 0) return total;
      EXPECT_GT(scrub->segment, after);
      after = scrub->segment;
      ++total.segment;
      total.bytes += scrub->bytes;
      total.bad_blocks += scrub->bad_blocks;
      total.bad_entries += scrub->bad_entries;
      total.groups.insert(total.groups.end(), scrub->groups.begin(), scrub->groups.end());
    }
  }
  // Three entries in segment 1, as in log_recovery_test.cc: header at blocks 0 and 1, two batches
  // of the opening at 2 to 5, the creation at 6 and 7, and entries at 8 to 19, each a batch of
  // head, two payload blocks and tail. Then so many batches that segment 1 is sealed.
  void WriteAndSeal() {
    Open();
    ASSERT_TRUE(log_->Write({Creation(1, 1)}).ok());
    for (Index index = 1; index <= 3; ++index) Add(index);
    while (log_->statistics().segments < 2) Add(++last_);
  }
  void Add(Index index) {
    last_ = index;
    ASSERT_TRUE(
        log_
            ->Write({Append(
                1, {MakeEntry(1, index, std::string(5000, static_cast<char>('a' + index % 20)))})})
            .ok());
  }
  static constexpr uint64_t kBlocks = 20;

  Disk disk_{1};
  LogOptions options_ = SmallOptions();
  std::unique_ptr<Log> log_;
  Index last_ = 0;
};

TEST_F(LogScrubTest, EveryBadBlockOfASealedSegmentIsFound) {
  for (const auto kind :
       {Disk::BadBlock::kNoise, Disk::BadBlock::kZeros, Disk::BadBlock::kUnreadable}) {
    for (uint64_t block = 0; block < kBlocks; ++block) {
      log_.reset();
      disk_.RestartProcess();
      ASSERT_TRUE(RemoveRecursively(disk_, "log").ok());
      WriteAndSeal();
      LogScrub found = ScrubAll();
      EXPECT_EQ(found.bad_blocks + found.bad_entries, 0u);
      EXPECT_GE(found.bytes, 15000u);
      disk_.DamageBlock(Path(1), block, kind);
      found = ScrubAll();
      const bool is_payload = block >= 8 && block % 4 != 0 && block % 4 != 3;
      EXPECT_EQ(found.bad_blocks, is_payload ? 0u : 1u) << block;
      EXPECT_EQ(found.bad_entries, is_payload ? 1u : 0u) << block;
      EXPECT_EQ(found.groups, is_payload ? std::vector<GroupId>{1} : std::vector<GroupId>{})
          << block;
      const Index bad = (block - 8) / 4 + 1;
      const std::vector<Damage> damage = log_->Group(1)->damage;
      EXPECT_EQ(damage, is_payload ? (std::vector<Damage>{{bad, bad, 1, DamageKind::kCorrupt}})
                                   : std::vector<Damage>{});
    }
  }
}

TEST_F(LogScrubTest, ASegmentWithABadPageIsWrittenAnewBeforeTheOtherCopyGoesToo) {
  // Without it, the second bad block would make the extent of what is lost unknown, and the group
  // suspect.
  WriteAndSeal();
  disk_.DamageBlock(Path(1), 12, Disk::BadBlock::kNoise);  // the head of the second entry's batch
  EXPECT_EQ(*log_->Reclaim(1 << 20), 0u);                  // the log is short
  EXPECT_EQ(ScrubAll().bad_blocks, 1u);
  EXPECT_GT(*log_->Reclaim(1 << 20), 0u);
  Add(last_ + 1);  // says where the log begins now
  Add(last_ + 1);
  EXPECT_FALSE(*disk_.Exists(Path(1)));
  EXPECT_EQ(ScrubAll().bad_blocks, 0u);
  Open();
  EXPECT_EQ(log_->report().bad_blocks, 0u);
  EXPECT_TRUE(log_->Group(1)->damage.empty());
  EXPECT_EQ(log_->Read(1, 1, last_, 1 << 30)->size(), last_);
}

TEST_F(LogScrubTest, OneReadThatFailsIsNoDamage) {
  // Protects a good replica from being opened again for nothing: each read of the scrub fails once.
  WriteAndSeal();
  ScrubAll();
  for (uint64_t read = 0; read < 12; ++read) {
    disk_.InjectError(Disk::Operation::kRead, SegmentName(1), read, 1,
                      absl::DataLossError("a bad block"));
    EXPECT_EQ(ScrubAll().bad_entries, 0u) << read;
    EXPECT_TRUE(log_->Group(1)->damage.empty()) << read;
  }
}

TEST_F(LogScrubTest, ASegmentThatIsRemovedMeanwhileIsNotMissed) {
  WriteAndSeal();
  ASSERT_TRUE(disk_.RemoveFile(Path(1)).ok());
  const LogScrub found = ScrubAll();
  EXPECT_EQ(found.segment, 1u);
  EXPECT_EQ(found.bad_blocks + found.bad_entries, 0u);
}

TEST_F(LogScrubTest, NothingGoodIsCalledBadOverCrashes) {
  // Batches that were torn, or that a later opening declared void, are no damage.
  uint64_t segments = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Disk disk(seed);
    Random random(seed);
    for (int life = 0; life < 6; ++life) {
      auto opened = Log::Open(disk, "log", options_);
      ASSERT_TRUE(opened.ok()) << opened.status();
      log_ = *std::move(opened);
      const GroupId group = 100 + static_cast<GroupId>(life);
      ASSERT_TRUE(log_->Write({Creation(group, 1)}).ok());
      for (Index index = 1; index <= 60; ++index) {
        const auto bytes = static_cast<size_t>(random.Between(0, 9000));
        ASSERT_TRUE(
            log_->Write({Append(group, {MakeEntry(1, index, std::string(bytes, 'x'))})}).ok());
      }
      const LogScrub found = ScrubAll();
      EXPECT_EQ(found.bad_blocks, 0u) << "seed " << seed << ", life " << life;
      EXPECT_EQ(found.bad_entries, 0u) << "seed " << seed << ", life " << life;
      segments += found.segment;
      // The last write is torn in every way that a crash may tear it.
      disk.CrashAfter(static_cast<uint64_t>(random.Between(1, 4)));
      log_->Write({Append(group, {MakeEntry(1, 61, std::string(9000, 'y'))})}).IgnoreError();
      disk.CrashNow();
      log_.reset();
      disk.Restart();
    }
  }
  EXPECT_GT(segments, 200u);
}

}  // namespace
}  // namespace ringleader::replication
