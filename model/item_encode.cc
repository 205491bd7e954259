// The writing half of item_codec.h.
#include "common/check.h"
#include "model/item_codec.h"
#include "model/wire_format.h"

namespace ringleader::model {
namespace {

// AttributeValue's field numbers in the order of AttributeType. Stored: may not change.
constexpr int kFieldOfType[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
constexpr int kElementsField = 1;  // of Map, List, the sets and Item
constexpr int kNameField = 1;      // of a map entry
constexpr int kValueField = 2;

size_t MapBytes(const AttributeMap& map) {
  size_t bytes = 0;
  for (const Attribute& attribute : map) {
    bytes +=
        FieldBytes(FieldBytes(attribute.name.size()) + FieldBytes(EncodedBytes(attribute.value)));
  }
  return bytes;
}

size_t ContentBytes(const AttributeValue& value) {
  size_t bytes = 0;
  switch (value.type()) {
    case AttributeType::kString:
    case AttributeType::kBinary:
      return value.bytes().size();
    case AttributeType::kNumber:
      return value.number().CompactTextBytes();
    case AttributeType::kBool:
    case AttributeType::kNull:
      return 0;
    case AttributeType::kMap:
      return MapBytes(value.map());
    case AttributeType::kList:
      for (const AttributeValue& element : value.list()) bytes += FieldBytes(EncodedBytes(element));
      return bytes;
    case AttributeType::kStringSet:
    case AttributeType::kBinarySet:
      for (const std::string& element : value.byte_elements()) bytes += FieldBytes(element.size());
      return bytes;
    case AttributeType::kNumberSet:
      for (const Decimal& element : value.number_set()) {
        bytes += FieldBytes(element.CompactTextBytes());
      }
      return bytes;
  }
  return bytes;
}

void WriteNumber(const Decimal& number, BackwardWriter* out) {
  char text[Decimal::kCompactTextBytesMax];
  out->Bytes(absl::string_view(text, number.WriteCompactText(text) - text));
}

void WriteValue(const AttributeValue& value, BackwardWriter* out);

void WriteMap(const AttributeMap& map, BackwardWriter* out) {
  for (auto attribute = map.end(); attribute != map.begin();) {
    --attribute;
    const char* const entry_end = out->at();
    WriteValue(attribute->value, out);
    out->Header(kValueField, entry_end - out->at());
    out->BytesField(kNameField, attribute->name);
    out->Header(kElementsField, entry_end - out->at());
  }
}

void WriteContent(const AttributeValue& value, BackwardWriter* out) {
  switch (value.type()) {
    case AttributeType::kString:
    case AttributeType::kBinary:
      out->Bytes(value.bytes());
      return;
    case AttributeType::kNumber:
      WriteNumber(value.number(), out);
      return;
    case AttributeType::kBool:
    case AttributeType::kNull:
      return;
    case AttributeType::kMap:
      WriteMap(value.map(), out);
      return;
    case AttributeType::kList:
      for (auto element = value.list().rbegin(); element != value.list().rend(); ++element) {
        const char* const element_end = out->at();
        WriteValue(*element, out);
        out->Header(kElementsField, element_end - out->at());
      }
      return;
    case AttributeType::kStringSet:
    case AttributeType::kBinarySet: {
      const auto& elements = value.byte_elements();
      for (auto element = elements.rbegin(); element != elements.rend(); ++element) {
        out->BytesField(kElementsField, *element);
      }
      return;
    }
    case AttributeType::kNumberSet: {
      const auto& elements = value.number_set();
      for (auto element = elements.rbegin(); element != elements.rend(); ++element) {
        const char* const element_end = out->at();
        WriteNumber(*element, out);
        out->Header(kElementsField, element_end - out->at());
      }
      return;
    }
  }
}

void WriteValue(const AttributeValue& value, BackwardWriter* out) {
  const int field = kFieldOfType[TypeIndex(value.type())];
  if (value.type() == AttributeType::kBool || value.type() == AttributeType::kNull) {
    out->Varint(value.type() == AttributeType::kNull || value.boolean() ? 1 : 0);
    out->Tag(field, WireType::kVarint);
    return;
  }
  const char* const content_end = out->at();
  WriteContent(value, out);
  out->Header(field, content_end - out->at());
}

// Makes room for `bytes` at the end of `out`, has `write` fill it back to front, and checks that it
// did so exactly.
template <typename Write>
void AppendExactly(size_t bytes, std::string* out, Write write) {
  const size_t begin = out->size();
  out->resize(begin + bytes);
  BackwardWriter writer(out->data() + out->size());
  write(&writer);
  CHECK(writer.at() == out->data() + begin) << "an item was not encoded in its measured size";
}

}  // namespace

size_t EncodedBytes(const AttributeValue& value) {
  if (value.type() == AttributeType::kBool || value.type() == AttributeType::kNull) return 2;
  return FieldBytes(ContentBytes(value));
}

size_t EncodedBytes(const Item& item) { return MapBytes(item); }

void AppendEncoded(const Item& item, std::string* out) {
  AppendExactly(EncodedBytes(item), out, [&](BackwardWriter* writer) { WriteMap(item, writer); });
}

void AppendEncoded(const AttributeValue& value, std::string* out) {
  AppendExactly(EncodedBytes(value), out,
                [&](BackwardWriter* writer) { WriteValue(value, writer); });
}

std::string EncodeItem(const Item& item) {
  std::string bytes;
  AppendEncoded(item, &bytes);
  return bytes;
}

std::string EncodeValue(const AttributeValue& value) {
  std::string bytes;
  AppendEncoded(value, &bytes);
  return bytes;
}

}  // namespace ringleader::model
