// Protects snapshots that install whole or not at all.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/replication/runtime_fixture.h"

namespace ringleader::replication {
namespace {

using simulation::RegisterCommand;
using simulation::RegisterOperation;
using simulation::WorldOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;

WorldOptions SmallSnapshots() {
  WorldOptions options;
  options.runtime.replica.retain_bytes = 0;
  options.runtime.replica.compaction_ticks = 1;
  options.runtime.snapshots.chunk_bytes = options.runtime.snapshots.window_bytes = 64;
  return options;
}

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

  // Registers enough for a snapshot of many chunks.
  void WriteMany() {
    const auto replica = LeaderReplica();
    std::vector<Payload> payloads;
    for (uint64_t key = 1; key <= 60; ++key) {
      const RegisterCommand command{
          .id = ++last_id_, .key = key, .operation = RegisterOperation::kAdd, .input = 1};
      payloads.push_back(std::make_shared<const std::string>(simulation::EncodeCommand(command)));
    }
    replica->Propose(replica->view().term, std::move(payloads),
                     [](const absl::StatusOr<LogPosition>&) {});
    Run(seconds(1));
  }

  // A snapshot of many chunks is under way to a node that was left behind.
  struct UnderWay {
    NodeId leader = 0, behind = 0;
  };
  UnderWay BeginTransfer() {
    const NodeId behind = LeaveOneBehind();
    WriteMany();
    FlushAll();
    const NodeId leader = world_.LeaderOf(1);
    world_.Start(behind);
    while (!IsStaging(behind)) CHECK(simulation_.Step());
    return {leader, behind};
  }

  std::string GroupDirectory(NodeId node) {
    const auto state = world_.machine(node).runtime->log().Group(1);
    return absl::StrCat("/data/groups/1.", state->creation.replica);
  }
  uint64_t Generation(NodeId node) {
    return world_.machine(node).runtime->log().Group(1)->snapshot->generation;
  }

  // Whether a snapshot's file is being written that the log of this node does not name.
  bool IsStaging(NodeId node) {
    SimulatedFileSystem& disk = *world_.machine(node).disk;
    const auto generations = disk.List(GroupDirectory(node));
    if (!generations.ok()) return false;
    for (const std::string& name : *generations) {
      if (name == absl::StrCat(Generation(node))) continue;
      const auto size = disk.FileSize(JoinPath(JoinPath(GroupDirectory(node), name), "registers"));
      if (size.ok() && *size > 0) return true;
    }
    return false;
  }

  // Whether the state that the log names is there.
  bool StateIsThere(NodeId node) {
    const std::string generation = JoinPath(GroupDirectory(node), absl::StrCat(Generation(node)));
    return world_.machine(node).disk->Exists(JoinPath(generation, "registers")).value_or(false);
  }
};

TEST_F(SnapshotTest, WhoFellBehindTheLogReturnsBySnapshot) {
  const NodeId behind = LeaveOneBehind();
  world_.Start(behind);
  Run(seconds(10));
  EXPECT_EQ(ValueOn(behind), 5);
  EXPECT_GT(world_.machine(behind).runtime->log().Group(1)->snapshot->generation, 0u);
}

// The receiver's lane to the sender breaks, not the other: both would wait for each other.
TEST_F(SnapshotTest, AnAnswerThatIsLostIsAskedForAgain) {
  const auto [leader, behind] = BeginTransfer();
  world_.network().Cut(behind, leader, LaneMethod(Lane::kSnapshot));
  Run(seconds(3));
  ASSERT_EQ(Generation(behind), 0u) << "nothing was lost";
  world_.network().MendLinks();
  Run(seconds(5));  // less than the silence that ends a transfer
  EXPECT_GT(Generation(behind), 0u);
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

// Rule 12: a replica that is closed while the record of its snapshot is on its way keeps what the
// record names. It would be without state otherwise, with a log that begins behind it.
TEST_F(SnapshotTest, AReplicaThatClosesDuringAnInstallationKeepsWhatItsLogNames) {
  const NodeId behind = LeaveOneBehind();
  int named = 0;
  for (int steps = 0; steps <= 30; steps += 3) {
    world_.Start(behind);
    while (!IsStaging(behind)) ASSERT_TRUE(simulation_.Step());
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(simulation_.Step());
    const auto replica = world_.machine(behind).runtime->Find(1);
    replica->PostToWorker([replica] { replica->Close(absl::UnavailableError("a test")); });
    Run(milliseconds(300));
    const bool counts = Generation(behind) != 0;
    named += counts;
    ASSERT_TRUE(!counts || StateIsThere(behind)) << "after " << steps << " steps";
    world_.Kill(behind);
    AddOne();
    FlushAll();
  }
  EXPECT_GT(named, 0) << "no moment was after the commit point";
  EXPECT_EQ(world_.violation(), "");
}

// The next leader's transfer may be whole, and about to be recorded, when an older one is
// installed: the log would name a directory that is gone. What came to nothing goes when the
// replica is opened.
TEST_F(SnapshotTest, AnInstallationLeavesANewerTransferAlone) {
  const NodeId behind = BeginTransfer().behind;
  SimulatedFileSystem& disk = *world_.machine(behind).disk;
  const std::string older = JoinPath(GroupDirectory(behind), "0");
  const std::string newer = JoinPath(GroupDirectory(behind), "1000000");
  ASSERT_TRUE(disk.CreateDirectory(newer).ok());
  Run(seconds(3));
  ASSERT_GT(Generation(behind), 0u);
  EXPECT_TRUE(StateIsThere(behind));
  EXPECT_FALSE(disk.Exists(older).value_or(true));
  EXPECT_TRUE(disk.Exists(newer).value_or(false));
  world_.Kill(behind);
  world_.Start(behind);
  Run(seconds(3));
  EXPECT_TRUE(StateIsThere(behind));
  EXPECT_FALSE(disk.Exists(newer).value_or(true));
}

// A voter without a log takes no snapshot that counts on it (rule 11), and the leader offers one
// again and again: what it has refused once is not sent whole each time.
TEST_F(SnapshotTest, AVoterThatCanNotBeFilledIsSentNoDataAgain) {
  const NodeId wiped = Follower();
  WriteMany();
  world_.Kill(wiped);
  world_.Wipe(wiped);
  world_.Start(wiped);
  Run(seconds(30));
  Runtime& runtime = *world_.machine(wiped).runtime;
  ASSERT_NE(runtime.Find(1), nullptr);
  ASSERT_TRUE(runtime.Find(1)->view().unfillable);
  const ReplicationCounters& leader = world_.machine(world_.LeaderOf(1)).runtime->counters();
  const uint64_t offers = leader.snapshots_not_sent.value();
  const uint64_t bytes = runtime.counters().snapshot_bytes_received.value();
  EXPECT_GT(bytes, 0u);
  Run(seconds(300));
  EXPECT_EQ(runtime.counters().snapshot_bytes_received.value(), bytes);
  EXPECT_GT(leader.snapshots_not_sent.value(), offers) << "nobody tried";
}

// What is left of a transfer whose leader is gone and whose replica was opened again meanwhile
// takes nothing with it when it ends: not what the next leader's transfer has installed.
TEST_F(SnapshotTest, AStaleTransferLeavesTheLiveGenerationAlone) {
  const auto [first, behind] = BeginTransfer();
  world_.Pause(first);
  Run(milliseconds(100));
  ASSERT_TRUE(IsStaging(behind)) << "the transfer was over too early";
  // Its replica fails, and is opened again.
  world_.machine(behind).disk->InjectError(SimulatedFileSystem::Operation::kWrite, "/0/", 0, 1,
                                           absl::InternalError("a test"));
  world_.machine(behind).runtime->Find(1)->FlushAndCompact();
  Run(seconds(15));
  ASSERT_NE(world_.LeaderOf(1), first);
  ASSERT_TRUE(StateIsThere(behind));
  ASSERT_GT(Generation(behind), 0u);
  world_.Resume(first);
  Run(seconds(30));
  EXPECT_TRUE(StateIsThere(behind));
  EXPECT_EQ(world_.violation(), "");
}

}  // namespace
}  // namespace ringleader::replication
