// Protects what one process tells the next of the promises that may be running.
#include "replication/promise_length.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/simulation/simulated_file_system.h"

namespace ringleader::replication {
namespace {

using std::chrono::milliseconds;
using Operation = SimulatedFileSystem::Operation;

constexpr char kNotePath[] = "/promise-length";

class PromiseLengthTest : public ::testing::Test {
 protected:
  PromiseLengths Note(Duration wanted) { return NotePromiseLength(disk_, kNotePath, wanted); }
  std::optional<Duration> Load() { return LoadPromiseLength(disk_, kNotePath); }

  SimulatedFileSystem disk_{1};
};

// Also over a power cut, which takes what was not synced.
TEST_F(PromiseLengthTest, ALongerOneIsNotedBeforeItIsPromised) {
  EXPECT_EQ(Load(), std::nullopt);
  PromiseLengths lengths = Note(milliseconds(900));
  EXPECT_EQ(lengths.before, milliseconds(900)) << "nothing is known";
  lengths = Note(milliseconds(2900));
  EXPECT_EQ(lengths.before, milliseconds(900));
  EXPECT_EQ(lengths.own, milliseconds(2900));
  disk_.Restart();
  EXPECT_EQ(Load(), milliseconds(2900));
}

TEST_F(PromiseLengthTest, AShorterOneLeavesTheNoteUntilItIsTakenDown) {
  Note(milliseconds(2900));
  for (int i = 0; i < 2; ++i) {
    const PromiseLengths lengths = Note(milliseconds(900));
    EXPECT_EQ(lengths.before, milliseconds(2900));
    EXPECT_EQ(lengths.own, milliseconds(900));
  }
  ASSERT_TRUE(SavePromiseLength(disk_, kNotePath, milliseconds(900)).ok());
  EXPECT_EQ(Note(milliseconds(900)).before, milliseconds(900));
}

TEST_F(PromiseLengthTest, WhatCanNotBeNotedIsNotPromised) {
  Note(milliseconds(900));
  disk_.InjectError(Operation::kWrite, kNotePath, 0, 1, absl::ResourceExhaustedError("full"));
  const PromiseLengths lengths = Note(milliseconds(2900));
  EXPECT_EQ(lengths.before, milliseconds(900));
  EXPECT_EQ(lengths.own, milliseconds(900));
  EXPECT_EQ(Load(), milliseconds(900));
}

// The golden bytes may not change: another build may be the next to read them.
TEST_F(PromiseLengthTest, GoldenBytesAndNothingElse) {
  Note(milliseconds(900));
  const std::string whole(disk_.Content(kNotePath));
  EXPECT_EQ(whole, "ringleader-promise-length 1\nus 900000\ncrc32c a66c3d1e\n");
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    ASSERT_TRUE(ReplaceFile(disk_, kNotePath, bytes).ok());
    EXPECT_EQ(Load(), std::nullopt) << at;
  }
}

}  // namespace
}  // namespace ringleader::replication
