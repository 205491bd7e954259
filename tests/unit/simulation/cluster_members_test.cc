// What keeps a run's harm within the fault model: a rule that forbade everything, or nothing, would
// hide faults or invent them.
#include "tests/simulation/cluster_members.h"

#include <gtest/gtest.h>

namespace ringleader::simulation {
namespace {

using replication::ReplicaId;
using replication::ReplicaView;

constexpr replication::GroupId kGroup = 7;
constexpr uint64_t kNow = 3;  // the members' version

// Replica r is on host r, voters are 1 to 3.
class ClusterMembersTest : public testing::Test {
 protected:
  ClusterMembersTest() {
    for (const HostId host : {1, 2, 3}) See(host, View());
  }

  static ReplicaView View() {
    ReplicaView view;
    view.configuration = {.voters = {{1, 1}, {2, 2}, {3, 3}}, .version = kNow};
    return view;
  }

  void See(HostId host, const ReplicaView& view, ReplicaId replica = 0) {
    members_.Observe(host, {{kGroup, {replica == 0 ? host : replica, view}}});
  }

  ClusterMembers members_;
};

TEST_F(ClusterMembersTest, OneOfThreeMayBeHarmed) {
  for (const HostId host : {1, 2, 3}) EXPECT_TRUE(members_.OthersAreWhole(host));
  EXPECT_TRUE(members_.OthersAreWhole(4)) << "it holds nothing";
}

TEST_F(ClusterMembersTest, BesideOneThatLacksSomethingNobodyMay) {
  ReplicaView view = View();
  view.rebuilding = true;
  See(2, view);
  EXPECT_FALSE(members_.OthersAreWhole(1));
  EXPECT_TRUE(members_.OthersAreWhole(2)) << "it is the one";
  view = View();
  view.unfillable = true;
  See(2, view);
  EXPECT_FALSE(members_.OthersAreWhole(3));
  See(2, ReplicaView());
  EXPECT_FALSE(members_.OthersAreWhole(3)) << "it never received its state";
  See(2, View());
  EXPECT_TRUE(members_.OthersAreWhole(3));
}

TEST_F(ClusterMembersTest, AVoterThatNobodyHasIsMissed) {
  members_.Forget(2);
  EXPECT_FALSE(members_.OthersAreWhole(1));
  See(2, View(), /*replica=*/9);
  EXPECT_FALSE(members_.OthersAreWhole(1)) << "another replica than the voter";
}

// Members are the newest that anybody knows; who left is not waited for, and counts for nothing.
TEST_F(ClusterMembersTest, WhoLeftDoesNotCount) {
  ReplicaView view = View();
  view.configuration = {.voters = {{1, 1}, {2, 2}, {4, 4}}, .version = kNow + 1};
  See(1, view);
  See(2, view);
  See(4, view);
  members_.Forget(3);
  EXPECT_TRUE(members_.OthersAreWhole(1));
  members_.Forget(4);
  EXPECT_FALSE(members_.OthersAreWhole(1));
  See(3, View());
  EXPECT_FALSE(members_.OthersAreWhole(1)) << "who comes back knows older members";
}

// As after a power cut of all: nobody knows members for a moment, and one of them was not whole.
TEST_F(ClusterMembersTest, MembersAreNotForgotten) {
  for (const HostId host : {1, 2}) See(host, ReplicaView());
  See(3, ReplicaView(), /*replica=*/4);
  for (const HostId host : {1, 2, 3}) EXPECT_FALSE(members_.OthersAreWhole(host));
}

TEST_F(ClusterMembersTest, AJointConfigurationNeedsBoth) {
  ReplicaView view = View();
  view.configuration = {.voters = {{1, 1}, {2, 2}, {4, 4}},
                        .outgoing = {{1, 1}, {2, 2}, {3, 3}},
                        .version = kNow + 1};
  for (const HostId host : {1, 2, 3, 4}) See(host, view);
  EXPECT_TRUE(members_.OthersAreWhole(1));
  members_.Forget(3);
  EXPECT_FALSE(members_.OthersAreWhole(1));
}

}  // namespace
}  // namespace ringleader::simulation
