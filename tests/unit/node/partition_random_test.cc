// Random operations on a partition against a simple model, with leaders that come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;

// A client library in little: one write at a time for each client, retried under its session
// wherever it is told to, until it has an answer that is final.
class Writer {
 public:
  Writer(PartitionWorld& world, uint64_t session, uint64_t* applied)
      : world_(world), session_(session), applied_(applied) {}

  void Next() {
    if (stopped_) return;
    ++sequence_;
    // Counts itself, and fails if it should be there already: applied twice, or after a failure,
    // it shows.
    request_ = UpdateRequest("counter", 1, "SET n = if_not_exists(n, :zero) + :one, #m = :me",
                             absl::StrCat(R"({":zero":0,":one":1,":me":)", sequence_, "}"));
    auto& expressions = *request_.mutable_update()->mutable_expressions();
    (*expressions.mutable_names())["#m"] = absl::StrCat("writer", session_);
    if (sequence_ > 1 && sequence_ % 5 == 0) {
      expressions.set_condition("#m > :me");  // never holds
      expecting_failure_ = true;
    } else {
      expecting_failure_ = false;
    }
    request_.mutable_session()->set_session(session_);
    request_.mutable_session()->set_sequence(sequence_);
    request_.mutable_session()->set_lowest_outstanding(sequence_);
    Try();
  }
  void Stop() { stopped_ = true; }
  bool idle() const { return idle_; }

 private:
  void Try() {
    idle_ = false;
    const uint64_t attempt = ++attempt_;
    const uint64_t leader = world_.Leader();
    if (leader == 0) return Again(attempt);
    // A second copy, now and then.
    const int copies = attempt % 3 == 0 ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
      world_.Send(leader, request_,
                  [this, attempt](Response response) { Answered(attempt, std::move(response)); });
    }
    world_.simulation().At(std::chrono::seconds(3), [this, attempt] {
      if (attempt == attempt_ && !idle_) Try();
    });
  }

  void Again(uint64_t attempt) {
    world_.simulation().At(std::chrono::milliseconds(50), [this, attempt] {
      if (attempt == attempt_ && !idle_) Try();
    });
  }

  void Answered(uint64_t attempt, Response response) {
    if (attempt != attempt_ || idle_) return;
    switch (response.error()) {
      case data::v1::ERROR_NONE:
        EXPECT_FALSE(expecting_failure_);
        ++*applied_;
        break;
      case data::v1::ERROR_CONDITION_FAILED:
        EXPECT_TRUE(expecting_failure_);
        break;
      case data::v1::ERROR_WRONG_ROUTE:
      case data::v1::ERROR_UNAVAILABLE:
      case data::v1::ERROR_UNKNOWN_OUTCOME:
      case data::v1::ERROR_RESOURCE_EXHAUSTED:
        return Again(attempt);
      default:
        ADD_FAILURE() << response.error() << ": " << response.message();
    }
    idle_ = true;
    Next();
  }

  PartitionWorld& world_;
  const uint64_t session_;
  uint64_t* const applied_;
  Request request_;
  uint64_t sequence_ = 0;
  uint64_t attempt_ = 0;
  bool expecting_failure_ = false;
  bool idle_ = true;
  bool stopped_ = false;
};

class PartitionRandomTest : public testing::TestWithParam<uint64_t> {};

// Protects exactly-once under retries, copies, leaders that are cut off, killed and lose power: the
// counter is what was answered with success, no more and no less; and all replicas hold the same.
TEST_P(PartitionRandomTest, EveryWriteAppliesExactlyOnce) {
  PartitionWorld world(GetParam(), 3);
  world.CreatePartition(3);
  uint64_t applied = 0;
  std::vector<std::unique_ptr<Writer>> writers;
  for (uint64_t session = 1; session <= 5; ++session) {
    writers.push_back(std::make_unique<Writer>(world, session, &applied));
    writers.back()->Next();
  }
  Random random(GetParam());
  for (int round = 0; round < 8; ++round) {
    world.RunFor(std::chrono::milliseconds(random.Between(500, 3000)));
    const uint64_t victim = random.Chance(0.7) ? world.WaitForLeader() : 1 + random.Below(3);
    switch (random.Below(3)) {
      case 0:
        world.CutPower(victim);
        world.RunFor(std::chrono::milliseconds(random.Between(100, 3000)));
        world.Start(victim);
        break;
      case 1:
        world.Kill(victim);
        world.RunFor(std::chrono::milliseconds(random.Between(100, 3000)));
        world.Start(victim);
        break;
      default:
        for (uint64_t other = 1; other <= 3; ++other) {
          world.network().Block(victim, other);
          world.network().Block(other, victim);
        }
        world.RunFor(std::chrono::milliseconds(random.Between(100, 4000)));
        world.network().UnblockAll();
    }
    for (uint64_t node = 1; node <= 3; ++node) {
      const auto replica = world.ReplicaOf(node);
      if (replica == nullptr) continue;
      replica->applier().Post([&world, node, replica] {
        if (Partition* partition = world.PartitionOf(node)) partition->Maintain(replica);
      });
    }
  }
  for (const auto& writer : writers) writer->Stop();
  world.RunFor(std::chrono::seconds(20));
  for (const auto& writer : writers) EXPECT_TRUE(writer->idle());
  EXPECT_GT(applied, 100u);
  const Response counter = world.Call(GetRequest("counter", 1));
  EXPECT_THAT(PlainJson(counter.item()), testing::HasSubstr(absl::StrCat(R"("n":)", applied, ",")));
  const std::string dump = world.Dump(1);
  EXPECT_EQ(world.Dump(2), dump);
  EXPECT_EQ(world.Dump(3), dump);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PartitionRandomTest, testing::Values(1, 2, 3));

// Protects evaluation: random puts, deletes, conditions and updates of a few keys, many at once,
// answer and end as if they had run one after the other.
TEST(PartitionModelTest, PipelinedOperationsAreSequential) {
  PartitionWorld world(21, 1);
  world.CreatePartition(1);
  Random random(21);
  std::map<std::string, int> model;  // key to n
  uint64_t answered = 0;
  uint64_t sent = 0;
  for (int step = 0; step < 1500; ++step) {
    const std::string key = absl::StrCat("k", random.Below(4));
    const auto item = model.find(key);
    const bool exists = item != model.end();
    Request request;
    data::v1::Error expected = data::v1::ERROR_NONE;
    switch (random.Below(4)) {
      case 0: {
        const int n = static_cast<int>(random.Below(100));
        request = PutRequest(absl::StrCat(R"({"pk":")", key, R"(","sk":1,"n":)", n, "}"));
        if (random.Chance(0.5)) {
          request.mutable_put()->mutable_expressions()->set_condition("attribute_not_exists(pk)");
          if (exists) expected = data::v1::ERROR_CONDITION_FAILED;
        }
        if (expected == data::v1::ERROR_NONE) model[key] = n;
        break;
      }
      case 1:
        request.mutable_delete_()->set_key(KeyBytes(key, 1));
        model.erase(key);
        break;
      case 2:
        request = UpdateRequest(key, 1, "SET n = if_not_exists(n, :zero) + :one",
                                R"({":zero":0,":one":1})");
        ++model[key];
        break;
      default:
        request = UpdateRequest(key, 1, "SET n = n + :one", R"({":one":1})");
        if (exists) {
          ++item->second;
        } else {
          expected = data::v1::ERROR_VALIDATION;  // it has no n
        }
    }
    ++sent;
    world.Send(1, request, [&answered, expected, step](Response response) {
      ++answered;
      EXPECT_EQ(response.error(), expected) << "step " << step << ": " << response.message();
    });
    if (random.Chance(0.1)) world.RunFor(std::chrono::milliseconds(random.Between(1, 20)));
  }
  world.RunFor(std::chrono::seconds(3));
  EXPECT_EQ(answered, sent);
  for (int number = 0; number < 4; ++number) {
    const std::string key = absl::StrCat("k", number);
    const Response got = world.Call(GetRequest(key, 1));
    ASSERT_EQ(got.found(), model.contains(key)) << key;
    if (got.found()) {
      EXPECT_EQ(PlainJson(got.item()),
                absl::StrCat(R"({"n":)", model[key], R"(,"pk":")", key, R"(","sk":1})"));
    }
  }
}

}  // namespace
}  // namespace ringleader
