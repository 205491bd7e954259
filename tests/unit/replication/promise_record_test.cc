#include "replication/promise_record.h"

#include <gtest/gtest.h>

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
  PromiseRecord Open() { return PromiseRecord(disk_, clock_, kPath); }
  // The record of a process that was killed just now.
  void LeaveOne() {
    Open();
    disk_.RestartProcess();
  }
  void FailWrites(uint64_t times) {
    disk_.InjectError(Operation::kWrite, kPath, 0, times, absl::DataLossError("injected"));
  }

  Simulation simulation_{1};
  SimulatedFileSystem disk_{1};
  SimulatedClock clock_{simulation_, 1.0};
};

TEST_F(PromiseRecordTest, SaysUntilWhenTheProcessBeforeMayHavePromised) {
  EXPECT_FALSE(Open().silent_since().has_value());
  const Instant last = clock_.Now();
  disk_.RestartProcess();
  simulation_.RunFor(milliseconds(2000));
  const PromiseRecord next = Open();
  ASSERT_TRUE(next.silent_since().has_value());
  EXPECT_EQ(next.silent_since()->raw, last.raw + PromiseRecord::kAhead);
  EXPECT_EQ(next.silent_since()->boot, last.boot + PromiseRecord::kAhead);
}

TEST_F(PromiseRecordTest, SaysNothingAfterTheMachineStartedAnew) {
  LeaveOne();
  clock_.Reboot();
  EXPECT_FALSE(Open().silent_since().has_value());
}

TEST_F(PromiseRecordTest, SaysNothingIfAByteOfItIsAnother) {
  LeaveOne();
  const std::string whole(disk_.Content(kPath));
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    auto file = disk_.OpenForWrite(kPath, WriteMode::kTruncate);
    ASSERT_TRUE(file.ok() && (*file)->Append(bytes).ok() && (*file)->Close().ok());
    EXPECT_FALSE(Open().silent_since().has_value()) << at;
  }
}

TEST_F(PromiseRecordTest, WhoHasNotWrittenForTooLongIsMute) {
  PromiseRecord record(disk_, clock_, kPath);
  EXPECT_TRUE(record.MaySpeak());
  simulation_.RunFor(PromiseRecord::kAhead - milliseconds(1));
  EXPECT_TRUE(record.MaySpeak());
  simulation_.RunFor(milliseconds(1));
  EXPECT_FALSE(record.MaySpeak());
  record.Extend();
  EXPECT_TRUE(record.MaySpeak());
  // By whichever clock it was: the machine slept.
  clock_.JumpBoot(PromiseRecord::kAhead);
  EXPECT_FALSE(record.MaySpeak());
}

TEST_F(PromiseRecordTest, OneThatCanNotBeWrittenIsRemovedAndHoldsUpNothing) {
  LeaveOne();
  FailWrites(1);
  const PromiseRecord record = Open();
  EXPECT_TRUE(record.silent_since().has_value());
  simulation_.RunFor(milliseconds(5000));
  EXPECT_TRUE(record.MaySpeak());
  EXPECT_FALSE(Open().silent_since().has_value());
}

TEST_F(PromiseRecordTest, AWriteThatTheSystemLostIsFoundAtTheNextSync) {
  PromiseRecord record(disk_, clock_, kPath);
  disk_.InjectError(Operation::kSync, kPath, 0, 1, absl::DataLossError("injected"));
  record.Extend();
  EXPECT_TRUE(record.MaySpeak());
  record.Sync();
  simulation_.RunFor(milliseconds(5000));
  EXPECT_TRUE(record.MaySpeak());
  EXPECT_FALSE(Open().silent_since().has_value());
}

TEST_F(PromiseRecordTest, WhoIsHeldUpByTheDiskClaimsNothingAnyMore) {
  PromiseRecord record(disk_, clock_, kPath);
  record.Withdraw(absl::UnavailableError("it takes too long"));
  record.Extend();  // the write that was under way comes to nothing
  simulation_.RunFor(milliseconds(5000));
  EXPECT_TRUE(record.MaySpeak());
  EXPECT_FALSE(Open().silent_since().has_value());
}

TEST_F(PromiseRecordTest, WhoCanNotRemoveItIsMuteUntilItCan) {
  PromiseRecord record(disk_, clock_, kPath);
  disk_.InjectError(Operation::kNames, kPath, 0, 1, absl::DataLossError("injected"));
  record.Withdraw(absl::UnavailableError("it takes too long"));
  simulation_.RunFor(PromiseRecord::kAhead);
  EXPECT_FALSE(record.MaySpeak());
  record.Withdraw(absl::UnavailableError("it takes too long"));
  EXPECT_TRUE(record.MaySpeak());
}

}  // namespace
}  // namespace ringleader::replication
