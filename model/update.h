// Update expressions: parsed once, applied to an item.
//
//   update  := section...           each of the four at most once, in any order
//   section := SET path = value, ... | REMOVE path, ... | ADD path :value, ... | DELETE path :set,
//   ... value   := operand | operand + operand | operand - operand | (value) operand := path |
//   :value | if_not_exists(path, operand) | list_append(operand, operand)
//            | (operand)
//
// Every right side sees the item as it was before the update, and so do list positions: SET a[9] on
// a shorter list appends, REMOVE a[0], a[1] removes the first two.
//
// Immutable after parsing; applying is thread-safe. Points into its Placeholders.
#ifndef RINGLEADER_MODEL_UPDATE_H_
#define RINGLEADER_MODEL_UPDATE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/expression.h"
#include "model/item.h"
#include "model/table_schema.h"

namespace ringleader::model {

// What is assigned: a tree of at most kExpressionLevelsMax levels.
struct UpdateValue {
  enum class Kind : uint8_t { kPath, kValue, kIfNotExists, kListAppend, kAdd, kSubtract };
  Kind kind = Kind::kValue;
  Path path;                              // of kPath and kIfNotExists
  const AttributeValue* value = nullptr;  // of kValue, in the Placeholders
  std::vector<UpdateValue> operands;      // of the others
};

struct UpdateAction {
  enum class Kind : uint8_t { kSet, kRemove, kAdd, kDelete };
  Kind kind = Kind::kSet;
  Path path;
  UpdateValue value;  // of all but kRemove
};

class Update {
 public:
  static absl::StatusOr<Update> Parse(absl::string_view text, Placeholders* placeholders);

  // Whether it writes to an item that is not there: with only REMOVE and DELETE none comes of it.
  bool CanCreate() const;

  // Refuses paths that begin with a key attribute of the table.
  absl::Status CheckKeys(const KeySchema& key) const;

  // The item after the update. `before` is the stored item, or only the key attributes if there was
  // none. The result's size and nesting are not checked: ValidateItem does.
  absl::StatusOr<Item> Apply(const Item& before) const;

  // Where the expression writes, for UPDATED_OLD and UPDATED_NEW: project the item before or after.
  std::vector<Path> Paths() const;

  const std::vector<UpdateAction>& actions() const { return actions_; }

 private:
  explicit Update(std::vector<UpdateAction> actions) : actions_(std::move(actions)) {}
  std::vector<UpdateAction> actions_;
};

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_UPDATE_H_
