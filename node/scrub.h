// The scrub: reads every sealed log segment and every table file of this node again and again, at a
// bounded rate, so that a block that went bad is found while the group's other copies are good, and
// not by the read that needs it.
//
//   what is bad                     what is done
//   a log entry that is applied     flushed until it is dropped from the log
//   any other log entry             the replica is opened again and gets it from its peers, if it
//                                   has any
//   a header or page of a segment   what lives in the segment is copied forward, it is removed
//   a table file, or a MANIFEST     reported to the coordinators, which have the replica rebuilt
//                                   from its peers once all of these are well
//
// Threads: Start, Rebuild and Collect from any; the rest are tasks of `executor`, which may block
// on the disk and is nobody else's. The destructor when the executor and the runtime's have
// stopped.
#ifndef RINGLEADER_NODE_SCRUB_H_
#define RINGLEADER_NODE_SCRUB_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/counters.h"
#include "common/executor.h"
#include "common/metrics.h"
#include "node/registry.h"
#include "node/store.h"
#include "replication/runtime.h"

namespace ringleader {

struct ScrubOptions {
  // From the beginning of one pass to the next; a pass that takes longer is followed at once by the
  // next. 0: never.
  Duration period = std::chrono::hours(24);
  // From the start to the first pass. Opening has just read the log, and a group that waits for its
  // leader needs the processor more.
  Duration first_pass_after = std::chrono::minutes(1);
  uint64_t bytes_per_second_max = 16 << 20;
  // So long after a flush it is looked whether it has dropped the bad entry from the log.
  Duration flush_within = std::chrono::seconds(5);
};

class Scrub {
 public:
  // All outlive it.
  Scrub(const ScrubOptions& options, const StorePlace& place, replication::Runtime& runtime,
        Registry& registry, Executor& executor);

  void Start();
  // Drops the replica's state for a file that was reported, if that is still bad.
  void Rebuild(replication::GroupId group, replication::ReplicaId replica,
               const std::string& bad_file);
  void Collect(MetricSink& sink) const;

  uint64_t passes() const { return passes_.load(); }
  uint64_t problems() const;

 private:
  struct File {
    std::shared_ptr<replication::Replica> replica;
    std::string path;
  };

  void BeginPass();
  void ReadSegment(uint64_t after);
  void MendLog(const replication::LogScrub& found);
  void FlushAway(replication::GroupId group);
  void CheckMended(replication::GroupId group);
  void ListDatabases();
  void ListFiles();
  void ReadFile();
  void IfStillBad(const File& file, std::function<void(const absl::Status& why)> then);
  void Report(const File& file, const absl::Status& why);
  void EndPass();
  // Goes on after as long as reading so much takes at the rate.
  void After(uint64_t bytes, Task next);

  const ScrubOptions options_;
  const StorePlace place_;
  replication::Runtime& runtime_;
  Registry& registry_;
  Executor& executor_;

  Instant pass_began_;
  std::set<replication::GroupId> mending_;  // have bad log entries, which are looked after
  std::deque<std::shared_ptr<replication::Replica>> replicas_;  // whose files are not listed yet
  std::deque<File> files_;                                      // to be read

  StripedCounter log_bytes_;
  StripedCounter table_bytes_;
  StripedCounter bad_blocks_;
  StripedCounter bad_entries_;
  StripedCounter bad_files_;
  std::atomic<uint64_t> passes_ = 0;
  std::atomic<int64_t> last_pass_us_ = 0;  // since 1970; 0: none yet
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_SCRUB_H_
