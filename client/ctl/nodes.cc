// ringctl node list|drain|undrain|remove.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/context.h"
#include "client/ctl/health.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

namespace meta = ::ringleader::coordinator::v1;

absl::Status ListNodes(const Context& context) {
  ASSIGN_OR_RETURN(
      const meta::StatusResponse status,
      context.Connect()->Administer<meta::StatusResponse>("Status", meta::StatusRequest()));
  const Table table = NodeTable(status);
  Print(context.is_json() ? table.Json() : table.Text());
  return absl::OkStatus();
}

void AddNodeCommand(CLI::App& group, Context& context, const std::string& name,
                    const std::string& help, const std::string& method, const std::string& then,
                    const std::string& force_help = "") {
  CLI::App* command = group.add_subcommand(name, help);
  auto request = std::make_shared<meta::NodeRequest>();
  command
      ->add_option_function<uint64_t>(
          "node", [request](uint64_t node) { request->set_node(node); },
          "The node's id, as `ringctl node list` shows it")
      ->required();
  if (!force_help.empty()) {
    command->add_flag_callback(
        "--force", [request] { request->set_force(true); }, force_help);
  }
  command->callback([&context, request, method, then] {
    context.run = [&context, request, method, then]() -> absl::Status {
      RETURN_IF_ERROR(
          context.Connect()->Administer<meta::AdminResponse>(method, *request).status());
      Print(absl::StrCat("node ", request->node(), ": ", then, "\n"));
      return absl::OkStatus();
    };
  });
}

}  // namespace

void AddNodeCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("node", "Storage nodes");
  group->require_subcommand(1);
  group->add_subcommand("list", "All nodes")->callback([&context] {
    context.run = [&context] { return ListNodes(context); };
  });
  AddNodeCommand(*group, context, "drain", "Move all replicas away from a node", "DrainNode",
                 "draining; its replicas move away. `ringctl partition list` shows when it has "
                 "none, then `ringctl node remove` is safe");
  AddNodeCommand(*group, context, "undrain", "Let a node take replicas again", "UndrainNode",
                 "takes replicas again");
  AddNodeCommand(*group, context, "remove", "Take a node out of the cluster for ever", "RemoveNode",
                 "removed; its id never returns",
                 "Also if a partition is left without a majority of its replicas: what only the "
                 "missing ones hold is lost for good");
}

}  // namespace ringleader::ctl
