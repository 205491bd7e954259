// The router against a small cluster under simulated time and network: no write twice, honest
// outcomes, no bouncing, bounded queues.
#include "client/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/router_world.h"

namespace ringleader::client {
namespace {

TEST_F(RouterTest, GoesStraightToTheLeaderOfItsPartition) {
  // Protects: one hop when the map is right.
  Start();
  for (int i = 0; i < 50; ++i) {
    const int before = cluster_->requests[LeaderOf(i)];
    EXPECT_EQ(Await(UpdateOf(i)).error(), data::v1::ERROR_NONE);
    EXPECT_EQ(cluster_->requests[LeaderOf(i)], before + 1);
  }
  EXPECT_EQ(router_->counts().attempts, 50u);
  EXPECT_EQ(cluster_->requests[0], 0);
}

TEST_F(RouterTest, AnAnswerLostAfterTheWriteDoesNotApplyItAgain) {
  // Protects: a retry repeats session and sequence.
  Start();
  int broken = 0;
  cluster_->treat = [&](uint64_t, const Request&) {
    return broken++ == 0 ? Treatment::kServeAndBreak : Treatment::kServe;
  };
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(Count(1), 1);
  EXPECT_GE(router_->counts().retries, 1u);
  ExpectNothingTwice();
}

TEST_F(RouterTest, SilenceIsRepeatedUnderTheSameSequence) {
  // Protects: an attempt without an answer ends by the attempt's timeout, not only the deadline.
  Start();
  int seen = 0;
  cluster_->treat = [&](uint64_t, const Request&) {
    return seen++ == 0 ? Treatment::kServeSilently : Treatment::kServe;
  };
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(Count(1), 1);
}

TEST_F(RouterTest, TheDeadlineAfterAnUnansweredWriteIsAnUnknownOutcome) {
  // Protects: "not carried out" is never said of what may have been.
  Start();
  cluster_->treat = [](uint64_t, const Request&) { return Treatment::kServeSilently; };
  EXPECT_EQ(Await(UpdateOf(1, milliseconds(500))).error(), data::v1::ERROR_UNKNOWN_OUTCOME);
  EXPECT_EQ(Count(1), 1);
  // A later failure does not turn it into a definite one.
  int seen = 0;
  cluster_->treat = [&](uint64_t, const Request&) {
    return seen++ == 0 ? Treatment::kServeAndBreak : Treatment::kServe;
  };
  cluster_->answer = [&](uint64_t, const Request&, Response* response) {
    if (seen == 1) return false;
    response->set_error(data::v1::ERROR_PERMISSION_DENIED);
    return true;
  };
  EXPECT_EQ(Await(UpdateOf(2)).error(), data::v1::ERROR_UNKNOWN_OUTCOME);
}

TEST_F(RouterTest, TheDeadlineOfWhatWasRefusedIsADeadline) {
  // Protects: certainty is not thrown away either; a throttled request says so.
  Start();
  cluster_->answer = [](uint64_t, const Request&, Response* response) {
    response->set_error(data::v1::ERROR_UNAVAILABLE);
    return true;
  };
  EXPECT_EQ(Await(UpdateOf(1, milliseconds(500))).error(), data::v1::ERROR_DEADLINE);
  cluster_->answer = [](uint64_t, const Request&, Response* response) {
    response->set_error(data::v1::ERROR_RESOURCE_EXHAUSTED);
    response->set_retry_after_ms(200);
    return true;
  };
  const int before = cluster_->requests[LeaderOf(1)];
  EXPECT_EQ(Await(UpdateOf(1, milliseconds(1000))).error(), data::v1::ERROR_RESOURCE_EXHAUSTED);
  EXPECT_LE(cluster_->requests[LeaderOf(1)] - before, 5);  // retry_after_ms is kept
}

TEST_F(RouterTest, AHintMovesTheLeaderAtOnce) {
  // Protects: a stale map costs one extra hop, and later requests none.
  Start();
  cluster_->SetLeader(PartitionOf(1), LeaderOf(1) % 3 + 1);
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(router_->counts().attempts, 2u);
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(router_->counts().attempts, 3u);
}

TEST_F(RouterTest, ALeaderLearnedDuringAnAttemptIsAskedWhenTheAttemptFails) {
  // Protects: the map that would have woken the request came before it began to wait.
  RouterOptions options;
  options.route = RouteMode::kDirect;
  options.retry.backoff_min = options.retry.backoff_max = seconds(60);
  Start(options);
  const uint64_t first = LeaderOf(1);
  cluster_->treat = [first](uint64_t node, const Request&) {
    return node == first ? Treatment::kIgnore : Treatment::kServe;
  };
  const size_t update = Begin(UpdateOf(1));
  simulation_.RunFor(options.attempt_timeout / 2);
  cluster_->SetLeader(PartitionOf(1), first % 3 + 1);
  cluster_->Publish(/*complete=*/false);
  simulation_.RunFor(options.attempt_timeout / 2 + milliseconds(100));
  ASSERT_TRUE(answers_[update].has_value());
  EXPECT_EQ(answers_[update]->error(), data::v1::ERROR_NONE);
  EXPECT_EQ(Count(1), 1);
}

TEST_F(RouterTest, AHintWakesWhatWaitsForItsPartition) {
  // Protects: after an election all requests go on with the first answer that names the leader.
  RouterOptions options;
  options.route = RouteMode::kDirect;
  options.retry.backoff_min = options.retry.backoff_max = seconds(60);
  Start(options);
  cluster_->answer = [](uint64_t, const Request&, Response* response) {
    response->set_error(data::v1::ERROR_UNAVAILABLE);
    return true;
  };
  const size_t waiting = Begin(UpdateOf(1));
  simulation_.RunFor(milliseconds(50));
  cluster_->answer = nullptr;
  cluster_->SetLeader(PartitionOf(1), LeaderOf(1) % 3 + 1);
  const size_t second = Begin(UpdateOf(1));
  simulation_.RunFor(milliseconds(100));
  ASSERT_TRUE(answers_[second].has_value());
  ASSERT_TRUE(answers_[waiting].has_value());
  EXPECT_EQ(answers_[waiting]->error(), data::v1::ERROR_NONE);
  EXPECT_EQ(Count(1), 2);
}

TEST_F(RouterTest, TwoStaleNodesDoNotBounceARequest) {
  // Protects: DESIGN section 5: only a strictly newer hint is followed; otherwise a coordinator is
  // asked.
  Start();
  const uint64_t partition = PartitionOf(1);
  const uint64_t first = LeaderOf(1);
  const uint64_t second = first % 3 + 1;
  const uint64_t third = second % 3 + 1;
  cluster_->SetLeader(partition, third);
  for (const auto& [node, other] : {std::pair(first, second), std::pair(second, first)}) {
    auto& hint = cluster_->stale_hints[node];
    hint.set_partition(partition);
    hint.set_epoch(1);
    hint.set_term(1);
    hint.set_leader_node(other);
    hint.set_leader_address(FakeCluster::NodeAddress(other));
  }
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(cluster_->requests[first], 1);
  EXPECT_EQ(cluster_->requests[second], 0);
  EXPECT_EQ(cluster_->requests[0], 1);
}

TEST_F(RouterTest, ANodeThatCanNotBeReachedIsPassedByThroughACoordinator) {
  // Protects: route=auto works for nodes on a private network, without a failed attempt each time.
  Start();
  for (uint64_t node = 1; node <= 3; ++node) cluster_->StopNode(node);
  cluster_->answer = nullptr;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Await(UpdateOf(i)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(cluster_->requests[0], 20);
  EXPECT_LE(router_->counts().retries, 8u);
  ExpectNothingTwice();
}

TEST_F(RouterTest, DirectAsksTheOtherReplicasWhenTheLeaderIsGone) {
  // Protects: a router without a coordinator to ask finds a new leader.
  Start({.route = RouteMode::kDirect});
  const uint64_t gone = LeaderOf(1);
  cluster_->StopNode(gone);
  cluster_->SetLeader(PartitionOf(1), gone % 3 + 1);
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(cluster_->requests[0], 0);
}

TEST_F(RouterTest, ASplitInTheMiddleOfARetryAppliesOnce) {
  // Protects: sessions belong to fixed slices of tokens, not to partitions.
  Start();
  for (int i = 0; i < 40; ++i) Begin(UpdateOf(i));
  std::set<uint64_t> broken;
  cluster_->treat = [&](uint64_t, const Request& request) {
    const uint64_t write = request.session().session() ^ request.session().sequence();
    return broken.insert(write).second ? Treatment::kServeAndBreak : Treatment::kServe;
  };
  simulation_.RunFor(milliseconds(2));
  for (uint64_t partition = 1; partition <= 4; ++partition) cluster_->Split(partition);
  cluster_->Publish(false);
  simulation_.RunFor(seconds(12));
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(answers_[i].has_value());
    EXPECT_EQ(answers_[i]->error(), data::v1::ERROR_NONE);
    EXPECT_EQ(Count(i), 1);
  }
  ExpectNothingTwice();
}

TEST_F(RouterTest, ACallersSessionPassesThroughUnchanged) {
  // Protects: coordinators hand on the originator's session.
  Start();
  Request request = UpdateOf(1);
  request.set_id(77);
  request.mutable_session()->set_session(123);
  request.mutable_session()->set_sequence(9);
  request.mutable_session()->set_lowest_outstanding(4);
  const Response response = Await(request);
  EXPECT_EQ(response.error(), data::v1::ERROR_NONE);
  EXPECT_EQ(response.id(), 77u);
  EXPECT_TRUE(cluster_->applied.contains({123, 9}));
}

TEST_F(RouterTest, OnlyTheFirstOfUnansweredAttemptsCallsItselfAlone) {
  // Protects: a copy that is on its way is not evaluated after the answer to a later attempt.
  Start();
  std::vector<bool> alone;
  cluster_->treat = [&](uint64_t, const Request& seen) {
    alone.push_back(seen.session().sole_copy());
    return alone.size() == 1 ? Treatment::kServeAndBreak : Treatment::kServe;
  };
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(alone, (std::vector<bool>{true, false}));
  // A coordinator does not know more than the originator.
  Request request = UpdateOf(2);
  request.mutable_session()->set_session(123);
  request.mutable_session()->set_sequence(9);
  EXPECT_EQ(Await(request).error(), data::v1::ERROR_NONE);
  EXPECT_FALSE(alone.back());
}

TEST_F(RouterTest, AnExpiredSessionIsRenewedOnlyIfNothingIsInDoubt) {
  // Protects: a new session after an ambiguous attempt would apply the write twice.
  Start();
  int seen = 0;
  cluster_->answer = [&](uint64_t, const Request&, Response* response) {
    if (++seen > 1) return false;
    response->set_error(data::v1::ERROR_SESSION_EXPIRED);
    return true;
  };
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);
  EXPECT_EQ(Count(1), 1);
  seen = 0;
  cluster_->treat = [&](uint64_t, const Request&) {
    return seen == 0 ? Treatment::kServeAndBreak : Treatment::kServe;
  };
  cluster_->answer = [&](uint64_t, const Request&, Response* response) {
    if (++seen == 1) return false;
    response->set_error(data::v1::ERROR_SESSION_EXPIRED);
    return true;
  };
  EXPECT_EQ(Await(UpdateOf(2)).error(), data::v1::ERROR_UNKNOWN_OUTCOME);
  EXPECT_EQ(Count(2), 1);
}

TEST_F(RouterTest, MoreThanItsBoundIsRefusedAtOnceAndTheRestIsAnswered) {
  // Protects: memory is bounded, and refusing is an answer.
  Start({.requests_max = 10});
  for (int i = 0; i < 25; ++i) Begin(UpdateOf(i));
  simulation_.RunFor(seconds(1));
  int refused = 0;
  for (const auto& answer : answers_) {
    ASSERT_TRUE(answer.has_value());
    if (answer->error() == data::v1::ERROR_RESOURCE_EXHAUSTED) ++refused;
  }
  EXPECT_EQ(refused, 15);
  EXPECT_EQ(router_->outstanding(), 0u);
  EXPECT_EQ(Await(UpdateOf(1)).error(), data::v1::ERROR_NONE);  // what was let in was given back
}

// Protects: a write whose answer is lost for good is not asked for again until its time is over.
TEST_F(RouterTest, AFinalErrorIsTheEnd) {
  Start();
  cluster_->answer = [](uint64_t, const Request&, Response* response) {
    response->set_error(data::v1::ERROR_INTERNAL);
    response->set_is_final(true);
    return true;
  };
  const size_t written = Begin(UpdateOf(1));
  simulation_.RunFor(milliseconds(100));
  ASSERT_TRUE(answers_[written].has_value());
  EXPECT_EQ(answers_[written]->error(), data::v1::ERROR_UNKNOWN_OUTCOME);
}

TEST_F(RouterTest, AMalformedKeyIsAnsweredWithoutBeingSent) {
  // Protects: nothing that can't be routed reaches a node.
  Start();
  Item wrong;
  wrong.Set("other", AttributeValue::String("x"));
  EXPECT_EQ(Await(GetRequest("users", wrong, {})).error(), data::v1::ERROR_VALIDATION);
  Request garbage = GetRequest("users", KeyItem(1), {});
  garbage.mutable_get()->set_key("\xff\xff\xff");
  EXPECT_EQ(Await(garbage).error(), data::v1::ERROR_VALIDATION);
  EXPECT_EQ(router_->counts().attempts, 0u);
}

TEST_F(RouterTest, ShutdownAnswersEverythingHonestly) {
  // Protects: a closing client loses no callback, and says "unknown" of what was sent.
  Start();
  cluster_->treat = [](uint64_t, const Request&) { return Treatment::kIgnore; };
  const size_t sent = Begin(UpdateOf(1));
  const size_t read = Begin(GetRequest("users", KeyItem(2), {}));
  simulation_.RunFor(milliseconds(50));
  executor_->Post([this] { router_->Shutdown(); });
  const size_t late = Begin(UpdateOf(3));
  simulation_.RunFor(milliseconds(50));
  ASSERT_TRUE(answers_[sent] && answers_[read] && answers_[late]);
  EXPECT_EQ(answers_[sent]->error(), data::v1::ERROR_UNKNOWN_OUTCOME);
  EXPECT_EQ(answers_[read]->error(), data::v1::ERROR_UNAVAILABLE);
  EXPECT_EQ(answers_[late]->error(), data::v1::ERROR_UNAVAILABLE);
}

}  // namespace
}  // namespace ringleader::client
