// The writing half of json.h.
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/base64.h"
#include "model/error.h"
#include "model/json.h"
#include "model/json_reader.h"

namespace ringleader::model {
namespace {

void AppendQuotedBase64(absl::string_view bytes, std::string* out) {
  out->push_back('"');
  AppendBase64(bytes, out);
  out->push_back('"');
}

void AppendNumber(const Decimal& number, bool quoted, std::string* out) {
  if (quoted) out->push_back('"');
  number.AppendText(out);
  if (quoted) out->push_back('"');
}

// `append(element)` for each, with commas between.
template <typename Elements, typename Append>
void AppendArray(const Elements& elements, std::string* out, Append append) {
  out->push_back('[');
  bool first = true;
  for (const auto& element : elements) {
    if (!first) out->push_back(',');
    first = false;
    append(element);
  }
  out->push_back(']');
}

void AppendSet(const AttributeValue& value, bool quoted_numbers, std::string* out) {
  if (value.type() == AttributeType::kNumberSet) {
    AppendArray(value.number_set(), out,
                [&](const Decimal& number) { AppendNumber(number, quoted_numbers, out); });
    return;
  }
  const bool is_binary = value.type() == AttributeType::kBinarySet;
  AppendArray(value.byte_elements(), out, [&](const std::string& element) {
    is_binary ? AppendQuotedBase64(element, out) : AppendJsonString(element, out);
  });
}

absl::Status AppendPlainMap(const AttributeMap& map, std::string* out);

absl::Status AppendPlainList(const AttributeValue::List& list, std::string* out);

absl::Status AppendPlainValue(const AttributeValue& value, std::string* out) {
  switch (value.type()) {
    case AttributeType::kString:
      AppendJsonString(value.string(), out);
      return absl::OkStatus();
    case AttributeType::kNumber:
      AppendNumber(value.number(), /*quoted=*/false, out);
      return absl::OkStatus();
    case AttributeType::kBinary:
      out->append("{\"$binary\":");
      AppendQuotedBase64(value.binary(), out);
      out->push_back('}');
      return absl::OkStatus();
    case AttributeType::kBool:
      out->append(value.boolean() ? "true" : "false");
      return absl::OkStatus();
    case AttributeType::kNull:
      out->append("null");
      return absl::OkStatus();
    case AttributeType::kMap:
      if (IsPlainTag(value.map())) {
        return ValidationError(absl::StrCat("a map whose only attribute is ",
                                            value.map().begin()->name,
                                            " cannot be written as plain JSON"));
      }
      return AppendPlainMap(value.map(), out);
    case AttributeType::kList:
      return AppendPlainList(value.list(), out);
    case AttributeType::kStringSet:
    case AttributeType::kNumberSet:
    case AttributeType::kBinarySet:
      out->append(value.type() == AttributeType::kStringSet   ? "{\"$stringSet\":"
                  : value.type() == AttributeType::kNumberSet ? "{\"$numberSet\":"
                                                              : "{\"$binarySet\":");
      AppendSet(value, /*quoted_numbers=*/false, out);
      out->push_back('}');
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status AppendPlainList(const AttributeValue::List& list, std::string* out) {
  absl::Status status;
  AppendArray(list, out,
              [&](const AttributeValue& value) { status.Update(AppendPlainValue(value, out)); });
  return status;
}

absl::Status AppendPlainMap(const AttributeMap& map, std::string* out) {
  out->push_back('{');
  bool first = true;
  for (const Attribute& attribute : map) {
    if (!first) out->push_back(',');
    first = false;
    AppendJsonString(attribute.name, out);
    out->push_back(':');
    RETURN_IF_ERROR(AppendPlainValue(attribute.value, out));
  }
  out->push_back('}');
  return absl::OkStatus();
}

void AppendContent(const AttributeValue& value, std::string* out) {
  switch (value.type()) {
    case AttributeType::kString:
      AppendJsonString(value.string(), out);
      return;
    case AttributeType::kNumber:
      AppendNumber(value.number(), /*quoted=*/true, out);
      return;
    case AttributeType::kBinary:
      AppendQuotedBase64(value.binary(), out);
      return;
    case AttributeType::kBool:
      out->append(value.boolean() ? "true" : "false");
      return;
    case AttributeType::kNull:
      out->append("true");
      return;
    case AttributeType::kMap:
      AppendJson(value.map(), out);
      return;
    case AttributeType::kList:
      AppendArray(value.list(), out,
                  [out](const AttributeValue& element) { AppendJson(element, out); });
      return;
    case AttributeType::kStringSet:
    case AttributeType::kNumberSet:
    case AttributeType::kBinarySet:
      AppendSet(value, /*quoted_numbers=*/true, out);
      return;
  }
}

}  // namespace

void AppendJsonString(absl::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  size_t plain = 0;  // the first byte not yet written
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out->append(text.data() + plain, i - plain);
    plain = i + 1;
    out->push_back('\\');
    switch (c) {
      case '"':
      case '\\':
        out->push_back(static_cast<char>(c));
        break;
      case '\n':
        out->push_back('n');
        break;
      case '\r':
        out->push_back('r');
        break;
      case '\t':
        out->push_back('t');
        break;
      default:
        out->append("u00");
        out->push_back(kHex[c >> 4]);
        out->push_back(kHex[c & 15]);
    }
  }
  out->append(text.data() + plain, text.size() - plain);
  out->push_back('"');
}

void AppendJson(const AttributeValue& value, std::string* out) {
  absl::StrAppend(out, "{\"", TypeName(value.type()), "\":");
  AppendContent(value, out);
  out->push_back('}');
}

void AppendJson(const Item& item, std::string* out) {
  out->push_back('{');
  bool first = true;
  for (const Attribute& attribute : item) {
    if (!first) out->push_back(',');
    first = false;
    AppendJsonString(attribute.name, out);
    out->push_back(':');
    AppendJson(attribute.value, out);
  }
  out->push_back('}');
}

absl::Status AppendPlainJson(const Item& item, std::string* out) {
  return AppendPlainMap(item, out);
}

}  // namespace ringleader::model
