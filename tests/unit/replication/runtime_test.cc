// Protects what a node promises for its replicas: durable creation, tombstones, silence after a
// restart, disks that gate leadership, snapshots that install whole or not at all. Runs whole
// runtimes in virtual time.
#include "replication/runtime.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/simulation/raft_world.h"
#include "tests/simulation/simulation.h"

namespace ringleader::replication {
namespace {

using simulation::RegisterCommand;
using simulation::RegisterOperation;
using simulation::Simulation;
using simulation::World;
using simulation::WorldOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;

WorldOptions SmallSnapshots() {
  WorldOptions options;
  options.runtime.replica.retain_bytes = 0;
  options.runtime.replica.compaction_ticks = 1;
  options.runtime.snapshots.chunk_bytes = 64;
  return options;
}

class RuntimeTest : public ::testing::Test {
 protected:
  explicit RuntimeTest(const WorldOptions& options = {}) : world_(simulation_, options) {
    world_.Create();
    Run(seconds(5));
  }

  void Run(Duration span) { simulation_.RunFor(span); }

  std::shared_ptr<Replica> LeaderReplica() {
    const NodeId leader = world_.LeaderOf(1);
    return leader == 0 ? nullptr : world_.machine(leader).runtime->Find(1);
  }

  // Adds 1 to register 0 and waits until some replica applied it; false if nobody took it.
  bool AddOne() {
    const auto replica = LeaderReplica();
    if (replica == nullptr) return false;
    bool done = false;
    const uint64_t id = ++last_id_;
    world_.OnOutcome([&done, id](ReplicaId, uint64_t outcome, int64_t) { done |= outcome == id; });
    const RegisterCommand command{.id = id, .operation = RegisterOperation::kAdd, .input = 1};
    replica->Propose(replica->view().term,
                     {std::make_shared<const std::string>(simulation::EncodeCommand(command))},
                     [](const absl::StatusOr<LogPosition>&) {});
    Run(seconds(1));
    world_.OnOutcome(nullptr);  // replays tell of it again
    return done;
  }

  int64_t ValueOn(NodeId node) { return world_.machine(node).machines.at(1)->Read(0); }

  NodeId Follower() {
    for (const auto& [node, machine] : world_.machines()) {
      if (node != world_.LeaderOf(1)) return node;
    }
    return 0;
  }

  // Flushes everywhere, so that logs are compacted and who is behind needs a snapshot.
  void FlushAll() {
    for (auto& [node, machine] : world_.machines()) {
      if (machine.up()) machine.runtime->Find(1)->FlushAndCompact();
    }
    Run(seconds(2));
  }

  Simulation simulation_{7};
  World world_;
  uint64_t last_id_ = 0;
};

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

class SnapshotTest : public RuntimeTest {
 protected:
  SnapshotTest() : RuntimeTest(SmallSnapshots()) {}

  // A follower misses what the others then compact away.
  NodeId LeaveOneBehind() {
    const NodeId behind = Follower();
    world_.Kill(behind);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(AddOne());
    FlushAll();
    return behind;
  }
};

TEST_F(RuntimeTest, WritesReachEveryReplica) {
  ASSERT_TRUE(AddOne());
  Run(seconds(1));
  for (const auto& [node, machine] : world_.machines()) EXPECT_EQ(ValueOn(node), 1) << node;
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
TEST_F(RuntimeTest, ARestartedVoterStaysSilentUntilEveryLeaseItMayHaveGrantedIsOver) {
  const NodeId leader = world_.LeaderOf(1);
  std::vector<NodeId> followers;
  for (NodeId node = 1; node <= 3; ++node) {
    if (node != leader) followers.push_back(node);
  }
  const auto replica = LeaderReplica();
  const Duration lease = LeaseLength(10, milliseconds(100), 0.01);
  // The leader is cut off from both; they restart at once and could elect among themselves.
  for (const NodeId follower : followers) {
    world_.network().Block(leader, follower);
    world_.network().Block(follower, leader);
    world_.Kill(follower);
    world_.Start(follower);
  }
  const Duration start = simulation_.now();
  while (simulation_.now() - start < lease) {
    ASSERT_TRUE(simulation_.Step());
    for (const NodeId follower : followers) {
      const auto other = world_.machine(follower).runtime->Find(1);
      ASSERT_FALSE(other != nullptr && other->view().serving && replica->LeaseRead().ok())
          << "two leaders could answer reads";
    }
  }
  Run(seconds(10));
  EXPECT_NE(world_.LeaderOf(1), leader);
  EXPECT_FALSE(replica->LeaseRead().ok());
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

TEST_F(SnapshotTest, WhoFellBehindTheLogReturnsBySnapshot) {
  const NodeId behind = LeaveOneBehind();
  world_.Start(behind);
  Run(seconds(10));
  EXPECT_EQ(ValueOn(behind), 5);
  EXPECT_GT(world_.machine(behind).runtime->log().Group(1)->snapshot->generation, 0u);
}

// Rule 12: the commit point is one record; a crash anywhere before or after it leaves old or new.
TEST_F(SnapshotTest, APowerCutAtAnyMomentOfAnInstallationLeavesOldOrNew) {
  NodeId behind = LeaveOneBehind();
  for (uint64_t operations = 1; operations <= 60; ++operations) {
    world_.Start(behind);
    if (!world_.machine(behind).up()) continue;
    world_.machine(behind).disk->CrashAfter(operations);
    Run(seconds(
        4));  // the watch of the world cuts its power when the disk is gone, and starts it again
    if (world_.machine(behind).up()) world_.CutPower(behind);
  }
  world_.Start(behind);
  Run(seconds(15));
  ASSERT_TRUE(AddOne());
  Run(seconds(2));
  EXPECT_EQ(ValueOn(behind), 6);
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

}  // namespace
}  // namespace ringleader::replication
