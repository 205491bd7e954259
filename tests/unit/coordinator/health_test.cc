// Protects what health says of nodes: an alarm is about what is so now.
#include "coordinator/health.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/coordinator/three_nodes.h"

namespace ringleader::coordinator {
namespace {

bool Alarm(const Metadata& metadata, const Observations& seen, absl::string_view words) {
  const v1::StatusResponse health = DescribeHealth(metadata, seen, {}, 0, {});
  for (const std::string& alarm : health.alarms()) {
    if (absl::StrContains(alarm, words)) return true;
  }
  return false;
}

TEST(HealthTest, AFullDiskIsNoAlarmOnceTheNodeIsGone) {
  Metadata metadata;
  v1::Command found;
  found.mutable_found_cluster()->set_formation(7);
  found.mutable_found_cluster()->add_incarnations(1);
  found.mutable_found_cluster()->set_partitions(1);
  found.mutable_found_cluster()->set_replicas(1);
  ASSERT_TRUE(metadata.Apply(found).ok());
  v1::Command command;
  command.mutable_register_node()->set_incarnation(1000);
  command.mutable_register_node()->set_address("node-1:7100");
  Observations seen;
  const uint64_t full = metadata.Apply(command).id;
  seen[full].disk_full = true;
  EXPECT_TRUE(Alarm(metadata, seen, "its disk is full"));
  // Its disk is wiped: the address comes back under another id, and nobody reports for the old one.
  command.mutable_register_node()->set_incarnation(1001);
  ASSERT_NE(metadata.Apply(command).id, full);
  EXPECT_FALSE(Alarm(metadata, seen, "its disk is full"));
}

// Protects operators: a partition whose last leader went silent is said to have none.
TEST(HealthTest, ASilentNodeLeadsNothing) {
  Metadata metadata;
  FormThreeNodes(metadata);
  Observations seen;
  seen[2].replicas[1].set_leads(true);
  seen[2].replicas[1].set_term(3);
  uint64_t node = 0;
  EXPECT_FALSE(Alarm(metadata, seen, "report no leader"));
  EXPECT_NE(Balancer::LeaderReport(metadata, seen, 1, &node), nullptr);  // what metrics count by
  v1::Command away;
  away.mutable_set_node_alive()->set_node(2);
  ASSERT_TRUE(metadata.Apply(away).ok());
  EXPECT_TRUE(Alarm(metadata, seen, "report no leader"));
  EXPECT_EQ(Balancer::LeaderReport(metadata, seen, 1, &node), nullptr);
}

}  // namespace
}  // namespace ringleader::coordinator
