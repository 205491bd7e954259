// What every command of ringctl has: the options before the command, a connection, and the output.
//
// A command returns a status; main prints it and turns it into the exit code: 0, or 1 for an error.
// Usage errors exit with 2.
#ifndef RINGLEADER_CLIENT_CTL_CONTEXT_H_
#define RINGLEADER_CLIENT_CTL_CONTEXT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/connection.h"

namespace ringleader::ctl {

struct Context {
  std::vector<std::string> coordinators = {"127.0.0.1:7000"};
  std::string route = "auto";
  int64_t timeout_ms = 10000;
  std::string output = "table";

  // Set by the command that was chosen; run by main.
  std::function<absl::Status()> run;

  bool is_json() const { return output == "json"; }
  // For administration: does not wait for the map.
  std::unique_ptr<client::Connection> Connect() const;
  // For data: waits for the map.
  absl::StatusOr<std::unique_ptr<client::Connection>> ConnectToData() const;
};

// One for each group of commands: adds it to `app`. `context` outlives the parsing and the run.
void AddClusterCommands(CLI::App& app, Context& context);
void AddVersionCommands(CLI::App& app, Context& context);
void AddNodeCommands(CLI::App& app, Context& context);
void AddPartitionCommands(CLI::App& app, Context& context);
void AddTableCommands(CLI::App& app, Context& context);
void AddItemCommands(CLI::App& app, Context& context);
void AddTransferCommands(CLI::App& app, Context& context);
void AddCacheCommand(CLI::App& app, Context& context);
void AddCompletionCommand(CLI::App& app, Context& context);

}  // namespace ringleader::ctl

#endif  // RINGLEADER_CLIENT_CTL_CONTEXT_H_
