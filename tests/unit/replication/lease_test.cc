// Protects linearizable reads without a round trip: a lease must never outlive what its followers
// promised.
#include "replication/lease.h"

#include <gtest/gtest.h>

namespace ringleader::replication {
namespace {

using std::chrono::milliseconds;

Instant At(int64_t ms) { return Instant{.raw = milliseconds(ms), .boot = milliseconds(ms)}; }

// DESIGN section 11, rule 4: a lease starts when the round was sent, not when it was confirmed.
TEST(LeaseTest, ARoundCountsFromWhenItWasSent) {
  RoundTimes rounds;
  rounds.Sent(3, 1, At(100));
  rounds.Sent(3, 2, At(200));
  EXPECT_EQ(rounds.Confirmed(3, 2), At(200));
}

TEST(LeaseTest, AConfirmationCoversEarlierRoundsAndCountsOnce) {
  RoundTimes rounds;
  rounds.Sent(3, 1, At(100));
  rounds.Sent(3, 2, At(200));
  rounds.Sent(3, 3, At(300));
  EXPECT_EQ(rounds.Confirmed(3, 2), At(200));
  EXPECT_EQ(rounds.Confirmed(3, 1), std::nullopt);
  EXPECT_EQ(rounds.Confirmed(3, 3), At(300));
}

// Rule 3: confirmations are keyed by term and counter; a new term starts over.
TEST(LeaseTest, ARoundOfAnotherTermConfirmsNothing) {
  RoundTimes rounds;
  rounds.Sent(3, 1, At(100));
  EXPECT_EQ(rounds.Confirmed(4, 1), std::nullopt);
  rounds.Sent(5, 1, At(500));
  EXPECT_EQ(rounds.Confirmed(3, 1), std::nullopt);
  EXPECT_EQ(rounds.Confirmed(5, 1), At(500));
}

TEST(LeaseTest, UnconfirmedRoundsAreBounded) {
  RoundTimes rounds;
  for (uint64_t round = 1; round <= RoundTimes::kRoundsMax + 10; ++round) {
    rounds.Sent(1, round, At(static_cast<int64_t>(round)));
  }
  EXPECT_EQ(rounds.Confirmed(1, 5), std::nullopt);  // forgotten: no lease rather than a wrong one
  EXPECT_TRUE(rounds.Confirmed(1, 20).has_value());
}

// The arithmetic of lease.h: shorter than the shortest time in which a follower can count its
// ticks.
TEST(LeaseTest, EndsBeforeAFastFollowerCanForgetItsPromise) {
  const double drift = 0.01;
  const Duration lease = LeaseLength(10, milliseconds(100), drift);
  // The follower's clock gains `drift` on the leader's: its nine whole periods take this long to
  // the leader.
  const auto follower = Duration(static_cast<int64_t>(9 * 100e6 / (1 + drift)));
  EXPECT_LT(lease, follower);
  EXPECT_GT(lease, milliseconds(850));
}

TEST(LeaseTest, HolderAndWaiterTakeTheReadingThatIsSafeForThem) {
  const Instant from{.raw = milliseconds(0), .boot = milliseconds(0)};
  const Instant to{.raw = milliseconds(10), .boot = milliseconds(5010)};  // the machine slept
  EXPECT_EQ(HolderElapsed(from, to), milliseconds(5010));
  EXPECT_EQ(WaiterElapsed(from, to), milliseconds(10));
}

}  // namespace
}  // namespace ringleader::replication
