#include "client/ctl/export.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ringleader::ctl {
namespace {

// What is wrong with one partition, or with the moment; everything else is wrong with the request.
bool MayBeOnePartitions(const absl::Status& error) {
  switch (KindOf(error)) {
    case ErrorKind::kThrottled:
    case ErrorKind::kUnknownOutcome:
    case ErrorKind::kDeadline:
    case ErrorKind::kUnavailable:
    case ErrorKind::kInternal:
      return true;
    default:
      return false;
  }
}

class Export {
 public:
  Export(const ExportOptions& options, const ScanTable& scan, const WritePage& write)
      : options_(options), scan_(scan), write_(write), parts_(options.partitions.size()) {}

  ExportResult Run() {
    for (size_t part = 0; part < parts_.size(); ++part) Read(part, options_.brief_timeout);
    for (size_t part = 0; part < parts_.size(); ++part) {
      if (!parts_[part].is_read) Read(part, options_.timeout);
    }
    for (size_t part = 0; part < parts_.size(); ++part) {
      if (parts_[part].is_read) continue;
      result_.missing.push_back(
          {options_.partitions[part], !parts_[part].last_key.empty(), parts_[part].why});
    }
    return std::move(result_);
  }

 private:
  struct Part {
    model::Item last_key;  // of the newest page; empty: none was read
    bool is_read = false;  // to its end
    absl::Status why;      // it is not
  };

  void Read(size_t number, std::chrono::milliseconds timeout) {
    Part& part = parts_[number];
    QueryOptions options;
    options.segment = static_cast<uint32_t>(number);
    options.segments = static_cast<uint32_t>(parts_.size());
    options.timeout = timeout;
    while (result_.status.ok() && !part.is_read) {
      options.start_key = part.last_key;
      const absl::StatusOr<QueryPage> page = scan_(options);
      if (!page.ok()) {
        part.why = page.status();
        if (!MayBeOnePartitions(page.status())) result_.status = page.status();
        return;
      }
      result_.counts.items += page->items.size();
      ++result_.counts.pages;
      result_.status = write_(*page, result_.counts);
      part.last_key = page->last_key;
      part.is_read = page->last_key.empty();
    }
  }

  const ExportOptions& options_;
  const ScanTable& scan_;
  const WritePage& write_;
  std::vector<Part> parts_;
  ExportResult result_;
};

}  // namespace

ExportResult ExportTable(const ExportOptions& options, const ScanTable& scan,
                         const WritePage& write) {
  return Export(options, scan, write).Run();
}

std::string MissingText(const ExportResult& result, size_t partitions) {
  std::vector<std::string> names;
  for (const MissingPartition& missing : result.missing) {
    names.push_back(absl::StrCat(missing.name, missing.is_begun ? " (from a part of it on)" : ""));
  }
  return absl::StrCat(result.missing.size(), " of ", partitions,
                      " partitions could not be read: ", absl::StrJoin(names, ", "), ". The last: ",
                      result.missing.empty() ? "" : result.missing.back().why.message());
}

}  // namespace ringleader::ctl
