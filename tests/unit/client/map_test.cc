// The cluster map: what it takes, what it refuses, and whom it believes.
#include "client/map.h"

#include <gtest/gtest.h>

namespace ringleader::client {
namespace {

using coordinator::v1::MapUpdate;

void AddPartition(MapUpdate* update, uint64_t id, uint64_t first, uint64_t last) {
  auto* partition = update->add_partitions();
  partition->set_id(id);
  partition->set_first_token(first);
  partition->set_last_token(last);
  partition->set_epoch(3);
  partition->set_leader_node(1);
  partition->set_leader_term(5);
}

MapUpdate Complete() {
  MapUpdate update;
  update.set_formation(9);
  update.set_version(10);
  update.set_complete(true);
  auto* node = update.add_nodes();
  node->set_id(1);
  node->set_address("one:7100");
  AddPartition(&update, 1, 0, 99);
  AddPartition(&update, 2, 100, UINT64_MAX);
  return update;
}

data::v1::RouteHint Hint(uint64_t epoch, uint64_t term, uint64_t node) {
  data::v1::RouteHint hint;
  hint.set_partition(1);
  hint.set_epoch(epoch);
  hint.set_term(term);
  hint.set_leader_node(node);
  hint.set_leader_address("other:7100");
  return hint;
}

TEST(ClusterMapTest, FindsPartitionsAtTheirEdges) {
  // Protects: both tokens of a range are included.
  ClusterMap map;
  ASSERT_TRUE(*map.Apply(Complete()));
  EXPECT_EQ(map.FindByToken(0)->id(), 1u);
  EXPECT_EQ(map.FindByToken(99)->id(), 1u);
  EXPECT_EQ(map.FindByToken(100)->id(), 2u);
  EXPECT_EQ(map.FindByToken(UINT64_MAX)->id(), 2u);
}

TEST(ClusterMapTest, RefusesWhatIsOldForeignOrHasGaps) {
  // Protects: versions only grow, one formation, the ring covered; a refusal changes nothing.
  ClusterMap map;
  MapUpdate change = Complete();
  change.set_complete(false);
  EXPECT_EQ(map.Apply(change).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(*map.Apply(Complete()));
  EXPECT_FALSE(*map.Apply(Complete()));
  MapUpdate foreign = Complete();
  foreign.set_formation(8);
  foreign.set_version(11);
  EXPECT_EQ(map.Apply(foreign).status().code(), absl::StatusCode::kFailedPrecondition);
  MapUpdate gap;
  gap.set_formation(9);
  gap.set_version(11);
  AddPartition(&gap, 1, 0, 98);
  EXPECT_EQ(map.Apply(gap).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(map.version(), 10u);
  EXPECT_EQ(map.FindByToken(99)->id(), 1u);
}

TEST(ClusterMapTest, AChangeSplitsAPartition) {
  // Protects: changes replace what they name and leave the rest.
  ClusterMap map;
  ASSERT_TRUE(*map.Apply(Complete()));
  MapUpdate split;
  split.set_formation(9);
  split.set_version(11);
  AddPartition(&split, 1, 0, 49);
  AddPartition(&split, 3, 50, 99);
  ASSERT_TRUE(*map.Apply(split));
  EXPECT_EQ(map.FindByToken(49)->id(), 1u);
  EXPECT_EQ(map.FindByToken(50)->id(), 3u);
  EXPECT_EQ(map.FindByToken(100)->id(), 2u);
}

TEST(ClusterMapTest, ATableMadeAgainUnderItsNameIsTheNewOne) {
  // Protects: the old table's deletion, told late, does not take the name from the new one.
  ClusterMap map;
  MapUpdate update = Complete();
  auto* table = update.add_tables();
  table->set_id(4);
  table->set_name("t");
  ASSERT_TRUE(*map.Apply(update));
  MapUpdate change;
  change.set_formation(9);
  change.set_version(11);
  table = change.add_tables();
  table->set_id(6);
  table->set_name("t");
  ASSERT_TRUE(*map.Apply(change));
  EXPECT_EQ(map.FindTable("t")->schema.id, 6u);
  MapUpdate deletion;
  deletion.set_formation(9);
  deletion.set_version(12);
  deletion.add_deleted_tables(4);
  ASSERT_TRUE(*map.Apply(deletion));
  EXPECT_EQ(map.FindTable("t")->schema.id, 6u);
  EXPECT_EQ(map.FindTable(uint64_t{4}), nullptr);
}

TEST(ClusterMapTest, BelievesOnlyStrictlyNewerHints) {
  // Protects: no bouncing: an equal or older word never moves the leader.
  ClusterMap map;
  ASSERT_TRUE(*map.Apply(Complete()));
  const auto leader = [&] { return map.LeaderOf(*map.FindPartition(1), Duration(0)); };
  EXPECT_FALSE(map.Learn(Hint(3, 5, 2)));
  EXPECT_FALSE(map.Learn(Hint(2, 9, 2)));
  EXPECT_EQ(leader().node, 1u);
  EXPECT_TRUE(map.Learn(Hint(3, 6, 2)));
  EXPECT_EQ(leader().address, "other:7100");
  EXPECT_FALSE(map.Learn(Hint(3, 6, 3)));
  EXPECT_TRUE(map.Learn(Hint(4, 1, 3)));
  EXPECT_EQ(leader().node, 3u);
}

TEST(ClusterMapTest, ARefutedLeaderIsUnknownUntilSomethingNewerOrAWhile) {
  // Protects: a wrong belief is not acted on again at once, nor given up for ever.
  ClusterMap map;
  ASSERT_TRUE(*map.Apply(Complete()));
  const auto& partition = *map.FindPartition(1);
  map.Refute(1, map.LeaderOf(partition, Duration(0)), Duration(0));
  EXPECT_EQ(map.LeaderOf(partition, Duration(1)).node, 0u);
  EXPECT_EQ(map.LeaderOf(partition, ClusterMap::kRefutedFor).node, 1u);
  ASSERT_TRUE(map.Learn(Hint(3, 6, 2)));
  EXPECT_EQ(map.LeaderOf(partition, Duration(1)).node, 2u);
  // An old refusal that arrives late says nothing of the newer belief.
  map.Refute(1, Leader{.node = 1, .epoch = 3, .term = 5}, Duration(2));
  EXPECT_EQ(map.LeaderOf(partition, Duration(3)).node, 2u);
}

}  // namespace
}  // namespace ringleader::client
