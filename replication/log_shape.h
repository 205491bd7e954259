// The outline of one group's log: where it begins and ends and the term of every entry, without the
// entries. Both the index and the check of a batch before it is written change outlines by these
// same steps, so they can't disagree.
//
// Not thread-safe. A value: copying it is cheap (few terms are alive at a time).
#ifndef RINGLEADER_REPLICATION_LOG_SHAPE_H_
#define RINGLEADER_REPLICATION_LOG_SHAPE_H_

#include <optional>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "replication/log_types.h"

namespace ringleader::replication {

// Invariants: runs ascend; the first begins at compacted.index + 1; there are none exactly if
// last == compacted.index.
class LogShape {
 public:
  LogShape() = default;
  // `runs` fit compacted and last as the invariants say.
  LogShape(const LogPosition& compacted, Index last, const std::vector<TermRun>& runs)
      : compacted_(compacted), last_(last), runs_(runs.begin(), runs.end()) {}

  const LogPosition& compacted() const { return compacted_; }
  Index first() const { return compacted_.index + 1; }
  Index last() const { return last_; }
  LogPosition last_position() const {
    return runs_.empty() ? compacted_ : LogPosition{runs_.back().term, last_};
  }
  bool Holds(Index index) const { return index > compacted_.index && index <= last_; }
  std::vector<TermRun> runs() const { return {runs_.begin(), runs_.end()}; }

  // Of an entry held or of the compacted position.
  std::optional<Term> TermAt(Index index) const;

  // compacted().index <= index. Past the end, nothing happens.
  void TruncateAfter(Index index);
  void Append(Term term);
  // Held, or already compacted and then nothing happens.
  void CompactTo(Index index);
  // GroupWrite::snapshot: what follows `position` stays if it is held, else nothing does.
  void RestartAfter(const LogPosition& position);

 private:
  LogPosition compacted_;
  Index last_ = 0;
  absl::InlinedVector<TermRun, 2> runs_;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_SHAPE_H_
