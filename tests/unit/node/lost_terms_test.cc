// A leader that is cut off, and what it said and proposed in the term that it lost.
#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/node/partition_world.h"

namespace ringleader {
namespace {

using data::v1::Request;
using data::v1::Response;

class LostTermsTest : public ::testing::Test {
 protected:
  LostTermsTest() {
    world_.partition_options().entries_in_flight_max = 10;  // each write is an entry of its own
    for (uint64_t node = 1; node <= 3; ++node) {
      world_.Kill(node);
      world_.Start(node);
    }
    world_.CreatePartition(3);
    node_ = world_.Leader();
  }

  void Isolate() {
    for (uint64_t other = 1; other <= 3; ++other) {
      if (other == node_) continue;
      world_.network().Block(node_, other);
      world_.network().Block(other, node_);
    }
  }

  void Write() {
    ++sent_;
    world_.Send(node_, Increment("a"), [this](const Response&) { ++answered_; });
    world_.RunFor(std::chrono::milliseconds(20));
  }

  void EndTable() {
    const auto replica = world_.ReplicaOf(node_);
    const TableRecord end{
        .id = PartitionWorld::kTable, .schema_version = 1, .phase = TablePhase::kRetired};
    replica->applier().Post(
        [this, replica, end] { world_.PartitionOf(node_)->ProposeTable(replica, end); });
    world_.RunFor(std::chrono::milliseconds(20));
  }

  void LoseTermAndLeadAgain() {
    world_.RunFor(std::chrono::seconds(5));
    world_.network().UnblockAll();
    world_.RunFor(std::chrono::seconds(5));
    const uint64_t other = world_.WaitForLeader();
    ASSERT_NE(other, node_);
    const auto first = world_.PartitionOf(node_)->state().applied.last.index;
    world_.ReplicaOf(other)->Transfer(world_.ReplicaOf(node_)->id(), [](const absl::Status&) {});
    world_.RunFor(std::chrono::seconds(2));
    ASSERT_EQ(world_.Leader(), node_);
    ASSERT_EQ(world_.PartitionOf(node_)->state().applied.last.index, first + 1);
    Isolate();
  }

  void Maintain() {
    world_.Maintain(node_);
    world_.RunFor(std::chrono::milliseconds(50));
  }

  PartitionWorld world_{18, 3};
  uint64_t node_ = 0;
  int sent_ = 0, answered_ = 0;
};

// Protects callers of the first term: their batch is answered though another has its index.
TEST_F(LostTermsTest, BatchesOfTwoTermsAtOneIndexAreBothAnswered) {
  Isolate();
  for (int i = 0; i < 3; ++i) Write();
  LoseTermAndLeadAgain();
  EXPECT_EQ(answered_, 2);
  Write();
  world_.RunFor(std::chrono::seconds(5));
  Maintain();
  EXPECT_EQ(answered_, sent_);
  EXPECT_EQ(world_.PartitionOf(node_)->waiting_requests(), 0u);
}

// Protects rule 22, errors are true: of a table that may be newer than its term a leader says
// nothing that it can't confirm.
TEST_F(LostTermsTest, ADeposedLeaderIsNotSureThatThereIsNoTable) {
  Isolate();
  int certain = 0, unconfirmed = 0;
  for (int i = 0; i < 100; ++i) {
    Request put = PutRequest(R"({"pk":"a","sk":1})");
    put.set_table_id(PartitionWorld::kTable + 1);
    const auto replica = world_.ReplicaOf(node_);
    if (!replica->LeaseRead().ok() && replica->view().serving) ++unconfirmed;
    world_.Send(node_, put, [&, replica](const Response& response) {
      if (response.error() != data::v1::ERROR_TABLE_NOT_FOUND) return;
      ++certain;
      EXPECT_TRUE(replica->LeaseRead().ok()) << "answered without being sure";
    });
    world_.RunFor(std::chrono::milliseconds(20));
  }
  EXPECT_GT(certain, 0);
  EXPECT_GT(unconfirmed, 0);
}

// Protects rule 22, errors are true: that a table is gone is certain only once its end is
// committed. Here the entry with it is lost with the term, and the next leader has the table again.
TEST_F(LostTermsTest, NobodyHearsOfAnEndThatIsOnlyProposed) {
  ASSERT_EQ(world_.Call(PutRequest(R"({"pk":"a","sk":1})")).error(), data::v1::ERROR_NONE);
  Isolate();
  EndTable();
  int refused = 0, read = 0;
  const auto expect_no_end = [](const Response& response) {
    EXPECT_NE(response.error(), data::v1::ERROR_TABLE_NOT_FOUND);
  };
  Request eventual = GetRequest("a", 1);
  eventual.mutable_get()->set_consistency(data::v1::CONSISTENCY_EVENTUAL);
  ASSERT_TRUE(world_.ReplicaOf(node_)->LeaseRead().ok());
  for (const Request& get : {GetRequest("a", 1), eventual}) {
    world_.Send(node_, get, [&](const Response& response) {
      expect_no_end(response);
      read += response.error() == data::v1::ERROR_NONE;
    });
  }
  world_.Send(node_, Increment("a"), [&](const Response& response) {
    expect_no_end(response);
    ++refused;
  });
  world_.RunFor(std::chrono::milliseconds(100));
  EXPECT_EQ(read, 2);
  EXPECT_EQ(refused, 0) << "it waits for the entry that ends the table";
  LoseTermAndLeadAgain();
  EXPECT_EQ(refused, 1);
  world_.network().UnblockAll();
  EXPECT_EQ(world_.Call(Increment("a")).error(), data::v1::ERROR_NONE);
}

// Protects deleted tables: when the older batch is given up, the end of the table that is proposed
// anew still stands, and no write gets behind it.
TEST_F(LostTermsTest, ABatchOfALostTermTakesNoMarkOfTheNextOne) {
  Isolate();
  Write();
  Write();
  EndTable();
  LoseTermAndLeadAgain();
  EndTable();
  Maintain();
  std::optional<data::v1::Error> error;
  world_.Send(node_, Increment("b"),
              [&error](const Response& response) { error = response.error(); });
  world_.RunFor(std::chrono::milliseconds(20));
  EXPECT_EQ(error, std::nullopt) << "the end is not committed yet";
  world_.network().UnblockAll();
  world_.RunFor(std::chrono::seconds(2));
  EXPECT_EQ(error, data::v1::ERROR_TABLE_NOT_FOUND);
}

}  // namespace
}  // namespace ringleader
