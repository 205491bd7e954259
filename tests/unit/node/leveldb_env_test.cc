// What the Env remembers of writes that failed.
#include "node/leveldb_env.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "common/check.h"
#include "tests/simulation/simulated_file_system.h"

namespace ringleader {
namespace {

class LevelDbEnvTest : public testing::Test {
 protected:
  LevelDbEnvTest()
      : disk_(7),
        compactions_(SystemThreads().Start("compact")),
        flushes_(SystemThreads().Start("flush")) {
    CHECK_OK(disk_.CreateDirectory("/store"));
  }

  SimulatedFileSystem disk_;
  std::unique_ptr<Executor> compactions_;
  std::unique_ptr<Executor> flushes_;
};

// Protects a MANIFEST from a record behind a torn one: after one write that failed none is tried.
TEST_F(LevelDbEnvTest, AfterAFailedWriteNothingIsWritten) {
  LevelDbEnv env(disk_, SystemClock(), *compactions_, *flushes_);
  leveldb::WritableFile* made = nullptr;
  ASSERT_TRUE(env.NewWritableFile("/store/MANIFEST-000001", &made).ok());
  const std::unique_ptr<leveldb::WritableFile> manifest(made);
  ASSERT_TRUE(manifest->Append("one").ok());
  ASSERT_TRUE(manifest->Sync().ok());
  EXPECT_TRUE(env.write_failure().ok());
  disk_.SetCapacity(disk_.UsedBytes() + 2);
  ASSERT_TRUE(manifest->Append("two").ok());
  EXPECT_FALSE(manifest->Sync().ok());
  EXPECT_TRUE(absl::IsResourceExhausted(env.write_failure()));
  EXPECT_EQ(disk_.Content("/store/MANIFEST-000001"), "onetw");

  disk_.SetCapacity(UINT64_MAX);
  manifest->Append("three");
  EXPECT_FALSE(manifest->Sync().ok());
  EXPECT_EQ(disk_.Content("/store/MANIFEST-000001"), "onetw");
  leveldb::WritableFile* refused = nullptr;
  EXPECT_FALSE(env.NewWritableFile("/store/000002.ldb", &refused).ok());
}

// Protects the applier, which waits for a flush: once a write has failed it does not wait for work
// in the background that can't succeed any more.
TEST_F(LevelDbEnvTest, NobodyWaitsForAFlushAfterAFailedWrite) {
  LevelDbEnv env(disk_, SystemClock(), *compactions_, *flushes_);
  std::promise<void> end;
  env.Schedule(
      [](void* promise) { static_cast<std::promise<void>*>(promise)->get_future().wait(); }, &end);
  auto waited = std::async(std::launch::async, [&env] { env.AwaitDurable(5); });
  EXPECT_EQ(waited.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  leveldb::WritableFile* made = nullptr;
  ASSERT_TRUE(env.NewWritableFile("/store/000007.ldb", &made).ok());
  const std::unique_ptr<leveldb::WritableFile> table(made);
  disk_.InjectError(SimulatedFileSystem::Operation::kSync, ".ldb", 0, 1,
                    absl::DataLossError("input/output error"));
  EXPECT_FALSE(table->Sync().ok());
  EXPECT_EQ(waited.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  // That a write failed is no damage to what is there.
  EXPECT_EQ(env.write_failure().code(), absl::StatusCode::kInternal);
  end.set_value();
  waited.wait();
}

}  // namespace
}  // namespace ringleader
