// ringctl cluster version [--raise [--to N]].
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/context.h"
#include "client/ctl/health.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

namespace meta = ::ringleader::coordinator::v1;

struct VersionArguments {
  bool raise = false;
  uint32_t to = 0;
};

absl::Status ShowVersion(const Context& context) {
  ASSIGN_OR_RETURN(
      const meta::StatusResponse status,
      context.Connect()->Administer<meta::StatusResponse>("Status", meta::StatusRequest()));
  const Table table = BuildTable(status);
  if (context.is_json()) {
    Print(absl::StrCat("{\"cluster_version\": ", status.cluster_version(),
                       ", \"processes\": ", table.Json(), "}\n"));
  } else {
    Print(absl::StrCat("cluster version ", status.cluster_version(), "\n\n", table.Text()));
  }
  return absl::OkStatus();
}

absl::Status Raise(const Context& context, uint32_t to) {
  meta::RaiseVersionRequest request;
  request.set_version(to);
  const auto connection = context.Connect();
  RETURN_IF_ERROR(
      connection->Administer<meta::AdminResponse>("RaiseClusterVersion", request).status());
  return ShowVersion(context);
}

}  // namespace

void AddVersionCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("cluster", "The cluster's version");
  group->require_subcommand(1);
  CLI::App* command = group->add_subcommand(
      "version",
      "Which version the cluster is at, and which ones each process can run. What is new in a "
      "version begins when the cluster is raised to it; until then older builds may return");
  auto arguments = std::make_shared<VersionArguments>();
  CLI::Option* raise = command->add_flag(
      "--raise", arguments->raise, "Raise it, for ever; refused unless every process can run it");
  command
      ->add_option("--to", arguments->to,
                   "To this version; else to the newest that any of them runs")
      ->needs(raise)
      ->check(CLI::PositiveNumber);
  command->callback([&context, arguments] {
    context.run = [&context, arguments] {
      return arguments->raise ? Raise(context, arguments->to) : ShowVersion(context);
    };
  });
}

}  // namespace ringleader::ctl
