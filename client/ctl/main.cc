// ringctl: a Ringleader cluster from the command line.
#include <iostream>

#include "client/ctl/context.h"
#include "common/build_info.h"
#include "common/logging.h"

namespace ringleader::ctl {
namespace {

void AddOptions(CLI::App& app, Context& context) {
  app.add_option("--coordinators", context.coordinators, "Coordinators, host:port, comma separated")
      ->delimiter(',')
      ->envname("RING_COORDINATORS")
      ->capture_default_str();
  app.add_option("--route", context.route,
                 "auto; direct: straight to the nodes; coordinators: the nodes can't be reached")
      ->check(CLI::IsMember({"auto", "direct", "coordinators"}))
      ->envname("RING_ROUTE")
      ->capture_default_str();
  app.add_option("--timeout-ms", context.timeout_ms, "For each request, in ms")
      ->check(CLI::Range(1, 60000))
      ->envname("RING_TIMEOUT_MS")
      ->capture_default_str();
  app.add_option("--output", context.output, "table, for people, or json, for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->envname("RING_OUTPUT")
      ->capture_default_str();
}

int Run(int argc, char** argv) {
  SetLogLevel(LogLevel::kOff);  // what goes wrong is this command's answer
  CLI::App app("The command line of a Ringleader cluster.", "ringctl");
  app.set_version_flag("--version", std::string(BuildDescription()));
  app.require_subcommand(1);
  app.fallthrough();  // --output may stand after the command
  Context context;
  AddOptions(app, context);
  AddClusterCommands(app, context);
  AddVersionCommands(app, context);
  AddNodeCommands(app, context);
  AddPartitionCommands(app, context);
  AddTableCommands(app, context);
  AddItemCommands(app, context);
  AddTransferCommands(app, context);
  AddCacheCommand(app, context);
  AddCompletionCommand(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    // Of a command that does not exist the parser only says that one is missing.
    const std::vector<std::string> unknown = app.remaining();
    if (app.get_subcommands().empty() && !unknown.empty()) {
      std::cerr << "there is no command " << unknown.front() << "\n";
    }
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = context.run();
  if (status.ok()) return 0;
  std::cerr << "ringctl: " << KindName(KindOf(status)) << ": " << status.message() << "\n";
  return 1;
}

}  // namespace
}  // namespace ringleader::ctl

int main(int argc, char** argv) { return ringleader::ctl::Run(argc, argv); }
