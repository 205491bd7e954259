// Until when the process that ran here before may have promised something to a leader, so that the
// next one keeps silent only for what is left of it (core.md).
//
// A follower that answers a heartbeat promises to vote for nobody else for an election timeout. It
// keeps that in memory, so whoever restarts has to be silent for as long, counted from the last
// moment at which the process before may have promised. That moment is not known of a process that
// was killed, unless it said before it promised how long it would promise:
//
//   - The file says "until T", T a little in the future, and is written anew long before.
//   - While the file does not say that one may be made now, an answer to a heartbeat confirms
//     nothing, and says only that somebody is there: a process that stood still, or whose disk
//     does, promises nothing until it has written again.
//   - So every leader that was promised something had asked before T (it asks before).
//
// A killed process's writes stay in the system's memory, and with the machine's power goes the id
// of its boot, by which the next process knows that the clocks began anew: so no write waits for
// the disk. Now and then the file is synced all the same, apart from the writes, as the system
// tells only then of a write that it took and then lost. No record, a damaged one or one of another
// boot: nothing is known of the process before.
//
// The record lies in a directory that every process empties before it speaks, also one of a version
// that knows nothing of records: so it is always the last process's.
//
// A file that could not be made, written or synced once is not written any more (but for a write
// that is under way) and removed, and what it may say is kept to until it is gone; then nothing is
// claimed, and nothing withheld.
//
//   file             magic; T by the raw clock and by the boot-time clock in ns; CRC-32C of these
//                    and of the rest; Clock::BootId(). Fixed widths, little-endian
#ifndef RINGLEADER_REPLICATION_PROMISE_RECORD_H_
#define RINGLEADER_REPLICATION_PROMISE_RECORD_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/file_system.h"

namespace ringleader::replication {

class PromiseRecord {
 public:
  // How far ahead it says. A disk that keeps a write of one block for longer keeps the process from
  // promising, and a restart within that time waits for what is left of it.
  static constexpr Duration kAhead = std::chrono::seconds(1);
  static constexpr Duration kExtendEvery = std::chrono::milliseconds(100);
  static constexpr Duration kSyncEvery = std::chrono::seconds(5);

  // What the process before left at `path`: from then on certainly nobody has promised anything
  // here; may be in the future by kAhead. None: that is not known.
  static std::optional<Instant> Read(FileSystem& file_system, const Clock& clock,
                                     absl::string_view path);

  // Makes the record, in a directory in which nothing has that name, and says that this process may
  // promise. All outlive it.
  PromiseRecord(FileSystem& file_system, Clock& clock, std::string path);

  // Every kExtendEvery, on one thread. Blocks where writing a file does.
  void Extend();
  // Every kSyncEvery, on one thread, which may be another than Extend's. Blocks on the disk.
  void Sync();

  // Whether a promise may leave now. Any thread.
  bool MayPromise() const;

 private:
  enum class State : uint8_t {
    kClaiming,
    kEnding,  // to be removed
    kEnded,   // there is no record
  };

  absl::Status Write(const Instant& until);
  void Remove();
  void End(const absl::Status& why);

  FileSystem& file_system_;
  Clock& clock_;
  const std::string path_;
  const std::string boot_id_;
  std::unique_ptr<WritableFile> file_;    // Extend's
  std::unique_ptr<WritableFile> synced_;  // Sync's: the same file
  std::atomic<State> state_{State::kClaiming};
  std::atomic<int64_t> until_raw_ns_{INT64_MIN};
  std::atomic<int64_t> until_boot_ns_{INT64_MIN};
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_PROMISE_RECORD_H_
