#include "node/table_info.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace ringleader {
namespace {

absl::StatusOr<model::KeyAttribute> KeyAttributeOf(const coordinator::v1::KeyAttribute& key) {
  model::KeyAttribute attribute{.name = key.name()};
  switch (key.type()) {
    case coordinator::v1::KEY_TYPE_STRING:
      attribute.type = model::AttributeType::kString;
      return attribute;
    case coordinator::v1::KEY_TYPE_NUMBER:
      attribute.type = model::AttributeType::kNumber;
      return attribute;
    case coordinator::v1::KEY_TYPE_BINARY:
      attribute.type = model::AttributeType::kBinary;
      return attribute;
    default:
      return absl::InvalidArgumentError(absl::StrCat("unknown key type ", key.type()));
  }
}

}  // namespace

absl::StatusOr<TableInfo> MakeTableInfo(TableRecord record) {
  TableInfo info{.record = std::move(record)};
  info.schema.id = info.record.id;
  info.schema.version = info.record.schema_version;
  if (info.record.phase == TablePhase::kRetired) return info;
  coordinator::v1::Table table;
  if (!table.ParseFromString(info.record.definition) || table.id() != info.record.id) {
    return absl::InvalidArgumentError(absl::StrCat("table ", info.record.id, " can't be read"));
  }
  info.schema.name = table.name();
  ASSIGN_OR_RETURN(info.schema.key.partition, KeyAttributeOf(table.schema().partition_key()));
  if (!table.schema().sort_key().name().empty()) {
    ASSIGN_OR_RETURN(info.schema.key.sort, KeyAttributeOf(table.schema().sort_key()));
  }
  RETURN_IF_ERROR(info.schema.Validate());
  return info;
}

absl::StatusOr<TableRecord> MakeTableRecord(const coordinator::v1::Table& table) {
  if (table.id() == 0) return absl::InvalidArgumentError("a table without an id");
  TableRecord record{.id = table.id(), .schema_version = table.schema_version()};
  if (table.state() == coordinator::v1::TABLE_STATE_DELETING) {
    record.phase = TablePhase::kRetired;
    return record;
  }
  record.definition = table.SerializeAsString();
  RETURN_IF_ERROR(MakeTableInfo(record).status());
  return record;
}

}  // namespace ringleader
