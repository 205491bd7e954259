// Who is taken for a member of the cluster, who is let go, and what is told of coordinators that do
// not follow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "coordinator/lagging_coordinators.h"
#include "tests/unit/coordinator/service_callers.h"

namespace ringleader::coordinator {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

v1::StatusResponse StatusOf(CoordinatorWorld& world, uint64_t number) {
  return Ask<v1::StatusResponse>(world, number, absl::StrCat(kCluster, "Status"),
                                 v1::StatusRequest());
}

v1::AdminResponse Remove(CoordinatorWorld& world, uint64_t node, bool force = false) {
  v1::NodeRequest request;
  request.set_node(node);
  request.set_force(force);
  return Ask<v1::AdminResponse>(world, 1, absl::StrCat(kCluster, "RemoveNode"), request);
}

// Protects a node that is well from another one that was started with its address, which would
// stand for its replaced disk: its replicas would be taken from it at once. One whose disk was
// replaced gets its place when the old id is silent.
TEST(Members, AnAddressInUseIsNotGivenToAnother) {
  CoordinatorWorld world(51, 1);
  world.balancer.alive_timeout = seconds(3);
  world.Start(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  ScriptedNode first(world, 42, "0.0.0.0:7100"), second(world, 43, "0.0.0.0:7100");
  first.Register(1);
  first.Attend(1);
  for (int i = 0; i < 5; ++i) {
    first.Live(seconds(1));
    const v1::RegisterResponse refused = second.Register(1);
    EXPECT_EQ(refused.outcome().error(), v1::ERROR_CONFLICT);
    EXPECT_THAT(refused.outcome().message(), HasSubstr("--advertise"));
    EXPECT_FALSE(refused.removed());
  }
  EXPECT_EQ(first.Register(1).outcome().error(), v1::ERROR_NONE);
  EXPECT_TRUE(StatusOf(world, 1).nodes(0).alive());
  EXPECT_EQ(first.replicas().size(), 4u);
  world.RunFor(seconds(5));
  EXPECT_EQ(second.Register(1).node(), 2u);
}

// The same where neither of two has been taken yet.
TEST(Members, OfTwoThatComeWithOneAddressAtOnceOneIsTaken) {
  CoordinatorWorld world(52, 1);
  world.Start(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  std::vector<std::shared_ptr<Stream>> answers;
  std::vector<std::shared_ptr<Call>> calls;
  for (const uint64_t incarnation : {42, 43}) {
    answers.push_back(std::make_shared<Stream>());
    calls.push_back(world.client().Start(CoordinatorWorld::Address(1),
                                         absl::StrCat(kMembership, "Register"), {},
                                         std::make_unique<StreamHandler>(answers.back())));
    calls.back()->Send(
        ScriptedNode(world, incarnation, "a:7100").Introduction().SerializeAsString());
    calls.back()->Finish(absl::OkStatus());
  }
  world.RunFor(seconds(2));
  size_t taken = 0;
  for (const auto& answer : answers) {
    v1::RegisterResponse response;
    ASSERT_EQ(answer->messages.size(), 1u);
    ASSERT_TRUE(response.ParseFromString(answer->messages[0]));
    taken += response.outcome().error() == v1::ERROR_NONE;
  }
  EXPECT_EQ(taken, 1u);
  EXPECT_EQ(StatusOf(world, 1).nodes_size(), 1);
}

// One coordinator, and three nodes that have all partitions.
struct ThreeScriptedNodes {
  explicit ThreeScriptedNodes(uint64_t seed) : world(seed, 1) {
    world.replicas = 3;
    world.balancer.alive_timeout = seconds(3);
    world.Start(1);
    EXPECT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
    for (ScriptedNode* node : {&a, &b, &c}) {
      node->Register(1);
      node->Attend(1);
    }
    ScriptedNode::LiveTogether(world, {&a, &b, &c}, seconds(3));
  }

  CoordinatorWorld world;
  ScriptedNode a{world, 41}, b{world, 42}, c{world, 43};
};

// Protects data from an operator who removes what is silent: what has a majority without it goes,
// and of the rest only what is given up in so many words.
TEST(Members, ANodeThatAMajorityNeedsIsRemovedOnlyByForce) {
  ThreeScriptedNodes cluster(53);
  auto& [world, a, b, c] = cluster;
  ASSERT_EQ(a.replicas().size(), 4u);
  EXPECT_THAT(Remove(world, c.id(), true).outcome().message(), HasSubstr("drain it"));
  a.Live(seconds(5));
  const v1::AdminResponse refused = Remove(world, c.id());
  EXPECT_EQ(refused.outcome().error(), v1::ERROR_IN_USE);
  EXPECT_THAT(refused.outcome().message(), HasSubstr("partition 1 would have 1 of its 3 voters"));
  EXPECT_THAT(refused.outcome().message(), HasSubstr("--force"));
  EXPECT_EQ(Remove(world, c.id(), true).outcome().error(), v1::ERROR_NONE);
  EXPECT_EQ(Remove(world, c.id()).outcome().error(), v1::ERROR_NONE);  // it is already
  EXPECT_EQ(Remove(world, b.id()).outcome().error(), v1::ERROR_IN_USE);
  // A removed node is told so, and why it is refused.
  const v1::RegisterResponse back = c.Register(1);
  EXPECT_EQ(back.outcome().error(), v1::ERROR_CONFLICT);
  EXPECT_TRUE(back.removed());
}

TEST(Members, ASilentNodeThatNoMajorityNeedsIsRemoved) {
  ThreeScriptedNodes cluster(54);
  auto& [world, a, b, c] = cluster;
  ScriptedNode::LiveTogether(world, {&a, &b}, seconds(5));
  EXPECT_EQ(Remove(world, c.id()).outcome().error(), v1::ERROR_NONE);
  // What is left of the majority is needed now, though the second one only went silent.
  a.Live(seconds(5));
  EXPECT_EQ(Remove(world, b.id()).outcome().error(), v1::ERROR_IN_USE);
}

// Protects operators from a cluster that has no coordinator to lose while health is clean: one with
// a full disk answers, and follows nothing.
TEST(Members, ACoordinatorWithAFullDiskIsNamed) {
  CoordinatorWorld world(55, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(30)));
  const uint64_t leader = world.Leader(), full = leader % 3 + 1;
  const auto lags = HasSubstr(absl::StrCat("Coordinator ", full - 1, " answers and has not"));
  world.RunFor(seconds(30));
  EXPECT_THAT(StatusOf(world, leader).alarms(), Not(Contains(HasSubstr("answers and has not"))));
  SimulatedFileSystem& disk = *world.machine(full).disk;
  disk.SetCapacity(disk.UsedBytes());
  for (uint64_t i = 0; i < 30; ++i) {
    ScriptedNode(world, 100 + i, absl::StrCat("n", i)).Register(leader);  // something to write
    world.RunFor(seconds(1));
  }
  ASSERT_EQ(world.Leader(), leader);
  EXPECT_THAT(StatusOf(world, leader).alarms(), Contains(lags));
  disk.SetCapacity(UINT64_MAX);
  world.RunFor(seconds(30));
  EXPECT_THAT(StatusOf(world, leader).alarms(), Not(Contains(lags)));
}

TEST(LaggingCoordinatorsTest, OneIsNamedAfterSomeSecondsUntilItFollows) {
  LaggingCoordinators lagging;
  Instant now;
  const auto after = [&](int so_long, const std::map<uint64_t, std::string>& why) {
    for (int i = 0; i < so_long; ++i) {
      now.raw += seconds(1);
      now.boot += seconds(1);
      lagging.Update(why, now);
    }
    return lagging.Alarms(now);
  };
  EXPECT_THAT(after(5, {{2, "It is so."}}), IsEmpty());
  EXPECT_THAT(after(1, {}), IsEmpty());
  EXPECT_THAT(after(10, {{2, "It is so."}}), IsEmpty());
  EXPECT_THAT(after(1, {{2, "The disk is full."}}),
              ElementsAre(HasSubstr("Coordinator 1 answers and has not followed the metadata for "
                                    "10 s. The disk is full.")));
  EXPECT_THAT(after(1, {}), IsEmpty());
}

// Protects clients from a map that grows old: a coordinator that does not hear of changes any more
// sends them to another one. Whoever comes anew gets the map that there is.
TEST(Members, ACoordinatorWithoutALeaderEndsItsWatches) {
  CoordinatorWorld world(56, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(30)));
  const uint64_t left = world.Leader() % 3 + 1;
  Watching watching(world, left);
  world.RunFor(seconds(60));
  EXPECT_FALSE(watching.stream().ended);
  for (uint64_t number = 1; number <= 3; ++number) {
    if (number != left) world.Kill(number);
  }
  world.RunFor(seconds(5));
  EXPECT_FALSE(watching.stream().ended);
  world.RunFor(seconds(15));
  EXPECT_TRUE(watching.stream().ended);
  EXPECT_TRUE(absl::IsUnavailable(watching.stream().status)) << watching.stream().status;
  Watching late(world, left);
  world.RunFor(seconds(5));
  EXPECT_FALSE(late.stream().ended);
  ASSERT_FALSE(late.Updates().empty());
  EXPECT_TRUE(late.Updates()[0].complete());
  world.RunFor(seconds(10));
  EXPECT_TRUE(late.stream().ended);
  for (uint64_t number = 1; number <= 3; ++number) {
    if (number != left) world.Start(number);
  }
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(30)));
  world.RunFor(seconds(5));
  Watching again(world, left);
  world.RunFor(seconds(60));
  EXPECT_FALSE(again.stream().ended);
}

}  // namespace
}  // namespace ringleader::coordinator
