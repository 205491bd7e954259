// The machine's clocks.
#include "common/clock.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ringleader {
namespace {

// A holder that believed that less time had passed than has would read from memory what is no
// longer its own.
TEST(ClockTest, AHoldersReadingIsNeverBeforeNowAndAtMostAMillisecondAfterIt) {
  const auto read_often = [] {
    for (int i = 0; i < 200'000; ++i) {
      const Instant before = SystemClock().Now();
      const Instant holder = SystemClock().HolderNow();
      const Instant after = SystemClock().Now();
      ASSERT_GE(holder.raw, before.raw);
      ASSERT_GE(holder.boot, before.boot);
      ASSERT_LE(holder.raw, after.raw + std::chrono::milliseconds(1));
      ASSERT_LE(holder.boot, after.boot);
      if (i % 20'000 == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // time passes
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(read_often);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace ringleader
