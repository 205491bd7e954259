// A core's view of its log: the term of every entry, the newest entries themselves within a byte
// bound, and how far the log is durable. Knows nothing of elections or commitment.
//
// Invariants: base <= durable <= last. The cached entries are contiguous and end at last; every
// entry that is not durable is cached. The term runs cover exactly (base, last], first indexes and
// terms ascending.
//
// Not thread-safe; belongs to one Core.
#ifndef RINGLEADER_REPLICATION_CORE_LOG_H_
#define RINGLEADER_REPLICATION_CORE_LOG_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "replication/core_options.h"
#include "replication/types.h"

namespace ringleader::replication {

class CoreLog {
 public:
  CoreLog() = default;
  // Everything recovered is durable.
  CoreLog(const RecoveredState& recovered, uint64_t cache_bytes_max);

  LogPosition base() const { return base_; }
  LogPosition last() const { return {runs_.empty() ? base_.term : runs_.back().term, last_}; }
  Index durable() const { return durable_; }
  // The first entry that is in memory; last + 1 if none is.
  Index cache_first() const { return last_ + 1 - cache_.size(); }
  uint64_t cache_bytes() const { return cache_bytes_; }
  // Cost of the entries that are not yet durable.
  uint64_t undurable_bytes() const { return undurable_bytes_; }

  // The term of entry `index`, nothing if it is outside [base, last].
  std::optional<Term> TermAt(Index index) const;
  bool Matches(LogPosition position) const { return TermAt(position.index) == position.term; }
  // The highest index <= `from.index` whose term is at most from.term: where a log that has
  // from.term at from.index may agree with this one at best (fast backtracking, Raft section 5.3).
  // Not below the base.
  LogPosition HighestPossibleMatch(LogPosition from) const;

  // Entries first..last from memory, stopping before bytes_max is passed (at least one).
  // cache_first() <= first <= last <= this log's last.
  std::vector<Entry> Cached(Index first, Index last, uint64_t bytes_max) const;
  const Entry& CachedEntry(Index index) const;

  // entries.front().index == last + 1, contiguous, terms not below last's.
  void Append(std::vector<Entry> entries);
  // Drops the entries at and after `first`, base < first.
  void Truncate(Index first);
  // Everything up to `index` is durable; base <= index <= last.
  void SetDurable(Index index);
  // Drops the log: it continues after `position`, which is covered by a snapshot. base and durable
  // are `position` at once; Core holds acknowledgements back until the snapshot itself is durable.
  void Reset(LogPosition position);
  // Drops what is up to `index`, base <= index <= durable.
  void Compact(Index index);
  // Drops durable entries from memory, oldest first, until the byte bound is kept.
  void TrimCache();

 private:
  LogPosition base_;
  Index last_ = 0;
  Index durable_ = 0;
  std::vector<TermRun> runs_;
  std::deque<Entry> cache_;
  uint64_t cache_bytes_ = 0;
  uint64_t undurable_bytes_ = 0;
  uint64_t cache_bytes_max_ = 0;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_CORE_LOG_H_
