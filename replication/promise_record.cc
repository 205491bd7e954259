#include "replication/promise_record.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/coding.h"
#include "common/crc32c.h"
#include "common/logging.h"
#include "common/mutants.h"

namespace ringleader::replication {
namespace {

constexpr uint64_t kMagic = 0x315f6c69746e7572;  // "runtil_1"
constexpr size_t kFieldBytes = 3 * 8;
constexpr size_t kHeaderBytes = kFieldBytes + 4;
constexpr size_t kBytesMax = 1024;

std::string Encode(const Instant& until, absl::string_view boot_id) {
  std::string bytes;
  PutFixed64(kMagic, bytes);
  PutFixed64(static_cast<uint64_t>(until.raw.count()), bytes);
  PutFixed64(static_cast<uint64_t>(until.boot.count()), bytes);
  PutFixed32(crc32c::Extend(crc32c::Value(bytes), boot_id), bytes);
  absl::StrAppend(&bytes, boot_id);
  return bytes;
}

Duration LoadTime(const char* at) { return Duration(static_cast<int64_t>(LoadFixed64(at))); }

}  // namespace

std::optional<Instant> PromiseRecord::Read(FileSystem& file_system, const Clock& clock,
                                           absl::string_view path) {
  const std::string boot_id = clock.BootId();
  const auto file = file_system.OpenForRead(path);
  if (boot_id.empty() || !file.ok()) return std::nullopt;
  std::vector<char> buffer(kBytesMax);
  const auto read = (*file)->Read(0, absl::MakeSpan(buffer));
  if (!read.ok() || *read < kHeaderBytes) return std::nullopt;
  const absl::string_view bytes(buffer.data(), *read);
  const Instant until{.raw = LoadTime(bytes.data() + 8), .boot = LoadTime(bytes.data() + 16)};
  if (bytes != Encode(until, boot_id)) return std::nullopt;
  return until;
}

PromiseRecord::PromiseRecord(FileSystem& file_system, Clock& clock, std::string path)
    : file_system_(file_system), clock_(clock), path_(std::move(path)), boot_id_(clock.BootId()) {
  if (boot_id_.empty() || kHeaderBytes + boot_id_.size() > kBytesMax) {
    state_ = State::kEnding;
    Remove();
    return;
  }
  auto file = file_system_.OpenForWrite(path_, WriteMode::kCreate);
  auto synced = file_system_.OpenForWrite(path_, WriteMode::kAppend);
  if (!file.ok() || !synced.ok()) {
    End(file.ok() ? synced.status() : file.status());
    Remove();
    return;
  }
  file_ = *std::move(file);
  synced_ = *std::move(synced);
  Extend();
}

absl::Status PromiseRecord::Write(const Instant& until) {
  const std::string bytes = Encode(until, boot_id_);
  const absl::string_view piece = bytes;
  return file_->WriteAt(0, absl::MakeConstSpan(&piece, 1));
}

void PromiseRecord::Extend() {
  switch (state_.load(std::memory_order_acquire)) {
    case State::kEnded:
      return;
    case State::kEnding:
      return Remove();
    case State::kClaiming:
      break;
  }
  const Instant now = clock_.Now();
  const Instant until{.raw = now.raw + kAhead, .boot = now.boot + kAhead};
  const Duration earlier = MUTANT("records-too-early") ? 2 * kAhead : Duration(0);
  const absl::Status written = Write({.raw = until.raw - earlier, .boot = until.boot - earlier});
  if (!written.ok()) {
    End(written);
    return Remove();
  }
  until_raw_ns_.store(until.raw.count(), std::memory_order_release);
  until_boot_ns_.store(until.boot.count(), std::memory_order_release);
}

void PromiseRecord::Sync() {
  if (state_.load(std::memory_order_acquire) != State::kClaiming) return;
  if (const absl::Status synced = synced_->Sync(); !synced.ok()) End(synced);
}

void PromiseRecord::End(const absl::Status& why) {
  State state = State::kClaiming;
  if (!state_.compare_exchange_strong(state, State::kEnding)) return;
  LogWarning(path_, ": ", why.ToString(), "; the next process here keeps its whole silence");
}

void PromiseRecord::Remove() {
  const absl::Status removed = file_system_.RemoveFile(path_);
  if (!removed.ok() && !absl::IsNotFound(removed)) return;  // once more at the next turn
  state_.store(State::kEnded, std::memory_order_release);
}

bool PromiseRecord::MayPromise() const {
  if (state_.load(std::memory_order_acquire) == State::kEnded) {
    return true;
  }
  const Instant now = clock_.Now();
  return now.raw.count() < until_raw_ns_.load(std::memory_order_acquire) &&
         now.boot.count() < until_boot_ns_.load(std::memory_order_acquire);
}

}  // namespace ringleader::replication
