// A partition whose LevelDB finds no space.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/node/cache_holder.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Response;

class FullDiskTest : public testing::Test {
 protected:
  FullDiskTest() : world_(35, 1) {
    // Ranges to hash are due all the time.
    world_.Kill(1);
    world_.partition_options().hash_pass = std::chrono::milliseconds(200);
    world_.partition_options().hash_pause_min = std::chrono::milliseconds(200);
    world_.Start(1);
    world_.CreatePartition(1);
    for (int i = 0; i < 20; ++i) {
      world_.Call(PutRequest(absl::StrCat(R"({"pk":"k","sk":)", i, "}")));
    }
    replica_ = world_.ReplicaOf(1);
  }

  void Maintain() { RunMaintained(world_, std::chrono::seconds(3)); }
  // LevelDB finds no space, as it is told to write. What the node has measured may be of before.
  void FillDisk() {
    disk().SetCapacity(disk().UsedBytes());
    replica_->FlushAndCompact();
    Maintain();
  }
  replication::Index Applied() { return world_.PartitionOf(1)->state().applied.last.index; }
  SimulatedFileSystem& disk() { return *world_.node(1).disk; }
  Admission& admission() { return *world_.node(1).admission; }

  PartitionWorld world_;
  std::shared_ptr<replication::Replica> replica_;
};

// Protects partitions from a disk that was full for a moment: reads go on meanwhile, and when there
// is room their leader serves all again by itself, though no entry came that would have told it.
TEST_F(FullDiskTest, ALeaderServesAgainWhenThereIsSpace) {
  FillDisk();
  EXPECT_EQ(admission().without_space(), 1);
  ASSERT_EQ(world_.ReplicaOf(1), replica_) << "opened again without space";
  EXPECT_EQ(world_.Call(1, GetRequest("k", 1)).error(), data::v1::ERROR_NONE);
  const Response refused = world_.Call(1, PutRequest(R"({"pk":"k","sk":20})"));
  EXPECT_EQ(refused.error(), data::v1::ERROR_RESOURCE_EXHAUSTED);
  EXPECT_GT(refused.retry_after_ms(), 0u);

  // Not as much as writes need, but as much as the store needs.
  admission().SetDiskFit(false);
  disk().SetCapacity(disk().UsedBytes() + (32 << 20));
  Maintain();
  ASSERT_NE(world_.ReplicaOf(1), replica_);
  EXPECT_EQ(admission().without_space(), 0);
  EXPECT_EQ(world_.Call(GetRequest("k", 19)).error(), data::v1::ERROR_NONE);
  admission().SetDiskFit(true);
  EXPECT_EQ(world_.Call(PutRequest(R"({"pk":"k","sk":20})")).error(), data::v1::ERROR_NONE);
}

// Protects what can still be read: any entry would close the replica, so the leader makes none,
// for no range to hash, no era, no table, and no write that waited for a holder.
TEST_F(FullDiskTest, ALeaderMakesNoEntryThatItCouldNotApply) {
  Maintain();
  const replication::Index before = Applied();
  Maintain();
  EXPECT_GT(Applied(), before) << "no range was hashed";
  Holder holder(world_, 1);
  ASSERT_GT(holder.FillGranted("k").life_us(), 0u);
  const auto parked = Send(world_, 1, PutRequest(Json("k", 1)));
  disk().SetCapacity(disk().UsedBytes());
  replica_->FlushAndCompact();
  world_.RunFor(std::chrono::milliseconds(200));
  const replication::Index applied = Applied();
  ASSERT_FALSE(parked->response.has_value());

  Maintain();
  ASSERT_TRUE(parked->response.has_value());
  EXPECT_EQ(parked->response->error(), data::v1::ERROR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(holder.Fill("other").life_us(), 0u);
  const TableRecord end{
      .id = PartitionWorld::kTable, .schema_version = 1, .phase = TablePhase::kRetired};
  OnApplier(world_, 1, [end](const auto& replica, Partition& partition) {
    partition.ProposeTable(replica, end);
  });
  Maintain();
  EXPECT_EQ(world_.ReplicaOf(1), replica_);
  EXPECT_EQ(Applied(), applied);
  EXPECT_EQ(world_.Call(1, GetRequest("k", 1)).error(), data::v1::ERROR_NONE);
}

// Protects answers: damage does not wait for space.
TEST_F(FullDiskTest, DamageIsFoundWhileThereIsNoSpace) {
  replica_->FlushAndCompact();
  world_.RunFor(std::chrono::seconds(1));
  world_.Call(PutRequest(R"({"pk":"k","sk":20})"));
  FillDisk();
  ASSERT_EQ(world_.ReplicaOf(1), replica_);
  for (const std::string& path : disk().Files()) {
    if (path.ends_with(".ldb")) disk().DamageBlock(path, 0, SimulatedFileSystem::BadBlock::kZeros);
  }
  EXPECT_NE(world_.Call(1, GetRequest("k", 1)).error(), data::v1::ERROR_NONE);
  Maintain();
  EXPECT_NE(world_.ReplicaOf(1), replica_);
}

}  // namespace
}  // namespace ringleader
