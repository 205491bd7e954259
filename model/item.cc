#include "model/item.h"

#include <string>
#include <vector>

#include "common/status.h"
#include "model/error.h"

namespace ringleader::model {
namespace {

constexpr size_t kContainerBytes = 3;
constexpr size_t kElementBytes = 1;

absl::Status ValidateNames(const AttributeMap& map);

// Recursion is bounded: the levels are checked first.
absl::Status ValidateNestedNames(const AttributeValue& value) {
  if (value.is_map()) return ValidateNames(value.map());
  if (!value.is_list()) return absl::OkStatus();
  for (const AttributeValue& element : value.list()) {
    if (element.is_container()) RETURN_IF_ERROR(ValidateNestedNames(element));
  }
  return absl::OkStatus();
}

absl::Status ValidateNames(const AttributeMap& map) {
  for (const Attribute& attribute : map) {
    RETURN_IF_ERROR(ValidateAttributeName(attribute.name));
    if (attribute.value.is_container()) RETURN_IF_ERROR(ValidateNestedNames(attribute.value));
  }
  return absl::OkStatus();
}

}  // namespace

size_t ValueBytes(const AttributeValue& value) {
  size_t bytes = 0;
  switch (value.type()) {
    case AttributeType::kString:
    case AttributeType::kBinary:
      return value.bytes().size();
    case AttributeType::kNumber:
      return value.number().StoredBytes();
    case AttributeType::kBool:
    case AttributeType::kNull:
      return 1;
    case AttributeType::kStringSet:
    case AttributeType::kBinarySet:
      for (const std::string& element : value.byte_elements()) bytes += element.size();
      return bytes;
    case AttributeType::kNumberSet:
      for (const Decimal& element : value.number_set()) bytes += element.StoredBytes();
      return bytes;
    case AttributeType::kList:
      for (const AttributeValue& element : value.list()) {
        bytes += kElementBytes + ValueBytes(element);
      }
      return kContainerBytes + bytes;
    case AttributeType::kMap:
      for (const Attribute& attribute : value.map()) {
        bytes += kElementBytes + attribute.name.size() + ValueBytes(attribute.value);
      }
      return kContainerBytes + bytes;
  }
  return bytes;
}

size_t ItemBytes(const Item& item) {
  size_t bytes = 0;
  for (const Attribute& attribute : item) {
    bytes += attribute.name.size() + ValueBytes(attribute.value);
  }
  return bytes;
}

absl::Status ValidateAttributeName(absl::string_view name) {
  if (name.empty()) return InvalidParameter("Empty attribute name");
  if (name.size() > kAttributeNameBytesMax) {
    return InvalidParameter("Attribute name is too large, must be less than 65536 bytes");
  }
  return absl::OkStatus();
}

absl::Status ValidateItem(const Item& item, absl::string_view size_message) {
  for (const Attribute& attribute : item) {
    if (Levels(attribute.value) > kLevelsMax) return NestedTooDeeply();
  }
  RETURN_IF_ERROR(ValidateNames(item));
  if (ItemBytes(item) > kItemBytesMax) {
    return ValidationError(size_message.empty() ? kPutTooLarge : size_message);
  }
  return absl::OkStatus();
}

}  // namespace ringleader::model
