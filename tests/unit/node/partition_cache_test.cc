// The gate of the client cache in the write path of a partition: what a write waits for, what it
// does not wait for, and what the next leader does.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "node/cache_service.h"
#include "node/reads.h"
#include "tests/unit/node/cache_holder.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

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

// Protects writers from holders that want to hold nothing: a read for no grant is answered as
// others are, where one could be had.
TEST(PartitionCacheTest, AReadForNoGrantIsGrantedNothing) {
  PartitionWorld world(47, 1);
  world.CreatePartition(1);
  world.Call(PutRequest(Json("a", 1)));
  Holder holder(world, 1);
  holder.FillGranted(OtherKey("a"));
  const cache::v1::Filled read = holder.Fill("a", /*no_grant=*/true);
  EXPECT_EQ(PlainJson(read.response().item()), R"({"pk":"a","sk":1,"v":1})");
  EXPECT_EQ(read.life_us(), 0u);
  world.RunFor(milliseconds(100));
  holder.Fill("a", /*no_grant=*/true);
  EXPECT_EQ(world.Call(PutRequest(Json("a", 2))).error(), data::v1::ERROR_NONE);
  EXPECT_TRUE(holder.Invalidations().empty());
}

// Protects sessions, and writers who would wait for them: items that pile up, asked for with a
// grant or without, are refused, and what has to be said still has room.
class BulkTest : public testing::TestWithParam<bool> {};

TEST_P(BulkTest, BulkThatIsNotReadIsRefusedBeforeItEndsTheSession) {
  const bool no_grant = GetParam();
  PartitionWorld world(53, 1);
  world.CreatePartition(1);
  const std::string large(300 << 10, 'x');
  world.Call(PutRequest(absl::StrCat(R"({"pk":"a","sk":1,"v":")", large, R"("})")));
  Holder(world, 1).FillGranted("a");  // from here on it is granted
  CacheSessions& sessions = *world.node(1).cache_sessions;
  const auto lane = std::make_shared<Lane>();
  const CacheSessionId id = sessions.Open(lane);
  std::vector<CacheFill> fills;
  for (uint64_t number = 1; number <= 20; ++number) {
    fills.push_back({id, number, FillRequest("a"), world.node(1).clock->Now(), no_grant});
  }
  OnApplier(world, 1,
            [fills](const auto& replica, Partition& partition) { partition.Fill(replica, fills); });
  world.RunFor(milliseconds(500));
  ASSERT_TRUE(sessions.IsOpen(id));
  int answered = 0, refused = 0;
  for (auto frames = lane->Take(); !frames.empty(); frames = lane->Take()) {
    for (const std::string& frame : frames) {
      cache::v1::ToClient message;
      ASSERT_TRUE(message.ParseFromString(frame));
      for (const cache::v1::Event& event : message.events()) {
        const bool is_full =
            event.filled().response().error() == data::v1::ERROR_RESOURCE_EXHAUSTED;
        ++(is_full ? refused : answered);
      }
    }
    sessions.Idle(id);
  }
  EXPECT_EQ(answered + refused, 20);
  EXPECT_GT(answered, 3);
  EXPECT_GT(refused, 3);
}

INSTANTIATE_TEST_SUITE_P(Grants, BulkTest, testing::Bool());

// Protects writers after a failover: where nothing is held any more, no era is left. Where
// something is, it is held on.
TEST(PartitionCacheTest, ErasAreClosedWhereNothingIsHeld) {
  PartitionWorld world(57, 1);
  world.Kill(1);
  world.partition_options().eras_period = seconds(1);
  world.partition_options().eras_spare = 0;
  world.Start(1);
  world.CreatePartition(1);
  const auto key_of = [&world](absl::string_view pk) {
    const Partition& partition = *world.PartitionOf(1);
    return *ItemKeyOf(FillRequest(pk).get().key(), *partition.tables().at(PartitionWorld::kTable),
                      *partition.state().range);
  };
  Holder holder(world, 1);
  for (int i = 0; i < 40; ++i) {
    const std::string pk = absl::StrCat("given-back-", i);
    world.Call(PutRequest(Json(pk, 1)));
    holder.Release(holder.FillGranted(pk), key_of(pk));
  }
  world.Call(PutRequest(Json("a", 1)));
  holder.FillGranted("a");
  EXPECT_GT(world.PartitionOf(1)->eras().Before(1000).count(), 35u);
  RunMaintained(world, seconds(3));
  EXPECT_EQ(world.PartitionOf(1)->eras().Before(1000), EraBuckets().set(EraBucketOf(key_of("a"))));
  holder.Renew(world.ReplicaOf(1)->view().term);
  const auto put = Send(world, 1, PutRequest(Json("a", 2)));
  world.RunFor(milliseconds(200));
  EXPECT_FALSE(put->response.has_value()) << "its holder was forgotten";
  EXPECT_GT(holder.FillGranted("given-back-0").life_us(), 0u) << "no era is opened any more";
}

// Protects writers from readers: a write that comes to its turn while the next entry is full keeps
// its turn, and no grant comes before it.
TEST(PartitionCacheTest, AnOpenedWriteThatFindsTheEntryFullIsNotOvertakenByAGrant) {
  PartitionWorld world(58, 1);
  world.Kill(1);
  world.partition_options().entry_bytes_max = 1;
  world.Start(1);
  world.CreatePartition(1);
  world.Call(PutRequest(Json("a", 1)));
  Holder holder(world, 1), other(world, 1);
  holder.FillGranted("a");
  const auto put = Send(world, 1, PutRequest(Json("a", 2)));
  world.RunFor(milliseconds(50));
  const std::vector<cache::v1::Invalidate> invalidations = holder.Invalidations();
  ASSERT_EQ(invalidations.size(), 1u);
  // One is on its way then, and one is as much as the next entry takes.
  Send(world, 1, PutRequest(Json("x", 1)));
  Send(world, 1, PutRequest(Json("y", 1)));
  OnApplier(world, 1, [&](const auto& replica, Partition& partition) {
    partition.Acknowledged(replica, holder.id(), invalidations[0].term(),
                           {invalidations[0].number()});
    partition.Fill(replica, {{other.id(), 1000, FillRequest("a"), world.node(1).clock->Now()}});
  });
  world.RunFor(milliseconds(500));
  EXPECT_TRUE(put->ok());
  EXPECT_TRUE(other.Invalidations().empty());
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
      world.PartitionOf(1)->Fill(replica, {{id, 7, FillRequest("a"), world.node(1).clock->Now()}});
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

}  // namespace
}  // namespace ringleader
