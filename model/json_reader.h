// Reads DynamoDB's JSON form from a document that is being parsed: for those who read a whole
// request in one go, with items and values at places inside. See json.h for the rules and errors.
//
// A reader belongs to one document and one thread. After an error the document is not to be read
// on.
#ifndef RINGLEADER_MODEL_JSON_READER_H_
#define RINGLEADER_MODEL_JSON_READER_H_

#include <simdjson.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"

namespace ringleader::model {

class JsonReader {
 public:
  using Value = simdjson::ondemand::value;

  // {"name": {"S": "x"}, ...}: an item, a key, ExpressionAttributeValues.
  absl::StatusOr<AttributeMap> ReadMap(Value value) { return ReadMap(value, 1); }
  // {"S": "x"}.
  absl::StatusOr<AttributeValue> ReadValue(Value value) { return ReadValue(value, 1); }
  // The plain form.
  absl::StatusOr<AttributeMap> ReadPlainMap(Value value);

  // For the caller's own part of a document: an error at the reader's place.
  absl::Status Malformed(absl::string_view message) const;

 private:
  // A name, or an index if the name's data is null. Names live as long as the document.
  struct Step {
    absl::string_view name;
    size_t index = 0;
  };

  absl::StatusOr<AttributeMap> ReadMap(Value value, int level);
  absl::StatusOr<AttributeValue> ReadValue(Value value, int level);
  absl::StatusOr<AttributeValue> ReadTyped(AttributeType type, Value value, int level);
  absl::StatusOr<AttributeValue> ReadList(Value value, int level);
  absl::StatusOr<AttributeValue> ReadNumberSet(Value value);
  absl::StatusOr<AttributeValue> ReadByteSet(Value value, bool is_binary);
  absl::StatusOr<AttributeMap> ReadPlainMap(Value value, int level);
  absl::StatusOr<AttributeValue> ReadPlainValue(Value value, int level);
  absl::StatusOr<AttributeValue> ReadPlainList(Value value, int level);
  absl::StatusOr<AttributeValue> ReadPlainNumber(Value value);

  absl::Status ReadString(Value value, absl::string_view* text);
  absl::StatusOr<std::string> ReadBase64(Value value);
  // Calls `take(name, value)` for each member, `take(value)` for each element, with path_ extended.
  template <typename Take>
  absl::Status ForEachMember(Value value, Take take);
  template <typename Take>
  absl::Status ForEachElement(Value value, Take take);

  std::string PathText() const;
  absl::Status WrongType(absl::string_view expected, Value found) const;
  // DynamoDB's own words, the place in the payload.
  absl::Status Refused(absl::Status status) const;

  std::vector<Step> path_;
};

// The value that a map with a single name of the plain form's four stands for; the map itself if it
// is no such map.
absl::StatusOr<AttributeValue> FromPlainObject(AttributeMap map);
// Whether a map would be read as something else.
bool IsPlainTag(const AttributeMap& map);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_JSON_READER_H_
