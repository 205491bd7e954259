// The file system as Ringleader uses it. Everything that keeps data (the Raft log, snapshots,
// LevelDB through an Env) reads and writes through this seam only, so that the simulator can put a
// disk underneath that loses, tears and corrupts (tests/simulation/simulated_file_system.h).
//
// What is durable when. A successful write is visible to every reader at once and durable only
// after a later Sync() of the same file succeeded: until then a crash may keep any part of it, in
// any order, in whole or torn blocks. A created, renamed, linked or removed NAME is durable only
// after SyncDirectory() of the directory that holds it; a new file needs both.
//
// A failed Sync() can't be retried: the kernel may have dropped the unwritten pages and report
// success the next time (Rebello et al., "Can Applications Recover from fsync Failures?", ATC
// 2020). Whoever needs those bytes to be durable must stop using the file, and in general end the
// process.
//
// Errors carry the path and the system's text:
//   NOT_FOUND           no such file or directory
//   ALREADY_EXISTS      the name is taken
//   RESOURCE_EXHAUSTED  no space or quota left, and nothing else
//   PERMISSION_DENIED   access denied, read-only file system
//   UNAVAILABLE         a lock is held by somebody else
//   DATA_LOSS           the device failed to read or write (EIO)
//   FAILED_PRECONDITION everything else
//
// Threads: a FileSystem is thread-safe. A RandomAccessFile is thread-safe. A WritableFile belongs
// to one thread at a time; it may be written while others read the same file through a
// RandomAccessFile. Paths are UTF-8, separated by '/'. Every call may block on the disk.
#ifndef RINGLEADER_COMMON_FILE_SYSTEM_H_
#define RINGLEADER_COMMON_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringleader {

// Reads at any position. Stays readable after the file was renamed or removed.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;
  // Fills `out` from `offset` and returns how many bytes that were: fewer than out.size() only when
  // the file ends there, 0 at or past its end.
  virtual absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> out) const = 0;
};

class WritableFile {
 public:
  // Closes without syncing: call Close() where its error matters.
  virtual ~WritableFile() = default;

  // Writes after the last byte. May be kept in the process until Flush, Sync, WriteAt or Close.
  virtual absl::Status Append(absl::string_view data) = 0;
  // Writes the pieces one after the other from `offset`, extending the file where needed. All or an
  // error; after an error any part of it may have been written.
  virtual absl::Status WriteAt(uint64_t offset, absl::Span<const absl::string_view> pieces) = 0;
  // Hands what was appended to the system: readers see it. Not durable.
  virtual absl::Status Flush() = 0;
  // Flushes, then waits until the file's bytes and size are durable. See above for a failure.
  virtual absl::Status Sync() = 0;
  // Extends the file with zeros to `size_bytes` and reserves the space, so that writing below it
  // can't fail for lack of space. Does nothing if the file is that long. After an error the file
  // may have been extended in part.
  virtual absl::Status Preallocate(uint64_t size_bytes) = 0;
  // Cuts or extends (with zeros) the file.
  virtual absl::Status Truncate(uint64_t size_bytes) = 0;
  // Flushes and closes; nothing may be called afterwards. Not a sync.
  virtual absl::Status Close() = 0;
};

// Released when destroyed, and by the death of the process.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class WriteMode {
  kCreate,    // an existing file is an error
  kTruncate,  // an existing file is emptied, a missing one created
  kAppend,    // an existing file is kept, a missing one created
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(absl::string_view path) = 0;
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(absl::string_view path,
                                                                     WriteMode mode) = 0;

  // True if a file or directory has that name; an error only if that can't be found out.
  virtual absl::StatusOr<bool> Exists(absl::string_view path) = 0;
  virtual absl::StatusOr<uint64_t> FileSize(absl::string_view path) = 0;

  // Replaces `to` if it is a file (atomically: a reader sees the old or the new one).
  virtual absl::Status Rename(absl::string_view from, absl::string_view to) = 0;
  // A second name for a file, on the same file system. ALREADY_EXISTS if `to` is taken.
  virtual absl::Status Link(absl::string_view existing, absl::string_view to) = 0;
  virtual absl::Status RemoveFile(absl::string_view path) = 0;

  // One level. ALREADY_EXISTS if the name is taken.
  virtual absl::Status CreateDirectory(absl::string_view path) = 0;
  // Must be empty.
  virtual absl::Status RemoveDirectory(absl::string_view path) = 0;
  // The names in a directory without "." and "..", sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(absl::string_view path) = 0;
  virtual absl::StatusOr<bool> IsDirectory(absl::string_view path) = 0;
  // Makes the names in this directory durable. The rule for a failed Sync() holds here too.
  // UNIMPLEMENTED: this file system can't.
  virtual absl::Status SyncDirectory(absl::string_view path) = 0;

  // Bytes that an unprivileged writer may still use on the file system that holds `path`.
  virtual absl::StatusOr<uint64_t> FreeBytes(absl::string_view path) = 0;

  // Takes the exclusive lock `path`, creating the file if needed, against other processes and other
  // calls in this one. UNAVAILABLE if it is held. Does not wait.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) = 0;
};

// The machine's file system. Lives as long as the process.
FileSystem& PosixFileSystem();

// The steps below are built from the ones above, the same on every FileSystem.

// Creates the directory and its missing parents. When it returns OK, no power cut takes away what
// this function has made, now or in a process that was killed: each directory is made only when the
// one above it is durable, and the parent of one that is found is synced as well (unless that can't
// be synced by this process).
absl::Status CreateDirectories(FileSystem& file_system, absl::string_view path);
// Removes a file or a whole tree; OK if there is none. Not durable until the parent is synced.
absl::Status RemoveRecursively(FileSystem& file_system, absl::string_view path);
// The whole file. OUT_OF_RANGE if it is longer than `bytes_max`.
absl::StatusOr<std::string> ReadFile(FileSystem& file_system, absl::string_view path,
                                     uint64_t bytes_max);
// Replaces the file's content so that after a crash it holds the old or the new bytes, durably the
// new ones when this returns OK. Writes `path`.new aside, syncs, renames, syncs the directory.
absl::Status ReplaceFile(FileSystem& file_system, absl::string_view path,
                         absl::string_view content);

// "a/b" and "c" give "a/b/c".
std::string JoinPath(absl::string_view directory, absl::string_view name);
// The directory that holds `path`: "a/b" for "a/b/c", "/" for "/a", "." for "a".
absl::string_view ParentPath(absl::string_view path);

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_FILE_SYSTEM_H_
