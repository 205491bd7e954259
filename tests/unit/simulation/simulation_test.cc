// The event loop.
#include "tests/simulation/simulation.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace ringleader::simulation {
namespace {

// Protects machines that run the simulator, and finds what it must: messages whose answers bring
// forth more messages would go on until memory is full.
TEST(SimulationDeathTest, EventsThatSetEachOtherGoingEndTheRun) {
  const auto storm = [] {
    Simulation simulation(1);
    std::function<void()> answer = [&] {
      simulation.At(std::chrono::microseconds(1), [&] { answer(); });
    };
    answer();
    simulation.RunFor(std::chrono::seconds(2));
  };
  EXPECT_DEATH(storm(), "processes that set each other going");
}

// Protects long runs: the bound is of a second, not of a run.
TEST(SimulationTest, ManyEventsInManySecondsAreWell) {
  Simulation simulation(1);
  uint64_t ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    simulation.At(std::chrono::microseconds(10), [&] { tick(); });
  };
  tick();
  simulation.RunFor(std::chrono::seconds(5));
  EXPECT_GT(ticks, 400'000u);
}

// Protects every run: what is due at the same time runs in the order in which it was asked for,
// whatever was cancelled or ran before.
TEST(SimulationTest, EventsRunByTimeThenInTheirOrder) {
  Simulation simulation(1);
  std::vector<int> ran;
  const auto at = [&](int millis, int name) {
    return simulation.At(std::chrono::milliseconds(millis), [&ran, name] { ran.push_back(name); });
  };
  const uint64_t first = at(5, 1);
  at(3, 2);
  const uint64_t third = at(3, 3);
  simulation.Cancel(first);
  at(5, 4);  // in the place of the cancelled one
  at(3, 5);
  simulation.Cancel(third);
  at(1, 6);
  simulation.RunFor(std::chrono::milliseconds(4));
  EXPECT_EQ(ran, (std::vector<int>{6, 2, 5}));
  simulation.RunFor(std::chrono::milliseconds(4));
  EXPECT_EQ(ran, (std::vector<int>{6, 2, 5, 4}));
}

TEST(SimulationTest, AnEventThatRanOrWasCancelledCancelsNothing) {
  Simulation simulation(1);
  int ran = 0;
  const auto count = [&ran] { ++ran; };
  const uint64_t gone = simulation.At(Duration(1), count);
  simulation.RunFor(Duration(1));
  const uint64_t cancelled = simulation.At(Duration(1), count);
  simulation.Cancel(cancelled);
  simulation.At(Duration(1), count);
  for (const uint64_t event : {gone, cancelled, uint64_t{0}}) simulation.Cancel(event);
  simulation.RunFor(Duration(1));
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace ringleader::simulation
