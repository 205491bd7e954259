// Write sessions: what makes a retried write harmless (DESIGN section 6, "Exactly once"; the idea
// is RIFL's: Lee et al., SOSP 2015).
//
// Part of the replicated state. Every replica holds the same table, in memory and, record by
// record, in the store; it changes only by applying entries, and expires by the partition's own
// count of elapsed time, which leaders measure with clocks that nobody sets.
//
// The arithmetic. A request may be evaluated until kRequestTimeoutMax after its arrival, and is
// retried by its originator no longer than that: a copy that arrives later than twice that after
// the first is nobody's. A session outlives that span since its newest write.
//
// Not thread-safe: the partition's applier.
#ifndef RINGLEADER_NODE_SESSIONS_H_
#define RINGLEADER_NODE_SESSIONS_H_

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "node/effects.h"
#include "node/records.h"

namespace ringleader {

inline constexpr Duration kRequestTimeoutDefault = std::chrono::seconds(10);
inline constexpr Duration kRequestTimeoutMax = std::chrono::minutes(5);
inline constexpr Duration kSessionLifetime = std::chrono::minutes(15);
static_assert(kSessionLifetime > 2 * kRequestTimeoutMax,
              "a session must outlive every copy of its requests");
inline constexpr size_t kSessionsMax = 65536;   // of a partition
inline constexpr int kExpiredPerEntryMax = 16;  // bounds the work of one entry

class SessionTable {
 public:
  enum class Known : uint8_t {
    kNew,        // to be evaluated
    kDone,       // `result` answers it
    kForgotten,  // below what the originator said is answered
    kFull,       // too many sessions, or too many results of this one that must be kept
  };
  struct Answer {
    Known known = Known::kNew;
    const StoredResult* result = nullptr;  // until the table changes
  };

  void Load(SessionRecord record);
  // `lowest` is what the request says of its session: once it is applied, no result below that is
  // kept, so none counts. A record holds at most kSessionResultsMax results and those of entries
  // that were under way as it was looked at.
  Answer Find(uint64_t session, uint64_t sequence, uint64_t lowest) const;

  // Takes a session effect of the entry at `index` in. Deterministic.
  void Apply(const Effect& effect, uint64_t index, int64_t elapsed_us);
  // Removes sessions whose time is over, the longest unused first, at most kExpiredPerEntryMax.
  // Deterministic. Returns them.
  std::vector<uint64_t> Expire(int64_t elapsed_us);
  // Expire would find some.
  bool AnyExpired(int64_t elapsed_us) const;

  // Null if there is none (any more).
  const SessionRecord* Record(uint64_t session) const;
  size_t size() const { return records_.size(); }

 private:
  std::map<uint64_t, SessionRecord> records_;
  std::set<std::pair<int64_t, uint64_t>> by_age_;  // elapsed_us, session
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_SESSIONS_H_
