// What the router says of tables that come and go, and scans over all of one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/unit/client/router_world.h"

namespace ringleader::client {
namespace {

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
