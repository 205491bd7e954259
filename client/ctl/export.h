// Reading a whole table partition by partition, so that one that is away costs its own items and
// no others.
//
// Each partition is asked for briefly at first; those that did not answer then are asked once more
// at the end, for longer, from where their last page ended.
#ifndef RINGLEADER_CLIENT_CTL_EXPORT_H_
#define RINGLEADER_CLIENT_CTL_EXPORT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ringleader/client.h"

namespace ringleader::ctl {

struct ExportCounts {
  uint64_t items = 0;
  uint64_t pages = 0;
};

struct ExportOptions {
  // In the order of the ring, which they divide evenly; as they are named in messages.
  std::vector<std::string> partitions;
  // Of one page: at first, and when those that are missing are asked again.
  std::chrono::milliseconds brief_timeout{2000};
  std::chrono::milliseconds timeout{10000};
};

using ScanTable = std::function<absl::StatusOr<QueryPage>(const QueryOptions& options)>;
// What is read, in no particular order of partitions. An error ends the export with it.
using WritePage = std::function<absl::Status(const QueryPage& page, const ExportCounts& so_far)>;

struct MissingPartition {
  std::string name;
  bool is_begun = false;  // some of its items are written
  absl::Status why;
};

struct ExportResult {
  ExportCounts counts;
  std::vector<MissingPartition> missing;
  // Not OK: it ended early, by an error of writing or one that no other partition would spare.
  absl::Status status;
};

ExportResult ExportTable(const ExportOptions& options, const ScanTable& scan,
                         const WritePage& write);

// What an operator is told: which partitions are missing, and why.
std::string MissingText(const ExportResult& result, size_t partitions);

}  // namespace ringleader::ctl

#endif  // RINGLEADER_CLIENT_CTL_EXPORT_H_
