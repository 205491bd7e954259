// Evaluation of one write at the leader: from a request and the item as it is, to the effect on one
// key and the answer. No state, no log, no clock: whoever calls finds the current item and carries
// the effect out. The texts and the order of the checks are DynamoDB's.
#ifndef RINGLEADER_NODE_EVALUATE_H_
#define RINGLEADER_NODE_EVALUATE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/condition.h"
#include "model/expression.h"
#include "model/key_codec.h"
#include "model/projection.h"
#include "model/table_schema.h"
#include "model/token.h"
#include "node/table_info.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader {

struct Evaluation {
  enum class Kind : uint8_t {
    kEffect,   // `key` gets `item`; the answer holds once that is applied
    kNothing,  // the answer follows from the state and changes nothing: a linearizable read
    kRefused,  // the answer follows from the request alone
  };
  Kind kind = Kind::kRefused;
  std::string key;
  std::optional<std::string> item;  // none: deleted
  data::v1::Response response;
};

// The encoded item under a key, as of all effects evaluated so far.
using ReadCurrent =
    std::function<absl::StatusOr<std::optional<std::string>>(const std::string& key)>;

// `request` holds a put, a delete or an update. An error only if the current item can't be read.
absl::StatusOr<Evaluation> EvaluateWrite(const data::v1::Request& request, const TableInfo& table,
                                         const model::TokenRange& range,
                                         const ReadCurrent& current);

// --- Shared with reads
// ----------------------------------------------------------------------------

// Fills an answer with an error. InvalidArgument becomes ERROR_VALIDATION, OUT_OF_RANGE (see
// CheckToken) ERROR_WRONG_ROUTE, UNAVAILABLE ERROR_UNAVAILABLE, the rest ERROR_INTERNAL.
data::v1::Response ErrorResponse(data::v1::Error error, absl::string_view message);
data::v1::Response StatusResponse(const absl::Status& status);

// OUT_OF_RANGE: the key belongs to another partition.
absl::Status CheckToken(model::Token token, const model::TokenRange& range);

// Expressions against the table's key, once they are parsed: no path leads into a key attribute.
absl::Status CheckKeyPaths(const model::KeySchema& key,
                           const std::optional<model::Condition>& condition,
                           const std::optional<model::Projection>& projection);

absl::StatusOr<model::Placeholders> MakePlaceholders(const data::v1::Expressions& expressions);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_EVALUATE_H_
