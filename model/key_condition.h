// Key condition expressions: which items a query reads.
//
//   partition = :value [AND sort-condition]
//   sort-condition := sort (= | < | <= | > | >=) :value | sort BETWEEN :low AND :high
//                   | begins_with(sort, :prefix)
//
// Parsed with the grammar of conditions, then narrowed, as DynamoDB does: so its errors come in
// DynamoDB's order. Immutable; owns its values.
#ifndef RINGLEADER_MODEL_KEY_CONDITION_H_
#define RINGLEADER_MODEL_KEY_CONDITION_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/condition.h"
#include "model/key_codec.h"
#include "model/table_schema.h"

namespace ringleader::model {

struct KeyCondition {
  AttributeValue partition;
  std::optional<SortCondition> sort;

  // `key` is the table's or the index's.
  static absl::StatusOr<KeyCondition> Parse(absl::string_view text, const KeySchema& key,
                                            Placeholders* placeholders);

  // The keys to read, under an id and a token (see key_codec.h).
  KeyRange Range(TableId id, Token token) const;
};

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_KEY_CONDITION_H_
