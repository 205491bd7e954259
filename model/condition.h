// Condition and filter expressions: parsed once, evaluated against items.
//
//   condition := condition OR condition | condition AND condition | NOT condition | (condition)
//              | operand (= | <> | < | <= | > | >=) operand
//              | operand BETWEEN operand AND operand
//              | operand IN (operand, ...)
//              | attribute_exists(path) | attribute_not_exists(path) | attribute_type(path, :type)
//              | begins_with(path, operand) | contains(path, operand)
//   operand   := path | :value | size(operand) | (operand)
//   path      := name ([index] | .name)*
//
// NOT binds tighter than AND, AND tighter than OR.
//
// Immutable after parsing; evaluation is thread-safe. Points into its Placeholders.
#ifndef RINGLEADER_MODEL_CONDITION_H_
#define RINGLEADER_MODEL_CONDITION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"
#include "model/expression.h"
#include "model/item.h"

namespace ringleader::model {

// A path, a given value, or the size of either.
struct Operand {
  Path path;                              // empty if it is a value
  const AttributeValue* value = nullptr;  // in the Placeholders
  bool is_size = false;

  bool is_path() const { return !path.empty(); }
  // The type it has whatever the item, and whether it has one.
  bool StaticType(AttributeType* type) const;
};

struct ConditionNode {
  enum class Operator : uint8_t {
    kAnd,
    kOr,
    kNot,
    kEqual,
    kNotEqual,
    kLess,
    kLessOrEqual,
    kGreater,
    kGreaterOrEqual,
    kBetween,
    kIn,
    kAttributeExists,
    kAttributeNotExists,
    kAttributeType,
    kBeginsWith,
    kContains,
  };
  Operator op = Operator::kAnd;
  std::vector<ConditionNode> conditions;  // of AND, OR and NOT
  std::vector<Operand> operands;          // of the others, in the order written
};

class Condition {
 public:
  // `kind` is kCondition, kFilter or kKeyCondition: the same grammar, named differently in errors.
  static absl::StatusOr<Condition> Parse(absl::string_view text, ExpressionKind kind,
                                         Placeholders* placeholders);

  // Whether it holds for an item; null is an item that does not exist and has no attributes.
  bool Holds(const Item* item) const;

  // Every path in it, in the order written; they point into it.
  std::vector<const Path*> Paths() const;

  const ConditionNode& root() const { return root_; }

 private:
  explicit Condition(ConditionNode root) : root_(std::move(root)) {}
  ConditionNode root_;
};

// "=", "BETWEEN", "begins_with": as written in expressions.
absl::string_view OperatorText(ConditionNode::Operator op);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_CONDITION_H_
