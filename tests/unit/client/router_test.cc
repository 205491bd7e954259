// The router against a small cluster under simulated time and network: no write twice, honest
// outcomes, no bouncing, bounded queues.
#include "client/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/admin.h"
#include "client/client_request.h"
#include "client/map_watcher.h"
#include "model/item_codec.h"
#include "model/key_codec.h"
#include "tests/unit/client/fake_cluster.h"

namespace ringleader::client {
namespace {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

Item KeyItem(int i) {
  Item key;
  key.Set("id", AttributeValue::String(absl::StrCat("key-", i)));
  return key;
}

Request UpdateOf(int i, milliseconds timeout = milliseconds(0)) {
  return UpdateRequest("users", KeyItem(i), "ADD n :one", {.timeout = timeout});
}

class RouterTest : public ::testing::Test {
 protected:
  explicit RouterTest(uint64_t seed = 1)
      : simulation_(seed),
        network_(simulation_),
        clock_(simulation_, 1.0),
        threads_(simulation_, std::chrono::microseconds(5)) {}

  ~RouterTest() override {
    if (router_ != nullptr) Stop();
  }

  void Start(RouterOptions options = {}) {
    options.coordinators = {FakeCluster::CoordinatorAddress()};
    cluster_ = std::make_unique<FakeCluster>(simulation_, network_);
    endpoint_ = network_.NewEndpoint(FakeCluster::kClientHost, [] { return false; });
    executor_ = threads_.Start("ring-client");
    router_ = std::make_unique<Router>(options, *endpoint_, *executor_, clock_, Random(5));
    admin_ = std::make_unique<Admin>(*router_, *endpoint_, *executor_, Random(7));
    router_->AskForTablesBy(AskMetadataLeader(*admin_));
    watcher_ = std::make_shared<MapWatcher>(*router_, *endpoint_, *executor_, Random(6));
    executor_->Post([this] { watcher_->Start(); });
    simulation_.RunFor(milliseconds(100));
    ASSERT_TRUE(router_->map().routable());
  }

  void Stop() {
    executor_->Stop();
    watcher_.reset();
    admin_.reset();
    router_.reset();
    endpoint_.reset();
    executor_.reset();
    cluster_.reset();
  }

  // Starts a request; its answer is at the index returned.
  size_t Begin(Request request) {
    const size_t index = answers_.size();
    answers_.emplace_back();
    router_->Execute(std::move(request), [this, index](Response response) {
      ASSERT_FALSE(answers_[index].has_value()) << "a second answer";
      answers_[index] = std::move(response);
    });
    return index;
  }

  Response Await(Request request) {
    const size_t index = Begin(std::move(request));
    for (int i = 0; i < 7000 && !answers_[index].has_value(); ++i) {
      simulation_.RunFor(milliseconds(10));
    }
    EXPECT_TRUE(answers_[index].has_value()) << "no answer within 70 s";
    return answers_[index].value_or(Response());
  }

  uint64_t PartitionOf(int i) {
    return router_->map()
        .FindByToken(model::TokenOfKey(FakeCluster::kTable, *KeyItem(i).Find("id")))
        ->id();
  }
  uint64_t LeaderOf(int i) { return router_->map().FindPartition(PartitionOf(i))->leader_node(); }
  int Count(int i) { return cluster_->counts[model::EncodeItem(KeyItem(i))]; }

  void ExpectNothingTwice() {
    for (const auto& [write, times] : cluster_->applied) {
      EXPECT_EQ(times, 1) << "session " << write.first << " sequence " << write.second;
    }
  }

  simulation::Simulation simulation_;
  simulation::SimulatedNetwork network_;
  simulation::SimulatedClock clock_;
  simulation::SimulatedThreads threads_;
  std::unique_ptr<FakeCluster> cluster_;
  std::unique_ptr<Network> endpoint_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<Admin> admin_;
  std::shared_ptr<MapWatcher> watcher_;
  std::deque<std::optional<Response>> answers_;
  decltype(FakeCluster::describe) describe_later_;
};

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

TEST_F(RouterTest, AnUnknownTableIsWaitedForBriefly) {
  // Protects: a table that another process has just created is found; one that is not there, named.
  Start();
  const Response response = Await(GetRequest("nobody", KeyItem(1), {}));
  EXPECT_EQ(response.error(), data::v1::ERROR_TABLE_NOT_FOUND);
}

TEST_F(RouterTest, ATableThatAnOldMapDoesNotHaveIsAskedFor) {
  // Protects: nobody is told that a table is not there by a map that is older than the table, and
  // while nobody can say, neither is it.
  Start();
  EXPECT_EQ(Await(GetRequest("nobody", KeyItem(1), {})).error(), data::v1::ERROR_TABLE_NOT_FOUND);
  EXPECT_EQ(cluster_->descriptions, 1);
  cluster_->hides_table = true;
  cluster_->Publish(true);
  simulation_.RunFor(milliseconds(10));
  const size_t early = Begin(GetRequest("users", KeyItem(1), {}));
  simulation_.RunFor(seconds(2));
  EXPECT_FALSE(answers_[early].has_value());
  cluster_->hides_table = false;
  cluster_->Publish(true);
  simulation_.RunFor(milliseconds(100));
  ASSERT_TRUE(answers_[early].has_value());
  EXPECT_EQ(answers_[early]->error(), data::v1::ERROR_NONE);
  cluster_->describe = nullptr;
  EXPECT_EQ(Await(GetRequest("nobody", KeyItem(1), {})).error(), data::v1::ERROR_DEADLINE);
}

// Protects who asks by name from a map that has the table before: it is there, says the metadata
// leader.
TEST_F(RouterTest, ATableThatWasMadeAnewIsFound) {
  Start();
  cluster_->table_id = FakeCluster::kTable + 1;
  const size_t read = Begin(GetRequest("users", KeyItem(1), {}));
  const size_t written = Begin(UpdateOf(2));
  simulation_.RunFor(seconds(1));
  EXPECT_FALSE(answers_[read].has_value());
  cluster_->Publish(true);
  simulation_.RunFor(milliseconds(200));
  for (const size_t each : {read, written}) {
    ASSERT_TRUE(answers_[each].has_value());
    EXPECT_EQ(answers_[each]->error(), data::v1::ERROR_NONE) << answers_[each]->message();
  }
  EXPECT_EQ(Count(2), 1);
}

// Protects: a table that the metadata leader does not have either is not waited for.
TEST_F(RouterTest, ATableThatIsGoneIsNotWaitedFor) {
  Start();
  cluster_->table_id = FakeCluster::kTable + 1;
  cluster_->describe = [](const std::string&) {
    coordinator::v1::TableResponse response;
    response.mutable_outcome()->set_error(coordinator::v1::ERROR_NOT_FOUND);
    return response;
  };
  const size_t read = Begin(GetRequest("users", KeyItem(1), {}));
  simulation_.RunFor(seconds(1));
  ASSERT_TRUE(answers_[read].has_value());
  EXPECT_EQ(answers_[read]->error(), data::v1::ERROR_TABLE_NOT_FOUND);
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

TEST_F(RouterTest, ASilentCoordinatorDoesNotTakeAllOfAQuestion) {
  // Protects: an answer that another attempt would get in time.
  Start();
  cluster_->describe.swap(describe_later_);
  const size_t asked = Begin(GetRequest("nobody", KeyItem(1), {}));
  simulation_.RunFor(milliseconds(500));
  EXPECT_EQ(cluster_->descriptions, 1);
  cluster_->describe.swap(describe_later_);
  simulation_.RunFor(milliseconds(1000));
  ASSERT_TRUE(answers_[asked].has_value());
  EXPECT_EQ(answers_[asked]->error(), data::v1::ERROR_TABLE_NOT_FOUND);
}

TEST_F(RouterTest, ANameThatNoTableCanHaveIsNotAskedFor) {
  // Protects: what the metadata leader could not even read is answered all the same.
  Start();
  for (const char* name : {"no", "a table", "\xff\xfe\xfd"}) {
    EXPECT_EQ(Await(GetRequest(name, KeyItem(1), {})).error(), data::v1::ERROR_TABLE_NOT_FOUND)
        << name;
  }
  EXPECT_EQ(cluster_->descriptions, 0);
}

TEST_F(RouterTest, QuestionsForTablesAreFew) {
  // Protects the metadata leader from whoever asks for tables that are not there: one question at a
  // time for a name, and a bound for all names.
  Start();
  for (int i = 0; i < 1000; ++i) Begin(GetRequest("nobody", KeyItem(i), {}));
  simulation_.RunFor(milliseconds(500));
  for (const auto& answer : answers_) {
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->error(), data::v1::ERROR_TABLE_NOT_FOUND);
  }
  EXPECT_LE(cluster_->descriptions, 3);
  cluster_->descriptions = 0;
  cluster_->describe = nullptr;
  for (int i = 0; i < 1000; ++i) Begin(GetRequest(absl::StrCat("nobody-", i), KeyItem(i), {}));
  simulation_.RunFor(milliseconds(500));
  EXPECT_EQ(cluster_->descriptions, 16);
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

TEST_F(RouterTest, AScanReadsEveryItemOnceInTokenOrder) {
  // Protects: pages, partitions, segments and a split in the middle neither lose nor repeat.
  Start();
  for (int i = 0; i < 60; ++i) Await(PutRequest("users", KeyItem(i), {}));
  std::set<std::string> seen;
  QueryOptions options{.limit = 7};
  for (int pages = 0; pages < 40; ++pages) {
    if (pages == 3) {
      for (uint64_t partition = 1; partition <= 4; ++partition) cluster_->Split(partition);
    }
    if (pages == 3) cluster_->Publish(true);
    const Response response = Await(ScanRequest("users", options));
    ASSERT_EQ(response.error(), data::v1::ERROR_NONE) << response.message();
    EXPECT_LE(response.page().items_size(), 7);
    for (const auto& item : response.page().items()) EXPECT_TRUE(seen.insert(item).second);
    if (response.page().last_evaluated_key().empty()) break;
    options.start_key = *model::DecodeItem(response.page().last_evaluated_key());
  }
  EXPECT_EQ(seen.size(), 60u);
}

// Protects: a scan is of one table, whatever has its name when it gets to the next partition.
TEST_F(RouterTest, AScanDoesNotGoOnInAnotherTable) {
  Start();
  for (int i = 0; i < 60; ++i) Await(PutRequest("users", KeyItem(i), {}));
  cluster_->answer = [this](uint64_t, const Request& request, Response*) {
    if (request.has_scan() && cluster_->table_id == FakeCluster::kTable) {
      simulation_.At(Duration(0), [this] {
        cluster_->table_id = FakeCluster::kTable + 1;
        cluster_->Publish(true);
      });
    }
    return false;
  };
  EXPECT_EQ(Await(ScanRequest("users", {})).error(), data::v1::ERROR_TABLE_NOT_FOUND);
}

TEST_F(RouterTest, AScansPageEndsAfterWhatWasReadNotWhatIsReturned) {
  // Protects: a scan that filters much away, or projects little, ends its pages all the same.
  Start();
  for (int i = 0; i < 60; ++i) Await(PutRequest("users", KeyItem(i), {}));
  cluster_->item_bytes = 200000;
  size_t seen = 0;
  int pages = 0;
  QueryOptions options;
  for (; pages < 60; ++pages) {
    const Response response = Await(ScanRequest("users", options));
    ASSERT_EQ(response.error(), data::v1::ERROR_NONE) << response.message();
    seen += response.page().items_size();
    EXPECT_EQ(response.page().scanned_bytes(), response.page().items_size() * 200000u);
    if (response.page().last_evaluated_key().empty()) break;
    options.start_key = *model::DecodeItem(response.page().last_evaluated_key());
  }
  EXPECT_EQ(seen, 60u);
  EXPECT_GE(pages, 1);
}

TEST_F(RouterTest, AStartKeyOutsideTheSegmentIsRefused) {
  // Protects: a caller that mixes up its segments gets an error, not wrong items.
  Start();
  Await(PutRequest("users", KeyItem(1), {}));
  int refused = 0;
  for (uint32_t segment = 0; segment < 4; ++segment) {
    const Response response =
        Await(ScanRequest("users", {.start_key = KeyItem(1), .segment = segment, .segments = 4}));
    if (response.error() == data::v1::ERROR_VALIDATION) ++refused;
  }
  EXPECT_EQ(refused, 3);
}

class RouterFaults : public RouterTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  RouterFaults() : RouterTest(GetParam()) {}
};

TEST_P(RouterFaults, NoWriteTwiceAndNoFalseWord) {
  // Protects: invariants 1 to 3 of router.h under breaks, silence, moving leaders and old hints.
  Start();
  Random random(GetParam());
  network_.SetFaults({.breaks = 0.02});
  cluster_->treat = [&](uint64_t, const Request&) {
    const uint64_t draw = random.Below(20);
    return draw < 5 ? static_cast<Treatment>(draw) : Treatment::kServe;
  };
  constexpr int kWrites = 150;
  for (int i = 0; i < kWrites; ++i) {
    Begin(UpdateOf(i, milliseconds(random.Between(300, 8000))));
    simulation_.RunFor(milliseconds(random.Between(0, 10)));
    if (i % 10 == 0) {
      cluster_->SetLeader(1 + random.Below(4), 1 + random.Below(3));
      if (random.Chance(0.5)) cluster_->Publish(random.Chance(0.5));
    }
  }
  simulation_.RunFor(seconds(20));
  ExpectNothingTwice();
  int succeeded = 0;
  for (int i = 0; i < kWrites; ++i) {
    ASSERT_TRUE(answers_[i].has_value()) << i;
    const auto error = answers_[i]->error();
    if (error == data::v1::ERROR_NONE) {
      ++succeeded;
      EXPECT_EQ(Count(i), 1) << "said to be done: " << i;
    } else if (error != data::v1::ERROR_UNKNOWN_OUTCOME) {
      EXPECT_EQ(Count(i), 0) << "said not to be done: " << i << " " << answers_[i]->message();
    }
    EXPECT_LE(Count(i), 1);
  }
  EXPECT_GT(succeeded, kWrites / 2);
  EXPECT_EQ(router_->outstanding(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RouterFaults, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace ringleader::client
