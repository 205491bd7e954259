// Protects what a start finds on its disk and relies on: a process that was killed between renaming
// (or making a directory) and the directory's sync, or whose sync failed, leaves a name that every
// reader sees and a power cut takes away.
#include <gtest/gtest.h>

#include "coordinator/identity.h"
#include "node/identity.h"
#include "tests/simulation/simulated_file_system.h"

namespace ringleader {
namespace {

using Disk = SimulatedFileSystem;

// Enough for a name that is not durable to be lost in one of them: each has an even chance.
constexpr uint64_t kSeeds = 50;

TEST(DurableNamesTest, ADirectoryWhoseSyncFailedIsSyncedWhenItIsFound) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk(seed);
    ASSERT_TRUE(CreateDirectories(disk, "/data/groups").ok());
    disk.InjectError(Disk::Operation::kSync, "/data/groups", 0, 1, absl::DataLossError("injected"));
    EXPECT_FALSE(CreateDirectories(disk, "/data/groups/1.5/0").ok());
    ASSERT_TRUE(*disk.Exists("/data/groups/1.5"));
    ASSERT_TRUE(CreateDirectories(disk, "/data/groups/1.5/0").ok());
    disk.Restart();
    EXPECT_TRUE(*disk.Exists("/data/groups/1.5/0")) << "seed " << seed;
  }
}

TEST(DurableNamesTest, ADirectoryThatAKilledProcessMadeIsSyncedWhenItIsFound) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk(seed);
    ASSERT_TRUE(disk.CreateDirectory("/data").ok());
    disk.RestartProcess();
    ASSERT_TRUE(CreateDirectories(disk, "/data").ok());
    disk.Restart();
    EXPECT_TRUE(*disk.Exists("/data")) << "seed " << seed;
  }
}

// Only who may not touch the parent, or can't sync it at all, may rely on what he finds.
TEST(DurableNamesTest, AFoundDirectoryThatCantBeSyncedNowIsAnError) {
  Disk disk(1);
  ASSERT_TRUE(CreateDirectories(disk, "/data/log").ok());
  const auto found_with = [&](const absl::Status& error) {
    disk.InjectError(Disk::Operation::kSync, "/data", 0, 1, error);
    return CreateDirectories(disk, "/data/log");
  };
  EXPECT_FALSE(found_with(absl::FailedPreconditionError("too many open files")).ok());
  EXPECT_FALSE(found_with(absl::DataLossError("an input/output error")).ok());
  EXPECT_TRUE(found_with(absl::PermissionDeniedError("somebody else's")).ok());
  EXPECT_TRUE(found_with(absl::UnimplementedError("no such thing there")).ok());
}

TEST(DurableNamesTest, ANodesIdentityIsDurableOnceItIsRead) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk(seed);
    Random random(seed);
    ASSERT_TRUE(CreateDirectories(disk, "/data").ok());
    auto identity = LoadIdentity(disk, "/data", random);
    ASSERT_TRUE(identity.ok());
    identity->node = 7;
    // Its file is synced, its directory not.
    disk.InjectError(Disk::Operation::kSync, "/data", 1, 1, absl::DataLossError("injected"));
    ASSERT_FALSE(SaveIdentity(disk, "/data", *identity).ok());
    disk.RestartProcess();
    ASSERT_EQ(LoadIdentity(disk, "/data", random)->node, 7u);
    disk.Restart();
    EXPECT_EQ(LoadIdentity(disk, "/data", random)->node, 7u) << "seed " << seed;
  }
}

TEST(DurableNamesTest, ACoordinatorsIdentityIsDurableOnceItIsRead) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk(seed);
    Random random(seed);
    ASSERT_TRUE(CreateDirectories(disk, "/data").ok());
    const auto open = [&] {
      return coordinator::IdentityFile::Open(disk, "/data", "cluster", 1, random);
    };
    disk.InjectError(Disk::Operation::kSync, "/data", 1, 1, absl::DataLossError("injected"));
    ASSERT_FALSE(open().ok());
    disk.RestartProcess();
    auto found = open();
    ASSERT_TRUE(found.ok()) << found.status();
    const uint64_t incarnation = (*found)->identity().incarnation();
    disk.Restart();
    found = open();
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ((*found)->identity().incarnation(), incarnation) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ringleader
