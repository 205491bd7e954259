// Reading items from JSON lines and writing them with bounded parallelism.
//
// Every good line is written, also after a broken one; each broken line, and each line whose write
// failed, is named as file:line with what is wrong. Lines are written in any order: of two lines
// with one key, either may be the last. A line of only spaces is passed over.
#ifndef RINGLEADER_CLIENT_CTL_IMPORT_H_
#define RINGLEADER_CLIENT_CTL_IMPORT_H_

#include <cstdint>
#include <functional>
#include <istream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "model/item.h"
#include "ringleader/client.h"

namespace ringleader::ctl {

struct ImportCounts {
  uint64_t written = 0;
  uint64_t broken = 0;  // lines that are no item
  uint64_t failed = 0;  // writes that failed, unknown outcomes included
  uint64_t bytes = 0;   // read
};

struct ImportOptions {
  std::string file_name;  // as it is named in messages
  uint32_t outstanding_max = 256;
  uint64_t line_bytes_max = 16 << 20;  // the longest JSON text
};

using PutItem = std::function<void(const model::Item& item, Callback<WriteResult> done)>;
using ReportLine =
    std::function<void(absl::string_view message)>;  // from any thread, one at a time
using ReportProgress = std::function<void(const ImportCounts& counts)>;

// Reads `in` to its end and waits for every write. `put` may call back on another thread.
ImportCounts ImportLines(std::istream& in, const ImportOptions& options, const PutItem& put,
                         const ReportLine& report, const ReportProgress& progress);

}  // namespace ringleader::ctl

#endif  // RINGLEADER_CLIENT_CTL_IMPORT_H_
