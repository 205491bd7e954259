#include "replication/promise_length.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/crc32c.h"
#include "common/logging.h"

namespace ringleader::replication {
namespace {

using std::chrono::microseconds;

constexpr absl::string_view kLengthMagic = "ringleader-promise-length 1";
constexpr absl::string_view kLengthField = "us ";
constexpr uint64_t kLengthBytesMax = 1024;

std::string EncodeLength(int64_t length_us) {
  std::string text = absl::StrCat(kLengthMagic, "\n", kLengthField, length_us, "\n");
  absl::StrAppend(&text, "crc32c ", absl::Hex(crc32c::Value(text), absl::kZeroPad8), "\n");
  return text;
}

}  // namespace

std::optional<Duration> LoadPromiseLength(FileSystem& file_system, absl::string_view path) {
  const auto text = ReadFile(file_system, path, kLengthBytesMax);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (text.ok()) {
    const std::vector<absl::string_view> lines = absl::StrSplit(*text, '\n');
    int64_t length_us = 0;
    if (lines.size() == 4 && absl::StartsWith(lines[1], kLengthField) &&
        absl::SimpleAtoi(lines[1].substr(kLengthField.size()), &length_us) &&
        *text == EncodeLength(length_us)) {
      return microseconds(length_us);
    }
  }
  LogWarning(path, ": ", text.ok() ? "damaged, or newer than this build" : text.status().ToString(),
             "; for how long the process before promised is not known");
  return std::nullopt;
}

absl::Status SavePromiseLength(FileSystem& file_system, absl::string_view path, Duration length) {
  return ReplaceFile(file_system, path, EncodeLength(length / microseconds(1)));
}

PromiseLengths NotePromiseLength(FileSystem& file_system, absl::string_view path, Duration wanted) {
  const std::optional<Duration> noted = LoadPromiseLength(file_system, path);
  if (noted.has_value() && wanted <= *noted) return {.before = *noted, .own = wanted};
  const Duration before = noted.value_or(wanted);
  const absl::Status saved = SavePromiseLength(file_system, path, wanted);
  if (saved.ok()) return {.before = before, .own = wanted};
  LogWarning(path, ": ", saved.ToString(), "; no longer promises than before");
  return {.before = before, .own = before};
}

}  // namespace ringleader::replication
