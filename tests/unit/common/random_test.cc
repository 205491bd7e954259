// Protects the simulator's reproducibility: the same seed must give the same draws for ever.
#include "common/random.h"

#include <gtest/gtest.h>

namespace ringleader {
namespace {

TEST(RandomTest, ASeedGivesTheSameSequenceForEver) {
  Random random(42);
  EXPECT_EQ(random.Next(), 1546998764402558742u);
  EXPECT_EQ(random.Next(), 6990951692964543102u);
  Random again(42);
  EXPECT_EQ(again.Next(), 1546998764402558742u);
}

TEST(RandomTest, BelowReachesEveryValueAndNoOther) {
  Random random(1);
  int seen[7] = {};
  for (int i = 0; i < 7000; ++i) {
    const uint64_t draw = random.Below(7);
    ASSERT_LT(draw, 7u);
    ++seen[draw];
  }
  for (const int count : seen) EXPECT_GT(count, 800);
}

TEST(RandomTest, BetweenCoversTheWholeRangeOfIntegers) {
  Random random(2);
  for (int i = 0; i < 100; ++i) {
    const int64_t draw = random.Between(-3, 3);
    EXPECT_GE(draw, -3);
    EXPECT_LE(draw, 3);
  }
  random.Between(INT64_MIN, INT64_MAX);  // the span wraps to zero
}

TEST(RandomTest, ChanceOfZeroAndOneIsCertain) {
  Random random(3);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(random.Chance(0));
    EXPECT_TRUE(random.Chance(1));
  }
}

}  // namespace
}  // namespace ringleader
