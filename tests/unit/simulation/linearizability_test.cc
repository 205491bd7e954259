// Protects the checker that every simulation relies on: it must accept what one copy could have
// done, and nothing else.
#include "tests/simulation/linearizability.h"

#include <gtest/gtest.h>

#include "common/random.h"

namespace ringleader::simulation {
namespace {

using Op = RegisterOperation;
using Result = LinearizabilityResult;

RegisterEvent Write(int64_t value, int64_t call, int64_t returned) {
  return {.operation = Op::kWrite, .input = value, .call = call, .returned = returned};
}
RegisterEvent Read(int64_t value, int64_t call, int64_t returned) {
  return {.operation = Op::kRead, .output = value, .call = call, .returned = returned};
}
RegisterEvent Unknown(RegisterEvent event) {
  event.known = false;
  return event;
}

Result::Verdict Check(std::vector<RegisterEvent> history) {
  return CheckRegister(std::move(history), 0, 1'000'000).verdict;
}

TEST(LinearizabilityTest, ASequentialHistoryPasses) {
  EXPECT_EQ(Check({Write(1, 0, 1), Read(1, 2, 3), Write(2, 4, 5), Read(2, 6, 7)}),
            Result::kLinearizable);
}

TEST(LinearizabilityTest, AStaleReadIsAViolation) {
  EXPECT_EQ(Check({Write(1, 0, 1), Write(2, 2, 3), Read(1, 4, 5)}), Result::kViolation);
}

TEST(LinearizabilityTest, ALostWriteIsAViolation) {
  EXPECT_EQ(Check({Write(1, 0, 1), Read(0, 2, 3)}), Result::kViolation);
}

TEST(LinearizabilityTest, ConcurrentOperationsMayTakeEffectInEitherOrder) {
  EXPECT_EQ(Check({Write(1, 0, 10), Write(2, 0, 10), Read(1, 11, 12)}), Result::kLinearizable);
  EXPECT_EQ(Check({Write(1, 0, 10), Write(2, 0, 10), Read(2, 11, 12)}), Result::kLinearizable);
}

TEST(LinearizabilityTest, TwoReadsMustAgreeOnTheOrderOfConcurrentWrites) {
  EXPECT_EQ(Check({Write(1, 0, 10), Write(2, 0, 10), Read(1, 11, 12), Read(2, 13, 14)}),
            Result::kViolation);
}

TEST(LinearizabilityTest, AnUnknownOutcomeMayHappenLateOrNever) {
  EXPECT_EQ(Check({Write(1, 0, 1), Unknown(Write(2, 2, 0)), Read(1, 5, 6), Read(2, 7, 8)}),
            Result::kLinearizable);
  EXPECT_EQ(Check({Write(1, 0, 1), Unknown(Write(2, 2, 0)), Read(1, 7, 8)}), Result::kLinearizable);
  EXPECT_EQ(Check({Write(1, 0, 1), Unknown(Write(2, 2, 0)), Read(2, 5, 6), Read(1, 7, 8)}),
            Result::kViolation);
}

TEST(LinearizabilityTest, AnAddThatHappenedTwiceIsAViolation) {
  const RegisterEvent add = {
      .operation = Op::kAdd, .input = 1, .output = 1, .call = 0, .returned = 1};
  EXPECT_EQ(Check({add, Read(1, 2, 3)}), Result::kLinearizable);
  EXPECT_EQ(Check({add, Read(2, 2, 3)}), Result::kViolation);
}

TEST(LinearizabilityTest, SeveralUnknownAddsMayAllHaveHappened) {
  const RegisterEvent add = {.operation = Op::kAdd, .input = 1, .call = 0, .known = false};
  EXPECT_EQ(Check({add, add, add, Read(3, 5, 6)}), Result::kLinearizable);
  EXPECT_EQ(Check({add, add, add, Read(4, 5, 6)}), Result::kViolation);
}

TEST(LinearizabilityTest, ASwapTellsWhatWasThereBefore) {
  const RegisterEvent swap = {
      .operation = Op::kSwap, .input = 5, .output = 1, .call = 2, .returned = 3};
  EXPECT_EQ(Check({Write(1, 0, 1), swap, Read(5, 4, 5)}), Result::kLinearizable);
  EXPECT_EQ(Check({Write(2, 0, 1), swap, Read(5, 4, 5)}), Result::kViolation);
  EXPECT_EQ(Check({Write(2, 0, 1), Unknown(swap), Read(5, 4, 5)}), Result::kLinearizable);
}

TEST(LinearizabilityTest, AFailedCompareAndSetIsARead) {
  RegisterEvent failed = {.operation = Op::kCompareAndSet,
                          .input = 5,
                          .expected = 1,
                          .output = 0,
                          .call = 2,
                          .returned = 3};
  EXPECT_EQ(Check({Write(2, 0, 1), failed, Read(2, 4, 5)}), Result::kLinearizable);
  EXPECT_EQ(Check({Write(1, 0, 1), failed, Read(1, 4, 5)}), Result::kViolation);
}

TEST(LinearizabilityTest, GivingUpIsNotPassing) {
  std::vector<RegisterEvent> history;
  for (int i = 1; i <= 12; ++i) history.push_back(Write(i, 0, 100));
  history.push_back(Read(99, 101, 102));
  EXPECT_EQ(CheckRegister(history, 0, 50).verdict, Result::kUndecided);
}

// Histories made by a real register pass, and the same with one read's value changed to a value
// never written fail.
TEST(LinearizabilityTest, RandomTrueHistoriesPassAndFalsifiedOnesFail) {
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    std::vector<RegisterEvent> history;
    int64_t value = 0;
    int64_t next_value = 1;
    for (int i = 0; i < 30; ++i) {
      const int64_t point = 10 * (i + 1);  // when it takes effect
      RegisterEvent event = {.call = point - random.Between(0, 25),
                             .returned = point + random.Between(0, 25)};
      if (random.Chance(0.5)) {
        event.operation = Op::kRead;
        event.output = value;
      } else {
        event.operation = random.Chance(0.5) ? Op::kWrite : Op::kSwap;
        event.output = value;
        event.input = value = next_value++;
        event.known = random.Chance(0.8);
      }
      history.push_back(event);
    }
    EXPECT_EQ(Check(history), Result::kLinearizable) << round;
    for (RegisterEvent& event : history) {
      if (event.operation != Op::kRead) continue;
      event.output = 1000;
      EXPECT_EQ(Check(history), Result::kViolation) << round;
      break;
    }
  }
}

}  // namespace
}  // namespace ringleader::simulation
