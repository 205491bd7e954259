#include "model/condition_check.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace ringleader::model {
namespace {

using Operator = ConditionNode::Operator;

void NoteType(absl::string_view function, absl::string_view type, ExpressionParser* parser) {
  parser->Note(ErrorSlot::kFunction,
               absl::StrCat("Incorrect operand type for operator or function; operator or "
                            "function: ",
                            function, ", operand type: ", type));
}

bool IsOrdered(AttributeType type) {
  return type == AttributeType::kString || type == AttributeType::kNumber ||
         type == AttributeType::kBinary;
}

// A given value that has no order can't be compared; a path to one merely never matches.
void CheckOrdered(const ConditionNode& leaf, ExpressionParser* parser) {
  for (const Operand& operand : leaf.operands) {
    AttributeType type;
    if (operand.StaticType(&type) && !IsOrdered(type)) {
      NoteType(OperatorText(leaf.op), TypeName(type), parser);
    }
  }
}

void CheckDistinct(const ConditionNode& leaf, ExpressionParser* parser) {
  const Operand& first = leaf.operands[0];
  if (!first.is_path() || first.is_size) return;
  for (size_t i = 1; i < leaf.operands.size(); ++i) {
    if (leaf.operands[i].is_size || leaf.operands[i].path != first.path) continue;
    parser->Note(ErrorSlot::kOperand,
                 absl::StrCat("The first operand must be distinct from the remaining operands for "
                              "this operator or function; operator: ",
                              OperatorText(leaf.op), ", first operand: ", PathText(first.path)));
  }
}

std::string BoundText(const AttributeValue& value) {
  const std::string content = value.is_number()   ? value.number().ToString()
                              : value.is_string() ? value.string()
                                                  : absl::Base64Escape(value.binary());
  return absl::StrCat("AttributeValue: {", TypeName(value.type()), ":", content, "}");
}

bool IsAbove(const AttributeValue& low, const AttributeValue& high) {
  return low.is_number() ? low.number() > high.number() : low.bytes() > high.bytes();
}

void CheckBounds(const ConditionNode& leaf, ExpressionParser* parser) {
  const AttributeValue* low = leaf.operands[1].value;
  const AttributeValue* high = leaf.operands[2].value;
  if (low == nullptr || high == nullptr || leaf.operands[1].is_size || leaf.operands[2].is_size) {
    return;
  }
  if (!IsOrdered(low->type()) || !IsOrdered(high->type())) return;  // already noted
  absl::string_view problem;
  if (low->type() != high->type()) {
    problem = "same data type for lower and upper bounds";
  } else if (IsAbove(*low, *high)) {
    problem = "upper bound to be greater than or equal to lower bound";
  } else {
    return;
  }
  parser->Note(ErrorSlot::kFunction, absl::StrCat("The BETWEEN operator requires ", problem,
                                                  "; lower bound operand: ", BoundText(*low),
                                                  ", upper bound operand: ", BoundText(*high)));
}

void CheckPathOperand(const ConditionNode& leaf, ExpressionParser* parser) {
  if (leaf.operands[0].is_path() && !leaf.operands[0].is_size) return;
  parser->Note(ErrorSlot::kFunction,
               absl::StrCat("Operator or function requires a document path; operator or function: ",
                            OperatorText(leaf.op)));
}

void CheckBeginsWith(const ConditionNode& leaf, ExpressionParser* parser) {
  for (const Operand& operand : leaf.operands) {
    AttributeType type;
    if (operand.StaticType(&type) && type != AttributeType::kString &&
        type != AttributeType::kBinary) {
      NoteType(OperatorText(leaf.op), TypeName(type), parser);
    }
  }
}

void CheckAttributeType(const ConditionNode& leaf, ExpressionParser* parser) {
  const Operand& wanted = leaf.operands[1];
  AttributeType type;
  if (!wanted.StaticType(&type)) {
    if (!wanted.is_path()) return;  // not defined: noted
    NoteType(OperatorText(leaf.op), "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}", parser);
    return;
  }
  if (type != AttributeType::kString) {
    NoteType(OperatorText(leaf.op), TypeName(type), parser);
    return;
  }
  if (!TypeFromName(wanted.value->string(), &type)) {
    parser->Note(ErrorSlot::kFunction,
                 absl::StrCat("Invalid attribute type name found; type: ", wanted.value->string(),
                              ", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"));
  }
}

}  // namespace

bool Operand::StaticType(AttributeType* type) const {
  if (is_size) {
    *type = AttributeType::kNumber;
    return true;
  }
  if (value == nullptr) return false;
  *type = value->type();
  return true;
}

void CheckSizeOperand(const Operand& operand, ExpressionParser* parser) {
  AttributeType type;
  if (operand.StaticType(&type) && (type == AttributeType::kNumber ||
                                    type == AttributeType::kBool || type == AttributeType::kNull)) {
    NoteType("size", TypeName(type), parser);
  }
}

void CheckLeaf(const ConditionNode& leaf, ExpressionParser* parser) {
  switch (leaf.op) {
    case Operator::kEqual:
    case Operator::kNotEqual:
      CheckDistinct(leaf, parser);
      return;
    case Operator::kLess:
    case Operator::kLessOrEqual:
    case Operator::kGreater:
    case Operator::kGreaterOrEqual:
      CheckDistinct(leaf, parser);
      CheckOrdered(leaf, parser);
      return;
    case Operator::kBetween:
      CheckDistinct(leaf, parser);
      CheckOrdered(leaf, parser);
      CheckBounds(leaf, parser);
      return;
    case Operator::kAttributeExists:
    case Operator::kAttributeNotExists:
      CheckPathOperand(leaf, parser);
      return;
    case Operator::kAttributeType:
      CheckAttributeType(leaf, parser);
      return;
    case Operator::kBeginsWith:
      CheckDistinct(leaf, parser);
      CheckBeginsWith(leaf, parser);
      return;
    case Operator::kContains:
    case Operator::kIn:
      CheckDistinct(leaf, parser);
      return;
    case Operator::kAnd:
    case Operator::kOr:
    case Operator::kNot:
      return;
  }
}

}  // namespace ringleader::model
