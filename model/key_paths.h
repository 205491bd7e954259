// Where the paths of expressions meet a table's key.
#ifndef RINGLEADER_MODEL_KEY_PATHS_H_
#define RINGLEADER_MODEL_KEY_PATHS_H_

#include <vector>

#include "absl/status/status.h"
#include "model/expression.h"
#include "model/table_schema.h"

namespace ringleader::model {

// Keys are scalars: no path of an expression may lead into one.
absl::Status ValidateKeyPaths(const KeySchema& key, const std::vector<const Path*>& paths);

// A query's filter sees what its key condition has left: it may name no key attribute.
absl::Status ValidateFilterPaths(const KeySchema& key, const std::vector<const Path*>& paths);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_KEY_PATHS_H_
