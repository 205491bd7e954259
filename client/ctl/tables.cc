// ringctl table create|describe|list|delete.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/ctl/context.h"
#include "client/ctl/item_text.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

std::string KeyText(const std::optional<model::KeyAttribute>& key) {
  return key.has_value() ? absl::StrCat(key->name, ":", model::TypeName(key->type)) : "";
}

void PrintTable(const Context& context, const TableDescription& description) {
  Table table({"name", "id", "state", "partition key", "sort key"});
  const char* state = description.state == TableState::kActive     ? "active"
                      : description.state == TableState::kCreating ? "being created"
                                                                   : "being deleted";
  table.Add({description.name, absl::StrCat(description.id), state,
             KeyText(description.key.partition), KeyText(description.key.sort)});
  Print(context.is_json() ? table.Json() : table.Text());
}

void AddCreate(CLI::App& group, Context& context) {
  CLI::App* command = group.add_subcommand("create", "Make a table");
  auto texts = std::make_shared<std::array<std::string, 3>>();
  command->add_option("name", (*texts)[0], "3 to 255 of a-z A-Z 0-9 _ - .")->required();
  command
      ->add_option("--key", (*texts)[1],
                   "Partition key, name:type with type S, N or B (S if left out)")
      ->required();
  command->add_option("--sort", (*texts)[2], "Sort key, likewise; a table may have none");
  command->callback([&context, texts] {
    context.run = [&context, texts]() -> absl::Status {
      const auto& [name, key, sort] = *texts;
      KeySchema schema;
      ASSIGN_OR_RETURN(schema.partition, ParseKeyAttribute(key));
      if (!sort.empty()) {
        ASSIGN_OR_RETURN(schema.sort, ParseKeyAttribute(sort));
      }
      ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
      ASSIGN_OR_RETURN(const TableDescription description, connection->CreateTable(name, schema));
      PrintTable(context, description);
      return absl::OkStatus();
    };
  });
}

absl::Status ListTables(const Context& context) {
  ASSIGN_OR_RETURN(const auto names, context.Connect()->ListTables());
  Table table({"name"});
  for (const std::string& name : names) table.Add({name});
  Print(context.is_json() ? table.Json() : table.Text());
  return absl::OkStatus();
}

}  // namespace

void AddTableCommands(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("table", "Tables");
  group->require_subcommand(1);
  AddCreate(*group, context);
  group->add_subcommand("list", "The names of all tables")->callback([&context] {
    context.run = [&context] { return ListTables(context); };
  });
  auto name = std::make_shared<std::string>();
  CLI::App* describe = group->add_subcommand("describe", "One table's keys and state");
  describe->add_option("name", *name, "The table")->required();
  describe->callback([&context, name] {
    context.run = [&context, name]() -> absl::Status {
      ASSIGN_OR_RETURN(const TableDescription description, context.Connect()->DescribeTable(*name));
      PrintTable(context, description);
      return absl::OkStatus();
    };
  });
  CLI::App* remove = group->add_subcommand("delete", "Delete a table and all of its items");
  remove->add_option("name", *name, "The table")->required();
  remove->callback([&context, name] {
    context.run = [&context, name]() -> absl::Status {
      RETURN_IF_ERROR(context.Connect()->DeleteTable(*name));
      Print(absl::StrCat("table ", *name, " is deleted\n"));
      return absl::OkStatus();
    };
  });
}

}  // namespace ringleader::ctl
