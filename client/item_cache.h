// Items in the application's own memory, each with the grant that allows to serve it
// (node/cache.md). A lookup takes no lock and makes no system call; it answers an item only if at
// some moment between its call and its return the item was certainly current.
//
// How a lookup knows. It finds the entry, loads the entry's deadline, looks whether the entry is
// still in its place, and only then at the clock. Each step has its order:
//   - The clock last: a process may stand still between any two steps.
//   - The deadline before the second look at the entry: an invalidation takes the entry out before
//     its lane can extend the deadline, so a deadline that was extended behind an invalidation
//     comes with an entry that is gone. (Looking the deadline up last is wrong, though each of the
//     two checks holds when it is made; the model in tests/model found it.)
//
// Bounded in bytes. What is worth a grant is decided by how often it was asked for lately: a key is
// admitted if it was asked for more often than the one that would make room for it.
//
// Thread-safe. Lookups run beside everything; changes of a shard take its lock.
#ifndef RINGLEADER_CLIENT_ITEM_CACHE_H_
#define RINGLEADER_CLIENT_ITEM_CACHE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "client/frequency_sketch.h"
#include "client/grant_deadline.h"
#include "client/read_sections.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/mutex.h"
#include "model/packed_item.h"

namespace ringleader::client {

struct ItemCacheOptions {
  // Keys, items and what an entry costs beside them.
  uint64_t bytes_max = 64 << 20;
  // A power of two; at most: a small memory has fewer, as one shard's part must hold a whole item.
  size_t shards = 64;
};

class ItemCache {
 public:
  // kOver is a miss too: there is an entry, but its grant has run out.
  enum class Found : uint8_t { kMiss, kOver, kAbsent, kItem };
  static bool IsMiss(Found found) { return found == Found::kMiss || found == Found::kOver; }
  struct Statistics {
    uint64_t hits = 0;
    uint64_t inserted = 0;
    uint64_t refused = 0;      // not asked for often enough
    uint64_t invalidated = 0;  // taken back
    uint64_t evicted = 0;      // let go of, of this process's own accord
    uint64_t entries = 0;
    uint64_t bytes = 0;
  };

  // The clock outlives it.
  ItemCache(Clock& clock, const ItemCacheOptions& options);
  ~ItemCache();

  // `key`: the whole key, as the partition has it. With `stale_max` above 0 the answer may be old
  // by as much. An item is given to `read`, where it stays for the call only: until that returns
  // nothing that was unlinked meanwhile is freed.
  Found Lookup(absl::string_view key, Duration stale_max, uint64_t* version,
               absl::FunctionRef<void(model::PackedItem item)> read);
  // Inside a section of sections() that nothing else is counted by.
  Found Lookup(ReadSections::Section& section, absl::string_view key, Duration stale_max,
               uint64_t* version, absl::FunctionRef<void(model::PackedItem item)> read);
  // For a reader that walks memory of its owner's too.
  ReadSections& sections() const { return sections_; }

  // After a miss: counts that the key was asked for, and says whether it is worth a grant.
  bool IsWorthAGrant(absl::string_view key, size_t bytes_expected);

  // What left memory though its grant was not taken back, and that no lookup that begins finds.
  struct Dropped {
    std::string key;
    std::shared_ptr<const GrantDeadline> deadline;
    uint64_t fill = 0;
  };
  // What the lane brought, in its order. No item: it is known that there is none. An entry of the
  // key is replaced. `fill`: the lane's number, which tells this grant from others. Returns what
  // made room for it, or itself if it was not taken: none of it is held any more.
  std::vector<Dropped> Insert(absl::string_view key, const std::optional<model::Item>& item,
                              uint64_t version, std::shared_ptr<const GrantDeadline> deadline,
                              uint64_t fill);
  // When it returns no lookup that begins finds the entry: the invalidation may be acknowledged.
  // Only an entry with this deadline; null: whichever. False: there is none.
  bool Erase(absl::string_view key, const GrantDeadline* deadline);
  // The same for what nobody took back: it can be given back.
  std::optional<Dropped> Drop(absl::string_view key, const GrantDeadline* deadline);

  // When it returns no lookup that begins finds anything.
  std::vector<Dropped> Clear();

  // What memory has of a key, for who watches over it: no lookup is counted, and nothing stays
  // longer for it. None: it has nothing.
  struct Held {
    bool is_absent = false;  // it is known that there is no item
    bool is_over = false;    // no lookup answers it any more
    uint64_t version = 0;
    GrantOrigin origin;
  };
  std::optional<Held> Peek(absl::string_view key) const;

  Statistics statistics() const;

 private:
  struct Entry;
  struct Shard;

  Shard& ShardOf(uint64_t hash) const;

  Clock& clock_;
  const ItemCacheOptions options_;
  mutable ReadSections sections_;  // of all shards; they count the hits
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_ITEM_CACHE_H_
