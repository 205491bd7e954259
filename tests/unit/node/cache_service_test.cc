// The node's end of the cache's sessions: what a client may send, and when its session is over.
#include "node/cache_service.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/node/cache_holder.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A session as the network brings it, and how often the node looked for a partition for it.
class Session {
 public:
  Session(PartitionWorld& world, const CacheServiceOptions& options)
      : service_(
            [this, &world](replication::GroupId) {
              ++looked_for_;
              return world.ReplicaOf(1);
            },
            *world.node(1).registry, *world.node(1).cache_sessions, *world.node(1).clock, options) {
    const CallMetadata metadata;
    handler_ = *service_.Accept({.method = absl::StrCat(kCacheServicePrefix, "Session"),
                                 .metadata = metadata,
                                 .peer = "x",
                                 .call = call_});
  }

  void SendFills(int count) {
    cache::v1::ToNode message;
    if (!std::exchange(has_opened_, true)) message.mutable_open()->set_client(77);
    for (int i = 0; i < count; ++i) {
      cache::v1::Fill& fill = *message.add_fills();
      fill.set_number(static_cast<uint64_t>(i));
      *fill.mutable_request() = FillRequest("a");
    }
    SendBytes(message.SerializeAsString());
  }
  // What an operator's call is answered.
  cache::v1::StatusResponse Status(PartitionWorld& world, const cache::v1::StatusRequest& request) {
    const CallMetadata metadata;
    const auto call = std::make_shared<Lane>();
    auto handler = *service_.Accept({.method = absl::StrCat(kCacheServicePrefix, "Status"),
                                     .metadata = metadata,
                                     .peer = "y",
                                     .call = call});
    handler->OnMessage(request.SerializeAsString());
    world.RunFor(milliseconds(10));
    cache::v1::StatusResponse response;
    const std::vector<std::string> answers = call->Take();
    CHECK(answers.size() == 1 && response.ParseFromString(answers[0]));
    return response;
  }

  void SendRenewal() {
    cache::v1::ToNode message;
    if (!std::exchange(has_opened_, true)) message.mutable_open()->set_client(77);
    message.add_renewals()->set_partition(PartitionWorld::kGroup);
    call_->Take();
    handler_->OnSendIdle();  // it reads
    SendBytes(message.SerializeAsString());
  }
  void Maintain() { service_.Maintain(); }
  void SendBytes(std::string bytes) { handler_->OnMessage(std::move(bytes)); }
  bool is_over() { return !call_->Send(""); }
  int looked_for() const { return looked_for_; }

 private:
  const std::shared_ptr<Lane> call_ = std::make_shared<Lane>();
  CacheService service_;
  std::unique_ptr<CallHandler> handler_;
  bool has_opened_ = false;
  int looked_for_ = 0;
};

// Protects: a malformed frame is the last that is looked at.
TEST(CacheServiceTest, ASessionThatWasFinishedTakesNoMoreFrames) {
  PartitionWorld world(94, 1);
  world.CreatePartition(1);
  Session session(world, {});
  session.SendBytes("\xff\xff\xff");
  EXPECT_TRUE(session.is_over());
  session.SendFills(10);
  EXPECT_EQ(session.looked_for(), 0);
}

// Protects: a frame is counted before it is parsed, fields that nobody knows included.
TEST(CacheServiceTest, AFrameOfTooMuchIsNotParsed) {
  PartitionWorld world(96, 1);
  world.CreatePartition(1);
  Session session(world, {.messages_max = 10});
  session.SendFills(10);
  EXPECT_FALSE(session.is_over());
  std::string unknown;
  for (int i = 0; i < 12; ++i) unknown.append("\x78\x00", 2);
  session.SendBytes(unknown);
  EXPECT_TRUE(session.is_over());
}

// Protects nodes and writers from clients that are gone without a word: their session ends, and so
// do its grants. One that goes on renewing stays.
TEST(CacheServiceTest, ASessionThatIsSilentEndsWithItsGrants) {
  PartitionWorld world(97, 1);
  world.CreatePartition(1);
  Session silent(world, {});
  Session renewing(world, {});
  silent.SendFills(1);  // opens the era
  world.RunFor(milliseconds(200));
  silent.SendFills(1);
  world.RunFor(milliseconds(100));
  ASSERT_EQ(world.PartitionOf(1)->gate()->counts().holders, 1u);
  const auto run = [&](Duration span) {
    for (Duration ran(0); ran < span; ran += seconds(1)) {
      renewing.SendRenewal();
      world.RunFor(seconds(1));
      silent.Maintain();
    }
  };
  run(CacheSessionsOptions().silent_max - seconds(2));
  EXPECT_FALSE(silent.is_over());
  run(seconds(3));
  EXPECT_TRUE(silent.is_over());
  EXPECT_FALSE(renewing.is_over());
  EXPECT_EQ(world.PartitionOf(1)->gate()->counts().holders, 0u);
  EXPECT_EQ(world.node(1).cache_sessions->size(), 1u);
}

// Protects operators: who holds what is told page by page, of every session, and so are the sums.
TEST(CacheServiceTest, StatusSaysWhoHoldsWhat) {
  PartitionWorld world(98, 1);
  world.CreatePartition(1);
  Session one(world, {});
  Session two(world, {});
  Holder holder(world, 1);
  holder.FillGranted("a");
  holder.FillGranted("b");
  one.SendFills(1);
  world.RunFor(milliseconds(100));
  const auto put = Send(world, 1, PutRequest(Json("b", 1)));
  RunMaintained(world, milliseconds(1200));
  cache::v1::StatusRequest request;
  request.set_sessions_max(2);
  *request.mutable_item() = FillRequest("a");
  cache::v1::StatusResponse status = one.Status(world, request);
  ASSERT_EQ(status.sessions_size(), 2);
  EXPECT_EQ(status.sessions(0).items(), 1u);
  EXPECT_EQ(status.sessions(0).partitions(), 1u);
  EXPECT_TRUE(status.sessions(0).holds_item());
  EXPECT_EQ(status.sessions(0).client(), 77u);
  EXPECT_EQ(status.sessions(0).peer(), "x");
  EXPECT_GE(status.sessions(0).age_ms(), 1300u);
  EXPECT_GE(status.sessions(0).silent_ms(), 1200u);
  EXPECT_EQ(status.sessions(1).items(), 0u);
  EXPECT_FALSE(status.sessions(1).holds_item());
  EXPECT_EQ(status.total().sessions(), 3u);
  EXPECT_EQ(status.total().items(), 1u);
  EXPECT_EQ(status.total().grants(), 2u);
  EXPECT_EQ(status.total().waits(), 1u);
  EXPECT_EQ(status.total().blocked_items(), 1u);
  ASSERT_NE(status.next_after(), 0u);
  request.set_after(status.next_after());
  *request.mutable_item() = FillRequest("b");  // it was taken back
  status = one.Status(world, request);
  ASSERT_EQ(status.sessions_size(), 1);
  EXPECT_EQ(status.sessions(0).session(), holder.id());
  EXPECT_EQ(status.sessions(0).items(), 1u);
  EXPECT_EQ(status.sessions(0).invalidations(), 1u);
  EXPECT_FALSE(status.sessions(0).holds_item());
  EXPECT_EQ(status.next_after(), 0u);
}

// Protects: frames that come faster than the partition takes them in do not pile up.
TEST(CacheServiceTest, WhatWaitsOfASessionIsBounded) {
  PartitionWorld world(95, 1);
  world.CreatePartition(1);
  Session session(world, {.messages_max = 10});
  session.SendFills(10);
  world.RunFor(milliseconds(100));  // taken in
  session.SendFills(10);
  EXPECT_FALSE(session.is_over());
  session.SendFills(1);
  EXPECT_TRUE(session.is_over());
}

}  // namespace
}  // namespace ringleader
