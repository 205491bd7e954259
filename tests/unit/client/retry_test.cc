// How long retries wait: not so long that a cluster which serves again is noticed late, and not so
// short that one which does not is flooded.
#include "client/retry.h"

#include <gtest/gtest.h>

namespace ringleader::client {
namespace {

using std::chrono::milliseconds;

constexpr RetryOptions kOptions{.backoff_min = milliseconds(10),
                                .backoff_max = milliseconds(150),
                                .budget_tokens_max = 20,
                                .tokens_per_answer = 0.5};

TEST(RetryPolicyTest, WaitsDoubleUpToTheMost) {
  RetryPolicy policy(kOptions, Random(1));
  Duration longest_first{0}, longest_later{0};
  for (int i = 0; i < 1000; ++i) {
    longest_first = std::max(longest_first, policy.NextDelay(1, Duration(0)));
    longest_later = std::max(longest_later, policy.NextDelay(9, Duration(0)));
    for (int answers = 0; answers < 4; ++answers) policy.Answered();
  }
  EXPECT_GT(longest_first, milliseconds(8));
  EXPECT_LE(longest_first, milliseconds(10));
  EXPECT_GT(longest_later, milliseconds(130));
  EXPECT_LE(longest_later, milliseconds(150));
}

TEST(RetryPolicyTest, AnEmptyBudgetMakesEachWaitTheLongest) {
  RetryPolicy policy(kOptions, Random(2));
  for (int i = 0; i < 20; ++i) policy.NextDelay(1, Duration(0));
  for (int i = 0; i < 100; ++i) {
    const Duration delay = policy.NextDelay(1, Duration(0));
    EXPECT_GE(delay, milliseconds(150));
    EXPECT_LE(delay, milliseconds(188));
  }
  policy.Answered();
  policy.Answered();
  EXPECT_LE(policy.NextDelay(1, Duration(0)), milliseconds(10)) << "two answers earn a token";
  EXPECT_GE(policy.NextDelay(1, Duration(0)), milliseconds(150));
}

TEST(RetryPolicyTest, ANamedWaitIsKept) {
  RetryPolicy policy(kOptions, Random(3));
  for (int i = 0; i < 100; ++i)
    EXPECT_GE(policy.NextDelay(1, milliseconds(700)), milliseconds(700));
}

}  // namespace
}  // namespace ringleader::client
