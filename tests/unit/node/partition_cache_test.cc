// The gate of the client cache in the write path of a partition: what a write waits for, what it
// does not wait for, and what the next leader does.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "node/cache_service.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTerm = LeaseOptions().lease_term;

// The client's end of a lane.
class Lane : public Call {
 public:
  bool Send(std::string message) override {
    if (ended_) return false;
    messages_.push_back(std::move(message));
    return true;
  }
  void Finish(absl::Status) override { ended_ = true; }
  uint64_t queued_bytes() const override { return 0; }

  std::vector<std::string> Take() { return std::exchange(messages_, {}); }

 private:
  std::vector<std::string> messages_;
  bool ended_ = false;
};

Request FillRequest(absl::string_view pk) {
  Request request = GetRequest(pk, 1);
  request.set_table_id(PartitionWorld::kTable);
  request.mutable_route()->set_partition(PartitionWorld::kGroup);
  return request;
}

// A client that has a session with one node.
class Holder {
 public:
  Holder(PartitionWorld& world, uint64_t node)
      : world_(world), node_(node), session_(sessions().Open(lane_)) {}

  // Asks for the item; runs until it is answered. The first of a bucket is never granted.
  cache::v1::Filled Fill(absl::string_view pk) {
    const uint64_t number = ++last_fill_;
    OnApplier([this, request = FillRequest(pk), number](const auto& replica, Partition& partition) {
      partition.Fill(replica, {session_, number, request, world_.node(node_).clock->Now()});
    });
    for (int step = 0; step < 200; ++step) {
      world_.RunFor(milliseconds(5));
      for (const cache::v1::Event& event : Events()) {
        if (event.filled().number() == number) return event.filled();
      }
    }
    ADD_FAILURE() << "a fill was not answered";
    return {};
  }
  cache::v1::Filled FillGranted(absl::string_view pk) {
    for (int tries = 0; tries < 100; ++tries) {
      const cache::v1::Filled filled = Fill(pk);
      if (filled.life_us() > 0) return filled;
      world_.RunFor(milliseconds(50));
    }
    ADD_FAILURE() << pk << " is never granted";
    return {};
  }
  uint64_t Renew(uint64_t term) {
    cache::v1::Renew renewal;
    renewal.set_term(term);
    OnApplier([this, renewal](const auto& replica, Partition& partition) {
      partition.Renew(replica, session_, renewal);
    });
    world_.RunFor(milliseconds(50));
    uint64_t life = 0;
    for (const cache::v1::Event& event : Events()) life = event.renewed().life_us();
    return life;
  }
  // All that were sent and not taken by now.
  std::vector<cache::v1::Invalidate> Invalidations() {
    Events();
    return std::exchange(invalidations_, {});
  }
  void Acknowledge(const cache::v1::Invalidate& invalidate) {
    OnApplier([this, invalidate](const auto& replica, Partition& partition) {
      partition.Acknowledged(replica, session_, invalidate.term(), {invalidate.number()});
    });
  }
  // Of what `filled` brought, by the key that `invalidate` would name.
  void Release(const cache::v1::Filled& filled, const std::string& key) {
    cache::v1::Release release;
    release.set_term(filled.term());
    release.set_key(key);
    release.set_fill(filled.number());
    OnApplier([this, release](const auto&, Partition& partition) {
      partition.Released(session_, release);
    });
  }
  void End() {
    sessions().End(session_, absl::CancelledError("the client is gone"));
    OnApplier([this](const auto& replica, Partition& partition) {
      partition.CacheSessionEnded(replica, session_);
    });
  }

  CacheSessionId id() const { return session_; }

 private:
  CacheSessions& sessions() { return *world_.node(node_).cache_sessions; }
  void OnApplier(
      std::function<void(const std::shared_ptr<replication::Replica>&, Partition&)> task) {
    const auto replica = world_.ReplicaOf(node_);
    replica->applier().Post([this, replica, task = std::move(task)] {
      if (Partition* partition = world_.PartitionOf(node_)) task(replica, *partition);
    });
  }
  std::vector<cache::v1::Event> Events() {
    std::vector<cache::v1::Event> events;
    for (std::vector<std::string> frames = lane_->Take(); !frames.empty(); frames = lane_->Take()) {
      for (const std::string& frame : frames) {
        cache::v1::ToClient message;
        CHECK(message.ParseFromString(frame));
        for (const cache::v1::Event& event : message.events()) {
          events.push_back(event);
          if (event.has_invalidate()) invalidations_.push_back(event.invalidate());
        }
      }
      sessions().Idle(session_);
    }
    return events;
  }

  PartitionWorld& world_;
  const uint64_t node_;
  const std::shared_ptr<Lane> lane_ = std::make_shared<Lane>();
  const CacheSessionId session_;
  uint64_t last_fill_ = 0;
  std::vector<cache::v1::Invalidate> invalidations_;
};

std::string Json(absl::string_view pk, int value) {
  return absl::StrCat(R"({"pk":")", pk, R"(","sk":1,"v":)", value, "}");
}

// A request on its way.
struct Sent {
  std::optional<Response> response;
  Duration took{0};
  bool ok() const { return response.has_value() && response->error() == data::v1::ERROR_NONE; }
};

std::shared_ptr<Sent> Send(PartitionWorld& world, uint64_t node, Request request) {
  auto sent = std::make_shared<Sent>();
  world.Send(node, std::move(request),
             [sent, &world, began = world.simulation().now()](Response response) {
               sent->response = std::move(response);
               sent->took = world.simulation().now() - began;
             });
  return sent;
}

// A key in whose bucket the others' grants are not.
std::string OtherKey(absl::string_view pk) { return absl::StrCat(pk, "-other"); }

// Maintains every node as long as it lives.
void RunMaintained(PartitionWorld& world, Duration span, uint64_t but = 0) {
  for (Duration run(0); run < span; run += milliseconds(100)) {
    for (uint64_t node = 1; node <= world.nodes(); ++node) {
      if (node != but) world.Maintain(node);
    }
    world.RunFor(milliseconds(100));
  }
}

// Protects builds that do not know eras: while the cluster's version does not say that all do, no
// era enters the log and nothing is leased; from the raise on, it is.
TEST(PartitionCacheTest, NothingIsLeasedBeforeTheClusterIsRaised) {
  PartitionWorld world(71, 3);
  for (uint64_t node = 1; node <= 3; ++node) {
    world.node(node).registry->SetClusterVersion(kClusterVersionEras - 1);
  }
  world.CreatePartition(3);
  const uint64_t leader = world.WaitForLeader();
  Holder holder(world, leader);
  for (int tries = 0; tries < 20; ++tries) {
    EXPECT_EQ(holder.Fill("a").life_us(), 0u);
    RunMaintained(world, milliseconds(100));
  }
  for (uint64_t node = 1; node <= 3; ++node) {
    EXPECT_TRUE(world.PartitionOf(node)->eras().empty());
  }
  world.node(leader).registry->SetClusterVersion(kClusterVersionEras);
  EXPECT_GT(holder.FillGranted("a").life_us(), 0u);
  EXPECT_FALSE(world.PartitionOf(leader)->eras().empty());
}

// Protects the promise: a key that a client may serve from memory is not changed before the client
// gave it back. Other keys are.
TEST(PartitionCacheTest, AWriteOfAHeldKeyWaitsForItsHolder) {
  PartitionWorld world(41, 1);
  world.CreatePartition(1);
  world.Call(PutRequest(Json("a", 1)));
  Holder holder(world, 1);
  const cache::v1::Filled filled = holder.FillGranted("a");
  EXPECT_EQ(PlainJson(filled.response().item()), R"({"pk":"a","sk":1,"v":1})");
  const auto put = Send(world, 1, PutRequest(Json("a", 2)));
  const auto behind = Send(world, 1, PutRequest(Json("a", 3)));
  const auto other = Send(world, 1, PutRequest(Json(OtherKey("a"), 1)));
  world.RunFor(milliseconds(300));
  EXPECT_FALSE(put->response.has_value());
  EXPECT_FALSE(behind->response.has_value());
  EXPECT_TRUE(other->ok());
  // Not granted anew, and read as it is.
  const cache::v1::Filled meanwhile = holder.Fill("a");
  EXPECT_EQ(meanwhile.life_us(), 0u);
  EXPECT_EQ(PlainJson(meanwhile.response().item()), R"({"pk":"a","sk":1,"v":1})");
  const auto invalidations = holder.Invalidations();
  ASSERT_EQ(invalidations.size(), 1u);
  holder.Acknowledge(invalidations[0]);
  world.RunFor(milliseconds(100));
  EXPECT_TRUE(put->ok());
  EXPECT_TRUE(behind->ok());
  const CacheMeters& meters = world.node(1).cache_sessions->meters();
  EXPECT_EQ(meters.stall_by_holder.Read().count(), 2u);
  EXPECT_EQ(meters.stall_by_failover.Read().count(), 0u);
  EXPECT_EQ(meters.invalidations.value(), 1u);
  EXPECT_GT(behind->response->item_version(), 0u);
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"pk":"a","sk":1,"v":3})");
}

// Protects absent keys, conditions and writes that change nothing: the first are held like any
// other, the others call nobody back.
TEST(PartitionCacheTest, AbsentKeysAreHeldAndFailedConditionsCallNobodyBack) {
  PartitionWorld world(42, 1);
  world.CreatePartition(1);
  Holder holder(world, 1);
  EXPECT_FALSE(holder.FillGranted("a").response().found());
  Request put = PutRequest(Json("a", 1));
  put.mutable_put()->mutable_expressions()->set_condition("attribute_exists(pk)");
  EXPECT_EQ(world.Call(put).error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_TRUE(holder.Invalidations().empty());
  put.mutable_put()->mutable_expressions()->set_condition("attribute_not_exists(pk)");
  const auto sent = Send(world, 1, put);
  world.RunFor(milliseconds(300));
  EXPECT_FALSE(sent->response.has_value());
  EXPECT_EQ(holder.Invalidations().size(), 1u);
}

// Protects writers from clients that died, and clients that stand still from writers: a holder that
// says nothing is waited for until its grant is over, and no longer than a term, also if it goes on
// renewing and though nobody else does anything.
TEST(PartitionCacheTest, AHolderThatSaysNothingIsWaitedOut) {
  for (const bool ends : {false, true}) {
    PartitionWorld world(43, 1);
    world.CreatePartition(1);
    Holder holder(world, 1);
    const Duration life(std::chrono::microseconds(holder.FillGranted("a").life_us()));
    const Duration granted = world.simulation().now();
    if (ends) holder.End();
    const auto put = Send(world, 1, PutRequest(Json("a", 1)));
    const Duration sent = world.simulation().now();
    while (!put->response.has_value()) world.RunFor(milliseconds(10));
    EXPECT_TRUE(put->ok());
    EXPECT_GE(sent + put->took, granted + life - milliseconds(10));
    EXPECT_LE(put->took, kTerm + milliseconds(20));
  }
}

// Protects exactly-once: attempts that come while the write is parked share its outcome.
TEST(PartitionCacheTest, CopiesOfAParkedWriteApplyOnce) {
  PartitionWorld world(44, 1);
  world.CreatePartition(1);
  Holder holder(world, 1);
  holder.FillGranted("a");
  Request add =
      UpdateRequest("a", 1, "SET n = if_not_exists(n, :zero) + :one", R"({":zero":0,":one":1})");
  add.mutable_session()->set_session(77);
  add.mutable_session()->set_sequence(1);
  std::vector<std::shared_ptr<Sent>> copies;
  for (int i = 0; i < 3; ++i) copies.push_back(Send(world, 1, add));
  world.RunFor(milliseconds(100));
  for (const auto& copy : copies) EXPECT_FALSE(copy->response.has_value());
  for (const auto& invalidation : holder.Invalidations()) holder.Acknowledge(invalidation);
  world.RunFor(milliseconds(100));
  for (const auto& copy : copies) {
    ASSERT_TRUE(copy->ok());
    EXPECT_EQ(copy->response->item_version(), copies[0]->response->item_version());
  }
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"n":1,"pk":"a","sk":1})");
}

// Protects a table's end: as surely as a write it waits for who holds the table's items.
TEST(PartitionCacheTest, ATablesEndWaitsForHoldersOfItsItems) {
  PartitionWorld world(45, 1);
  world.CreatePartition(1);
  world.Call(PutRequest(Json("a", 1)));
  Holder holder(world, 1);
  holder.FillGranted("a");
  const auto end_table = [&] {
    const auto replica = world.ReplicaOf(1);
    replica->applier().Post([&world, replica] {
      TableRecord table = world.PartitionOf(1)->tables().at(PartitionWorld::kTable)->record;
      table.phase = TablePhase::kRetired;
      world.PartitionOf(1)->ProposeTable(replica, table);
    });
  };
  end_table();
  world.RunFor(milliseconds(200));
  EXPECT_EQ(world.Call(GetRequest("a", 1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(holder.Fill("b").life_us(), 0u);
  const auto invalidations = holder.Invalidations();
  ASSERT_EQ(invalidations.size(), 1u);
  holder.Acknowledge(invalidations[0]);
  world.RunFor(milliseconds(100));
  world.Maintain(1);
  world.RunFor(milliseconds(200));
  EXPECT_EQ(world.Call(GetRequest("a", 1)).error(), data::v1::ERROR_TABLE_NOT_FOUND);
}

// Protects the next leader's readers, and what nobody held from waiting: after a leader's death
// writes to what may be held wait a term from the election, others don't wait; then the eras are
// closed, and a further leader waits for nothing. Also with caching off.
TEST(PartitionCacheTest, TheNextLeaderWaitsForGrantsOfTheLast) {
  for (const bool grants : {true, false}) {
    PartitionWorld world(46, 3);
    world.CreatePartition(3);
    const uint64_t first = world.WaitForLeader();
    Holder holder(world, first);
    const Duration life(std::chrono::microseconds(holder.FillGranted("a").life_us()));
    const Duration granted = world.simulation().now();
    world.RunFor(milliseconds(500));
    if (!grants) {
      world.partition_options().grants = false;
      for (uint64_t node = 1; node <= 3; ++node) {
        if (node == first) continue;
        world.Kill(node);
        world.Start(node);
        world.RunFor(seconds(5));
      }
    }
    world.Kill(first);
    const uint64_t second = world.WaitForLeader();
    const Duration elected = world.simulation().now();
    EXPECT_FALSE(world.PartitionOf(second)->eras().empty());
    const auto held = Send(world, second, PutRequest(Json("a", 1)));
    const auto other = Send(world, second, PutRequest(Json(OtherKey("a"), 1)));
    RunMaintained(world, milliseconds(500), first);
    EXPECT_TRUE(other->ok());
    EXPECT_FALSE(held->response.has_value());
    EXPECT_FALSE(world.Call(second, GetRequest("a", 1)).found());  // reads don't wait
    RunMaintained(world, kTerm, first);
    ASSERT_TRUE(held->ok());
    EXPECT_GE(elected + held->took, granted + life);
    EXPECT_GE(held->took, kTerm - milliseconds(200));
    RunMaintained(world, seconds(1), first);
    EXPECT_TRUE(world.PartitionOf(second)->eras().empty());
  }
}

// Protects grants of a leader that had a longer lease term than its successor: the successor waits
// for the one that the log names. Then nothing of it is left, and its own is what counts.
TEST(PartitionCacheTest, TheNextLeaderWaitsTheLastOnesLeaseTerm) {
  PartitionWorld world(49, 3);
  world.CreatePartition(3);
  const uint64_t first = world.WaitForLeader();
  Holder holder(world, first);
  holder.FillGranted("a");
  world.partition_options().lease.lease_term = milliseconds(500);
  for (uint64_t node = 1; node <= 3; ++node) {
    if (node == first) continue;
    world.Kill(node);
    world.Start(node);
    world.RunFor(seconds(5));
  }
  ASSERT_EQ(world.Leader(), first);
  holder.FillGranted("a");
  world.Kill(first);
  const uint64_t second = world.WaitForLeader();
  const auto held = Send(world, second, PutRequest(Json("a", 1)));
  RunMaintained(world, kTerm + seconds(1), first);
  ASSERT_TRUE(held->ok());
  EXPECT_GE(held->took, kTerm - milliseconds(200));
  EXPECT_TRUE(world.PartitionOf(second)->eras().empty());
  Holder other(world, second);
  other.FillGranted("b");
  EXPECT_EQ(world.PartitionOf(second)->eras().LeaseTermBefore(1000), milliseconds(500));
  const auto waits = Send(world, second, PutRequest(Json("b", 1)));
  RunMaintained(world, milliseconds(700), first);
  EXPECT_TRUE(waits->ok());
}

// Protects writers from clients that hold nothing any more: what was given back costs no message
// and no wait. What was granted since is held.
TEST(PartitionCacheTest, WhatWasGivenBackCostsAWriteNothing) {
  PartitionWorld world(50, 1);
  world.CreatePartition(1);
  Holder holder(world, 1);
  holder.FillGranted("a");
  ASSERT_FALSE(Send(world, 1, PutRequest(Json("a", 1)))->ok());
  world.RunFor(milliseconds(50));
  const auto invalidations = holder.Invalidations();
  ASSERT_EQ(invalidations.size(), 1u);
  const std::string key = invalidations[0].key();
  holder.Acknowledge(invalidations[0]);
  world.RunFor(milliseconds(50));
  const cache::v1::Filled second = holder.FillGranted("a");
  const cache::v1::Filled third = holder.FillGranted("a");
  holder.Release(second, key);
  world.RunFor(milliseconds(50));
  EXPECT_EQ(world.PartitionOf(1)->gate()->counts().keys, 1u);
  holder.Release(third, key);
  world.RunFor(milliseconds(50));
  EXPECT_EQ(world.PartitionOf(1)->gate()->counts().keys, 0u);
  const auto put = Send(world, 1, PutRequest(Json("a", 2)));
  world.RunFor(milliseconds(100));
  EXPECT_TRUE(put->ok());
  EXPECT_TRUE(holder.Invalidations().empty());
  EXPECT_EQ(world.node(1).cache_sessions->meters().releases.value(), 1u);
}

// Protects callers of parked writes when leadership is lost: they hear at once that nothing
// happened, and try elsewhere.
TEST(PartitionCacheTest, ParkedWritesEndWithTheirLeadership) {
  PartitionWorld world(47, 3);
  world.CreatePartition(3);
  const uint64_t first = world.WaitForLeader();
  Holder holder(world, first);
  holder.FillGranted("a");
  RunMaintained(world, milliseconds(1200));
  EXPECT_EQ(world.node(first).cache_sessions->held().keys, 1u);
  const auto put = Send(world, first, PutRequest(Json("a", 1)));
  const auto replica = world.ReplicaOf(first);
  const uint64_t next = first % 3 + 1;
  replica->Transfer(10 + next, [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  world.RunFor(milliseconds(500));
  ASSERT_TRUE(put->response.has_value());
  EXPECT_EQ(put->response->error(), data::v1::ERROR_UNAVAILABLE);
  EXPECT_EQ(world.node(first).cache_sessions->held().keys, 0u);  // as what is held goes with it
  EXPECT_FALSE(world.Call(next, GetRequest("a", 1)).found());
}

// Protects planned transfers from a stall: everything is taken back first, and the next leader
// waits for nothing. A holder that says nothing delays the transfer by a term at most.
TEST(PartitionCacheTest, LeadershipIsHandedOverWithNothingHeld) {
  for (const bool acknowledges : {true, false}) {
    PartitionWorld world(48, 3);
    world.CreatePartition(3);
    const uint64_t first = world.WaitForLeader();
    const uint64_t next = first % 3 + 1;
    Holder holder(world, first);
    const uint64_t term = holder.FillGranted("a").term();
    EXPECT_GT(holder.Renew(term), 0u);
    const auto replica = world.ReplicaOf(first);
    replica->applier().Post([&] { world.PartitionOf(first)->HandOver(replica, 10 + next); });
    world.RunFor(milliseconds(100));
    EXPECT_EQ(holder.Renew(term), 0u);
    EXPECT_EQ(holder.Fill("b").life_us(), 0u);
    const auto invalidations = holder.Invalidations();
    ASSERT_EQ(invalidations.size(), 1u);
    EXPECT_EQ(world.Leader(), first);
    if (acknowledges) holder.Acknowledge(invalidations[0]);
    RunMaintained(world, acknowledges ? Duration(milliseconds(700)) : kTerm + milliseconds(700));
    EXPECT_EQ(world.Leader(), next);
    EXPECT_TRUE(world.PartitionOf(next)->eras().empty());
    const auto put = Send(world, next, PutRequest(Json("a", 1)));
    world.RunFor(milliseconds(200));
    EXPECT_TRUE(put->ok());
  }
}

// Protects drains from a voter that is dead when leadership is to go to it: another one takes it as
// soon as the transfer is given up.
TEST(PartitionCacheTest, ADeadTargetOfAHandoverIsReplaced) {
  PartitionWorld world(51, 3);
  world.CreatePartition(3);
  const uint64_t first = world.WaitForLeader();
  const uint64_t dead = first % 3 + 1;
  world.Kill(dead);
  const auto replica = world.ReplicaOf(first);
  replica->applier().Post([&] { world.PartitionOf(first)->HandOver(replica, 10 + dead); });
  RunMaintained(world, seconds(3), dead);
  EXPECT_NE(world.Leader(), first);
  EXPECT_NE(world.Leader(), 0u);
}

// Protects: short-lived clients do not fill the gate.
TEST(PartitionCacheTest, WhatEndedSessionsHeldIsForgottenOnceItIsOver) {
  PartitionWorld world(91, 1);
  world.CreatePartition(1);
  world.Call(PutRequest(Json("a", 1)));
  for (int i = 0; i < 50; ++i) {
    Holder holder(world, 1);
    holder.FillGranted("a");
    holder.End();
    world.RunFor(milliseconds(20));
  }
  RunMaintained(world, 2 * kTerm);
  const LeaseGate::Counts counts = world.PartitionOf(1)->gate()->counts();
  EXPECT_EQ(counts.waits, 0u);
}

// Protects: nothing is registered for who can not be told any more.
TEST(PartitionCacheTest, AnEndedSessionIsGrantedNothing) {
  PartitionWorld world(92, 1);
  world.CreatePartition(1);
  world.Call(PutRequest(Json("a", 1)));
  Holder other(world, 1);
  other.FillGranted("a");
  Holder holder(world, 1);
  holder.FillGranted("a");
  const auto replica = world.ReplicaOf(1);
  world.node(1).cache_sessions->End(holder.id(), absl::CancelledError("overflow"));
  for (int i = 0; i < 1000; ++i) {
    replica->applier().Post([&world, replica, id = holder.id()] {
      world.PartitionOf(1)->Fill(replica, {id, 7, FillRequest("a"), world.node(1).clock->Now()});
    });
  }
  world.RunFor(milliseconds(200));
  EXPECT_EQ(world.PartitionOf(1)->gate()->counts().waits, 0u);  // each would be one to wait for
}

// Protects: a client that stands still costs the item that it holds, not its partition.
TEST(PartitionCacheTest, ParkedWritesAreBoundedAndOthersPass) {
  PartitionWorld world(93, 1);
  world.CreatePartition(1);
  world.Call(PutRequest(Json("a", 1)));
  world.Call(PutRequest(Json("b", 1)));
  Holder holder(world, 1);
  holder.FillGranted("a");
  std::vector<std::shared_ptr<Sent>> puts;
  for (int i = 0; i < 20100; ++i) {
    puts.push_back(Send(world, 1, PutRequest(Json("a", i))));
    if (i % 50 == 0) world.RunFor(milliseconds(2));
  }
  const auto get = Send(world, 1, GetRequest("b", 1));
  const auto put = Send(world, 1, PutRequest(Json("b", 2)));
  world.RunFor(milliseconds(400));
  world.RunFor(milliseconds(400));
  size_t parked = 0;
  for (const auto& one : puts) parked += one->response.has_value() ? 0 : 1;
  EXPECT_EQ(parked, PartitionOptions().parked_key_max);
  EXPECT_TRUE(get->ok());
  EXPECT_TRUE(put->ok());
}

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
TEST(PartitionCacheTest, ASessionThatWasFinishedTakesNoMoreFrames) {
  PartitionWorld world(94, 1);
  world.CreatePartition(1);
  Session session(world, {});
  session.SendBytes("\xff\xff\xff");
  EXPECT_TRUE(session.is_over());
  session.SendFills(10);
  EXPECT_EQ(session.looked_for(), 0);
}

// Protects: a frame is counted before it is parsed, fields that nobody knows included.
TEST(PartitionCacheTest, AFrameOfTooMuchIsNotParsed) {
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
TEST(PartitionCacheTest, ASessionThatIsSilentEndsWithItsGrants) {
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
TEST(PartitionCacheTest, StatusSaysWhoHoldsWhat) {
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
  cache::v1::StatusResponse status = one.Status(world, request);
  ASSERT_EQ(status.sessions_size(), 2);
  EXPECT_EQ(status.sessions(0).items(), 1u);
  EXPECT_EQ(status.sessions(0).partitions(), 1u);
  EXPECT_EQ(status.sessions(0).client(), 77u);
  EXPECT_EQ(status.sessions(0).peer(), "x");
  EXPECT_GE(status.sessions(0).age_ms(), 1300u);
  EXPECT_GE(status.sessions(0).silent_ms(), 1200u);
  EXPECT_EQ(status.sessions(1).items(), 0u);
  EXPECT_EQ(status.total().sessions(), 3u);
  EXPECT_EQ(status.total().items(), 1u);
  EXPECT_EQ(status.total().grants(), 2u);
  EXPECT_EQ(status.total().waits(), 1u);
  EXPECT_EQ(status.total().blocked_items(), 1u);
  ASSERT_NE(status.next_after(), 0u);
  request.set_after(status.next_after());
  status = one.Status(world, request);
  ASSERT_EQ(status.sessions_size(), 1);
  EXPECT_EQ(status.sessions(0).session(), holder.id());
  EXPECT_EQ(status.sessions(0).items(), 1u);
  EXPECT_EQ(status.sessions(0).invalidations(), 1u);
  EXPECT_EQ(status.next_after(), 0u);
}

// Protects: frames that come faster than the partition takes them in do not pile up.
TEST(PartitionCacheTest, WhatWaitsOfASessionIsBounded) {
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
