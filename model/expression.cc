#include "model/expression.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "model/error.h"
#include "model/item.h"

namespace ringleader::model {
namespace {

bool IsPlaceholder(absl::string_view text, char first) {
  return text.size() >= 2 && text[0] == first &&
         std::all_of(text.begin() + 1, text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
         });
}

absl::Status CheckPlaceholder(absl::string_view parameter, absl::string_view key, char first) {
  if (key.size() > kPlaceholderBytesMax) {
    return ValidationError(absl::StrCat(parameter,
                                        " contains invalid key: The expression attribute map "
                                        "contains a key that is too long; size of key: ",
                                        key.size()));
  }
  if (IsPlaceholder(key, first)) return absl::OkStatus();
  return ValidationError(
      absl::StrCat(parameter, " contains invalid key: Syntax error; key: \"", key, "\""));
}

absl::Status Unused(absl::string_view parameter, std::vector<absl::string_view> keys) {
  std::sort(keys.begin(), keys.end());
  return ValidationError(absl::StrCat("Value provided in ", parameter,
                                      " unused in expressions: keys: {", absl::StrJoin(keys, ", "),
                                      "}"));
}

absl::Status PathPairError(absl::string_view what, const Path& first, const Path& second) {
  return ValidationError(absl::StrCat(
      "Two document paths ", what,
      " with each other; must remove or rewrite one of these paths; path one: ", PathText(first),
      ", path two: ", PathText(second)));
}

}  // namespace

absl::string_view KindName(ExpressionKind kind) {
  switch (kind) {
    case ExpressionKind::kCondition:
      return "ConditionExpression";
    case ExpressionKind::kFilter:
      return "FilterExpression";
    case ExpressionKind::kKeyCondition:
      return "KeyConditionExpression";
    case ExpressionKind::kProjection:
      return "ProjectionExpression";
    case ExpressionKind::kUpdate:
      return "UpdateExpression";
  }
  return "";
}

std::string PathText(const Path& path) {
  return absl::StrCat("[",
                      absl::StrJoin(path, ", ",
                                    [](std::string* out, const PathElement& element) {
                                      if (element.is_index) {
                                        absl::StrAppend(out, "[", element.index, "]");
                                      } else {
                                        out->append(element.name);
                                      }
                                    }),
                      "]");
}

const AttributeValue* Resolve(const AttributeMap& item, const Path& path) {
  const AttributeValue* value = item.Find(path.front().name);
  for (size_t i = 1; i < path.size() && value != nullptr; ++i) {
    const PathElement& step = path[i];
    if (step.is_index) {
      value = value->is_list() && step.index < value->list().size() ? &value->list()[step.index]
                                                                    : nullptr;
    } else {
      value = value->is_map() ? value->map().Find(step.name) : nullptr;
    }
  }
  return value;
}

absl::Status CheckPathPair(const Path& first, const Path& second) {
  const size_t common = std::min(first.size(), second.size());
  for (size_t i = 0; i < common; ++i) {
    if (first[i].is_index != second[i].is_index) return PathPairError("conflict", first, second);
    if (first[i] != second[i]) return absl::OkStatus();
  }
  return PathPairError("overlap", first, second);
}

absl::StatusOr<Placeholders> Placeholders::Make(
    std::vector<std::pair<std::string, std::string>> names, AttributeMap values) {
  Placeholders placeholders;
  for (auto& [key, name] : names) {
    RETURN_IF_ERROR(CheckPlaceholder("ExpressionAttributeNames", key, '#'));
    if (name.empty()) {
      return ValidationError(absl::StrCat(
          "ExpressionAttributeNames contains invalid value: Empty attribute name for key ", key));
    }
    RETURN_IF_ERROR(ValidateAttributeName(name));
    if (!placeholders.names_.try_emplace(std::move(key), Named{std::move(name)}).second) {
      return ValidationError("ExpressionAttributeNames contains a key twice");
    }
  }
  for (const Attribute& value : values) {
    RETURN_IF_ERROR(CheckPlaceholder("ExpressionAttributeValues", value.name, ':'));
  }
  placeholders.values_ = std::move(values);
  placeholders.values_used_.resize(placeholders.values_.size());
  return placeholders;
}

const std::string* Placeholders::Name(absl::string_view placeholder) {
  const auto at = names_.find(placeholder);
  if (at == names_.end()) return nullptr;
  at->second.used = true;
  return &at->second.name;
}

const AttributeValue* Placeholders::Value(absl::string_view placeholder) {
  const auto at = std::lower_bound(
      values_.begin(), values_.end(), placeholder,
      [](const Attribute& value, absl::string_view name) { return value.name < name; });
  if (at == values_.end() || at->name != placeholder) return nullptr;
  values_used_[at - values_.begin()] = true;
  return &at->value;
}

absl::Status Placeholders::CheckAllUsed() const {
  std::vector<absl::string_view> unused;
  for (const auto& [key, named] : names_) {
    if (!named.used) unused.push_back(key);
  }
  if (!unused.empty()) return Unused("ExpressionAttributeNames", std::move(unused));
  size_t i = 0;
  for (const Attribute& value : values_) {
    if (!values_used_[i++]) unused.push_back(value.name);
  }
  if (!unused.empty()) return Unused("ExpressionAttributeValues", std::move(unused));
  return absl::OkStatus();
}

}  // namespace ringleader::model
