// The durable log of a node: one for all its Raft groups, so that one sync serves every group
// (DESIGN section 6). It keeps entries and, per group, term and vote, the snapshot's commit point,
// the compacted position, its creation and its tombstone. Built to tell a torn write from
// corruption and to survive any single bad block without losing that distinction: "Protocol-Aware
// Recovery for Consensus-Based Storage", Alagappan et al., FAST 2018, sections 3.3 and 3.4. Format,
// recovery and arithmetic: replication/log.md.
//
//   ASSIGN_OR_RETURN(std::unique_ptr<Log> log, Log::Open(file_system, directory, options));
//   for (const GroupState& group : log->Groups()) ...
//   RETURN_IF_ERROR(log->Write({GroupWrite{.group = 7, .hard_state = HardState{3, 1}}}));
//   // durable now
//
// Thread-safe. Write and Reclaim wait for each other: nearly all come from one LogWriter, but a
// replica that is opened again may write as well. Everything else runs beside them: it sees a batch
// either not at all or whole, and only once it is durable. Reads wait for the disk; nothing else
// waits for a write or a sync.
//
// Invariants
//   1. A batch is one write of whole 4-KiB blocks that no other batch shares, then one sync. A
//   block
//      that was synced is never written again.
//   2. A batch is written only after the sync of the one before it succeeded. So one valid block of
//      a later batch proves that every earlier batch was durable.
//   3. Everything but the entries' payloads is written twice, in different blocks.
//   4. A file is removed only after a durable batch says that the log begins behind it.
#ifndef RINGLEADER_REPLICATION_LOG_H_
#define RINGLEADER_REPLICATION_LOG_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "replication/log_types.h"

namespace ringleader::replication {

// Bounds that the format and the index rely on.
inline constexpr uint64_t kEntryBytesMax = 32ull << 20;
inline constexpr uint64_t kPlanBytesMax = 64ull << 10;

struct LogOptions {
  // Whose log this is: opening one that says otherwise is refused. Neither may be 0.
  uint64_t cluster = 0;
  NodeId node = 0;
  // A segment is closed when the next batch would make it longer; one batch alone may exceed it.
  // 64 KiB to 1 GiB.
  uint64_t segment_bytes = 32ull << 20;
  // A batch's entry payloads together. 64 KiB to 256 MiB.
  uint64_t batch_bytes_max = 64ull << 20;
  // Kept free in the current segment for batches without entries: when the disk is full, votes and
  // the compactions that free space still get through. At most a quarter of segment_bytes.
  uint64_t reserve_bytes = 1ull << 20;
  // Reclaim has work to do while the files together are longer than this, or are more than twice as
  // many as this has segments: each start of the process leaves a short one. At least four
  // segments. Opening reads all of it before anybody is served (log.md, "Arithmetic").
  uint64_t log_bytes_target = 128ull << 20;
  // Blocks that the device can't read count as damaged only if it still can't after these pauses.
  // Null `sleep`: there are none.
  std::vector<Duration> reread_after{std::chrono::seconds(1), std::chrono::seconds(2),
                                     std::chrono::seconds(4), std::chrono::seconds(8)};
  std::function<void(Duration)> sleep;
  // Where the segments' salts come from. 0 takes the kernel's entropy; the simulator gives a seed.
  uint64_t entropy = 0;
  // Measures syncs. Null takes SystemClock().
  Clock* clock = nullptr;
};

// What Open found, beyond what each GroupState says: for the operator's log and metrics.
struct LogReport {
  bool created = false;            // there was no log
  uint64_t segments = 0;           // files read
  uint64_t batches = 0;            // batches replayed
  uint64_t bytes = 0;              // their length
  uint64_t bad_blocks = 0;         // metadata blocks lost whose copy was intact
  uint64_t unreadable_blocks = 0;  // that the device did not give, whatever they hold
  uint64_t corrupt_entries = 0;    // over all groups
  uint64_t entries_in_doubt = 0;   // over all groups
  bool torn_tail = false;          // the last batch never completed and was dropped
  // Proven batches of which not even the table of contents is left. Groups that existed are
  // suspect; a group created in such a batch is unknown. `lost_history` is true from then on for
  // the life of this directory: the node must not let an unknown replica appear anew as a voter.
  uint64_t batches_lost = 0;
  bool lost_history = false;
  std::vector<std::string> notes;  // one sentence for each thing found, at most kNotesMax
  static constexpr size_t kNotesMax = 64;
};

struct LogStatistics {
  uint64_t segments = 0;
  uint64_t bytes = 0;       // length of the files
  bool is_long = false;     // Reclaim has work, as log_bytes_target says
  uint64_t live_bytes = 0;  // payloads of entries not compacted
  uint64_t live_entries = 0;
  uint64_t batches = 0;  // since Open, as are all below
  uint64_t entries = 0;
  uint64_t payload_bytes = 0;
  uint64_t written_bytes = 0;  // to the file system; over payload_bytes it is write amplification
  uint64_t zeroed_bytes = 0;   // besides: ahead of batches (log.md, "Arithmetic")
  uint64_t syncs = 0;
  Duration sync_total{0};
  Duration sync_longest{0};
  uint64_t reclaimed_bytes = 0;  // payloads copied forward
  uint64_t segments_removed = 0;
  uint64_t read_errors = 0;   // entries that failed their checksum or could not be read
  uint64_t out_of_space = 0;  // batches refused before anything was written
};

// What one step of a scrub has read and found.
struct LogScrub {
  uint64_t segment = 0;         // 0: there is none left
  uint64_t bytes = 0;           // read
  uint64_t bad_blocks = 0;      // of headers and pages
  uint64_t bad_entries = 0;     // that live, and can't be read
  std::vector<GroupId> groups;  // whose entries these are
};

// A group whose entries keep the oldest segment alive.
struct LogPin {
  GroupId group = 0;
  uint64_t entries = 0;
  Index last = 0;  // compacting to here would end the pin
};

class Log {
 public:
  // Opens the log in `directory`, creating directory and log if there is none; recovers it, writes
  // what was recovered from the last batch into a new segment and syncs before it returns.
  //   FAILED_PRECONDITION  it belongs to another cluster or node, or a newer version wrote it
  //   UNAVAILABLE          another process has it open
  //   RESOURCE_EXHAUSTED   no space for the new segment; nothing was changed
  //   anything else        the file system failed
  // Damage is no error: see GroupState and report(). `file_system` and the clock outlive the log.
  static absl::StatusOr<std::unique_ptr<Log>> Open(FileSystem& file_system,
                                                   absl::string_view directory,
                                                   const LogOptions& options);
  virtual ~Log() = default;

  // What Open found. Does not change.
  virtual const LogReport& report() const = 0;

  // All groups ever created here, tombstones included, ascending. Costs as much as there are runs
  // and damage.
  virtual std::vector<GroupState> Groups() const = 0;
  virtual std::optional<GroupState> Group(GroupId group) const = 0;

  // Writes the batch and syncs. An empty batch is written too: it proves the one before it.
  //   OK                  everything is durable and readable
  //   RESOURCE_EXHAUSTED  no space. Nothing was written and nothing changed; the same batch or
  //                       another may be tried later. Batches without entries go on for
  //                       reserve_bytes after the first refusal.
  //   INVALID_ARGUMENT    the batch is larger than batch_bytes_max, or an entry or plan larger than
  //                       its bound. Nothing was written and nothing changed.
  //   anything else       final: what is on disk is unknown. Every later call returns the same
  //   error
  //                       and the process must exit and recover by opening again.
  // A write that contradicts the log (a gap, an unknown group, a repair of another term) is a bug
  // of the caller and fails a CHECK.
  virtual absl::Status Write(absl::Span<const GroupWrite> batch) = 0;

  // Copies live entries out of the oldest segments, at most about `bytes_max` of payload, if the
  // log is too long (log_bytes_target). Returns how many bytes it copied; 0 when there is nothing
  // to do. Errors as Write; an entry that can't be read is from then on kCorrupt damage of its
  // group.
  virtual absl::StatusOr<uint64_t> Reclaim(uint64_t bytes_max) = 0;

  // Reads back the next sealed segment with a number above `after` and checks all of it: its header
  // and pages, and the payloads in it that live. An entry that can't be read is from then on
  // kCorrupt damage of its group. A segment that has anything bad is copied forward and removed by
  // the next calls of Reclaim, as both copies of a page may go bad in time. Takes as long as
  // reading the segment twice. An error: the file system failed, which is no damage.
  virtual absl::StatusOr<LogScrub> Scrub(uint64_t after) = 0;

  // Reads an entry again that could not be read: from now on it is kCorrupt damage of its group if
  // it can't be read now either. Whether it is damaged.
  virtual bool Distrust(GroupId group, Index index) = 0;

  // What its owner found shows that the log has forgotten something of this group: it is suspect
  // from now on, durably with the next checkpoint.
  virtual void Suspect(GroupId group) = 0;

  // Readable entries live in a segment in which a scrub found something bad, or in one before it:
  // Reclaim has work.
  virtual bool RewriteIsDue() const = 0;

  // The groups that keep the oldest segment alive, most entries first. Whoever can should flush and
  // compact these; Reclaim does the rest.
  virtual std::vector<LogPin> Pins() const = 0;

  // The entries first..last (both held by the log), cut after the one that makes the payloads
  // exceed `bytes_max`, but at least one; also cut before a damaged entry. Checksums are verified.
  //   OUT_OF_RANGE  `first` is compacted, or `last` past the end, or the group unknown or destroyed
  //   DATA_LOSS     the entry `first` is damaged, or can't be read: repair it (GroupWrite::repairs)
  virtual absl::StatusOr<std::vector<Entry>> Read(GroupId group, Index first, Index last,
                                                  uint64_t bytes_max) const = 0;

  // The term of an entry that the log holds, damaged or not, or of the compacted position.
  // OUT_OF_RANGE for every other index.
  virtual absl::StatusOr<Term> TermAt(GroupId group, Index index) const = 0;

  virtual LogStatistics statistics() const = 0;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_H_
