#include "replication/promise_record.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/coding.h"
#include "common/crc32c.h"
#include "common/logging.h"
#include "common/mutants.h"

namespace ringleader::replication {
namespace {

constexpr uint64_t kMagic = 0x315f6c69746e7572;  // "runtil_1"
constexpr size_t kFields = 4;
constexpr size_t kBytes = 8 * kFields + 4;

}  // namespace

PromiseRecord::PromiseRecord(FileSystem& file_system, Clock& clock, std::string path)
    : file_system_(file_system), clock_(clock), path_(std::move(path)), boot_id_(clock.BootId()) {
  Read();
  Create();
  Extend();
}

// Once: a file that was removed must not come back.
void PromiseRecord::Create() {
  if (boot_id_ == 0) return;
  auto file = file_system_.OpenForWrite(path_, WriteMode::kAppend);
  auto synced = file_system_.OpenForWrite(path_, WriteMode::kAppend);
  if (!file.ok() || !synced.ok()) return;
  file_ = *std::move(file);
  synced_ = *std::move(synced);
}

void PromiseRecord::Read() {
  const auto file = file_system_.OpenForRead(path_);
  if (!file.ok() || boot_id_ == 0) return;
  char bytes[kBytes + 1];
  const auto read = (*file)->Read(0, absl::MakeSpan(bytes));
  if (!read.ok() || *read != kBytes) return;
  const absl::string_view fields(bytes, 8 * kFields);
  if (LoadFixed32(bytes + fields.size()) != crc32c::Value(fields)) return;
  if (LoadFixed64(bytes) != kMagic || LoadFixed64(bytes + 8) != boot_id_) return;
  silent_since_ = Instant{.raw = Duration(static_cast<int64_t>(LoadFixed64(bytes + 16))),
                          .boot = Duration(static_cast<int64_t>(LoadFixed64(bytes + 24)))};
}

absl::Status PromiseRecord::Write(const Instant& until) {
  if (file_ == nullptr) return absl::UnavailableError("it can't be written");
  std::string bytes;
  PutFixed64(kMagic, bytes);
  PutFixed64(boot_id_, bytes);
  PutFixed64(static_cast<uint64_t>(until.raw.count()), bytes);
  PutFixed64(static_cast<uint64_t>(until.boot.count()), bytes);
  PutFixed32(crc32c::Value(bytes), bytes);
  const absl::string_view piece = bytes;
  return file_->WriteAt(0, absl::MakeConstSpan(&piece, 1));
}

void PromiseRecord::Extend() {
  if (!is_claiming_.load(std::memory_order_acquire)) return;
  const Instant now = clock_.Now();
  const Instant until{.raw = now.raw + kAhead, .boot = now.boot + kAhead};
  const absl::Status written = Write(until);
  if (written.ok()) {
    until_raw_ns_.store(until.raw.count(), std::memory_order_release);
    until_boot_ns_.store(until.boot.count(), std::memory_order_release);
    return;
  }
  file_ = nullptr;  // what it holds is unknown
  Withdraw(written);
}

void PromiseRecord::Sync() {
  if (!is_claiming_.load(std::memory_order_acquire) || synced_ == nullptr) return;
  const absl::Status synced = synced_->Sync();
  if (synced.ok()) return;
  synced_ = nullptr;
  Withdraw(synced);
}

void PromiseRecord::Withdraw(const absl::Status& why) {
  const absl::Status removed = file_system_.RemoveFile(path_);
  if (!removed.ok() && !absl::IsNotFound(removed)) return;  // mute until it succeeds
  if (!is_claiming_.exchange(false, std::memory_order_acq_rel)) return;
  LogInfo(path_, ": ", why.ToString(), "; the next process here keeps its whole silence");
}

bool PromiseRecord::MaySpeak() const {
  if (!is_claiming_.load(std::memory_order_acquire) || MUTANT("speaks-unrecorded")) return true;
  const Instant now = clock_.Now();
  return now.raw.count() < until_raw_ns_.load(std::memory_order_acquire) &&
         now.boot.count() < until_boot_ns_.load(std::memory_order_acquire);
}

}  // namespace ringleader::replication
