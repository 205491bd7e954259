#include "node/lease_gate.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/mutants.h"

namespace ringleader {

Duration GrantLifeMax(const LeaseOptions& options) {
  const Duration rest = options.lease_term - options.margin;
  return Duration(static_cast<int64_t>(static_cast<double>(rest.count()) * (1 - options.drift)));
}

LeaseGate::LeaseGate(const LeaseOptions& options, replication::Term term, const Instant& began,
                     const Eras& eras)
    : options_(options),
      life_max_(GrantLifeMax(options)),
      term_(term),
      began_(began),
      before_(MUTANT("no-wait-at-failover") ? EraBuckets() : eras.Before(term)),
      before_term_(eras.LeaseTermBefore(term)) {
  if (before_term_ > options.lease_term && MUTANT("waits-own-lease-term")) {
    before_term_ = options.lease_term;
  }
  CHECK(life_max_ > Duration(0)) << "a lease term of nothing but margin";
  CHECK_LE(options.lease_term, Duration(std::chrono::milliseconds(kLeaseTermMaxMs)));
}

// --- Writes
// ---------------------------------------------------------------------------------------

bool LeaseGate::Enter(absl::string_view key, const Instant& now,
                      std::vector<Invalidation>* to_send) {
  // Writes of one key keep their order: behind those that are parked.
  if (!blocked_.empty() && blocked_.contains(key)) return false;
  const uint16_t bucket = EraBucketOf(key);
  if (bucket_keys_[bucket] == 0 && !before_[bucket]) return true;
  if (const auto held = keys_.find(key); held != keys_.end()) Invalidate(held, to_send);
  if (IsOpen(key, now)) return true;
  blocked_.emplace(key);
  return false;
}

bool LeaseGate::IsUntouched(absl::string_view key) const {
  const uint16_t bucket = EraBucketOf(key);
  if (bucket_keys_[bucket] != 0 || before_[bucket]) return false;
  return blocked_.empty() || !blocked_.contains(key);
}

std::optional<Duration> LeaseGate::UntilOpening(const Instant& now) const {
  std::optional<Duration> soonest;
  for (const std::string& name : blocked_) {
    Duration last(0);
    if (before_[EraBucketOf(name)]) last = UntilEarlierAreOver(now);
    if (const auto key = keys_.find(name); key != keys_.end()) {
      for (const Wait& wait : key->second.waits) last = std::max(last, UntilOver(wait.from, now));
    }
    soonest = std::min(last, soonest.value_or(last));
  }
  return soonest;
}

bool LeaseGate::EnterRange(absl::string_view start, absl::string_view limit, const Instant& now,
                           std::vector<Invalidation>* to_send) {
  if (closed_ranges_.emplace(start, limit).second) {
    for (const Keys::iterator key : InOrder(start, limit)) Invalidate(key, to_send);
  }
  // Nothing in the range is granted since: what is left of it is waited for.
  std::vector<Keys::iterator> waiting;
  for (auto name = waiting_.lower_bound(start); name != waiting_.end() && *name < limit; ++name) {
    waiting.push_back(keys_.find(*name));
  }
  bool open = EarlierAreOver(now);
  for (const Keys::iterator key : waiting) {
    DropWaits(key, now);
    open = open && key->second.waits.empty();
    EraseIfEmpty(key);
  }
  return open;
}

// From `start` to before `limit`; empty: to the end.
std::vector<LeaseGate::Keys::iterator> LeaseGate::InOrder(absl::string_view start,
                                                          absl::string_view limit) {
  std::vector<Keys::iterator> keys;
  for (auto key = keys_.begin(); key != keys_.end(); ++key) {
    if (key->first >= start && (limit.empty() || key->first < limit)) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end(),
            [](const auto& a, const auto& b) { return a->first < b->first; });
  return keys;
}

void LeaseGate::LeaveRange(absl::string_view start) { closed_ranges_.erase(std::string(start)); }

std::optional<std::string> LeaseGate::NextOpened(const Instant& now, std::string* after) {
  auto key = after->empty() ? blocked_.begin() : blocked_.upper_bound(*after);
  while (key != blocked_.end() && !IsOpen(*key, now)) ++key;
  if (key == blocked_.end()) return std::nullopt;
  *after = *key;
  blocked_.erase(key);
  return *after;
}

bool LeaseGate::IsOpen(absl::string_view key, const Instant& now) {
  if (WaitsForEarlier(key, now)) return false;
  const auto held = keys_.find(key);
  if (held == keys_.end()) return true;
  CHECK(held->second.holders.empty()) << "a holder that was not told";
  DropWaits(held, now);
  const bool open = held->second.waits.empty();
  EraseIfEmpty(held);
  return open;
}

// The deadline is the session's as of now: what is granted later is queued behind this.
void LeaseGate::Invalidate(Keys::iterator key, std::vector<Invalidation>* to_send) {
  if (key->second.holders.empty()) return;
  Uncount(key);
  for (const CacheSessionId id : key->second.holders) {
    Session& session = sessions_.at(id);
    const uint64_t number = ++last_number_;
    session.keys.erase(key->first);
    session.invalidations.emplace(number, key->first);
    key->second.waits.push_back({id, number, session.confirmed});
    to_send->push_back({id, number, key->first});
  }
  key->second.holders.clear();
  Count(key);
}

// --- Grants
// ---------------------------------------------------------------------------------------

Duration LeaseGate::Life(const Instant& confirmed, const Instant& now) const {
  return std::max(Duration(0), life_max_ - std::max(Duration(0), HolderElapsed(confirmed, now)));
}

bool LeaseGate::InClosedRange(absl::string_view key) const {
  auto range = closed_ranges_.upper_bound(key);
  if (range == closed_ranges_.begin()) return false;
  --range;
  return key < range->second;
}

LeaseGate::Answer LeaseGate::Grant(CacheSessionId id, absl::string_view key, uint64_t fill,
                                   const Instant& confirmed, const Instant& now, bool pending,
                                   const Eras& eras) {
  if (revoking_) return {Refusal::kRevoking};
  const bool changing = pending || blocked_.contains(key) || InClosedRange(key);
  if (changing && !MUTANT("grants-while-pending")) return {Refusal::kPending};
  const uint16_t bucket = EraBucketOf(key);
  if (!eras.Covers(term_, bucket, options_.lease_term) && !MUTANT("grants-without-era"))
    return {Refusal::kNoEra};
  if (kept_.has_value() && !(*kept_)[bucket]) return {Refusal::kNoEra};
  const Duration life = Life(confirmed, now);
  if (life == Duration(0)) return {Refusal::kStale};
  auto session = sessions_.find(id);
  auto held = keys_.find(key);
  const Refusal bound = BoundMet(session, held, id);
  if (bound != Refusal::kNone) return {bound};
  if (session == sessions_.end()) {
    session = sessions_.emplace(id, Session{.confirmed = confirmed}).first;
  }
  if (held == keys_.end()) {
    held = keys_.emplace(std::string(key), Key()).first;
    ++bucket_keys_[bucket];
  }
  Uncount(held);
  held->second.holders.insert(id);
  Count(held);
  session->second.keys.insert_or_assign(std::string(key), fill);
  // Of two rounds the later one is waited for: never less than any grant was told.
  if (WaiterElapsed(session->second.confirmed, confirmed) > Duration(0)) {
    session->second.confirmed = confirmed;
  }
  return {Refusal::kNone, life};
}

// What stands against one more holder; end: of a session, or a key, that is not there yet.
LeaseGate::Refusal LeaseGate::BoundMet(Sessions::const_iterator session, Keys::const_iterator held,
                                       CacheSessionId id) const {
  if (session == sessions_.end() && sessions_.size() >= options_.sessions_max) {
    return Refusal::kSessions;
  }
  if (held == keys_.end() && keys_.size() >= options_.keys_max) return Refusal::kKeys;
  if (held != keys_.end()) {
    if (held->second.holders.contains(id)) return Refusal::kNone;
    if (held->second.holders.size() >= options_.key_holders_max) return Refusal::kHolders;
  }
  if (session != sessions_.end() && session->second.keys.size() >= options_.session_keys_max) {
    return Refusal::kKeys;
  }
  return counts_.holders >= options_.holders_max ? Refusal::kHolders : Refusal::kNone;
}

LeaseGate::Answer LeaseGate::Renew(CacheSessionId id, const Instant& confirmed,
                                   const Instant& now) {
  if (revoking_) return {Refusal::kRevoking};
  const auto session = sessions_.find(id);
  if (session == sessions_.end() || session->second.keys.empty()) return {Refusal::kStale};
  const Duration life = Life(confirmed, now);
  if (life == Duration(0)) return {Refusal::kStale};
  if (WaiterElapsed(session->second.confirmed, confirmed) > Duration(0)) {
    session->second.confirmed = confirmed;
  }
  return {Refusal::kNone, life};
}

bool LeaseGate::Returned(CacheSessionId id, absl::string_view key, uint64_t fill) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return false;
  const auto granted = session->second.keys.find(key);
  if (granted == session->second.keys.end() || granted->second != fill) return false;
  session->second.keys.erase(granted);
  const auto held = keys_.find(key);
  CHECK(held != keys_.end()) << "a key that nobody holds";
  RemoveHolder(held, id);
  EraseSessionIfEmpty(session);
  return true;
}

// --- Sessions
// -------------------------------------------------------------------------------------

void LeaseGate::Acknowledged(CacheSessionId id, uint64_t number) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  const auto invalidation = session->second.invalidations.find(number);
  if (invalidation == session->second.invalidations.end()) return;
  const auto held = keys_.find(invalidation->second);
  session->second.invalidations.erase(invalidation);
  EraseSessionIfEmpty(session);
  if (held == keys_.end()) return;
  Uncount(held);
  std::erase_if(held->second.waits, [&](const Wait& wait) { return wait.number == number; });
  Count(held);
  EraseIfEmpty(held);
}

void LeaseGate::Ended(CacheSessionId id) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  for (const auto& [name, fill] : session->second.keys) {
    const auto held = keys_.find(name);
    CHECK(held != keys_.end());
    Uncount(held);
    held->second.holders.erase(id);
    WaitOut(session->second.confirmed, held->second.waits);
    Count(held);
  }
  // Its invalidations stay as they are: nobody acknowledges them any more.
  sessions_.erase(session);
}

// One wait for all that ended, until the latest of them is over: who comes and goes again and again
// leaves no more than that.
void LeaseGate::WaitOut(const Instant& from, std::vector<Wait>& waits) {
  const auto ended =
      std::find_if(waits.begin(), waits.end(), [](const Wait& wait) { return wait.number == 0; });
  if (ended == waits.end()) {
    waits.push_back({.from = from});
    return;
  }
  ended->from = {std::max(ended->from.raw, from.raw), std::max(ended->from.boot, from.boot)};
}

// --- The end of eras
// ------------------------------------------------------------------------------

bool LeaseGate::EarlierAreOver(const Instant& now) const {
  return before_.none() || UntilEarlierAreOver(now) <= Duration(0);
}

void LeaseGate::Revoke(std::vector<Invalidation>* to_send) {
  revoking_ = true;
  for (const Keys::iterator key : InOrder("", "")) Invalidate(key, to_send);
}

bool LeaseGate::IsRevoked(const Instant& now) {
  if (!revoking_ || !EarlierAreOver(now)) return false;
  Maintain(now);
  return keys_.empty();
}

EraBuckets LeaseGate::HeldBuckets() const {
  EraBuckets held;
  for (size_t bucket = 0; bucket < kEraBuckets; ++bucket) held[bucket] = bucket_keys_[bucket] > 0;
  return held;
}

void LeaseGate::Maintain(const Instant& now) {
  std::vector<Keys::iterator> waiting;
  waiting.reserve(waiting_.size());
  for (const absl::string_view name : waiting_) waiting.push_back(keys_.find(name));
  for (const Keys::iterator key : waiting) {
    DropWaits(key, now);
    EraseIfEmpty(key);
  }
}

// --- Bookkeeping
// ----------------------------------------------------------------------------------

// A key's part of the counts, around each change of its holders or waits.
void LeaseGate::Uncount(Keys::iterator key) {
  if (!key->second.holders.empty()) --counts_.keys;
  counts_.holders -= key->second.holders.size();
  counts_.waits -= key->second.waits.size();
}

void LeaseGate::Count(Keys::iterator key) {
  if (!key->second.holders.empty()) ++counts_.keys;
  counts_.holders += key->second.holders.size();
  counts_.waits += key->second.waits.size();
  if (key->second.waits.empty()) {
    waiting_.erase(key->first);
  } else {
    waiting_.insert(key->first);
  }
}

void LeaseGate::DropWaits(Keys::iterator key, const Instant& now) {
  if (key->second.waits.empty()) return;
  Uncount(key);
  std::erase_if(key->second.waits, [&](const Wait& wait) {
    if (!IsOver(wait.from, now)) return false;
    if (const auto session = sessions_.find(wait.session); session != sessions_.end()) {
      session->second.invalidations.erase(wait.number);
      EraseSessionIfEmpty(session);
    }
    return true;
  });
  Count(key);
}

void LeaseGate::EraseIfEmpty(Keys::iterator key) {
  if (!key->second.holders.empty() || !key->second.waits.empty()) return;
  uint32_t& keys = bucket_keys_[EraBucketOf(key->first)];
  CHECK_GT(keys, 0u);
  --keys;
  keys_.erase(key);
}

void LeaseGate::RemoveHolder(Keys::iterator key, CacheSessionId session) {
  Uncount(key);
  key->second.holders.erase(session);
  Count(key);
  EraseIfEmpty(key);
}

// A session is kept while it holds something or owes an acknowledgement.
void LeaseGate::EraseSessionIfEmpty(Sessions::iterator session) {
  if (session->second.keys.empty() && session->second.invalidations.empty()) {
    sessions_.erase(session);
  }
}

LeaseGate::Counts LeaseGate::counts() const {
  Counts counts = counts_;
  counts.sessions = sessions_.size();
  counts.blocked = blocked_.size();
  return counts;
}

LeaseGate::SessionCounts LeaseGate::CountsOf(CacheSessionId session) const {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return {};
  return {found->second.keys.size(), found->second.invalidations.size()};
}

std::vector<CacheSessionId> LeaseGate::HoldersOf(absl::string_view key) const {
  const auto held = keys_.find(key);
  if (held == keys_.end()) return {};
  return {held->second.holders.begin(), held->second.holders.end()};
}

}  // namespace ringleader
