// Protects what a node promises for its replicas: durable creation, tombstones, silence after a
// restart, and disks that gate leadership. What is lost: runtime_loss_test.cc.
#include "replication/runtime.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/unit/replication/runtime_fixture.h"

namespace ringleader::replication {
namespace {

using simulation::RegisterCommand;
using simulation::RegisterOperation;
using simulation::WorldOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;

// An entry of half a megabyte needs a new segment, which a full disk refuses.
WorldOptions SmallLog() {
  WorldOptions options;
  options.runtime.log.segment_bytes = 256 << 10;
  options.runtime.log.reserve_bytes = 16 << 10;
  return options;
}

class SmallLogTest : public RuntimeTest {
 protected:
  SmallLogTest() : RuntimeTest(SmallLog()) {}
};

TEST_F(RuntimeTest, WritesReachEveryReplica) {
  ASSERT_TRUE(AddOne());
  Run(seconds(1));
  for (const auto& [node, machine] : world_.machines()) EXPECT_EQ(ValueOn(node), 1) << node;
}

// Protects health from false alarms, and orders from groups that look worse than they are: who
// answers is caught up at every moment, whatever period of the leader's has just begun.
TEST_F(RuntimeTest, WhoAnswersIsCaughtUpAtEveryMoment) {
  const auto leader = LeaderReplica();
  for (int i = 0; i < 100; ++i) {
    Run(milliseconds(30));
    ASSERT_EQ(leader->view().caught_up.size(), 3u) << "after " << 30 * (i + 1) << " ms";
  }
  world_.Kill(Follower());
  Run(seconds(3));
  EXPECT_EQ(leader->view().caught_up.size(), 2u);
}

class GatheringTest : public RuntimeTest {
 protected:
  static WorldOptions Gathering() {
    WorldOptions options;
    options.runtime.replica.follower_gather = 1000;
    return options;
  }
  GatheringTest() : RuntimeTest(Gathering()) {}
};

// Protects: followers apply what they know by the next tick, in few steps, and who becomes leader
// has applied all of it before it serves.
TEST_F(GatheringTest, FollowersApplyByTheNextTickAndANewLeaderBeforeItServes) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(AddOne());
  for (const auto& [node, machine] : world_.machines()) EXPECT_EQ(ValueOn(node), 3) << node;
  const auto replica = LeaderReplica();
  const NodeId old = world_.LeaderOf(1), follower = Follower();
  int leader_steps = 0, follower_steps = 0;
  for (int64_t written = 0; written < 20; ++written) {
    const RegisterCommand command{.id = 100 + static_cast<uint64_t>(written),
                                  .operation = RegisterOperation::kAdd,
                                  .input = 1};
    replica->Propose(replica->view().term,
                     {std::make_shared<const std::string>(simulation::EncodeCommand(command))},
                     [](const absl::StatusOr<LogPosition>&) {});
    const int64_t at_leader = ValueOn(old), at_follower = ValueOn(follower);
    Run(milliseconds(10));
    leader_steps += ValueOn(old) != at_leader;
    follower_steps += ValueOn(follower) != at_follower;
  }
  EXPECT_GE(leader_steps, 5);
  EXPECT_LE(follower_steps, 3);  // two ticks, or three
  Run(seconds(1));
  ASSERT_EQ(ValueOn(old), 23);
  world_.Kill(old);
  Run(seconds(5));
  ASSERT_TRUE(AddOne());
  EXPECT_EQ(ValueOn(world_.LeaderOf(1)), 24);
}

TEST_F(RuntimeTest, EverythingAcknowledgedIsThereAfterAPowerCutOfAll) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(AddOne());
  for (NodeId node = 1; node <= 3; ++node) world_.CutPower(node);
  for (NodeId node = 1; node <= 3; ++node) world_.Start(node);
  Run(seconds(10));
  ASSERT_TRUE(AddOne());
  EXPECT_EQ(ValueOn(world_.LeaderOf(1)), 4);
}

// DESIGN section 11, rule 6: the stickiness of a voter survives its restart, or a lease could be
// outlived. Of three one leads, one stands as it hears nobody, and one hears the leader and refuses
// until it is restarted and cut off.
class RestartedVoterTest : public RuntimeTest {
 protected:
  explicit RestartedVoterTest(const WorldOptions& options = {}) : RuntimeTest(options) {
    for (NodeId node = 1; node <= 3; ++node) {
      if (node == leader_) continue;
      (standing_ == 0 ? standing_ : restarted_) = node;
    }
    CutOff(standing_);
    Run(seconds(3));
    EXPECT_EQ(world_.LeaderOf(1), leader_);
    start_ = simulation_.now();
    world_.Kill(restarted_);
  }

  void CutOff(NodeId node) {
    world_.network().Block(leader_, node);
    world_.network().Block(node, leader_);
  }
  void Restart() {
    world_.Start(restarted_);
    CutOff(restarted_);
  }
  bool AnotherServes() {
    return world_.machine(standing_).runtime->Find(1)->view().serving ||
           world_.machine(restarted_).runtime->Find(1)->view().serving;
  }
  void RunUntil(Duration since_kill) { Run(since_kill - (simulation_.now() - start_)); }

  const NodeId leader_ = world_.LeaderOf(1);
  NodeId standing_ = 0;
  NodeId restarted_ = 0;
  Duration start_{0};  // when it was killed
};

class AwayTest : public RestartedVoterTest, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(Ms, AwayTest, testing::Values(0, 450, 550));

TEST_P(AwayTest, ItIsSilentUntilEveryLeaseItMayHaveGrantedIsOver) {
  const milliseconds away(GetParam());
  const auto leader = LeaderReplica();
  const Duration lease = LeaseLength(10, milliseconds(100), 0.01);
  Run(away);
  // Its machine slept: that is no time that the leader's clock has seen.
  if (away > Duration(0)) world_.machine(restarted_).clock->JumpBoot(seconds(5));
  Restart();
  bool was_leased = false;
  while (simulation_.now() - start_ < lease) {
    ASSERT_TRUE(simulation_.Step());
    const bool is_leased = leader->LeaseRead().ok();
    was_leased |= is_leased && simulation_.now() - start_ > lease / 2;
    ASSERT_FALSE(AnotherServes() && is_leased) << "two leaders could answer reads";
  }
  EXPECT_TRUE(was_leased) << "nothing was to be outlived";
  Run(seconds(10));
  EXPECT_EQ(world_.LeaderOf(1), standing_);
  EXPECT_FALSE(leader->LeaseRead().ok());
}

// Since its record says that it promised nothing any more, it is silent for no longer than it was.
constexpr milliseconds kLongAway(3000);
constexpr milliseconds kSilence(1100);

TEST_F(RestartedVoterTest, TimeInWhichItCertainlyPromisedNothingCounts) {
  RunUntil(kLongAway);
  Restart();
  RunUntil(kLongAway + kSilence);
  EXPECT_EQ(world_.LeaderOf(1), standing_);
}

TEST_F(RestartedVoterTest, WithoutARecordItCountsFromItsOpening) {
  RunUntil(kLongAway);
  // As a process does that knows of no records.
  SimulatedFileSystem& disk = *world_.machine(restarted_).disk;
  ASSERT_TRUE(RemoveRecursively(disk, "/data/outgoing").ok());
  Restart();
  RunUntil(kLongAway + kSilence - milliseconds(100));
  EXPECT_NE(world_.LeaderOf(1), standing_);
  Run(seconds(5));
  EXPECT_EQ(world_.LeaderOf(1), standing_);
}

TEST_F(RestartedVoterTest, ARecordOfTheMachinesTimeBeforeCountsForNothing) {
  RunUntil(kLongAway);
  world_.machine(restarted_).clock->Reboot();
  Restart();
  RunUntil(kLongAway + kSilence - milliseconds(100));
  EXPECT_NE(world_.LeaderOf(1), standing_);
}

TEST_F(RestartedVoterTest, ARecordIsTheLastProcesssOrNobodys) {
  RunUntil(milliseconds(100));
  world_.Start(restarted_);  // hears the leader, and promises
  Run(seconds(6));
  ASSERT_EQ(world_.LeaderOf(1), leader_);
  world_.Kill(restarted_);
  Restart();
  const auto leader = LeaderReplica();
  for (int i = 0; i < 3000; ++i) {
    Run(milliseconds(1));
    ASSERT_FALSE(AnotherServes() && leader->LeaseRead().ok()) << "two leaders could answer reads";
  }
}

TEST_F(RestartedVoterTest, TheRecordIsSynced) {
  SimulatedFileSystem& disk = *world_.machine(leader_).disk;
  disk.InjectError(SimulatedFileSystem::Operation::kSync, "promised-until", 0, 1,
                   absl::DataLossError("injected"));
  Run(seconds(11));
  EXPECT_FALSE(*disk.Exists("/data/outgoing/promised-until"));
}

// Of what is known of the time without promises the most counts.
class LongAloneTest : public RestartedVoterTest {
 protected:
  static WorldOptions Alone() {
    WorldOptions options;
    options.runtime.alone_since = Instant{};
    return options;
  }
  LongAloneTest() : RestartedVoterTest(Alone()) {}
};

TEST_F(LongAloneTest, TheEarlierOfTwoTimesCounts) {
  Restart();
  RunUntil(milliseconds(600));
  EXPECT_TRUE(AnotherServes());
}

// Who can't take back what its record may say keeps to it: without promises no leader has a lease,
// but it goes on leading, and its writes are acknowledged. It gives up for reads that nobody
// confirms.
TEST_F(RuntimeTest, WhoCanNotNoteThatItMayPromisesNothing) {
  const std::string record = "/data/outgoing/promised-until";
  for (const auto& [node, machine] : world_.machines()) {
    ASSERT_TRUE(machine.disk->RemoveFile(record).ok());
    ASSERT_TRUE(machine.disk->CreateDirectory(record).ok());  // which RemoveFile does not remove
    machine.disk->InjectError(SimulatedFileSystem::Operation::kWrite, record, 0, 1,
                              absl::DataLossError("injected"));
  }
  const NodeId leader = world_.LeaderOf(1);
  Run(seconds(10));
  EXPECT_EQ(world_.LeaderOf(1), leader);
  for (const auto& [node, machine] : world_.machines()) {
    const auto replica = machine.runtime->Find(1);
    EXPECT_FALSE(replica->LeaseRead().ok()) << node;
    if (replica->view().role == Role::kLeader) continue;
    EXPECT_GT(machine.runtime->counters().promises_withheld.value(), 0u) << node;
  }
  ASSERT_TRUE(AddOne());
  absl::StatusOr<Index> read = Index{0};
  LeaderReplica()->QuorumRead([&read](absl::StatusOr<Index> answer) { read = std::move(answer); });
  Run(seconds(3));
  EXPECT_TRUE(absl::IsUnavailable(read.status())) << read.status();
  for (const auto& [node, machine] : world_.machines()) {
    ASSERT_TRUE(machine.disk->RemoveDirectory(record).ok());
  }
  Run(seconds(5));
  EXPECT_TRUE(LeaderReplica()->LeaseRead().ok());
}

class SlowTicksTest : public RuntimeTest {
 protected:
  static WorldOptions SlowTicks() {
    WorldOptions options;
    options.runtime.replica.tick_period = 3 * PromiseRecord::kAhead;
    return options;
  }
  SlowTicksTest() : RuntimeTest(SlowTicks()) {}
};

TEST_F(SlowTicksTest, TicksDoNotExtendTheRecord) {
  Run(seconds(120));
  ASSERT_TRUE(AddOne());
  Run(seconds(60));
  EXPECT_EQ(world_.machine(1).runtime->counters().promises_withheld.value(), 0u);
}

// Rule 16: heartbeats do not wait behind data, so a lane of data on which nothing arrives costs
// nobody the leadership.
TEST_F(RuntimeTest, DataThatDoesNotArriveHoldsUpNoHeartbeat) {
  const NodeId leader = world_.LeaderOf(1);
  const Term term = world_.machine(leader).runtime->Find(1)->view().term;
  for (const auto& [node, machine] : world_.machines()) {
    if (node != leader) world_.network().Cut(leader, node, LaneMethod(Lane::kAppend));
  }
  EXPECT_FALSE(AddOne());
  Run(seconds(20));
  EXPECT_EQ(world_.LeaderOf(1), leader);
  EXPECT_EQ(world_.machine(leader).runtime->Find(1)->view().term, term);
  world_.network().MendLinks();
  Run(seconds(5));
  EXPECT_EQ(ValueOn(leader), 1);
}

// Rule 17: a leader whose disk makes no progress hands over.
TEST_F(SmallLogTest, ALeaderWhoseDiskStallsLosesLeadership) {
  const NodeId leader = world_.LeaderOf(1);
  world_.machine(leader).disk->SetCapacity(world_.machine(leader).disk->UsedBytes());
  const auto replica = world_.machine(leader).runtime->Find(1);
  const RegisterCommand command{.id = 1000, .padding = std::string(500'000, 'x')};
  replica->Propose(replica->view().term,
                   {std::make_shared<const std::string>(simulation::EncodeCommand(command))},
                   [](const absl::StatusOr<LogPosition>&) {});
  Run(seconds(15));
  EXPECT_NE(world_.LeaderOf(1), 0u);
  EXPECT_NE(world_.LeaderOf(1), leader);
}

// Rule 15: a destroyed replica leaves a tombstone; neither its leader nor a late plan brings it
// back.
TEST_F(RuntimeTest, ADestroyedReplicaDoesNotReturnUnderItsId) {
  const NodeId node = Follower();
  Runtime& runtime = *world_.machine(node).runtime;
  const ReplicaId replica = runtime.Find(1)->id();
  std::optional<absl::Status> destroyed, created;
  runtime.DestroyReplica(1, replica, [&](const absl::Status& status) { destroyed = status; });
  Run(seconds(5));  // the leader keeps sending to it all the while
  ASSERT_TRUE(destroyed.has_value());
  EXPECT_TRUE(destroyed->ok()) << *destroyed;
  EXPECT_EQ(runtime.Find(1), nullptr);
  runtime.CreateGroup({.group = 1, .replica = replica},
                      [&](const absl::Status& status) { created = status; });
  Run(seconds(1));
  EXPECT_TRUE(absl::IsFailedPrecondition(*created)) << *created;
  world_.Kill(node);
  world_.Start(node);
  Run(seconds(5));
  EXPECT_EQ(world_.machine(node).runtime->Find(1), nullptr);
}

// Seed 7481029 of the raft world: one was opened again behind its tombstone.
TEST(DestroyedReplicaTest, OneThatFailsMeanwhileIsNotOpenedAgain) {
  int destroyed_times = 0;
  for (int steps = 0; steps < 40; ++steps) {  // between the failure and the order
    simulation::Simulation simulation(7);
    simulation::World world(simulation, {});
    world.Create();
    simulation.RunFor(seconds(2));
    const NodeId node = world.LeaderOf(1) == 1 ? 2 : 1;
    Runtime& runtime = *world.machine(node).runtime;
    const auto replica = runtime.Find(1);
    world.machine(node).disk->InjectError(SimulatedFileSystem::Operation::kWrite, "/registers", 0,
                                          1, absl::DataLossError("injected: it failed"));
    replica->FlushAndCompact();
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(simulation.Step());
    absl::Status destroyed = absl::UnknownError("not yet");
    runtime.DestroyReplica(1, replica->id(),
                           [&destroyed](const absl::Status& status) { destroyed = status; });
    simulation.RunFor(seconds(3));
    // Else it had failed before, and is opened again: the order is to be repeated.
    EXPECT_TRUE(destroyed.ok() || absl::IsUnavailable(destroyed)) << destroyed;
    EXPECT_EQ(runtime.Find(1) == nullptr, destroyed.ok());
    EXPECT_TRUE(runtime.damaged().empty());
    destroyed_times += destroyed.ok() && runtime.counters().replicas_failed.value() > 0 ? 1 : 0;
  }
  EXPECT_GT(destroyed_times, 0) << "it never failed meanwhile";
}

// Protects disks: what can't be opened is destroyed by order all the same, and with it goes what it
// has there; also after a crash brought that back.
TEST(DestroyedReplicaTest, OneThatCanNotBeOpenedIsDestroyed) {
  using Operation = SimulatedFileSystem::Operation;
  simulation::Simulation simulation(8);
  simulation::World world(simulation, {});
  world.Create();
  simulation.RunFor(seconds(2));
  const NodeId node = world.LeaderOf(1) == 1 ? 2 : 1;
  SimulatedFileSystem& disk = *world.machine(node).disk;
  Runtime* runtime = world.machine(node).runtime.get();
  const ReplicaId replica = runtime->Find(1)->id();
  const std::string directory = runtime->Find(1)->directory();
  disk.InjectError(Operation::kWrite, "/registers", 0, 1, absl::InternalError("injected"));
  runtime->Find(1)->FlushAndCompact();
  simulation.RunFor(std::chrono::milliseconds(500));
  ASSERT_EQ(runtime->Find(1), nullptr);
  disk.InjectError(Operation::kNames, directory, 0, UINT64_MAX, absl::InternalError("injected"));
  simulation.RunFor(seconds(3));
  ASSERT_EQ(runtime->Find(1), nullptr) << "it could be opened";
  absl::Status destroyed = absl::UnknownError("not yet");
  runtime->DestroyReplica(1, replica,
                          [&destroyed](const absl::Status& status) { destroyed = status; });
  disk.InjectError(Operation::kSync, "", 0, 0, absl::InternalError("none any more"));
  simulation.RunFor(seconds(3));
  EXPECT_TRUE(destroyed.ok()) << destroyed;
  EXPECT_TRUE(runtime->damaged().empty());
  EXPECT_FALSE(*disk.Exists(directory));

  ASSERT_TRUE(disk.CreateDirectory(directory).ok());
  world.CutPower(node);
  world.Start(node);
  simulation.RunFor(seconds(3));
  EXPECT_FALSE(*disk.Exists(directory));
}

TEST_F(RuntimeTest, AReplicasPlanIsCarriedOutOnce) {
  Runtime& runtime = *world_.machine(1).runtime;
  std::optional<absl::Status> same, other;
  const ReplicaId here = runtime.Find(1)->id();
  runtime.CreateGroup({.group = 1, .replica = here}, [&](const absl::Status& s) { same = s; });
  runtime.CreateGroup({.group = 1, .replica = here + 100},
                      [&](const absl::Status& s) { other = s; });
  Run(seconds(1));
  EXPECT_TRUE(absl::IsAlreadyExists(*same)) << *same;
  EXPECT_TRUE(absl::IsFailedPrecondition(*other)) << *other;
}

// A group of three whose third voter's plan is late: its leader's message is there first.
class LatePlanTest : public RuntimeTest {
 protected:
  LatePlanTest() {
    for (const NodeId node : {1, 2, 3}) {
      group_.configuration.voters.push_back({world_.NewReplicaId(), node});
    }
    EXPECT_TRUE(Create(1).ok());
    EXPECT_TRUE(Create(2).ok());
    Run(seconds(5));
  }

  absl::Status Create(NodeId node) {
    NewGroup group = group_;
    group.replica = group.configuration.voters[node - 1].replica;
    std::optional<absl::Status> created;
    world_.machine(node).runtime->CreateGroup(group, [&](const absl::Status& s) { created = s; });
    for (int i = 0; i < 100 && !created.has_value(); ++i) Run(milliseconds(10));
    return created.value_or(absl::DeadlineExceededError("not created"));
  }

  NewGroup group_{.group = 2};
};

// Protects: such a replica becomes the voter that its plan made it, and says so until then. Without
// it the group would be one failure away from standing still, for good and without an alarm.
TEST_F(LatePlanTest, AFirstVoterWhoseLeaderWasFasterThanItsPlanVotesOnceThePlanComes) {
  ASSERT_NE(world_.LeaderOf(2), 0u);
  const auto stub = world_.machine(3).runtime->Find(2);
  ASSERT_NE(stub, nullptr);
  EXPECT_EQ(stub->view().applied, 0u);
  EXPECT_TRUE(stub->view().unfillable);
  ASSERT_TRUE(world_.machine(3).runtime->log().Group(2)->is_stub());
  ASSERT_TRUE(Create(3).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Create(3)));
  Run(seconds(5));
  const auto voter = world_.machine(3).runtime->Find(2);
  ASSERT_NE(voter, nullptr);
  EXPECT_FALSE(voter->view().unfillable);
  EXPECT_GT(voter->view().applied, 1u);
  world_.Kill(world_.LeaderOf(2) == 1 ? 1 : 2);  // the vote of the third counts
  Run(seconds(10));
  EXPECT_NE(world_.LeaderOf(2), 0u);
  EXPECT_EQ(world_.violation(), "");
}

// A crash anywhere in it leaves what can be completed by the plan, and never a voter without its
// first position.
TEST_F(LatePlanTest, APowerCutWhileAPlanFillsAStubLeavesOneThatThePlanStillFills) {
  for (uint64_t operations = 1; operations <= 20; ++operations) {
    ASSERT_TRUE(world_.machine(3).up());
    const bool was_stub = world_.machine(3).runtime->log().Group(2)->is_stub();
    world_.machine(3).disk->CrashAfter(operations);
    const absl::Status created = Create(3);
    EXPECT_TRUE(was_stub || absl::IsAlreadyExists(created)) << created;
    Run(seconds(10));  // the watch of the world starts the machine again
  }
  if (!world_.machine(3).up()) world_.Start(3);
  Create(3).IgnoreError();
  Run(seconds(10));
  const auto voter = world_.machine(3).runtime->Find(2);
  ASSERT_NE(voter, nullptr);
  EXPECT_GT(voter->view().applied, 1u);
  EXPECT_EQ(world_.violation(), "");
}

// Rule 11: a wiped disk is never an empty voter; the others must not count it for an election.
TEST_F(RuntimeTest, AWipedVoterNeitherVotesNorCounts) {
  ASSERT_TRUE(AddOne());
  const NodeId leader = world_.LeaderOf(1);
  NodeId wiped = Follower();
  world_.Kill(wiped);
  world_.machine(wiped).disk = std::make_unique<SimulatedFileSystem>(99);
  world_.Start(wiped);
  Run(seconds(3));
  world_.Kill(leader);  // one voter with data is left, and the wiped one: no majority
  Run(seconds(20));
  EXPECT_EQ(world_.LeaderOf(1), 0u);
  world_.Start(leader);
  Run(seconds(10));
  EXPECT_TRUE(AddOne());
  EXPECT_EQ(ValueOn(world_.LeaderOf(1)), 2);
}

TEST_F(RuntimeTest, APausedLeadersLeaseIsOverBeforeItAnswersAgain) {
  const NodeId leader = world_.LeaderOf(1);
  const auto replica = LeaderReplica();
  ASSERT_TRUE(replica->LeaseRead().ok());
  world_.Pause(leader);
  Run(seconds(5));
  EXPECT_FALSE(replica->LeaseRead().ok());
  world_.Resume(leader);
}

// Protects what a coordinator is told of members: a change that was taken back may be followed by
// another one at the same index, with the same version.
TEST_F(RuntimeTest, AChangeOfMembersThatWasTakenBackIsNotReported) {
  const NodeId first = world_.LeaderOf(1);
  const auto deposed = LeaderReplica();
  std::vector<NodeId> others;
  for (const auto& [node, machine] : world_.machines()) {
    if (node == first) continue;
    others.push_back(node);
    world_.network().Block(first, node);
    world_.network().Block(node, first);
  }
  const auto add_learner = [](Replica& leader, Member learner) {
    const Configuration now = leader.view().configuration;
    leader.ChangeMembers(now.voters, {learner}, [](const absl::StatusOr<LogPosition>& begun) {
      EXPECT_TRUE(begun.ok()) << begun.status();
    });
  };
  // One entry before it: the next leader begins its term with one.
  deposed->Propose(deposed->view().term, {nullptr}, [](const absl::StatusOr<LogPosition>&) {});
  add_learner(*deposed, {.replica = 101, .node = first});
  Run(milliseconds(10));
  const ReplicaView before = deposed->view();
  ASSERT_EQ(before.configuration.learners.size(), 1u);
  Run(seconds(5));
  const auto second = LeaderReplica();
  ASSERT_TRUE(second != nullptr && second != deposed);
  add_learner(*second, {.replica = 102, .node = others[0]});
  Run(seconds(1));
  world_.network().UnblockAll();
  Run(seconds(5));
  const ReplicaView after = deposed->view();
  ASSERT_EQ(after.configuration_index, before.configuration_index)
      << "the test has missed its case";
  EXPECT_EQ(after.configuration, second->view().configuration);
}

// Protects memberships (DESIGN section 11, rule 20) from a change that was made for members who
// have changed by the time that the worker takes it up, whatever the view said when it was sent
// there.
TEST_F(RuntimeTest, AChangeMadeForOtherMembersIsRefused) {
  const auto leader = LeaderReplica();
  const Configuration before = leader->view().configuration;
  std::vector<absl::Status> begun;
  const auto add_learner = [&](ReplicaId replica) {
    leader->ChangeMembers(
        before.voters, {{.replica = replica, .node = 1}},
        [&](const absl::StatusOr<LogPosition>& change) { begun.push_back(change.status()); },
        before.version);
    Run(seconds(1));
  };
  add_learner(101);
  add_learner(102);
  ASSERT_EQ(begun.size(), 2u);
  EXPECT_TRUE(begun[0].ok()) << begun[0];
  EXPECT_TRUE(absl::IsFailedPrecondition(begun[1])) << begun[1];
  const Configuration after = leader->view().configuration;
  ASSERT_EQ(after.learners.size(), 1u);
  EXPECT_EQ(after.learners[0].replica, 101u);
}

}  // namespace
}  // namespace ringleader::replication
