// The objects with which the plain form says what JSON has no word for.
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/base64.h"
#include "model/error.h"
#include "model/json_reader.h"

namespace ringleader::model {
namespace {

struct Tag {
  absl::string_view name;
  AttributeType type;
};
constexpr Tag kTags[] = {
    {"$binary", AttributeType::kBinary},
    {"$stringSet", AttributeType::kStringSet},
    {"$numberSet", AttributeType::kNumberSet},
    {"$binarySet", AttributeType::kBinarySet},
};

const Tag* FindTag(const AttributeMap& map) {
  if (map.size() != 1) return nullptr;
  for (const Tag& tag : kTags) {
    if (map.begin()->name == tag.name) return &tag;
  }
  return nullptr;
}

absl::StatusOr<AttributeValue> ToNumberSet(const AttributeValue::List& list) {
  std::vector<Decimal> elements;
  for (const AttributeValue& element : list) {
    if (!element.is_number()) return SerializationError("$numberSet must hold numbers only");
    elements.push_back(element.number());
  }
  return AttributeValue::NumberSet(std::move(elements));
}

absl::StatusOr<AttributeValue> ToByteSet(const AttributeValue::List& list, const Tag& tag) {
  std::vector<std::string> elements;
  for (const AttributeValue& element : list) {
    if (!element.is_string()) {
      return SerializationError(absl::StrCat(tag.name, " must hold strings only"));
    }
    if (tag.type == AttributeType::kStringSet) {
      elements.push_back(element.string());
    } else {
      ASSIGN_OR_RETURN(elements.emplace_back(), DecodeBase64(element.string()));
    }
  }
  return tag.type == AttributeType::kStringSet ? AttributeValue::StringSet(std::move(elements))
                                               : AttributeValue::BinarySet(std::move(elements));
}

}  // namespace

bool IsPlainTag(const AttributeMap& map) { return FindTag(map) != nullptr; }

absl::StatusOr<AttributeValue> FromPlainObject(AttributeMap map) {
  const Tag* tag = FindTag(map);
  if (tag == nullptr) return AttributeValue::FromMap(std::move(map));
  const AttributeValue& content = map.begin()->value;
  if (tag->type == AttributeType::kBinary) {
    if (!content.is_string()) return SerializationError("$binary must be a string");
    ASSIGN_OR_RETURN(std::string bytes, DecodeBase64(content.string()));
    return AttributeValue::Binary(std::move(bytes));
  }
  if (!content.is_list()) return SerializationError(absl::StrCat(tag->name, " must be an array"));
  return tag->type == AttributeType::kNumberSet ? ToNumberSet(content.list())
                                                : ToByteSet(content.list(), *tag);
}

}  // namespace ringleader::model
