// ringctl import, export: a table as JSON lines.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/context.h"
#include "client/ctl/export.h"
#include "client/ctl/import.h"
#include "client/ctl/item_text.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

constexpr uint64_t kProgressEvery = 1 << 18;  // bytes read between two drawings

struct TransferArguments {
  std::string table;
  std::string file = "-";
  uint32_t parallel = 256;
  bool is_dynamodb_json = false;
};

// Drawn over itself on standard error, if that is a terminal.
class ProgressBar {
 public:
  explicit ProgressBar(uint64_t bytes_total) : bytes_total_(bytes_total) {}

  void Show(const ImportCounts& counts) {
    if (!is_terminal_ || counts.bytes < next_at_) return;
    next_at_ = counts.bytes + kProgressEvery;
    std::string bar;
    if (bytes_total_ > 0) {
      const uint64_t done = std::min<uint64_t>(30 * counts.bytes / bytes_total_, 30);
      bar = absl::StrCat("[", std::string(done, '#'), std::string(30 - done, ' '), "] ");
    }
    std::cerr << "\r" << bar << counts.written << " items written" << std::flush;
  }
  void End() const {
    if (is_terminal_ && next_at_ > 0) std::cerr << "\n";
  }

 private:
  const uint64_t bytes_total_;
  const bool is_terminal_ = isatty(STDERR_FILENO) == 1;
  uint64_t next_at_ = 0;
};

uint64_t FileBytes(const std::string& file) {
  struct stat attributes = {};
  return stat(file.c_str(), &attributes) == 0 ? static_cast<uint64_t>(attributes.st_size) : 0;
}

absl::Status RunImport(const Context& context, const TransferArguments& arguments) {
  std::ifstream file;
  const bool is_stdin = arguments.file == "-";
  if (!is_stdin) {
    file.open(arguments.file);
    if (!file.is_open()) {
      return MakeError(ErrorKind::kNotFound, absl::StrCat("can't read ", arguments.file));
    }
  }
  ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
  const ImportOptions options{.file_name = is_stdin ? "standard input" : arguments.file,
                              .outstanding_max = arguments.parallel};
  ProgressBar bar(is_stdin ? 0 : FileBytes(arguments.file));
  const ImportCounts counts = ImportLines(
      is_stdin ? std::cin : file, options,
      [&](const model::Item& item, Callback<WriteResult> done) {
        connection->PutAsync(
            arguments.table, item, {},
            [&arguments, done = std::move(done)](absl::StatusOr<WriteResult> result) mutable {
              if (!result.ok()) result = NamingTable(result.status(), arguments.table);
              done(std::move(result));
            });
      },
      [](absl::string_view message) { std::cerr << message << "\n"; },
      [&bar](const ImportCounts& so_far) { bar.Show(so_far); });
  bar.End();
  if (file.bad()) {
    return MakeError(ErrorKind::kInternal,
                     absl::StrCat("reading ", arguments.file, " failed after ", counts.written,
                                  " items were written"));
  }
  const std::string summary = absl::StrCat(counts.written, " items written, ", counts.broken,
                                           " broken lines, ", counts.failed, " failed writes");
  if (counts.broken + counts.failed > 0) {
    return MakeError(ErrorKind::kValidation,
                     absl::StrCat(summary,
                                  ". The other lines are written; mend the lines named "
                                  "above and import them again (repeating is harmless)"));
  }
  Print(summary + "\n");
  return absl::OkStatus();
}

// Where the lines go. The file is opened with the first page that was read: until then it may be
// the only copy of an earlier export.
class ExportFile {
 public:
  explicit ExportFile(const TransferArguments& arguments) : arguments_(arguments) {}

  absl::Status Write(const QueryPage& page, const ExportCounts& so_far) {
    if (!is_stdout() && !file_.is_open()) {
      file_.open(arguments_.file, std::ios::trunc);
      if (!file_.good()) {
        return MakeError(ErrorKind::kNotFound, absl::StrCat("can't write ", arguments_.file));
      }
    }
    for (const model::Item& item : page.items) {
      const std::string line = ItemText(item, arguments_.is_dynamodb_json) + "\n";
      out() << line;
      bytes_ += line.size();
    }
    if (!is_stdout()) bar_.Show({.written = so_far.items, .bytes = bytes_});
    return Check();
  }
  absl::Status End() {
    out().flush();
    bar_.End();
    return Check();
  }
  bool is_begun() const { return is_stdout() || file_.is_open(); }

 private:
  bool is_stdout() const { return arguments_.file == "-"; }
  std::ostream& out() { return is_stdout() ? std::cout : file_; }
  absl::Status Check() {
    if (out().good()) return absl::OkStatus();
    return MakeError(ErrorKind::kInternal, absl::StrCat("writing ", arguments_.file,
                                                        " failed; what is there is incomplete"));
  }

  const TransferArguments& arguments_;
  std::ofstream file_;
  ProgressBar bar_{0};
  uint64_t bytes_ = 0;
};

absl::Status RunExport(const Context& context, const TransferArguments& arguments) {
  ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
  ExportOptions options;
  options.timeout = std::chrono::milliseconds(context.timeout_ms);
  options.brief_timeout = std::min(options.brief_timeout, options.timeout);
  connection->RunAndWait([&options](client::Router& router) {
    for (const auto* partition : router.map().partitions()) {
      options.partitions.push_back(absl::StrCat(partition->id()));
    }
  });
  ExportFile file(arguments);
  const ExportResult result = ExportTable(
      options, [&](const QueryOptions& scan) { return connection->Scan(arguments.table, scan); },
      [&](const QueryPage& page, const ExportCounts& so_far) { return file.Write(page, so_far); });
  if (!result.status.ok()) {
    if (result.counts.items == 0) return NamingTable(result.status, arguments.table);
    return MakeError(
        KindOf(result.status),
        absl::StrCat(result.status.message(), "; ", arguments.file, ": writing ended after ",
                     result.counts.items, " items; what is there is incomplete"));
  }
  if (file.is_begun()) RETURN_IF_ERROR(file.End());
  if (!result.missing.empty()) {
    return MakeError(
        ErrorKind::kUnavailable,
        absl::StrCat(MissingText(result, options.partitions.size()), "\n",
                     result.counts.pages == 0
                         ? absl::StrCat(arguments.file, " is left as it was")
                         : absl::StrCat(result.counts.items, " items of the others are written to ",
                                        arguments.file, ": it is incomplete"),
                     "; `ringctl health` says what is wrong"));
  }
  std::cerr << result.counts.items << " items exported\n";
  return absl::OkStatus();
}

}  // namespace

void AddTransferCommands(CLI::App& app, Context& context) {
  CLI::App* importing = app.add_subcommand(
      "import", "Write the items of a file of JSON lines (plain or DynamoDB's) to a table");
  auto in = std::make_shared<TransferArguments>();
  importing->add_option("table", in->table, "The table")->required();
  importing->add_option("file", in->file, "JSON lines; - is standard input");
  importing->add_option("--parallel", in->parallel, "Writes under way at once")
      ->check(CLI::Range(1, 4096));
  importing->callback(
      [&context, in] { context.run = [&context, in] { return RunImport(context, *in); }; });
  CLI::App* exporting = app.add_subcommand("export",
                                           "Write all items of a table as JSON lines. Each is as "
                                           "it was at some time during the export. Partitions "
                                           "that can't be read are named; the others are written");
  auto out = std::make_shared<TransferArguments>();
  exporting->add_option("table", out->table, "The table")->required();
  exporting->add_option("file", out->file, "- is standard output");
  exporting->add_flag("--dynamodb-json", out->is_dynamodb_json, "In DynamoDB's JSON");
  exporting->callback(
      [&context, out] { context.run = [&context, out] { return RunExport(context, *out); }; });
}

}  // namespace ringleader::ctl
