// No read from memory is ever stale, whatever happens to leaders, sessions, lanes and clocks.
#include "tests/unit/cache/lease_world.h"

#include <gtest/gtest.h>

namespace ringleader {
namespace {

TEST(LeaseWorldTest, NoReadFromMemoryIsStale) {
  LeaseWorld::Counts sum;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    LeaseWorld world(seed);
    for (int step = 0; step < 1500; ++step) world.Step();
    ASSERT_EQ(world.counts().stale, 0u) << "seed " << seed << ": " << world.first_stale();
    sum.hits += world.counts().hits;
    sum.deposed_grants += world.counts().deposed_grants;
    sum.writes += world.counts().writes;
    sum.parked += world.counts().parked;
    sum.sessions_ended += world.counts().sessions_ended;
    sum.given_back += world.counts().given_back;
    sum.given_back_late += world.counts().given_back_late;
    sum.transfers += world.counts().transfers;
  }
  // It had occasion to fail.
  EXPECT_GT(sum.hits, 100'000u);
  EXPECT_GT(sum.writes, 10'000u);
  EXPECT_GT(sum.parked, 5'000u);
  EXPECT_GT(sum.deposed_grants, 500u);
  EXPECT_GT(sum.sessions_ended, 1'000u);
  EXPECT_GT(sum.given_back, 100u);
  EXPECT_GT(sum.given_back_late, 100u);
  EXPECT_GT(sum.transfers, 100u);
}

}  // namespace
}  // namespace ringleader
