#include "node/order_fence.h"

#include <gtest/gtest.h>

namespace ringleader {
namespace {

replication::ReplicaView LeaderOfVersion(uint64_t version) {
  replication::ReplicaView leader;
  leader.role = replication::Role::kLeader;
  leader.serving = true;
  leader.commit = 20;
  leader.configuration.version = version;
  leader.configuration_index = 12;
  return leader;
}

coordinator::v1::ChangeMembers OrderFor(uint64_t version) {
  coordinator::v1::ChangeMembers order;
  order.set_expected_version(version);
  return order;
}

// Protects memberships from orders that were under way while they changed: one would bring back who
// was removed.
TEST(OrderFenceTest, OnlyTheMembersThatItWasMadeForAreChanged) {
  EXPECT_TRUE(MayChangeMembers(LeaderOfVersion(4), OrderFor(4)));
  EXPECT_FALSE(MayChangeMembers(LeaderOfVersion(5), OrderFor(4)));
  EXPECT_FALSE(MayChangeMembers(LeaderOfVersion(3), OrderFor(4)));
}

// Protects the rule of one change at a time, and the claim to lead.
TEST(OrderFenceTest, NobodyChangesThemInAChangeOrWithoutLeading) {
  replication::ReplicaView leader = LeaderOfVersion(4);
  leader.configuration_index = leader.commit + 1;
  EXPECT_FALSE(MayChangeMembers(leader, OrderFor(4)));
  leader = LeaderOfVersion(4);
  leader.serving = false;
  EXPECT_FALSE(MayChangeMembers(leader, OrderFor(4)));
}

}  // namespace
}  // namespace ringleader
