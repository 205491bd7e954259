// ringctl partition list|move|transfer.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/ctl/context.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

namespace meta = ::ringleader::coordinator::v1;

std::string ReplicasText(const meta::Partition& partition) {
  std::vector<std::string> nodes;
  for (const auto& replica : partition.replicas()) {
    nodes.push_back(absl::StrCat(replica.node(), replica.voter() ? "" : " (learner)"));
  }
  return absl::StrJoin(nodes, ", ");
}

absl::Status ListPartitions(const Context& context) {
  ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
  ASSIGN_OR_RETURN(const meta::StatusResponse status,
                   connection->Administer<meta::StatusResponse>("Status", meta::StatusRequest()));
  std::map<uint64_t, meta::PartitionHealth> health;
  for (const auto& partition : status.partitions()) health[partition.partition()] = partition;
  Table table({"partition", "first token", "leader", "nodes", "epoch", "quorum", "moving"});
  connection->RunAndWait([&](client::Router& router) {
    for (const auto* partition : router.map().partitions()) {
      const auto& state = health[partition->id()];
      table.Add({absl::StrCat(partition->id()), absl::StrFormat("%016x", partition->first_token()),
                 partition->leader_node() == 0 ? "-" : absl::StrCat(partition->leader_node()),
                 ReplicasText(*partition), absl::StrCat(partition->epoch()),
                 state.has_quorum() ? "yes" : "NO", state.moving()});
    }
  });
  Print(context.is_json() ? table.Json() : table.Text());
  return absl::OkStatus();
}

void AddMove(CLI::App& group, Context& context) {
  CLI::App* command = group.add_subcommand("move", "Move a replica from one node to another");
  auto request = std::make_shared<meta::MovePartitionRequest>();
  const auto number = [&](const char* name, const char* help, auto setter) {
    command
        ->add_option_function<uint64_t>(
            name, [request, setter](uint64_t value) { ((*request).*setter)(value); }, help)
        ->required();
  };
  number("partition", "The partition's id", &meta::MovePartitionRequest::set_partition);
  number("--from", "The node it leaves", &meta::MovePartitionRequest::set_from_node);
  number("--to", "The node it goes to", &meta::MovePartitionRequest::set_to_node);
  command->callback([&context, request] {
    context.run = [&context, request]() -> absl::Status {
      RETURN_IF_ERROR(
          context.Connect()->Administer<meta::AdminResponse>("MovePartition", *request).status());
      Print(absl::StrCat("partition ", request->partition(), " moves from node ",
                         request->from_node(), " to node ", request->to_node(),
                         "; `ringctl partition list` shows how far it is\n"));
      return absl::OkStatus();
    };
  });
}

void AddTransfer(CLI::App& group, Context& context) {
  CLI::App* command = group.add_subcommand("transfer", "Move a partition's leadership");
  auto request = std::make_shared<meta::TransferRequest>();
  command
      ->add_option_function<uint64_t>(
          "partition", [request](uint64_t value) { request->set_partition(value); },
          "The partition's id")
      ->required();
  command
      ->add_option_function<uint64_t>(
          "--to", [request](uint64_t value) { request->set_to_node(value); },
          "The node that is to lead; it has a replica")
      ->required();
  command->callback([&context, request] {
    context.run = [&context, request]() -> absl::Status {
      RETURN_IF_ERROR(context.Connect()
                          ->Administer<meta::AdminResponse>("TransferPartition", *request)
                          .status());
      Print(absl::StrCat("partition ", request->partition(), ": node ", request->to_node(),
                         " was asked to lead\n"));
      return absl::OkStatus();
    };
  });
}

}  // namespace

void AddPartitionCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("partition", "Partitions and where they live");
  group->require_subcommand(1);
  group->add_subcommand("list", "All partitions, in token order")->callback([&context] {
    context.run = [&context] { return ListPartitions(context); };
  });
  AddMove(*group, context);
  AddTransfer(*group, context);
}

}  // namespace ringleader::ctl
