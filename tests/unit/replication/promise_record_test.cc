// Protects the record of until when a process may have promised: what it says, when it says
// nothing, and that nothing is promised beyond it. What a replica makes of it: runtime_test.cc.
#include "replication/promise_record.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulation.h"

namespace ringleader::replication {
namespace {

using simulation::SimulatedClock;
using simulation::Simulation;
using std::chrono::milliseconds;
using Operation = SimulatedFileSystem::Operation;

constexpr char kPath[] = "/promised-until";

class PromiseRecordTest : public ::testing::Test {
 protected:
  std::optional<Instant> Read() { return PromiseRecord::Read(disk_, clock_, kPath); }
  // The record of a process that was killed just now.
  void LeaveOne() {
    PromiseRecord(disk_, clock_, kPath);
    disk_.RestartProcess();
  }
  void Fail(Operation operation, uint64_t times) {
    disk_.InjectError(operation, kPath, 0, times, absl::DataLossError("injected"));
  }

  Simulation simulation_{1};
  SimulatedFileSystem disk_{1};
  SimulatedClock clock_{simulation_, 1.0};
};

TEST_F(PromiseRecordTest, SaysUntilWhenTheProcessBeforeMayHavePromised) {
  EXPECT_FALSE(Read().has_value());
  PromiseRecord record(disk_, clock_, kPath);
  simulation_.RunFor(milliseconds(700));
  record.Extend();
  const Instant last = clock_.Now();
  disk_.RestartProcess();
  simulation_.RunFor(milliseconds(2000));
  const auto until = Read();
  ASSERT_TRUE(until.has_value());
  EXPECT_EQ(until->raw, last.raw + PromiseRecord::kAhead);
  EXPECT_EQ(until->boot, last.boot + PromiseRecord::kAhead);
}

TEST_F(PromiseRecordTest, SaysNothingAfterTheMachineStartedAnew) {
  LeaveOne();
  EXPECT_TRUE(Read().has_value());
  clock_.Reboot();
  EXPECT_FALSE(Read().has_value());
}

TEST_F(PromiseRecordTest, SaysNothingIfAnyOfItIsAnother) {
  LeaveOne();
  const std::string whole(disk_.Content(kPath));
  const auto says_nothing = [this](const std::string& bytes) {
    auto file = disk_.OpenForWrite(kPath, WriteMode::kTruncate);
    return file.ok() && (*file)->Append(bytes).ok() && (*file)->Close().ok() && !Read().has_value();
  };
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    EXPECT_TRUE(says_nothing(bytes)) << at;
    EXPECT_TRUE(says_nothing(whole.substr(0, at))) << at;
  }
  EXPECT_TRUE(says_nothing(whole + "1"));
  EXPECT_TRUE(says_nothing(std::string(5000, 'x')));
  EXPECT_FALSE(says_nothing(whole));
}

TEST_F(PromiseRecordTest, NothingIsPromisedBeyondWhatIsWritten) {
  PromiseRecord record(disk_, clock_, kPath);
  EXPECT_TRUE(record.MayPromise());
  simulation_.RunFor(PromiseRecord::kAhead - milliseconds(1));
  EXPECT_TRUE(record.MayPromise());
  simulation_.RunFor(milliseconds(1));
  EXPECT_FALSE(record.MayPromise());
  record.Extend();
  EXPECT_TRUE(record.MayPromise());
  // By whichever clock it was: the machine slept.
  clock_.JumpBoot(PromiseRecord::kAhead);
  EXPECT_FALSE(record.MayPromise());
  record.Extend();
  clock_.JumpBoth(PromiseRecord::kAhead);
  clock_.JumpBoot(-PromiseRecord::kAhead);
  EXPECT_FALSE(record.MayPromise());
}

TEST_F(PromiseRecordTest, OneThatCanNotBeMadeHoldsUpNothing) {
  Fail(Operation::kNames, 1);
  const PromiseRecord record(disk_, clock_, kPath);
  simulation_.RunFor(milliseconds(5000));
  EXPECT_TRUE(record.MayPromise());
  EXPECT_FALSE(Read().has_value());
}

// What is left of another process is not this one's word.
TEST_F(PromiseRecordTest, OneThatIsThereAlreadyIsRemovedBeforeAnythingIsPromised) {
  LeaveOne();
  Fail(Operation::kNames, 1000);
  PromiseRecord record(disk_, clock_, kPath);
  EXPECT_FALSE(record.MayPromise());
  record.Extend();
  EXPECT_FALSE(record.MayPromise());
  Fail(Operation::kSync, 1);  // instead
  record.Extend();
  EXPECT_TRUE(record.MayPromise());
  EXPECT_FALSE(Read().has_value());
}

TEST_F(PromiseRecordTest, OneThatCanNotBeWrittenIsRemovedAndHoldsUpNothing) {
  PromiseRecord record(disk_, clock_, kPath);
  Fail(Operation::kWrite, 1);
  record.Extend();
  EXPECT_FALSE(Read().has_value());
  record.Extend();  // it does not come back
  simulation_.RunFor(milliseconds(5000));
  EXPECT_TRUE(record.MayPromise());
  EXPECT_FALSE(Read().has_value());
}

TEST_F(PromiseRecordTest, AWriteThatTheSystemLostEndsItAtTheNextSync) {
  PromiseRecord record(disk_, clock_, kPath);
  Fail(Operation::kSync, 1);
  record.Sync();
  EXPECT_TRUE(Read().has_value());
  EXPECT_TRUE(record.MayPromise());  // as it says
  record.Extend();
  EXPECT_FALSE(Read().has_value());
  simulation_.RunFor(milliseconds(5000));
  record.Sync();
  EXPECT_TRUE(record.MayPromise());
}

TEST_F(PromiseRecordTest, OneThatCanNotBeRemovedIsKeptToUntilItIs) {
  PromiseRecord record(disk_, clock_, kPath);
  Fail(Operation::kSync, 1);
  record.Sync();
  Fail(Operation::kNames, 2);
  record.Extend();
  EXPECT_TRUE(record.MayPromise());
  simulation_.RunFor(PromiseRecord::kAhead);
  EXPECT_FALSE(record.MayPromise());
  record.Extend();
  EXPECT_FALSE(record.MayPromise());
  record.Extend();
  EXPECT_TRUE(record.MayPromise());
  EXPECT_FALSE(Read().has_value());
}

TEST(MachineClockTest, ItsBootIdStaysTheSame) {
  const std::string id = SystemClock().BootId();
  EXPECT_GE(id.size(), 36u) << "a system without /proc?";
  EXPECT_EQ(SystemClock().BootId(), id);
}

}  // namespace
}  // namespace ringleader::replication
