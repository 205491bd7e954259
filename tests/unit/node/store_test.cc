// The store of one partition over LevelDB: what survives what.
#include "node/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/random.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/unit/node/manifest_record.h"

namespace ringleader {
namespace {

using replication::Index;

std::string Key(int number) { return absl::StrCat("\x10", "key-", number); }

class StoreTest : public testing::Test {
 protected:
  StoreTest()
      : disk_(7),
        compactions_(SystemThreads().Start("compact")),
        flushes_(SystemThreads().Start("flush")) {
    CHECK_OK(disk_.CreateDirectory("/store"));
  }

  absl::StatusOr<std::unique_ptr<Store>> TryOpen(absl::string_view directory = "/store") {
    StoreState initial;
    initial.applied.last = {1, 1};
    initial.previous = 1;
    initial.range = model::TokenRange();
    return Store::Open({.file_system = disk_,
                        .clock = SystemClock(),
                        .compactions = *compactions_,
                        .flushes = *flushes_,
                        .write_buffer_bytes = 64 << 10},
                       directory, initial);
  }
  std::unique_ptr<Store> Open(absl::string_view directory = "/store") {
    auto store = TryOpen(directory);
    CHECK_OK(store);
    return *std::move(store);
  }

  // Entry `index` writes its number under one of a few keys: state at an index is known.
  static absl::Status Write(Store& store, Index index, size_t padding = 200) {
    StoreState next = store.state();
    next.previous = next.applied.last.index;
    next.applied.last.index = index;
    leveldb::WriteBatch batch;
    batch.Put(Key(static_cast<int>(index % 17)),
              absl::StrCat(index, ":", std::string(padding, 'x')));
    return store.Apply(batch, next);
  }

  // That the store is exactly what entries 2 .. its applied index make of it.
  static void ExpectPrefix(Store& store) {
    const Index applied = store.state().applied.last.index;
    std::map<std::string, Index> expected;
    for (Index index = 2; index <= applied; ++index) {
      expected[Key(static_cast<int>(index % 17))] = index;
    }
    for (int number = 0; number < 17; ++number) {
      const auto value = store.Get(Key(number));
      const auto wanted = expected.find(Key(number));
      if (wanted == expected.end()) {
        EXPECT_TRUE(absl::IsNotFound(value.status())) << value.status();
      } else {
        ASSERT_TRUE(value.ok()) << value.status();
        EXPECT_EQ(value->substr(0, value->find(':')), absl::StrCat(wanted->second));
      }
    }
  }

  SimulatedFileSystem disk_;
  std::unique_ptr<Executor> compactions_;
  std::unique_ptr<Executor> flushes_;
};

// Protects rule 13: nothing counts as durable before it is in a synced table, and a forced flush
// makes everything durable (LevelDB 1.23 freezes the memtable at a write of no batch at all).
TEST_F(StoreTest, DurableMeansThatItSurvivesAPowerCut) {
  auto store = Open();
  for (Index index = 2; index <= 20; ++index) ASSERT_TRUE(Write(*store, index).ok());
  EXPECT_EQ(store->durable(), 1u);
  ASSERT_TRUE(store->Flush().ok());
  EXPECT_EQ(store->durable(), 20u);
  ASSERT_TRUE(Write(*store, 21).ok());
  EXPECT_EQ(store->durable(), 20u);
  disk_.CrashNow();
  store = nullptr;
  disk_.Restart();
  store = Open();
  EXPECT_EQ(store->state().applied.last.index, 20u);
  ExpectPrefix(*store);
}

// Protects the learning of durability from the Env: memtables that LevelDB writes out by itself
// count too, or the Raft log could only be cut after forced flushes.
TEST_F(StoreTest, MemtablesWrittenOutByThemselvesCount) {
  auto store = Open();
  Index index = 1;
  while (store->durable() == 1 && index < 100000) ASSERT_TRUE(Write(*store, ++index, 2000).ok());
  EXPECT_GT(store->durable(), 1u);
  EXPECT_LT(store->durable(), index);
  const Index durable = store->durable();
  disk_.CrashNow();
  store = nullptr;
  disk_.Restart();
  store = Open();
  EXPECT_GE(store->state().applied.last.index, durable);
  ExpectPrefix(*store);
}

// Protects rule 8 under any crash: whatever operation of the disk is the last one, the store opens
// at some applied index, at or above what it called durable, with exactly that prefix.
TEST_F(StoreTest, AnyCrashLeavesAPrefixAtOrAboveWhatWasDurable) {
  Random random(11);
  Index last = 1;
  // How far a round comes depends on when LevelDB's compactions run: rounds go on until enough
  // became durable for a lost prefix to show.
  for (int round = 0; round < 150 || last <= 500; ++round) {
    ASSERT_LT(round, 5000) << "no round makes progress";
    auto opened = TryOpen();
    ASSERT_TRUE(opened.ok()) << "round " << round << ": " << opened.status();
    std::unique_ptr<Store> store = *std::move(opened);
    ASSERT_GE(store->state().applied.last.index, last) << "round " << round;
    ExpectPrefix(*store);
    disk_.CrashAfter(random.Below(60));
    Index index = store->state().applied.last.index;
    while (!disk_.crashed() && Write(*store, ++index, random.Below(3000)).ok()) {
      if (random.Chance(0.05)) store->Flush().IgnoreError();
    }
    last = store->durable();
    store = nullptr;
    disk_.Restart();
  }
}

// Protects the rule that a failed write poisons: the store must not go on as if it had not
// happened.
TEST_F(StoreTest, FailedWriteIsFinal) {
  auto store = Open();
  ASSERT_TRUE(Write(*store, 2).ok());
  disk_.InjectError(SimulatedFileSystem::Operation::kSync, ".ldb", 0, 1,
                    absl::DataLossError("input/output error"));
  EXPECT_FALSE(store->Flush().ok());
  EXPECT_FALSE(store->failure().ok());
  EXPECT_FALSE(Write(*store, 3).ok());
  EXPECT_FALSE(store->Get(Key(2)).ok());
}

// Protects reads while a disk is full: what was applied is there, though nothing more can be; and
// damage that is found meanwhile is damage.
TEST_F(StoreTest, WithoutSpaceItCanBeRead) {
  auto store = Open();
  for (Index index = 2; index <= 40; ++index) ASSERT_TRUE(Write(*store, index).ok());
  ASSERT_TRUE(store->Flush().ok());
  for (Index index = 41; index <= 80; ++index) ASSERT_TRUE(Write(*store, index).ok());
  disk_.SetCapacity(disk_.UsedBytes());
  EXPECT_TRUE(absl::IsResourceExhausted(store->Flush()));
  EXPECT_TRUE(absl::IsResourceExhausted(store->failure()));
  EXPECT_TRUE(absl::IsResourceExhausted(store->FindSpace()));
  EXPECT_TRUE(absl::IsResourceExhausted(Write(*store, 81)));
  EXPECT_EQ(store->state().applied.last.index, 80u);
  ExpectPrefix(*store);
  store->MarkDamaged(absl::NotFoundError("a table is gone"));
  EXPECT_TRUE(absl::IsDataLoss(store->failure()));
  EXPECT_TRUE(absl::IsDataLoss(store->Get(Key(2)).status()));
  store = nullptr;

  disk_.SetCapacity(UINT64_MAX);
  store = Open();
  const std::vector<std::string> files = disk_.Files();
  EXPECT_TRUE(store->FindSpace().ok());
  EXPECT_EQ(disk_.Files(), files);
  EXPECT_GE(store->state().applied.last.index, 40u);
  ExpectPrefix(*store);
}

// Protects partitions that nobody writes to: what failed in the background is known though no
// write comes that would be told.
TEST_F(StoreTest, AFailureInTheBackgroundIsSeen) {
  auto store = Open();
  disk_.InjectError(SimulatedFileSystem::Operation::kSync, ".ldb", 0, 1,
                    absl::ResourceExhaustedError("no space"));
  Index index = 1;
  while (store->Measure().memtable_bytes < 64 << 10) ASSERT_TRUE(Write(*store, ++index, 2000).ok());
  // The write that finds the memtable full freezes it, and waits for nothing.
  ASSERT_TRUE(Write(*store, ++index, 2000).ok());
  const Instant began = SystemClock().Now();
  while (store->failure().ok() &&
         WaiterElapsed(began, SystemClock().Now()) < std::chrono::seconds(20)) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(store->failure()));
  ExpectPrefix(*store);
}

// Protects readers from damaged tables: a flipped bit is an error, never another value.
TEST_F(StoreTest, DamageIsReported) {
  auto store = Open();
  for (Index index = 2; index <= 40; ++index) ASSERT_TRUE(Write(*store, index).ok());
  ASSERT_TRUE(store->Flush().ok());
  store = nullptr;
  for (const std::string& path : disk_.Files()) {
    if (path.ends_with(".ldb")) disk_.FlipBit(path, 8 * 300);
  }
  auto opened = TryOpen();
  if (!opened.ok()) return;  // the state record was in the damaged block
  const auto iterator = (*opened)->NewIterator(false);
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) continue;
  EXPECT_TRUE(absl::IsDataLoss((*opened)->CheckIterator(*iterator)));
  EXPECT_FALSE((*opened)->failure().ok());
}

// Protects answers from damaged tables: whichever block reads as zeros, a point read gives what was
// written or an error, never "there is no such item".
TEST_F(StoreTest, APointReadNeverBelievesADamagedBlock) {
  int errors = 0;
  for (uint64_t block = 0; block < 8; ++block) {
    const std::string directory = absl::StrCat("/store-", block);
    CHECK_OK(disk_.CreateDirectory(directory));
    auto store = Open(directory);
    for (Index index = 2; index <= 40; ++index) ASSERT_TRUE(Write(*store, index, 2000).ok());
    ASSERT_TRUE(store->Flush().ok());
    store = nullptr;
    for (const std::string& path : disk_.Files()) {
      if (!path.starts_with(directory.substr(1)) || !path.ends_with(".ldb")) continue;
      if (block < disk_.Content(path).size() / SimulatedFileSystem::kBlockBytes) {
        disk_.DamageBlock(path, block, SimulatedFileSystem::BadBlock::kZeros);
      }
    }
    const auto opened = TryOpen(directory);
    if (!opened.ok()) continue;  // the state record was in it
    for (int number = 0; number < 17; ++number) {
      const auto value = (*opened)->Get(Key(number));
      EXPECT_FALSE(absl::IsNotFound(value.status())) << "block " << block << ", key " << number;
      errors += value.ok() ? 0 : 1;
    }
  }
  EXPECT_GT(errors, 0);
}

// Protects peers: a bad block of a captured table is found before it is sent, wherever it is and
// whatever the caches hold.
TEST_F(StoreTest, ADamagedCaptureIsFound) {
  auto store = Open();
  for (Index index = 2; index <= 40; ++index) ASSERT_TRUE(Write(*store, index, 2000).ok());
  const std::string copy = "/copy";
  CHECK_OK(disk_.CreateDirectory(copy));
  ASSERT_TRUE(store->Capture(copy).ok());
  const StorePlace place{.file_system = disk_,
                         .clock = SystemClock(),
                         .compactions = *compactions_,
                         .flushes = *flushes_};
  int checked = 0;
  for (const std::string& path : disk_.Files()) {
    if (!path.starts_with("copy/")) continue;
    EXPECT_TRUE(CheckStoreFile(place, path).ok()) << path;
    if (path.ends_with("CURRENT")) continue;  // opening reads all of it
    // Nobody reads the padding in a table's footer of 48 bytes, nor the 13 bytes of its list of
    // filters, which is empty: one step.
    const bool is_table = path.ends_with(".ldb");
    const uint64_t bytes = disk_.Content(path).size() - (is_table ? 48 : 0);
    int unnoticed = 0;
    for (uint64_t at = 0; at < bytes; at += 13, ++checked) {
      disk_.FlipBit(path, at * 8);
      unnoticed += absl::IsDataLoss(CheckStoreFile(place, path)) ? 0 : 1;
      disk_.FlipBit(path, at * 8);
    }
    EXPECT_LE(unnoticed, is_table ? 1 : 0) << path;
  }
  EXPECT_GT(checked, 100);
}

// Protects snapshots: a capture is the state at its index, independent of what is written later.
TEST_F(StoreTest, CaptureIsTheStateAtItsIndex) {
  auto store = Open();
  Index index = 1;
  for (int round = 0; round < 5; ++round) {
    while (index < 200u * static_cast<Index>(round + 1)) {
      ASSERT_TRUE(Write(*store, ++index, 1500).ok());
    }
    const std::string copy = absl::StrCat("/copy-", round);
    ASSERT_TRUE(disk_.CreateDirectory(copy).ok());
    ASSERT_TRUE(disk_.SyncDirectory("/").ok());
    const Index captured = index;
    ASSERT_TRUE(store->Capture(copy).ok());
    for (int more = 0; more < 100; ++more) ASSERT_TRUE(Write(*store, ++index, 1500).ok());
    auto other = Open(copy);
    EXPECT_EQ(other->state().applied.last.index, captured);
    EXPECT_EQ(other->state().range, model::TokenRange());
    ExpectPrefix(*other);
  }
  disk_.CrashNow();
  store = nullptr;
  disk_.Restart();
  auto other = Open("/copy-4");
  ExpectPrefix(*other);
}

// Protects readers: a copy whose directory was removed on the way says nothing against the state,
// and least of all that its keys are absent.
TEST_F(StoreTest, ACaptureThatNobodyWantsAnyMoreHarmsNothing) {
  auto store = Open();
  for (Index index = 2; index <= 20; ++index) ASSERT_TRUE(Write(*store, index).ok());
  EXPECT_FALSE(store->Capture("/gone").ok());
  ExpectPrefix(*store);
  EXPECT_TRUE(Write(*store, 21).ok());
}

// Protects readers: of what is lost a store says that it is lost, never that there is no such key.
TEST_F(StoreTest, WhatIsMissingIsNotAbsent) {
  auto store = Open();
  for (Index index = 2; index <= 400; ++index) ASSERT_TRUE(Write(*store, index).ok());
  ASSERT_TRUE(store->Flush().ok());
  ASSERT_TRUE(disk_.CreateDirectory("/copy").ok());
  ASSERT_TRUE(disk_.RemoveFile("/store/CURRENT").ok());
  EXPECT_TRUE(absl::IsDataLoss(store->Capture("/copy")));
  EXPECT_TRUE(absl::IsDataLoss(store->Get(Key(1)).status())) << store->Get(Key(1)).status();
}

TEST_F(StoreTest, ATableThatIsGoneIsDamage) {
  auto store = Open();
  for (Index index = 2; index <= 400; ++index) ASSERT_TRUE(Write(*store, index).ok());
  ASSERT_TRUE(store->Flush().ok());
  disk_.InjectError(SimulatedFileSystem::Operation::kRead, ".ldb", 0, UINT64_MAX,
                    absl::NotFoundError("no such file"));
  for (int number = 0; number < 17; ++number) {
    const auto value = store->Get(Key(number));
    EXPECT_TRUE(absl::IsDataLoss(value.status())) << value.status();
  }
}

// Protects replicas from a scrub that meets a compaction: what was let go of is no damage.
TEST_F(StoreTest, AFileThatIsNotThereIsNotADamagedOne) {
  const StorePlace place{.file_system = disk_,
                         .clock = SystemClock(),
                         .compactions = *compactions_,
                         .flushes = *flushes_};
  for (const absl::string_view name : {"000099.ldb", "MANIFEST-000099"}) {
    EXPECT_TRUE(absl::IsNotFound(CheckStoreFile(place, absl::StrCat("/store/", name)))) << name;
  }
}

// A replica that has applied nothing yet sent copies without any state, which nobody could open.
TEST_F(StoreTest, AStateThatWasJustMadeIsCaptured) {
  auto store = Open();
  ASSERT_TRUE(disk_.CreateDirectory("/copy").ok());
  ASSERT_TRUE(store->Capture("/copy").ok());
  const StorePlace place{.file_system = disk_,
                         .clock = SystemClock(),
                         .compactions = *compactions_,
                         .flushes = *flushes_};
  auto opened = Store::Open(place, "/copy", {});  // as a receiver: it brings no state of its own
  CHECK_OK(opened);
  const std::unique_ptr<Store> other = *std::move(opened);
  EXPECT_EQ(other->state().applied.last.index, store->state().applied.last.index);
  EXPECT_EQ(other->state().range, model::TokenRange());
}

// Protects what is shown of storage: files and bytes by level are those on the disk.
TEST_F(StoreTest, MeasuresWhatIsOnDisk) {
  StorageMetrics metrics;
  const std::string directory = testing::TempDir() + "/store-measured";
  CHECK_OK(RemoveRecursively(PosixFileSystem(), directory));
  CHECK_OK(CreateDirectories(PosixFileSystem(), directory));
  auto store = Store::Open({.file_system = PosixFileSystem(),
                            .clock = SystemClock(),
                            .compactions = *compactions_,
                            .flushes = *flushes_,
                            .metrics = &metrics},
                           directory, StoreState());
  ASSERT_TRUE(store.ok()) << store.status();
  for (Index index = 1; index <= 50; ++index) ASSERT_TRUE(Write(**store, index).ok());
  EXPECT_EQ((*store)->Measure().bytes, StorageSize().bytes);
  EXPECT_GT((*store)->Measure().memtable_bytes, 50u * 200u);
  ASSERT_TRUE((*store)->Flush().ok());
  uint64_t on_disk = 0, files = 0;
  const auto names = PosixFileSystem().List(directory);
  for (const std::string& name : *names) {
    if (name.find(".ldb") == std::string::npos) continue;
    ++files;
    on_disk += *PosixFileSystem().FileSize(JoinPath(directory, name));
  }
  const StorageSize size = (*store)->Measure();
  EXPECT_GT(on_disk, 0u);
  EXPECT_EQ(std::accumulate(size.bytes.begin(), size.bytes.end(), uint64_t{0}), on_disk);
  EXPECT_EQ(std::accumulate(size.files.begin(), size.files.end(), uint64_t{0}), files);
  EXPECT_EQ(metrics.table_bytes_written.value(), on_disk);
  *store = nullptr;
  CHECK_OK(RemoveRecursively(PosixFileSystem(), directory));
}

// Protects a node from standing still for ever: what LevelDB could not write out never becomes
// durable, and nobody tells whoever waits for it.
TEST_F(StoreTest, AFlushEndsWhenTheBackgroundWorkHasFailed) {
  for (const absl::Status& why :
       {absl::ResourceExhaustedError("the disk is full"), absl::DataLossError("a bad block")}) {
    auto store = Open();
    const Index last = store->state().applied.last.index + 5;
    for (Index index = last - 4; index <= last; ++index) ASSERT_TRUE(Write(*store, index).ok());
    disk_.InjectError(SimulatedFileSystem::Operation::kWrite, ".ldb", 0, UINT64_MAX, why);
    auto flushed = std::async(std::launch::async, [&store] { return store->Flush(); });
    ASSERT_EQ(flushed.wait_for(std::chrono::seconds(60)), std::future_status::ready);
    EXPECT_FALSE(flushed.get().ok());
    EXPECT_LT(store->durable(), last);
    EXPECT_FALSE(store->Flush().ok());
    disk_.InjectError(SimulatedFileSystem::Operation::kWrite, "nowhere", 0, 0, why);
  }
}

// Protects LevelDB from work that two executors have: it is run once, by the first, and the other
// may come to it when database and Env are gone.
TEST_F(StoreTest, WorkThatIsMovedAheadRunsOnce) {
  std::promise<void> release;
  compactions_->Post([released = release.get_future()] { released.wait(); });
  std::atomic<int> runs = 0;
  const auto run = [](void* count) { ++*static_cast<std::atomic<int>*>(count); };
  const auto drain = [](Executor& executor) {
    std::promise<void> done;
    executor.Post([&done] { done.set_value(); });
    done.get_future().wait();
  };
  {
    LevelDbEnv env(disk_, SystemClock(), *compactions_, *flushes_);
    std::vector<std::unique_ptr<leveldb::WritableFile>> logs;
    const auto create_log = [&](const std::string& path) {
      leveldb::WritableFile* file = nullptr;
      ASSERT_TRUE(env.NewWritableFile(path, &file).ok());
      logs.emplace_back(file);
    };
    create_log("/store/000003.log");
    env.Schedule(run, &runs);
    drain(*flushes_);
    EXPECT_EQ(runs, 0);  // a compaction, which waits for its turn
    create_log("/store/000005.log");
    drain(*flushes_);
    EXPECT_EQ(runs, 1);            // a memtable is frozen
    env.AwaitDurable(UINT64_MAX);  // nothing is under way any more
  }
  release.set_value();
  drain(*compactions_);
  EXPECT_EQ(runs, 1);
}

// Memtables were written out behind other databases' compactions, in the same queue, and an applier
// that waited for one held up all partitions of its node for seconds. Both ways matter: work that
// is scheduled while a memtable is frozen, and a compaction that waits when one is (there is one
// from the fourth file on; writes wait for it from the twelfth on).
TEST_F(StoreTest, FlushesDoNotWaitForOtherCompactions) {
  auto store = Open();
  std::promise<void> release;
  compactions_->Post([released = release.get_future()] { released.wait(); });
  auto flushed = std::async(std::launch::async, [&store] {
    Index index = 1;
    for (int flushes = 0; flushes < 8; ++flushes) {
      for (int i = 0; i < 5; ++i) CHECK_OK(Write(*store, ++index));
      CHECK_OK(store->Flush());
    }
    return index;
  });
  const auto state = flushed.wait_for(std::chrono::seconds(10));
  release.set_value();
  EXPECT_EQ(state, std::future_status::ready);
  EXPECT_EQ(flushed.get(), store->durable());
}

// Whatever call fails when it is opened, once, the database is still there: nothing of it was bad.
// LevelDB removed the MANIFEST that CURRENT named already when only the directory's sync had
// failed.
TEST_F(StoreTest, AFailedOpeningCostsNothing) {
  using Operation = SimulatedFileSystem::Operation;
  auto store = Open();
  for (Index index = 2; index <= 20; ++index) ASSERT_TRUE(Write(*store, index).ok());
  ASSERT_TRUE(store->Flush().ok());
  store = nullptr;
  int failed = 0;
  for (const Operation operation : {Operation::kSync, Operation::kNames, Operation::kWrite}) {
    for (uint64_t skip = 0; skip < 8; ++skip) {
      disk_.InjectError(operation, "store", skip, 1, absl::InternalError("injected"));
      failed += TryOpen().ok() ? 0 : 1;
      disk_.InjectError(operation, "store", 0, 0, absl::InternalError("none"));
      const auto opened = TryOpen();
      ASSERT_TRUE(opened.ok()) << static_cast<int>(operation) << " " << skip << ": "
                               << opened.status();
      ASSERT_EQ((*opened)->state().applied.last.index, 20u)
          << static_cast<int>(operation) << " " << skip;
      ExpectPrefix(**opened);
    }
  }
  EXPECT_GE(failed, 6);
}

// Protects state: a later record of a MANIFEST in the place of its first one, where a write that
// went astray has put it, is whole, and LevelDB would open an empty database and remove the files
// of the old one. Found by the simulation.
TEST_F(StoreTest, AManifestThatDoesNotBeginAsOneIsDamage) {
  auto store = Open();
  for (Index index = 2; index <= 20; ++index) ASSERT_TRUE(Write(*store, index).ok());
  ASSERT_TRUE(store->Flush().ok());
  store = nullptr;
  const std::string current = disk_.Content("/store/CURRENT");
  auto manifest = disk_.OpenForWrite(JoinPath("/store", current.substr(0, current.size() - 1)),
                                     WriteMode::kTruncate);
  CHECK_OK(manifest);
  // Log number 5, next file 100, last sequence 1: all that LevelDB insists on.
  CHECK_OK((*manifest)->Append(ManifestRecord(/*type=*/1, "\x02\x05\x03\x64\x04\x01")));
  CHECK_OK((*manifest)->Sync());
  CHECK_OK((*manifest)->Close());
  const size_t files = disk_.List("/store")->size();
  EXPECT_TRUE(absl::IsDataLoss(TryOpen().status())) << TryOpen().status();
  EXPECT_EQ(disk_.List("/store")->size(), files);
}

// Protects a good replica from its own snapshots: half a table that a compaction is writing was
// captured, and passed for damage when it was checked before it was sent.
TEST_F(StoreTest, WhatACompactionIsWritingIsNotCaptured) {
  auto store = Open();
  const StorePlace place{.file_system = disk_,
                         .clock = SystemClock(),
                         .compactions = *compactions_,
                         .flushes = *flushes_};
  Index index = 1;
  const std::string copy = "/copy";
  for (int round = 0; round < 1000; ++round) {
    // A compaction goes on while nothing more is written.
    if (round % 5 == 0) {
      for (int i = 0; i < 30; ++i) ASSERT_TRUE(Write(*store, ++index, 3000).ok());
    }
    CHECK_OK(disk_.CreateDirectory(copy));
    ASSERT_TRUE(store->Capture(copy).ok());
    const auto names = disk_.List(copy);
    for (const std::string& name : *names) {
      const absl::Status status = CheckStoreFile(place, JoinPath(copy, name));
      ASSERT_TRUE(status.ok()) << status;
    }
    CHECK_OK(RemoveRecursively(disk_, copy));
  }
}

// Protects the same things on the machine's own file system.
TEST_F(StoreTest, WorksOnPosix) {
  const std::string directory = testing::TempDir() + "/store-posix";
  CHECK_OK(RemoveRecursively(PosixFileSystem(), directory));
  CHECK_OK(CreateDirectories(PosixFileSystem(), directory));
  const StorePlace place{.file_system = PosixFileSystem(),
                         .clock = SystemClock(),
                         .compactions = *compactions_,
                         .flushes = *flushes_};
  auto store = Store::Open(place, directory, StoreState());
  ASSERT_TRUE(store.ok()) << store.status();
  for (Index index = 1; index <= 50; ++index) ASSERT_TRUE(Write(**store, index).ok());
  ASSERT_TRUE((*store)->Flush().ok());
  *store = nullptr;
  store = Store::Open(place, directory, StoreState());
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->state().applied.last.index, 50u);
  CHECK_OK(RemoveRecursively(PosixFileSystem(), directory));
}

}  // namespace
}  // namespace ringleader
