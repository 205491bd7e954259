// Applies an update: first every action becomes an effect, computed from the item as it was; then
// the effects change a copy in an order in which none moves another's place (see ApplyEffects).
#include <algorithm>
#include <optional>

#include "common/check.h"
#include "common/status.h"
#include "model/error.h"
#include "model/update.h"

namespace ringleader::model {
namespace {

// At `path`: a new value, or none any more.
struct Effect {
  const Path* path = nullptr;
  std::optional<AttributeValue> value;
};

absl::Status IncorrectType() {
  return ValidationError("An operand in the update expression has an incorrect data type");
}

absl::StatusOr<AttributeValue> Evaluate(const UpdateValue& value, const Item& item);

absl::StatusOr<AttributeValue> EvaluateSum(const UpdateValue& value, const Item& item) {
  ASSIGN_OR_RETURN(const AttributeValue first, Evaluate(value.operands[0], item));
  if (!first.is_number()) return IncorrectType();
  ASSIGN_OR_RETURN(const AttributeValue second, Evaluate(value.operands[1], item));
  if (!second.is_number()) return IncorrectType();
  ASSIGN_OR_RETURN(const Decimal sum, value.kind == UpdateValue::Kind::kAdd
                                          ? Decimal::Add(first.number(), second.number())
                                          : Decimal::Subtract(first.number(), second.number()));
  return AttributeValue::Number(sum);
}

absl::StatusOr<AttributeValue> EvaluateAppend(const UpdateValue& value, const Item& item) {
  ASSIGN_OR_RETURN(AttributeValue first, Evaluate(value.operands[0], item));
  if (!first.is_list()) return IncorrectType();
  ASSIGN_OR_RETURN(AttributeValue second, Evaluate(value.operands[1], item));
  if (!second.is_list()) return IncorrectType();
  AttributeValue::List& list = first.list();
  list.insert(list.end(), std::make_move_iterator(second.list().begin()),
              std::make_move_iterator(second.list().end()));
  return first;
}

// Recursion is bounded by kExpressionLevelsMax.
absl::StatusOr<AttributeValue> Evaluate(const UpdateValue& value, const Item& item) {
  switch (value.kind) {
    case UpdateValue::Kind::kValue:
      return *value.value;
    case UpdateValue::Kind::kPath: {
      const AttributeValue* found = Resolve(item, value.path);
      if (found != nullptr) return *found;
      return ValidationError(
          "The provided expression refers to an attribute that does not exist in the item");
    }
    case UpdateValue::Kind::kIfNotExists: {
      const AttributeValue* found = Resolve(item, value.path);
      if (found != nullptr) return *found;
      return Evaluate(value.operands[0], item);
    }
    case UpdateValue::Kind::kListAppend:
      return EvaluateAppend(value, item);
    case UpdateValue::Kind::kAdd:
    case UpdateValue::Kind::kSubtract:
      return EvaluateSum(value, item);
  }
  return IncorrectType();
}

template <typename T>
std::vector<T> Union(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> result;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

template <typename T>
std::vector<T> Difference(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> result;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

absl::StatusOr<AttributeValue> AddTo(const AttributeValue& old, const AttributeValue& more) {
  if (old.type() != more.type()) return IncorrectType();
  switch (more.type()) {
    case AttributeType::kNumber: {
      ASSIGN_OR_RETURN(const Decimal sum, Decimal::Add(old.number(), more.number()));
      return AttributeValue::Number(sum);
    }
    case AttributeType::kStringSet:
      return AttributeValue::StringSet(Union(old.string_set(), more.string_set()));
    case AttributeType::kNumberSet:
      return AttributeValue::NumberSet(Union(old.number_set(), more.number_set()));
    case AttributeType::kBinarySet:
      return AttributeValue::BinarySet(Union(old.binary_set(), more.binary_set()));
    default:
      return IncorrectType();
  }
}

// The set without those elements; none if nothing is left.
absl::StatusOr<std::optional<AttributeValue>> DeleteFrom(const AttributeValue& old,
                                                         const AttributeValue& elements) {
  if (old.type() != elements.type()) return IncorrectType();
  if (old.type() == AttributeType::kNumberSet) {
    std::vector<Decimal> left = Difference(old.number_set(), elements.number_set());
    if (left.empty()) return std::nullopt;
    return AttributeValue::NumberSet(std::move(left)).value();
  }
  std::vector<std::string> left = Difference(old.byte_elements(), elements.byte_elements());
  if (left.empty()) return std::nullopt;
  return old.type() == AttributeType::kStringSet
             ? AttributeValue::StringSet(std::move(left)).value()
             : AttributeValue::BinarySet(std::move(left)).value();
}

// What holds the path's last step must be there: a map for a name, a list for an index.
absl::Status CheckParent(const Item& item, const Path& path) {
  if (path.size() == 1) return absl::OkStatus();
  const AttributeValue* parent = Resolve(item, Path(path.begin(), path.end() - 1));
  if (parent != nullptr && (path.back().is_index ? parent->is_list() : parent->is_map())) {
    return absl::OkStatus();
  }
  return ValidationError(
      "The document path provided in the update expression is invalid for update");
}

// Appends the action's effect, if it has one.
absl::Status AppendEffect(const UpdateAction& action, const Item& item,
                          std::vector<Effect>* effects) {
  const AttributeValue* old = Resolve(item, action.path);
  Effect effect;
  effect.path = &action.path;
  switch (action.kind) {
    case UpdateAction::Kind::kSet: {
      ASSIGN_OR_RETURN(effect.value, Evaluate(action.value, item));
      break;
    }
    case UpdateAction::Kind::kRemove:
      if (old == nullptr) return CheckParent(item, action.path);
      break;
    case UpdateAction::Kind::kAdd:
      if (old == nullptr) {
        effect.value = *action.value.value;
      } else {
        ASSIGN_OR_RETURN(effect.value, AddTo(*old, *action.value.value));
      }
      break;
    case UpdateAction::Kind::kDelete:
      if (old == nullptr) return CheckParent(item, action.path);
      ASSIGN_OR_RETURN(effect.value, DeleteFrom(*old, *action.value.value));
      break;
  }
  RETURN_IF_ERROR(CheckParent(item, action.path));
  effects->push_back(std::move(effect));
  return absl::OkStatus();
}

// The map or list that holds the path's last step; null for an attribute of the item itself.
AttributeValue* FindParent(Item* item, const Path& path) {
  if (path.size() == 1) return nullptr;
  AttributeValue* value = item->FindMutable(path.front().name);
  for (size_t i = 1; i + 1 < path.size(); ++i) {
    CHECK(value != nullptr) << "an update's path " << PathText(path) << " was checked and is gone";
    value =
        path[i].is_index ? &value->list()[path[i].index] : value->map().FindMutable(path[i].name);
  }
  CHECK(value != nullptr) << "an update's path " << PathText(path) << " was checked and is gone";
  return value;
}

void Put(Item* item, const Path& path, AttributeValue value) {
  AttributeValue* parent = FindParent(item, path);
  const PathElement& last = path.back();
  if (!last.is_index) {
    AttributeMap& map = parent == nullptr ? *item : parent->map();
    map.Set(last.name, std::move(value));
    return;
  }
  AttributeValue::List& list = parent->list();
  if (last.index < list.size()) {
    list[last.index] = std::move(value);
  } else {
    list.push_back(std::move(value));
  }
}

void Erase(Item* item, const Path& path) {
  AttributeValue* parent = FindParent(item, path);
  const PathElement& last = path.back();
  if (last.is_index) {
    parent->list().erase(parent->list().begin() + last.index);
  } else {
    (parent == nullptr ? *item : parent->map()).Erase(last.name);
  }
}

// Puts in the order of paths: what lies beyond a list's end is appended in the order of its index,
// and replaces nothing (paths that don't overlap have different indexes; each is at or beyond the
// end it meets). Then removals from the last path to the first: no removed element moves one that
// is still to be removed, as that one is in front of it or elsewhere.
void ApplyEffects(std::vector<Effect> effects, Item* item) {
  std::sort(effects.begin(), effects.end(),
            [](const Effect& a, const Effect& b) { return *a.path < *b.path; });
  for (Effect& effect : effects) {
    if (effect.value.has_value()) Put(item, *effect.path, *std::move(effect.value));
  }
  for (auto effect = effects.rbegin(); effect != effects.rend(); ++effect) {
    if (!effect->value.has_value()) Erase(item, *effect->path);
  }
}

}  // namespace

absl::StatusOr<Item> Update::Apply(const Item& before) const {
  std::vector<Effect> effects;
  effects.reserve(actions_.size());
  for (const UpdateAction& action : actions_) {
    RETURN_IF_ERROR(AppendEffect(action, before, &effects));
  }
  Item after = before;
  ApplyEffects(std::move(effects), &after);
  return after;
}

}  // namespace ringleader::model
