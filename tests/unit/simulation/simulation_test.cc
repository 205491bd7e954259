// The event loop.
#include "tests/simulation/simulation.h"

#include <gtest/gtest.h>

#include <functional>

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

}  // namespace
}  // namespace ringleader::simulation
