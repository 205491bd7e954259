// The scrub over whole replicas: what goes bad where nobody reads is found and mended by it alone.
#include "node/scrub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "node/partition.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using std::chrono::seconds;

class ScrubTest : public testing::Test {
 protected:
  void Make(uint64_t seed, int nodes) {
    world_.emplace(seed, nodes);
    world_->CreatePartition(nodes);
  }
  ~ScrubTest() override { StopScrub(); }
  // As a node does at its end: what the appliers still bring is for nobody.
  void StopScrub() {
    if (executor_ == nullptr) return;
    executor_->Stop();
    world_->RunFor(std::chrono::milliseconds(100));
    executor_.reset();
    scrub_.reset();
  }
  void Put(int count) {
    for (int i = 0; i < count; ++i, ++written_) {
      const std::string text(6000, static_cast<char>('a' + written_ % 20));
      ASSERT_EQ(world_
                    ->Call(PutRequest(absl::StrCat(R"({"pk":"k","sk":)", written_,
                                                   R"(,"v":"needle-)", written_, text, R"("})")))
                    .error(),
                data::v1::ERROR_NONE);
    }
  }
  StorePlace Place(uint64_t node) {
    PartitionNode& host = world_->node(node);
    return {.file_system = *host.disk,
            .clock = *host.clock,
            .compactions = *host.compactions,
            .flushes = *host.compactions};
  }
  void StartScrub(uint64_t node, Duration flush_within = seconds(5),
                  Duration first_pass_after = Duration(0)) {
    PartitionNode& host = world_->node(node);
    executor_ = host.threads->Start("scrub");
    scrub_.emplace(ScrubOptions{.period = std::chrono::hours(1),
                                .first_pass_after = first_pass_after,
                                .bytes_per_second_max = 1 << 20,
                                .flush_within = flush_within},
                   Place(node), *host.runtime, *host.registry, *executor_);
    scrub_->Start();
  }
  bool RunUntil(const std::function<bool()>& condition, int seconds_max = 60) {
    for (int tenth = 0; tenth < 10 * seconds_max; ++tenth) {
      if (condition()) return true;
      world_->RunFor(std::chrono::milliseconds(100));
    }
    return condition();
  }
  std::vector<std::string> FilesOf(uint64_t node, absl::string_view end) {
    std::vector<std::string> files;
    for (const std::string& path : world_->node(node).disk->Files()) {
      if (absl::EndsWith(path, end)) files.push_back(path);
    }
    return files;
  }
  // Of an entry that lives in a sealed segment.
  void DamageSealedEntry(uint64_t node) {
    SimulatedFileSystem& disk = *world_->node(node).disk;
    const auto sealed_needle = [&] {
      const std::vector<std::string> segments = FilesOf(node, ".segment");
      if (segments.size() < 2) return std::pair<std::string, size_t>{"", std::string::npos};
      const std::string path = segments[segments.size() - 2];
      return std::pair(path, disk.Content(path).rfind("needle-"));
    };
    while (written_ < 2000 && sealed_needle().second == std::string::npos) Put(10);
    const auto [path, at] = sealed_needle();
    ASSERT_NE(at, std::string::npos);
    disk.FlipBit(path, 8 * (at + 3));
  }
  // Of what the open database uses.
  bool AreTablesIntact(uint64_t node) {
    for (const std::string& path : world_->PartitionOf(node)->LiveFiles()) {
      if (!CheckStoreFile(Place(node), path).ok()) return false;
    }
    return true;
  }
  uint64_t Follower() { return world_->WaitForLeader() % world_->nodes() + 1; }

  std::optional<PartitionWorld> world_;
  std::unique_ptr<Executor> executor_;
  std::optional<Scrub> scrub_;
  int written_ = 0;
};

TEST_F(ScrubTest, AFlippedBitInAColdTableCostsTheReplicaARebuild) {
  // Protects the data: found while the other copies are good, though nobody reads the file.
  Make(51, 3);
  Put(15);  // too few tables for a compaction, which would take the file away
  const uint64_t node = Follower();
  world_->ReplicaOf(node)->FlushAndCompact();
  world_->RunFor(seconds(5));
  world_->node(node).disk->FlipBit(world_->PartitionOf(node)->LiveFiles().front(), 8 * 300);
  world_->RunFor(seconds(10));
  ASSERT_NE(world_->PartitionOf(node), nullptr);
  EXPECT_FALSE(AreTablesIntact(node));  // nothing else finds it
  StartScrub(node);
  EXPECT_TRUE(RunUntil([&] { return scrub_->problems() == 1; }));
  // The coordinators decide: the other replicas may be away.
  const Registry& registry = *world_->node(node).registry;
  const std::string bad = registry.BadFileOf(PartitionWorld::kGroup);
  EXPECT_TRUE(absl::EndsWith(bad, ".ldb"));
  const std::shared_ptr<replication::Replica> before = world_->ReplicaOf(node);
  world_->RunFor(seconds(5));
  EXPECT_EQ(world_->ReplicaOf(node), before);
  scrub_->Rebuild(PartitionWorld::kGroup, before->id(), bad);
  EXPECT_TRUE(RunUntil([&] {
    return world_->PartitionOf(node) != nullptr && AreTablesIntact(node) &&
           world_->Dump(node) == world_->Dump(world_->WaitForLeader());
  }));
  EXPECT_EQ(registry.BadFileOf(PartitionWorld::kGroup), "");
  EXPECT_TRUE(RunUntil([&] { return scrub_->passes() == 1; }));
  MetricSink sink;
  scrub_->Collect(sink);
  EXPECT_THAT(sink.Text(),
              testing::HasSubstr("ringleader_scrub_problems_total{what=\"file\"} 1\n"));
}

TEST_F(ScrubTest, WaitsAWhileAfterTheStart) {
  // Protects who waits after an outage: the log has just been read by its opening, and a group
  // without a leader needs the processor.
  Make(58, 1);
  Put(1);
  StartScrub(1, seconds(5), seconds(30));
  world_->RunFor(seconds(29));
  EXPECT_EQ(scrub_->passes(), 0);
  world_->RunFor(seconds(10));
  EXPECT_EQ(scrub_->passes(), 1);
}

TEST_F(ScrubTest, AReplicaWhoseFileIsGoodAgainOrGoneIsKept) {
  // Protects a good replica: an order may come late, and a read may fail once.
  Make(55, 3);
  Put(15);  // too few tables for a compaction, which would take the file away
  const uint64_t node = Follower();
  SimulatedFileSystem& disk = *world_->node(node).disk;
  world_->ReplicaOf(node)->FlushAndCompact();
  world_->RunFor(seconds(5));
  const std::string file = world_->PartitionOf(node)->LiveFiles().front();
  disk.FlipBit(file, 8 * 300);
  const std::shared_ptr<replication::Replica> before = world_->ReplicaOf(node);
  StartScrub(node);
  EXPECT_TRUE(RunUntil([&] { return scrub_->problems() == 1; }));
  disk.FlipBit(file, 8 * 300);
  scrub_->Rebuild(PartitionWorld::kGroup, before->id(), file);
  world_->RunFor(seconds(5));
  EXPECT_EQ(world_->ReplicaOf(node), before);
  EXPECT_EQ(world_->node(node).registry->BadFileOf(PartitionWorld::kGroup), "");
}

TEST_F(ScrubTest, AFlippedBitInTheLogIsGoneBeforeARestartFindsIt) {
  // Protects the log's redundancy: a restart after the scrub finds nothing damaged, and the group
  // was not stopped for it.
  Make(52, 3);
  Put(20);
  const uint64_t node = Follower();
  DamageSealedEntry(node);
  StartScrub(node);
  EXPECT_TRUE(RunUntil([&] { return scrub_->problems() >= 1; }));
  MetricSink sink;
  scrub_->Collect(sink);
  // An entry this large is in blocks of its own: there is no other copy of it here.
  EXPECT_THAT(sink.Text(),
              testing::HasSubstr("ringleader_scrub_problems_total{what=\"entry\"} 1\n"));
  EXPECT_TRUE(RunUntil([&] {
    const auto state = world_->node(node).runtime->log().Group(PartitionWorld::kGroup);
    return state.has_value() && state->damage.empty() && world_->PartitionOf(node) != nullptr;
  }));
  Put(20);
  EXPECT_TRUE(
      RunUntil([&] { return world_->Dump(node) == world_->Dump(world_->WaitForLeader()); }));
  StopScrub();
  world_->Kill(node);
  world_->Start(node);
  EXPECT_EQ(world_->node(node).runtime->log().report().corrupt_entries, 0u);
}

TEST_F(ScrubTest, AnAppliedEntryIsNotGivenUpBecauseAFlushTakesLong) {
  // Protects the only copy: what is applied and not yet flushed is in memory and in the log alone.
  // Opened again, the replica would ask the log for it.
  Make(54, 1);
  Put(20);
  DamageSealedEntry(1);
  const std::string held = world_->Dump(1);
  const std::shared_ptr<replication::Replica> before = world_->ReplicaOf(1);
  StartScrub(1, std::chrono::microseconds(1));  // far less than a flush takes
  EXPECT_TRUE(RunUntil([&] { return scrub_->problems() >= 1; }));
  EXPECT_TRUE(RunUntil([&] {
    return world_->node(1).runtime->log().Group(PartitionWorld::kGroup)->damage.empty();
  }));
  EXPECT_EQ(world_->ReplicaOf(1), before);
  EXPECT_EQ(world_->Dump(1), held);
}

TEST_F(ScrubTest, TheOnlyCopyIsNeverGivenUp) {
  // Protects what can still be read of a group that has one replica.
  Make(53, 1);
  Put(15);  // too few tables for a compaction, which would take the file away
  world_->ReplicaOf(1)->FlushAndCompact();
  world_->RunFor(seconds(5));
  world_->node(1).disk->FlipBit(world_->PartitionOf(1)->LiveFiles().front(), 8 * 300);
  const std::shared_ptr<replication::Replica> before = world_->ReplicaOf(1);
  StartScrub(1);
  EXPECT_TRUE(RunUntil([&] { return scrub_->problems() == 1 && scrub_->passes() == 1; }));
  scrub_->Rebuild(PartitionWorld::kGroup, before->id(),
                  world_->node(1).registry->BadFileOf(PartitionWorld::kGroup));
  world_->RunFor(seconds(5));
  EXPECT_EQ(world_->ReplicaOf(1), before);
  EXPECT_TRUE(before->view().failure.ok());
}

}  // namespace
}  // namespace ringleader
