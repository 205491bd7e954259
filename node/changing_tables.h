// Which tables the coordinators wait for: those that are being created or deleted, by the map that
// they tell. Reports name no others, as they would grow with every table that ever was.
//
// Bounded by the tables that a cluster may have. Not thread-safe.
#ifndef RINGLEADER_NODE_CHANGING_TABLES_H_
#define RINGLEADER_NODE_CHANGING_TABLES_H_

#include <cstdint>
#include <set>

#include "ringleader/coordinator/v1/coordinator.pb.h"

namespace ringleader {

class ChangingTables {
 public:
  void Take(const coordinator::v1::MapUpdate& update);
  const std::set<uint64_t>& ids() const { return ids_; }

 private:
  std::set<uint64_t> ids_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_CHANGING_TABLES_H_
