// Decides how a replica with an open promise writes the entries that its leader sends it again.
//
// Such a replica lost readable entries somewhere in a log that ends at its promise
// (core_options.h), and the core starts over from the intact part. If what the leader sends were
// written as ordinary entries, the first of them would truncate the log on disk, and with it the
// record of how far the promise goes: a crash before the rest arrived would turn acknowledged
// entries into entries that never were. So an entry that the log already holds at the same index
// with the same term is written as a repair, which truncates nothing. The first that differs shows
// that the leader's log is another one; from there on the promise is void (the entry it stood for
// was not committed) and writing goes on as usual.
//
// Not thread-safe.
#ifndef RINGLEADER_REPLICATION_REPAIR_TRACKER_H_
#define RINGLEADER_REPLICATION_REPAIR_TRACKER_H_

#include <utility>
#include <vector>

#include "replication/log_types.h"
#include "replication/types.h"

namespace ringleader::replication {

class RepairTracker {
 public:
  // `state`: what the log recovered. Nothing to track if it has no damage and the state machine's
  // state is there; a replica that lost its state starts over behind a snapshot with its whole log
  // still on disk.
  explicit RepairTracker(const GroupState& state, bool state_lost = false) {
    if (state.damage.empty() && !state_lost) return;
    active_ = true;
    runs_ = state.runs;
    first_ = state.first_index();
    last_ = state.promised.index;
  }

  bool active() const { return active_; }

  // Moves the leading entries that the log already holds into write.repairs, the others into
  // write.entries.
  void Split(std::vector<Entry> entries, GroupWrite& write) {
    for (Entry& entry : entries) {
      if (active_ && write.entries.empty() && Holds(entry)) {
        write.repairs.push_back(std::move(entry));
      } else {
        active_ = false;  // the log on disk ends before this entry once the write is made
        write.entries.push_back(std::move(entry));
      }
    }
  }

  // The promise is settled: true, once, if what is left of the old log has to be cut off.
  bool Settle() { return std::exchange(active_, false); }

 private:
  bool Holds(const Entry& entry) const {
    if (entry.index < first_ || entry.index > last_) return false;
    Term term = 0;
    for (const TermRun& run : runs_) {
      if (run.first <= entry.index) term = run.term;
    }
    return term == entry.term;
  }

  bool active_ = false;
  std::vector<TermRun> runs_;
  Index first_ = 0;
  Index last_ = 0;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_REPAIR_TRACKER_H_
