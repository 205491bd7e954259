#include "node/store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/check.h"
#include "common/mutants.h"
#include "common/status.h"
#include "leveldb/table.h"
#include "node/leveldb_manifest.h"
#include "node/leveldb_slice.h"

namespace ringleader {
namespace {

constexpr size_t kTableBlockBytes = 4096;
constexpr int kOpenFilesMax = 500;

// Keeps table files while they are being linked.
class RemovalHold {
 public:
  explicit RemovalHold(LevelDbEnv& env) : env_(env) { env_.HoldRemovals(); }
  ~RemovalHold() { env_.ReleaseRemovals(); }
  RemovalHold(const RemovalHold&) = delete;
  RemovalHold& operator=(const RemovalHold&) = delete;

 private:
  LevelDbEnv& env_;
};

absl::Status WriteSynced(FileSystem& file_system, absl::string_view path,
                         absl::string_view content) {
  ASSIGN_OR_RETURN(auto file, file_system.OpenForWrite(path, WriteMode::kCreate));
  RETURN_IF_ERROR(file->Append(content));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

// Of a file of the database: that it is not there is damage.
absl::Status MissingIsLost(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::DataLossError(status.message()) : status;
}

}  // namespace

Store::~Store() = default;

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const StorePlace& place,
                                                   absl::string_view directory,
                                                   const StoreState& initial) {
  std::unique_ptr<Store> store(new Store(place, directory));
  RETURN_IF_ERROR(store->OpenDatabase());
  RETURN_IF_ERROR(store->ReadState(initial));
  return store;
}

absl::Status Store::OpenDatabase() {
  logger_.reset(NewLevelDbLogger(directory_, place_.metrics));
  leveldb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.env = &env_;
  options.info_log = logger_.get();
  options.write_buffer_size = place_.write_buffer_bytes;
  options.max_open_files = kOpenFilesMax;
  options.block_cache = place_.block_cache;
  options.block_size = kTableBlockBytes;
  leveldb::DB* database = nullptr;
  const leveldb::Status opened = leveldb::DB::Open(options, directory_, &database);
  database_.reset(database);
  return FromLevelDb(opened, absl::StrCat("opening ", directory_));
}

absl::Status Store::ReadState(const StoreState& initial) {
  absl::StatusOr<std::string> bytes = Get(StateKey());
  if (absl::IsNotFound(bytes.status())) {
    const auto first = NewIterator(false);
    first->SeekToFirst();
    RETURN_IF_ERROR(CheckIterator(*first));
    if (first->Valid()) {
      return absl::DataLossError(absl::StrCat(directory_, " holds data and no state record"));
    }
    state_ = initial;
    // The log's record of the replica's creation brings this back after a crash.
    opened_at_ = created_at_ = initial.applied.last.index;
    if (opened_at_ == 0) return absl::OkStatus();
    leveldb::WriteBatch batch;
    return Apply(batch, initial);
  }
  RETURN_IF_ERROR(bytes.status());
  ASSIGN_OR_RETURN(state_, DecodeState(*bytes));
  opened_at_ = state_.applied.last.index;
  env_.SetApplied(opened_at_);
  return absl::OkStatus();
}

absl::Status Store::Poison(const leveldb::Status& status, absl::string_view doing) {
  if (status.ok() || status.IsNotFound()) return FromLevelDb(status, doing);
  // After a failed background write LevelDB refuses every later one: it has to be opened again,
  // whatever the reason was.
  if (failure_.ok() && place_.metrics != nullptr) place_.metrics->failures.Add();
  failure_ = FromLevelDb(status, absl::StrCat(doing, " ", directory_));
  return failure_;
}

const absl::Status& Store::failure() {
  if (failure_.ok()) Poison(ToLevelDb(env_.write_failure()), "writing").IgnoreError();
  return failure_;
}

// A write that failed has changed nothing that is read: LevelDB keeps in memory what it could not
// write out.
absl::Status Store::CheckReadable() const {
  return absl::IsResourceExhausted(failure_) ? absl::OkStatus() : failure_;
}

// NOT_FOUND is what Get says of a key: a store that failed must not say it of all.
void Store::MarkDamaged(const absl::Status& why) {
  if (!CheckReadable().ok()) return;
  if (failure_.ok() && place_.metrics != nullptr) place_.metrics->failures.Add();
  failure_ = Annotate(MissingIsLost(why), directory_);
}

absl::Status Store::Apply(leveldb::WriteBatch& batch, const StoreState& next) {
  RETURN_IF_ERROR(failure_);
  CHECK_EQ(next.previous, state_.applied.last.index);
  CHECK_GE(next.applied.last.index, next.previous);
  if (MUTANT("applied-index-apart")) {
    leveldb::WriteBatch first;
    first.Put(StateKey(), EncodeState(next));
    RETURN_IF_ERROR(Poison(database_->Write(leveldb::WriteOptions(), &first), "writing"));
  }
  batch.Put(StateKey(), EncodeState(next));
  env_.SetApplied(state_.applied.last.index);
  RETURN_IF_ERROR(Poison(database_->Write(leveldb::WriteOptions(), &batch), "writing"));
  state_ = next;
  return absl::OkStatus();
}

absl::Status Store::WriteLocal(leveldb::WriteBatch& batch) {
  RETURN_IF_ERROR(failure_);
  env_.SetApplied(state_.applied.last.index);
  return Poison(database_->Write(leveldb::WriteOptions(), &batch), "purging");
}

absl::StatusOr<std::string> Store::Get(absl::string_view key) {
  RETURN_IF_ERROR(CheckReadable());
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  std::string value;
  const leveldb::Status found = database_->Get(options, SliceOf(key), &value);
  if (found.ok()) return value;
  return Poison(found, "reading");
}

std::unique_ptr<leveldb::Iterator> Store::NewIterator(bool fill_cache) {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = fill_cache;
  return std::unique_ptr<leveldb::Iterator>(database_->NewIterator(options));
}

absl::Status Store::CheckIterator(const leveldb::Iterator& iterator) {
  RETURN_IF_ERROR(CheckReadable());
  return Poison(iterator.status(), "scanning");
}

absl::Status Store::FindSpace() const {
  FileSystem& files = place_.file_system;
  const uint64_t wanted = 2 * place_.write_buffer_bytes;
  // Where it would fail, even to try takes for a moment what is left from all others.
  const auto free = files.FreeBytes(directory_);
  if (free.ok() && *free < wanted) {
    return absl::ResourceExhaustedError(
        absl::StrCat(directory_, ": ", *free, " bytes are free of ", wanted));
  }
  // LevelDB's own numbers begin with 1. The name goes first: who is killed leaves nothing.
  const std::string path = JoinPath(directory_, "000000.dbtmp");
  ASSIGN_OR_RETURN(const auto file, files.OpenForWrite(path, WriteMode::kTruncate));
  RETURN_IF_ERROR(files.RemoveFile(path));
  RETURN_IF_ERROR(file->Preallocate(wanted));
  return file->Close();
}

uint64_t Store::ApproximateBytes() const {
  const std::string last(1, '\xff');
  const leveldb::Range all(leveldb::Slice(), last);
  uint64_t bytes = 0;
  database_->GetApproximateSizes(&all, 1, &bytes);
  return bytes;
}

absl::Status Store::Flush() {
  RETURN_IF_ERROR(failure_);
  const replication::Index target = state_.applied.last.index;
  const auto is_written_out = [this, target] {
    const bool only_tables = target == created_at_ && !MUTANT("first-record-not-copied");
    return (only_tables ? env_.durable() : durable()) >= target;
  };
  if (is_written_out()) return absl::OkStatus();
  env_.SetApplied(target);
  // No batch at all: LevelDB freezes the memtable. (CompactRange of an empty range does so too, but
  // then waits for a compaction of nothing, behind other databases'.)
  RETURN_IF_ERROR(Poison(database_->Write(leveldb::WriteOptions(), nullptr), "flushing"));
  env_.AwaitDurable(target);
  if (is_written_out()) return absl::OkStatus();
  RETURN_IF_ERROR(failure());
  // What was read and found damaged is told by the next write.
  leveldb::WriteBatch empty;
  const leveldb::Status why = database_->Write(leveldb::WriteOptions(), &empty);
  return Poison(why.ok() ? leveldb::Status::IOError("the memtable was not written out") : why,
                "flushing");
}

// LevelDB says how much a level holds in whole megabytes only, and lists its files exactly, as
// " number:bytes[first key .. last key]" under "--- level N ---". A key may hold a line's end: what
// follows it then is no such line.
void Store::ForEachTable(
    absl::FunctionRef<void(size_t level, uint64_t number, uint64_t bytes)> visit) const {
  std::string text;
  if (!database_->GetProperty("leveldb.sstables", &text)) return;
  size_t level = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, "--- level ")) {
      if (!absl::SimpleAtoi(rest.substr(0, rest.find(' ')), &level)) break;
      continue;
    }
    const size_t colon = line.find(':'), bracket = line.find('[');
    uint64_t number = 0, bytes = 0;
    if (level >= kStorageLevels || colon == line.npos || bracket == line.npos || bracket < colon ||
        !absl::SimpleAtoi(line.substr(0, colon), &number) ||
        !absl::SimpleAtoi(line.substr(colon + 1, bracket - colon - 1), &bytes)) {
      continue;
    }
    visit(level, number, bytes);
  }
}

std::vector<std::string> Store::LiveFiles() const {
  std::vector<std::string> files;
  if (!CheckReadable().ok()) return files;
  ForEachTable([&](size_t, uint64_t number, uint64_t) {
    files.push_back(JoinPath(directory_, absl::StrFormat("%06d.ldb", number)));
  });
  const auto current =
      ReadFile(place_.file_system, JoinPath(directory_, "CURRENT"), kCurrentBytesMax);
  if (current.ok()) files.push_back(JoinPath(directory_, absl::StripSuffix(*current, "\n")));
  return files;
}

StorageSize Store::Measure() const {
  StorageSize size;
  ForEachTable([&size](size_t level, uint64_t, uint64_t bytes) {
    ++size.files[level];
    size.bytes[level] += bytes;
  });
  std::string text;
  // The property counts the cache too, which all databases share.
  uint64_t usage = 0;
  const uint64_t cached = place_.block_cache == nullptr ? 0 : place_.block_cache->TotalCharge();
  if (database_->GetProperty("leveldb.approximate-memory-usage", &text) &&
      absl::SimpleAtoi(text, &usage)) {
    size.memtable_bytes = usage - std::min(usage, cached);
  }
  return size;
}

absl::Status Store::Capture(absl::string_view directory) {
  RETURN_IF_ERROR(Flush());
  const RemovalHold hold(env_);
  const absl::Status copied = Annotate(CopyTo(directory), absl::StrCat("capturing ", directory_));
  if (absl::IsDataLoss(copied)) MarkDamaged(copied);
  return copied;
}

absl::Status CheckStoreFile(const StorePlace& place, absl::string_view path) {
  // A compaction may have let go of it since it was listed: NOT_FOUND, which is no damage.
  RETURN_IF_ERROR(place.file_system.FileSize(path).status());
  const absl::string_view name = path.substr(path.rfind('/') + 1);
  if (absl::StartsWith(name, "MANIFEST-")) {
    ASSIGN_OR_RETURN(const std::string edits, ReadFile(place.file_system, path, kManifestBytesMax));
    if (IsManifestIntact(edits)) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(path, ": a damaged record"));
  }
  if (!absl::EndsWith(name, ".ldb") && !absl::EndsWith(name, ".sst")) return absl::OkStatus();
  LevelDbEnv env(place.file_system, place.clock, place.compactions, place.flushes);
  leveldb::RandomAccessFile* opened = nullptr;
  uint64_t bytes = 0;
  leveldb::Status status = env.GetFileSize(std::string(path), &bytes);
  if (status.ok()) status = env.NewRandomAccessFile(std::string(path), &opened);
  const std::unique_ptr<leveldb::RandomAccessFile> file(opened);
  // Past every cache: what counts is what is on the disk.
  leveldb::Options options;
  options.paranoid_checks = true;
  leveldb::Table* made = nullptr;
  if (status.ok()) status = leveldb::Table::Open(options, file.get(), bytes, &made);
  const std::unique_ptr<leveldb::Table> table(made);
  if (status.ok()) {
    leveldb::ReadOptions reading;
    reading.verify_checksums = true;
    reading.fill_cache = false;
    const std::unique_ptr<leveldb::Iterator> all(table->NewIterator(reading));
    for (all->SeekToFirst(); all->Valid(); all->Next()) continue;
    status = all->status();
  }
  return FromLevelDb(status, path);
}

// The MANIFEST first: every table that it names is there, complete and synced, and stays. Tables
// that a compaction finishes meanwhile are in neither; the opener removes what it does not know.
absl::Status Store::CopyTo(absl::string_view directory) {
  FileSystem& files = place_.file_system;
  const auto current = ReadFile(files, JoinPath(directory_, "CURRENT"), kCurrentBytesMax);
  RETURN_IF_ERROR(MissingIsLost(current.status()));
  const absl::string_view manifest = absl::StripSuffix(*current, "\n");
  const auto edits = ReadFile(files, JoinPath(directory_, manifest), kManifestBytesMax);
  RETURN_IF_ERROR(MissingIsLost(edits.status()));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(directory_));
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, ".ldb") && !absl::EndsWith(name, ".sst")) continue;
    // Half a table that a compaction is writing would pass for damage of this replica.
    if (env_.IsUnfinished(JoinPath(directory_, name))) continue;
    const absl::Status linked = files.Link(JoinPath(directory_, name), JoinPath(directory, name));
    // Its removal may have begun before removals were held: then no MANIFEST named it by then.
    if (absl::IsNotFound(linked)) {
      const std::vector<std::string> live = LiveFiles();
      const bool is_live =
          std::find(live.begin(), live.end(), JoinPath(directory_, name)) != live.end();
      if (!is_live) continue;
      RETURN_IF_ERROR(MissingIsLost(files.FileSize(JoinPath(directory_, name)).status()));
      // Else it is `directory` that is gone: nobody wants the copy any more.
    }
    RETURN_IF_ERROR(linked);
  }
  RETURN_IF_ERROR(WriteSynced(files, JoinPath(directory, manifest), *edits));
  RETURN_IF_ERROR(WriteSynced(files, JoinPath(directory, "CURRENT"), *current));
  return files.SyncDirectory(directory);
}

}  // namespace ringleader
