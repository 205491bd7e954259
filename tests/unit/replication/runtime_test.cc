// Protects what a node promises for its replicas: durable creation, tombstones, silence after a
// restart, and disks that gate leadership.
#include "replication/runtime.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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
// outlived.
class RestartedVoterTest : public RuntimeTest, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(AwayForMs, RestartedVoterTest, testing::Values(0, 450, 550));

TEST_P(RestartedVoterTest, StaysSilentUntilEveryLeaseItMayHaveGrantedIsOver) {
  const milliseconds away(GetParam());
  const NodeId leader = world_.LeaderOf(1);
  std::vector<NodeId> followers;
  for (NodeId node = 1; node <= 3; ++node) {
    if (node != leader) followers.push_back(node);
  }
  const NodeId standing = followers[0];
  const NodeId restarted = followers[1];
  const auto replica = LeaderReplica();
  const auto cut_off = [this, leader](NodeId node) {
    world_.network().Block(leader, node);
    world_.network().Block(node, leader);
  };
  // One hears no leader and asks for votes all the while; the other refuses, as it hears one.
  cut_off(standing);
  Run(seconds(3));
  ASSERT_EQ(world_.LeaderOf(1), leader);
  const Duration lease = LeaseLength(10, milliseconds(100), 0.01);
  const Duration start = simulation_.now();
  world_.Kill(restarted);
  Run(away);
  // Its machine slept: that is no time that the leader's clock has seen.
  if (away > Duration(0)) world_.machine(restarted).clock->JumpBoot(seconds(5));
  world_.Start(restarted);
  cut_off(restarted);
  bool was_leased = false;
  while (simulation_.now() - start < lease) {
    ASSERT_TRUE(simulation_.Step());
    const auto other = world_.machine(standing).runtime->Find(1);
    const bool is_leased = replica->LeaseRead().ok();
    was_leased |= is_leased && simulation_.now() - start > lease / 2;
    ASSERT_FALSE(other->view().serving && is_leased) << "two leaders could answer reads";
  }
  EXPECT_TRUE(was_leased) << "nothing was to be outlived";
  // While it was away counts: the other need not wait for all of it again.
  Run(milliseconds(1500) - (simulation_.now() - start));
  if (away > Duration(0)) {
    EXPECT_EQ(world_.LeaderOf(1), standing);
  }
  Run(seconds(10));
  EXPECT_EQ(world_.LeaderOf(1), standing);
  EXPECT_FALSE(replica->LeaseRead().ok());
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

// A replica that lost part of its log or its state.
class LossTest : public RuntimeTest {
 protected:
  explicit LossTest(const WorldOptions& options = {}) : RuntimeTest(options) {}

  GroupState LogOf(NodeId node) { return *world_.machine(node).runtime->log().Group(1); }

  void RemoveState(NodeId node) {
    world_.Harm(node);
    SimulatedFileSystem& disk = *world_.machine(node).disk;
    for (const std::string& path : disk.Files()) {
      if (!absl::StrContains(path, "groups/1.")) continue;
      EXPECT_TRUE(disk.RemoveFile(path).ok());
    }
  }

  // Proposes an entry whose payload has blocks of its own in the log.
  void ProposeLarge() {
    const auto replica = LeaderReplica();
    const RegisterCommand command{.id = ++last_id_, .padding = std::string(20'000, 'x')};
    replica->Propose(replica->view().term,
                     {std::make_shared<const std::string>(simulation::EncodeCommand(command))},
                     [](const absl::StatusOr<LogPosition>&) {});
  }

  // Makes that payload unreadable wherever it stands.
  void DamageLarge(NodeId node) {
    world_.Harm(node);
    SimulatedFileSystem& disk = *world_.machine(node).disk;
    for (const std::string& path : disk.Files()) {
      const size_t at = disk.Content(path).find(std::string(8192, 'x'));
      if (!absl::StrContains(path, "/log/") || at == std::string::npos) continue;
      disk.DamageBlock(path, at / SimulatedFileSystem::kBlockBytes + 1,
                       SimulatedFileSystem::BadBlock::kNoise);
    }
  }
};

// Entries are read back from the log to be applied.
class UnreadableTest : public LossTest {
 protected:
  UnreadableTest() : LossTest(NoCache()) {}

  static WorldOptions NoCache() {
    WorldOptions options;
    options.runtime.replica.core.entry_cache_bytes_max = 1;
    options.runtime.replica.core.unapplied_bytes_max = 1;
    return options;
  }

  bool IsInLog(NodeId node) {
    SimulatedFileSystem& disk = *world_.machine(node).disk;
    for (const std::string& path : disk.Files()) {
      if (absl::StrContains(path, "/log/") && absl::StrContains(disk.Content(path), kLarge))
        return true;
    }
    return false;
  }

  // An entry goes bad on this node between its writing and its application.
  void LoseBeforeApplication(NodeId node) {
    ProposeLarge();
    while (!IsInLog(node)) ASSERT_TRUE(simulation_.Step());
    const Index applied = world_.machine(node).runtime->Find(1)->view().applied;
    DamageLarge(node);
    Run(milliseconds(500));
    ASSERT_EQ(world_.machine(node).runtime->Find(1), nullptr) << "nothing was lost";
    Run(seconds(15));
    EXPECT_GT(world_.machine(node).runtime->Find(1)->view().applied, applied);
    ASSERT_TRUE(AddOne());
    Run(seconds(3));
    EXPECT_EQ(ValueOn(node), 1);
    EXPECT_TRUE(LogOf(node).damage.empty());
    EXPECT_EQ(world_.violation(), "");
  }

  const std::string kLarge = std::string(8192, 'x');
};

// It would apply nothing any more, count as a voter that is well, and serve nothing once it leads.
TEST_F(UnreadableTest, AFollowerThatCantReadWhatItHasToApplyIsRepaired) {
  LoseBeforeApplication(Follower());
}

// It would lead and serve nothing, though another voter has what it can't read.
TEST_F(UnreadableTest, ALeaderThatCantReadWhatItHasToApplyIsRepaired) {
  const NodeId old = world_.LeaderOf(1), heir = Follower();
  const NodeId third = 6 - old - heir;
  world_.network().Cut(old, third, LaneMethod(Lane::kAppend));
  ProposeLarge();
  while (!IsInLog(heir) || !IsInLog(old)) ASSERT_TRUE(simulation_.Step());
  Run(milliseconds(100));
  world_.Kill(old);
  world_.network().MendLinks();
  world_.Kill(heir);
  world_.Start(heir);
  DamageLarge(heir);
  const auto replica = world_.machine(heir).runtime->Find(1);
  const Duration until = simulation_.now() + seconds(10);
  while (replica->view().role != Role::kLeader && simulation_.now() < until) {
    ASSERT_TRUE(simulation_.Step());
  }
  ASSERT_EQ(replica->view().role, Role::kLeader);
  Run(milliseconds(500));
  ASSERT_FALSE(replica->view().failure.ok()) << "nothing was lost";
  world_.Start(old);
  Run(seconds(20));
  ASSERT_TRUE(AddOne());
  Run(seconds(3));
  for (NodeId node = 1; node <= 3; ++node) EXPECT_EQ(ValueOn(node), 1) << node;
  EXPECT_TRUE(LogOf(heir).damage.empty());
  EXPECT_EQ(world_.violation(), "");
}

// An empty directory is the state of a new group only. A log that started over behind what was
// applied looks new otherwise, and the empty state would be served as if it were at that index.
TEST_F(LossTest, StateLostBehindALogThatStartedOverIsLostAndNotEmpty) {
  ASSERT_TRUE(AddOne());
  ProposeLarge();
  Run(seconds(1));
  ASSERT_TRUE(AddOne());
  const NodeId node = Follower();
  Run(seconds(2));
  ASSERT_TRUE(world_.machine(node).machines.at(1)->Flush().ok());
  const Index flushed = world_.machine(node).machines.at(1)->applied().last.index;
  world_.Kill(node);
  DamageLarge(node);
  world_.Start(node);
  ASSERT_EQ(LogOf(node).compacted.index, flushed) << "the log did not start over";
  ASSERT_FALSE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  world_.Kill(node);
  RemoveState(node);
  world_.Start(node);
  EXPECT_TRUE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  Run(seconds(10));
  EXPECT_EQ(ValueOn(node), 2);
  EXPECT_EQ(world_.violation(), "");
}

// A call that fails once while a replica is opened does not cost it its state: it may be the last
// that the group has.
TEST_F(LossTest, OneFailedCallAtTheOpeningIsNoLoss) {
  ASSERT_TRUE(AddOne());
  const NodeId node = Follower();
  FlushAll();
  world_.Kill(node);
  SimulatedFileSystem& disk = *world_.machine(node).disk;
  const auto failing = SimulatedFileSystem::Operation::kRead;
  disk.InjectError(failing, "/groups/", 0, 1, absl::DataLossError("read: Input/output error"));
  world_.Start(node);
  EXPECT_FALSE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  world_.Kill(node);
  disk.InjectError(failing, "/groups/", 0, 2, absl::DataLossError("read: Input/output error"));
  world_.Start(node);
  EXPECT_TRUE(world_.machine(node).runtime->Find(1)->view().rebuilding);
}

// State that was given up after two failures may be the last that has what was acknowledged.
TEST_F(LossTest, DistrustedStateIsTakenBackWhereNobodyElseCanLead) {
  ASSERT_TRUE(AddOne());
  FlushAll();
  const NodeId leader = world_.LeaderOf(1);
  const NodeId node = Follower();
  NodeId behind = 1;
  while (behind == leader || behind == node) ++behind;
  const auto fail_to_flush = [&] {
    ASSERT_TRUE(AddOne());
    world_.machine(node).disk->InjectError(SimulatedFileSystem::Operation::kWrite, "/groups/1.", 0,
                                           1, absl::DataLossError("write: Input/output error"));
    world_.machine(node).runtime->Find(1)->FlushAndCompact();
    Run(milliseconds(300));
    ASSERT_EQ(world_.machine(node).runtime->Find(1), nullptr) << "nothing failed";
  };
  fail_to_flush();
  Run(seconds(4));
  world_.Kill(behind);
  ASSERT_TRUE(AddOne());
  fail_to_flush();
  ASSERT_EQ(world_.LeaderOf(1), leader);
  world_.Kill(leader);  // for good
  Run(seconds(2));
  ASSERT_TRUE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  world_.Start(behind);
  Run(seconds(5));
  ASSERT_EQ(world_.LeaderOf(1), 0u);
  Run(seconds(12));
  EXPECT_EQ(world_.LeaderOf(1), node);
  Run(seconds(2));
  EXPECT_EQ(ValueOn(behind), 4);
  EXPECT_EQ(world_.violation(), "");
}

// Or it would take the place of newer state one day.
TEST_F(LossTest, WhatWasSetAsideGoesOnceThereIsState) {
  ASSERT_TRUE(AddOne());
  FlushAll();
  const NodeId node = Follower();
  const ReplicaId replica = world_.machine(node).runtime->Find(1)->id();
  world_.Kill(node);
  SimulatedFileSystem& disk = *world_.machine(node).disk;
  const std::string old = absl::StrCat("/data/groups/1.", replica, "/distrusted");
  ASSERT_TRUE(disk.CreateDirectory(old).ok());
  world_.Start(node);
  ASSERT_FALSE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  EXPECT_FALSE(*disk.Exists(old));
}

// Nor do calls that fail again and again and find no damage: the replica is opened when they don't.
TEST_F(LossTest, FailedCallsThatFindNoDamageAreNoLoss) {
  ASSERT_TRUE(AddOne());
  const NodeId node = Follower();
  FlushAll();
  world_.Kill(node);
  world_.machine(node).disk->InjectError(SimulatedFileSystem::Operation::kRead, "/groups/", 0, 4,
                                         absl::InternalError("open: Permission denied"));
  world_.Start(node);
  EXPECT_EQ(world_.machine(node).runtime->Find(1), nullptr);
  EXPECT_EQ(world_.machine(node).runtime->damaged().count(1), 1u);
  Run(seconds(6));
  ASSERT_NE(world_.machine(node).runtime->Find(1), nullptr);
  EXPECT_FALSE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  EXPECT_EQ(ValueOn(node), 1);
}

// Rule 11: a replica that lost its state is filled by a snapshot, perhaps from before what it has
// acknowledged. How far it acknowledged stays on its disk, or a crash then makes it forget.
TEST_F(LossTest, ASnapshotFromBeforeThePromiseKeepsThePromise) {
  ASSERT_TRUE(AddOne());
  const NodeId leader = world_.LeaderOf(1);
  const NodeId node = Follower();
  FlushAll();  // or the log would bring the state back by itself
  const Index committed = LeaderReplica()->view().commit;
  // The leader's entry reaches this follower's disk, and nobody hears of it.
  for (const auto& [other, machine] : world_.machines()) {
    if (other != leader && other != node) world_.Kill(other);
  }
  world_.network().Block(node, leader);
  ProposeLarge();
  while (LogOf(node).promised.index <= committed) ASSERT_TRUE(simulation_.Step());
  const LogPosition promised = LogOf(node).promised;
  world_.Kill(node);
  RemoveState(node);
  world_.Start(node);
  ASSERT_TRUE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  world_.network().UnblockAll();
  while (!LogOf(node).snapshot.has_value() || LogOf(node).snapshot->generation == 0) {
    ASSERT_TRUE(simulation_.Step());
    ASSERT_GE(LogOf(node).promised, promised);
  }
  ASSERT_LT(LogOf(node).snapshot->last, promised) << "the snapshot has it all";
  ASSERT_GE(LogOf(node).promised, promised);
  world_.CutPower(node);
  world_.Start(node);
  EXPECT_GE(LogOf(node).promised, promised);
  Run(seconds(10));
  EXPECT_TRUE(AddOne());
  EXPECT_EQ(world_.violation(), "");
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

}  // namespace
}  // namespace ringleader::replication
