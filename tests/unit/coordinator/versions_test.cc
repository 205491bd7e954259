// The cluster's version: who may join, when it may be raised, and who is kept out afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/metadata.h"
#include "coordinator/metadata_machine.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace ringleader::coordinator {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr VersionRange kOld = {1, 1};
constexpr VersionRange kNew = {1, 2};

v1::Command Found(uint32_t version) {
  v1::Command command;
  v1::FormationPlan& plan = *command.mutable_found_cluster();
  plan.set_formation(77);
  for (const uint64_t incarnation : {11, 12}) plan.add_incarnations(incarnation);
  plan.set_partitions(2);
  plan.set_replicas(1);
  plan.set_cluster_version(version);
  return command;
}

v1::Command RegisterAs(uint64_t incarnation, const VersionRange& versions) {
  v1::Command command;
  v1::RegisterRequest& request = *command.mutable_register_node();
  request.set_incarnation(incarnation);
  request.set_address(absl::StrCat("n", incarnation));
  *request.mutable_versions() = VersionsMessage(versions);
  return command;
}

v1::Command Describe(uint64_t coordinator, const VersionRange& versions) {
  v1::Command command;
  v1::DescribeCoordinator& describe = *command.mutable_describe_coordinator();
  describe.set_coordinator(coordinator);
  describe.set_incarnation(10 + coordinator);
  *describe.mutable_versions() = VersionsMessage(versions);
  return command;
}

v1::Command Raise(uint32_t from, uint32_t to) {
  v1::Command command;
  command.mutable_raise_version()->set_from(from);
  command.mutable_raise_version()->set_to(to);
  return command;
}

// Two coordinators and two nodes, all new, at version 1.
Metadata Upgraded() {
  Metadata metadata;
  for (const auto& command :
       {Found(1), RegisterAs(5, kNew), RegisterAs(6, kNew), Describe(1, kNew), Describe(2, kNew)}) {
    EXPECT_TRUE(metadata.Apply(command).ok());
  }
  return metadata;
}

TEST(ClusterVersion, IsRaisedOnlyWhenEveryProcessCanRunIt) {
  // Protects: behaviour that an old build does not understand begins only when none is left.
  {
    Metadata metadata = Upgraded();
    metadata.Apply(RegisterAs(6, kOld));
    const CommandOutcome refused = metadata.Apply(Raise(1, 2));
    EXPECT_EQ(refused.error, v1::ERROR_CONFLICT);
    EXPECT_THAT(refused.message, HasSubstr("node 2 at n6 runs 1 to 1"));
    EXPECT_EQ(metadata.cluster_version(), 1u);
  }
  {
    Metadata metadata = Upgraded();
    metadata.Apply(Describe(2, kOld));
    EXPECT_THAT(metadata.Apply(Raise(1, 2)).message, HasSubstr("coordinator 1 runs 1 to 1"));
    EXPECT_EQ(metadata.cluster_version(), 1u);
  }
  {
    Metadata metadata;
    for (const auto& command : {Found(1), Describe(1, kNew)}) metadata.Apply(command);
    EXPECT_THAT(metadata.Apply(Raise(1, 2)).message,
                HasSubstr("coordinator 1 has not said what it runs"));
  }
  Metadata metadata = Upgraded();
  EXPECT_EQ(metadata.NewestKnownVersion(), 2u);
  const uint64_t before = metadata.version();
  EXPECT_TRUE(metadata.Apply(Raise(1, 2)).ok());
  EXPECT_EQ(metadata.cluster_version(), 2u);
  EXPECT_GT(metadata.version(), before);  // watchers hear of it
  EXPECT_EQ(metadata.MapSince(before).cluster_version(), 2u);
  EXPECT_TRUE(metadata.Apply(Raise(1, 2)).ok());  // the same again
}

TEST(ClusterVersion, ACoordinatorThatLostItsDataHasToSayAgainWhatItRuns) {
  // Protects: it may have come back with an old build.
  Metadata metadata = Upgraded();
  v1::Command rejoin;
  rejoin.mutable_rejoin_coordinator()->set_coordinator(2);
  rejoin.mutable_rejoin_coordinator()->set_incarnation(99);
  ASSERT_TRUE(metadata.Apply(rejoin).ok());
  EXPECT_THAT(metadata.Apply(Raise(1, 2)).message,
              HasSubstr("coordinator 1 has not said what it runs"));
  metadata.Apply(Describe(2, kNew));  // late, of the data that it lost
  EXPECT_FALSE(metadata.Apply(Raise(1, 2)).ok());
  EXPECT_EQ(metadata.cluster_version(), 1u);
}

TEST(ClusterVersion, ARemovedNodeHoldsNobodyUpAndAnAbsentOneDoes) {
  // Protects: a node that is away may come back with its old build.
  Metadata metadata = Upgraded();
  metadata.Apply(RegisterAs(6, kOld));
  v1::Command away;
  away.mutable_set_node_alive()->set_node(2);
  metadata.Apply(away);
  EXPECT_THAT(metadata.Apply(Raise(1, 2)).message, HasSubstr("is away"));
  v1::Command removed;
  removed.mutable_set_node_state()->set_node(2);
  removed.mutable_set_node_state()->set_to(v1::NODE_STATE_REMOVED);
  metadata.Apply(removed);
  EXPECT_TRUE(metadata.Apply(Raise(1, 2)).ok());
}

TEST(ClusterVersion, NeverFallsAndKeepsOldBuildsOut) {
  // Protects: nobody acts by rules that the others have left behind.
  Metadata metadata = Upgraded();
  metadata.Apply(Raise(1, 2));
  EXPECT_EQ(metadata.Apply(Raise(2, 1)).error, v1::ERROR_INVALID);
  EXPECT_THAT(metadata.Apply(Raise(1, 3)).message, HasSubstr("is at version 2 by now"));
  EXPECT_EQ(metadata.cluster_version(), 2u);
  const CommandOutcome known = metadata.Apply(RegisterAs(5, kOld));
  EXPECT_EQ(known.error, v1::ERROR_VERSION);
  EXPECT_THAT(known.message, HasSubstr("runs cluster versions 1 to 1, and the cluster is at "
                                       "version 2: a newer build has to be installed"));
  EXPECT_EQ(metadata.FindNode(1)->node().versions().newest(), 2u);  // nothing was changed
  EXPECT_EQ(metadata.Apply(RegisterAs(9, kOld)).error, v1::ERROR_VERSION);
  v1::Command silent = RegisterAs(9, kNew);
  silent.mutable_register_node()->clear_versions();
  EXPECT_EQ(metadata.Apply(silent).error, v1::ERROR_VERSION);
  EXPECT_THAT(metadata.Apply(RegisterAs(9, {3, 4})).message, HasSubstr("raise it"));
  EXPECT_TRUE(metadata.Apply(RegisterAs(9, {2, 3})).ok());
}

TEST(ClusterVersion, IsInTheImageAndItsBytesStay) {
  // Protects: what is in logs and files stays readable. These bytes may not change.
  EXPECT_EQ(absl::BytesToHexString(EncodeCommand(Raise(1, 2))), "08018a010408011002");
  EXPECT_EQ(absl::BytesToHexString(EncodeCommand(Describe(1, kNew))),
            "080182010a0801100b220408011002");
  Metadata metadata;
  metadata.Apply(Found(2));
  const v1::MetadataImage image = metadata.Image();
  EXPECT_EQ(image.cluster_version(), 2u);
  EXPECT_EQ(Metadata::FromImage(image)->cluster_version(), 2u);
  v1::MetadataImage before = image;  // from before there were cluster versions
  before.clear_cluster_version();
  EXPECT_EQ(Metadata::FromImage(before)->cluster_version(), 1u);
}

// --- Processes ----------------------------------------------------------------------------------

v1::Outcome RaiseBy(CoordinatorWorld& world, uint64_t number) {
  const auto answer =
      world.Call(number, "/ringleader.coordinator.v1.Cluster/RaiseClusterVersion", "");
  v1::AdminResponse response;
  EXPECT_TRUE(answer.ok() && response.ParseFromString(*answer)) << answer.status();
  return response.outcome();
}

uint32_t VersionAt(CoordinatorWorld& world, uint64_t number) {
  return world.machine(number).coordinator->store().metadata().cluster_version();
}

bool AwaitLeader(CoordinatorWorld& world) {
  return world.RunUntil([&] { return world.Leader() != 0; }, seconds(30));
}

void Restart(CoordinatorWorld& world, uint64_t number) {
  world.Kill(number);
  world.Start(number);
  world.RunFor(seconds(5));
}

TEST(ClusterVersion, AFreshClusterStartsAtTheNewestThatAllCanRun) {
  // Protects: nobody has to raise a new cluster, and a mixed one excludes no coordinator.
  CoordinatorWorld fresh(5, 3);
  for (uint64_t number = 1; number <= 3; ++number) fresh.Start(number);
  ASSERT_TRUE(AwaitLeader(fresh));
  EXPECT_EQ(VersionAt(fresh, fresh.Leader()), VersionRange().newest);
  CoordinatorWorld mixed(6, 3);
  mixed.versions[2] = kOld;
  for (uint64_t number = 1; number <= 3; ++number) mixed.Start(number);
  ASSERT_TRUE(AwaitLeader(mixed));
  EXPECT_EQ(VersionAt(mixed, mixed.Leader()), 1u);
}

TEST(ClusterVersion, NothingIsFormedOfCoordinatorsThatHaveNoVersionInCommon) {
  CoordinatorWorld world(8, 2);
  world.versions[1] = kOld;
  world.versions[2] = {2, 3};
  for (uint64_t number = 1; number <= 2; ++number) world.Start(number);
  world.RunFor(seconds(20));
  EXPECT_EQ(world.Leader(), 0u);
  for (uint64_t number = 1; number <= 2; ++number) EXPECT_FALSE(world.machine(number).failed);
}

TEST(ClusterVersion, ABuildThatIsTooNewDoesNotLead) {
  // Protects: it does not know any more what the cluster's version forbids.
  CoordinatorWorld world(9, 1);
  world.versions[1] = kOld;
  world.Start(1);
  ASSERT_TRUE(AwaitLeader(world));
  world.versions[1] = {2, 3};
  Restart(world, 1);
  EXPECT_TRUE(world.machine(1).failed);
  EXPECT_THAT(std::string(world.machine(1).failure.message()),
              HasSubstr("it has to be raised by an older build first"));
}

TEST(ClusterVersion, CoordinatorsAreUpgradedOneByOneAndAnOldOneDoesNotReturn) {
  // Protects the whole way of an upgrade: refused while one is old, a way back before the raise,
  // and after it an old build's process ends with a word about it, instead of leading.
  CoordinatorWorld world(7, 3);
  for (uint64_t number = 1; number <= 3; ++number) {
    world.versions[number] = kOld;
    world.Start(number);
  }
  ASSERT_TRUE(AwaitLeader(world));
  world.RunFor(seconds(5));
  for (uint64_t number = 1; number <= 2; ++number) {
    world.versions[number] = kNew;
    Restart(world, number);
  }
  ASSERT_TRUE(AwaitLeader(world));
  v1::Outcome refused;
  world.RunUntil(
      [&] {
        refused = RaiseBy(world, world.Leader());
        return absl::StrContains(refused.message(), "not everyone can run 2");
      },
      seconds(20));
  EXPECT_THAT(refused.message(), HasSubstr("coordinator 2 runs 1 to 1"));
  world.versions[1] = kOld;  // back
  Restart(world, 1);
  EXPECT_FALSE(world.machine(1).failed);
  for (uint64_t number = 1; number <= 3; ++number) {
    world.versions[number] = kNew;
    Restart(world, number);
  }
  EXPECT_TRUE(world.RunUntil(
      [&] {
        return world.Leader() != 0 && RaiseBy(world, world.Leader()).error() == v1::ERROR_NONE;
      },
      seconds(20)));
  world.RunFor(seconds(1));
  for (uint64_t number = 1; number <= 3; ++number) EXPECT_EQ(VersionAt(world, number), 2u);
  world.versions[3] = kOld;
  Restart(world, 3);
  EXPECT_TRUE(world.machine(3).failed);
  EXPECT_TRUE(absl::IsFailedPrecondition(world.machine(3).failure));
  EXPECT_THAT(std::string(world.machine(3).failure.message()),
              HasSubstr("the cluster is at version 2, and this build runs 1 to 1"));
  world.versions[3] = kNew;
  Restart(world, 3);
  EXPECT_FALSE(world.machine(3).failed);
}

class Deaf : public MetadataObserver {
 public:
  void OnOpened(std::shared_ptr<const Metadata>) override {}
  void OnApplied(std::vector<replication::Entry>) override {}
  void OnLeadershipBegan(replication::Term) override {}
  void OnLeadershipEnded(replication::Term) override {}
};

TEST(ClusterVersion, AReplicaOfAnOldBuildStopsAtTheRaise) {
  // Protects: a coordinator that was put back after it had said that it can run the version does
  // not go on beside the raise, and does not start from a state behind it.
  SimulatedFileSystem disk(1);
  ASSERT_TRUE(disk.CreateDirectory("/m").ok());
  replication::AppliedState initial;
  initial.last = {1, 1};
  initial.configuration.voters = {{1, 1}};
  Deaf observer;
  auto machine = MetadataMachine::Open(disk, "/m", initial, observer, kOld);
  ASSERT_TRUE(machine.ok());
  uint64_t index = 1;
  const auto apply = [&](const v1::Command& command) {
    const replication::Entry entry = {2, ++index, replication::EntryKind::kCommand,
                                      std::make_shared<const std::string>(EncodeCommand(command))};
    return (*machine)->Apply({entry});
  };
  for (const auto& command : {Found(1), Describe(1, kNew), Describe(2, kNew)}) {
    ASSERT_TRUE(apply(command).ok());
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(apply(Raise(1, 2))));
  ASSERT_TRUE((*machine)->Flush().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      MetadataMachine::Open(disk, "/m", initial, observer, kOld).status()));
  EXPECT_TRUE(MetadataMachine::Open(disk, "/m", initial, observer, kNew).ok());
  // A build that does not run version 1 any more reads a log that begins there.
  SimulatedFileSystem other(2);
  ASSERT_TRUE(other.CreateDirectory("/m").ok());
  machine = MetadataMachine::Open(other, "/m", initial, observer, {2, 3});
  ASSERT_TRUE(machine.ok());
  index = 1;
  for (const auto& command : {Found(1), Describe(1, kNew), Describe(2, kNew), Raise(1, 2)}) {
    EXPECT_TRUE(apply(command).ok());
  }
}

}  // namespace
}  // namespace ringleader::coordinator
