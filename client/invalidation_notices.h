// Tells the application which items are in its memory no longer: for what it derived from them.
//
// A table of the entries that the item cache holds, kept by what the lanes report. A notice is due
// when an entry was taken back, evicted, replaced by another version, or when its grant has run
// out: from then on nobody tells this process of changes. What has run out is erased first, so that
// no later read finds it and counts on a notice.
//
// Invariants
//   1. Every entry that a lookup may find is in the table, or is put there in the same turn. Where
//      it leaves memory in that turn, it is put there and leaves it again: a lookup may have found
//      it in between. (Not that of a table that is gone: lookups see that the tables changed.)
//   2. What leaves the table left memory before, or stayed there as the same version. Only then is
//      its notice posted.
//
// Threads: that of the lanes, which never waits for the application: it is told on another
// executor. While kPendingMax notices wait for it nothing more comes into memory, so that those
// that wait are bounded by that and by the entries that there are.
#ifndef RINGLEADER_CLIENT_INVALIDATION_NOTICES_H_
#define RINGLEADER_CLIENT_INVALIDATION_NOTICES_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "client/grant_deadline.h"
#include "client/item_cache.h"
#include "common/clock.h"
#include "common/executor.h"
#include "model/table_schema.h"
#include "ringleader/client.h"

namespace ringleader::client {

class InvalidationNotices {
 public:
  static constexpr uint64_t kPendingMax = 10'000;

  // All outlive it. `application`: where the callback runs; stopped before this is destroyed.
  InvalidationNotices(InvalidationCallback callback, ItemCache& cache, Executor& application,
                      Clock& clock)
      : callback_(std::move(callback)), cache_(cache), application_(application), clock_(clock) {}

  // An entry came into memory, in the place of the one that was there. `schema`: its table's.
  void Inserted(absl::string_view key, uint64_t version,
                const std::shared_ptr<const GrantDeadline>& deadline,
                const model::TableSchema& schema);
  // The entry with this deadline is not in memory any more; null: whichever was there. Nothing, if
  // the table has another.
  void Gone(absl::string_view key, const GrantDeadline* deadline);

  // Whether the application keeps up with its notices.
  bool MayWatchMore() const { return pending_.load(std::memory_order_relaxed) < kPendingMax; }

  // Whether this version is in memory, and a notice will come.
  bool IsWatched(absl::string_view key, uint64_t version) const;

  // Lets go of what has run out, and gives it back; called every CacheLane::kTendPeriod. False:
  // there is nothing left.
  bool Tend(absl::FunctionRef<void(const ItemCache::Dropped&)> give_back);

 private:
  struct TableNames {
    std::string table;
    std::string partition;
    std::string sort;
  };
  struct Watched {
    uint64_t version = 0;
    std::shared_ptr<const GrantDeadline> deadline;
    std::shared_ptr<const TableNames> names;
  };
  using WatchedKeys = std::map<std::string, Watched, std::less<>>;

  void LetGo(WatchedKeys::iterator at);
  void Notify(const std::string& key, const TableNames& names);

  const InvalidationCallback callback_;
  ItemCache& cache_;
  Executor& application_;
  Clock& clock_;
  std::atomic<uint64_t> pending_{0};                             // notices
  std::map<uint64_t, std::shared_ptr<const TableNames>> names_;  // by id, of tables in keys_
  WatchedKeys keys_;
  // The same, by deadline: few deadlines, many keys.
  std::map<const GrantDeadline*, std::set<absl::string_view>> by_deadline_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_INVALIDATION_NOTICES_H_
