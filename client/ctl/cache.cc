// ringctl cache: who holds what of the cluster's items in memory.
#include "client/ctl/cache.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/client_request.h"
#include "client/ctl/context.h"
#include "client/ctl/item_text.h"
#include "client/ctl/output.h"
#include "common/status.h"

namespace ringleader::ctl {
namespace {

namespace meta = ::ringleader::coordinator::v1;

constexpr absl::string_view kMethod = "/ringleader.cache.v1.Cache/Status";
constexpr uint32_t kPageMax = 1000;

std::vector<std::string> HoldingRow(const std::string& name, const cache::v1::HoldingStatus& held) {
  return {name,
          absl::StrCat(held.sessions()),
          absl::StrCat(held.items()),
          absl::StrCat(held.grants()),
          absl::StrCat(held.waits()),
          absl::StrCat(held.blocked_items())};
}

Table HoldingTable(const std::vector<NodeCache>& nodes) {
  Table table({"node", "sessions", "items", "grants", "waits", "blocked"});
  cache::v1::HoldingStatus sum;
  for (const NodeCache& node : nodes) {
    if (!node.reached.ok()) continue;
    const cache::v1::HoldingStatus& held = node.status.total();
    table.Add(HoldingRow(absl::StrCat(node.node), held));
    sum.set_sessions(sum.sessions() + held.sessions());
    sum.set_items(sum.items() + held.items());
    sum.set_grants(sum.grants() + held.grants());
    sum.set_waits(sum.waits() + held.waits());
    sum.set_blocked_items(sum.blocked_items() + held.blocked_items());
  }
  table.Add(HoldingRow("all", sum));
  return table;
}

std::string Seconds(uint64_t ms) { return absl::StrFormat("%.1f", static_cast<double>(ms) / 1000); }

Table SessionTable(const std::vector<NodeCache>& nodes) {
  Table table({"node", "session", "client", "peer", "age s", "silent s", "partitions", "items",
               "invalidations"});
  for (const NodeCache& node : nodes) {
    for (const cache::v1::SessionStatus& session : node.status.sessions()) {
      table.Add({absl::StrCat(node.node), absl::StrCat(session.session()),
                 absl::StrFormat("%016x", session.client()), session.peer(),
                 Seconds(session.age_ms()), Seconds(session.silent_ms()),
                 absl::StrCat(session.partitions()), absl::StrCat(session.items()),
                 absl::StrCat(session.invalidations())});
    }
  }
  return table;
}

// Pages until there are `sessions_max` sessions or no more: with an item, of those that hold it.
NodeCache AskNode(client::Connection& connection, const meta::Node& node, uint32_t sessions_max,
                  const data::v1::Request& item) {
  NodeCache answer{.node = node.id(), .address = node.address()};
  cache::v1::StatusRequest request;
  if (item.has_get()) *request.mutable_item() = item;
  do {
    const auto missing = sessions_max - static_cast<uint32_t>(answer.status.sessions_size());
    request.set_sessions_max(std::min(missing, kPageMax));
    const auto bytes = connection.CallNode(node.address(), kMethod, request.SerializeAsString());
    cache::v1::StatusResponse page;
    if (!bytes.ok() || !page.ParseFromString(*bytes)) {
      answer.reached =
          bytes.ok() ? absl::DataLossError("its answer can't be read") : bytes.status();
      return answer;
    }
    for (auto& session : *page.mutable_sessions()) {
      if (item.has_get() && !session.holds_item()) continue;
      *answer.status.add_sessions() = std::move(session);
    }
    *answer.status.mutable_total() = page.total();
    answer.status.set_next_after(page.next_after());
    request.set_after(page.next_after());
  } while (request.after() != 0 &&
           static_cast<uint32_t>(answer.status.sessions_size()) < sessions_max);
  return answer;
}

struct CacheArguments {
  uint32_t sessions_max = 100;
  std::string table;
  std::string key;
};

// Of the item that is asked for, if one is. It is read first, which says what is wrong with its
// table or its key.
absl::StatusOr<data::v1::Request> ItemRequest(client::Connection& connection,
                                              const CacheArguments& arguments) {
  if (arguments.table.empty()) return data::v1::Request();
  auto key = ParseItem(arguments.key);
  if (!key.ok()) {
    return MakeError(ErrorKind::kValidation, absl::StrCat("--key: ", key.status().message()));
  }
  const auto read = connection.Get(arguments.table, *key, {});
  if (!read.ok()) return NamingTable(read.status(), arguments.table);
  return client::GetRequest(arguments.table, *key, {});
}

absl::Status ShowCache(const Context& context, const CacheArguments& arguments) {
  ASSIGN_OR_RETURN(const auto connection, context.ConnectToData());
  ASSIGN_OR_RETURN(const data::v1::Request item, ItemRequest(*connection, arguments));
  ASSIGN_OR_RETURN(const meta::StatusResponse status,
                   connection->Administer<meta::StatusResponse>("Status", meta::StatusRequest()));
  std::vector<NodeCache> nodes;
  for (const meta::Node& node : status.nodes()) {
    if (node.state() == meta::NODE_STATE_REMOVED) continue;
    nodes.push_back(AskNode(*connection, node, arguments.sessions_max, item));
  }
  Print(context.is_json() ? CacheJson(nodes) : CacheText(nodes));
  for (const NodeCache& node : nodes) {
    if (node.reached.ok()) continue;
    return MakeError(
        ErrorKind::kUnavailable,
        absl::StrCat("node ", node.node, " gave no answer at ", node.address, ": ",
                     node.reached.message(),
                     " (nodes are asked directly; on a private network, run this there)"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string CacheText(const std::vector<NodeCache>& nodes) {
  std::string text = absl::StrCat(HoldingTable(nodes).Text(), "\n", SessionTable(nodes).Text());
  for (const NodeCache& node : nodes) {
    if (node.status.next_after() == 0) continue;
    absl::StrAppend(
        &text, "node ", node.node, " has ",
        node.status.total().sessions() - static_cast<uint64_t>(node.status.sessions_size()),
        " more sessions; --sessions shows more\n");
  }
  return text;
}

std::string CacheJson(const std::vector<NodeCache>& nodes) {
  Table unreachable({"node", "address"});
  for (const NodeCache& node : nodes) {
    if (!node.reached.ok()) unreachable.Add({absl::StrCat(node.node), node.address});
  }
  return absl::StrCat("{\"nodes\": ", HoldingTable(nodes).Json(),
                      ", \"sessions\": ", SessionTable(nodes).Json(),
                      ", \"unreachable\": ", unreachable.Json(), "}\n");
}

void AddCacheCommand(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("cache", "Which clients hold items in memory, and how many");
  auto arguments = std::make_shared<CacheArguments>();
  command
      ->add_option("--sessions", arguments->sessions_max, "How many sessions of each node to show")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  CLI::Option* const table = command->add_option("--table", arguments->table,
                                                 "Only those that hold an item of this table");
  CLI::Option* const key = command->add_option("--key", arguments->key, "Its key, as JSON");
  table->needs(key);
  key->needs(table);
  command->callback([&context, arguments] {
    context.run = [&context, arguments] { return ShowCache(context, *arguments); };
  });
}

}  // namespace ringleader::ctl
