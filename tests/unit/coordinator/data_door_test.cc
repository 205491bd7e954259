// The coordinators' data service against a small cluster under simulated time and network: what a
// client sees that reaches nothing but coordinators.
#include "coordinator/data_door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/channel.h"
#include "model/item_codec.h"
#include "model/key_codec.h"
#include "tests/unit/client/fake_cluster.h"

namespace ringleader::coordinator {
namespace {

using client::Channel;
using client::Completion;
using client::FakeCluster;
using client::Fate;
using client::Treatment;
using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;

std::string KeyBytes(int i) {
  model::Item key;
  key.Set("id", model::AttributeValue::String(absl::StrCat("key-", i)));
  return model::EncodeItem(key);
}

Request UpdateOf(int i) {
  Request request;
  request.set_table_name("users");
  request.mutable_update()->set_key(KeyBytes(i));
  request.mutable_update()->mutable_expressions()->set_update("ADD n :one");
  return request;
}

Request PutOf(int i) {
  Request request;
  request.set_table_name("users");
  request.mutable_put()->set_item(KeyBytes(i));
  return request;
}

Request GetOf(int i, data::v1::Consistency consistency) {
  Request request;
  request.set_table_name("users");
  request.mutable_get()->set_key(KeyBytes(i));
  request.mutable_get()->set_consistency(consistency);
  return request;
}

class DataDoorTest : public ::testing::Test {
 protected:
  static constexpr int kDoors = 2;
  struct Door {
    std::unique_ptr<Network> endpoint;
    std::unique_ptr<DataDoor> door;
    std::unique_ptr<Listener> listener;
  };

  DataDoorTest()
      : simulation_(1),
        network_(simulation_),
        clock_(simulation_, 1.0),
        threads_(simulation_, std::chrono::microseconds(5)),
        cluster_(simulation_, network_),
        endpoint_(network_.NewEndpoint(FakeCluster::kClientHost, [] { return false; })),
        executor_(threads_.Start("ring-client")) {
    options_.cache.bytes_max = 1 << 20;  // of no use: these nodes lease nothing
  }

  ~DataDoorTest() override {
    executor_->Stop();
    channel_.reset();
    router_.reset();
    for (int i = 0; i < kDoors; ++i) Kill(i);
  }

  static std::string Address(int i) { return absl::StrCat("door-", i, ":7000"); }

  void Start(bool with_map = true) {
    for (int i = 0; i < kDoors; ++i) {
      Door& door = doors_[i];
      door.endpoint =
          network_.NewEndpoint(50 + static_cast<simulation::HostId>(i), [] { return false; });
      door.door = std::make_unique<DataDoor>(options_, *door.endpoint, threads_, clock_,
                                             Random(static_cast<uint64_t>(i)));
      auto listener = door.endpoint->Listen(Address(i), door.door.get());
      ASSERT_TRUE(listener.ok()) << listener.status();
      door.listener = *std::move(listener);
      if (with_map) door.door->ApplyMap(cluster_.Map(true), [this] { ++misfits_; });
    }
    client::RouterOptions options;
    options.route = client::RouteMode::kCoordinators;
    options.coordinators = {Address(0), Address(1)};
    router_ = std::make_unique<client::Router>(options, *endpoint_, *executor_, clock_, Random(5));
    router_->ApplyMap(cluster_.Map(true));
    channel_ =
        std::make_shared<Channel>(*endpoint_, *executor_, Address(0), client::ChannelOptions());
    simulation_.RunFor(milliseconds(10));
  }

  // As a process's end: without a word.
  void Kill(int i) {
    Door& door = doors_[i];
    door.listener = nullptr;
    door.door = nullptr;
    door.endpoint = nullptr;
  }

  // Through the client library.
  size_t Begin(Request request) {
    const size_t index = answers_.size();
    answers_.emplace_back();
    router_->Execute(std::move(request),
                     [this, index](Response response) { answers_[index] = std::move(response); });
    return index;
  }
  // As one request of a caller without the library, to the first coordinator.
  size_t BeginBare(Request request) {
    const size_t index = answers_.size();
    answers_.emplace_back();
    executor_->Post([this, index, request = std::move(request)]() mutable {
      channel_->Submit(&request, [this, index](Completion completion) {
        ASSERT_EQ(completion.fate, Fate::kAnswered) << completion.status;
        answers_[index] = std::move(completion.response);
      });
    });
    return index;
  }
  Response Await(size_t index) {
    for (int i = 0; i < 7000 && !answers_[index].has_value(); ++i) {
      simulation_.RunFor(milliseconds(10));
    }
    EXPECT_TRUE(answers_[index].has_value()) << "no answer within 70 s";
    return answers_[index].value_or(Response());
  }
  Response Ask(Request request) { return Await(Begin(std::move(request))); }
  Response AskBare(Request request) { return Await(BeginBare(std::move(request))); }

  void ExpectEachOnce(int keys) {
    for (int i = 0; i < keys; ++i) EXPECT_EQ(cluster_.counts[KeyBytes(i)], 1) << "key " << i;
    for (const auto& [write, times] : cluster_.applied) {
      EXPECT_EQ(times, 1) << "session " << write.first << " sequence " << write.second;
    }
    EXPECT_EQ(cluster_.requests[0], 0) << "the cluster's own coordinator took no part";
  }

  simulation::Simulation simulation_;
  simulation::SimulatedNetwork network_;
  simulation::SimulatedClock clock_;
  simulation::SimulatedThreads threads_;
  FakeCluster cluster_;
  DataDoorOptions options_;
  Door doors_[kDoors];
  std::unique_ptr<Network> endpoint_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<client::Router> router_;
  std::shared_ptr<Channel> channel_;
  std::deque<std::optional<Response>> answers_;
  int misfits_ = 0;
};

TEST_F(DataDoorTest, AWriteKeepsItsOriginatorsNumberAndTime) {
  // Protects: session and sequence pass unchanged, the time is what is left of the originator's,
  // and a name becomes the id of the table that has it.
  Start();
  Request request = UpdateOf(1);
  request.set_timeout_ms(1500);
  request.mutable_session()->set_session(77);
  request.mutable_session()->set_sequence(5);
  request.mutable_session()->set_lowest_outstanding(4);
  std::optional<Request> seen;
  cluster_.treat = [&](uint64_t, const Request& at_node) {
    seen = at_node;
    return Treatment::kServe;
  };
  EXPECT_EQ(AskBare(request).error(), data::v1::ERROR_NONE);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->session().SerializeAsString(), request.session().SerializeAsString());
  EXPECT_EQ(seen->table_id(), FakeCluster::kTable);
  EXPECT_GT(seen->timeout_ms(), 1000u);
  EXPECT_LE(seen->timeout_ms(), 1500u);
}

TEST_F(DataDoorTest, NothingIsAppliedTwiceWhateverNodesDo) {
  // Protects: exactly once through two hops, with answers lost on the inner one.
  Start();
  int requests = 0;
  cluster_.treat = [&](uint64_t, const Request&) {
    if (++requests > 100) return Treatment::kServe;  // a break takes its whole stream along
    switch (requests % 7) {
      case 2:
        return Treatment::kServeAndBreak;
      case 4:
        return Treatment::kServeSilently;
      case 6:
        return Treatment::kBreak;
      default:
        return Treatment::kServe;
    }
  };
  std::vector<size_t> begun;
  for (int i = 0; i < 60; ++i) begun.push_back(Begin(UpdateOf(i)));
  for (const size_t index : begun) EXPECT_EQ(Await(index).error(), data::v1::ERROR_NONE);
  ExpectEachOnce(60);
}

TEST_F(DataDoorTest, ACoordinatorThatDiesLosesNothing) {
  // Protects: what waits for an answer in a coordinator that dies has one outcome, through another.
  Start();
  cluster_.treat = [](uint64_t, const Request& request) {
    return request.session().sequence() % 2 == 0 ? Treatment::kServeSilently : Treatment::kIgnore;
  };
  std::vector<size_t> begun;
  for (int i = 0; i < 40; ++i) begun.push_back(Begin(UpdateOf(i)));
  simulation_.RunFor(milliseconds(100));
  Kill(0);
  cluster_.treat = nullptr;
  for (const size_t index : begun) EXPECT_EQ(Await(index).error(), data::v1::ERROR_NONE);
  ExpectEachOnce(40);
}

TEST_F(DataDoorTest, ANewLeaderIsFoundInside) {
  // Protects: a caller of a coordinator never hears of routes, with hints from nodes or without.
  Start();
  for (const bool hints : {true, false}) {
    cluster_.gives_hints = hints;
    for (uint64_t partition = 1; partition <= FakeCluster::kPartitions; ++partition) {
      cluster_.SetLeader(partition, partition % 2 + (hints ? 2 : 1));
    }
    for (int i = 0; i < 20; ++i) {
      const Response response = AskBare(GetOf(i, data::v1::CONSISTENCY_LINEARIZABLE));
      EXPECT_EQ(response.error(), data::v1::ERROR_NONE) << response.message();
    }
  }
  cluster_.answer = [](uint64_t, const Request&, Response* response) {
    response->set_error(data::v1::ERROR_WRONG_ROUTE);
    return true;
  };
  Request request = PutOf(1);
  request.set_timeout_ms(700);
  const Response lost = AskBare(request);
  EXPECT_EQ(lost.error(), data::v1::ERROR_DEADLINE);
  EXPECT_FALSE(lost.has_route_hint());
}

TEST_F(DataDoorTest, ThrottlingIsTheCallers) {
  // Protects: a coordinator does not hold what a node refuses, and passes on when to come again.
  Start();
  cluster_.answer = [](uint64_t, const Request&, Response* response) {
    response->set_error(data::v1::ERROR_RESOURCE_EXHAUSTED);
    response->set_retry_after_ms(77);
    return true;
  };
  const Response refused = AskBare(PutOf(1));
  EXPECT_EQ(refused.error(), data::v1::ERROR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.retry_after_ms(), 77u);
  cluster_.answer = nullptr;
  EXPECT_EQ(Ask(PutOf(1)).error(), data::v1::ERROR_NONE);
}

TEST_F(DataDoorTest, AStreamIsBounded) {
  // Protects: what one caller may have unanswered in a coordinator.
  options_.server.stream_requests_max = 10;
  Start();
  cluster_.treat = [](uint64_t, const Request&) { return Treatment::kIgnore; };
  std::vector<size_t> begun;
  for (int i = 0; i < 15; ++i) begun.push_back(BeginBare(PutOf(i)));
  simulation_.RunFor(milliseconds(200));
  int refused = 0;
  for (const size_t index : begun) {
    if (!answers_[index].has_value()) continue;
    EXPECT_EQ(answers_[index]->error(), data::v1::ERROR_RESOURCE_EXHAUSTED);
    EXPECT_GT(answers_[index]->retry_after_ms(), 0u);
    ++refused;
  }
  EXPECT_EQ(refused, 5);
}

TEST_F(DataDoorTest, AllStreamsTogetherAreBounded) {
  // Protects: a process's memory, however many connections a flood comes by.
  options_.server.all_bytes_max = 10 * PutOf(1).ByteSizeLong();
  Start();
  cluster_.treat = [](uint64_t, const Request&) { return Treatment::kIgnore; };
  const auto first = std::exchange(
      channel_,
      std::make_shared<Channel>(*endpoint_, *executor_, Address(0), client::ChannelOptions()));
  std::vector<size_t> begun;
  for (int i = 0; i < 10; ++i) begun.push_back(BeginBare(PutOf(i)));
  simulation_.RunFor(milliseconds(100));
  const auto second = std::exchange(channel_, first);
  for (int i = 10; i < 20; ++i) begun.push_back(BeginBare(PutOf(i)));
  simulation_.RunFor(milliseconds(100));
  int refused = 0;
  for (const size_t index : begun) {
    if (!answers_[index].has_value()) continue;
    EXPECT_EQ(answers_[index]->error(), data::v1::ERROR_RESOURCE_EXHAUSTED);
    EXPECT_GT(answers_[index]->retry_after_ms(), 0u);
    ++refused;
  }
  EXPECT_GE(refused, 10);
  EXPECT_LT(refused, 15) << "a request's number and time make it a little larger";
}

TEST_F(DataDoorTest, AScanGoesOverEveryPartition) {
  // Protects: data.proto's promise: without a route, a coordinator goes over all of them.
  Start();
  std::multiset<std::string> put;
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(Ask(PutOf(i)).error(), data::v1::ERROR_NONE);
    put.insert(KeyBytes(i));
  }
  std::multiset<std::string> read;
  Request scan;
  scan.set_table_name("users");
  scan.mutable_scan()->set_limit(7);
  for (int pages = 0; pages < 40; ++pages) {
    const Response page = pages % 2 == 0 ? Ask(scan) : AskBare(scan);
    ASSERT_EQ(page.error(), data::v1::ERROR_NONE) << page.message();
    read.insert(page.page().items().begin(), page.page().items().end());
    if (page.page().last_evaluated_key().empty()) break;
    scan.mutable_scan()->set_exclusive_start_key(page.page().last_evaluated_key());
  }
  EXPECT_EQ(read, put);
}

TEST_F(DataDoorTest, AScanOfAPartitionThatHasChangedIsNotAnswered) {
  // Protects: a caller that goes over the partitions itself never passes over what a split moved.
  Start();
  Request scan;
  scan.set_table_name("users");
  scan.mutable_scan();
  scan.mutable_route()->set_partition(1);
  scan.mutable_route()->set_epoch(1);
  EXPECT_EQ(AskBare(scan).error(), data::v1::ERROR_NONE);
  cluster_.Split(1);
  cluster_.Publish(true);
  doors_[0].door->ApplyMap(cluster_.Map(true), nullptr);
  simulation_.RunFor(milliseconds(10));
  EXPECT_EQ(AskBare(scan).error(), data::v1::ERROR_UNAVAILABLE);
  scan.mutable_route()->set_epoch(2);
  EXPECT_EQ(AskBare(scan).error(), data::v1::ERROR_NONE);
}

TEST_F(DataDoorTest, AnEventualReadMayGoToAnyReplica) {
  // Protects: the consistency that was asked for passes through.
  Start();
  std::set<uint64_t> nodes;
  cluster_.answer = [&](uint64_t node, const Request& request, Response* response) {
    EXPECT_EQ(request.get().consistency(), data::v1::CONSISTENCY_EVENTUAL);
    nodes.insert(node);
    response->set_found(true);
    return true;
  };
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(AskBare(GetOf(1, data::v1::CONSISTENCY_EVENTUAL)).found());
  }
  EXPECT_EQ(nodes.size(), 3u);
}

TEST_F(DataDoorTest, AReadDoesNotWaitLongForALease) {
  // Protects callers: a node that does not answer on its cache session delays a read by
  // fill_wait_max, well below a client's attempt.
  client::LaneNode silent;
  cluster_.lanes = &silent;
  Start();
  EXPECT_EQ(Ask(PutOf(1)).error(), data::v1::ERROR_NONE);
  const size_t read = BeginBare(GetOf(1, data::v1::CONSISTENCY_LINEARIZABLE));
  simulation_.RunFor(options_.fill_wait_max + milliseconds(200));
  ASSERT_TRUE(answers_[read].has_value());
  EXPECT_TRUE(answers_[read]->found());
}

TEST_F(DataDoorTest, ACoordinatorThatEndsGivesBackWhatItHolds) {
  // Protects writers: they would wait for a holder that is gone.
  client::LaneNode lanes;
  cluster_.lanes = &lanes;
  Start();
  const size_t read = BeginBare(GetOf(1, data::v1::CONSISTENCY_LINEARIZABLE));
  simulation_.RunFor(milliseconds(50));
  ASSERT_EQ(lanes.fills.size(), 1u);
  lanes.GrantBytes(lanes.fills[0].number(), KeyBytes(1), std::chrono::seconds(1));
  simulation_.RunFor(milliseconds(50));
  ASSERT_TRUE(answers_[read].has_value());
  ASSERT_EQ(doors_[0].door->cache_statistics().entries, 1u);
  bool left = false;
  doors_[0].door->Leave([&left] { left = true; });
  simulation_.RunFor(milliseconds(50));
  EXPECT_EQ(doors_[0].door->cache_statistics().entries, 0u);
  ASSERT_EQ(lanes.releases.size(), 1u);
  EXPECT_EQ(lanes.releases[0].fill(), lanes.fills[0].number());
  ASSERT_EQ(lanes.renewals.size(), 1u);
  EXPECT_FALSE(left);
  cache::v1::Event renewed;
  renewed.mutable_renewed()->set_number(lanes.renewals[0].number());
  lanes.Say(renewed);
  simulation_.RunFor(milliseconds(50));
  EXPECT_TRUE(left);
  // It serves on, from the nodes.
  EXPECT_EQ(Ask(GetOf(1, data::v1::CONSISTENCY_LINEARIZABLE)).error(), data::v1::ERROR_NONE);
  cluster_.lanes = nullptr;
}

TEST_F(DataDoorTest, ATableThatIsNewerThanItsMapIsNotGone) {
  // Protects: a coordinator that is behind sends its caller elsewhere; a name that nobody has, and
  // an id that is past, are refused for good.
  Start();
  Request request = PutOf(1);
  request.set_table_name("nobody");
  EXPECT_EQ(AskBare(request).error(), data::v1::ERROR_TABLE_NOT_FOUND);
  request.set_table_id(FakeCluster::kTable - 1);
  EXPECT_EQ(AskBare(request).error(), data::v1::ERROR_TABLE_NOT_FOUND);
  request.set_table_id(FakeCluster::kTable + 1);
  EXPECT_EQ(AskBare(request).error(), data::v1::ERROR_UNAVAILABLE);
}

TEST_F(DataDoorTest, AMapWithoutCoordinatorsLeavesNobodyToAsk) {
  // Protects a coordinator's process from a map that names none: nobody can say that there is no
  // such table.
  Start(/*with_map=*/false);
  auto map = cluster_.Map(true);
  map.clear_coordinators();
  doors_[0].door->ApplyMap(map, [] {});
  Request request = PutOf(1);
  request.set_table_name("nobody");
  request.set_timeout_ms(1000);
  EXPECT_EQ(AskBare(request).error(), data::v1::ERROR_DEADLINE);
}

TEST_F(DataDoorTest, AQuestionMayOutliveItsDoor) {
  // Protects a coordinator that stops while it asks for a table: the answer finds nobody (the
  // address sanitizer sees it).
  cluster_.describe = nullptr;
  Start();
  Request request = PutOf(1);
  request.set_table_name("nobody");
  executor_->Post([this, &request] { channel_->Submit(&request, [](const Completion&) {}); });
  simulation_.RunFor(milliseconds(100));
  ASSERT_GT(cluster_.descriptions, 0);
  doors_[0].listener.reset();
  doors_[0].door.reset();
  simulation_.RunFor(std::chrono::seconds(5));
}

TEST_F(DataDoorTest, WithoutAMapNothingIsTakenIn) {
  // Protects: a coordinator that is not formed says so at once, and its caller goes to another.
  Start(/*with_map=*/false);
  const Response response = AskBare(PutOf(1));
  EXPECT_EQ(response.error(), data::v1::ERROR_UNAVAILABLE);
  EXPECT_GT(response.retry_after_ms(), 0u);
  // Changes to a map that is not there do not fit.
  doors_[1].door->ApplyMap(cluster_.Map(false), [this] { ++misfits_; });
  simulation_.RunFor(milliseconds(10));
  EXPECT_EQ(misfits_, 1);
  doors_[1].door->ApplyMap(cluster_.Map(true), nullptr);
  EXPECT_EQ(Ask(PutOf(1)).error(), data::v1::ERROR_NONE);
}

}  // namespace
}  // namespace ringleader::coordinator
