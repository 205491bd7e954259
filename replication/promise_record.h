// Until when the processes that ran here may have promised something to a leader, so that the next
// one keeps silent only for what is left of it (core.md).
//
// A follower that answers a leader promises to vote for nobody else for an election timeout. It
// keeps that in memory, so whoever restarts has to be silent for as long, counted from the last
// moment at which the process before may have promised. That moment is not known of a process that
// was killed, unless it said before it spoke how long it would speak:
//
//   - The file says "until T", T a little in the future, and is written anew at every tick.
//   - What the process sends is dropped while the file does not say that it may be sent now: a
//     process that stood still, or whose disk does, is mute until it has written again.
//   - So every leader that was answered had asked before T (it asks before it is answered).
//
// A killed process's writes stay in the system's memory, and with the machine's power goes the id
// of its boot, by which the next process knows that the clocks began anew: so no write waits for
// the disk. Now and then the file is synced all the same, apart from the writes, as the system
// tells only then of a write that it took and then lost. No record, a damaged one or one of another
// boot: nothing is known of the process before.
//
// A file that can't be written, or not soon, is removed instead: then nothing is claimed, and
// nothing is dropped.
//
//   file             magic, Clock::BootId(), T by the raw clock and by the boot-time clock in ns,
//                    CRC-32C of these; fixed widths, little-endian
#ifndef RINGLEADER_REPLICATION_PROMISE_RECORD_H_
#define RINGLEADER_REPLICATION_PROMISE_RECORD_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/file_system.h"

namespace ringleader::replication {

class PromiseRecord {
 public:
  // How far ahead it says: a disk that keeps a write of one block for longer mutes the process, and
  // a restart waits for that much longer.
  static constexpr Duration kAhead = std::chrono::milliseconds(500);

  // Reads what the process before left at `path`, and says that this one may speak. All outlive it.
  PromiseRecord(FileSystem& file_system, Clock& clock, std::string path);

  // Since when certainly nobody has promised anything here; may be in the future by kAhead. None:
  // that is not known.
  std::optional<Instant> silent_since() const { return silent_since_; }

  // At every tick, on one thread. Blocks where writing a file does.
  void Extend();

  // Tells of writes that were lost. On another thread than Extend; blocks on the disk.
  void Sync();
  // The disk holds Extend up: claims nothing any more, if the file can be removed. Any thread.
  void Withdraw(const absl::Status& why);

  // Whether a message may leave now. Any thread.
  bool MaySpeak() const;

 private:
  void Read();
  void Create();
  absl::Status Write(const Instant& until);

  FileSystem& file_system_;
  Clock& clock_;
  const std::string path_;
  const uint64_t boot_id_;
  std::optional<Instant> silent_since_;
  std::unique_ptr<WritableFile> file_;    // null: it could not be made or written
  std::unique_ptr<WritableFile> synced_;  // the same file
  std::atomic<bool> is_claiming_{true};   // false: there is no record
  std::atomic<int64_t> until_raw_ns_{INT64_MIN};
  std::atomic<int64_t> until_boot_ns_{INT64_MIN};
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_PROMISE_RECORD_H_
