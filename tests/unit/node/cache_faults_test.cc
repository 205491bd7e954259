// What the cache's rules say when something went wrong: a lane broke and nobody has noticed, a
// replica never saw the entry of an era that it has to honour, a message names another term.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "node/cache_service.h"
#include "tests/unit/node/cache_holder.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLong = milliseconds(3500);  // of the leader that grants
constexpr Duration kShort = milliseconds(500);  // of its successor

// A client with a session at one node. It takes what it is granted, acknowledges nothing, and may
// be gone.
class Client {
 public:
  Client(PartitionWorld& world, uint64_t node)
      : world_(world), node_(node), session_(sessions().Open(lane_)) {}

  // Runs until it holds one item more, or the node knows that it is gone.
  void Hold(absl::string_view pk) {
    const size_t before = gate().counts().holders;
    for (int tries = 0; tries < 100 && gate().counts().holders == before; ++tries) {
      Fill(pk);
      Run(milliseconds(50));
    }
    EXPECT_GT(gate().counts().holders, before) << pk << " is never granted";
  }
  void Fill(absl::string_view pk) {
    OnApplier(
        world_, node_,
        [this, number = ++last_fill_, request = FillRequest(pk)](const auto& replica,
                                                                 Partition& partition) {
          partition.Fill(replica, {{session_, number, request, world_.node(node_).clock->Now()}});
        });
  }
  void Renew(uint64_t term) {
    cache::v1::Renew renewal;
    renewal.set_term(term);
    OnApplier(world_, node_, [this, renewal](const auto& replica, Partition& partition) {
      partition.Renew(replica, session_, renewal);
    });
  }
  void Acknowledge(uint64_t number, uint64_t term) {
    OnApplier(world_, node_, [this, number, term](const auto& replica, Partition& partition) {
      partition.Acknowledged(replica, session_, term, {number});
    });
  }
  void Release(const std::string& key, uint64_t term) {
    cache::v1::Release release;
    release.set_term(term);
    release.set_key(key);
    release.set_fill(last_fill_);
    OnApplier(world_, node_, [this, release](const auto&, Partition& partition) {
      partition.Released(session_, release);
    });
  }
  // It reads what is sent.
  void Run(Duration span) {
    world_.RunFor(span);
    sessions().Idle(session_);
  }
  // The next message finds that the stream is over.
  void Break() {
    sessions().Idle(session_);
    lane_->is_broken = true;
  }

  const cache::v1::Event& last() const { return lane_->last; }
  const LeaseGate& gate() const { return *world_.PartitionOf(node_)->gate(); }

 private:
  struct Lane : public Call {
    bool Send(std::string message) override {
      if (is_broken) return false;
      cache::v1::ToClient frame;
      CHECK(frame.ParseFromString(message));
      last = frame.events(frame.events_size() - 1);
      return true;
    }
    void Finish(absl::Status) override {}
    uint64_t queued_bytes() const override { return 0; }

    bool is_broken = false;
    cache::v1::Event last;
  };

  CacheSessions& sessions() { return *world_.node(node_).cache_sessions; }

  PartitionWorld& world_;
  const uint64_t node_;
  const std::shared_ptr<Lane> lane_ = std::make_shared<Lane>();
  const CacheSessionId session_;
  uint64_t last_fill_ = 0;
};

// Those who still hold something of a client that is gone: none, as its grants are waited out.
void ExpectWaitedOut(const LeaseGate& gate, size_t waits) {
  EXPECT_EQ(gate.counts().holders, 0u);
  EXPECT_EQ(gate.counts().sessions, 0u);
  EXPECT_EQ(gate.counts().waits, waits);
}

// Protects the gate from holders that can't be told any more: whatever first finds the lane broken
// ends the session for the whole gate at once.
TEST(CacheFaultsTest, ALaneThatBreaksEndsItsSessionWhereverThatIsFound) {
  for (const std::string found_by : {"fill", "renewal", "invalidation"}) {
    SCOPED_TRACE(found_by);
    PartitionWorld world(62, 1);
    world.CreatePartition(1);
    Client client(world, 1);
    client.Hold("a");
    client.Hold("b");
    client.Break();
    std::optional<Response> response;
    if (found_by == "fill") client.Fill("a");
    if (found_by == "renewal") client.Renew(client.last().filled().term());
    if (found_by == "invalidation") {
      world.Send(1, PutRequest(R"({"pk":"a","sk":1})"),
                 [&response](Response answer) { response = std::move(answer); });
    }
    world.RunFor(milliseconds(50));
    ExpectWaitedOut(client.gate(), 2);
    EXPECT_FALSE(response.has_value()) << "it may be read from memory until its deadline";
  }
}

// Protects what is held now from what is said of an earlier term of the same leader: gates count
// their invalidations, and lanes their fills, each from 1, so that a number may be another one's.
TEST(CacheFaultsTest, WhatNamesAnotherTermIsNothing) {
  PartitionWorld world(63, 1);
  world.CreatePartition(1);
  Client client(world, 1);
  client.Hold("a");
  const uint64_t term = client.last().filled().term();
  client.Renew(term - 1);
  client.Run(milliseconds(50));
  ASSERT_TRUE(client.last().has_renewed());
  EXPECT_EQ(client.last().renewed().life_us(), 0u);
  std::optional<Response> response;
  world.Send(1, PutRequest(R"({"pk":"a","sk":1})"),
             [&response](Response answer) { response = std::move(answer); });
  client.Run(milliseconds(50));
  ASSERT_TRUE(client.last().has_invalidate());
  const cache::v1::Invalidate invalidate = client.last().invalidate();
  client.Acknowledge(invalidate.number(), term - 1);
  client.Run(milliseconds(50));
  EXPECT_FALSE(response.has_value());
  client.Acknowledge(invalidate.number(), term);
  client.Run(milliseconds(50));
  EXPECT_TRUE(response.has_value());
  client.Hold("a");
  client.Release(invalidate.key(), term - 1);
  client.Run(milliseconds(50));
  EXPECT_EQ(client.gate().counts().holders, 1u);
  client.Release(invalidate.key(), term);
  client.Run(milliseconds(50));
  EXPECT_EQ(client.gate().counts().holders, 0u);
}

// Protects grants from lease terms that are no whole number of milliseconds: what the log names is
// never less.
TEST(CacheFaultsTest, AnEraNamesNoLessThanTheLeaseTerm) {
  PartitionWorld world(64, 1);
  world.partition_options().lease.lease_term = std::chrono::microseconds(700'500);
  world.Kill(1);
  world.Start(1);
  world.CreatePartition(1);
  Client client(world, 1);
  client.Hold("a");
  EXPECT_EQ(world.PartitionOf(1)->eras().LeaseTermBefore(1'000'000), milliseconds(701));
}

// Starts a group whose first leader's lease term is the long one, and everything that starts later
// has the short one. Returns that leader.
uint64_t StartWithLongTerm(PartitionWorld& world) {
  world.partition_options().lease.lease_term = kLong;
  for (uint64_t node = 1; node <= world.nodes(); ++node) {
    world.Kill(node);
    world.Start(node);
  }
  world.CreatePartition(static_cast<int>(world.nodes()));
  world.partition_options().lease.lease_term = kShort;
  return world.WaitForLeader();
}

// Without a word to holders, as if the leader had died.
void MoveLeadership(PartitionWorld& world, uint64_t from, uint64_t to) {
  world.ReplicaOf(from)->Transfer(
      10 + to, [](const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; });
  while (world.Leader() != to) world.RunFor(milliseconds(10));
}

// A write at this node, just now, is answered when the long term is over and not before.
void ExpectWaitsTheLongTerm(
    PartitionWorld& world, uint64_t node, const std::function<void()>& meanwhile = [] {}) {
  std::optional<Response> response;
  world.Send(node, PutRequest(R"({"pk":"a","sk":1})"),
             [&response](Response answer) { response = std::move(answer); });
  meanwhile();
  for (Duration ran(0); ran < kLong - milliseconds(200); ran += milliseconds(100)) {
    world.Maintain(node);
    world.RunFor(milliseconds(100));
    ASSERT_FALSE(response.has_value()) << ran / milliseconds(1) << " ms";
  }
  world.RunFor(milliseconds(500));
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->error(), data::v1::ERROR_NONE);
}

// Protects grants of a leader with a longer lease term than its successor's, when that was filled
// by a snapshot and lost power since: it waits as long as an era says whose entry it never saw.
TEST(CacheFaultsTest, ALongerLeaseTermIsHonouredAfterASnapshotAndARestart) {
  PartitionWorld world(61, 3);
  const uint64_t first = StartWithLongTerm(world);
  const uint64_t next = first % 3 + 1;
  world.Kill(next);
  Client client(world, first);
  client.Hold("a");
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(world
                  .Call(PutRequest(absl::StrCat(R"({"pk":"k","sk":)", i, R"(,"v":")",
                                                std::string(2000, 'x'), "\"}")))
                  .error(),
              data::v1::ERROR_NONE);
  }
  for (int i = 0; i < 3; ++i) {
    world.ReplicaOf(first)->FlushAndCompact();
    world.RunFor(seconds(2));
  }
  ASSERT_EQ(world.Leader(), first);
  ASSERT_GT(world.ReplicaOf(first)->view().base, 100u) << "the era's entry is still in the log";
  world.Start(next);
  world.RunFor(seconds(10));
  ASSERT_NE(world.PartitionOf(next), nullptr);
  EXPECT_EQ(world.PartitionOf(next)->eras(), world.PartitionOf(first)->eras());
  world.CutPower(next);
  world.Start(next);
  world.RunFor(seconds(5));
  ASSERT_EQ(world.Leader(), first);
  EXPECT_EQ(world.PartitionOf(next)->eras().LeaseTermBefore(1'000'000), kLong);
  MoveLeadership(world, first, next);
  ExpectWaitsTheLongTerm(world, next);
}

// Protects earlier grants from the eras of the leader that waits them out: those come and are
// applied meanwhile, and close nothing.
TEST(CacheFaultsTest, AnEraOfOnesOwnClosesNoEarlierOne) {
  PartitionWorld world(65, 3);
  const uint64_t first = StartWithLongTerm(world);
  const uint64_t next = first % 3 + 1;
  Client client(world, first);
  client.Hold("a");
  world.Kill(next);
  world.Start(next);
  world.RunFor(seconds(5));
  ASSERT_EQ(world.Leader(), first);
  MoveLeadership(world, first, next);
  Client other(world, next);
  ExpectWaitsTheLongTerm(world, next, [&other] { other.Hold("b"); });
}

void RunMaintained(PartitionWorld& world, uint64_t node, Duration span) {
  for (Duration ran(0); ran < span; ran += milliseconds(100)) {
    world.Maintain(node);
    world.RunFor(milliseconds(100));
  }
}

void HandOver(PartitionWorld& world, uint64_t from, replication::ReplicaId to) {
  const auto replica = world.ReplicaOf(from);
  replica->applier().Post(
      [&world, replica, from, to] { world.PartitionOf(from)->HandOver(replica, to); });
}

// Protects what is still held while leadership is about to be handed over: when the leader dies
// then, its successor waits as for any other.
TEST(CacheFaultsTest, ALeaderThatDiesBeforeEverythingIsBackLeavesItsErasOpen) {
  PartitionWorld world(66, 3);
  const uint64_t first = StartWithLongTerm(world);
  Client client(world, first);
  client.Hold("a");
  HandOver(world, first, 10 + first % 3 + 1);
  RunMaintained(world, first, milliseconds(500));
  ASSERT_EQ(world.Leader(), first);
  world.Kill(first);
  const uint64_t next = world.WaitForLeader();
  ExpectWaitsTheLongTerm(world, next);
}

// Protects caching from a handover that fails for good: the leader that stays grants again.
TEST(CacheFaultsTest, ALeaderThatNobodyRelievesGrantsAgain) {
  PartitionWorld world(67, 1);
  world.CreatePartition(1);
  Client client(world, 1);
  client.Hold("a");
  HandOver(world, 1, 99);
  RunMaintained(world, 1, seconds(1));
  client.Fill("b");
  client.Run(milliseconds(50));
  EXPECT_EQ(client.gate().counts().holders, 0u);
  RunMaintained(world, 1, seconds(10));
  client.Hold("a");
}

// Protects grants from an entry that closes all eras and is committed late: as long as it may be,
// nothing is granted, whatever became of the handover.
TEST(CacheFaultsTest, NothingIsGrantedWhileAClosingEntryIsUnderWay) {
  PartitionWorld world(68, 3);
  world.CreatePartition(3);
  const uint64_t first = world.WaitForLeader();
  Client client(world, first);
  client.Hold("a");
  for (uint64_t node = 1; node <= 3; ++node) {
    if (node != first) world.node(node).threads->Slow("log", seconds(600));
  }
  HandOver(world, first, 10 + first % 3 + 1);
  RunMaintained(world, first, seconds(12));
  ASSERT_EQ(world.Leader(), first);
  ASSERT_FALSE(world.PartitionOf(first)->eras().empty()) << "it is committed";
  client.Fill("a");
  client.Run(milliseconds(50));
  EXPECT_EQ(client.gate().counts().holders, 0u);
}

// A session as the network brings it.
class SessionStream {
 public:
  SessionStream(PartitionWorld& world, const CacheServiceOptions& options, bool opens = true)
      : service_([&world](replication::GroupId) { return world.ReplicaOf(1); },
                 *world.node(1).registry, *world.node(1).cache_sessions, *world.node(1).clock,
                 options) {
    const CallMetadata metadata;
    handler_ = *service_.Accept({.method = absl::StrCat(kCacheServicePrefix, "Session"),
                                 .metadata = metadata,
                                 .peer = "x",
                                 .call = call_});
    if (opens) SendOpen();
  }
  void SendOpen() {
    cache::v1::ToNode open;
    open.mutable_open()->set_client(77);
    Send(open);
  }
  void Send(const cache::v1::ToNode& frame) { handler_->OnMessage(frame.SerializeAsString()); }
  bool is_over() const { return call_->is_over; }

 private:
  struct Lane : public Call {
    bool Send(std::string) override { return !is_over; }
    void Finish(absl::Status) override { is_over = true; }
    uint64_t queued_bytes() const override { return 0; }
    bool is_over = false;
  };

  const std::shared_ptr<Lane> call_ = std::make_shared<Lane>();
  CacheService service_;
  std::unique_ptr<CallHandler> handler_;
};

cache::v1::ToNode WithRelease(size_t key_bytes) {
  cache::v1::ToNode frame;
  frame.add_releases()->set_partition(PartitionWorld::kGroup);
  frame.mutable_releases(0)->set_key(std::string(key_bytes, 'k'));
  return frame;
}

// Protects the node's memory: what comes faster than the partition takes it in does not pile up,
// few large messages as little as many small ones, whatever they are.
TEST(CacheFaultsTest, WhatWaitsOfASessionIsBoundedInBytesAndInAcknowledgements) {
  PartitionWorld world(69, 1);
  world.CreatePartition(1);
  SessionStream large(world, {.bytes_max = 10'000});
  large.Send(WithRelease(9000));
  world.RunFor(milliseconds(50));  // taken in
  large.Send(WithRelease(9000));
  EXPECT_FALSE(large.is_over());
  large.Send(WithRelease(9000));
  EXPECT_TRUE(large.is_over());
  SessionStream many(world, {.messages_max = 10});
  cache::v1::ToNode frame;
  for (int i = 0; i < 10; ++i) frame.add_acknowledgements()->set_partition(PartitionWorld::kGroup);
  many.Send(frame);
  EXPECT_FALSE(many.is_over());
  many.Send(WithRelease(1));
  EXPECT_TRUE(many.is_over());
  SessionStream long_frame(world, {.frame_bytes_max = 1000});
  long_frame.Send(WithRelease(1001));
  EXPECT_TRUE(long_frame.is_over());
}

// Protects incarnations: a stream says once, and first, whose it is.
TEST(CacheFaultsTest, AStreamOpensOnce) {
  PartitionWorld world(71, 1);
  world.CreatePartition(1);
  SessionStream twice(world, {});
  EXPECT_FALSE(twice.is_over());
  twice.SendOpen();
  EXPECT_TRUE(twice.is_over());
  SessionStream never(world, {}, /*opens=*/false);
  never.Send(WithRelease(1));
  EXPECT_TRUE(never.is_over());
}

// Protects admission, and writes' rules: the lane brings reads of items and nothing else.
TEST(CacheFaultsTest, AFillIsAGet) {
  PartitionWorld world(70, 1);
  world.CreatePartition(1);
  SessionStream stream(world, {});
  cache::v1::ToNode frame;
  Request& put = *frame.add_fills()->mutable_request();
  put = PutRequest(R"({"pk":"a","sk":1})");
  put.set_table_id(PartitionWorld::kTable);
  put.mutable_route()->set_partition(PartitionWorld::kGroup);
  stream.Send(frame);
  EXPECT_TRUE(stream.is_over());
  world.RunFor(milliseconds(200));
  EXPECT_FALSE(world.Call(GetRequest("a", 1)).found());
}

}  // namespace
}  // namespace ringleader
