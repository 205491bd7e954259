// Replicas compare what they hold (DESIGN section 11, rule 21).
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "leveldb/db.h"
#include "model/key_codec.h"
#include "node/leveldb_env.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

class PartitionHashTest : public ::testing::Test {
 protected:
  PartitionHashTest() {
    PartitionOptions& options = world_.partition_options();
    options.hash_pass = std::chrono::seconds(2);
    options.hash_pause_min = std::chrono::milliseconds(200);
    options.hash_bytes_max = 4096;
    for (uint64_t node = 1; node <= 3; ++node) {
      world_.Kill(node);
      world_.Start(node);
    }
    world_.CreatePartition(3);
  }

  void Write(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      const auto put = world_.Call(PutRequest(
          absl::StrCat(R"({"pk":"k","sk":)", i, R"(,"v":")", std::string(200, 'x'), R"("})")));
      ASSERT_EQ(put.error(), data::v1::ERROR_NONE) << put.message();
    }
  }

  // As nodes do all the time; collects what the replicas say.
  void Run(Duration span) {
    for (Duration passed{0}; passed < span; passed += std::chrono::milliseconds(200)) {
      for (uint64_t node = 1; node <= 3; ++node) world_.Maintain(node);
      world_.RunFor(std::chrono::milliseconds(200));
      for (uint64_t node = 1; node <= 3; ++node) {
        for (const auto& hash : world_.node(node).registry->HashesOf(PartitionWorld::kGroup)) {
          hashes_[hash.index][node] = hash.hash;
        }
      }
    }
  }

  // The state of a node that is down: one item's value is another from now on, and no checksum
  // tells.
  void ChangeOneValue(uint64_t node, const std::string& directory) {
    SimulatedFileSystem& disk = *world_.node(node).disk;
    LevelDbEnv env(disk, *world_.node(node).clock, *world_.node(node).compactions,
                   *world_.node(node).compactions);
    leveldb::Options options;
    options.env = &env;
    options.paranoid_checks = true;
    leveldb::DB* opened = nullptr;
    ASSERT_TRUE(leveldb::DB::Open(options, directory, &opened).ok());
    const std::unique_ptr<leveldb::DB> database(opened);
    const std::unique_ptr<leveldb::Iterator> iterator(
        database->NewIterator(leveldb::ReadOptions()));
    iterator->Seek(model::TableRange(PartitionWorld::kTable, model::TokenRange()).start);
    ASSERT_TRUE(iterator->Valid());
    std::string value = iterator->value().ToString();
    ASSERT_EQ(value.find('y'), std::string::npos);
    value[value.rfind('x')] = 'y';
    ASSERT_TRUE(database->Put(leveldb::WriteOptions(), iterator->key(), value).ok());
    database->CompactRange(nullptr, nullptr);
  }

  std::string StateDirectory(uint64_t node) {
    const auto replica = world_.ReplicaOf(node);
    const auto state = world_.node(node).runtime->log().Group(PartitionWorld::kGroup);
    return replica->GenerationDirectory(state->snapshot->generation);
  }

  // Indexes at which a node holds other data than some other.
  int Differences(uint64_t node) {
    int differences = 0;
    for (const auto& [index, held] : hashes_) {
      for (const auto& [other, hash] : held) {
        if (held.contains(node) && hash != held.at(node)) {
          ++differences;
          break;
        }
      }
    }
    return differences;
  }

  PartitionWorld world_{41, 3};
  std::map<replication::Index, std::map<uint64_t, uint64_t>> hashes_;
};

TEST_F(PartitionHashTest, ReplicasAgreeWhileTheyAreWrittenToRestartAndPurge) {
  // Protects: no false alarm. Followers batch, restart and purge as they like.
  Write(0, 60);
  Run(std::chrono::seconds(5));
  const TableRecord end{
      .id = PartitionWorld::kTable, .schema_version = 1, .phase = TablePhase::kRetired};
  world_.CutPower(1);
  world_.Start(1);
  Write(60, 60);
  Run(std::chrono::seconds(8));
  const uint64_t leader = world_.WaitForLeader();
  const auto replica = world_.ReplicaOf(leader);
  replica->applier().Post([&] { world_.PartitionOf(leader)->ProposeTable(replica, end); });
  world_.RunFor(std::chrono::seconds(1));
  for (int i = 0; i < 5; ++i) world_.Maintain(leader);  // the others still have the items
  for (int i = 0; i < 30; ++i) {
    world_.Maintain(leader);
    Run(std::chrono::milliseconds(200));
  }
  EXPECT_GE(hashes_.size(), 15u);
  size_t complete = 0;
  for (const auto& [index, held] : hashes_) complete += held.size() == 3;
  EXPECT_GE(complete, 10u);
  for (uint64_t node = 1; node <= 3; ++node) EXPECT_EQ(Differences(node), 0) << node;
}

TEST_F(PartitionHashTest, AValueThatNobodyWroteIsFoundAndTheReplicaRebuilt) {
  // Protects: silent corruption is found within a pass, names its replica, and is mended by peers.
  Write(0, 120);
  Run(std::chrono::seconds(2));
  const uint64_t node = world_.WaitForLeader() % 3 + 1;
  const auto replica = world_.ReplicaOf(node);
  replica->FlushAndCompact();
  world_.RunFor(std::chrono::seconds(2));
  const std::string directory = StateDirectory(node);
  world_.Kill(node);
  ChangeOneValue(node, directory);
  world_.Start(node);
  world_.RunFor(std::chrono::seconds(5));
  hashes_.clear();
  EXPECT_TRUE(absl::StrContains(world_.Dump(node), "xy"));
  Run(std::chrono::seconds(12));
  EXPECT_GE(Differences(node), 1);
  for (const auto& [index, held] : hashes_) {
    if (held.size() != 3) continue;
    EXPECT_EQ(held.at(node % 3 + 1), held.at((node + 1) % 3 + 1)) << index;
  }
  world_.node(node).runtime->RebuildReplica(PartitionWorld::kGroup, replica->id(),
                                            absl::DataLossError("it differs from its peers"));
  world_.RunFor(std::chrono::seconds(1));
  Run(std::chrono::seconds(5));
  hashes_.clear();
  Write(120, 5);
  Run(std::chrono::seconds(12));
  EXPECT_EQ(world_.Dump(node), world_.Dump(node % 3 + 1));
  EXPECT_EQ(Differences(node), 0);
  EXPECT_FALSE(hashes_.empty());
}

TEST_F(PartitionHashTest, NothingIsWrittenForWhatIsEmptyOrSwitchedOff) {
  // Protects: an idle cluster stays idle.
  const uint64_t leader = world_.WaitForLeader();
  Run(std::chrono::seconds(12));
  const auto index = world_.PartitionOf(leader)->state().applied.last.index;
  EXPECT_LE(index, 5u + 12 / 2);  // the table's record is hashed once in a pass
  world_.partition_options().hash_pass = Duration(0);
  for (uint64_t node = 1; node <= 3; ++node) {
    world_.Kill(node);
    world_.Start(node);
  }
  Write(0, 30);
  const uint64_t now_leads = world_.WaitForLeader();
  const auto written = world_.PartitionOf(now_leads)->state().applied.last;
  Run(std::chrono::seconds(12));
  EXPECT_EQ(world_.PartitionOf(now_leads)->state().applied.last, written);
}

}  // namespace
}  // namespace ringleader
