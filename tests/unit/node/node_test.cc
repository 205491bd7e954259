// The data service over the network, snapshots between nodes, tables that end, and who a node is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "node/identity.h"
#include "node/peers.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;

class Collector : public CallHandler {
 public:
  Collector(std::vector<std::string>* messages, absl::Status* end)
      : messages_(messages), end_(end) {}
  void OnMessage(std::string message) override { messages_->push_back(std::move(message)); }
  void OnEnd(const absl::Status& status) override { *end_ = status; }

 private:
  std::vector<std::string>* const messages_;
  absl::Status* const end_;
};

Request Numbered(Request request, uint64_t id) {
  request.set_id(id);
  request.set_table_name("things");
  return request;
}

// Protects the contract of a stream: every request of a frame is answered once, under its number,
// and a call that the client has finished ends when all is answered.
TEST(DataServiceTest, ExchangeAnswersEveryRequest) {
  PartitionWorld world(31, 1);
  world.CreatePartition(1);
  const auto client = world.network().NewEndpoint(99, [] { return false; });
  std::vector<std::string> frames;
  absl::Status end = absl::UnknownError("not ended");
  const auto call =
      client->Start(PartitionWorld::Address(1), absl::StrCat(kDataServicePrefix, "Exchange"), {},
                    std::make_unique<Collector>(&frames, &end));
  uint64_t id = 0;
  for (int frame = 0; frame < 5; ++frame) {
    data::v1::RequestFrame out;
    for (int i = 0; i < 20; ++i, ++id) {
      // Found by their keys: there is no route.
      *out.add_requests() = Numbered(PutRequest(absl::StrCat(R"({"pk":"k","sk":)", id, "}")), id);
    }
    ASSERT_TRUE(call->Send(out.SerializeAsString()));
  }
  world.RunFor(std::chrono::seconds(2));
  call->Finish(absl::OkStatus());
  world.RunFor(std::chrono::seconds(1));
  std::set<uint64_t> answered;
  for (const std::string& bytes : frames) {
    data::v1::ResponseFrame frame;
    ASSERT_TRUE(frame.ParseFromString(bytes));
    for (const Response& response : frame.responses()) {
      EXPECT_EQ(response.error(), data::v1::ERROR_NONE) << response.message();
      EXPECT_TRUE(answered.insert(response.id()).second);
    }
  }
  EXPECT_EQ(answered.size(), 100u);
  EXPECT_LT(frames.size(), 60u);  // gathered, not one by one
  MetricSink sink;
  world.node(1).data->metrics().Collect(sink);
  EXPECT_THAT(sink.Text(), testing::HasSubstr(
                               "ringleader_requests_total{operation=\"put\",result=\"ok\"} 100\n"));
  EXPECT_TRUE(end.ok()) << end;
}

// Protects the names under which requests are counted: they are the protocol's.
TEST(DataServiceTest, MetricsNamesAreTheProtocols) {
  const std::vector<std::string> results = DataResults();
  for (size_t error = 1; error + 1 < results.size(); ++error) {
    const std::string name = data::v1::Error_Name(static_cast<data::v1::Error>(error));
    EXPECT_EQ(absl::StrCat("error_", results[error]), absl::AsciiStrToLower(name));
  }
  EXPECT_FALSE(data::v1::Error_IsValid(static_cast<int>(results.size()) - 1));
  const auto* const oneof = Request::descriptor()->FindOneofByName("operation");
  const std::vector<std::string> operations = DataOperations();
  ASSERT_EQ(operations.size(), static_cast<size_t>(oneof->field_count()) + 1);
  for (int i = 0; i < oneof->field_count(); ++i) {
    EXPECT_EQ(operations[DataOperation(oneof->field(i)->number())], oneof->field(i)->name());
  }
  EXPECT_GE(DataOperation(Request::OPERATION_NOT_SET), operations.size());
}

// Protects unary callers: generated stubs work without frames.
TEST(DataServiceTest, Execute) {
  PartitionWorld world(32, 1);
  world.CreatePartition(1);
  const auto client = world.network().NewEndpoint(99, [] { return false; });
  std::vector<std::string> answers;
  absl::Status end = absl::UnknownError("not ended");
  const auto call =
      client->Start(PartitionWorld::Address(1), absl::StrCat(kDataServicePrefix, "Execute"), {},
                    std::make_unique<Collector>(&answers, &end));
  call->Send(Numbered(PutRequest(R"({"pk":"k","sk":1})"), 7).SerializeAsString());
  world.RunFor(std::chrono::seconds(1));
  ASSERT_EQ(answers.size(), 1u);
  Response response;
  ASSERT_TRUE(response.ParseFromString(answers[0]));
  EXPECT_EQ(response.id(), 7u);
  EXPECT_EQ(response.error(), data::v1::ERROR_NONE) << response.message();
  EXPECT_TRUE(end.ok()) << end;
}

// Kills a follower, which it returns, and writes on until the leader's log begins behind what that
// one had.
uint64_t LeaveOneBehind(PartitionWorld& world) {
  world.CreatePartition(3);
  world.WaitForLeader();
  world.RunFor(std::chrono::seconds(1));
  const uint64_t behind = world.Leader() % 3 + 1;
  world.Kill(behind);
  for (int i = 0; i < 300; ++i) {
    Request put = PutRequest(
        absl::StrCat(R"({"pk":"k","sk":)", i, R"(,"v":")", std::string(2000, 'x'), R"("})"));
    put.mutable_session()->set_session(5);
    put.mutable_session()->set_sequence(1u + static_cast<uint64_t>(i));
    EXPECT_EQ(world.Call(put).error(), data::v1::ERROR_NONE);
  }
  for (int i = 0; i < 3; ++i) {
    world.ReplicaOf(world.WaitForLeader())->FlushAndCompact();
    world.RunFor(std::chrono::seconds(2));
  }
  EXPECT_GT(world.ReplicaOf(world.WaitForLeader())->view().base, 100u);
  return behind;
}

// Protects replicas that fell behind the log: a snapshot of the leader's tables brings them the
// items, the sessions, the tables and their token range.
TEST(SnapshotTest, ReplicaThatFellBehindIsRebuilt) {
  PartitionWorld world(33, 3);
  const uint64_t behind = LeaveOneBehind(world);
  const uint64_t leader = world.WaitForLeader();
  world.Start(behind);
  world.RunFor(std::chrono::seconds(10));
  ASSERT_NE(world.PartitionOf(behind), nullptr);
  EXPECT_EQ(world.PartitionOf(behind)->state().range, model::TokenRange());
  EXPECT_EQ(world.Dump(behind), world.Dump(leader));
  EXPECT_EQ(world.PartitionOf(behind)->state().applied.last,
            world.PartitionOf(leader)->state().applied.last);
}

// Protects disks and network of two nodes: a snapshot that its receiver can't take is not sent over
// and over without a pause, and one that it can take comes soon after.
TEST(SnapshotTest, ARefusedSnapshotIsSentAgainOnlyAfterAPause) {
  PartitionWorld world(35, 3);
  const uint64_t behind = LeaveOneBehind(world);
  // No table can be written, so none can be received.
  world.node(behind).disk->InjectError(SimulatedFileSystem::Operation::kWrite, ".ldb", 0,
                                       UINT64_MAX, absl::PermissionDeniedError("read-only"));
  world.Start(behind);
  world.RunFor(std::chrono::seconds(60));
  uint64_t refused = 0;
  for (uint64_t node = 1; node <= 3; ++node) {
    if (node != behind) refused += world.node(node).runtime->counters().snapshots_not_sent.value();
  }
  EXPECT_GE(refused, 3u);
  EXPECT_LE(refused, 10u);  // after 1, 2, 4, 8, and then 10 s each
  world.node(behind).disk->InjectError(SimulatedFileSystem::Operation::kWrite, "nowhere", 0, 0,
                                       absl::PermissionDeniedError("read-only"));
  world.RunFor(std::chrono::seconds(15));
  ASSERT_NE(world.PartitionOf(behind), nullptr);
  EXPECT_EQ(world.Dump(behind), world.Dump(world.WaitForLeader()));
}

// Protects the ids of deleted tables: data of a retired table is gone, from the store too, and the
// id serves nothing any more, whatever is proposed.
TEST(TableTest, RetiredTableIsPurged) {
  PartitionWorld world(34, 1);
  world.CreatePartition(1);
  for (int i = 0; i < 50; ++i) {
    world.Call(PutRequest(absl::StrCat(R"({"pk":"k","sk":)", i, "}")));
  }
  const auto replica = world.ReplicaOf(1);
  const TableRecord end{
      .id = PartitionWorld::kTable, .schema_version = 1, .phase = TablePhase::kRetired};
  replica->applier().Post([&] { world.PartitionOf(1)->ProposeTable(replica, end); });
  world.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(world.Call(GetRequest("k", 1)).error(), data::v1::ERROR_TABLE_NOT_FOUND);
  EXPECT_EQ(world.Call(PutRequest(R"({"pk":"k","sk":1})")).error(),
            data::v1::ERROR_TABLE_NOT_FOUND);
  const Registry& registry = *world.node(1).registry;
  EXPECT_THAT(registry.TablesOf(PartitionWorld::kGroup, {PartitionWorld::kTable}).retired,
              testing::ElementsAre(PartitionWorld::kTable));
  EXPECT_THAT(registry.TablesOf(PartitionWorld::kGroup, {}).retired, testing::IsEmpty());
  for (int step = 0; step < 3; ++step) {
    replica->applier().Post([&] { world.PartitionOf(1)->Maintain(replica); });
    world.RunFor(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(world.PartitionOf(1)->tables_to_purge(), 0u);
}

// Protects a node's id: it survives restarts, and neither damage nor a newer format passes.
TEST(IdentityTest, FormatAndRules) {
  const NodeIdentity identity{.incarnation = 0xab, .formation = 0xcd, .node = 7};
  const std::string text = EncodeIdentity(identity);
  EXPECT_EQ(text.substr(0, text.find("crc32c")),
            "ringleader-node 1\nincarnation 00000000000000ab\nformation 00000000000000cd\n"
            "node 7\n");
  EXPECT_EQ(*DecodeIdentity(text), identity);
  std::string damaged = text;
  damaged[damaged.find("node 7") + 5] = '8';
  EXPECT_TRUE(absl::IsDataLoss(DecodeIdentity(damaged).status()));
  EXPECT_EQ(DecodeIdentity("ringleader-node 2\n").status().code(),
            absl::StatusCode::kFailedPrecondition);

  SimulatedFileSystem disk(1);
  CHECK_OK(disk.CreateDirectory("/data"));
  CHECK_OK(disk.SyncDirectory("/"));
  Random random(3);
  const auto first = LoadIdentity(disk, "/data", random);
  ASSERT_TRUE(first.ok()) << first.status();
  disk.CrashNow();
  disk.Restart();
  EXPECT_EQ(*LoadIdentity(disk, "/data", random), *first);
  // A log without an identity is not a fresh directory.
  CHECK_OK(disk.CreateDirectory("/other"));
  CHECK_OK(disk.CreateDirectory("/other/log"));
  CHECK_OK(ReplaceFile(disk, "/other/log/1.segment", "entries"));
  EXPECT_EQ(LoadIdentity(disk, "/other", random).status().code(),
            absl::StatusCode::kFailedPrecondition);
  // A disk that was just made, mounted as the directory or as one of its parts, is.
  for (const char* path :
       {"/disk", "/disk/lost+found", "/disk/groups", "/disk/groups/lost+found"}) {
    CHECK_OK(disk.CreateDirectory(path));
  }
  EXPECT_TRUE(LoadIdentity(disk, "/disk", random).ok());
}

// Protects an old build from data that a newer one has changed: what the cluster was raised to is
// known before anything is opened, and damage to that file keeps no node from starting.
TEST(IdentityTest, ClusterVersion) {
  EXPECT_EQ(EncodeClusterVersion(2), "ringleader-cluster-version 1\nversion 2\ncrc32c 1248c23b\n");
  SimulatedFileSystem disk(1);
  CHECK_OK(disk.CreateDirectory("/data"));
  CHECK_OK(disk.SyncDirectory("/"));
  EXPECT_EQ(LoadClusterVersion(disk, "/data"), 0u);
  ASSERT_TRUE(SaveClusterVersion(disk, "/data", 2).ok());
  disk.CrashNow();
  disk.Restart();
  EXPECT_EQ(LoadClusterVersion(disk, "/data"), 2u);
  for (uint64_t bit = 0; bit < disk.Content("/data/cluster-version").size() * 8; ++bit) {
    disk.FlipBit("/data/cluster-version", bit);
    EXPECT_EQ(LoadClusterVersion(disk, "/data"), 0u) << bit;
    disk.FlipBit("/data/cluster-version", bit);
  }
}

// Protects a start without coordinators from what is left of a file: its peers, or none.
TEST(PeersTest, FormatAndDamage) {
  const PeerAddresses peers = {{2, "10.0.0.2:7100"}, {11, "node-11:7100"}};
  EXPECT_EQ(EncodePeers(peers),
            "ringleader-peers 1\nnode 2 10.0.0.2:7100\nnode 11 node-11:7100\ncrc32c 7b9790d4\n");
  SimulatedFileSystem disk(1);
  CHECK_OK(CreateDirectories(disk, "/data"));
  EXPECT_TRUE(LoadPeers(disk, "/data").empty());
  ASSERT_TRUE(SavePeers(disk, "/data", peers).ok());
  disk.CrashNow();
  disk.Restart();
  EXPECT_EQ(LoadPeers(disk, "/data"), peers);
  for (uint64_t bit = 0; bit < disk.Content("/data/peers").size() * 8; ++bit) {
    disk.FlipBit("/data/peers", bit);
    EXPECT_TRUE(LoadPeers(disk, "/data").empty()) << bit;
    disk.FlipBit("/data/peers", bit);
  }
}

}  // namespace
}  // namespace ringleader
