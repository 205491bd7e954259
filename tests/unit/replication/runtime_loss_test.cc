// Protects what a node promises when its disk lost something: part of its log, its state, or both.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "replication/runtime.h"
#include "tests/unit/replication/runtime_fixture.h"

namespace ringleader::replication {
namespace {

using simulation::RegisterCommand;
using simulation::WorldOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;

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

  static NodeId Third(NodeId one, NodeId other) { return 1 + 2 + 3 - one - other; }

  // What was applied on this node since it flushed last can't be flushed, and its replica stops.
  void FailToFlush(NodeId node) {
    world_.machine(node).disk->InjectError(SimulatedFileSystem::Operation::kWrite, "/groups/1.", 0,
                                           1, absl::DataLossError("write: Input/output error"));
    world_.machine(node).runtime->Find(1)->FlushAndCompact();
    Run(milliseconds(300));
    ASSERT_EQ(world_.machine(node).runtime->Find(1), nullptr) << "nothing failed";
  }

  using Files = std::map<std::string, std::string>;

  Files LogFiles(NodeId node) {
    SimulatedFileSystem& disk = *world_.machine(node).disk;
    Files files;
    for (const std::string& path : disk.Files()) {
      if (absl::StrContains(path, "/log/")) files[path] = disk.Content(path);
    }
    return files;
  }

  void RestoreLogFiles(NodeId node, const Files& files) {
    SimulatedFileSystem& disk = *world_.machine(node).disk;
    for (const auto& [path, content] : LogFiles(node)) ASSERT_TRUE(disk.RemoveFile(path).ok());
    for (const auto& [path, content] : files) {
      auto file = disk.OpenForWrite(path, WriteMode::kTruncate);
      ASSERT_TRUE(file.ok()) << file.status();
      ASSERT_TRUE((*file)->Append(content).ok());
      ASSERT_TRUE((*file)->Sync().ok());
      ASSERT_TRUE((*file)->Close().ok());
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
  const NodeId behind = Third(leader, node);
  ASSERT_TRUE(AddOne());
  FailToFlush(node);
  Run(seconds(4));
  world_.Kill(behind);
  ASSERT_TRUE(AddOne());
  ASSERT_TRUE(AddOne());
  FailToFlush(node);
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
  // It fails once more: now it is left alone for twice as long.
  ASSERT_TRUE(AddOne());
  world_.Kill(behind);
  FailToFlush(node);
  Run(seconds(16));
  EXPECT_TRUE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  Run(seconds(8));
  EXPECT_FALSE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  EXPECT_EQ(world_.violation(), "");
}

// Nor beside a leader who can't commit without it, and so has nothing new enough to send: its log
// has what the distrusted state was made of, but it does not know that this was committed.
TEST_F(LossTest, DistrustedStateIsTakenBackBesideALeaderThatHasNoQuorumWithoutIt) {
  const NodeId leader = world_.LeaderOf(1);
  const NodeId node = Follower();
  const NodeId behind = Third(leader, node);
  ASSERT_TRUE(AddOne());
  FailToFlush(node);
  Run(seconds(4));
  // The entry reaches both logs; that it is committed, only one follower.
  const Index last = LeaderReplica()->view().last + 1;
  world_.network().Block(node, leader);
  world_.network().Block(behind, leader);
  ProposeLarge();
  while (LogOf(behind).intact_last < last || LogOf(node).intact_last < last) {
    ASSERT_TRUE(simulation_.Step());
  }
  world_.network().UnblockAll();
  world_.network().Block(leader, behind);
  world_.network().Block(behind, leader);
  Run(milliseconds(500));
  ASSERT_EQ(world_.machine(node).runtime->Find(1)->view().applied, last);
  world_.machine(node).runtime->Find(1)->FlushAndCompact();
  Run(milliseconds(500));
  ASSERT_EQ(LogOf(node).compacted.index, last);
  ASSERT_LT(world_.machine(behind).runtime->Find(1)->view().commit, last);
  FailToFlush(node);
  world_.Kill(leader);  // for good
  Run(seconds(8));
  ASSERT_TRUE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  const ReplicaView view = world_.machine(behind).runtime->Find(1)->view();
  ASSERT_EQ(view.role, Role::kLeader);
  ASSERT_LT(view.commit, last);
  Run(seconds(12));
  EXPECT_TRUE(AddOne());
  EXPECT_EQ(world_.violation(), "");
}

// Whoever leads a quorum without it fills it when he gets to it.
class BusyTest : public LossTest {
 protected:
  static WorldOptions Busy() {
    WorldOptions options;
    options.runtime.snapshots.transfers_max = 0;
    return options;
  }
  BusyTest() : LossTest(Busy()) {}
};

TEST_F(BusyTest, WhoWaitsForALeadersSnapshotIsLeftInPeace) {
  ASSERT_TRUE(AddOne());
  FlushAll();
  const NodeId node = Follower();
  world_.Kill(node);
  RemoveState(node);
  world_.Start(node);
  const auto replica = world_.machine(node).runtime->Find(1);
  Run(seconds(60));
  EXPECT_EQ(world_.machine(node).runtime->Find(1), replica) << "it was opened again";
  EXPECT_TRUE(replica->view().rebuilding);
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

// The log has forgotten what it acknowledged, perhaps a vote as well, and only the state shows it.
// A replica that went on with either would help to elect who lacks it.
TEST_F(LossTest, StateAheadOfItsLogMakesTheLogSuspect) {
  ASSERT_TRUE(AddOne());
  const NodeId node = Follower();
  world_.Kill(node);
  const auto before = LogFiles(node);
  world_.Start(node);
  ASSERT_TRUE(AddOne());
  FlushAll();
  world_.Kill(node);
  world_.Harm(node);
  RestoreLogFiles(node, before);
  world_.Start(node);
  Run(seconds(10));
  EXPECT_EQ(world_.machine(node).runtime->Find(1), nullptr);
  EXPECT_TRUE(LogOf(node).suspect);
  EXPECT_EQ(world_.machine(node).runtime->damaged().count(1), 1u);
  ASSERT_TRUE(AddOne());
  EXPECT_EQ(world_.violation(), "");
}

// What goes bad of the log while its replica is closed speaks against the log alone. The state
// would be distrusted otherwise, as it is the second error in a row.
TEST_F(LossTest, ATailThatCantBeReadAtTheOpeningIsNoLossOfState) {
  ASSERT_TRUE(AddOne());
  const NodeId node = Follower();
  FlushAll();
  ProposeLarge();
  ASSERT_TRUE(AddOne());
  FailToFlush(node);
  DamageLarge(node);
  const Duration until = simulation_.now() + seconds(5);
  while (world_.machine(node).runtime->Find(1) == nullptr) {
    ASSERT_LT(simulation_.now(), until);
    ASSERT_TRUE(simulation_.Step());
  }
  EXPECT_FALSE(world_.machine(node).runtime->Find(1)->view().rebuilding);
  EXPECT_FALSE(LogOf(node).damage.empty()) << "nothing was damaged";
  Run(seconds(5));
  EXPECT_TRUE(LogOf(node).damage.empty());
  EXPECT_EQ(ValueOn(node), 2);
  EXPECT_EQ(world_.violation(), "");
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

}  // namespace
}  // namespace ringleader::replication
