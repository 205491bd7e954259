// Eras as part of a partition's replicated state.
#include <gtest/gtest.h>

#include <memory>

#include "node/effects.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

void Propose(PartitionWorld& world, const EraRecord& era) {
  const uint64_t leader = world.WaitForLeader();
  const StoreState& state = world.PartitionOf(leader)->state();
  EffectsWriter writer;
  writer.Era(era);
  auto payload = std::make_shared<const std::string>(
      writer.Finish(state.time_us + 1'000'000, state.elapsed_us));
  const auto replica = world.ReplicaOf(leader);
  bool proposed = false;
  replica->Propose(replica->view().term, {payload},
                   [&](absl::StatusOr<replication::LogPosition> position) {
                     EXPECT_TRUE(position.ok()) << position.status();
                     proposed = true;
                   });
  world.RunFor(std::chrono::seconds(2));
  EXPECT_TRUE(proposed);
}

// Protects successors: what a leader recorded before it granted is known to every replica, and
// after any crash.
TEST(PartitionErasTest, ErasAreReplicatedAndSurviveAPowerCut) {
  PartitionWorld world(31, 3);
  world.CreatePartition(3);
  Propose(world, {.change = EraChange::kOpen, .buckets = {7, 4000}});
  const Eras eras = world.PartitionOf(1)->eras();
  EXPECT_EQ(eras.Before(1000), EraBuckets().set(7).set(4000));
  for (uint64_t node = 2; node <= 3; ++node) EXPECT_EQ(world.PartitionOf(node)->eras(), eras);
  for (uint64_t node = 1; node <= 3; ++node) world.CutPower(node);
  for (uint64_t node = 1; node <= 3; ++node) world.Start(node);
  world.WaitForLeader();
  world.RunFor(std::chrono::seconds(2));
  for (uint64_t node = 1; node <= 3; ++node) EXPECT_EQ(world.PartitionOf(node)->eras(), eras);
  Propose(world, {.change = EraChange::kCloseAll, .buckets = {}});
  for (uint64_t node = 1; node <= 3; ++node) {
    EXPECT_TRUE(world.PartitionOf(node)->eras().empty());
    world.CutPower(node);
    world.Start(node);
  }
  world.RunFor(std::chrono::seconds(5));
  for (uint64_t node = 1; node <= 3; ++node) EXPECT_TRUE(world.PartitionOf(node)->eras().empty());
}

}  // namespace
}  // namespace ringleader
