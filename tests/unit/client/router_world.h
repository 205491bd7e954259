// A router with what it needs beside it, against a small cluster under simulated time and network.
#ifndef RINGLEADER_TESTS_UNIT_CLIENT_ROUTER_WORLD_H_
#define RINGLEADER_TESTS_UNIT_CLIENT_ROUTER_WORLD_H_

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/admin.h"
#include "client/client_request.h"
#include "client/map_watcher.h"
#include "client/router.h"
#include "model/item_codec.h"
#include "model/key_codec.h"
#include "tests/unit/client/fake_cluster.h"

namespace ringleader::client {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline Item KeyItem(int i) {
  Item key;
  key.Set("id", AttributeValue::String(absl::StrCat("key-", i)));
  return key;
}

inline Request UpdateOf(int i, milliseconds timeout = milliseconds(0)) {
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

}  // namespace ringleader::client

#endif  // RINGLEADER_TESTS_UNIT_CLIENT_ROUTER_WORLD_H_
