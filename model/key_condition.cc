#include "model/key_condition.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/error.h"

namespace ringleader::model {
namespace {

using Operator = ConditionNode::Operator;

// One condition on one attribute, the attribute on the left.
struct Clause {
  std::string attribute;
  Operator op = Operator::kEqual;
  std::vector<const AttributeValue*> values;
};

// `:v < a` is `a > :v`.
Operator Mirrored(Operator op) {
  switch (op) {
    case Operator::kLess:
      return Operator::kGreater;
    case Operator::kLessOrEqual:
      return Operator::kGreaterOrEqual;
    case Operator::kGreater:
      return Operator::kLess;
    case Operator::kGreaterOrEqual:
      return Operator::kLessOrEqual;
    default:
      return op;
  }
}

absl::Status CheckOperator(const ConditionNode& leaf) {
  switch (leaf.op) {
    case Operator::kOr:
    case Operator::kNot:
    case Operator::kIn:
    case Operator::kNotEqual:
    case Operator::kAttributeExists:
    case Operator::kAttributeNotExists:
    case Operator::kAttributeType:
    case Operator::kContains:
      return ValidationError(
          absl::StrCat("Invalid operator used in KeyConditionExpression: ", OperatorText(leaf.op)));
    case Operator::kBetween:
    case Operator::kBeginsWith:
      if (leaf.operands[0].is_path()) return absl::OkStatus();
      return ValidationError(
          absl::StrCat("Invalid condition in KeyConditionExpression: ", OperatorText(leaf.op),
                       " operator must have the key attribute as its first "
                       "operand"));
    default:
      return absl::OkStatus();
  }
}

absl::StatusOr<Clause> ReadLeaf(const ConditionNode& leaf) {
  RETURN_IF_ERROR(CheckOperator(leaf));
  Clause clause;
  clause.op = leaf.op;
  for (size_t i = 0; i < leaf.operands.size(); ++i) {
    const Operand& operand = leaf.operands[i];
    if (operand.is_size) {
      return ValidationError("KeyConditionExpressions cannot contain nested operations");
    }
    if (!operand.is_path()) {
      clause.values.push_back(operand.value);
      continue;
    }
    if (!clause.attribute.empty()) {
      return ValidationError(
          "Invalid condition in KeyConditionExpression: Multiple attribute names used in one "
          "condition");
    }
    if (operand.path.size() > 1) {
      return ValidationError("KeyConditionExpressions cannot have conditions on nested attributes");
    }
    clause.attribute = operand.path[0].name;
    if (i == 1) clause.op = Mirrored(clause.op);
  }
  if (clause.attribute.empty()) {
    return ValidationError(
        "Invalid condition in KeyConditionExpression: No key attribute specified");
  }
  return clause;
}

absl::Status ReadClauses(const ConditionNode& node, std::vector<Clause>* clauses) {
  if (node.op == Operator::kAnd) {
    for (const ConditionNode& child : node.conditions) {
      RETURN_IF_ERROR(ReadClauses(child, clauses));
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(Clause clause, ReadLeaf(node));
  for (const Clause& earlier : *clauses) {
    if (earlier.attribute == clause.attribute) {
      return ValidationError("KeyConditionExpressions must only contain one condition per key");
    }
  }
  clauses->push_back(std::move(clause));
  return absl::OkStatus();
}

absl::Status MissedElement(absl::string_view name) {
  return ValidationError(absl::StrCat("Query condition missed key schema element: ", name));
}

absl::Status CheckTypes(const Clause& clause, const KeyAttribute& attribute) {
  for (const AttributeValue* value : clause.values) {
    if (value->type() != attribute.type) {
      return InvalidParameter("Condition parameter type does not match schema type");
    }
  }
  return absl::OkStatus();
}

SortCondition ToSortCondition(const Clause& clause) {
  using Sort = SortCondition::Operator;
  SortCondition condition;
  switch (clause.op) {
    case Operator::kLess:
      condition.op = Sort::kLess;
      break;
    case Operator::kLessOrEqual:
      condition.op = Sort::kLessOrEqual;
      break;
    case Operator::kGreater:
      condition.op = Sort::kGreater;
      break;
    case Operator::kGreaterOrEqual:
      condition.op = Sort::kGreaterOrEqual;
      break;
    case Operator::kBetween:
      condition.op = Sort::kBetween;
      condition.high = *clause.values[1];
      break;
    case Operator::kBeginsWith:
      condition.op = Sort::kBeginsWith;
      break;
    default:
      condition.op = Sort::kEqual;
  }
  condition.low = *clause.values[0];
  return condition;
}

}  // namespace

absl::StatusOr<KeyCondition> KeyCondition::Parse(absl::string_view text, const KeySchema& key,
                                                 Placeholders* placeholders) {
  ASSIGN_OR_RETURN(const Condition condition,
                   Condition::Parse(text, ExpressionKind::kKeyCondition, placeholders));
  std::vector<Clause> clauses;
  RETURN_IF_ERROR(ReadClauses(condition.root(), &clauses));
  if (clauses.size() > 2) return ValidationError("Conditions can be of length 1 or 2 only");
  const Clause* partition = nullptr;
  const Clause* sort = nullptr;
  for (const Clause& clause : clauses) {
    if (clause.attribute == key.partition.name) partition = &clause;
    if (key.sort.has_value() && clause.attribute == key.sort->name) sort = &clause;
  }
  if (partition == nullptr) return MissedElement(key.partition.name);
  if (clauses.size() == 2 && sort == nullptr) {
    if (!key.sort.has_value()) return ValidationError("Query key condition not supported");
    return MissedElement(key.sort->name);
  }
  if (partition->op != Operator::kEqual) {
    return ValidationError("Query key condition not supported");
  }
  RETURN_IF_ERROR(CheckTypes(*partition, key.partition));
  RETURN_IF_ERROR(ValidateKeyBytes(key.partition, *partition->values[0], true));
  KeyCondition result;
  result.partition = *partition->values[0];
  if (sort != nullptr) {
    RETURN_IF_ERROR(CheckTypes(*sort, *key.sort));
    if (sort->op == Operator::kEqual) {
      RETURN_IF_ERROR(ValidateKeyBytes(*key.sort, *sort->values[0], false));
    }
    result.sort = ToSortCondition(*sort);
  }
  return result;
}

KeyRange KeyCondition::Range(TableId id, Token token) const {
  const std::string prefix = EncodePartitionPrefix(id, token, partition);
  return sort.has_value() ? SortKeyRange(prefix, *sort) : PartitionKeyRange(prefix);
}

}  // namespace ringleader::model
