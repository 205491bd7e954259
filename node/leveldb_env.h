// LevelDB's view of the machine, over our seams: files through FileSystem, time through Clock,
// compactions as tasks of an Executor of ours. One for each open database, and it outlives it.
//
// The write-ahead file is discarded. Everything since the last flushed memtable is in the Raft log,
// so LevelDB's own log would only write every byte twice; and being written without sync, a crash
// could leave it torn in the middle, which paranoid opening takes for corruption. Here `*.log`
// files are created, stay empty, and are removed: after a crash the database is what its newest
// synced MANIFEST says, a prefix of the applied entries.
//
// How far that prefix reaches is seen here (DESIGN section 7). LevelDB switches to a new log file
// when it freezes a memtable, inside a write, and removes a log file only after the MANIFEST that
// no longer needs it was synced. So: when log file n is created, note the applied index (`applied`,
// set by the store before each write); when an older log file is removed, everything up to the
// index noted for the file after it is durable.
//
// Schedule only posts, as LevelDB calls it under its mutex. Destroying a database waits for the
// compaction under way, so the executors run until the last database is gone.
//
// LevelDB has one piece of background work under way at most, and does not say what it will be. A
// frozen memtable comes first, and its database's next write but one waits for it, and with it the
// applier that carries a node's other partitions. So as long as one is frozen (an older log file is
// still there) the work goes to `flushes`, also when it waits among `compactions` already: there it
// may stand behind those of other databases, which take seconds.
//
// Threads: as leveldb::Env, all methods from any thread.
#ifndef RINGLEADER_NODE_LEVELDB_ENV_H_
#define RINGLEADER_NODE_LEVELDB_ENV_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/file_system.h"
#include "common/mutex.h"
#include "leveldb/env.h"
#include "leveldb/status.h"
#include "node/storage_metrics.h"

namespace ringleader {

// A larger MANIFEST is not read: LevelDB begins a new one at every opening.
inline constexpr uint64_t kManifestBytesMax = 256 << 20;
inline constexpr uint64_t kCurrentBytesMax = 64;  // of CURRENT, which names the MANIFEST

leveldb::Status ToLevelDb(const absl::Status& status);
// Corruption becomes DATA_LOSS; what ToLevelDb made keeps its code.
absl::Status FromLevelDb(const leveldb::Status& status, absl::string_view context);

class LevelDbEnv : public leveldb::Env {
 public:
  // `metrics`, if not null, outlives it.
  LevelDbEnv(FileSystem& file_system, Clock& clock, Executor& compactions, Executor& flushes,
             StorageMetrics* metrics = nullptr);

  // Before a write: the index that the database holds so far.
  void SetApplied(uint64_t index);
  // Everything up to here is in synced tables of a synced MANIFEST. 0: nothing is known.
  uint64_t durable() const;
  // After a memtable was frozen: until everything up to `index` is durable, LevelDB has given up,
  // or a write has failed.
  void AwaitDurable(uint64_t index) const;

  // The first write to a file that failed; OK: none did. Every later one fails with it: LevelDB
  // itself tells of what failed in the background with its next write only, and until then may go
  // on, with a MANIFEST whose next record then lies behind a torn one and reads as damage.
  absl::Status write_failure() const;

  // A table that is being written, or whose writing failed: no MANIFEST names it.
  bool IsUnfinished(const std::string& path) const;

  // While held, files that LevelDB removes stay. Nests; the last release removes them.
  void HoldRemovals();
  void ReleaseRemovals();

  leveldb::Status NewSequentialFile(const std::string& path,
                                    leveldb::SequentialFile** result) override;
  leveldb::Status NewRandomAccessFile(const std::string& path,
                                      leveldb::RandomAccessFile** result) override;
  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** result) override;
  leveldb::Status NewAppendableFile(const std::string& path,
                                    leveldb::WritableFile** result) override;
  bool FileExists(const std::string& path) override;
  leveldb::Status GetChildren(const std::string& directory,
                              std::vector<std::string>* result) override;
  leveldb::Status RemoveFile(const std::string& path) override;
  leveldb::Status CreateDir(const std::string& path) override;
  leveldb::Status RemoveDir(const std::string& path) override;
  leveldb::Status GetFileSize(const std::string& path, uint64_t* size) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  void Schedule(void (*function)(void*), void* argument) override;
  void StartThread(void (*function)(void*), void* argument) override;
  leveldb::Status GetTestDirectory(std::string* path) override;
  leveldb::Status NewLogger(const std::string& path, leveldb::Logger** result) override;
  uint64_t NowMicros() override;
  void SleepForMicroseconds(int micros) override;

 private:
  friend class EnvWritableFile;
  struct Background;
  class Work;

  // Remembers what failed. That a write found the disk at fault is no damage to what can be read.
  leveldb::Status Written(const absl::Status& status);
  bool IsCurrentManifest(const std::string& path) const;
  void TableBegun(const std::string& path);
  void TableFinished(const std::string& path);
  void LogCreated(uint64_t number);
  void LogRemoved(uint64_t number);

  FileSystem& file_system_;
  Clock& clock_;
  Executor& compactions_;
  Executor& flushes_;
  StorageMetrics* const metrics_;
  // Of the work that is scheduled or runs. Its mutex is taken before mutex_, never under it.
  const std::shared_ptr<Background> background_;

  mutable Mutex mutex_;
  uint64_t applied_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status write_failure_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> logs_ ABSL_GUARDED_BY(mutex_);  // number: applied when it began
  int holds_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> held_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> unfinished_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Work> work_ ABSL_GUARDED_BY(mutex_);  // what was scheduled last
};

// Passes on LevelDB's lines that report errors, and counts those that report waiting writers (if
// `metrics` is not null); for Options::info_log. The caller owns it.
leveldb::Logger* NewLevelDbLogger(const std::string& name, StorageMetrics* metrics = nullptr);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_LEVELDB_ENV_H_
