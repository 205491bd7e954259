#include "model/json_reader.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/base64.h"
#include "model/error.h"
#include "model/json.h"

namespace ringleader::model {
namespace {

using simdjson::ondemand::json_type;

// {"$stringSet": ["x"]} nests two levels where the set it stands for nests none.
constexpr int kTagLevels = 2;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::string_view TypeText(json_type type) {
  switch (type) {
    case json_type::array:
      return "an array";
    case json_type::object:
      return "an object";
    case json_type::number:
      return "a number";
    case json_type::string:
      return "a string";
    case json_type::boolean:
      return "a boolean";
    case json_type::null:
      return "null";
  }
  return "something else";
}

bool IsType(JsonReader::Value value, json_type wanted) {
  json_type type;
  return value.type().get(type) == simdjson::SUCCESS && type == wanted;
}

}  // namespace

std::string JsonReader::PathText() const {
  std::string text;
  for (const Step& step : path_) {
    if (step.name.data() == nullptr) {
      absl::StrAppend(&text, "[", step.index, "]");
    } else {
      absl::StrAppend(&text, text.empty() ? "" : ".", step.name);
    }
  }
  return text;
}

absl::Status JsonReader::Malformed(absl::string_view message) const {
  if (path_.empty()) return SerializationError(message);
  return SerializationError(absl::StrCat("attribute ", PathText(), ": ", message));
}

absl::Status JsonReader::WrongType(absl::string_view expected, Value found) const {
  json_type type;
  const simdjson::error_code error = found.type().get(type);
  if (error != simdjson::SUCCESS) return Malformed(simdjson::error_message(error));
  return Malformed(absl::StrCat("expected ", expected, ", found ", TypeText(type)));
}

absl::Status JsonReader::Refused(absl::Status status) const {
  if (!status.ok() && !path_.empty() && !status.GetPayload(kJsonPathPayload).has_value()) {
    status.SetPayload(kJsonPathPayload, absl::Cord(PathText()));
  }
  return status;
}

template <typename Take>
absl::Status JsonReader::ForEachMember(Value value, Take take) {
  simdjson::ondemand::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return WrongType("an object", value);
  for (auto entry : object) {
    simdjson::ondemand::field field;
    std::string_view name;
    simdjson::error_code error = std::move(entry).get(field);
    if (error == simdjson::SUCCESS) error = field.unescaped_key().get(name);
    if (error != simdjson::SUCCESS) return Malformed(simdjson::error_message(error));
    path_.push_back({View(name), 0});
    RETURN_IF_ERROR(take(View(name), field.value()));
    path_.pop_back();
  }
  return absl::OkStatus();
}

template <typename Take>
absl::Status JsonReader::ForEachElement(Value value, Take take) {
  simdjson::ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return WrongType("an array", value);
  size_t index = 0;
  for (auto entry : array) {
    Value element;
    const simdjson::error_code error = std::move(entry).get(element);
    if (error != simdjson::SUCCESS) return Malformed(simdjson::error_message(error));
    path_.push_back({absl::string_view(), index++});
    RETURN_IF_ERROR(take(element));
    path_.pop_back();
  }
  return absl::OkStatus();
}

absl::Status JsonReader::ReadString(Value value, absl::string_view* text) {
  if (!IsType(value, json_type::string)) return WrongType("a string", value);
  std::string_view view;
  const simdjson::error_code error = value.get_string().get(view);
  if (error != simdjson::SUCCESS) return Malformed(simdjson::error_message(error));
  *text = View(view);
  return absl::OkStatus();
}

absl::StatusOr<std::string> JsonReader::ReadBase64(Value value) {
  absl::string_view text;
  RETURN_IF_ERROR(ReadString(value, &text));
  absl::StatusOr<std::string> bytes = DecodeBase64(text);
  if (!bytes.ok()) return Malformed(bytes.status().message());
  return bytes;
}

absl::StatusOr<AttributeMap> JsonReader::ReadMap(Value value, int level) {
  std::vector<Attribute> attributes;
  const auto take = [&](absl::string_view name, Value member) -> absl::Status {
    ASSIGN_OR_RETURN(AttributeValue read, ReadValue(member, level));
    attributes.push_back({std::string(name), std::move(read)});
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachMember(value, take));
  absl::StatusOr<AttributeMap> map = AttributeMap::FromUnsorted(std::move(attributes));
  if (!map.ok()) return Malformed(map.status().message());
  return map;
}

absl::StatusOr<AttributeValue> JsonReader::ReadValue(Value value, int level) {
  if (level > kLevelsMax) return Refused(NestedTooDeeply());
  AttributeValue result;
  size_t types = 0;
  const auto take = [&](absl::string_view name, Value member) -> absl::Status {
    path_.pop_back();  // the type's name is no step of the path
    AttributeType type;
    if (!TypeFromName(name, &type)) return Malformed(absl::StrCat("unknown type ", name));
    if (!IsType(member, json_type::null)) {
      if (++types > 1) {
        return Refused(ValidationError(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of "
            "the supported datatypes"));
      }
      ASSIGN_OR_RETURN(result, ReadTyped(type, member, level));
    }
    path_.push_back({name, 0});
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachMember(value, take));
  if (types == 0) {
    return Refused(ValidationError(
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"));
  }
  return result;
}

absl::StatusOr<AttributeValue> JsonReader::ReadTyped(AttributeType type, Value value, int level) {
  switch (type) {
    case AttributeType::kString: {
      absl::string_view text;
      RETURN_IF_ERROR(ReadString(value, &text));
      return AttributeValue::String(std::string(text));
    }
    case AttributeType::kNumber: {
      absl::string_view text;
      RETURN_IF_ERROR(ReadString(value, &text));
      const absl::StatusOr<Decimal> number = Decimal::Parse(text);
      if (!number.ok()) return Refused(number.status());
      return AttributeValue::Number(*number);
    }
    case AttributeType::kBinary: {
      ASSIGN_OR_RETURN(std::string bytes, ReadBase64(value));
      return AttributeValue::Binary(std::move(bytes));
    }
    case AttributeType::kBool:
    case AttributeType::kNull: {
      bool flag;
      if (value.get_bool().get(flag) != simdjson::SUCCESS) return WrongType("a boolean", value);
      if (type == AttributeType::kBool) return AttributeValue::Bool(flag);
      if (flag) return AttributeValue::Null();
      return Refused(InvalidParameter("Null attribute value types must have the value of true"));
    }
    case AttributeType::kMap: {
      ASSIGN_OR_RETURN(AttributeMap map, ReadMap(value, level + 1));
      return AttributeValue::FromMap(std::move(map));
    }
    case AttributeType::kList:
      return ReadList(value, level + 1);
    case AttributeType::kNumberSet:
      return ReadNumberSet(value);
    case AttributeType::kStringSet:
      return ReadByteSet(value, /*is_binary=*/false);
    case AttributeType::kBinarySet:
      return ReadByteSet(value, /*is_binary=*/true);
  }
  return Malformed("unknown type");
}

absl::StatusOr<AttributeValue> JsonReader::ReadList(Value value, int level) {
  AttributeValue::List list;
  const auto take = [&](Value element) -> absl::Status {
    ASSIGN_OR_RETURN(list.emplace_back(), ReadValue(element, level));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachElement(value, take));
  return AttributeValue::FromList(std::move(list));
}

absl::StatusOr<AttributeValue> JsonReader::ReadNumberSet(Value value) {
  std::vector<Decimal> elements;
  const auto take = [&](Value element) -> absl::Status {
    absl::string_view text;
    RETURN_IF_ERROR(ReadString(element, &text));
    const absl::StatusOr<Decimal> number = Decimal::Parse(text);
    if (!number.ok()) return Refused(number.status());
    elements.push_back(*number);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachElement(value, take));
  absl::StatusOr<AttributeValue> set = AttributeValue::NumberSet(std::move(elements));
  if (!set.ok()) return Refused(set.status());
  return set;
}

absl::StatusOr<AttributeValue> JsonReader::ReadByteSet(Value value, bool is_binary) {
  std::vector<std::string> elements;
  const auto take = [&](Value element) -> absl::Status {
    if (is_binary) {
      ASSIGN_OR_RETURN(elements.emplace_back(), ReadBase64(element));
      return absl::OkStatus();
    }
    absl::string_view text;
    RETURN_IF_ERROR(ReadString(element, &text));
    elements.emplace_back(text);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachElement(value, take));
  absl::StatusOr<AttributeValue> set = is_binary ? AttributeValue::BinarySet(std::move(elements))
                                                 : AttributeValue::StringSet(std::move(elements));
  if (!set.ok()) return Refused(set.status());
  return set;
}

absl::StatusOr<AttributeMap> JsonReader::ReadPlainMap(Value value) {
  ASSIGN_OR_RETURN(AttributeMap map, ReadPlainMap(value, 1));
  for (const Attribute& attribute : map) {
    if (Levels(attribute.value) > kLevelsMax) {
      return SerializationError(
          absl::StrCat("attribute ", attribute.name, ": ", NestedTooDeeply().message()));
    }
  }
  return map;
}

absl::StatusOr<AttributeMap> JsonReader::ReadPlainMap(Value value, int level) {
  std::vector<Attribute> attributes;
  const auto take = [&](absl::string_view name, Value member) -> absl::Status {
    ASSIGN_OR_RETURN(AttributeValue read, ReadPlainValue(member, level));
    attributes.push_back({std::string(name), std::move(read)});
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachMember(value, take));
  absl::StatusOr<AttributeMap> map = AttributeMap::FromUnsorted(std::move(attributes));
  if (!map.ok()) return Malformed(map.status().message());
  return map;
}

absl::StatusOr<AttributeValue> JsonReader::ReadPlainList(Value value, int level) {
  AttributeValue::List list;
  const auto take = [&](Value element) -> absl::Status {
    ASSIGN_OR_RETURN(list.emplace_back(), ReadPlainValue(element, level));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachElement(value, take));
  return AttributeValue::FromList(std::move(list));
}

absl::StatusOr<AttributeValue> JsonReader::ReadPlainNumber(Value value) {
  // As written, not as a double: every digit counts. Parsing it as JSON's number first refuses what
  // is none ("01", "1.").
  absl::string_view token = View(value.raw_json_token());
  token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  const absl::StatusOr<Decimal> number = Decimal::Parse(token);
  if (!number.ok()) return Malformed(number.status().message());
  const absl::string_view digits = token.substr(token[0] == '-' ? 1 : 0);
  const size_t point = token.find('.');
  const bool bad_zero =
      digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
  const bool bad_point =
      point != absl::string_view::npos &&
      (point + 1 == token.size() || token[point + 1] < '0' || token[point + 1] > '9');
  if (bad_zero || bad_point || digits[0] < '0' || digits[0] > '9') {
    return Malformed(absl::StrCat("not a JSON number: ", token));
  }
  return AttributeValue::Number(*number);
}

absl::StatusOr<AttributeValue> JsonReader::ReadPlainValue(Value value, int level) {
  if (level > kLevelsMax + kTagLevels) return Malformed(NestedTooDeeply().message());
  json_type type;
  const simdjson::error_code error = value.type().get(type);
  if (error != simdjson::SUCCESS) return Malformed(simdjson::error_message(error));
  switch (type) {
    case json_type::array:
      return ReadPlainList(value, level + 1);
    case json_type::object: {
      ASSIGN_OR_RETURN(AttributeMap map, ReadPlainMap(value, level + 1));
      absl::StatusOr<AttributeValue> read = FromPlainObject(std::move(map));
      if (!read.ok()) return Malformed(read.status().message());
      return read;
    }
    case json_type::number:
      return ReadPlainNumber(value);
    case json_type::string: {
      absl::string_view text;
      RETURN_IF_ERROR(ReadString(value, &text));
      return AttributeValue::String(std::string(text));
    }
    case json_type::boolean: {
      bool flag;
      if (value.get_bool().get(flag) != simdjson::SUCCESS) return Malformed("not a JSON value");
      return AttributeValue::Bool(flag);
    }
    case json_type::null: {
      bool is_null = false;
      if (value.is_null().get(is_null) != simdjson::SUCCESS || !is_null) {
        return Malformed("not a JSON value");
      }
      return AttributeValue::Null();
    }
  }
  return Malformed("not a JSON value");
}

}  // namespace ringleader::model
