#include "node/changing_tables.h"

namespace ringleader {

void ChangingTables::Take(const coordinator::v1::MapUpdate& update) {
  if (update.complete()) ids_.clear();
  for (const coordinator::v1::Table& table : update.tables()) {
    if (table.state() == coordinator::v1::TABLE_STATE_ACTIVE) {
      ids_.erase(table.id());
    } else {
      ids_.insert(table.id());
    }
  }
  for (const uint64_t table : update.deleted_tables()) ids_.erase(table);
}

}  // namespace ringleader
