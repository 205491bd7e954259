// One lane of the cache against a node that says what the test wants: grants count from when they
// were asked for, what is taken back is acknowledged once it can't be found, and a new stream
// extends nothing of the one before. Also the lane's bytes.
#include "client/cache_lane.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"
#include "tests/unit/client/lane_node.h"

namespace ringleader::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CacheLaneTest : public ::testing::Test, private CacheLane::Observer {
 protected:
  CacheLaneTest()
      : simulation_(3),
        network_(simulation_),
        clock_(simulation_, 1.0),
        threads_(simulation_, std::chrono::microseconds(1)),
        node_endpoint_(network_.NewEndpoint(1, [] { return false; })),
        endpoint_(network_.NewEndpoint(2, [] { return false; })),
        executor_(threads_.Start("ring-client")),
        cache_(clock_, {.bytes_max = 64 << 10, .shards = 1}) {
    auto listener = node_endpoint_->Listen("node-1:7100", &node_);
    listener_ = *std::move(listener);
    CacheLane::Observer& observer = *this;
    lane_ = std::make_shared<CacheLane>(*endpoint_, *executor_, clock_, cache_, "node-1:7100", 9,
                                        CacheLaneOptions(), observer);
  }
  ~CacheLaneTest() override {
    executor_->Stop();
    lane_.reset();
    endpoint_.reset();
    listener_.reset();
  }

  void Inserted(const std::string&, uint64_t, const std::shared_ptr<const GrantDeadline>&,
                const std::vector<ItemCache::Dropped>& dropped) override {
    for (const ItemCache::Dropped& each : dropped) lane_->GiveBack(each);
  }
  void Erased(const std::string& key, const GrantDeadline*) override { erased_.push_back(key); }

  void Run(Duration span) { simulation_.RunFor(span); }
  void OnExecutor(std::function<void()> task) {
    executor_->Post(std::move(task));
    Run(milliseconds(50));
  }
  // Asks, and runs until the node has it. The answer is in answers_.
  void Fill(const std::string& key) {
    OnExecutor([this, key] {
      EXPECT_TRUE(lane_->Fill(data::v1::Request(), key, seconds(3),
                              [this](std::optional<CacheLane::Answer> answer) {
                                answers_.push_back(std::move(answer));
                              }));
    });
  }
  bool Finds(const std::string& key) {
    uint64_t version = 0;
    return cache_.Lookup(key, Duration(0), &version, [](model::PackedItem) {}) ==
           ItemCache::Found::kItem;
  }

  simulation::Simulation simulation_;
  simulation::SimulatedNetwork network_;
  simulation::SimulatedClock clock_;
  simulation::SimulatedThreads threads_;
  LaneNode node_;
  std::unique_ptr<Network> node_endpoint_;
  std::unique_ptr<Network> endpoint_;
  std::unique_ptr<Executor> executor_;
  ItemCache cache_;
  std::unique_ptr<Listener> listener_;
  std::shared_ptr<CacheLane> lane_;
  std::vector<std::optional<CacheLane::Answer>> answers_;
  std::vector<std::string> erased_;
};

// Protects the arithmetic: the node computed the life after the request was made, so it counts from
// there; an answer that comes late grants less, or nothing.
TEST_F(CacheLaneTest, AGrantCountsFromWhenItWasAskedFor) {
  Fill("a");
  ASSERT_EQ(node_.fills.size(), 1u);
  Run(milliseconds(600));
  node_.Grant(node_.fills[0].number(), "item", seconds(1));
  Run(milliseconds(50));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0]->holds_now);
  EXPECT_TRUE(Finds("a"));
  Run(milliseconds(400));
  EXPECT_FALSE(Finds("a"));
  Fill("b");
  Run(seconds(2));
  node_.Grant(node_.fills[1].number(), "item", seconds(1));
  Run(milliseconds(50));
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_FALSE(answers_[1]->holds_now);
  EXPECT_FALSE(Finds("b"));
}

// Protects writers from a client that is closed: nobody waits for what it held. What is granted
// meanwhile is not kept.
TEST_F(CacheLaneTest, ALaneThatLeavesHasGivenAllBackWhenItHasLeft) {
  Fill("a");
  node_.Grant(node_.fills[0].number(), "item", seconds(1));
  Fill("b");
  ASSERT_TRUE(Finds("a"));
  bool left = false;
  OnExecutor([&] {
    for (const ItemCache::Dropped& each : cache_.Clear()) lane_->GiveBack(each);
    EXPECT_FALSE(Finds("a"));
    lane_->Leave([&left] { left = true; });
  });
  ASSERT_EQ(node_.releases.size(), 1u);
  EXPECT_EQ(node_.releases[0].fill(), node_.fills[0].number());
  ASSERT_EQ(node_.renewals.size(), 1u);
  node_.Grant(node_.fills[1].number(), "item", seconds(1));
  Run(milliseconds(50));
  EXPECT_FALSE(Finds("b"));
  EXPECT_FALSE(left);
  cache::v1::Event renewed;
  renewed.mutable_renewed()->set_number(node_.renewals[0].number());
  node_.Say(renewed);
  Run(milliseconds(50));
  EXPECT_TRUE(left);
  Fill("c");
  node_.Grant(node_.fills[2].number(), "item", seconds(1));
  Run(milliseconds(50));
  EXPECT_FALSE(Finds("c")) << "taken after it had left";
  // What was granted all the same goes back at once.
  ASSERT_EQ(node_.releases.size(), 3u);
  EXPECT_EQ(node_.releases[1].fill(), node_.fills[1].number());
  EXPECT_EQ(node_.releases[2].fill(), node_.fills[2].number());
  EXPECT_EQ(node_.releases[2].key(), "c");
}

// Protects readers from a node that sends what is no item: who asked asks elsewhere, and the
// session, with all that it grants, is over.
TEST_F(CacheLaneTest, AnItemThatCantBeReadEndsTheStream) {
  Fill("a");
  node_.GrantBytes(node_.fills[0].number(), "no item", seconds(1));
  Run(milliseconds(50));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_FALSE(answers_[0].has_value());
  EXPECT_FALSE(lane_->is_open());
  EXPECT_FALSE(Finds("a"));
}

// Protects writers and readers: what is taken back can't be found when that is acknowledged, though
// its grant goes on for others; and it is renewed as long as something is held, from the asking.
TEST_F(CacheLaneTest, WhatIsTakenBackIsGoneBeforeItIsAcknowledged) {
  Fill("a");
  Fill("b");
  node_.Grant(node_.fills[0].number(), "item", seconds(1));
  node_.Grant(node_.fills[1].number(), "item", seconds(1));
  Run(milliseconds(50));
  cache::v1::Event event;
  event.mutable_invalidate()->set_partition(1);
  event.mutable_invalidate()->set_term(2);
  event.mutable_invalidate()->set_number(77);
  event.mutable_invalidate()->set_key("a");
  node_.Say(event);
  while (node_.acknowledgements.empty()) {
    ASSERT_TRUE(simulation_.Step());
  }
  EXPECT_EQ(node_.acknowledgements[0].number(), 77u);
  EXPECT_EQ(erased_, std::vector<std::string>{"a"});
  EXPECT_FALSE(Finds("a"));
  EXPECT_TRUE(Finds("b"));
  Run(milliseconds(500));
  OnExecutor([this] { EXPECT_TRUE(lane_->Tend()); });
  ASSERT_EQ(node_.renewals.size(), 1u);
  event.Clear();
  event.mutable_renewed()->set_number(node_.renewals[0].number());
  event.mutable_renewed()->set_partition(1);
  event.mutable_renewed()->set_term(2);
  event.mutable_renewed()->set_life_us(1'000'000);
  node_.Say(event);
  Run(milliseconds(600));
  EXPECT_TRUE(Finds("b"));
  EXPECT_FALSE(Finds("a"));
  // What the node does not renew is not asked for again, and ends.
  OnExecutor([this] { EXPECT_TRUE(lane_->Tend()); });
  ASSERT_EQ(node_.renewals.size(), 2u);
  event.mutable_renewed()->set_number(node_.renewals[1].number());
  event.mutable_renewed()->set_life_us(0);
  node_.Say(event);
  Run(seconds(2));
  EXPECT_FALSE(Finds("b"));
  OnExecutor([this] { EXPECT_FALSE(lane_->Tend()); });
  EXPECT_EQ(node_.renewals.size(), 2u);
}

// Protects nodes from holders of nothing: what made room for another item is given back, by the
// number of the fill that had brought it, with the next frame or soon after. What an earlier stream
// was granted is nobody's to give back.
TEST_F(CacheLaneTest, WhatMadeRoomIsGivenBack) {
  const std::string large(40 << 10, 'x');
  Fill("a");
  node_.Grant(node_.fills[0].number(), large, seconds(1));
  Fill("b");
  node_.Grant(node_.fills[1].number(), large, seconds(1));
  Run(milliseconds(50));
  EXPECT_FALSE(Finds("a"));
  OnExecutor([this] { EXPECT_TRUE(lane_->Tend()); });
  ASSERT_EQ(node_.releases.size(), 1u);
  EXPECT_EQ(node_.releases[0].partition(), 1u);
  EXPECT_EQ(node_.releases[0].term(), 2u);
  EXPECT_EQ(node_.releases[0].key(), "a");
  EXPECT_EQ(node_.releases[0].fill(), node_.fills[0].number());
  node_.call->Finish(absl::UnavailableError("the node stops"));
  Run(milliseconds(300));
  Fill("c");
  ASSERT_EQ(node_.streams, 2);
  node_.Grant(node_.fills.back().number(), large, seconds(1));
  Run(milliseconds(50));
  EXPECT_FALSE(Finds("b"));
  OnExecutor([this] { EXPECT_TRUE(lane_->Tend()); });
  EXPECT_EQ(node_.releases.size(), 1u);
}

// Protects what a node granted from another node's release: lanes number their streams and fills
// alike, so the number may be there too.
TEST_F(CacheLaneTest, AnotherLanesGrantsAreNotGivenBack) {
  Fill("a");
  const auto give_back = [this](const CacheLane* lane) {
    const auto deadline = std::make_shared<const GrantDeadline>(
        GrantOrigin{lane, lane_->incarnation(), /*partition=*/1, /*term=*/2});
    OnExecutor([this, deadline] {
      lane_->GiveBack({.key = "a", .deadline = deadline, .fill = node_.fills[0].number()});
      EXPECT_TRUE(lane_->Tend());
    });
    return node_.releases.size();
  };
  EXPECT_EQ(give_back(nullptr), 0u);
  EXPECT_EQ(give_back(lane_.get()), 1u);
}

// Protects against what an ended session was granted: its entries live until their deadline and no
// longer, whatever the next stream is granted in the same partition and term. What was asked is
// answered.
TEST_F(CacheLaneTest, ANewStreamExtendsNothingOfTheOneBefore) {
  Fill("a");
  node_.Grant(node_.fills[0].number(), "item", seconds(1));
  Fill("b");
  node_.call->Finish(absl::UnavailableError("the node stops"));
  Run(milliseconds(300));
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_FALSE(answers_[1].has_value());
  EXPECT_TRUE(Finds("a"));
  Fill("b");
  ASSERT_EQ(node_.streams, 2);
  ASSERT_EQ(node_.opens.size(), 2u);
  EXPECT_GT(node_.opens[1].incarnation(), node_.opens[0].incarnation());
  node_.Grant(node_.fills.back().number(), "item", seconds(5));
  Run(seconds(1));
  EXPECT_TRUE(Finds("b"));
  EXPECT_FALSE(Finds("a"));
}

// Protects callers from a node that says nothing: the stream is given up, and they ask elsewhere.
TEST_F(CacheLaneTest, AStreamThatDoesNotAnswerIsGivenUp) {
  Fill("a");
  Run(CacheLaneOptions().answer_max);
  OnExecutor([this] { EXPECT_FALSE(lane_->Tend()); });
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_FALSE(answers_[0].has_value());
}

// Protects memory from what nobody asked for, and callers' time: a read for no grant brings nothing
// in, whatever the node answers, and waits as long as it says.
TEST_F(CacheLaneTest, AReadForNoGrantBringsNothingIn) {
  const auto read = [this](Duration wait_max) {
    OnExecutor([this, wait_max] {
      EXPECT_TRUE(lane_->Read(data::v1::Request(), wait_max,
                              [this](auto answer) { answers_.push_back(std::move(answer)); }));
    });
  };
  read(seconds(1));
  ASSERT_EQ(node_.fills.size(), 1u);
  EXPECT_TRUE(node_.fills[0].no_grant());
  node_.Grant(node_.fills[0].number(), "item", seconds(1));
  Run(milliseconds(50));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0]->response.found());
  EXPECT_FALSE(answers_[0]->holds_now);
  EXPECT_EQ(cache_.statistics().entries, 0u);
  Fill("a");
  read(milliseconds(300));
  Run(milliseconds(400));
  OnExecutor([this] { EXPECT_TRUE(lane_->Tend()); });
  ASSERT_EQ(answers_.size(), 2u) << "the fill has more time";
  EXPECT_FALSE(answers_[1].has_value());
}

// Protects callers from a node that the rest of the library has given up: what was asked for is
// answered with nothing at once, and an answer that comes after all is kept.
TEST_F(CacheLaneTest, FillsAreGivenUpAndTheirGrantsAreTaken) {
  Fill("a");
  OnExecutor([this] { lane_->GiveUpFills(); });
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_FALSE(answers_[0].has_value());
  node_.Grant(node_.fills[0].number(), "item", seconds(1));
  Run(milliseconds(50));
  EXPECT_TRUE(Finds("a"));
  OnExecutor([this] { EXPECT_TRUE(lane_->is_open()); });
  EXPECT_EQ(answers_.size(), 1u);
}

// Protects sessions: more than a node takes in one frame goes out in several.
TEST_F(CacheLaneTest, WhatWaitsGoesOutInFramesOfBoundedSize) {
  constexpr int kCount = 3000;
  OnExecutor([this] {
    for (int i = 0; i < kCount; ++i) {
      data::v1::Request request;
      request.mutable_get()->set_key(std::string(1000, 'k'));
      EXPECT_TRUE(lane_->Fill(std::move(request), std::to_string(i), seconds(3), [](auto) {}));
    }
  });
  Run(seconds(1));
  EXPECT_EQ(node_.fills.size(), static_cast<size_t>(kCount));
  EXPECT_LE(node_.largest_frame, kCacheFrameBytes);
}

// Protects the client's memory: a frame of more messages than any node sends ends the stream before
// it is parsed.
TEST_F(CacheLaneTest, AFrameOfTooManyMessagesEndsTheStream) {
  Fill("a");
  OnExecutor([this] { EXPECT_TRUE(lane_->is_open()); });
  cache::v1::ToClient message;
  for (size_t i = 0; i <= kCacheFrameMessagesMax; ++i) message.add_events();
  node_.call->Send(message.SerializeAsString());
  Run(milliseconds(50));
  OnExecutor([this] { EXPECT_FALSE(lane_->is_open()); });
}

// The lane's bytes, which nodes and clients of different builds exchange. May not change.
TEST(CacheWireTest, Golden) {
  cache::v1::ToNode to_node;
  to_node.mutable_open()->set_client(5);
  to_node.mutable_open()->set_incarnation(1);
  to_node.add_fills()->set_number(2);
  to_node.mutable_fills(0)->mutable_request()->set_table_id(7);
  cache::v1::Renew& renewal = *to_node.add_renewals();
  renewal.set_number(3);
  renewal.set_partition(1);
  renewal.set_term(4);
  cache::v1::Acknowledge& acknowledge = *to_node.add_acknowledgements();
  acknowledge.set_partition(1);
  acknowledge.set_term(4);
  acknowledge.set_number(6);
  EXPECT_EQ(absl::BytesToHexString(to_node.SerializeAsString()),
            "0a040805100112060802120220071a06080310011804220608011004"
            "1806");
  cache::v1::ToNode releasing;
  cache::v1::Release& release = *releasing.add_releases();
  release.set_partition(1);
  release.set_term(4);
  release.set_key("k");
  release.set_fill(2);
  EXPECT_EQ(absl::BytesToHexString(releasing.SerializeAsString()), "2a09080110041a016b2002");
  cache::v1::ToClient to_client;
  cache::v1::Filled& filled = *to_client.add_events()->mutable_filled();
  filled.set_number(2);
  filled.mutable_response()->set_found(true);
  filled.set_partition(1);
  filled.set_term(4);
  filled.set_life_us(100);
  cache::v1::Renewed& renewed = *to_client.add_events()->mutable_renewed();
  renewed.set_number(3);
  renewed.set_partition(1);
  renewed.set_term(4);
  renewed.set_life_us(100);
  cache::v1::Invalidate& invalidate = *to_client.add_events()->mutable_invalidate();
  invalidate.set_partition(1);
  invalidate.set_term(4);
  invalidate.set_number(6);
  invalidate.set_key("k");
  EXPECT_EQ(absl::BytesToHexString(to_client.SerializeAsString()),
            "0a0e0a0c080212023801180120042864"
            "0a0a120808031001180420640a0b1a09080110041806"
            "22016b");
}

}  // namespace
}  // namespace ringleader::client
