// Items as JSON text, in two forms.
//
// DynamoDB's form names every type, and every item has it: {"age": {"N": "36"}}. Binary is Base64.
//
// The plain form is for people and tools: {"age": 36}. Strings, numbers (all digits kept exactly),
// booleans, null, arrays and objects are S, N, BOOL, NULL, L and M. What JSON has no word for is an
// object with one member:
//   B   {"$binary": "<base64>"}
//   SS  {"$stringSet": ["a"]}     NS  {"$numberSet": [1]}     BS  {"$binarySet": ["<base64>"]}
// A map with just one of these names can't be written in the plain form (an error); every other
// item reads back as it was.
//
// Reading: text of at most kJsonBytesMax, kLevelsMax levels. Malformed JSON and wrong JSON types
// are SerializationErrors that name where, "attribute a.b[3]: ..."; values that DynamoDB refuses
// are ValidationErrors in DynamoDB's words, with where in the payload kJsonPathPayload.
// Thread-safe: each thread keeps one parser's memory, at most about that of the longest text.
#ifndef RINGLEADER_MODEL_JSON_H_
#define RINGLEADER_MODEL_JSON_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"
#include "model/item.h"

namespace ringleader::model {

inline constexpr size_t kJsonBytesMax = 16 << 20;  // DynamoDB's longest request
inline constexpr absl::string_view kJsonPathPayload = "ringleader.model/path";

absl::StatusOr<Item> ItemFromJson(absl::string_view text);
absl::StatusOr<AttributeValue> ValueFromJson(absl::string_view text);
absl::StatusOr<Item> ItemFromPlainJson(absl::string_view text);

void AppendJson(const Item& item, std::string* out);
void AppendJson(const AttributeValue& value, std::string* out);
absl::Status AppendPlainJson(const Item& item, std::string* out);

// A string with its quotes, escaped.
void AppendJsonString(absl::string_view text, std::string* out);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_JSON_H_
