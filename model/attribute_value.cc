#include "model/attribute_value.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "model/error.h"

namespace ringleader::model {
namespace {

constexpr absl::string_view kTypeNames[] = {"S", "N", "B",  "BOOL", "NULL",
                                            "M", "L", "SS", "NS",   "BS"};

constexpr size_t kComparedInTurn = 4;  // so few that a binary search costs more

bool NameBefore(const Attribute& attribute, absl::string_view name) {
  return absl::string_view(attribute.name) < name;
}

// Sorts; false if two elements are equal, and then `elements` are as they were.
template <typename T>
bool SortUnique(std::vector<T>* elements) {
  const auto not_less = [](const T& a, const T& b) { return !(a < b); };
  if (std::adjacent_find(elements->begin(), elements->end(), not_less) == elements->end()) {
    return true;  // already in order: what the encoder wrote
  }
  std::vector<const T*> order;
  order.reserve(elements->size());
  for (const T& element : *elements) order.push_back(&element);
  std::sort(order.begin(), order.end(), [](const T* a, const T* b) { return *a < *b; });
  const auto same = [](const T* a, const T* b) { return *a == *b; };
  if (std::adjacent_find(order.begin(), order.end(), same) != order.end()) return false;
  std::sort(elements->begin(), elements->end());
  return true;
}

// Pairs of values that are still to be compared. Scalars never enter it.
using Pending = absl::InlinedVector<std::pair<const AttributeValue*, const AttributeValue*>, 8>;

bool SameScalarOrSet(const AttributeValue& a, const AttributeValue& b) {
  switch (a.type()) {
    case AttributeType::kString:
    case AttributeType::kBinary:
      return a.bytes() == b.bytes();
    case AttributeType::kNumber:
      return a.number() == b.number();
    case AttributeType::kBool:
      return a.boolean() == b.boolean();
    case AttributeType::kNumberSet:
      return a.number_set() == b.number_set();
    case AttributeType::kStringSet:
    case AttributeType::kBinarySet:
      return a.byte_elements() == b.byte_elements();
    case AttributeType::kNull:
    case AttributeType::kMap:
    case AttributeType::kList:
      return true;
  }
  return false;
}

// False if they certainly differ; containers go to `pending`.
bool CompareOrDefer(const AttributeValue& a, const AttributeValue& b, Pending* pending) {
  if (a.type() != b.type()) return false;
  if (!a.is_container()) return SameScalarOrSet(a, b);
  pending->emplace_back(&a, &b);
  return true;
}

bool DeferAttributes(const AttributeMap& a, const AttributeMap& b, Pending* pending) {
  if (a.size() != b.size()) return false;
  for (auto x = a.begin(), y = b.begin(); x != a.end(); ++x, ++y) {
    if (x->name != y->name || !CompareOrDefer(x->value, y->value, pending)) return false;
  }
  return true;
}

bool Drain(Pending pending) {
  while (!pending.empty()) {
    const auto [a, b] = pending.back();
    pending.pop_back();
    if (a->is_map()) {
      if (!DeferAttributes(a->map(), b->map(), &pending)) return false;
      continue;
    }
    if (a->list().size() != b->list().size()) return false;
    for (size_t i = 0; i < a->list().size(); ++i) {
      if (!CompareOrDefer(a->list()[i], b->list()[i], &pending)) return false;
    }
  }
  return true;
}

int LevelsFrom(const AttributeValue& value, int level) {
  if (level > kLevelsMax || !value.is_container()) return level;
  int deepest = level;
  if (value.is_list()) {
    for (const AttributeValue& element : value.list()) {
      deepest = std::max(deepest, LevelsFrom(element, level + 1));
      if (deepest > kLevelsMax) break;
    }
    return deepest;
  }
  for (const Attribute& attribute : value.map()) {
    deepest = std::max(deepest, LevelsFrom(attribute.value, level + 1));
    if (deepest > kLevelsMax) break;
  }
  return deepest;
}

}  // namespace

static_assert(sizeof(AttributeValue) == 40, "every attribute of every item costs this");

absl::string_view TypeName(AttributeType type) { return kTypeNames[static_cast<size_t>(type)]; }

bool TypeFromName(absl::string_view name, AttributeType* type) {
  for (size_t i = 0; i < std::size(kTypeNames); ++i) {
    if (kTypeNames[i] == name) {
      *type = static_cast<AttributeType>(i);
      return true;
    }
  }
  return false;
}

absl::Status NestedTooDeeply() {
  return ValidationError(
      "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels "
      "beyond supported limit");
}

absl::StatusOr<AttributeMap> AttributeMap::FromUnsorted(std::vector<Attribute> attributes) {
  const auto not_before = [](const Attribute& a, const Attribute& b) { return a.name >= b.name; };
  // Already in order: what the encoder wrote.
  if (std::adjacent_find(attributes.begin(), attributes.end(), not_before) != attributes.end()) {
    const auto before = [](const Attribute& a, const Attribute& b) { return a.name < b.name; };
    std::sort(attributes.begin(), attributes.end(), before);
    const auto same = [](const Attribute& a, const Attribute& b) { return a.name == b.name; };
    const auto twice = std::adjacent_find(attributes.begin(), attributes.end(), same);
    if (twice != attributes.end()) {
      return SerializationError(absl::StrCat("attribute name occurs twice: ", twice->name));
    }
  }
  AttributeMap map;
  map.attributes_ = std::move(attributes);
  return map;
}

const AttributeValue* AttributeMap::Find(absl::string_view name) const {
  if (attributes_.size() <= kComparedInTurn) {
    // Different lengths are the quickest difference.
    for (const Attribute& attribute : attributes_) {
      if (attribute.name == name) return &attribute.value;
    }
    return nullptr;
  }
  const auto at = std::lower_bound(attributes_.begin(), attributes_.end(), name, NameBefore);
  return at != attributes_.end() && at->name == name ? &at->value : nullptr;
}

AttributeValue* AttributeMap::FindMutable(absl::string_view name) {
  const auto at = std::lower_bound(attributes_.begin(), attributes_.end(), name, NameBefore);
  return at != attributes_.end() && at->name == name ? &at->value : nullptr;
}

void AttributeMap::Set(absl::string_view name, AttributeValue value) {
  const auto at = std::lower_bound(attributes_.begin(), attributes_.end(), name, NameBefore);
  if (at != attributes_.end() && at->name == name) {
    at->value = std::move(value);
  } else {
    attributes_.insert(at, Attribute{std::string(name), std::move(value)});
  }
}

bool AttributeMap::Erase(absl::string_view name) {
  const auto at = std::lower_bound(attributes_.begin(), attributes_.end(), name, NameBefore);
  if (at == attributes_.end() || at->name != name) return false;
  attributes_.erase(at);
  return true;
}

bool operator==(const AttributeMap& a, const AttributeMap& b) {
  Pending pending;
  return DeferAttributes(a, b, &pending) && Drain(std::move(pending));
}

bool operator==(const AttributeValue& a, const AttributeValue& b) {
  Pending pending;
  return CompareOrDefer(a, b, &pending) && Drain(std::move(pending));
}

void AttributeValue::SetBytes(AttributeType type, absl::string_view bytes) {
  CHECK(type == AttributeType::kString || type == AttributeType::kBinary);
  if (is_container()) DestroyNested();
  if (type == AttributeType::kString) {
    data_.emplace<TypeIndex(AttributeType::kString)>(bytes);
  } else {
    data_.emplace<TypeIndex(AttributeType::kBinary)>(bytes);
  }
}

absl::StatusOr<AttributeValue> AttributeValue::StringSet(std::vector<std::string> elements) {
  if (elements.empty()) return InvalidParameter("An string set  may not be empty");
  if (!SortUnique(&elements)) {
    return InvalidParameter(absl::StrCat("Input collection [", absl::StrJoin(elements, ", "),
                                         "] contains duplicates."));
  }
  return Of<AttributeType::kStringSet>(std::move(elements));
}

absl::StatusOr<AttributeValue> AttributeValue::NumberSet(std::vector<Decimal> elements) {
  if (elements.empty()) return InvalidParameter("An number set  may not be empty");
  if (!SortUnique(&elements)) return ValidationError("Input collection contains duplicates");
  return Of<AttributeType::kNumberSet>(std::move(elements));
}

absl::StatusOr<AttributeValue> AttributeValue::BinarySet(std::vector<std::string> elements) {
  if (elements.empty()) return InvalidParameter("Binary sets should not be empty");
  // DynamoDB lists the elements here; they are bytes, so this names only how many there are.
  if (!SortUnique(&elements)) {
    return InvalidParameter(absl::StrCat("Input collection of ", elements.size(),
                                         " elements of type BS contains duplicates."));
  }
  return Of<AttributeType::kBinarySet>(std::move(elements));
}

void AttributeValue::FailType(AttributeType wanted) const {
  CHECK(false) << "an attribute of type " << TypeName(type()) << " was read as "
               << TypeName(wanted);
  __builtin_unreachable();
}

void AttributeValue::ReleaseNested(std::vector<AttributeValue>* out) {
  const auto release = [out](AttributeValue& value) {
    if ((value.is_list() && !value.list().empty()) || (value.is_map() && !value.map().empty())) {
      out->push_back(std::move(value));
      value.data_.emplace<TypeIndex(AttributeType::kNull)>();
    }
  };
  if (is_list()) {
    for (AttributeValue& element : list()) release(element);
  } else if (is_map()) {
    for (Attribute& attribute : map().attributes_) release(attribute.value);
  }
}

void AttributeValue::DestroyNested() {
  std::vector<AttributeValue> nested;
  ReleaseNested(&nested);
  while (!nested.empty()) {
    AttributeValue next = std::move(nested.back());
    nested.pop_back();
    next.ReleaseNested(&nested);
  }
}

int Levels(const AttributeValue& value) { return LevelsFrom(value, 1); }

}  // namespace ringleader::model
