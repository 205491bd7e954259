// The whole cluster in the simulator: that a run is what its seed says, and that many runs in
// processes of their own keep one's end from being another's.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "common/logging.h"
#include "tests/simulation/cluster_run.h"
#include "tests/simulation/seed_workers.h"

namespace ringleader::simulation {
namespace {

// Protects replays: the same seed is the same run, another seed another. A run does real work: all
// kinds of operations succeed on partitions that were led.
TEST(ClusterRunTest, SeedDecidesEverything) {
  SetLogLevel(LogLevel::kOff);
  const RunResult first = RunCluster(7), again = RunCluster(7), other = RunCluster(8);
  EXPECT_EQ(first.violation, "");
  EXPECT_EQ(first.trace_hash, again.trace_hash);
  EXPECT_EQ(first.counts, again.counts);
  EXPECT_NE(first.trace_hash, other.trace_hash);
  EXPECT_GT(first.counts.at("operation: read"), 50u);
  EXPECT_GT(first.counts.at("operation: write"), 50u);
  EXPECT_GT(first.counts.at("operation: add"), 20u);
  EXPECT_GT(first.elections, 0u);
  EXPECT_GT(first.counts.at("gate: asserted"), 100u);
}

// Protects long runs: a run that ends its process is a failure of its seed, and the seeds behind it
// are run nevertheless.
TEST(SeedWorkersTest, DeathIsOneSeedsFailure) {
  std::set<uint64_t> passed;
  std::map<uint64_t, std::string> failed;
  RunSeeds(
      {.first = 1, .last = 9, .workers = 2},
      [](uint64_t seed) {
        if (seed == 3) std::abort();
        if (seed == 6) std::_Exit(5);
        return RunResult{.seed = seed, .violation = seed == 8 ? "a lost\twrite\n" : ""};
      },
      [&](const RunResult& result) {
        if (result.violation.empty()) {
          EXPECT_TRUE(passed.insert(result.seed).second);
        } else {
          EXPECT_TRUE(failed.emplace(result.seed, result.violation).second);
        }
      });
  EXPECT_EQ(passed, (std::set<uint64_t>{1, 2, 4, 5, 7, 9}));
  ASSERT_EQ(failed.size(), 3u);
  EXPECT_EQ(failed[3].substr(0, 28), "the run ended by signal 6; w");
  EXPECT_EQ(failed[6], "the run ended with 5");
  EXPECT_EQ(failed[8], "a lost\twrite\n");
}

// Protects what workers tell: every number arrives as it was.
TEST(SeedWorkersTest, ResultsSurviveThePipe) {
  RunResult result{.seed = UINT64_MAX, .violation = "x\ny", .trace_hash = 1ull << 63, .events = 3};
  result.virtual_seconds = 61.5;
  result.operations = 4;
  result.unknown = 5;
  result.elections = 6;
  result.counts = {{"partition in two parts", 7}, {"kill", 0}};
  RunResult decoded;
  ASSERT_TRUE(DecodeResult(EncodeResult(result), &decoded));
  EXPECT_EQ(EncodeResult(decoded), EncodeResult(result));
  EXPECT_EQ(decoded.counts, result.counts);
  EXPECT_FALSE(DecodeResult("", &decoded));
}

}  // namespace
}  // namespace ringleader::simulation
