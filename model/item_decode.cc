// The reading half of item_codec.h.
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "common/status.h"
#include "model/error.h"
#include "model/item_codec.h"
#include "model/wire_format.h"

namespace ringleader::model {
namespace {

absl::Status Truncated(absl::string_view message) {
  return SerializationError(absl::StrCat(message, " ends inside a field"));
}

absl::Status UnexpectedField(absl::string_view message, uint32_t field, WireType type) {
  return SerializationError(absl::StrCat(message, " has an unknown field: number ", field,
                                         ", wire type ", static_cast<int>(type)));
}

// Short texts are mostly ASCII, and a call into simdjson costs more than looking.
bool IsShortAscii(absl::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  if (text.size() > 64) return false;
  uint64_t bits = 0;
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t)) {
    uint64_t eight;
    std::memcpy(&eight, at, sizeof(eight));
    bits |= eight;
  }
  for (; left > 0; --left, ++at) bits |= static_cast<unsigned char>(*at);
  return (bits & kHighBits) == 0;
}

absl::Status CheckUtf8(absl::string_view text, absl::string_view what) {
  if (IsShortAscii(text)) return absl::OkStatus();
  if (simdjson::validate_utf8(text.data(), text.size())) return absl::OkStatus();
  return SerializationError(absl::StrCat(what, " is not valid UTF-8"));
}

absl::Status EmptyValue() {
  return ValidationError(
      "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
}

absl::Status SecondValue() {
  return ValidationError(
      "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
      "supported datatypes");
}

// Calls `take` with the content of each field of a message whose only field is number 1,
// length-delimited.
template <typename Take>
absl::Status ForEachElement(absl::string_view bytes, absl::string_view message, Take take) {
  FieldReader reader(bytes);
  while (!reader.done()) {
    uint32_t field;
    WireType type;
    absl::string_view content;
    if (!reader.Tag(&field, &type)) return Truncated(message);
    if (field != 1 || type != WireType::kBytes) return UnexpectedField(message, field, type);
    if (!reader.Bytes(&content)) return Truncated(message);
    RETURN_IF_ERROR(take(content));
  }
  return absl::OkStatus();
}

// The least bytes of a valid element, tag and length included: bounds what is allocated for
// elements that may turn out to be none.
constexpr size_t kEntryBytesMin = 6;  // an attribute: name of no byte, a flag
constexpr size_t kValueBytesMin = 4;  // a list's element: a flag
constexpr size_t kScalarBytesMin = 2;

// How many elements such a message has, so that its vector is allocated once. Counts only as far as
// the input is well-formed.
size_t CountElements(absl::string_view bytes, size_t element_bytes_min) {
  FieldReader reader(bytes);
  size_t count = 0;
  uint32_t field;
  WireType type;
  absl::string_view content;
  while (!reader.done() && reader.Tag(&field, &type) && reader.Bytes(&content)) ++count;
  return std::min(count, bytes.size() / element_bytes_min);
}

absl::Status ReadValue(absl::string_view bytes, int level, AttributeValue* value);

absl::Status ReadEntry(absl::string_view bytes, int level, Attribute* attribute) {
  FieldReader reader(bytes);
  bool has_name = false;
  bool has_value = false;
  while (!reader.done()) {
    uint32_t field;
    WireType type;
    absl::string_view content;
    if (!reader.Tag(&field, &type)) return Truncated("Attribute");
    if (field > 2 || type != WireType::kBytes) return UnexpectedField("Attribute", field, type);
    if (!reader.Bytes(&content)) return Truncated("Attribute");
    bool& seen = field == 1 ? has_name : has_value;
    if (seen) return SerializationError(absl::StrCat("Attribute has field ", field, " twice"));
    seen = true;
    if (field == 1) {
      RETURN_IF_ERROR(CheckUtf8(content, "an attribute name"));
      attribute->name.assign(content.data(), content.size());
    } else {
      RETURN_IF_ERROR(ReadValue(content, level, &attribute->value));
    }
  }
  return has_value ? absl::OkStatus() : EmptyValue();
}

absl::StatusOr<AttributeMap> ReadMap(absl::string_view bytes, absl::string_view message,
                                     int level) {
  std::vector<Attribute> attributes;
  attributes.reserve(CountElements(bytes, kEntryBytesMin));
  RETURN_IF_ERROR(ForEachElement(bytes, message, [&](absl::string_view content) {
    return ReadEntry(content, level, &attributes.emplace_back());
  }));
  return AttributeMap::FromUnsorted(std::move(attributes));
}

absl::StatusOr<AttributeValue> ReadList(absl::string_view bytes, int level) {
  AttributeValue::List values;
  values.reserve(CountElements(bytes, kValueBytesMin));
  RETURN_IF_ERROR(ForEachElement(bytes, "List", [&](absl::string_view content) {
    return ReadValue(content, level, &values.emplace_back());
  }));
  return AttributeValue::FromList(std::move(values));
}

absl::StatusOr<AttributeValue> ReadNumberSet(absl::string_view bytes) {
  std::vector<Decimal> elements;
  elements.reserve(CountElements(bytes, kScalarBytesMin));
  RETURN_IF_ERROR(ForEachElement(bytes, "NumberSet", [&](absl::string_view content) {
    absl::StatusOr<Decimal> number = Decimal::Parse(content);
    if (number.ok()) elements.push_back(*number);
    return number.status();
  }));
  return AttributeValue::NumberSet(std::move(elements));
}

absl::StatusOr<AttributeValue> ReadByteSet(absl::string_view bytes, bool text) {
  std::vector<std::string> elements;
  elements.reserve(CountElements(bytes, kScalarBytesMin));
  const auto take = [&](absl::string_view content) -> absl::Status {
    if (text) RETURN_IF_ERROR(CheckUtf8(content, "a string"));
    elements.emplace_back(content);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachElement(bytes, text ? "StringSet" : "BinarySet", take));
  return text ? AttributeValue::StringSet(std::move(elements))
              : AttributeValue::BinarySet(std::move(elements));
}

// Moves what was read to `value`.
absl::Status Take(absl::StatusOr<AttributeValue> read, AttributeValue* value) {
  if (!read.ok()) return std::move(read).status();
  *value = *std::move(read);
  return absl::OkStatus();
}

absl::Status ReadContent(AttributeType type, absl::string_view content, int level,
                         AttributeValue* value) {
  switch (type) {
    case AttributeType::kString:
      RETURN_IF_ERROR(CheckUtf8(content, "a string"));
      value->SetBytes(type, content);
      return absl::OkStatus();
    case AttributeType::kNumber: {
      ASSIGN_OR_RETURN(const Decimal number, Decimal::Parse(content));
      *value = AttributeValue::Number(number);
      return absl::OkStatus();
    }
    case AttributeType::kBinary:
      value->SetBytes(type, content);
      return absl::OkStatus();
    case AttributeType::kMap: {
      ASSIGN_OR_RETURN(AttributeMap map, ReadMap(content, "Map", level + 1));
      *value = AttributeValue::FromMap(std::move(map));
      return absl::OkStatus();
    }
    case AttributeType::kList:
      return Take(ReadList(content, level + 1), value);
    case AttributeType::kNumberSet:
      return Take(ReadNumberSet(content), value);
    case AttributeType::kStringSet:
      return Take(ReadByteSet(content, /*text=*/true), value);
    case AttributeType::kBinarySet:
      return Take(ReadByteSet(content, /*text=*/false), value);
    case AttributeType::kBool:
    case AttributeType::kNull:
      break;
  }
  return SerializationError("AttributeValue has a flag that is not a varint");
}

absl::Status ReadFlag(AttributeType type, uint64_t flag, AttributeValue* value) {
  if (flag > 1) return SerializationError("AttributeValue has a flag that is neither 0 nor 1");
  if (type == AttributeType::kNull && flag == 0) {
    return InvalidParameter("Null attribute value types must have the value of true");
  }
  *value = type == AttributeType::kBool ? AttributeValue::Bool(flag == 1) : AttributeValue::Null();
  return absl::OkStatus();
}

absl::Status ReadValue(absl::string_view bytes, int level, AttributeValue* value) {
  if (level > kLevelsMax) return NestedTooDeeply();
  if (bytes.empty()) return EmptyValue();
  FieldReader reader(bytes);
  uint32_t field;
  WireType wire;
  if (!reader.Tag(&field, &wire)) return Truncated("AttributeValue");
  const bool is_flag = field == 4 || field == 5;
  if (field > 10 || wire != (is_flag ? WireType::kVarint : WireType::kBytes)) {
    return UnexpectedField("AttributeValue", field, wire);
  }
  // Field numbers follow AttributeType from 1.
  const AttributeType type = static_cast<AttributeType>(field - 1);
  if (is_flag) {
    uint64_t flag;
    if (!reader.Varint(&flag)) return Truncated("AttributeValue");
    RETURN_IF_ERROR(ReadFlag(type, flag, value));
  } else {
    absl::string_view content;
    if (!reader.Bytes(&content)) return Truncated("AttributeValue");
    RETURN_IF_ERROR(ReadContent(type, content, level, value));
  }
  if (reader.done()) return absl::OkStatus();
  if (!reader.Tag(&field, &wire)) return Truncated("AttributeValue");
  return field > 10 ? UnexpectedField("AttributeValue", field, wire) : SecondValue();
}

absl::Status CheckLength(absl::string_view bytes) {
  if (bytes.size() <= kEncodedBytesMax) return absl::OkStatus();
  return SerializationError(absl::StrCat("encoded data of ", bytes.size(), " bytes; at most ",
                                         kEncodedBytesMax, " are allowed"));
}

}  // namespace

absl::StatusOr<Item> DecodeItem(absl::string_view bytes) {
  RETURN_IF_ERROR(CheckLength(bytes));
  return ReadMap(bytes, "Item", /*level=*/1);
}

absl::StatusOr<AttributeValue> DecodeValue(absl::string_view bytes) {
  RETURN_IF_ERROR(CheckLength(bytes));
  AttributeValue value;
  RETURN_IF_ERROR(ReadValue(bytes, /*level=*/1, &value));
  return value;
}

}  // namespace ringleader::model
