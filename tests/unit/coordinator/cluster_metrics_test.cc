// Protects what coordinators show: the cluster once, by who leads, and what is missing when they
// can't do their work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/coordinator_world.h"

namespace ringleader::coordinator {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string MetricsOf(CoordinatorWorld& world, uint64_t number) {
  MetricSink sink;
  world.machine(number).coordinator->Admin().collect(sink);
  return sink.Text();
}

std::vector<std::string> MissingOf(CoordinatorWorld& world, uint64_t number) {
  return world.machine(number).coordinator->Admin().missing();
}

TEST(ClusterMetricsTest, TheLeaderShowsTheClusterAndTheOthersThemselves) {
  CoordinatorWorld world(41, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(30)));
  world.RunFor(seconds(10));
  for (uint64_t number = 1; number <= 3; ++number) {
    const std::string text = MetricsOf(world, number);
    EXPECT_THAT(text, HasSubstr("\nringleader_coordinator_ready 1\n"));
    EXPECT_THAT(text, HasSubstr("\nringleader_raft_replicas{role=\""));
    if (number == world.Leader()) {
      EXPECT_THAT(text, HasSubstr("\nringleader_coordinator_leads 1\n"));
      EXPECT_THAT(text, HasSubstr("\nringleader_cluster_partitions_wanted 4\n"));
      EXPECT_THAT(text, HasSubstr("\nringleader_cluster_coordinators_alive 3\n"));
      EXPECT_THAT(text, HasSubstr("\nringleader_cluster_nodes{state=\"up\"} 0\n"));
    } else {
      EXPECT_THAT(text, HasSubstr("\nringleader_coordinator_leads 0\n"));
      EXPECT_THAT(text, Not(HasSubstr("ringleader_cluster_")));
    }
    EXPECT_THAT(MissingOf(world, number), IsEmpty());
  }
}

TEST(ClusterMetricsTest, WithoutAMajorityNoneIsReady) {
  CoordinatorWorld world(42, 3);
  world.Start(1);
  world.RunFor(seconds(5));
  EXPECT_THAT(MissingOf(world, 1), ElementsAre(HasSubstr("no place in a cluster yet")));
  EXPECT_THAT(MetricsOf(world, 1), HasSubstr("\nringleader_coordinator_ready 0\n"));
  world.Start(2);
  world.Start(3);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(30)));
  world.Kill(2);
  world.Kill(3);
  world.RunFor(seconds(20));
  EXPECT_THAT(MissingOf(world, 1), ElementsAre(HasSubstr("No coordinator leads")));
}

}  // namespace
}  // namespace ringleader::coordinator
