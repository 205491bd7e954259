#include "node/leveldb_env.h"

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "common/check.h"
#include "common/logging.h"
#include "node/leveldb_manifest.h"
#include "node/leveldb_slice.h"

namespace ringleader {
namespace {

constexpr size_t kWriteBufferBytes = 64 << 10;
// LevelDB's status has no code for a full disk; the text carries it through.
constexpr absl::string_view kNoSpace = "no space: ";

absl::string_view NameOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? path : path.substr(slash + 1);
}

// The number in ".../000012.log"; false for every other name.
bool LogNumber(absl::string_view path, uint64_t* number) {
  const absl::string_view name = NameOf(path);
  return absl::EndsWith(name, ".log") && absl::SimpleAtoi(name.substr(0, name.size() - 4), number);
}

class EnvSequentialFile : public leveldb::SequentialFile {
 public:
  // The file ends for its reader after `bytes_max`.
  EnvSequentialFile(std::unique_ptr<ringleader::RandomAccessFile> file, uint64_t bytes_max)
      : file_(std::move(file)), bytes_max_(bytes_max) {}

  leveldb::Status Read(size_t size, leveldb::Slice* result, char* scratch) override {
    size = std::min<uint64_t>(size, bytes_max_ - std::min(offset_, bytes_max_));
    const auto read = file_->Read(offset_, absl::MakeSpan(scratch, size));
    if (!read.ok()) return ToLevelDb(read.status());
    offset_ += *read;
    *result = leveldb::Slice(scratch, *read);
    return leveldb::Status::OK();
  }
  leveldb::Status Skip(uint64_t size) override {
    offset_ += size;
    return leveldb::Status::OK();
  }

 private:
  const std::unique_ptr<ringleader::RandomAccessFile> file_;
  const uint64_t bytes_max_;
  uint64_t offset_ = 0;
};

class EnvRandomAccessFile : public leveldb::RandomAccessFile {
 public:
  explicit EnvRandomAccessFile(std::unique_ptr<ringleader::RandomAccessFile> file)
      : file_(std::move(file)) {}

  leveldb::Status Read(uint64_t offset, size_t size, leveldb::Slice* result,
                       char* scratch) const override {
    const auto read = file_->Read(offset, absl::MakeSpan(scratch, size));
    if (!read.ok()) return ToLevelDb(read.status());
    *result = leveldb::Slice(scratch, *read);
    return leveldb::Status::OK();
  }

 private:
  const std::unique_ptr<ringleader::RandomAccessFile> file_;
};

class DiscardingFile : public leveldb::WritableFile {
 public:
  leveldb::Status Append(const leveldb::Slice&) override { return leveldb::Status::OK(); }
  leveldb::Status Close() override { return leveldb::Status::OK(); }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }
};

class EnvFileLock : public leveldb::FileLock {
 public:
  explicit EnvFileLock(std::unique_ptr<ringleader::FileLock> lock) : lock_(std::move(lock)) {}

 private:
  const std::unique_ptr<ringleader::FileLock> lock_;
};

class ErrorLogger : public leveldb::Logger {
 public:
  ErrorLogger(const std::string& name, StorageMetrics* metrics) : name_(name), metrics_(metrics) {}

  void Logv(const char* format, std::va_list arguments) override
      __attribute__((format(printf, 2, 0))) {
    char line[512];
    if (std::vsnprintf(line, sizeof(line), format, arguments) < 0) return;
    const absl::string_view text(line);
    if (metrics_ != nullptr && absl::StrContains(text, "; waiting")) metrics_->write_stalls.Add();
    if (absl::StrContains(text, "rror") || absl::StrContains(text, "orrupt")) {
      LogWarning("leveldb ", name_, ": ", text);
    }
  }

 private:
  const std::string name_;
  StorageMetrics* const metrics_;
};

}  // namespace

leveldb::Status ToLevelDb(const absl::Status& status) {
  if (status.ok()) return leveldb::Status::OK();
  const absl::string_view message = status.message();
  switch (status.code()) {
    // Not NotFound: LevelDB passes on what a table's opening says as the answer to a Get, where it
    // means that there is no such key.
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kDataLoss:
      return leveldb::Status::Corruption(SliceOf(message));
    case absl::StatusCode::kResourceExhausted:
      return leveldb::Status::IOError(SliceOf(absl::StrCat(kNoSpace, message)));
    default:
      return leveldb::Status::IOError(SliceOf(message));
  }
}

absl::Status FromLevelDb(const leveldb::Status& status, absl::string_view context) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat(context, ": ", status.ToString());
  if (status.IsNotFound()) return absl::NotFoundError(text);
  if (status.IsCorruption()) return absl::DataLossError(text);
  if (absl::StrContains(text, kNoSpace)) return absl::ResourceExhaustedError(text);
  return absl::InternalError(text);
}

class EnvWritableFile : public leveldb::WritableFile {
 public:
  // `table`: of which `env` is told when it is finished; empty: no table.
  EnvWritableFile(LevelDbEnv& env, const std::string& path, const std::string& table,
                  std::unique_ptr<ringleader::WritableFile> file, StripedCounter* written)
      : env_(env),
        directory_(ParentPath(path)),
        table_(table),
        file_(std::move(file)),
        written_(written) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    buffer_.append(data.data(), data.size());
    return buffer_.size() < kWriteBufferBytes ? leveldb::Status::OK() : Flush();
  }
  leveldb::Status Flush() override {
    if (buffer_.empty()) return leveldb::Status::OK();
    absl::Status written = env_.write_failure();
    if (written.ok()) written = file_->Append(buffer_);
    if (written.ok()) written = file_->Flush();
    if (written_ != nullptr) written_->Add(buffer_.size());
    buffer_.clear();
    return env_.Written(written);
  }
  // The name too: LevelDB relies on both, and asks for the file only.
  leveldb::Status Sync() override {
    if (leveldb::Status flushed = Flush(); !flushed.ok()) return flushed;
    absl::Status synced = env_.write_failure();
    if (synced.ok()) synced = file_->Sync();
    if (!synced.ok() || named_) return env_.Written(synced);
    const absl::Status named = env_.file_system_.SyncDirectory(directory_);
    named_ = named.ok();
    return env_.Written(named);
  }
  leveldb::Status Close() override {
    if (leveldb::Status flushed = Flush(); !flushed.ok()) return flushed;
    const absl::Status closed = file_->Close();
    if (closed.ok() && !table_.empty()) env_.TableFinished(table_);
    return env_.Written(closed);
  }

 private:
  LevelDbEnv& env_;
  const std::string directory_;
  const std::string table_;
  const std::unique_ptr<ringleader::WritableFile> file_;
  StripedCounter* const written_;  // null: nobody counts
  std::string buffer_;
  bool named_ = false;
};

struct LevelDbEnv::Background {
  Mutex mutex;
  Condition changed;
  int works ABSL_GUARDED_BY(mutex) = 0;  // scheduled, and not over

  void Add(int change) {
    MutexLock lock(mutex);
    works += change;
    changed.NotifyAll();
  }
};

// A piece of background work. Of two executors that have it, the first runs it; the other may come
// to it when database and Env are gone, and its own end may too.
class LevelDbEnv::Work {
 public:
  Work(std::shared_ptr<Background> background, void (*function)(void*), void* argument)
      : background_(std::move(background)), function_(function), argument_(argument) {
    background_->Add(1);
  }

  static void Post(const std::shared_ptr<Work>& work, Executor& executor) {
    executor.Post([work] {
      if (work->begun_.exchange(true)) return;
      work->function_(work->argument_);
      work->background_->Add(-1);
    });
  }

 private:
  const std::shared_ptr<Background> background_;
  void (*const function_)(void*);
  void* const argument_;
  std::atomic<bool> begun_{false};
};

LevelDbEnv::LevelDbEnv(FileSystem& file_system, Clock& clock, Executor& compactions,
                       Executor& flushes, StorageMetrics* metrics)
    : file_system_(file_system),
      clock_(clock),
      compactions_(compactions),
      flushes_(flushes),
      metrics_(metrics),
      background_(std::make_shared<Background>()) {}

void LevelDbEnv::SetApplied(uint64_t index) {
  MutexLock lock(mutex_);
  CHECK_GE(index, applied_);
  applied_ = index;
}

uint64_t LevelDbEnv::durable() const {
  MutexLock lock(mutex_);
  return durable_;
}

void LevelDbEnv::AwaitDurable(uint64_t index) const {
  MutexLock lock(background_->mutex);
  while (durable() < index && background_->works > 0 && write_failure().ok()) {
    background_->changed.Wait(lock);
  }
}

absl::Status LevelDbEnv::write_failure() const {
  MutexLock lock(mutex_);
  return write_failure_;
}

leveldb::Status LevelDbEnv::Written(const absl::Status& status) {
  if (status.ok()) return leveldb::Status::OK();
  const absl::Status failure =
      absl::IsResourceExhausted(status) ? status : absl::InternalError(status.message());
  {
    MutexLock lock(mutex_);
    write_failure_.Update(failure);
  }
  background_->Add(0);
  return ToLevelDb(failure);
}

void LevelDbEnv::LogCreated(uint64_t number) {
  MutexLock lock(mutex_);
  logs_[number] = applied_;
  if (logs_.size() > 1 && work_ != nullptr) Work::Post(work_, flushes_);
}

void LevelDbEnv::LogRemoved(uint64_t number) {
  {
    MutexLock lock(mutex_);
    logs_.erase(logs_.begin(), logs_.upper_bound(number));
    if (!logs_.empty() && logs_.begin()->second > durable_) durable_ = logs_.begin()->second;
  }
  background_->Add(0);
}

void LevelDbEnv::HoldRemovals() {
  MutexLock lock(mutex_);
  ++holds_;
}

void LevelDbEnv::ReleaseRemovals() {
  std::vector<std::string> paths;
  {
    MutexLock lock(mutex_);
    CHECK_GT(holds_, 0);
    if (--holds_ == 0) paths.swap(held_);
  }
  for (const std::string& path : paths) {
    // What stays takes space until the database is opened again, which removes it.
    const absl::Status removed = file_system_.RemoveFile(path);
    if (!removed.ok()) LogWarning("removing a table: ", removed.ToString());
  }
}

leveldb::Status LevelDbEnv::NewSequentialFile(const std::string& path,
                                              leveldb::SequentialFile** result) {
  *result = nullptr;
  uint64_t bytes_max = UINT64_MAX;
  if (absl::StartsWith(NameOf(path), "MANIFEST-")) {
    const auto content = ReadFile(file_system_, path, kManifestBytesMax);
    if (!content.ok()) return ToLevelDb(content.status());
    if (!BeginsWithAllFiles(*content)) {
      return leveldb::Status::Corruption(path, "its first record is another one's");
    }
    bytes_max = IntactManifestBytes(*content);
    if (bytes_max < content->size()) {
      LogWarning(path, ": its last record, at byte ", bytes_max, ", was torn by a crash");
    }
  }
  auto file = file_system_.OpenForRead(path);
  if (!file.ok()) return ToLevelDb(file.status());
  *result = new EnvSequentialFile(*std::move(file), bytes_max);
  return leveldb::Status::OK();
}

leveldb::Status LevelDbEnv::NewRandomAccessFile(const std::string& path,
                                                leveldb::RandomAccessFile** result) {
  auto file = file_system_.OpenForRead(path);
  *result = file.ok() ? new EnvRandomAccessFile(*std::move(file)) : nullptr;
  return ToLevelDb(file.status());
}

leveldb::Status LevelDbEnv::NewWritableFile(const std::string& path,
                                            leveldb::WritableFile** result) {
  *result = nullptr;
  if (const absl::Status failure = write_failure(); !failure.ok()) return ToLevelDb(failure);
  const bool is_table = absl::EndsWith(path, ".ldb");
  if (is_table) TableBegun(path);  // before anybody can see the file
  auto file = file_system_.OpenForWrite(path, WriteMode::kTruncate);
  if (!file.ok()) return Written(file.status());
  if (uint64_t number = 0; LogNumber(path, &number)) {
    LogCreated(number);
    *result = new DiscardingFile();
  } else {
    StripedCounter* const written =
        is_table && metrics_ != nullptr ? &metrics_->table_bytes_written : nullptr;
    *result = new EnvWritableFile(*this, path, is_table ? path : "", *std::move(file), written);
  }
  return leveldb::Status::OK();
}

bool LevelDbEnv::IsUnfinished(const std::string& path) const {
  MutexLock lock(mutex_);
  return unfinished_.contains(path);
}

void LevelDbEnv::TableBegun(const std::string& path) {
  MutexLock lock(mutex_);
  unfinished_.insert(path);
}

void LevelDbEnv::TableFinished(const std::string& path) {
  MutexLock lock(mutex_);
  unfinished_.erase(path);
}

leveldb::Status LevelDbEnv::NewAppendableFile(const std::string& path,
                                              leveldb::WritableFile** result) {
  *result = nullptr;
  return leveldb::Status::NotSupported("appending: logs are not reused", SliceOf(path));
}

bool LevelDbEnv::FileExists(const std::string& path) {
  // LevelDB asks this of CURRENT, and makes a new database where there is none: who can't find out
  // must not say so.
  const auto exists = file_system_.Exists(path);
  return !exists.ok() || *exists;
}

leveldb::Status LevelDbEnv::GetChildren(const std::string& directory,
                                        std::vector<std::string>* result) {
  auto names = file_system_.List(directory);
  if (!names.ok()) return ToLevelDb(names.status());
  *result = *std::move(names);
  return leveldb::Status::OK();
}

// When CURRENT was replaced and the directory's sync then failed, LevelDB takes both for failed and
// removes the MANIFEST that CURRENT names by now: the database, whole as it is, could never be
// opened again.
bool LevelDbEnv::IsCurrentManifest(const std::string& path) const {
  if (!absl::StartsWith(NameOf(path), "MANIFEST-")) return false;
  const auto current =
      ReadFile(file_system_, JoinPath(ParentPath(path), "CURRENT"), kCurrentBytesMax);
  return !absl::IsNotFound(current.status()) &&
         (!current.ok() || absl::StripSuffix(*current, "\n") == NameOf(path));
}

leveldb::Status LevelDbEnv::RemoveFile(const std::string& path) {
  if (IsCurrentManifest(path)) return leveldb::Status::OK();
  if (uint64_t number = 0; LogNumber(path, &number)) {
    LogRemoved(number);
  } else {
    MutexLock lock(mutex_);
    if (holds_ > 0) {
      held_.push_back(path);
      return leveldb::Status::OK();
    }
    unfinished_.erase(path);
  }
  return ToLevelDb(file_system_.RemoveFile(path));
}

leveldb::Status LevelDbEnv::CreateDir(const std::string& path) {
  return ToLevelDb(file_system_.CreateDirectory(path));
}

leveldb::Status LevelDbEnv::RemoveDir(const std::string& path) {
  return ToLevelDb(file_system_.RemoveDirectory(path));
}

leveldb::Status LevelDbEnv::GetFileSize(const std::string& path, uint64_t* size) {
  const auto bytes = file_system_.FileSize(path);
  *size = bytes.ok() ? *bytes : 0;
  return ToLevelDb(bytes.status());
}

leveldb::Status LevelDbEnv::RenameFile(const std::string& from, const std::string& to) {
  if (absl::Status renamed = file_system_.Rename(from, to); !renamed.ok()) {
    return ToLevelDb(renamed);
  }
  return ToLevelDb(file_system_.SyncDirectory(ParentPath(to)));
}

leveldb::Status LevelDbEnv::LockFile(const std::string& path, leveldb::FileLock** lock) {
  auto taken = file_system_.Lock(path);
  *lock = taken.ok() ? new EnvFileLock(*std::move(taken)) : nullptr;
  return ToLevelDb(taken.status());
}

leveldb::Status LevelDbEnv::UnlockFile(leveldb::FileLock* lock) {
  delete lock;
  return leveldb::Status::OK();
}

void LevelDbEnv::Schedule(void (*function)(void*), void* argument) {
  if (metrics_ != nullptr) metrics_->compactions_scheduled.Add();
  auto work = std::make_shared<Work>(background_, function, argument);
  MutexLock lock(mutex_);
  work_ = std::move(work);
  Work::Post(work_, logs_.size() > 1 ? flushes_ : compactions_);
}

// LevelDB's own code never asks for a thread.
void LevelDbEnv::StartThread(void (*)(void*), void*) { CHECK(false) << "no thread is to be had"; }

leveldb::Status LevelDbEnv::GetTestDirectory(std::string*) {
  return leveldb::Status::NotSupported("there is no test directory");
}

leveldb::Status LevelDbEnv::NewLogger(const std::string& path, leveldb::Logger** result) {
  *result = NewLevelDbLogger(path);
  return leveldb::Status::OK();
}

uint64_t LevelDbEnv::NowMicros() {
  return static_cast<uint64_t>(clock_.Now().raw / std::chrono::microseconds(1));
}

// LevelDB asks writers to wait a millisecond while level 0 is long. Admission slows them down
// before the log instead: an applier that sleeps would hold up every partition it carries.
void LevelDbEnv::SleepForMicroseconds(int) {
  if (metrics_ != nullptr) metrics_->write_delays.Add();
}

leveldb::Logger* NewLevelDbLogger(const std::string& name, StorageMetrics* metrics) {
  return new ErrorLogger(name, metrics);
}

}  // namespace ringleader
