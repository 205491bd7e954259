#include "client/request_key.h"

#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "model/error.h"
#include "model/item_codec.h"
#include "model/key_codec.h"
#include "model/key_condition.h"

namespace ringleader::client {
namespace {

using google::protobuf::io::CodedInputStream;
using model::AttributeValue;

constexpr uint32_t kAttributesTag = 0x0A;  // Item.attributes, and a map entry's key: field 1
constexpr uint32_t kEntryValueTag = 0x12;  // a map entry's value: field 2

absl::Status Malformed() { return model::SerializationError("an item's bytes can't be read"); }

bool ReadBytes(CodedInputStream* in, absl::string_view* bytes) {
  uint32_t length = 0;
  const void* data = nullptr;
  int available = 0;
  if (!in->ReadVarint32(&length)) return false;
  if (length == 0) {
    *bytes = {};
    return true;
  }
  if (!in->GetDirectBufferPointer(&data, &available)) return false;
  if (static_cast<uint32_t>(available) < length) return false;
  *bytes = absl::string_view(static_cast<const char*>(data), length);
  return in->Skip(static_cast<int>(length));
}

CodedInputStream Reader(absl::string_view bytes) {
  return CodedInputStream(reinterpret_cast<const uint8_t*>(bytes.data()),
                          static_cast<int>(bytes.size()));
}

// A map entry's name and encoded value.
bool ReadEntry(absl::string_view entry, absl::string_view* name, absl::string_view* value) {
  CodedInputStream in = Reader(entry);
  while (const uint32_t tag = in.ReadTag()) {
    if (tag == kAttributesTag) {
      if (!ReadBytes(&in, name)) return false;
    } else if (tag == kEntryValueTag) {
      if (!ReadBytes(&in, value)) return false;
    } else {
      return false;
    }
  }
  return in.ConsumedEntireMessage();
}

// Of the key attributes of `item`, which holds the whole key if `is_key`. What is wrong is said by
// the checks that the leader makes too.
absl::StatusOr<model::Token> TokenOfItem(absl::string_view item, bool is_key,
                                         const model::TableSchema& schema) {
  ASSIGN_OR_RETURN(auto key, FindEncodedAttribute(item, schema.key.partition.name));
  if (key.has_value() && key->type() == schema.key.partition.type) {
    return model::TokenOfKey(schema.id, *key);
  }
  ASSIGN_OR_RETURN(const model::Item decoded, model::DecodeItem(item));
  ASSIGN_OR_RETURN(const model::KeyView view,
                   is_key ? schema.ValidateKey(decoded) : schema.ValidateItemKeys(decoded));
  return model::TokenOfKey(schema.id, *view.partition);
}

absl::StatusOr<model::Token> TokenOfQuery(const data::v1::Query& query,
                                          const model::TableSchema& schema) {
  const auto& expressions = query.expressions();
  std::vector<std::pair<std::string, std::string>> names(expressions.names().begin(),
                                                         expressions.names().end());
  ASSIGN_OR_RETURN(model::Item values, model::DecodeItem(expressions.values()));
  ASSIGN_OR_RETURN(model::Placeholders placeholders,
                   model::Placeholders::Make(std::move(names), std::move(values)));
  ASSIGN_OR_RETURN(
      const model::KeyCondition condition,
      model::KeyCondition::Parse(expressions.key_condition(), schema.key, &placeholders));
  return model::TokenOfKey(schema.id, condition.partition);
}

}  // namespace

absl::StatusOr<std::optional<AttributeValue>> FindEncodedAttribute(absl::string_view item,
                                                                   absl::string_view name) {
  if (item.size() > model::kEncodedBytesMax) {
    return model::ValidationError(model::kPutTooLarge);
  }
  CodedInputStream in = Reader(item);
  while (const uint32_t tag = in.ReadTag()) {
    absl::string_view entry;
    absl::string_view entry_name;
    absl::string_view value;
    if (tag != kAttributesTag || !ReadBytes(&in, &entry)) return Malformed();
    if (!ReadEntry(entry, &entry_name, &value)) return Malformed();
    if (entry_name != name) continue;
    ASSIGN_OR_RETURN(AttributeValue decoded, model::DecodeValue(value));
    return std::make_optional(std::move(decoded));
  }
  if (!in.ConsumedEntireMessage()) return Malformed();
  return std::optional<AttributeValue>();
}

absl::StatusOr<std::optional<model::Token>> TokenOfRequest(const data::v1::Request& request,
                                                           const model::TableSchema& schema) {
  switch (request.operation_case()) {
    case data::v1::Request::kGet: {
      ASSIGN_OR_RETURN(const model::Token token, TokenOfItem(request.get().key(), true, schema));
      return std::make_optional(token);
    }
    case data::v1::Request::kPut: {
      ASSIGN_OR_RETURN(const model::Token token, TokenOfItem(request.put().item(), false, schema));
      return std::make_optional(token);
    }
    case data::v1::Request::kDelete: {
      ASSIGN_OR_RETURN(const model::Token token,
                       TokenOfItem(request.delete_().key(), true, schema));
      return std::make_optional(token);
    }
    case data::v1::Request::kUpdate: {
      ASSIGN_OR_RETURN(const model::Token token, TokenOfItem(request.update().key(), true, schema));
      return std::make_optional(token);
    }
    case data::v1::Request::kQuery: {
      ASSIGN_OR_RETURN(const model::Token token, TokenOfQuery(request.query(), schema));
      return std::make_optional(token);
    }
    case data::v1::Request::kScan: {
      const std::string& start = request.scan().exclusive_start_key();
      if (start.empty()) return std::optional<model::Token>();
      ASSIGN_OR_RETURN(const model::Token token, TokenOfItem(start, true, schema));
      return std::make_optional(token);
    }
    case data::v1::Request::OPERATION_NOT_SET:
      break;
  }
  return model::ValidationError("The request names no operation");
}

}  // namespace ringleader::client
