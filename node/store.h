// One partition replica's applied state: a LevelDB database in a directory of its own.
//
// What is written, is written in one batch with the StoreState that it leads to (DESIGN section 11,
// rule 8). After a crash the database is at some earlier StoreState, and the Raft log brings the
// rest (leveldb_env.h). Traps of LevelDB 1.23 that this class is built around: no LevelDB snapshot
// is taken (compaction can resurrect deleted data under one), nothing is ever repaired, and a
// failed write or checksum is final: every later call returns the same error, until the replica is
// opened again or rebuilt from its peers. Only of a store that found no space is read on.
//
// Threads: the partition's applier. Only durable() is for any thread.
#ifndef RINGLEADER_NODE_STORE_H_
#define RINGLEADER_NODE_STORE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/file_system.h"
#include "leveldb/cache.h"
#include "leveldb/db.h"
#include "leveldb/write_batch.h"
#include "node/leveldb_env.h"
#include "node/records.h"
#include "node/storage_metrics.h"

namespace ringleader {

// What the stores of a node share. Outlives them all.
struct StorePlace {
  FileSystem& file_system;
  Clock& clock;
  Executor& compactions;
  Executor& flushes;  // of frozen memtables: none waits behind another database's compaction
  leveldb::Cache* block_cache = nullptr;  // null: a small one of its own
  // LevelDB holds up to two memtables of this size.
  size_t write_buffer_bytes = 4 << 20;
  StorageMetrics* metrics = nullptr;  // null: nobody counts
};

class Store {
 public:
  // Opens what is in `directory`; an empty one begins as `initial`. DATA_LOSS: damaged.
  // FAILED_PRECONDITION: written by a newer build.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const StorePlace& place,
                                                     absl::string_view directory,
                                                     const StoreState& initial);
  ~Store();

  const StoreState& state() const { return state_; }

  // Writes `batch` and `next`; next.previous must be state().applied.last.index. The batch is used
  // up.
  absl::Status Apply(leveldb::WriteBatch& batch, const StoreState& next);
  // Writes what is outside the replicated state: the removal of data that nothing can reach.
  absl::Status WriteLocal(leveldb::WriteBatch& batch);

  // NOT_FOUND is an answer, not a failure. Checksums are verified, of each block once, as it comes
  // from the disk into the cache: unverified, a block of zeros reads as keys that don't exist, and
  // whoever verifies finds it in the cache and does not look again. Measured, it adds less than 1
  // us to the 5 us of a read that misses the cache and finds the block in the system's.
  absl::StatusOr<std::string> Get(absl::string_view key);
  // Checksums are verified. The caller checks its status() with CheckIterator when done.
  std::unique_ptr<leveldb::Iterator> NewIterator(bool fill_cache);
  absl::Status CheckIterator(const leveldb::Iterator& iterator);

  // How much is in the table files, roughly.
  uint64_t ApproximateBytes() const;

  // What survives a crash of the machine.
  replication::Index durable() const { return std::max(opened_at_, env_.durable()); }
  // Makes durable() reach state().
  absl::Status Flush();
  // Puts a database that is exactly at state() into `directory`, which is empty; durable. Table
  // files are shared by links.
  absl::Status Capture(absl::string_view directory);

  // Every table file that the database uses, and its MANIFEST: complete and synced.
  std::vector<std::string> LiveFiles() const;

  // Files by level and memory. Costs a look at the list of files.
  StorageSize Measure() const;

  // What was read can't be what was written.
  void MarkDamaged(const absl::Status& why);
  // Not OK: it has to be opened again. RESOURCE_EXHAUSTED: for want of space nothing more can be
  // written, but what is there can be read.
  const absl::Status& failure();
  // Whether there is space for what its opening writes and for two memtables, tried with a file.
  // RESOURCE_EXHAUSTED: there is none.
  absl::Status FindSpace() const;

 private:
  Store(const StorePlace& place, absl::string_view directory)
      : place_(place),
        directory_(directory),
        env_(place.file_system, place.clock, place.compactions, place.flushes, place.metrics) {}

  absl::Status OpenDatabase();
  absl::Status ReadState(const StoreState& initial);
  void ForEachTable(
      absl::FunctionRef<void(size_t level, uint64_t number, uint64_t bytes)> visit) const;
  absl::Status CopyTo(absl::string_view directory);
  absl::Status CheckReadable() const;
  // Remembers a failure for good; NOT_FOUND is none.
  absl::Status Poison(const leveldb::Status& status, absl::string_view doing);

  const StorePlace place_;
  const std::string directory_;
  LevelDbEnv env_;
  std::unique_ptr<leveldb::Logger> logger_;
  std::unique_ptr<leveldb::DB> database_;  // uses the two above
  StoreState state_;
  replication::Index opened_at_ = 0;
  // Of a database that was made here: its first record is durable by the log's record of the
  // replica's creation, and may be in no table yet, where a captured copy would look for it.
  replication::Index created_at_ = 0;
  absl::Status failure_;
};

// Reads all of a file of a captured database and checks it: tables block by block, a MANIFEST
// record by record. DATA_LOSS: damaged. Any thread.
absl::Status CheckStoreFile(const StorePlace& place, absl::string_view path);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_STORE_H_
