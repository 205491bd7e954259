// A table as a partition serves it: the record that is stored, and the schema read from it.
#ifndef RINGLEADER_NODE_TABLE_INFO_H_
#define RINGLEADER_NODE_TABLE_INFO_H_

#include "absl/status/statusor.h"
#include "model/table_schema.h"
#include "node/records.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"

namespace ringleader {

struct TableInfo {
  TableRecord record;
  model::TableSchema schema;
};

// INVALID_ARGUMENT: not a table that can be served. A retired table needs no more than its id.
absl::StatusOr<TableInfo> MakeTableInfo(TableRecord record);
// The record that a log entry carries for what the coordinators say of a table: DELETING retires.
absl::StatusOr<TableRecord> MakeTableRecord(const coordinator::v1::Table& table);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_TABLE_INFO_H_
