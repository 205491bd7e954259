// ringctl status, ringctl health: the cluster as a whole.
#include "absl/strings/str_cat.h"
#include "client/ctl/context.h"
#include "client/ctl/health.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

namespace meta = ::ringleader::coordinator::v1;

absl::StatusOr<meta::StatusResponse> FetchStatus(const Context& context) {
  return context.Connect()->Administer<meta::StatusResponse>("Status", meta::StatusRequest());
}

absl::Status ShowStatus(const Context& context) {
  ASSIGN_OR_RETURN(const meta::StatusResponse status, FetchStatus(context));
  if (context.is_json()) {
    Print(MessageJson(status));
    return absl::OkStatus();
  }
  Table coordinators({"coordinator", "address", "role", "state", "version", "runs"});
  for (const auto& coordinator : status.coordinators()) {
    coordinators.Add({absl::StrCat(coordinator.id()), coordinator.address(),
                      coordinator.leader() ? "leader" : "follower",
                      coordinator.alive() ? "alive" : "silent", coordinator.version(),
                      VersionsText(coordinator.versions())});
  }
  Print(absl::StrCat(coordinators.Text(), "\n", NodeTable(status).Text(), "\n"));
  const Health health = HealthOf(status);
  Print(absl::StrCat("formation ", status.formation(), ", map version ", status.map_version(),
                     ", cluster version ", status.cluster_version(), "\n", health.text));
  return absl::OkStatus();
}

absl::Status ShowHealth(const Context& context) {
  ASSIGN_OR_RETURN(const meta::StatusResponse status, FetchStatus(context));
  const Health health = HealthOf(status);
  if (context.is_json()) {
    std::string reasons;
    Table table({"problem"});
    for (const std::string& problem : health.problems) table.Add({problem});
    Print(absl::StrCat("{\"healthy\": ", health.is_healthy() ? "true" : "false",
                       ", \"problems\": ", table.Json(), "}\n"));
  } else {
    Print(health.text);
  }
  return health.is_healthy() ? absl::OkStatus()
                             : MakeError(ErrorKind::kUnavailable, "the cluster is not healthy");
}

}  // namespace

void AddClusterCommands(CLI::App& app, Context& context) {
  app.add_subcommand("status", "Coordinators, nodes, and what is wrong")->callback([&context] {
    context.run = [&context] { return ShowStatus(context); };
  });
  app.add_subcommand("health",
                     "Exits with 0 only if every partition has a quorum and there is no alarm")
      ->callback([&context] { context.run = [&context] { return ShowHealth(context); }; });
}

}  // namespace ringleader::ctl
