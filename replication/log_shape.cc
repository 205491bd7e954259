#include "replication/log_shape.h"

#include <algorithm>

#include "common/check.h"

namespace ringleader::replication {

std::optional<Term> LogShape::TermAt(Index index) const {
  if (index == compacted_.index) return compacted_.term;
  if (!Holds(index)) return std::nullopt;
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), index,
                       [](Index wanted, const TermRun& run) { return wanted < run.first; });
  CHECK(after != runs_.begin());
  return std::prev(after)->term;
}

void LogShape::TruncateAfter(Index index) {
  CHECK_GE(index, compacted_.index);
  if (index >= last_) return;
  while (!runs_.empty() && runs_.back().first > index) runs_.pop_back();
  last_ = index;
}

void LogShape::Append(Term term) {
  ++last_;
  if (runs_.empty() || runs_.back().term != term) runs_.push_back({last_, term});
}

void LogShape::CompactTo(Index index) {
  if (index <= compacted_.index) return;
  const std::optional<Term> term = TermAt(index);
  CHECK(term.has_value()) << "compacting to " << index << " of a log that ends at " << last_;
  compacted_ = {*term, index};
  while (!runs_.empty() && (runs_.size() > 1 ? runs_[1].first - 1 : last_) <= index) {
    runs_.erase(runs_.begin());
  }
  if (!runs_.empty()) runs_.front().first = index + 1;
}

void LogShape::RestartAfter(const LogPosition& position) {
  if (TermAt(position.index) == position.term) {
    CompactTo(position.index);
    return;
  }
  compacted_ = position;
  last_ = position.index;
  runs_.clear();
}

}  // namespace ringleader::replication
