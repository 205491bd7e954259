// What a client that keeps derived state is told of its memory, against real nodes and coordinators
// in virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/logging.h"
#include "tests/simulation/cluster_world.h"
#include "tests/unit/simulation/things_table.h"

namespace ringleader::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class InvalidationTest : public ::testing::Test {
 protected:
  static constexpr int kReader = 0, kWriter = 1;

  InvalidationTest() : simulation_(5) {
    SetLogLevel(LogLevel::kOff);
    ClusterOptions options = ThingsOptions(/*clients=*/2);
    options.cache_bytes = {1 << 20};
    options.watches = true;
    world_ = std::make_unique<ClusterWorld>(simulation_, options);
    world_->OnInvalidated([this](int, absl::string_view table, const Item& key) {
      EXPECT_EQ(table, "things");
      told_.push_back(key.Find("id")->string());
    });
    CreateWithThings(simulation_, *world_);
  }

  static Item KeyItem(const std::string& id) {
    Item key;
    key.Set("id", AttributeValue::String(id));
    return key;
  }
  void Write(const std::string& id) {
    const auto put = world_->connection(kWriter).Put("things", KeyItem(id), {});
    ASSERT_TRUE(put.ok()) << put.status();
  }
  ReadResult Read(const std::string& id, const ReadOptions& options = {}) {
    const auto read = world_->connection(kReader).Get("things", KeyItem(id), options);
    CHECK_OK(read);
    return *read;
  }
  // Until it says so: a bucket's first grant waits for its era.
  void ReadUntilWatched(const std::string& id) {
    for (int reads = 0; !Read(id).watched; ++reads) {
      ASSERT_LT(reads, 20) << "nothing is granted";
      simulation_.RunFor(milliseconds(50));
    }
  }
  std::vector<std::string> Told() {
    simulation_.RunFor(milliseconds(50));
    return std::exchange(told_, {});
  }

  Simulation simulation_;
  std::vector<std::string> told_;
  std::unique_ptr<ClusterWorld> world_;
};

// Protects derived state: of each watched read a change is told, once, and then the next.
TEST_F(InvalidationTest, AChangeIsToldOnce) {
  Write("a");
  Write("b");
  ReadUntilWatched("a");
  EXPECT_TRUE(Read("a").watched) << "from memory";
  ReadUntilWatched("b");
  EXPECT_THAT(Told(), IsEmpty());
  Write("a");
  EXPECT_THAT(Told(), ElementsAre("a"));
  Write("a");  // nobody has it now
  EXPECT_THAT(Told(), IsEmpty());
  ReadUntilWatched("a");
  ASSERT_TRUE(world_->connection(kWriter).Remove("things", KeyItem("a"), {}).ok());
  EXPECT_THAT(Told(), ElementsAre("a"));
  ReadUntilWatched("a");  // that there is none
  Write("a");
  EXPECT_THAT(Told(), ElementsAre("a"));
}

// Protects nodes from a crowd of readers: while an item is being fetched, others who want it wait
// for that answer, and are counted as who asked nobody.
TEST_F(InvalidationTest, ReadsOfAnItemThatIsBeingFetchedShareTheAnswer) {
  Write("a");
  ReadUntilWatched("a");
  Write("a");  // out of memory again, and its era is open
  Told();
  const CacheStatistics before = world_->connection(kReader).cache_statistics();
  int answered = 0;
  for (int i = 0; i < 5; ++i) {
    world_->connection(kReader).GetAsync("things", KeyItem("a"), {}, [&](auto read) {
      EXPECT_TRUE(read.ok() && read->found) << read.status();
      ++answered;
    });
  }
  simulation_.RunFor(seconds(1));
  EXPECT_EQ(answered, 5);
  const CacheStatistics now = world_->connection(kReader).cache_statistics();
  EXPECT_EQ(now.misses - before.misses, 5u);
  EXPECT_EQ(now.joined - before.joined, 4u);
}

// Protects derived state from changes that nobody can tell of: a lease that runs out is told, and a
// read that no lease covers does not count on a notice.
TEST_F(InvalidationTest, TheEndOfALeaseIsTold) {
  Write("a");
  ReadUntilWatched("a");
  EXPECT_FALSE(Read("a", {.projection = "id"}).watched);
  for (const HostId client : world_->Hosts(MachineKind::kClient)) {
    for (const HostId node : world_->Hosts(MachineKind::kNode)) {
      world_->network().Block(client, node);
      world_->network().Block(node, client);
    }
  }
  simulation_.RunFor(seconds(1));
  EXPECT_TRUE(Read("a").watched);
  EXPECT_THAT(Told(), IsEmpty());
  simulation_.RunFor(seconds(2));
  EXPECT_THAT(Told(), ElementsAre("a"));
  world_->network().UnblockAll();
  simulation_.RunFor(seconds(3));
  Write("a");
  EXPECT_THAT(Told(), IsEmpty());
  ReadUntilWatched("a");
}

}  // namespace
}  // namespace ringleader::simulation
