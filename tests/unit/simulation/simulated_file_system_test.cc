// Protects the durability tests from a disk that is too kind: what was not synced must really be
// lost sometimes, what was synced never, and a seed must give one history.
#include "tests/simulation/simulated_file_system.h"

#include <gtest/gtest.h>

#include <set>

#include "common/status.h"

namespace ringleader {
namespace {

using Disk = SimulatedFileSystem;

std::unique_ptr<WritableFile> Create(Disk& disk, absl::string_view path) {
  auto file = disk.OpenForWrite(path, WriteMode::kTruncate);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

TEST(SimulatedFileSystemTest, SyncedBytesAndNamesSurviveEveryCrash) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk(seed);
    auto file = Create(disk, "a");
    ASSERT_TRUE(file->Append(std::string(10000, 'x')).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(disk.SyncDirectory(".").ok());
    ASSERT_TRUE(file->WriteAt(8192, {"yyyy"}).ok());
    disk.Restart();
    EXPECT_EQ(disk.Content("a").substr(0, 8192), std::string(8192, 'x'));
    EXPECT_FALSE(file->Sync().ok()) << "a handle from before the crash is dead";
  }
}

TEST(SimulatedFileSystemTest, UnsyncedBytesAreKeptLostAndTornAtSectors) {
  std::set<std::string> outcomes;
  bool torn = false;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Disk disk(seed);
    auto file = Create(disk, "a");
    ASSERT_TRUE(file->Append(std::string(8192, 'x')).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(disk.SyncDirectory(".").ok());
    const std::string noise(8192, 'y');
    ASSERT_TRUE(file->WriteAt(0, {noise}).ok());
    disk.Restart();
    const std::string content = disk.Content("a");
    outcomes.insert(content);
    torn |= content[0] != content[512] || content[4096] != content[4608];
    for (size_t at = 0; at < content.size(); at += 512) {
      EXPECT_EQ(content.substr(at, 512), std::string(512, content[at]));  // whole sectors
    }
  }
  EXPECT_TRUE(outcomes.contains(std::string(8192, 'x')));
  EXPECT_TRUE(outcomes.contains(std::string(8192, 'y')));
  EXPECT_TRUE(outcomes.contains(std::string(4096, 'x') + std::string(4096, 'y')));
  EXPECT_TRUE(outcomes.contains(std::string(4096, 'y') + std::string(4096, 'x')));
  EXPECT_TRUE(torn);
}

TEST(SimulatedFileSystemTest, NamesAreDurableOnlyAfterTheDirectoryIsSynced) {
  int created = 0;
  int removed = 0;
  int renamed = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Disk disk(seed);
    for (const char* path : {"old", "from"}) ASSERT_TRUE(Create(disk, path)->Sync().ok());
    ASSERT_TRUE(disk.SyncDirectory(".").ok());
    ASSERT_TRUE(Create(disk, "new")->Sync().ok());
    ASSERT_TRUE(disk.RemoveFile("old").ok());
    ASSERT_TRUE(disk.Rename("from", "to").ok());
    disk.Restart();
    created += *disk.Exists("new");
    removed += !*disk.Exists("old");
    renamed += *disk.Exists("to");
    EXPECT_NE(*disk.Exists("from"), *disk.Exists("to"));  // a rename is atomic
  }
  for (const int count : {created, removed, renamed}) {
    EXPECT_GT(count, 50);
    EXPECT_LT(count, 150);
  }
}

TEST(SimulatedFileSystemTest, AFailedSyncDropsWhatReadersStillSee) {
  bool lost = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    auto file = Create(disk, "a");
    ASSERT_TRUE(disk.SyncDirectory(".").ok());
    ASSERT_TRUE(file->Append(std::string(4096, 'x')).ok());
    disk.InjectError(Disk::Operation::kSync, "a", 0, 1, absl::DataLossError("injected"));
    EXPECT_TRUE(absl::IsDataLoss(file->Sync()));
    EXPECT_TRUE(file->Sync().ok()) << "fsyncgate: the second one reports success";
    EXPECT_EQ(disk.Content("a"), std::string(4096, 'x'));
    disk.Restart();
    lost |= disk.Content("a") != std::string(4096, 'x');
  }
  EXPECT_TRUE(lost);
}

// Protects the end of a run's faults: what was armed does not go off when everything is mended.
TEST(SimulatedFileSystemTest, ACrashThatWasTakenBackDoesNotCome) {
  Disk disk(1);
  auto file = Create(disk, "a");
  disk.CrashAfter(1);
  disk.CrashAtSync("a");
  disk.CrashNoMore();
  EXPECT_TRUE(file->Append("x").ok());
  EXPECT_TRUE(file->Append("y").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_FALSE(disk.crashed());
}

TEST(SimulatedFileSystemTest, ACrashedMachineDoesNothingUntilItRestarts) {
  Disk disk(1);
  auto file = Create(disk, "a");
  disk.CrashAfter(1);
  EXPECT_TRUE(file->Append("x").ok());
  EXPECT_TRUE(absl::IsUnavailable(file->Append("y")));
  EXPECT_TRUE(disk.crashed());
  const std::string content = disk.Content("a");
  EXPECT_TRUE(absl::IsUnavailable(file->Append("z")));
  EXPECT_TRUE(absl::IsUnavailable(disk.RemoveFile("a")));
  EXPECT_EQ(disk.Content("a"), content);
  disk.Restart();
  EXPECT_TRUE(disk.List("/").ok());
}

TEST(SimulatedFileSystemTest, BeyondTheByteBudgetThereIsNoSpace) {
  Disk disk(1);
  disk.SetCapacity(10000);
  auto file = Create(disk, "a");
  EXPECT_TRUE(file->Preallocate(10000).ok());
  EXPECT_TRUE(file->WriteAt(9990, {"0123456789"}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(file->Append("x")));
  EXPECT_TRUE(absl::IsResourceExhausted(file->Preallocate(10001)));
  EXPECT_EQ(*disk.FreeBytes("/"), 0u);
  EXPECT_TRUE(file->Truncate(100).ok());
  EXPECT_EQ(*disk.FreeBytes("/"), 9900u);
}

// A write that a failed sync dropped stays dropped, though a later sync of others succeeds.
TEST(SimulatedFileSystemTest, ALaterSyncBringsNothingBack) {
  bool lost = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    auto file = Create(disk, "a");
    ASSERT_TRUE(file->Append(std::string(4096, 'x')).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(disk.SyncDirectory(".").ok());
    ASSERT_TRUE(file->WriteAt(0, {std::string(512, 'y')}).ok());
    disk.InjectError(Disk::Operation::kSync, "a", 0, 1, absl::InternalError("lost"));
    EXPECT_FALSE(file->Sync().ok());
    ASSERT_TRUE(file->WriteAt(2048, {std::string(512, 'z')}).ok());
    ASSERT_TRUE(file->Sync().ok());
    EXPECT_EQ(disk.Content("a")[0], 'y') << "readers see it until the crash";
    disk.Restart();
    EXPECT_EQ(disk.Content("a")[2048], 'z');
    lost |= disk.Content("a")[0] == 'x';
  }
  EXPECT_TRUE(lost);
}

// What has no name takes no space here, and what has two is counted once.
TEST(SimulatedFileSystemTest, UsedBytesAreThoseOfAllNamedFiles) {
  Disk disk(1);
  auto a = Create(disk, "a");
  ASSERT_TRUE(a->Append("12345").ok());
  EXPECT_EQ(disk.UsedBytes(), 5u);
  ASSERT_TRUE(a->Append("678").ok());
  EXPECT_EQ(disk.UsedBytes(), 8u);
  ASSERT_TRUE(disk.Link("a", "b").ok());
  EXPECT_EQ(disk.UsedBytes(), 8u);
  ASSERT_TRUE(a->Truncate(3).ok());
  EXPECT_EQ(disk.UsedBytes(), 3u);
  ASSERT_TRUE(disk.RemoveFile("a").ok());
  ASSERT_TRUE(a->Append("4").ok());
  EXPECT_EQ(disk.UsedBytes(), 4u) << "the other name is left";
  auto c = Create(disk, "c");
  ASSERT_TRUE(c->Append("1234567").ok());
  EXPECT_EQ(disk.UsedBytes(), 11u);
  ASSERT_TRUE(disk.Rename("c", "b").ok());
  EXPECT_EQ(disk.UsedBytes(), 7u);
  ASSERT_TRUE(a->Append("nobody").ok());
  EXPECT_EQ(disk.UsedBytes(), 7u);
  ASSERT_TRUE(c->Sync().ok());
  ASSERT_TRUE(disk.SyncDirectory(".").ok());
  ASSERT_TRUE(c->Append(std::string(4096, 'x')).ok());
  EXPECT_EQ(disk.UsedBytes(), 4103u);
  disk.Restart();
  EXPECT_EQ(disk.UsedBytes(), disk.Content("b").size());
  Create(disk, "b");
  EXPECT_EQ(disk.UsedBytes(), 0u);
}

TEST(SimulatedFileSystemTest, DamageIsWhereItWasPut) {
  Disk disk(1);
  auto file = Create(disk, "a");
  ASSERT_TRUE(file->Append(std::string(3 * 4096, 'x')).ok());
  auto reader = *disk.OpenForRead("a");
  char block[4096];
  disk.DamageBlock("a", 1, Disk::BadBlock::kUnreadable);
  EXPECT_TRUE(reader->Read(0, block).ok());
  EXPECT_TRUE(absl::IsDataLoss(reader->Read(4096, block).status()));
  EXPECT_TRUE(reader->Read(8192, block).ok());
  disk.FlipBit("a", 8);
  EXPECT_EQ(disk.Content("a")[1], 'x' ^ 1);
  disk.MisdirectNextWrite("a", 1);
  ASSERT_TRUE(file->WriteAt(0, {"hello"}).ok());
  EXPECT_EQ(disk.Content("a").substr(4096, 5), "hello");
  EXPECT_EQ(disk.Content("a")[0], 'x');
}

// What a power cut between a write and its sync leaves: all of it, nothing, or sectors of it.
TEST(SimulatedFileSystemTest, ACrashAtASyncKeepsAnyPartOfWhatWasWritten) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Disk disk(seed);
    auto file = Create(disk, "a");
    auto other = Create(disk, "b");
    ASSERT_TRUE(disk.SyncDirectory("/").ok());
    ASSERT_TRUE(file->Append(std::string(1024, 'x')).ok());
    disk.CrashAtSync("a");
    ASSERT_TRUE(other->Sync().ok());
    EXPECT_FALSE(file->Sync().ok());
    EXPECT_TRUE(disk.crashed());
    disk.Restart();
    outcomes.insert(disk.Content("a"));
  }
  EXPECT_TRUE(outcomes.contains(std::string(1024, 'x')));
  EXPECT_GT(outcomes.size(), 2u);
}

TEST(SimulatedFileSystemTest, ASeedIsOneHistory) {
  const auto run = [](uint64_t seed) {
    Disk disk(seed);
    for (int round = 0; round < 5; ++round) {
      auto file = Create(disk, "a");
      EXPECT_TRUE(file->Append(std::string(100000, 'x')).ok());
      disk.Restart();
    }
    const std::string content = disk.Files().empty() ? "" : disk.Content("a");
    return std::make_pair(disk.trace_hash(), content);
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7).second, run(8).second);
}

TEST(SimulatedFileSystemTest, ALockIsExclusiveAndDiesWithItsProcess) {
  Disk disk(1);
  auto lock = disk.Lock("LOCK");
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsUnavailable(disk.Lock("LOCK").status()));
  disk.RestartProcess();
  auto after = disk.Lock("LOCK");
  EXPECT_TRUE(after.ok());
  lock->reset();  // of the dead process: must not free the new one
  EXPECT_TRUE(absl::IsUnavailable(disk.Lock("LOCK").status()));
}

}  // namespace
}  // namespace ringleader
