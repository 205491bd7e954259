#include "client/ctl/import.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/ctl/item_text.h"

namespace ringleader::ctl {
namespace {

// What the reader and the callbacks share.
class Writes {
 public:
  explicit Writes(const ReportLine& report) : report_(report) {}

  void AwaitFewerThan(uint32_t outstanding_max) {
    MutexLock lock(mutex_);
    while (outstanding_ >= outstanding_max) is_done_.Wait(lock);
  }
  void Begin() {
    MutexLock lock(mutex_);
    ++outstanding_;
  }
  void End(const std::string& place, const absl::Status& status) {
    MutexLock lock(mutex_);
    if (status.ok()) {
      ++counts_.written;
    } else {
      ++counts_.failed;
      report_(absl::StrCat(place, ": ", KindName(KindOf(status)), ": ", status.message()));
    }
    --outstanding_;
    is_done_.NotifyOne();
  }
  void Broken(const std::string& place, const absl::Status& status) {
    MutexLock lock(mutex_);
    ++counts_.broken;
    report_(absl::StrCat(place, ": ", status.message()));
  }
  ImportCounts Read(uint64_t bytes) {
    MutexLock lock(mutex_);
    counts_.bytes += bytes;
    return counts_;
  }

 private:
  const ReportLine& report_;
  Mutex mutex_;
  Condition is_done_;
  uint32_t outstanding_ ABSL_GUARDED_BY(mutex_) = 0;
  ImportCounts counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

ImportCounts ImportLines(std::istream& in, const ImportOptions& options, const PutItem& put,
                         const ReportLine& report, const ReportProgress& progress) {
  Writes writes(report);
  std::string line;
  for (uint64_t number = 1; std::getline(in, line); ++number) {
    progress(writes.Read(line.size() + 1));
    const std::string place = absl::StrCat(options.file_name, ":", number);
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    if (line.size() > options.line_bytes_max) {
      writes.Broken(place, absl::InvalidArgumentError(absl::StrCat(
                               "a line of ", line.size(), " bytes; an item's text has at most ",
                               options.line_bytes_max)));
      continue;
    }
    const auto item = ParseItem(line);
    if (!item.ok()) {
      writes.Broken(place, item.status());
      continue;
    }
    writes.AwaitFewerThan(options.outstanding_max);
    writes.Begin();
    put(*item, [&writes, place](absl::StatusOr<WriteResult> result) {
      writes.End(place, result.status());
    });
  }
  writes.AwaitFewerThan(1);
  return writes.Read(0);
}

}  // namespace ringleader::ctl
