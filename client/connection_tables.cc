// Tables: calls to the metadata leader, and the wait until this client's map shows what they did.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/connection.h"
#include "common/status.h"

namespace ringleader::client {
namespace {

namespace meta = ::ringleader::coordinator::v1;

meta::KeyType WireType(AttributeType type) {
  if (type == AttributeType::kNumber) return meta::KEY_TYPE_NUMBER;
  if (type == AttributeType::kBinary) return meta::KEY_TYPE_BINARY;
  return meta::KEY_TYPE_STRING;
}

TableDescription DescriptionOf(const meta::Table& table) {
  TableDescription description{.id = table.id(),
                               .name = table.name(),
                               .key = SchemaOf(table).key,
                               .created_ms = table.created_ms()};
  if (table.state() == meta::TABLE_STATE_ACTIVE) description.state = TableState::kActive;
  if (table.state() == meta::TABLE_STATE_DELETING) description.state = TableState::kDeleting;
  return description;
}

// A table that is not there has a kind of its own.
absl::Status TableError(const absl::Status& status) {
  return KindOf(status) == ErrorKind::kNotFound
             ? MakeError(ErrorKind::kTableNotFound, status.message())
             : status;
}

}  // namespace

absl::StatusOr<TableDescription> Connection::CreateTable(absl::string_view name,
                                                         const KeySchema& key) {
  const model::TableSchema schema{.name = std::string(name), .key = key};
  if (absl::Status valid = schema.Validate(); !valid.ok()) {
    return MakeError(ErrorKind::kValidation, valid.message());
  }
  meta::CreateTableRequest request;
  request.set_name(std::string(name));
  auto* wire = request.mutable_schema();
  wire->mutable_partition_key()->set_name(key.partition.name);
  wire->mutable_partition_key()->set_type(WireType(key.partition.type));
  if (key.sort.has_value()) {
    wire->mutable_sort_key()->set_name(key.sort->name);
    wire->mutable_sort_key()->set_type(WireType(key.sort->type));
  }
  ASSIGN_OR_RETURN(const meta::TableResponse response,
                   Administer<meta::TableResponse>("CreateTable", request));
  const uint64_t id = response.table().id();
  TableDescription description = DescriptionOf(response.table());
  const bool is_active = AwaitMapWhere(router_->options().timeout, [&](const ClusterMap& map) {
    const MapTable* table = map.FindTable(id);
    if (table == nullptr || table->description.state() != meta::TABLE_STATE_ACTIVE) return false;
    description = DescriptionOf(table->description);
    return true;
  });
  if (!is_active) {
    return MakeError(ErrorKind::kDeadline,
                     absl::StrCat("the table ", name, " was created and is not active yet; ",
                                  "`ringctl table describe ", name, "` shows its state"));
  }
  return description;
}

absl::StatusOr<TableDescription> Connection::DescribeTable(absl::string_view name) {
  meta::TableRequest request;
  request.set_name(std::string(name));
  const auto response = Administer<meta::TableResponse>("DescribeTable", request);
  if (!response.ok()) return TableError(response.status());
  return DescriptionOf(response->table());
}

absl::Status Connection::DeleteTable(absl::string_view name) {
  // An attempt that comes late must not find the next table of that name.
  const auto described = DescribeTable(name);
  if (!described.ok()) return described.status();
  const uint64_t id = described->id;
  meta::TableRequest request;
  request.set_name(std::string(name));
  request.set_id(id);
  const auto response = Administer<meta::TableResponse>("DeleteTable", request);
  if (!response.ok()) return TableError(response.status());
  const bool is_gone = AwaitMapWhere(router_->options().timeout, [&](const ClusterMap& map) {
    return map.version() >= response->version() && map.FindTable(id) == nullptr;
  });
  if (is_gone) return absl::OkStatus();
  return MakeError(ErrorKind::kDeadline,
                   absl::StrCat("the table ", name, " is being deleted and is not gone yet; ",
                                "`ringctl table describe ", name, "` shows its state"));
}

absl::StatusOr<std::vector<std::string>> Connection::ListTables() {
  std::vector<std::string> names;
  meta::ListTablesRequest request;
  while (true) {
    ASSIGN_OR_RETURN(const meta::ListTablesResponse response,
                     Administer<meta::ListTablesResponse>("ListTables", request));
    names.insert(names.end(), response.names().begin(), response.names().end());
    if (!response.more() || response.names().empty()) break;
    request.set_start_after(names.back());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ringleader::client
