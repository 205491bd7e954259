#include "node/sessions.h"

#include <algorithm>

#include "common/check.h"

namespace ringleader {
namespace {

// Whether one more would be too many once those below `lowest` are gone. Looks at no more of them
// than have to go.
bool IsFull(const SessionRecord& record, uint64_t lowest) {
  size_t kept = record.results.size();
  for (const auto& [sequence, result] : record.results) {
    if (kept < kSessionResultsMax || sequence >= lowest) break;
    --kept;
  }
  return kept >= kSessionResultsMax;
}

}  // namespace

void SessionTable::Load(SessionRecord record) {
  by_age_.insert({record.elapsed_us, record.session});
  const uint64_t session = record.session;
  CHECK(records_.emplace(session, std::move(record)).second) << "session " << session << " twice";
}

SessionTable::Answer SessionTable::Find(uint64_t session, uint64_t sequence,
                                        uint64_t lowest) const {
  const auto found = records_.find(session);
  if (found == records_.end()) {
    return {records_.size() < kSessionsMax ? Known::kNew : Known::kFull, nullptr};
  }
  const SessionRecord& record = found->second;
  const auto result = record.results.find(sequence);
  if (result != record.results.end()) return {Known::kDone, &result->second};
  if (sequence < record.lowest) return {Known::kForgotten, nullptr};
  return {IsFull(record, lowest) ? Known::kFull : Known::kNew, nullptr};
}

void SessionTable::Apply(const Effect& effect, uint64_t index, int64_t elapsed_us) {
  const auto [place, fresh] = records_.try_emplace(effect.session);
  SessionRecord& record = place->second;
  if (fresh) {
    record.session = effect.session;
  } else {
    by_age_.erase({record.elapsed_us, effect.session});
  }
  record.elapsed_us = elapsed_us;
  by_age_.insert({elapsed_us, effect.session});
  record.lowest = std::max(record.lowest, effect.lowest);
  record.results.erase(record.results.begin(), record.results.lower_bound(record.lowest));
  StoredResult& result = record.results[effect.sequence];
  result.item_version = index;
  result.item = std::string(effect.item);
  CHECK(SetFlags(effect.flags, &result));
}

bool SessionTable::AnyExpired(int64_t elapsed_us) const {
  constexpr int64_t lifetime_us = kSessionLifetime / std::chrono::microseconds(1);
  return !by_age_.empty() && by_age_.begin()->first + lifetime_us < elapsed_us;
}

std::vector<uint64_t> SessionTable::Expire(int64_t elapsed_us) {
  std::vector<uint64_t> expired;
  while (AnyExpired(elapsed_us) && expired.size() < kExpiredPerEntryMax) {
    expired.push_back(by_age_.begin()->second);
    records_.erase(by_age_.begin()->second);
    by_age_.erase(by_age_.begin());
  }
  return expired;
}

const SessionRecord* SessionTable::Record(uint64_t session) const {
  const auto found = records_.find(session);
  return found == records_.end() ? nullptr : &found->second;
}

}  // namespace ringleader
