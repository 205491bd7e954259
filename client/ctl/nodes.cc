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
                    const std::string& help, const std::string& method, const std::string& then) {
  CLI::App* command = group.add_subcommand(name, help);
  auto node = std::make_shared<uint64_t>(0);
  command->add_option("node", *node, "The node's id, as `ringctl node list` shows it")->required();
  command->callback([&context, node, method, then] {
    context.run = [&context, node, method, then]() -> absl::Status {
      meta::NodeRequest request;
      request.set_node(*node);
      RETURN_IF_ERROR(context.Connect()->Administer<meta::AdminResponse>(method, request).status());
      Print(absl::StrCat("node ", *node, ": ", then, "\n"));
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
                 "removed; its id never returns");
}

}  // namespace ringleader::ctl
