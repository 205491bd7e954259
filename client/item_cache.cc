#include "client/item_cache.h"

#include <algorithm>
#include <bit>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <utility>

#include "common/check.h"
#include "common/rare_branches.h"
#include "model/token.h"

namespace ringleader::client {
namespace {

constexpr uint64_t kHashSeed = 0x6361636865;  // "cache"
// An entry's part of the index and of the sketch, and the allocator's own.
constexpr uint64_t kBesideEntryBytes = 40;
// Entries of which the index expects one in each place.
constexpr uint64_t kExpectedEntryBytes = 256;
// More than nearly every item takes.
constexpr uint64_t kShardBytesMin = 1 << 20;
// How often an entry that is used outlives the eviction's hand.
constexpr uint8_t kUsesMax = 3;
// Of a shard: entries that left and that a reader may still look at.
constexpr size_t kRetiredMax = 4096;
// To look whether anybody still does costs as much for one of them as for many; the allocator likes
// few.
constexpr size_t kCollectedAtOnce = 8;
constexpr uint64_t kCollectedBytes = 64 << 10;
// How many entries that are used the eviction's hand passes over for one that wants to come in.
constexpr int kPassedOverMax = 8;

uint64_t HashOf(absl::string_view key) { return model::Xxh64(key, kHashSeed); }

}  // namespace

// One allocation, as a cache has hundreds of thousands: key and item are behind it, in this order.
// Never changes but for the atomics and the writers' hook.
struct ItemCache::Entry {
  static std::unique_ptr<Entry> Make(absl::string_view key, const std::optional<model::Item>& item);
  static void operator delete(void* memory) { ::operator delete(memory); }

  absl::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }
  model::PackedItem item() const {
    return model::PackedItem(reinterpret_cast<const char*>(this + 1) + key_bytes);
  }
  static uint64_t BytesFor(uint64_t key_bytes, uint64_t item_bytes) {
    return sizeof(Entry) + kBesideEntryBytes + key_bytes + item_bytes;
  }
  uint64_t bytes() const { return BytesFor(key_bytes, item_bytes); }

  const uint64_t hash;
  std::atomic<Entry*> next{nullptr};
  std::shared_ptr<const GrantDeadline> deadline;
  uint64_t version = 0;
  uint64_t fill = 0;
  const uint32_t key_bytes;
  const uint32_t item_bytes;
  const bool absent;
  std::atomic<bool> in_place{true};
  std::atomic<uint8_t> uses{0};
  // Last: it changes with its neighbours, and readers walk what stands in front.
  boost::intrusive::list_member_hook<> in_queue;

 private:
  struct Behind {
    size_t bytes;
  };
  static void* operator new(size_t size, Behind behind) {
    return ::operator new(size + behind.bytes);
  }
  static void operator delete(void* memory, Behind) { ::operator delete(memory); }

  Entry(absl::string_view key, uint32_t packed_bytes, bool is_absent)
      : hash(HashOf(key)),
        key_bytes(static_cast<uint32_t>(key.size())),
        item_bytes(packed_bytes),
        absent(is_absent) {}
};

std::unique_ptr<ItemCache::Entry> ItemCache::Entry::Make(absl::string_view key,
                                                         const std::optional<model::Item>& item) {
  const size_t item_bytes = item.has_value() ? model::PackedBytes(*item) : 0;
  CHECK_LE(std::max(key.size(), item_bytes), UINT32_MAX);
  std::unique_ptr<Entry> entry(new (Behind{key.size() + item_bytes}) Entry(
      key, static_cast<uint32_t>(item_bytes), !item.has_value()));
  char* const behind = reinterpret_cast<char*>(entry.get() + 1);
  std::copy(key.begin(), key.end(), behind);
  if (item.has_value()) model::PackItem(*item, behind + key.size());
  return entry;
}

// The index is an array of chains. Readers walk it inside a section; writers hold `mutex`.
struct alignas(kCacheLineBytes) ItemCache::Shard {
  Shard(size_t places, uint64_t max, ReadSections& sections)
      : bytes_max(max), chains(places), sketch(places), retired(sections) {}
  ~Shard() { queue.clear_and_dispose(std::default_delete<Entry>()); }

  std::atomic<Entry*>& ChainOf(uint64_t hash) { return chains[hash >> 16 & (chains.size() - 1)]; }
  Entry* Find(uint64_t hash, absl::string_view key);
  void Unlink(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool PassOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void MakeRoom(uint64_t wanted, std::vector<Dropped>* dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void CollectSome() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const uint64_t bytes_max;
  std::vector<std::atomic<Entry*>> chains;

  mutable Mutex mutex;
  FrequencySketch sketch ABSL_GUARDED_BY(mutex);
  // Owns them, in the order in which the eviction's hand meets them.
  boost::intrusive::list<Entry, boost::intrusive::member_hook<
                                    Entry, boost::intrusive::list_member_hook<>, &Entry::in_queue>>
      queue ABSL_GUARDED_BY(mutex);
  RetiredPieces<Entry> retired ABSL_GUARDED_BY(mutex);
  uint64_t retired_bytes ABSL_GUARDED_BY(mutex) = 0;  // at most, since nothing was retired
  uint64_t bytes ABSL_GUARDED_BY(mutex) = 0;          // of the queue
  uint64_t inserted ABSL_GUARDED_BY(mutex) = 0;
  uint64_t refused ABSL_GUARDED_BY(mutex) = 0;
  uint64_t invalidated ABSL_GUARDED_BY(mutex) = 0;
  uint64_t evicted ABSL_GUARDED_BY(mutex) = 0;
};

ItemCache::Entry* ItemCache::Shard::Find(uint64_t hash, absl::string_view key) {
  Entry* entry = ChainOf(hash).load(std::memory_order_seq_cst);
  while (entry != nullptr && (entry->hash != hash || entry->key() != key)) {
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
  retired_bytes += entry->bytes();
  queue.erase(queue.iterator_to(*entry));
  retired.Retire(std::unique_ptr<Entry>(entry));
}

// The hand passes over what was used since it came by last (second chance), kUsesMax times. Lookups
// don't reach the sketch; this is how it hears of them.
bool ItemCache::Shard::PassOver() {
  Entry& front = queue.front();
  const uint8_t uses = front.uses.load(std::memory_order_relaxed);
  if (uses == 0) return false;
  front.uses.store(uses - 1, std::memory_order_relaxed);
  sketch.Add(front.hash);
  queue.splice(queue.end(), queue, queue.begin());
  return true;
}

void ItemCache::Shard::MakeRoom(uint64_t wanted, std::vector<Dropped>* dropped) {
  while (bytes + wanted > bytes_max) {
    if (PassOver()) continue;
    RARE_BRANCH("cache: an item makes room for another");
    Entry& front = queue.front();
    dropped->push_back({std::string(front.key()), front.deadline, front.fill});
    Unlink(&front);
    ++evicted;
  }
}

void ItemCache::Shard::CollectSome() {
  if (retired.size() < kCollectedAtOnce && retired_bytes < kCollectedBytes) return;
  retired.Collect();
  if (retired.size() == 0) retired_bytes = 0;
}

ItemCache::ItemCache(Clock& clock, const ItemCacheOptions& options)
    : clock_(clock), options_(options) {
  CHECK(std::has_single_bit(options.shards));
  const size_t shards =
      std::clamp<size_t>(std::bit_floor(options.bytes_max / kShardBytesMin), 1, options.shards);
  const uint64_t shard_bytes = options.bytes_max / shards;
  const size_t places = std::bit_ceil(std::max<size_t>(shard_bytes / kExpectedEntryBytes, 16));
  for (size_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(places, shard_bytes, sections_));
  }
}

ItemCache::~ItemCache() = default;

ItemCache::Shard& ItemCache::ShardOf(uint64_t hash) const {
  return *shards_[hash & (shards_.size() - 1)];
}

ItemCache::Found ItemCache::Lookup(absl::string_view key, Duration stale_max, uint64_t* version,
                                   absl::FunctionRef<void(model::PackedItem item)> read) {
  ReadSections::Section section(sections_);
  return Lookup(section, key, stale_max, version, read);
}

ItemCache::Found ItemCache::Lookup(ReadSections::Section& section, absl::string_view key,
                                   Duration stale_max, uint64_t* version,
                                   absl::FunctionRef<void(model::PackedItem item)> read) {
  const uint64_t hash = HashOf(key);
  Entry* const entry = ShardOf(hash).Find(hash, key);
  if (entry == nullptr) return Found::kMiss;
  // The order of these three is the header's.
  const GrantDeadline::Reading deadline = entry->deadline->Load();
  const bool in_place = entry->in_place.load(std::memory_order_acquire);
  const Instant now = clock_.HolderNow();
  if (!in_place) return Found::kMiss;
  if (deadline.WasOver(now, stale_max)) return Found::kOver;
  section.Count();
  // A hot entry's line is written a few times only, and then stays shared between processors.
  const uint8_t uses = entry->uses.load(std::memory_order_relaxed);
  if (uses < kUsesMax) entry->uses.store(uses + 1, std::memory_order_relaxed);
  *version = entry->version;
  if (entry->absent) return Found::kAbsent;
  read(entry->item());
  return Found::kItem;
}

std::optional<ItemCache::Held> ItemCache::Peek(absl::string_view key) const {
  const uint64_t hash = HashOf(key);
  const ReadSections::Section section(sections_);
  const Entry* const entry = ShardOf(hash).Find(hash, key);
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
  const uint64_t bytes = Entry::BytesFor(key.size(), bytes_expected);
  MutexLock lock(shard.mutex);
  shard.sketch.Add(hash);
  if (bytes > shard.bytes_max / 8) {  // it would push out too many others
    ++shard.refused;
    return false;
  }
  if (shard.bytes + bytes <= shard.bytes_max) return true;
  // The hand's next entry that is not used would go for it. If that is worth more, the hand goes on
  // all the same, so that one good entry does not keep every other one.
  for (int i = 0; i < kPassedOverMax && shard.PassOver(); ++i) {
  }
  const Entry& next = shard.queue.front();
  if (shard.sketch.Estimate(hash) >
      shard.sketch.Estimate(next.hash) + next.uses.load(std::memory_order_relaxed)) {
    return true;
  }
  ++shard.refused;
  if (!shard.PassOver()) shard.queue.splice(shard.queue.end(), shard.queue, shard.queue.begin());
  return false;
}

std::vector<ItemCache::Dropped> ItemCache::Insert(absl::string_view key,
                                                  const std::optional<model::Item>& item,
                                                  uint64_t version,
                                                  std::shared_ptr<const GrantDeadline> deadline,
                                                  uint64_t fill) {
  CHECK(deadline != nullptr);
  std::unique_ptr<Entry> entry = Entry::Make(key, item);
  const uint64_t hash = entry->hash;
  Shard& shard = ShardOf(hash);
  entry->version = version;
  entry->deadline = std::move(deadline);
  entry->fill = fill;
  std::vector<Dropped> dropped;
  MutexLock lock(shard.mutex);
  if (Entry* const old = shard.Find(hash, key); old != nullptr) shard.Unlink(old);
  shard.CollectSome();
  // A reader stands still inside its section, and nothing can be freed: rather cache less.
  if (shard.retired.size() >= kRetiredMax || entry->bytes() > shard.bytes_max) {
    RARE_BRANCH("cache: an item is not taken into memory");
    dropped.push_back({std::string(key), entry->deadline, fill});
    return dropped;
  }
  shard.MakeRoom(entry->bytes(), &dropped);
  std::atomic<Entry*>& chain = shard.ChainOf(hash);
  entry->next.store(chain.load(std::memory_order_relaxed), std::memory_order_relaxed);
  shard.bytes += entry->bytes();
  ++shard.inserted;
  Entry* const inserted = entry.get();
  shard.queue.push_back(*entry.release());
  chain.store(inserted, std::memory_order_seq_cst);
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
  shard.CollectSome();
  return true;
}

std::optional<ItemCache::Dropped> ItemCache::Drop(absl::string_view key,
                                                  const GrantDeadline* deadline) {
  const uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  MutexLock lock(shard.mutex);
  Entry* const entry = shard.Find(hash, key);
  if (entry == nullptr || (deadline != nullptr && entry->deadline.get() != deadline)) {
    return std::nullopt;
  }
  Dropped dropped{std::string(key), entry->deadline, entry->fill};
  shard.Unlink(entry);
  ++shard.evicted;
  shard.CollectSome();
  return dropped;
}

std::vector<ItemCache::Dropped> ItemCache::Clear() {
  std::vector<Dropped> dropped;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    MutexLock lock(shard->mutex);
    while (!shard->queue.empty()) {
      Entry& front = shard->queue.front();
      dropped.push_back({std::string(front.key()), front.deadline, front.fill});
      shard->Unlink(&front);
    }
    shard->retired.Collect();
  }
  return dropped;
}

ItemCache::Statistics ItemCache::statistics() const {
  Statistics sum{.hits = sections_.counted()};
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
