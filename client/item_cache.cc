#include "client/item_cache.h"

#include <algorithm>
#include <bit>
#include <list>
#include <utility>

#include "common/check.h"
#include "model/token.h"

namespace ringleader::client {
namespace {

constexpr uint64_t kHashSeed = 0x6361636865;  // "cache"
// An entry and its part of the index, of the queue and of the allocator.
constexpr uint64_t kEntryBytes = 192;
// Entries of which the index expects one in each place.
constexpr uint64_t kExpectedEntryBytes = 256;
// How often an entry that is used outlives the eviction's hand.
constexpr uint8_t kUsesMax = 3;
// Of a shard: entries that left and that a reader may still look at.
constexpr size_t kRetiredMax = 4096;

uint64_t HashOf(absl::string_view key) { return model::Xxh64(key, kHashSeed); }

}  // namespace

// Never changes but for the atomics.
struct ItemCache::Entry {
  uint64_t hash = 0;
  std::string key;
  model::Item item;
  bool absent = false;
  uint64_t version = 0;
  std::shared_ptr<const GrantDeadline> deadline;
  uint64_t fill = 0;
  uint64_t heap_bytes = 0;                               // the item's
  std::list<std::unique_ptr<Entry>>::iterator in_queue;  // the writers'
  std::atomic<bool> in_place{true};
  std::atomic<uint8_t> uses{0};
  std::atomic<Entry*> next{nullptr};

  uint64_t bytes() const { return kEntryBytes + key.size() + heap_bytes; }
};

// The index is an array of chains. Readers walk it inside a section; writers hold `mutex`.
struct alignas(kCacheLineBytes) ItemCache::Shard {
  Shard(size_t places, uint64_t max) : bytes_max(max), chains(places), sketch(places) {}

  std::atomic<Entry*>& ChainOf(uint64_t hash) { return chains[hash >> 16 & (chains.size() - 1)]; }
  Entry* Find(uint64_t hash, absl::string_view key);
  void Unlink(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool PassOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void MakeRoom(std::vector<Dropped>* dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const uint64_t bytes_max;
  std::vector<std::atomic<Entry*>> chains;
  ReadSections sections;

  mutable Mutex mutex;
  FrequencySketch sketch ABSL_GUARDED_BY(mutex);
  // In the order in which the eviction's hand meets them.
  std::list<std::unique_ptr<Entry>> queue ABSL_GUARDED_BY(mutex);
  RetiredPieces<Entry> retired ABSL_GUARDED_BY(mutex);
  uint64_t bytes ABSL_GUARDED_BY(mutex) = 0;  // of the queue
  uint64_t inserted ABSL_GUARDED_BY(mutex) = 0;
  uint64_t refused ABSL_GUARDED_BY(mutex) = 0;
  uint64_t invalidated ABSL_GUARDED_BY(mutex) = 0;
  uint64_t evicted ABSL_GUARDED_BY(mutex) = 0;
};

ItemCache::Entry* ItemCache::Shard::Find(uint64_t hash, absl::string_view key) {
  Entry* entry = ChainOf(hash).load(std::memory_order_seq_cst);
  while (entry != nullptr && (entry->hash != hash || entry->key != key)) {
    entry = entry->next.load(std::memory_order_seq_cst);
  }
  return entry;
}

// Whoever has found the entry sees `in_place` before anything that its lane does next.
void ItemCache::Shard::Unlink(Entry* entry) {
  entry->in_place.store(false, std::memory_order_release);
  std::atomic<Entry*>* link = &ChainOf(entry->hash);
  while (link->load(std::memory_order_relaxed) != entry) {
    link = &link->load(std::memory_order_relaxed)->next;
  }
  link->store(entry->next.load(std::memory_order_relaxed), std::memory_order_seq_cst);
  bytes -= entry->bytes();
  std::unique_ptr<Entry> owned = std::move(*entry->in_queue);
  queue.erase(entry->in_queue);
  retired.Retire(std::move(owned));
}

// The hand passes over what was used since it came by last (second chance), kUsesMax times.
bool ItemCache::Shard::PassOver() {
  Entry& front = *queue.front();
  const uint8_t uses = front.uses.load(std::memory_order_relaxed);
  if (uses == 0) return false;
  front.uses.store(uses - 1, std::memory_order_relaxed);
  queue.splice(queue.end(), queue, queue.begin());
  return true;
}

void ItemCache::Shard::MakeRoom(std::vector<Dropped>* dropped) {
  while (bytes > bytes_max) {
    if (PassOver()) continue;
    Entry* const front = queue.front().get();
    dropped->push_back({front->key, front->deadline, front->fill});
    Unlink(front);
    ++evicted;
  }
  retired.Collect(sections);
}

ItemCache::ItemCache(Clock& clock, const ItemCacheOptions& options)
    : clock_(clock), options_(options) {
  CHECK(std::has_single_bit(options.shards));
  const uint64_t shard_bytes = options.bytes_max / options.shards;
  const size_t places = std::bit_ceil(std::max<size_t>(shard_bytes / kExpectedEntryBytes, 16));
  for (size_t i = 0; i < options.shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(places, shard_bytes));
  }
}

ItemCache::~ItemCache() = default;

ItemCache::Shard& ItemCache::ShardOf(uint64_t hash) const {
  return *shards_[hash & (shards_.size() - 1)];
}

ItemCache::Found ItemCache::Lookup(absl::string_view key, Duration stale_max, uint64_t* version,
                                   absl::FunctionRef<void(const model::Item& item)> read) {
  const uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const ReadSections::Section section(shard.sections);
  Entry* const entry = shard.Find(hash, key);
  if (entry == nullptr) {
    misses_.Add();
    return Found::kMiss;
  }
  // The order of these three is the header's.
  const GrantDeadline::Reading deadline = entry->deadline->Load();
  const bool in_place = entry->in_place.load(std::memory_order_acquire);
  const Instant now = clock_.HolderNow();
  if (!in_place || deadline.WasOver(now, stale_max)) {
    misses_.Add();
    if (in_place) expired_.Add();
    return Found::kMiss;
  }
  hits_.Add();
  // A hot entry's line is written a few times only, and then stays shared between processors.
  const uint8_t uses = entry->uses.load(std::memory_order_relaxed);
  if (uses < kUsesMax) entry->uses.store(uses + 1, std::memory_order_relaxed);
  *version = entry->version;
  if (entry->absent) return Found::kAbsent;
  read(entry->item);
  return Found::kItem;
}

std::optional<ItemCache::Held> ItemCache::Peek(absl::string_view key) const {
  const uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const ReadSections::Section section(shard.sections);
  const Entry* const entry = shard.Find(hash, key);
  if (entry == nullptr) return std::nullopt;
  // As a lookup does.
  const GrantDeadline::Reading deadline = entry->deadline->Load();
  if (!entry->in_place.load(std::memory_order_acquire)) return std::nullopt;
  return Held{.is_absent = entry->absent,
              .is_over = deadline.IsOver(clock_.Now()),
              .version = entry->version,
              .origin = entry->deadline->origin()};
}

bool ItemCache::IsWorthAGrant(absl::string_view key, size_t bytes_expected) {
  const uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  const uint64_t bytes = kEntryBytes + key.size() + bytes_expected;
  MutexLock lock(shard.mutex);
  shard.sketch.Add(hash);
  if (bytes > shard.bytes_max / 8) {  // it would push out too many others
    ++shard.refused;
    return false;
  }
  if (shard.bytes + bytes <= shard.bytes_max) return true;
  // The hand's next entry would go for it. If that is worth more, the hand goes on all the same, so
  // that one good entry does not keep every other one.
  const Entry& next = *shard.queue.front();
  if (shard.sketch.Estimate(hash) >
      shard.sketch.Estimate(next.hash) + next.uses.load(std::memory_order_relaxed)) {
    return true;
  }
  ++shard.refused;
  if (!shard.PassOver()) shard.queue.splice(shard.queue.end(), shard.queue, shard.queue.begin());
  return false;
}

std::vector<ItemCache::Dropped> ItemCache::Insert(absl::string_view key,
                                                  std::optional<model::Item> item, uint64_t version,
                                                  std::shared_ptr<const GrantDeadline> deadline,
                                                  uint64_t fill) {
  CHECK(deadline != nullptr);
  const uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  auto entry = std::make_unique<Entry>();
  entry->hash = hash;
  entry->key = std::string(key);
  entry->absent = !item.has_value();
  if (item.has_value()) {
    entry->item = *std::move(item);
    entry->heap_bytes = model::HeapBytes(entry->item);
  }
  entry->version = version;
  entry->deadline = std::move(deadline);
  entry->fill = fill;
  std::vector<Dropped> dropped;
  MutexLock lock(shard.mutex);
  if (Entry* const old = shard.Find(hash, key); old != nullptr) shard.Unlink(old);
  shard.retired.Collect(shard.sections);
  // A reader stands still inside its section, and nothing can be freed: rather cache less.
  if (shard.retired.size() >= kRetiredMax || entry->bytes() > shard.bytes_max) {
    dropped.push_back({entry->key, entry->deadline, fill});
    return dropped;
  }
  std::atomic<Entry*>& chain = shard.ChainOf(hash);
  entry->next.store(chain.load(std::memory_order_relaxed), std::memory_order_relaxed);
  shard.bytes += entry->bytes();
  ++shard.inserted;
  Entry* const inserted = entry.get();
  inserted->in_queue = shard.queue.insert(shard.queue.end(), std::move(entry));
  chain.store(inserted, std::memory_order_seq_cst);
  shard.MakeRoom(&dropped);
  return dropped;
}

bool ItemCache::Erase(absl::string_view key, const GrantDeadline* deadline) {
  const uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  MutexLock lock(shard.mutex);
  Entry* const entry = shard.Find(hash, key);
  if (entry == nullptr || (deadline != nullptr && entry->deadline.get() != deadline)) return false;
  shard.Unlink(entry);
  ++shard.invalidated;
  shard.retired.Collect(shard.sections);
  return true;
}

ItemCache::Statistics ItemCache::statistics() const {
  Statistics sum{.hits = hits_.value(), .misses = misses_.value(), .expired = expired_.value()};
  for (const std::unique_ptr<Shard>& shard : shards_) {
    MutexLock lock(shard->mutex);
    sum.inserted += shard->inserted;
    sum.refused += shard->refused;
    sum.invalidated += shard->invalidated;
    sum.evicted += shard->evicted;
    sum.entries += shard->queue.size();
    sum.bytes += shard->bytes;
  }
  return sum;
}

}  // namespace ringleader::client
