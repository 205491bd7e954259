// Protects the promise of the log as a whole, by random operations against a simple model: what was
// acknowledged is there after any crash; one bad block never turns into a wrong or silently missing
// entry. A failure prints its seed; RINGLEADER_LOG_SEED=n runs that one alone.
#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "tests/unit/replication_log/log_fixture.h"

namespace ringleader::replication {
namespace {

using Disk = SimulatedFileSystem;

std::vector<uint64_t> Seeds(uint64_t count) {
  if (const char* const chosen = std::getenv("RINGLEADER_LOG_SEED")) {
    return {std::strtoull(chosen, nullptr, 10)};
  }
  std::vector<uint64_t> seeds;
  for (uint64_t seed = 1; seed <= count; ++seed) seeds.push_back(seed);
  return seeds;
}

class CrashRun {
 public:
  explicit CrashRun(uint64_t seed) : random_(seed), disk_(seed), options_(SmallOptions()) {
    options_.entropy = seed;
  }

  void Run() {
    for (int life = 0; life < 8 && !testing::Test::HasFatalFailure(); ++life) {
      Open();
      if (testing::Test::HasFatalFailure()) return;
      Live();
      log_.reset();
      disk_.Restart();
    }
  }

 private:
  // Crashes some of the attempts too.
  void Open() {
    for (int attempt = 0;; ++attempt) {
      ASSERT_LT(attempt, 20);
      if (attempt < 10 && random_.Chance(0.4)) disk_.CrashAfter(random_.Below(40));
      absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(disk_, "log", options_);
      if (log.ok()) {
        log_ = *std::move(log);
        break;
      }
      ASSERT_TRUE(disk_.crashed()) << log.status();
      disk_.Restart();
    }
    disk_.CrashAfter(1 << 20);  // not while the model is compared
    EXPECT_FALSE(log_->report().lost_history);
    EXPECT_EQ(log_->report().corrupt_entries, 0u);
    // All of the write that a crash interrupted, or nothing of it; entries of it may be in doubt.
    const std::string without = Difference(*log_, acknowledged_, false);
    if (!without.empty()) {
      ASSERT_EQ(Difference(*log_, attempted_, true), "") << "and before the write: " << without;
      acknowledged_ = attempted_;
    }
    attempted_ = acknowledged_;
    disk_.CrashAfter(20 + random_.Below(300));
    if (log_->report().entries_in_doubt > 0) {
      // As a group does whose majority lacks it.
      std::vector<GroupWrite> batch;
      for (const GroupState& state : log_->Groups()) {
        if (state.damage.empty()) continue;
        for (const Damage& damage : state.damage) ASSERT_EQ(damage.kind, DamageKind::kInDoubt);
        GroupWrite write;
        write.group = state.group;
        write.truncate_after = state.intact_last;
        ApplyToModel(write, attempted_);
        batch.push_back(write);
      }
      Try(batch);
    }
  }

  void Live() {
    for (int step = 0; step < 60 && !disk_.crashed(); ++step) {
      attempted_ = acknowledged_;
      Try(RandomBatch(random_, attempted_));
      if (!disk_.crashed() && random_.Chance(0.1)) log_->Reclaim(20000).status().IgnoreError();
      if (!disk_.crashed() && random_.Chance(0.1)) {
        const std::string difference = Difference(*log_, acknowledged_, false);
        EXPECT_TRUE(difference.empty() || disk_.crashed()) << difference;
      }
    }
  }

  void Try(const std::vector<GroupWrite>& batch) {
    if (log_->Write(batch).ok()) acknowledged_ = attempted_;
  }

  Random random_;
  Disk disk_;
  LogOptions options_;
  std::unique_ptr<Log> log_;
  Model acknowledged_;
  Model attempted_;  // after the write that may have been interrupted
};

TEST(LogModelTest, WhatWasAcknowledgedSurvivesEveryCrash) {
  for (const uint64_t seed : Seeds(200)) {
    SCOPED_TRACE(absl::StrCat("RINGLEADER_LOG_SEED=", seed));
    CrashRun(seed).Run();
    if (HasFailure()) return;
  }
}

// A log of random content, and which entries its last batch wrote.
struct Written {
  Model model;
  Model before_last;
  bool reopened_last = false;  // the last batch is Open's own: nothing can be in doubt
};

Written Fill(Disk& disk, const LogOptions& options, Random& random) {
  Written written;
  const uint64_t lives = 1 + random.Below(3);
  for (uint64_t life = 0; life < lives; ++life) {
    auto log = Log::Open(disk, "log", options);
    EXPECT_TRUE(log.ok()) << log.status();
    written.reopened_last = true;
    const uint64_t steps = random.Below(60);
    for (uint64_t step = 0; step < steps; ++step) {
      written.before_last = written.model;
      written.reopened_last = false;
      EXPECT_TRUE((*log)->Write(RandomBatch(random, written.model)).ok());
      if (random.Chance(0.1)) {
        written.before_last = written.model;  // if it wrote, copies of what is there anyway
        EXPECT_TRUE((*log)->Reclaim(20000).ok());
      }
    }
    log->reset();
    disk.RestartProcess();
  }
  return written;
}

void DamageOneBlock(Disk& disk, Random& random) {
  std::vector<std::string> files = disk.Files();
  std::erase_if(files, [&](const std::string& file) { return disk.Content(file).empty(); });
  const std::string& file = files[random.Below(files.size())];
  const uint64_t size = disk.Content(file).size();
  switch (random.Below(4)) {
    case 0:
      disk.FlipBit(file, random.Below(size * 8));
      break;
    case 1:
      disk.DamageBlock(file, random.Below(size / Disk::kBlockBytes), Disk::BadBlock::kZeros);
      break;
    case 2:
      disk.DamageBlock(file, random.Below(size / Disk::kBlockBytes), Disk::BadBlock::kNoise);
      break;
    default:
      disk.DamageBlock(file, random.Below(size / Disk::kBlockBytes), Disk::BadBlock::kUnreadable);
  }
}

// Doubt is for the last batch alone; everything older was proven.
void ExpectDoubtOnlyInLastBatch(const Log& log, const Written& written) {
  for (const GroupState& state : log.Groups()) {
    for (const Damage& damage : state.damage) {
      if (damage.kind != DamageKind::kInDoubt) continue;
      EXPECT_FALSE(written.reopened_last);
      const auto before = written.before_last.find(state.group);
      if (before == written.before_last.end()) continue;
      for (Index index = damage.first; index <= damage.last; ++index) {
        const auto old = before->second.entries.find(index);
        const auto now = written.model.at(state.group).entries.find(index);
        EXPECT_TRUE(old == before->second.entries.end() || old->second != now->second)
            << "group " << state.group << " entry " << index << " was proven";
      }
    }
  }
}

uint64_t RepairAll(Log& log, const Model& model) {
  uint64_t repaired = 0;
  for (const GroupState& state : log.Groups()) {
    if (state.destroyed) continue;
    GroupWrite write;
    write.group = state.group;
    for (const Damage& damage : state.damage) {
      for (Index index = damage.first; index <= damage.last; ++index, ++repaired) {
        const auto& [term, payload] = model.at(state.group).entries.at(index);
        EXPECT_EQ(term, damage.term);
        write.repairs.push_back(MakeEntry(term, index, payload));
      }
    }
    EXPECT_TRUE(log.Write({write}).ok());
  }
  return repaired;
}

TEST(LogModelTest, OneBadBlockIsReportedAndRepairedAndNeverHidden) {
  uint64_t damaged_entries = 0;
  uint64_t repaired_metadata = 0;
  for (const uint64_t seed : Seeds(200)) {
    SCOPED_TRACE(absl::StrCat("RINGLEADER_LOG_SEED=", seed));
    Random random(seed);
    Disk disk(seed);
    LogOptions options = SmallOptions();
    options.entropy = seed;
    const Written written = Fill(disk, options, random);
    DamageOneBlock(disk, random);
    std::vector<GroupState> first;
    {
      auto log = Log::Open(disk, "log", options);
      ASSERT_TRUE(log.ok()) << log.status();
      ASSERT_EQ(Difference(**log, written.model, true), "");
      EXPECT_FALSE((*log)->report().lost_history);
      ExpectDoubtOnlyInLastBatch(**log, written);
      repaired_metadata += (*log)->report().bad_blocks;
      first = (*log)->Groups();
    }
    disk.Restart();
    auto log = Log::Open(disk, "log", options);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_EQ(Difference(**log, written.model, true), "");
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ((*log)->Groups()[i].damage, first[i].damage);  // what was in doubt still is
    }
    damaged_entries += RepairAll(**log, written.model);
    ASSERT_EQ(Difference(**log, written.model, false), "");
    log->reset();
    disk.Restart();
    auto again = Log::Open(disk, "log", options);
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_EQ(Difference(**again, written.model, false), "");
    if (HasFailure()) return;
  }
  if (Seeds(200).size() == 1) return;
  EXPECT_GT(damaged_entries, 20u);  // or the test tests nothing
  EXPECT_GT(repaired_metadata, 20u);
}

// Whatever is missing: an entry of the right term has the right content.
void ExpectNothingWrongIsRead(const Log& log, const Model& model) {
  for (const GroupState& state : log.Groups()) {
    for (const auto& [index, entry] : model.at(state.group).entries) {
      const auto read = log.Read(state.group, index, index, 1);
      if (!read.ok() || (*read)[0].term != entry.first) continue;
      EXPECT_EQ(Text((*read)[0]), entry.second) << "group " << state.group << " entry " << index;
    }
  }
}

TEST(LogModelTest, AMisdirectedWriteIsNoticedAndNeverRead) {
  uint64_t suspects = 0;
  for (const uint64_t seed : Seeds(200)) {
    SCOPED_TRACE(absl::StrCat("RINGLEADER_LOG_SEED=", seed));
    Random random(seed);
    Disk disk(seed);
    LogOptions options = SmallOptions();
    options.entropy = seed;
    Model model;
    {
      auto log = Log::Open(disk, "log", options);
      ASSERT_TRUE(log.ok());
      for (int step = 0; step < 20; ++step) {
        ASSERT_TRUE((*log)->Write(RandomBatch(random, model)).ok());
      }
      disk.MisdirectNextWrite(".segment", random.Between(-6, 6) | 1);
      for (uint64_t step = 0; step <= random.Below(5); ++step) {
        ASSERT_TRUE((*log)->Write(RandomBatch(random, model)).ok());
      }
    }
    disk.RestartProcess();
    auto log = Log::Open(disk, "log", options);
    ASSERT_TRUE(log.ok()) << log.status();
    const std::string difference = Difference(**log, model, true);
    if (difference.empty()) continue;
    ++suspects;
    EXPECT_TRUE((*log)->report().lost_history) << difference;
    ExpectNothingWrongIsRead(**log, model);
    if (HasFailure()) return;
  }
  if (Seeds(200).size() == 1) return;
  EXPECT_GT(suspects, 20u);
}

}  // namespace
}  // namespace ringleader::replication
