// ringctl put|get|update|delete|query|scan.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/context.h"
#include "client/ctl/item_text.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

// What these commands take, each a part of it.
struct ItemArguments {
  std::string table;
  std::string item;  // or key, or update
  std::string update;
  std::string condition;
  std::string key_condition;
  std::string filter;
  std::string projection;
  std::string values;
  std::vector<std::string> names;
  bool is_eventual = false;
  bool is_backward = false;
  bool is_dynamodb_json = false;
  uint32_t limit = 0;
};

constexpr char kItemHelp[] = R"(JSON: plain {"id": "ada"} or DynamoDB's {"id": {"S": "ada"}})";

std::shared_ptr<ItemArguments> AddTableArgument(CLI::App& command) {
  auto arguments = std::make_shared<ItemArguments>();
  command.add_option("table", arguments->table, "The table")->required();
  command.add_flag("--dynamodb-json", arguments->is_dynamodb_json,
                   "Print items in DynamoDB's JSON");
  command.add_option("--name", arguments->names, "#placeholder=attribute, for expressions");
  return arguments;
}

void AddValues(CLI::App& command, ItemArguments& arguments) {
  command.add_option("--values", arguments.values, R"(JSON of placeholders: {":v": 1})");
}

absl::StatusOr<model::Item> ParseNamed(const std::string& text, absl::string_view what) {
  if (text.empty()) return model::Item();
  auto item = ParseItem(text);
  if (!item.ok()) {
    return MakeError(ErrorKind::kValidation, absl::StrCat(what, ": ", item.status().message()));
  }
  return item;
}

absl::StatusOr<WriteOptions> WriteOptionsOf(const ItemArguments& arguments) {
  WriteOptions options{.condition = arguments.condition};
  options.return_item_on_condition_failure = true;
  ASSIGN_OR_RETURN(options.names, ParseNames(arguments.names));
  ASSIGN_OR_RETURN(options.values, ParseNamed(arguments.values, "--values"));
  return options;
}

absl::StatusOr<QueryOptions> QueryOptionsOf(const ItemArguments& arguments) {
  QueryOptions options{.key_condition = arguments.key_condition,
                       .filter = arguments.filter,
                       .projection = arguments.projection,
                       .backward = arguments.is_backward};
  if (arguments.is_eventual) options.consistency = Consistency::kEventual;
  ASSIGN_OR_RETURN(options.names, ParseNames(arguments.names));
  ASSIGN_OR_RETURN(options.values, ParseNamed(arguments.values, "--values"));
  return options;
}

void PrintItem(const model::Item& item, const ItemArguments& arguments) {
  Print(ItemText(item, arguments.is_dynamodb_json) + "\n");
}

absl::Status WriteStatus(const absl::Status& status, const ItemArguments& arguments) {
  if (const auto item = FailedItem(status); item.has_value()) {
    return MakeError(KindOf(status), absl::StrCat(status.message(), "; the item is ",
                                                  ItemText(*item, arguments.is_dynamodb_json)));
  }
  return status;
}

enum class Write { kPut, kUpdate, kDelete };

absl::Status RunWrite(const Context& context, const ItemArguments& arguments, Write write) {
  ASSIGN_OR_RETURN(const model::Item item, ParseNamed(arguments.item, "the item or key"));
  ASSIGN_OR_RETURN(WriteOptions options, WriteOptionsOf(arguments));
  if (write == Write::kUpdate) options.return_values = ReturnValues::kAllNew;
  ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
  absl::StatusOr<WriteResult> result;
  if (write == Write::kPut) result = connection->Put(arguments.table, item, options);
  if (write == Write::kDelete) result = connection->Remove(arguments.table, item, options);
  if (write == Write::kUpdate) {
    result = connection->Update(arguments.table, item, arguments.update, options);
  }
  if (!result.ok()) {
    return NamingTable(WriteStatus(result.status(), arguments), arguments.table);
  }
  if (write == Write::kUpdate) PrintItem(result->item, arguments);
  return absl::OkStatus();
}

absl::Status RunGet(const Context& context, const ItemArguments& arguments) {
  ASSIGN_OR_RETURN(const model::Item key, ParseNamed(arguments.item, "the key"));
  ReadOptions options{.projection = arguments.projection};
  if (arguments.is_eventual) options.consistency = Consistency::kEventual;
  ASSIGN_OR_RETURN(options.names, ParseNames(arguments.names));
  ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
  const auto result = connection->Get(arguments.table, key, options);
  if (!result.ok()) return NamingTable(result.status(), arguments.table);
  if (!result->found) return MakeError(ErrorKind::kNotFound, "there is no such item");
  PrintItem(result->item, arguments);
  return absl::OkStatus();
}

// Page after page, until the end or --limit items.
absl::Status RunQuery(const Context& context, const ItemArguments& arguments, bool is_scan) {
  ASSIGN_OR_RETURN(QueryOptions options, QueryOptionsOf(arguments));
  ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
  uint64_t printed = 0;
  while (true) {
    const auto page = is_scan ? connection->Scan(arguments.table, options)
                              : connection->Query(arguments.table, options);
    if (!page.ok()) return NamingTable(page.status(), arguments.table);
    for (const model::Item& item : page->items) {
      PrintItem(item, arguments);
      if (++printed == arguments.limit) return absl::OkStatus();
    }
    if (page->last_key.empty()) return absl::OkStatus();
    options.start_key = page->last_key;
  }
}

void AddWrite(CLI::App& app, Context& context, const char* name, const char* help, Write write) {
  CLI::App* command = app.add_subcommand(name, help);
  auto arguments = AddTableArgument(*command);
  command->add_option(write == Write::kPut ? "item" : "key", arguments->item, kItemHelp)
      ->required();
  if (write == Write::kUpdate) {
    command->add_option("update", arguments->update, "Such as: SET age = :a REMOVE nick")
        ->required();
  }
  command->add_option("--condition", arguments->condition, "Only if this holds");
  AddValues(*command, *arguments);
  command->callback([&context, arguments, write] {
    context.run = [&context, arguments, write] { return RunWrite(context, *arguments, write); };
  });
}

void AddRead(CLI::App& app, Context& context, const char* name, const char* help, bool is_scan) {
  CLI::App* command = app.add_subcommand(name, help);
  auto arguments = AddTableArgument(*command);
  if (!is_scan) {
    command->add_option("condition", arguments->key_condition, "Such as: id = :id AND n > :n")
        ->required();
    command->add_flag("--backward", arguments->is_backward, "Descending sort keys");
  }
  command->add_option("--filter", arguments->filter, "Print only items for which this holds");
  command->add_option("--projection", arguments->projection, "Print only these attributes");
  command->add_option("--limit", arguments->limit, "Print at most so many items; 0: all");
  command->add_flag("--eventual", arguments->is_eventual, "From any replica");
  AddValues(*command, *arguments);
  command->callback([&context, arguments, is_scan] {
    context.run = [&context, arguments, is_scan] { return RunQuery(context, *arguments, is_scan); };
  });
}

}  // namespace

void AddItemCommands(CLI::App& app, Context& context) {
  AddWrite(app, context, "put", "Write an item, replacing what is there", Write::kPut);
  CLI::App* get = app.add_subcommand("get", "Print an item; exits with 1 if there is none");
  auto arguments = AddTableArgument(*get);
  get->add_option("key", arguments->item, kItemHelp)->required();
  get->add_option("--projection", arguments->projection, "Print only these attributes");
  get->add_flag("--eventual", arguments->is_eventual, "From any replica");
  get->callback([&context, arguments] {
    context.run = [&context, arguments] { return RunGet(context, *arguments); };
  });
  AddWrite(app, context, "update", "Change an item, and print it", Write::kUpdate);
  AddWrite(app, context, "delete", "Delete an item", Write::kDelete);
  AddRead(app, context, "query", "Print the items of one partition key", false);
  AddRead(app, context, "scan", "Print all items of a table", true);
}

}  // namespace ringleader::ctl
