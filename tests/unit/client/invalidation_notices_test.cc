// What the application is told of items that leave its memory.
#include "client/invalidation_notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "model/key_codec.h"
#include "tests/simulation/simulation.h"

namespace ringleader::client {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class InvalidationNoticesTest : public testing::Test {
 protected:
  InvalidationNoticesTest() {
    schema_.id = 7;
    schema_.name = "users";
    schema_.key.partition = {"id", model::AttributeType::kString};
    schema_.key.sort = {"at", model::AttributeType::kNumber};
  }
  ~InvalidationNoticesTest() override { executor_->Stop(); }

  std::string Key(const std::string& id) {
    const Item key = KeyItem(id);
    return model::EncodeItemKey(schema_.id, *schema_.ValidateKey(key));
  }
  static Item KeyItem(const std::string& id) {
    Item key;
    key.Set("id", model::AttributeValue::String(id));
    key.Set("at", model::AttributeValue::Number(model::Decimal(5)));
    return key;
  }
  std::shared_ptr<GrantDeadline> Granted(Duration life) {
    auto deadline = std::make_shared<GrantDeadline>();
    deadline->Extend(clock_.Now(), life);
    return deadline;
  }
  void Insert(const std::string& id, uint64_t version, std::shared_ptr<GrantDeadline> deadline) {
    cache_.Insert(Key(id), KeyItem(id), version, deadline, 1);
    notices_.Inserted(Key(id), version, deadline, schema_);
  }
  bool Finds(const std::string& id) {
    uint64_t version = 0;
    return cache_.Lookup(Key(id), Duration(0), &version, [](model::PackedItem) {}) ==
           ItemCache::Found::kItem;
  }
  bool Tend() {
    return notices_.Tend([this](const ItemCache::Dropped& gone) { given_back_.push_back(gone); });
  }
  std::vector<std::string> Told() {
    simulation_.RunFor(milliseconds(1));
    return std::exchange(told_, {});
  }

  simulation::Simulation simulation_{3};
  simulation::SimulatedClock clock_{simulation_, 1.0};
  simulation::SimulatedThreads threads_{simulation_, std::chrono::microseconds(1)};
  std::unique_ptr<Executor> executor_ = threads_.Start("ring-client");
  ItemCache cache_{clock_, {.bytes_max = 64 << 10, .shards = 1}};
  model::TableSchema schema_;
  std::vector<std::string> told_;
  std::vector<ItemCache::Dropped> given_back_;
  InvalidationNotices notices_{[this](absl::string_view table, const Item& key) {
                                 EXPECT_EQ(table, "users");
                                 const std::string id = key.Find("id")->string();
                                 EXPECT_EQ(key, KeyItem(id));
                                 EXPECT_FALSE(Finds(id)) << "told of what can still be read";
                                 told_.push_back(id);
                               },
                               cache_, *executor_, clock_};
};

// Protects what was derived from an item: it is told of once, and of its own grant's end only.
TEST_F(InvalidationNoticesTest, WhatWasTakenBackIsToldOnce) {
  const auto old = Granted(milliseconds(100)), present = Granted(milliseconds(100));
  Insert("a", 1, old);
  Insert("b", 1, old);
  EXPECT_TRUE(notices_.IsWatched(Key("a"), 1));
  EXPECT_FALSE(notices_.IsWatched(Key("a"), 2));
  EXPECT_THAT(Told(), IsEmpty());
  Insert("b", 1, present);  // the same version from another leader: it is watched as before
  notices_.Gone(Key("b"), old.get());
  EXPECT_THAT(Told(), IsEmpty());
  cache_.Erase(Key("a"), old.get());
  notices_.Gone(Key("a"), old.get());
  notices_.Gone(Key("a"), old.get());
  EXPECT_FALSE(notices_.IsWatched(Key("a"), 1));
  EXPECT_THAT(Told(), ElementsAre("a"));
  cache_.Erase(Key("b"), nullptr);
  notices_.Gone(Key("b"), nullptr);
  EXPECT_THAT(Told(), ElementsAre("b"));
  EXPECT_FALSE(Tend());
}

// Protects against a change that nobody tells of: of what has run out no change is told any more,
// so it is erased, also if its grant would come back.
TEST_F(InvalidationNoticesTest, WhatHasRunOutIsToldAndNotFoundAgain) {
  const auto deadline = Granted(milliseconds(100)), longer = Granted(milliseconds(300));
  Insert("a", 1, deadline);
  Insert("b", 1, deadline);
  Insert("c", 1, longer);
  Insert("d", 1, deadline);
  Insert("d", 1, longer);
  EXPECT_TRUE(Tend());
  EXPECT_THAT(Told(), IsEmpty());
  simulation_.RunFor(milliseconds(150));
  EXPECT_TRUE(Tend());
  deadline->Extend(clock_.Now(), milliseconds(100));
  EXPECT_FALSE(Finds("a"));
  EXPECT_TRUE(Finds("c"));
  EXPECT_THAT(Told(), UnorderedElementsAre("a", "b"));
  EXPECT_TRUE(notices_.IsWatched(Key("d"), 1));
  // Or its leader would keep a place for who holds nothing.
  ASSERT_EQ(given_back_.size(), 2u);
  EXPECT_EQ(given_back_[0].deadline, deadline);
  simulation_.RunFor(milliseconds(200));
  EXPECT_FALSE(Tend());
  EXPECT_THAT(Told(), UnorderedElementsAre("c", "d"));
  EXPECT_EQ(given_back_.size(), 4u);
}

// Protects runs that can be repeated: what goes to the application and to the nodes has an order
// that no address decides.
TEST_F(InvalidationNoticesTest, WhatRunsOutAtOnceIsToldInTheOrderOfKeys) {
  auto deadlines = std::pair(Granted(milliseconds(100)), Granted(milliseconds(100)));
  if (deadlines.second < deadlines.first) std::swap(deadlines.first, deadlines.second);
  Insert("b", 1, deadlines.first);
  Insert("a", 1, deadlines.second);
  simulation_.RunFor(milliseconds(150));
  EXPECT_FALSE(Tend());
  EXPECT_THAT(Told(), ElementsAre("a", "b"));
  ASSERT_EQ(given_back_.size(), 2u);
  EXPECT_EQ(given_back_[0].deadline, deadlines.second);
}

// Protects what was derived from the version before: a new one in its place is a change, whether or
// not anybody told of it.
TEST_F(InvalidationNoticesTest, AnotherVersionIsAChange) {
  const auto deadline = Granted(milliseconds(100));
  Insert("a", 1, deadline);
  cache_.Insert(Key("a"), KeyItem("a"), 2, deadline, 2);
  notices_.Inserted(Key("a"), 2, deadline, schema_);
  EXPECT_FALSE(notices_.IsWatched(Key("a"), 1));
  EXPECT_TRUE(notices_.IsWatched(Key("a"), 2));
  cache_.Erase(Key("a"), nullptr);
  EXPECT_THAT(Told(), ElementsAre("a"));
  notices_.Gone(Key("a"), deadline.get());
  EXPECT_THAT(Told(), ElementsAre("a"));
}

}  // namespace
}  // namespace ringleader::client
