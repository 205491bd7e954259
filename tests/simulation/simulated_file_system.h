// A machine's disk in memory, as bad as disks are and as reproducible as a seed: the FileSystem
// under every simulation and under the durability tests.
//
// What it models
//   - The page cache. Writes are visible at once; a crash keeps an arbitrary part of what was not
//     synced: each dirty 4-KiB block is kept, lost, or torn at 512-byte sectors, in any order; the
//     file's size is the synced or the latest one.
//   - Names. Each create, link, rename and remove since the last SyncDirectory is kept or lost by
//     itself.
//   - Failed syncs (fsyncgate): the dirty blocks are dropped, some of them having been written;
//   reads
//     show the new content until the crash.
//   - Crashes at the n-th operation: that operation takes effect in the cache or not, and it and
//   every
//     later call fail with UNAVAILABLE and change nothing until Restart(). Handles and locks from
//     before are dead for ever.
//   - Space: a byte budget; beyond it writes get RESOURCE_EXHAUSTED.
//   - Injected errors on reads, writes and syncs; flipped bits; bad blocks; misdirected writes.
//
// Not modelled: access rights, symbolic links, time.
//
// Thread-safe; deterministic if the calls are. Handles must not outlive it.
#ifndef RINGLEADER_TESTS_SIMULATION_SIMULATED_FILE_SYSTEM_H_
#define RINGLEADER_TESTS_SIMULATION_SIMULATED_FILE_SYSTEM_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/file_system.h"
#include "common/mutex.h"
#include "common/random.h"
#include "tests/simulation/simulated_file_bytes.h"

namespace ringleader {

class SimulatedFileSystem : public FileSystem {
 public:
  static constexpr uint64_t kBlockBytes = 4096;
  static constexpr uint64_t kSectorBytes = 512;

  enum class Operation { kRead, kWrite, kSync, kAllocate, kNames };

  // The root directory exists, and so does "." for relative paths (they are the same).
  explicit SimulatedFileSystem(uint64_t seed);
  ~SimulatedFileSystem() override;

  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(absl::string_view path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(absl::string_view path,
                                                             WriteMode mode) override;
  absl::StatusOr<bool> Exists(absl::string_view path) override;
  absl::StatusOr<uint64_t> FileSize(absl::string_view path) override;
  absl::Status Rename(absl::string_view from, absl::string_view to) override;
  absl::Status Link(absl::string_view existing, absl::string_view to) override;
  absl::Status RemoveFile(absl::string_view path) override;
  absl::Status CreateDirectory(absl::string_view path) override;
  absl::Status RemoveDirectory(absl::string_view path) override;
  absl::StatusOr<std::vector<std::string>> List(absl::string_view path) override;
  absl::StatusOr<bool> IsDirectory(absl::string_view path) override;
  absl::Status SyncDirectory(absl::string_view path) override;
  absl::StatusOr<uint64_t> FreeBytes(absl::string_view path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) override;

  // Crashes. A machine that crashed keeps failing until Restart, which decides what survived.
  void CrashAfter(uint64_t operations);  // the operation after that many more; 0: the next one
  // At the next sync of a file whose path contains `path_part`: what was written for it is in the
  // cache, and any part of that may be on the disk.
  void CrashAtSync(absl::string_view path_part);
  void CrashNow();
  void CrashNoMore();  // takes the first two back
  void Restart();      // also without a crash: a power cut at this moment
  // A restart of the process only: handles and locks die, the page cache stays.
  void RestartProcess();
  bool crashed() const;
  uint64_t operations() const;  // counted since construction, failed ones included

  // Errors. While set, an operation of that kind on a path that contains `path_part` fails with
  // `status`, after letting `skip` of them through, `count` times. Replaces the last one set.
  void InjectError(Operation operation, absl::string_view path_part, uint64_t skip, uint64_t count,
                   absl::Status status);
  void SetCapacity(uint64_t bytes);  // total; UINT64_MAX for none
  uint64_t UsedBytes() const;

  // Damage to what is there, in the cache and on the disk alike, as of now.
  void FlipBit(absl::string_view path, uint64_t bit);
  enum class BadBlock { kZeros, kNoise, kUnreadable };
  void DamageBlock(absl::string_view path, uint64_t block, BadBlock how);
  // The next write to a path that contains `path_part` lands `blocks` 4-KiB blocks further on; what
  // it should have replaced stays.
  void MisdirectNextWrite(absl::string_view path_part, int64_t blocks);
  void MisdirectNoWrite();
  uint64_t misdirected_writes() const;  // so far

  // Every file's path, sorted. For choosing what to damage.
  std::vector<std::string> Files() const;
  // The content as a reader sees it.
  std::string Content(absl::string_view path) const;

  // Of all operations so far with their arguments and outcomes: equal for equal runs.
  uint64_t trace_hash() const;

 private:
  friend class SimulatedRandomAccessFile;
  friend class SimulatedWritableFile;
  friend class SimulatedFileLock;
  struct Node;
  using NodePointer = std::shared_ptr<Node>;

  // A change of names that no SyncDirectory has made durable.
  struct NameChange {
    std::string removed;  // empty: none
    std::string added;    // empty: none
    NodePointer node;     // what `added` names
  };

  struct Node {
    bool is_directory = false;
    // A file.
    FileBytes cached;               // what readers see
    FileBytes durable;              // what is on the disk
    bool may_differ = false;        // these two
    bool has_lost_writes = false;   // by a failed sync: they differ where nothing is dirty
    SectorSet dirty;                // sectors that may differ and will be written some day
    std::set<uint64_t> unreadable;  // blocks
    // A directory.
    std::map<std::string, NodePointer> names;
    std::map<std::string, NodePointer> durable_names;
    std::vector<NameChange> changes;
    mutable uint64_t counted = 0;  // by which count of the used bytes
  };

  struct Fault {
    Operation operation = Operation::kRead;
    std::string path_part;
    uint64_t skip = 0;
    uint64_t count = 0;
    absl::Status status;
  };

  struct Place {
    NodePointer directory;
    std::string name;  // empty for the root itself
  };

  // Counts the operation; an error if the machine is down or goes down now, or a fault is set.
  absl::Status Begin(Operation operation, absl::string_view path, uint64_t detail = 0)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckHandle(uint64_t incarnation, absl::string_view path) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True if the crash that just happened lets the operation's effect into the cache.
  bool CrashKeepsEffect() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Trace(absl::string_view text, uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::StatusOr<Place> Resolve(absl::string_view path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<NodePointer> Find(absl::string_view path) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  NodePointer FileAt(absl::string_view path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddName(const Place& place, NodePointer node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveName(const Place& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t UsedBytesLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResizeCached(Node& node, uint64_t size_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status Resize(Node& node, absl::string_view path, uint64_t size_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteFile(Node& node, absl::string_view path, uint64_t offset,
                         absl::string_view data) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SyncFile(Node& node, absl::string_view path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<size_t> ReadAt(const Node& node, absl::string_view path, uint64_t offset,
                                absl::Span<char> out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void MarkDirty(Node& node, uint64_t from, uint64_t to);
  static void PersistSector(Node& node, uint64_t sector);
  void SettleFile(Node& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SettleDirectory(Node& directory) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SettleTree(Node& directory, std::set<Node*>& seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  NodePointer root_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> locks_ ABSL_GUARDED_BY(mutex_);
  uint64_t incarnation_ ABSL_GUARDED_BY(mutex_) = 0;  // of the process; handles carry theirs
  bool crashed_ ABSL_GUARDED_BY(mutex_) = false;
  bool crashing_ ABSL_GUARDED_BY(mutex_) = false;  // the operation under way is the crash's
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t crash_at_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  std::string crash_at_sync_ ABSL_GUARDED_BY(mutex_);  // empty: at none
  uint64_t capacity_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  // Of all that has a name; counted anew after names have changed.
  mutable uint64_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable bool names_changed_ ABSL_GUARDED_BY(mutex_) = true;
  Fault fault_ ABSL_GUARDED_BY(mutex_);
  std::string misdirected_ ABSL_GUARDED_BY(mutex_);
  int64_t misdirected_blocks_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t misdirected_writes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t trace_hash_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ringleader

#endif  // RINGLEADER_TESTS_SIMULATION_SIMULATED_FILE_SYSTEM_H_
