// What a coordinator's data door serves from its memory, against real nodes and coordinators in
// virtual time: it needs no node for it, and lets go of it before a write or the end of the table
// takes effect.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/data_server.h"
#include "common/check.h"
#include "common/logging.h"
#include "model/item_codec.h"
#include "tests/simulation/cluster_world.h"
#include "tests/unit/simulation/things_table.h"

namespace ringleader::simulation {
namespace {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Three coordinators, three nodes, one partition. The caller's requests go to coordinator kDoor;
// writes come from a client that goes straight to the nodes.
class DoorCacheTest : public ::testing::Test {
 protected:
  static constexpr HostId kDoor = 2;
  static constexpr int kCaller = 0, kWriter = 1;

  DoorCacheTest() : simulation_(5) {
    SetLogLevel(LogLevel::kOff);
    ClusterOptions options = ThingsOptions(/*clients=*/2);
    options.door_cache_bytes = 1 << 20;
    world_ = std::make_unique<ClusterWorld>(simulation_, options);
    CreateWithThings(simulation_, *world_);
  }

  static Item KeyItem() {
    Item key;
    key.Set("id", AttributeValue::String("a"));
    return key;
  }
  void Write(const std::string& value) {
    Item item = KeyItem();
    item.Set("value", AttributeValue::String(value));
    const auto put = world_->connection(kWriter).Put("things", item, {});
    ASSERT_TRUE(put.ok()) << put.status();
  }
  // One get by the coordinator, as a caller without the library makes it.
  Response Get(data::v1::Consistency consistency = data::v1::CONSISTENCY_LINEARIZABLE,
               const std::string& projection = "") {
    Request request;
    request.set_table_name("things");
    request.set_timeout_ms(4000);
    request.mutable_get()->set_key(model::EncodeItem(KeyItem()));
    request.mutable_get()->set_consistency(consistency);
    request.mutable_get()->mutable_expressions()->set_projection(projection);
    const auto answer = world_->connection(kCaller).CallNode(
        world_->machine(kDoor).address, absl::StrCat(client::kDataServicePrefix, "Execute"),
        request.SerializeAsString());
    Response response;
    EXPECT_TRUE(answer.ok() && response.ParseFromString(*answer)) << answer.status();
    return response;
  }
  static std::string ValueOf(const Response& response) {
    if (response.error() != data::v1::ERROR_NONE) {
      return absl::StrCat("error ", response.error(), ": ", response.message());
    }
    const auto item = model::DecodeItem(response.item());
    const AttributeValue* value = item.ok() ? item->Find("value") : nullptr;
    return value == nullptr ? "none" : value->string();
  }
  // Reads until it is in the coordinator's memory: a bucket's first grant waits for its era.
  void ReadIntoMemory() {
    for (int reads = 0; Statistics().hits == 0; ++reads) {
      ASSERT_LT(reads, 20) << "nothing is served from memory";
      Get();
      simulation_.RunFor(milliseconds(50));
    }
  }
  CacheStatistics Statistics() {
    return world_->machine(kDoor).coordinator->data_door().cache_statistics();
  }
  // Nothing passes between the coordinator and the nodes, or the other coordinators.
  void CutOff(MachineKind from) {
    for (const HostId host : world_->Hosts(from)) {
      if (host == kDoor) continue;
      world_->network().Block(kDoor, host);
      world_->network().Block(host, kDoor);
    }
  }

  Simulation simulation_;
  std::unique_ptr<ClusterWorld> world_;
};

// Protects what the memory is for: an item that was leased is answered while no node can be
// reached, until the lease has run out. From then on only who accepts an old answer gets one.
TEST_F(DoorCacheTest, AReadNeedsNoNode) {
  Write("first");
  ReadIntoMemory();
  CutOff(MachineKind::kNode);
  const CacheStatistics before = Statistics();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ValueOf(Get()), "first");
  EXPECT_EQ(Statistics().hits, before.hits + 10);
  EXPECT_EQ(Statistics().misses, before.misses);
  simulation_.RunFor(seconds(3));
  EXPECT_EQ(ValueOf(Get(data::v1::CONSISTENCY_EVENTUAL)), "first");
  EXPECT_NE(Get().error(), data::v1::ERROR_NONE) << "an answer that no node stands behind";
}

// Protects the promise: once a write through anybody was answered, the door has the new item or
// none.
TEST_F(DoorCacheTest, AWriteElsewhereTakesEffectAtOnce) {
  Write("0");
  ReadIntoMemory();
  for (int i = 1; i <= 20; ++i) {
    Write(absl::StrCat(i));
    EXPECT_EQ(ValueOf(Get()), absl::StrCat(i));
    EXPECT_EQ(ValueOf(Get()), absl::StrCat(i));
  }
  EXPECT_GT(Statistics().invalidated, 10u);
  ASSERT_TRUE(world_->connection(kWriter).Remove("things", KeyItem(), {}).ok());
  EXPECT_FALSE(Get().found());
  EXPECT_FALSE(Get().found());
  // That there is no item was leased too.
  CutOff(MachineKind::kNode);
  const Response absent = Get();
  EXPECT_EQ(absent.error(), data::v1::ERROR_NONE);
  EXPECT_FALSE(absent.found());
}

// Protects what a door that can't hear the nodes any more owes to writers: the write waits until
// the door's lease has run out, and no longer.
TEST_F(DoorCacheTest, ADoorThatIsCutOffDelaysAWriteByOneTerm) {
  Write("old");
  ReadIntoMemory();
  CutOff(MachineKind::kNode);
  const Duration before = simulation_.now();
  Write("new");
  const Duration took = simulation_.now() - before;
  EXPECT_LT(took, milliseconds(2500));
  EXPECT_NE(ValueOf(Get()), "old");
}

// Protects the end of a table: a door that does not hear of it from the other coordinators serves
// nothing of it any more, though the item was in its memory.
TEST_F(DoorCacheTest, ATableThatIsDeletedIsGoneFromMemory) {
  Write("first");
  ReadIntoMemory();
  CutOff(MachineKind::kCoordinator);
  ASSERT_EQ(ValueOf(Get()), "first");
  absl::Status deleted = absl::UnavailableError("not asked");
  for (int tries = 0; tries < 10 && !deleted.ok(); ++tries) {
    deleted = world_->administration().DeleteTable("things");
    if (KindOf(deleted) == ErrorKind::kTableNotFound) deleted = absl::OkStatus();
  }
  ASSERT_TRUE(deleted.ok()) << deleted;
  // A new table might have the name: who can't ask does not say that there is none.
  EXPECT_EQ(Get().error(), data::v1::ERROR_DEADLINE);
  EXPECT_FALSE(Get(data::v1::CONSISTENCY_EVENTUAL).found());
  // It learns of the end, and of a new table of that name.
  world_->network().UnblockAll();
  const KeySchema key{.partition = {"id", AttributeType::kString}};
  ASSERT_TRUE(world_->administration().CreateTable("things", key).ok());
  simulation_.RunFor(seconds(5));
  const Response fresh = Get();
  EXPECT_EQ(fresh.error(), data::v1::ERROR_NONE) << fresh.message();
  EXPECT_FALSE(fresh.found());
}

// Protects answers of another shape: a projection is not the item that is in memory.
TEST_F(DoorCacheTest, APartOfAnItemIsTheNodesToAnswer) {
  Write("first");
  ReadIntoMemory();
  const uint64_t hits = Statistics().hits;
  const Response part = Get(data::v1::CONSISTENCY_LINEARIZABLE, "id");
  EXPECT_EQ(part.error(), data::v1::ERROR_NONE);
  EXPECT_EQ(ValueOf(part), "none");
  EXPECT_EQ(Statistics().hits, hits);
}

}  // namespace
}  // namespace ringleader::simulation
