// A partition as its users see it, over the production log, replication and LevelDB.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;

Request InSession(Request request, uint64_t sequence, uint64_t lowest = 1, uint64_t session = 77) {
  request.mutable_session()->set_session(session);
  request.mutable_session()->set_sequence(sequence);
  request.mutable_session()->set_lowest_outstanding(lowest);
  return request;
}

// Protects the basic promise: what was written is read, with its version, from the leader.
TEST(PartitionTest, WritesAreRead) {
  PartitionWorld world(1, 1);
  world.CreatePartition(1);
  Response put = world.Call(PutRequest(R"({"pk":"a","sk":1,"v":"x"})"));
  ASSERT_EQ(put.error(), data::v1::ERROR_NONE) << put.message();
  Response got = world.Call(GetRequest("a", 1));
  ASSERT_TRUE(got.found());
  EXPECT_EQ(got.item_version(), put.item_version());
  EXPECT_EQ(PlainJson(got.item()), R"({"pk":"a","sk":1,"v":"x"})");
  Request erase;
  erase.mutable_delete_()->set_key(KeyBytes("a", 1));
  erase.mutable_delete_()->set_return_values(data::v1::RETURN_VALUES_ALL_OLD);
  EXPECT_EQ(PlainJson(world.Call(erase).item()), R"({"pk":"a","sk":1,"v":"x"})");
  EXPECT_FALSE(world.Call(GetRequest("a", 1)).found());
  EXPECT_EQ(world.Call(erase).item(), "");  // nothing to delete: changes nothing, still answered
}

// Protects conditions: evaluated at the leader, and a failure changes nothing.
TEST(PartitionTest, Conditions) {
  PartitionWorld world(2, 1);
  world.CreatePartition(1);
  Request put = PutRequest(R"({"pk":"a","sk":1,"v":1})");
  put.mutable_put()->mutable_expressions()->set_condition("attribute_not_exists(pk)");
  EXPECT_EQ(world.Call(put).error(), data::v1::ERROR_NONE);
  put.mutable_put()->set_item(ItemBytes(R"({"pk":"a","sk":1,"v":2})"));
  put.mutable_put()->set_return_item_on_condition_failure(true);
  const Response failed = world.Call(put);
  EXPECT_EQ(failed.error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_EQ(failed.message(), "The conditional request failed");
  EXPECT_EQ(PlainJson(failed.item()), R"({"pk":"a","sk":1,"v":1})");
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"pk":"a","sk":1,"v":1})");
}

// Protects pipelining: many read-modify-writes of one key at once each see the one before, through
// the overlay, in few entries.
TEST(PartitionTest, PipelinedUpdatesSeeEachOther) {
  PartitionWorld world(3, 1);
  world.CreatePartition(1);
  int answered = 0;
  for (int i = 0; i < 100; ++i) {
    Request request = Increment("a");
    request.mutable_update()->set_return_values(data::v1::RETURN_VALUES_UPDATED_NEW);
    world.Send(1, request, [&answered, i](Response response) {
      EXPECT_EQ(PlainJson(response.item()), absl::StrCat(R"({"n":)", i + 1, "}"));
      ++answered;
    });
  }
  world.RunFor(std::chrono::seconds(2));
  EXPECT_EQ(answered, 100);
  EXPECT_LT(world.PartitionOf(1)->applied().last.index, 40u);
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"n":100,"pk":"a","sk":1})");
}

// Protects exactly-once: copies that arrive together, and copies that arrive after the answer, are
// applied once and share its outcome.
TEST(PartitionTest, CopiesOfAWriteApplyOnce) {
  PartitionWorld world(4, 1);
  world.CreatePartition(1);
  const Request request = InSession(Increment("a"), 1);
  int answered = 0;
  uint64_t version = 0;
  for (int copy = 0; copy < 3; ++copy) {
    world.Send(1, request, [&](Response response) {
      EXPECT_EQ(response.error(), data::v1::ERROR_NONE);
      if (version == 0) version = response.item_version();
      EXPECT_EQ(response.item_version(), version);
      ++answered;
    });
  }
  world.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(world.Call(request).item_version(), version);
  world.Kill(1);  // the memory of it is in the replicated state
  world.Start(1);
  EXPECT_EQ(world.Call(request).item_version(), version);
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"n":1,"pk":"a","sk":1})");
  // Once the originator says that it was answered, it is forgotten, and refused.
  EXPECT_EQ(world.Call(InSession(Increment("a"), 2, 2)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(world.Call(request).error(), data::v1::ERROR_SESSION_EXPIRED);
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"n":2,"pk":"a","sk":1})");
}

// Protects callers from a late copy: a write that was answered "condition failed" must not apply
// afterwards, when its condition happens to hold.
TEST(PartitionTest, LateCopyOfAFailedConditionStaysFailed) {
  PartitionWorld world(5, 1);
  world.CreatePartition(1);
  Request update = InSession(Increment("a"), 1);
  update.mutable_update()->mutable_expressions()->set_condition("attribute_exists(pk)");
  EXPECT_EQ(world.Call(update).error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_EQ(world.Call(PutRequest(R"({"pk":"a","sk":1})")).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(world.Call(update).error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"pk":"a","sk":1})");
}

// The same when the leader that answered is gone: the answer is in the log, with the item that it
// returned, and outlives restarts. An answer whose only copy this is costs no entry.
TEST(PartitionTest, ALateCopyOfAFailedConditionIsNotEvaluatedByTheNextLeader) {
  PartitionWorld world(15, 3);
  world.CreatePartition(3);
  world.Call(PutRequest(R"({"pk":"a","sk":1,"v":1})"));
  Request update = InSession(Increment("a"), 1);
  update.mutable_update()->mutable_expressions()->set_condition("v = :one");
  update.mutable_update()->mutable_expressions()->set_values(ItemBytes(R"({":zero":0,":one":2})"));
  update.mutable_update()->set_return_item_on_condition_failure(true);
  const Response first = world.Call(update);
  ASSERT_EQ(first.error(), data::v1::ERROR_CONDITION_FAILED) << first.message();
  EXPECT_EQ(PlainJson(first.item()), R"({"pk":"a","sk":1,"v":1})");
  Request erase;
  erase.mutable_delete_()->set_key(KeyBytes("b", 1));
  erase = InSession(erase, 2);
  EXPECT_EQ(world.Call(erase).error(), data::v1::ERROR_NONE);  // there was nothing to delete
  EXPECT_EQ(world.Call(PutRequest(R"({"pk":"a","sk":1,"v":2})")).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(world.Call(PutRequest(R"({"pk":"b","sk":1})")).error(), data::v1::ERROR_NONE);
  const uint64_t leader = world.Leader();
  world.CutPower(leader);
  const Response again = world.Call(update);
  EXPECT_EQ(again.error(), first.error());
  EXPECT_EQ(again.message(), first.message());
  EXPECT_EQ(again.item(), first.item());
  EXPECT_EQ(world.Call(erase).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"pk":"a","sk":1,"v":2})");
  EXPECT_TRUE(world.Call(GetRequest("b", 1)).found());

  const uint64_t now = world.Leader();
  const auto applied = world.PartitionOf(now)->state().applied.last;
  Request alone = InSession(update, 3);
  alone.mutable_update()->mutable_expressions()->set_condition("v = :zero");
  alone.mutable_session()->set_sole_copy(true);
  EXPECT_EQ(world.Call(now, alone).error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_EQ(world.PartitionOf(now)->state().applied.last, applied);
}

// A copy takes no answer over that has no record, from an attempt that its sender had given up: the
// copy's own answer would be delivered, and the sender's others still be about.
TEST(PartitionTest, ACopyOfAnAttemptThatWasAloneGetsARecord) {
  PartitionWorld world(16, 3);
  world.CreatePartition(3);
  Request update = InSession(Increment("a"), 1);
  update.mutable_update()->mutable_expressions()->set_condition("attribute_exists(pk)");
  Request first = update;
  first.mutable_session()->set_sole_copy(true);
  EXPECT_EQ(world.Call(first).error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_EQ(world.Call(update).error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_EQ(world.Call(PutRequest(R"({"pk":"a","sk":1})")).error(), data::v1::ERROR_NONE);
  world.CutPower(world.Leader());
  EXPECT_EQ(world.Call(first).error(), data::v1::ERROR_CONDITION_FAILED);
  EXPECT_EQ(PlainJson(world.Call(GetRequest("a", 1)).item()), R"({"pk":"a","sk":1})");
}

// Protects a client whose writes were all open at once: when they have their outcomes, the next one
// says so, and is not refused for results that it lets go of itself. What it does not let go of
// stays bounded.
TEST(PartitionTest, AFullSessionTakesAWriteThatSaysWhatWasAnswered) {
  PartitionWorld world(18, 1);
  world.CreatePartition(1);
  const uint64_t open = kSessionResultsMax;  // at most that many are open in a client's session
  uint64_t answered = 0;
  for (uint64_t sequence = 1; sequence <= open; ++sequence) {
    world.Send(1, InSession(Increment("a"), sequence), [&answered](const Response& response) {
      answered += response.error() == data::v1::ERROR_NONE;
    });
  }
  world.RunFor(std::chrono::seconds(2));
  ASSERT_EQ(answered, open);
  EXPECT_EQ(world.Call(InSession(Increment("a"), open + 1)).error(),
            data::v1::ERROR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(world.Call(InSession(Increment("a"), open + 1, 2)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(world.Call(InSession(Increment("a"), open + 2, 2)).error(),
            data::v1::ERROR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(world.Call(InSession(Increment("a"), open + 2, open + 2)).error(),
            data::v1::ERROR_NONE);
  EXPECT_EQ(world.Call(InSession(Increment("a"), open)).error(), data::v1::ERROR_SESSION_EXPIRED);
}

// Protects new clients of a partition that nobody writes to: a full table of sessions empties
// itself as time goes by, and as long as it is not full nothing is written for it.
TEST(PartitionTest, ACrowdedSessionTableAgesWithoutWrites) {
  PartitionWorld world(17, 1);
  world.partition_options().sessions_crowded = 20;
  world.Kill(1);
  world.Start(1);
  world.CreatePartition(1);
  for (uint64_t session = 1; session <= 19; ++session) {
    world.Call(InSession(Increment("a"), 1, 1, session));
  }
  const auto idle = [&world] {
    for (int minute = 0; minute < 17; ++minute) {
      world.RunFor(std::chrono::minutes(1));
      world.Maintain(1);
      world.Maintain(1);
    }
    world.RunFor(std::chrono::seconds(1));
    return world.PartitionOf(1)->state().applied.last.index;
  };
  const auto before = world.PartitionOf(1)->state().applied.last.index;
  EXPECT_EQ(idle(), before);
  world.Call(InSession(Increment("a"), 1, 1, 20));  // takes the entry's share of the old ones along
  for (uint64_t session = 21; session <= 40; ++session) {
    world.Call(InSession(Increment("a"), 1, 1, session));
  }
  ASSERT_GE(world.PartitionOf(1)->sessions(), 20u);
  const auto crowded = world.PartitionOf(1)->state().applied.last.index;
  const auto after = idle();
  EXPECT_LT(world.PartitionOf(1)->sessions(), 20u);
  EXPECT_LE(after, crowded + 2);  // as many entries as it takes, and no more
}

// Protects queries: order, ranges, pages both ways, filter and projection, count.
TEST(PartitionTest, Queries) {
  PartitionWorld world(6, 1);
  world.CreatePartition(1);
  for (int sk = 1; sk <= 9; ++sk) {
    world.Call(PutRequest(absl::StrCat(R"({"pk":"a","sk":)", sk, R"(,"even":)", sk % 2 == 0, "}")));
    world.Call(PutRequest(absl::StrCat(R"({"pk":"b","sk":)", sk, "}")));
  }
  Request query;
  query.mutable_query()->mutable_expressions()->set_key_condition("pk = :p AND sk > :s");
  query.mutable_query()->mutable_expressions()->set_values(ItemBytes(R"({":p":"a",":s":2})"));
  query.mutable_query()->mutable_expressions()->set_projection("sk");
  query.mutable_query()->set_limit(3);
  query.mutable_query()->set_backward(true);
  std::string seen;
  int pages = 0;
  while (true) {
    const Response page = world.Call(query);
    ASSERT_EQ(page.error(), data::v1::ERROR_NONE) << page.message();
    for (const std::string& item : page.page().items()) seen += PlainJson(item);
    ++pages;
    if (page.page().last_evaluated_key().empty()) break;
    query.mutable_query()->set_exclusive_start_key(page.page().last_evaluated_key());
  }
  EXPECT_EQ(seen, R"({"sk":9}{"sk":8}{"sk":7}{"sk":6}{"sk":5}{"sk":4}{"sk":3})");
  EXPECT_EQ(pages, 3);
  Request count;
  count.mutable_query()->mutable_expressions()->set_key_condition("pk = :p");
  count.mutable_query()->mutable_expressions()->set_filter("even = :e");
  count.mutable_query()->mutable_expressions()->set_values(ItemBytes(R"({":p":"a",":e":1})"));
  count.mutable_query()->set_count_only(true);
  const Response counted = world.Call(count);
  EXPECT_EQ(counted.page().count(), 4u) << counted.message();
  EXPECT_EQ(counted.page().scanned_count(), 9u);
  EXPECT_EQ(counted.page().items_size(), 0);
}

// Protects scans: pages of bounded size cover every item once, and segments split them.
TEST(PartitionTest, Scans) {
  PartitionWorld world(7, 1);
  world.CreatePartition(1);
  const std::string big(100000, 'x');
  for (int i = 0; i < 30; ++i) {
    world.Call(PutRequest(absl::StrCat(R"({"pk":"k)", i, R"(","sk":1,"v":")", big, R"("})")));
  }
  for (const uint32_t segments : {1u, 3u}) {
    std::set<std::string> seen;
    int pages = 0;
    for (uint32_t segment = 0; segment < segments; ++segment) {
      Request scan;
      scan.mutable_scan()->set_segment(segment);
      scan.mutable_scan()->set_segments(segments);
      scan.mutable_scan()->mutable_expressions()->set_projection("pk");
      while (true) {
        const Response page = world.Call(scan);
        ASSERT_EQ(page.error(), data::v1::ERROR_NONE) << page.message();
        ++pages;
        for (const std::string& item : page.page().items()) {
          EXPECT_TRUE(seen.insert(PlainJson(item)).second);
        }
        if (page.page().last_evaluated_key().empty()) break;
        scan.mutable_scan()->set_exclusive_start_key(page.page().last_evaluated_key());
      }
    }
    EXPECT_EQ(seen.size(), 30u);
    EXPECT_GE(pages, 3);
  }
}

// Protects callers from silently wrong answers: each refusal has its code.
TEST(PartitionTest, Refusals) {
  PartitionWorld world(8, 1);
  world.CreatePartition(1);
  EXPECT_EQ(world.Call(PutRequest(R"({"pk":1,"sk":1})")).error(), data::v1::ERROR_VALIDATION);
  Request other = PutRequest(R"({"pk":"a","sk":1})");
  other.set_table_id(6);
  EXPECT_EQ(world.Call(other).error(), data::v1::ERROR_TABLE_NOT_FOUND);
  other.set_table_id(PartitionWorld::kTable);
  other.set_schema_version(2);
  EXPECT_EQ(world.Call(other).error(), data::v1::ERROR_WRONG_SCHEMA);
  EXPECT_EQ(world.Call(Request()).error(), data::v1::ERROR_VALIDATION);
  world.node(1).admission->SetDiskFit(false);
  const Response full = world.Call(PutRequest(R"({"pk":"a","sk":1})"));
  EXPECT_EQ(full.error(), data::v1::ERROR_RESOURCE_EXHAUSTED);
  EXPECT_GT(full.retry_after_ms(), 0u);
}

// Protects rule 22, errors are true: a replica that is behind, or a leader that was deposed, has
// not heard of a table that exists, and who reads from whatever replica there is asks another one.
// Found by the simulation, after a restart that began with an older state, and at a deposed leader.
TEST(PartitionTest, OnlyWhoIsCurrentIsSureThatThereIsNoTable) {
  PartitionWorld world(13, 3);
  world.CreatePartition(3);
  const uint64_t leader = world.Leader();
  Request get = GetRequest("k", 1);
  get.mutable_get()->set_consistency(data::v1::CONSISTENCY_EVENTUAL);
  get.set_table_name("unheard-of");
  EXPECT_EQ(world.Call(leader, get).error(), data::v1::ERROR_UNAVAILABLE);
  EXPECT_EQ(world.Call(leader % 3 + 1, get).error(), data::v1::ERROR_UNAVAILABLE);
  get.mutable_get()->set_consistency(data::v1::CONSISTENCY_LINEARIZABLE);
  EXPECT_EQ(world.Call(leader, get).error(), data::v1::ERROR_TABLE_NOT_FOUND);
  get.mutable_get()->set_consistency(data::v1::CONSISTENCY_EVENTUAL);
  get.set_table_id(PartitionWorld::kTable + 1);
  EXPECT_EQ(world.Call(leader % 3 + 1, get).error(), data::v1::ERROR_UNAVAILABLE);
}

// Protects rule 13 and the discarding of LevelDB's own log: after a power cut the Raft log brings
// back everything that was answered.
TEST(PartitionTest, PowerCutLosesNothingThatWasAnswered) {
  PartitionWorld world(9, 1);
  world.CreatePartition(1);
  Random random(5);
  int written = 0;
  for (int round = 0; round < 8; ++round) {
    const int writes = static_cast<int>(random.Below(40));
    for (int i = 0; i < writes; ++i) {
      const Response put = world.Call(PutRequest(absl::StrCat(
          R"({"pk":"k","sk":)", written, R"(,"v":")", std::string(1000, 'x'), R"("})")));
      ASSERT_EQ(put.error(), data::v1::ERROR_NONE) << put.message();
      ++written;
    }
    const std::string before = world.Dump(1);
    world.CutPower(1);
    world.Start(1);
    world.WaitForLeader();
    world.Call(GetRequest("k", 0));  // linearizable: waits until everything is applied again
    EXPECT_EQ(world.Dump(1), before) << "round " << round;
  }
  EXPECT_GT(written, 100);
}

// Protects replication of partitions: every replica holds the same, a follower says who leads and
// serves eventual reads, and a new leader goes on with everything that was answered.
TEST(PartitionTest, ThreeNodes) {
  PartitionWorld world(10, 3);
  world.CreatePartition(3);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(world.Call(InSession(Increment(absl::StrCat("k", i % 5)), 1u + i, 1u + i)).error(),
              data::v1::ERROR_NONE);
  }
  const uint64_t leader = world.Leader();
  const uint64_t follower = leader % 3 + 1;
  world.RunFor(std::chrono::seconds(1));
  const std::string dump = world.Dump(leader);
  for (uint64_t node = 1; node <= 3; ++node) EXPECT_EQ(world.Dump(node), dump);
  const Response wrong = world.Call(follower, Increment("k0"));
  EXPECT_EQ(wrong.error(), data::v1::ERROR_WRONG_ROUTE);
  EXPECT_EQ(wrong.route_hint().leader_node(), leader);
  EXPECT_EQ(wrong.route_hint().leader_address(), PartitionWorld::Address(leader));
  EXPECT_EQ(world.Call(follower, GetRequest("k0", 1)).error(), data::v1::ERROR_WRONG_ROUTE);
  world.CutPower(leader);
  const Response read = world.Call(GetRequest("k0", 1));
  EXPECT_EQ(PlainJson(read.item()), R"({"n":10,"pk":"k0","sk":1})");
  world.Start(leader);
  world.RunFor(std::chrono::seconds(3));
  EXPECT_EQ(world.Dump(leader), dump);
}

// Protects rule 22: a write whose leader lost the cluster is answered, and not with success.
TEST(PartitionTest, LostLeadershipIsReported) {
  PartitionWorld world(11, 3);
  world.CreatePartition(3);
  const uint64_t leader = world.Leader();
  for (uint64_t node = 1; node <= 3; ++node) {
    if (node == leader) continue;
    world.network().Block(leader, node);
    world.network().Block(node, leader);
  }
  std::vector<Response> answers;
  world.Send(leader, Increment("a"), [&](Response response) { answers.push_back(response); });
  Request failing = Increment("b");
  failing.mutable_update()->mutable_expressions()->set_condition("attribute_exists(pk)");
  world.RunFor(std::chrono::seconds(1));
  world.Send(leader, failing, [&](Response response) { answers.push_back(response); });
  for (int i = 0; i < 80; ++i) {
    world.RunFor(std::chrono::milliseconds(100));
    const auto replica = world.ReplicaOf(leader);
    replica->applier().Post(
        [&world, leader, replica] { world.PartitionOf(leader)->Maintain(replica); });
  }
  ASSERT_EQ(answers.size(), 2u);
  for (const Response& answer : answers) {
    EXPECT_TRUE(answer.error() == data::v1::ERROR_UNKNOWN_OUTCOME ||
                answer.error() == data::v1::ERROR_UNAVAILABLE ||
                answer.error() == data::v1::ERROR_WRONG_ROUTE)
        << answer.error();
  }
  EXPECT_NE(world.PartitionOf(leader), nullptr);
  EXPECT_EQ(world.PartitionOf(leader)->waiting_requests(), 0u);
}

// A leader that is cut off with entries at i, i + 1 and i + 2 that only it has, loses its term, and
// leads again: the other's first entry is at i, its own at i + 1, and what it proposes next, cut
// off again, is at i + 2 for the second time.
// Protects every replica from an entry that no log takes: requests of a hundred bytes, each of
// which puts the whole of a large item, come in one frame. (They once made one entry of all of
// them, which stopped all replicas.)
TEST(PartitionTest, ManyUpdatesOfALargeItemInOneFrameStayBelowAnEntrysBound) {
  PartitionWorld world(3, 3);
  world.CreatePartition(3);
  const std::string big(390000, 'x');
  ASSERT_EQ(
      world.Call(PutRequest(absl::StrCat(R"({"pk": "a", "sk": 1, "n": 0, "big": ")", big, R"("})")))
          .error(),
      data::v1::ERROR_NONE);
  constexpr int kUpdates = 200;  // 78 MB of effects
  int answered = 0;
  std::vector<PendingRequest> frame;
  const uint64_t leader = world.WaitForLeader();
  for (int i = 0; i < kUpdates; ++i) {
    PendingRequest pending{.request = UpdateRequest("a", 1, "ADD n :one", R"({":one": 1})")};
    pending.request.mutable_route()->set_partition(PartitionWorld::kGroup);
    pending.request.set_table_id(PartitionWorld::kTable);
    pending.received = world.node(leader).clock->Now();
    pending.respond = [&answered](data::v1::Response response) {
      EXPECT_EQ(response.error(), data::v1::ERROR_NONE) << response.message();
      ++answered;
    };
    frame.push_back(std::move(pending));
  }
  world.node(leader).data->Dispatch(std::move(frame));
  for (int waited = 0; waited < 100 && answered < kUpdates; ++waited) {
    world.RunFor(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(answered, kUpdates);
  for (uint64_t node = 1; node <= 3; ++node) {
    ASSERT_NE(world.ReplicaOf(node), nullptr);
    EXPECT_TRUE(world.ReplicaOf(node)->view().failure.ok());
  }
  const Response got = world.Call(GetRequest("a", 1));
  ASSERT_EQ(got.error(), data::v1::ERROR_NONE) << got.message();
  const std::string json = PlainJson(got.item());
  EXPECT_NE(json.find(R"("n":200)"), std::string::npos) << json.substr(big.size());
}

}  // namespace
}  // namespace ringleader
