// Cached reads against a small cluster under simulated time and network: a miss does not wait for a
// node that the router has given up, and reads of one key that miss together are one or two fills.
#include "client/cached_reads.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/client_request.h"
#include "client/map_watcher.h"
#include "common/check.h"
#include "model/key_codec.h"
#include "tests/unit/client/fake_cluster.h"

namespace ringleader::client {
namespace {

using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

Item Key(int i) {
  Item key;
  key.Set("id", AttributeValue::String(absl::StrCat("key-", i)));
  return key;
}

// Node kNode can't be reached: neither a call to it nor its end is heard of for two seconds.
class CachedReadsTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kNode = 2;
  static constexpr simulation::HostId kNodeHost = kNode + 1;

  CachedReadsTest()
      : simulation_(1),
        network_(simulation_),
        clock_(simulation_, 1.0),
        threads_(simulation_, std::chrono::microseconds(5)),
        cluster_(simulation_, network_),
        endpoint_(network_.NewEndpoint(FakeCluster::kClientHost, [] { return false; })),
        executor_(threads_.Start("ring-client")) {
    RouterOptions options;
    options.coordinators = {FakeCluster::CoordinatorAddress()};
    router_ = std::make_unique<Router>(options, *endpoint_, *executor_, clock_, Random(5));
    watcher_ = std::make_shared<MapWatcher>(*router_, *endpoint_, *executor_, Random(6));
    reads_ = std::make_unique<CachedReads>(CacheOptions{.bytes_max = 1 << 20}, *router_, *endpoint_,
                                           *executor_, clock_, Random(7));
    executor_->Post([this] {
      watcher_->Start();
      reads_->Start();
    });
    simulation_.RunFor(milliseconds(100));
    network_.Block(FakeCluster::kClientHost, kNodeHost);
    network_.Block(kNodeHost, FakeCluster::kClientHost);
  }
  ~CachedReadsTest() override {
    executor_->Stop();
    reads_.reset();
    watcher_.reset();
    router_.reset();
    endpoint_.reset();  // its calls' ends are posted to the executor
  }

  bool IsOfNode(const Item& key) {
    const auto bytes = reads_->KeyOf("users", key, {});
    CHECK(bytes.has_value());
    return router_->map().FindByToken(model::TokenInKey(*bytes))->leader_node() == kNode;
  }
  // One of several keys that kNode leads.
  Item KeyOfNode(int which) {
    int i = 0;
    while (!IsOfNode(Key(i)) || which-- > 0) ++i;
    return Key(i);
  }
  Item KeyOfAnother() {
    int i = 0;
    while (IsOfNode(Key(i))) ++i;
    return Key(i);
  }
  std::shared_ptr<std::optional<Response>> ReadByRouter(const Item& key) {
    auto answer = std::make_shared<std::optional<Response>>();
    router_->Execute(GetRequest("users", key, {}),
                     [answer](Response response) { *answer = std::move(response); });
    return answer;
  }
  std::shared_ptr<std::optional<Response>> Read(const Item& key, const ReadOptions& options = {}) {
    auto answer = std::make_shared<std::optional<Response>>();
    reads_->Read(*reads_->KeyOf("users", key, options), options, GetRequest("users", key, options),
                 [answer](Response response, bool) { *answer = std::move(response); });
    return answer;
  }

  simulation::Simulation simulation_;
  simulation::SimulatedNetwork network_;
  simulation::SimulatedClock clock_;
  simulation::SimulatedThreads threads_;
  FakeCluster cluster_;
  std::unique_ptr<Network> endpoint_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Router> router_;
  std::shared_ptr<MapWatcher> watcher_;
  std::unique_ptr<CachedReads> reads_;
};

// Protects readers: once the router goes round a node, a miss does so too, at once.
TEST_F(CachedReadsTest, AMissGoesRoundANodeThatIsLeftAlone) {
  const auto first = ReadByRouter(KeyOfNode(0));
  while (!first->has_value()) simulation_.RunFor(milliseconds(10));
  const auto miss = Read(KeyOfNode(1));
  simulation_.RunFor(milliseconds(200));
  ASSERT_TRUE(miss->has_value());
  EXPECT_EQ((*miss)->error(), data::v1::ERROR_NONE);
}

// Protects a node from as many requests as there are readers, where an item is written so often
// that it is seldom granted: those that joined a fill too late for its answer have one more,
// together.
TEST_F(CachedReadsTest, ThoseThatJoinAFillInVainHaveOneMore) {
  LaneNode lanes;
  cluster_.lanes = &lanes;
  const Item key = KeyOfAnother();
  const auto first = Read(key);
  simulation_.RunFor(milliseconds(20));
  ASSERT_EQ(lanes.fills.size(), 1u);
  std::vector<std::shared_ptr<std::optional<Response>>> late;
  for (int i = 0; i < 3; ++i) late.push_back(Read(key));
  simulation_.RunFor(milliseconds(20));
  ASSERT_EQ(lanes.fills.size(), 1u) << "they did not join";
  lanes.Grant(lanes.fills[0].number(), "before", /*life=*/Duration(0));
  simulation_.RunFor(milliseconds(20));
  EXPECT_TRUE(first->has_value());
  ASSERT_EQ(lanes.fills.size(), 2u);
  for (const auto& read : late) EXPECT_FALSE(read->has_value()) << "it may have changed since";
  lanes.Grant(lanes.fills[1].number(), "after", /*life=*/Duration(0));
  simulation_.RunFor(milliseconds(20));
  for (const auto& read : late) {
    ASSERT_TRUE(read->has_value());
    EXPECT_NE((*read)->item(), (*first)->item());
  }
  EXPECT_EQ(lanes.fills.size(), 2u);
  EXPECT_EQ(reads_->statistics().misses, 4u);
  EXPECT_EQ(reads_->statistics().joined, 2u);
  for (const auto& [node, requests] : cluster_.requests) EXPECT_EQ(requests, 0) << node;
  cluster_.lanes = nullptr;
}

// Protects who accepts an old answer from a leader that stands still: any replica has one.
TEST_F(CachedReadsTest, AnEventualMissDoesNotWaitLongForItsLeader) {
  LaneNode silent;
  cluster_.lanes = &silent;
  ReadOptions eventual;
  eventual.consistency = Consistency::kEventual;
  const auto read = Read(KeyOfAnother(), eventual);
  simulation_.RunFor(milliseconds(20));
  ASSERT_EQ(silent.fills.size(), 1u);
  EXPECT_FALSE(read->has_value());
  simulation_.RunFor(milliseconds(500));
  ASSERT_TRUE(read->has_value());
  EXPECT_EQ((*read)->error(), data::v1::ERROR_NONE);
  cluster_.lanes = nullptr;
}

}  // namespace
}  // namespace ringleader::client
