// Whether a condition holds for an item.
#include <algorithm>

#include "absl/strings/match.h"
#include "model/condition.h"

namespace ringleader::model {
namespace {

using Operator = ConditionNode::Operator;

// UTF-16 code units, as Java counts: a UTF-8 byte that begins a character is one, that of a
// character beyond the basic plane (4 bytes) is two.
size_t Utf16Units(absl::string_view text) {
  size_t units = 0;
  for (const char c : text) {
    const uint8_t byte = static_cast<uint8_t>(c);
    units += (byte & 0xc0) != 0x80;
    units += byte >= 0xf0;
  }
  return units;
}

// False for a type that has no size.
bool SizeOf(const AttributeValue& value, size_t* size) {
  switch (value.type()) {
    case AttributeType::kString:
      *size = Utf16Units(value.string());
      return true;
    case AttributeType::kBinary:
      *size = value.binary().size();
      return true;
    case AttributeType::kMap:
      *size = value.map().size();
      return true;
    case AttributeType::kList:
      *size = value.list().size();
      return true;
    case AttributeType::kStringSet:
    case AttributeType::kBinarySet:
      *size = value.byte_elements().size();
      return true;
    case AttributeType::kNumberSet:
      *size = value.number_set().size();
      return true;
    case AttributeType::kNumber:
    case AttributeType::kBool:
    case AttributeType::kNull:
      return false;
  }
  return false;
}

// One operand's value for one item. Sizes are made on the spot, everything else is pointed to.
class Evaluated {
 public:
  Evaluated(const Operand& operand, const Item* item) {
    value_ = operand.value;
    if (operand.is_path()) value_ = item == nullptr ? nullptr : Resolve(*item, operand.path);
    if (!operand.is_size || value_ == nullptr) return;
    size_t size;
    if (!SizeOf(*value_, &size)) {
      value_ = nullptr;
      return;
    }
    size_ = AttributeValue::Number(Decimal(static_cast<int64_t>(size)));
    value_ = &size_;
  }
  Evaluated(const Evaluated&) = delete;
  Evaluated& operator=(const Evaluated&) = delete;

  // Null: no value, and then every comparison but <> is false.
  const AttributeValue* get() const { return value_; }

 private:
  const AttributeValue* value_;
  AttributeValue size_;
};

bool Equal(const AttributeValue* a, const AttributeValue* b) {
  return a != nullptr && b != nullptr && *a == *b;
}

// False if they have no common order.
bool Order(const AttributeValue* a, const AttributeValue* b, int* order) {
  if (a == nullptr || b == nullptr || a->type() != b->type()) return false;
  if (a->is_number()) {
    const std::strong_ordering compared = a->number() <=> b->number();
    *order = compared < 0 ? -1 : compared > 0 ? 1 : 0;
    return true;
  }
  if (!a->is_string() && !a->is_binary()) return false;
  *order = a->bytes().compare(b->bytes());
  return true;
}

bool Compare(Operator op, const AttributeValue* a, const AttributeValue* b) {
  if (op == Operator::kEqual) return Equal(a, b);
  if (op == Operator::kNotEqual) return !Equal(a, b);
  int order;
  if (!Order(a, b, &order)) return false;
  switch (op) {
    case Operator::kLess:
      return order < 0;
    case Operator::kLessOrEqual:
      return order <= 0;
    case Operator::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

bool BeginsWith(const AttributeValue* value, const AttributeValue* prefix) {
  if (value == nullptr || prefix == nullptr || value->type() != prefix->type()) return false;
  if (!value->is_string() && !value->is_binary()) return false;
  return absl::StartsWith(value->bytes(), prefix->bytes());
}

template <typename T>
bool Has(const std::vector<T>& elements, const T& wanted) {
  return std::find(elements.begin(), elements.end(), wanted) != elements.end();
}

// A part of a string or binary, an element of a set or list.
bool Contains(const AttributeValue* value, const AttributeValue* part) {
  if (value == nullptr || part == nullptr) return false;
  switch (value->type()) {
    case AttributeType::kString:
    case AttributeType::kBinary:
      return part->type() == value->type() && absl::StrContains(value->bytes(), part->bytes());
    case AttributeType::kStringSet:
      return part->is_string() && Has(value->string_set(), part->string());
    case AttributeType::kBinarySet:
      return part->is_binary() && Has(value->binary_set(), part->binary());
    case AttributeType::kNumberSet:
      return part->is_number() && Has(value->number_set(), part->number());
    case AttributeType::kList:
      return Has(value->list(), *part);
    default:
      return false;
  }
}

bool IsAmong(const ConditionNode& node, const Item* item) {
  const Evaluated wanted(node.operands[0], item);
  for (size_t i = 1; i < node.operands.size(); ++i) {
    if (Equal(wanted.get(), Evaluated(node.operands[i], item).get())) return true;
  }
  return false;
}

bool HoldsLeaf(const ConditionNode& node, const Item* item) {
  if (node.op == Operator::kIn) return IsAmong(node, item);
  const Evaluated first(node.operands[0], item);
  switch (node.op) {
    case Operator::kAttributeExists:
      return first.get() != nullptr;
    case Operator::kAttributeNotExists:
      return first.get() == nullptr;
    case Operator::kAttributeType:
      return first.get() != nullptr &&
             TypeName(first.get()->type()) == node.operands[1].value->string();
    default:
      break;
  }
  const Evaluated second(node.operands[1], item);
  switch (node.op) {
    case Operator::kBeginsWith:
      return BeginsWith(first.get(), second.get());
    case Operator::kContains:
      return Contains(first.get(), second.get());
    case Operator::kBetween:
      return Compare(Operator::kGreaterOrEqual, first.get(), second.get()) &&
             Compare(Operator::kLessOrEqual, first.get(), Evaluated(node.operands[2], item).get());
    default:
      return Compare(node.op, first.get(), second.get());
  }
}

// Recursion is bounded by kExpressionLevelsMax.
bool HoldsNode(const ConditionNode& node, const Item* item) {
  const auto holds = [item](const ConditionNode& child) { return HoldsNode(child, item); };
  switch (node.op) {
    case Operator::kAnd:
      return std::all_of(node.conditions.begin(), node.conditions.end(), holds);
    case Operator::kOr:
      return std::any_of(node.conditions.begin(), node.conditions.end(), holds);
    case Operator::kNot:
      return !HoldsNode(node.conditions[0], item);
    default:
      return HoldsLeaf(node, item);
  }
}

}  // namespace

bool Condition::Holds(const Item* item) const { return HoldsNode(root_, item); }

}  // namespace ringleader::model
