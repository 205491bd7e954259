#include "replication/core_log.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace ringleader::replication {

CoreLog::CoreLog(const RecoveredState& recovered, uint64_t cache_bytes_max)
    : base_(recovered.base),
      last_(recovered.last_index),
      durable_(recovered.last_index),
      runs_(recovered.term_runs),
      cache_(recovered.tail.begin(), recovered.tail.end()),
      cache_bytes_max_(cache_bytes_max) {
  CHECK_LE(base_.index, last_);
  CHECK_EQ(runs_.empty(), last_ == base_.index);
  LogPosition previous = base_;
  for (const TermRun& run : runs_) {
    CHECK(run.first > previous.index && run.first <= last_);
    CHECK(&run == &runs_.front() ? run.term >= previous.term : run.term > previous.term);
    previous = {run.term, run.first};
  }
  CHECK(runs_.empty() || runs_.front().first == base_.index + 1);
  CHECK_LE(cache_.size(), last_ - base_.index);
  for (size_t i = 0; i < cache_.size(); ++i) {
    CHECK_EQ(cache_[i].index, cache_first() + i);
    CHECK(Matches({cache_[i].term, cache_[i].index})) << "entry " << cache_[i].index;
    cache_bytes_ += CostBytes(cache_[i]);
  }
  TrimCache();
}

std::optional<Term> CoreLog::TermAt(Index index) const {
  if (index < base_.index || index > last_) return std::nullopt;
  if (index == base_.index) return base_.term;
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), index,
                       [](Index wanted, const TermRun& run) { return wanted < run.first; });
  return std::prev(after)->term;
}

LogPosition CoreLog::HighestPossibleMatch(LogPosition from) const {
  Index index = std::min(from.index, last_);
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    if (run->first > index) continue;
    if (run->term <= from.term) return {run->term, index};
    index = run->first - 1;
  }
  return base_;
}

std::vector<Entry> CoreLog::Cached(Index first, Index last, uint64_t bytes_max) const {
  CHECK(cache_first() <= first && first <= last && last <= last_);
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  for (Index index = first; index <= last; ++index) {
    const Entry& entry = CachedEntry(index);
    bytes += CostBytes(entry);
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry);
  }
  return entries;
}

const Entry& CoreLog::CachedEntry(Index index) const {
  CHECK(cache_first() <= index && index <= last_);
  return cache_[index - cache_first()];
}

void CoreLog::Append(std::vector<Entry> entries) {
  for (Entry& entry : entries) {
    CHECK_EQ(entry.index, last_ + 1);
    CHECK_GE(entry.term, last().term);
    if (runs_.empty() || entry.term > runs_.back().term) runs_.push_back({entry.index, entry.term});
    last_ = entry.index;
    cache_bytes_ += CostBytes(entry);
    undurable_bytes_ += CostBytes(entry);
    cache_.push_back(std::move(entry));
  }
}

void CoreLog::Truncate(Index first) {
  CHECK_GT(first, base_.index);
  while (last_ >= first) {
    if (!cache_.empty()) {
      const uint64_t bytes = CostBytes(cache_.back());
      cache_bytes_ -= bytes;
      if (last_ > durable_) undurable_bytes_ -= bytes;
      cache_.pop_back();
      --last_;
    } else {
      last_ = first - 1;
    }
  }
  while (!runs_.empty() && runs_.back().first > last_) runs_.pop_back();
  durable_ = std::min(durable_, last_);
}

void CoreLog::SetDurable(Index index) {
  CHECK_LE(index, last_);
  for (; durable_ < index; ++durable_) undurable_bytes_ -= CostBytes(CachedEntry(durable_ + 1));
}

void CoreLog::Reset(LogPosition position) {
  base_ = position;
  last_ = position.index;
  durable_ = position.index;
  runs_.clear();
  cache_.clear();
  cache_bytes_ = 0;
  undurable_bytes_ = 0;
}

void CoreLog::Compact(Index index) {
  if (index <= base_.index) return;
  CHECK_LE(index, durable_);
  base_ = {*TermAt(index), index};
  while (runs_.size() > 1 && runs_[1].first <= index + 1) runs_.erase(runs_.begin());
  if (last_ == index) {
    runs_.clear();
  } else {
    runs_.front().first = index + 1;
  }
  while (!cache_.empty() && cache_.front().index <= index) {
    cache_bytes_ -= CostBytes(cache_.front());
    cache_.pop_front();
  }
}

void CoreLog::TrimCache() {
  while (cache_bytes_ > cache_bytes_max_ && !cache_.empty() && cache_.front().index <= durable_) {
    cache_bytes_ -= CostBytes(cache_.front());
    cache_.pop_front();
  }
}

}  // namespace ringleader::replication
