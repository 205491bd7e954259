// The cache in the application's memory: what it serves, for how long, and what it keeps.
#include "client/item_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"

namespace ringleader::client {
namespace {

using std::chrono::milliseconds;
using Found = ItemCache::Found;

class ManualClock : public Clock {
 public:
  Instant Now() const override { return now; }
  int64_t WallMicros() const override { return 0; }
  Instant now{milliseconds(1000), milliseconds(1000)};
};

model::Item ItemOf(const std::string& text) {
  model::Item item;
  item.Set("text", model::AttributeValue::String(text));
  return item;
}

std::string TextOf(const model::Item& item) { return item.Find("text")->string(); }

class ItemCacheTest : public testing::Test {
 protected:
  Found Lookup(absl::string_view key, Duration stale_max = Duration(0)) {
    return cache_.Lookup(key, stale_max, &version_,
                         [this](model::PackedItem item) { item_ = TextOf(item.Unpack()); });
  }
  std::shared_ptr<GrantDeadline> Granted(int64_t life_ms) {
    auto deadline = std::make_shared<GrantDeadline>();
    deadline->Extend(clock_.now, milliseconds(life_ms));
    return deadline;
  }

  ManualClock clock_;
  ItemCache cache_{clock_, {.bytes_max = 64 << 10, .shards = 1}};
  std::string item_;
  uint64_t version_ = 0;
};

// Protects the promise: an item is served before its grant's deadline and not after.
TEST_F(ItemCacheTest, AnItemIsServedUntilItsDeadline) {
  EXPECT_EQ(Lookup("k"), Found::kMiss);
  cache_.Insert("k", ItemOf("item"), 7, Granted(100), 1);
  clock_.now = {milliseconds(1099), milliseconds(1099)};
  ASSERT_EQ(Lookup("k"), Found::kItem);
  EXPECT_EQ(item_, "item");
  EXPECT_EQ(version_, 7u);
  // Either clock ends it: a machine that slept shows in one of them only.
  clock_.now = {milliseconds(1050), milliseconds(1100)};
  EXPECT_EQ(Lookup("k"), Found::kOver);
  clock_.now = {milliseconds(1100), milliseconds(1050)};
  EXPECT_EQ(Lookup("k"), Found::kOver);
}

// Protects nodes from holders of nothing: what makes room is said, by its own fill, and so is what
// is not taken at all, as it has more than a shard.
TEST_F(ItemCacheTest, WhatIsDroppedIsSaid) {
  const auto deadline = Granted(100), other = Granted(100);
  const std::string most(7 << 10, 'x'), too_much(64 << 10, 'x');
  EXPECT_THAT(cache_.Insert("a", ItemOf(most), 1, deadline, 11), testing::IsEmpty());
  EXPECT_THAT(cache_.Insert("b", ItemOf(most), 1, other, 12), testing::IsEmpty());
  EXPECT_THAT(cache_.Insert("b", ItemOf(most), 2, other, 13), testing::IsEmpty())
      << "it is still held";
  for (const char* key : {"c", "d", "e", "f", "g", "h"}) {
    EXPECT_THAT(cache_.Insert(key, ItemOf(most), 1, other, 20), testing::IsEmpty());
  }
  auto dropped = cache_.Insert("i", ItemOf(most), 1, other, 14);
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_EQ(dropped[0].key, "a");
  EXPECT_EQ(dropped[0].fill, 11u);
  EXPECT_EQ(dropped[0].deadline, deadline);
  EXPECT_EQ(Lookup("a"), Found::kMiss);
  dropped = cache_.Insert("j", ItemOf(too_much), 1, other, 15);
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_EQ(dropped[0].fill, 15u);
  dropped = cache_.Insert("b", ItemOf(too_much), 3, other, 16);
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_EQ(dropped[0].fill, 16u);
  EXPECT_EQ(Lookup("b"), Found::kMiss);
}

// Protects renewals: one extends everything that was granted with it, and nothing else.
TEST_F(ItemCacheTest, ARenewalExtendsWhatWasGrantedTogether) {
  const auto mine = Granted(10), other = Granted(10);
  cache_.Insert("a", ItemOf("item"), 1, mine, 1);
  cache_.Insert("b", ItemOf("item"), 1, mine, 1);
  cache_.Insert("c", ItemOf("item"), 1, other, 1);
  mine->Extend(clock_.now, milliseconds(50));
  clock_.now = {milliseconds(1040), milliseconds(1040)};
  EXPECT_EQ(Lookup("a"), Found::kItem);
  EXPECT_EQ(Lookup("b"), Found::kItem);
  EXPECT_EQ(Lookup("c"), Found::kOver);
  // An answer to an older request takes nothing back.
  mine->Extend({milliseconds(1000), milliseconds(1000)}, milliseconds(20));
  EXPECT_EQ(Lookup("a"), Found::kItem);
}

// Protects readers who accept some age: what was valid that long ago is good enough, unless it was
// invalidated.
TEST_F(ItemCacheTest, BoundedStaleness) {
  cache_.Insert("k", ItemOf("item"), 7, Granted(100), 1);
  clock_.now = {milliseconds(1149), milliseconds(1149)};
  EXPECT_EQ(Lookup("k", milliseconds(50)), Found::kItem);
  EXPECT_EQ(Lookup("k", milliseconds(49)), Found::kOver);
  EXPECT_EQ(Lookup("k", Duration::max()), Found::kItem);
  cache_.Erase("k", nullptr);
  EXPECT_EQ(Lookup("k", Duration::max()), Found::kMiss);
}

// Protects who watches memory from outside: it sees what a lookup would answer and what only lies
// there still, and leaves no trace in the statistics or in what is kept.
TEST_F(ItemCacheTest, APeekIsNoLookup) {
  EXPECT_FALSE(cache_.Peek("k").has_value());
  const auto deadline = std::make_shared<GrantDeadline>(GrantOrigin{.partition = 3, .term = 4});
  deadline->Extend(clock_.now, milliseconds(100));
  cache_.Insert("k", ItemOf("item"), 7, deadline, 1);
  cache_.Insert("gone", std::nullopt, 0, deadline, 2);
  const auto held = cache_.Peek("k");
  ASSERT_TRUE(held.has_value());
  EXPECT_FALSE(held->is_absent);
  EXPECT_FALSE(held->is_over);
  EXPECT_EQ(held->version, 7u);
  EXPECT_EQ(held->origin.partition, 3u);
  EXPECT_EQ(held->origin.term, 4u);
  EXPECT_TRUE(cache_.Peek("gone")->is_absent);
  clock_.now = {milliseconds(1100), milliseconds(1050)};
  EXPECT_TRUE(cache_.Peek("k")->is_over);
  cache_.Erase("k", nullptr);
  EXPECT_FALSE(cache_.Peek("k").has_value());
  const ItemCache::Statistics after = cache_.statistics();
  EXPECT_EQ(after.hits, 0u);
}

// Protects reads of keys that have no item: that is remembered as well.
TEST_F(ItemCacheTest, AbsenceIsCached) {
  cache_.Insert("k", std::nullopt, 0, Granted(100), 1);
  EXPECT_EQ(Lookup("k"), Found::kAbsent);
}

// Protects acknowledgements: what was erased is found by nobody; another grant's entry stays.
TEST_F(ItemCacheTest, AnInvalidationTakesOutItsOwnGrantsEntry) {
  const auto old = Granted(100), present = Granted(100);
  cache_.Insert("k", ItemOf("old"), 1, old, 1);
  cache_.Insert("k", ItemOf("new"), 2, present, 1);
  EXPECT_FALSE(cache_.Erase("k", old.get()));
  EXPECT_EQ(Lookup("k"), Found::kItem);
  EXPECT_EQ(item_, "new");
  EXPECT_TRUE(cache_.Erase("k", present.get()));
  EXPECT_EQ(Lookup("k"), Found::kMiss);
  EXPECT_EQ(cache_.statistics().bytes, 0u);
}

// Protects memory, and what is asked for often from what is asked for once.
TEST_F(ItemCacheTest, OftenUsedItemsStayWithinTheBound) {
  const auto deadline = Granted(1'000'000);
  const auto ask = [&](const std::string& key) {
    if (Lookup(key) != Found::kMiss) return;
    if (cache_.IsWorthAGrant(key, 100))
      cache_.Insert(key, ItemOf(std::string(100, 'x')), 1, deadline, 1);
  };
  int hot_hits = 0;
  for (int round = 0; round < 200; ++round) {
    for (int hot = 0; hot < 50; ++hot) {
      const uint64_t before = cache_.statistics().hits;
      ask(absl::StrCat("hot", hot));
      if (round >= 100) hot_hits += static_cast<int>(cache_.statistics().hits - before);
    }
    for (int cold = 0; cold < 100; ++cold) ask(absl::StrCat("cold", round, "-", cold));
    ASSERT_LE(cache_.statistics().bytes, 64u << 10);
  }
  EXPECT_GT(hot_hits, 100 * 50 * 95 / 100);
  EXPECT_GT(cache_.statistics().refused, 1000u);
}

// Protects what is new where all else is in use: it would go for itself.
TEST_F(ItemCacheTest, WhatComesInMakesRoomAmongTheOthers) {
  const auto deadline = Granted(1'000'000);
  const std::string text(1000, 'x');
  int last = 0;
  while (cache_.Insert(absl::StrCat(last), ItemOf(text), 1, deadline, 1).empty()) ++last;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i <= last; ++i) Lookup(absl::StrCat(i));
  }
  EXPECT_EQ(cache_.Insert("new", ItemOf(text), 1, deadline, 1).size(), 1u);
  EXPECT_EQ(Lookup("new"), Found::kItem);
}

// Protects small memories: their parts are not so small that large items never stay.
TEST(SmallItemCacheTest, ALargeItemStays) {
  ManualClock clock;
  ItemCache cache(clock, {.bytes_max = 1 << 20});
  const auto deadline = std::make_shared<GrantDeadline>();
  deadline->Extend(clock.now, milliseconds(100));
  EXPECT_TRUE(cache.Insert("k", ItemOf(std::string(400'000, 'x')), 1, deadline, 1).empty());
  EXPECT_EQ(cache.statistics().entries, 1u);
}

// Threads that look for key0 to key299 until they are stopped.
class Readers {
 public:
  using Expect = std::function<std::string(const std::string& key, uint64_t version)>;

  Readers(ItemCache& cache, const Expect& expect) {
    for (int reader = 0; reader < 3; ++reader) {
      threads_.emplace_back([this, &cache, expect] {
        std::string text;
        uint64_t version = 0;
        for (uint64_t i = 0; !stop_; ++i) {
          const std::string key = absl::StrCat("key", i % 300);
          const Found found = cache.Lookup(key, Duration(0), &version, [&](model::PackedItem item) {
            text = TextOf(item.Unpack());
          });
          if (found != Found::kItem) continue;
          ++hits_;
          if (text != expect(key, version)) ++wrong_;
        }
      });
    }
  }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  uint64_t hits() const { return hits_; }
  uint64_t wrong() const { return wrong_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> hits_{0}, wrong_{0};
  std::vector<std::thread> threads_;
};

// Protects readers without a lock: beside changes and evictions each finds a whole item of the key
// that it asked for, or none.
TEST_F(ItemCacheTest, ReadersNeedNoLock) {
  const auto text = [](const std::string& key, uint64_t version) {
    return absl::StrCat(key, "=", version, std::string(100, '.'));
  };
  const auto deadline = Granted(1'000'000);
  Readers readers(cache_, text);
  for (uint64_t version = 1; version <= 60'000; ++version) {
    const std::string key = absl::StrCat("key", version * 7 % 300);
    if (version % 3 == 0) {
      cache_.Erase(key, nullptr);
    } else {
      cache_.Insert(key, ItemOf(text(key, version)), version, deadline, 1);
    }
    if (version % 1000 == 0) std::this_thread::yield();
  }
  readers.Stop();
  EXPECT_EQ(readers.wrong(), 0u);
  EXPECT_GT(readers.hits(), 0u);
}

// Protects readers where several writers, each with its own shards, change the phases of the
// sections that all share; and the count of hits.
TEST(ManyShardsTest, ReadersNeedNoLockBesideSeveralWriters) {
  ManualClock clock;
  ItemCache cache(clock, {.bytes_max = 8 << 20});
  const auto deadline = std::make_shared<GrantDeadline>();
  deadline->Extend(clock.now, std::chrono::hours(1));
  Readers readers(cache, [](const std::string& key, uint64_t) { return key; });
  std::vector<std::thread> writers;
  for (uint64_t writer = 0; writer < 2; ++writer) {
    writers.emplace_back([&, writer] {
      for (uint64_t change = 0; change < 20'000; ++change) {
        const std::string key = absl::StrCat("key", (2 * change * 7 + writer) % 300);
        cache.Insert(key, ItemOf(key), change, deadline, 1);
        if (change % 3 == 0) cache.Erase(key, nullptr);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  readers.Stop();
  EXPECT_EQ(readers.wrong(), 0u);
  EXPECT_EQ(readers.hits(), cache.statistics().hits);
}

// Protects memory: though some section is always open, and three writers take turns, all get rid of
// what they unlinked, and of nothing that an open section may have found.
TEST(ReadSectionsTest, WhatSeveralWritersRetireIsFreedThoughSectionsNeverEnd) {
  ReadSections sections;
  std::deque<RetiredPieces<std::string>> writers;  // they stay where they are
  for (int i = 0; i < 3; ++i) writers.emplace_back(sections);
  auto open = std::make_unique<ReadSections::Section>(sections);
  for (size_t step = 0; step < 300; ++step) {
    RetiredPieces<std::string>& writer = writers[step % writers.size()];
    writer.Retire(std::make_unique<std::string>("piece"));
    writer.Collect();
    EXPECT_GE(writer.size(), 1u) << "freed under a section that was open when it was unlinked";
    EXPECT_LE(writer.size(), 4u) << "step " << step;
    auto next = std::make_unique<ReadSections::Section>(sections);
    if (step % 2 == 0) next->Count();
    open = std::move(next);
  }
  open = nullptr;
  EXPECT_EQ(sections.counted(), 150u);
  for (RetiredPieces<std::string>& writer : writers) {
    writer.Collect();
    EXPECT_EQ(writer.size(), 0u);
  }
}

// Protects estimates: what is asked for often counts more, and is forgotten again.
TEST(FrequencySketchTest, EstimatesAgeAway) {
  FrequencySketch sketch(64);
  const uint64_t hot = 0x1234567890abcdef;
  for (int i = 0; i < 20; ++i) sketch.Add(hot);
  EXPECT_EQ(sketch.Estimate(hot), 15u);
  uint64_t other = 1;
  for (int i = 0; i < 3000; ++i)
    sketch.Add(other = other * 6364136223846793005u + 1442695040888963407u);
  EXPECT_LT(sketch.Estimate(hot), 15u);
}

}  // namespace
}  // namespace ringleader::client
