// Whole JSON texts: one parser for each thread, kept for its memory.
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/error.h"
#include "model/json.h"
#include "model/json_reader.h"

namespace ringleader::model {
namespace {

// Texts longer than this are parsed with memory of their own, so that a thread keeps little.
constexpr size_t kKeptBytesMax = 1 << 20;

template <typename T, typename Read>
absl::StatusOr<T> ParseWith(simdjson::ondemand::parser* parser, absl::string_view text, Read read) {
  const simdjson::padded_string padded(text.data(), text.size());
  JsonReader reader;
  simdjson::ondemand::document document;
  simdjson::ondemand::value value;
  simdjson::error_code error = parser->iterate(padded).get(document);
  if (error == simdjson::SUCCESS) error = document.get_value().get(value);
  if (error != simdjson::SUCCESS) {
    return reader.Malformed(absl::StrCat("not a JSON object: ", simdjson::error_message(error)));
  }
  absl::StatusOr<T> result = read(reader, value);
  if (result.ok() && document.current_location().error() != simdjson::OUT_OF_BOUNDS)
    return reader.Malformed("text after the end of the JSON");
  return result;
}

template <typename T, typename Read>
absl::StatusOr<T> Parse(absl::string_view text, Read read) {
  if (text.size() > kJsonBytesMax) {
    return SerializationError(absl::StrCat("JSON text of ", text.size(), " bytes; at most ",
                                           kJsonBytesMax, " are allowed"));
  }
  if (text.size() > kKeptBytesMax) {
    simdjson::ondemand::parser parser;
    return ParseWith<T>(&parser, text, read);
  }
  thread_local simdjson::ondemand::parser parser;
  return ParseWith<T>(&parser, text, read);
}

}  // namespace

absl::StatusOr<Item> ItemFromJson(absl::string_view text) {
  return Parse<Item>(
      text, [](JsonReader& reader, JsonReader::Value value) { return reader.ReadMap(value); });
}

absl::StatusOr<AttributeValue> ValueFromJson(absl::string_view text) {
  return Parse<AttributeValue>(
      text, [](JsonReader& reader, JsonReader::Value value) { return reader.ReadValue(value); });
}

absl::StatusOr<Item> ItemFromPlainJson(absl::string_view text) {
  return Parse<Item>(
      text, [](JsonReader& reader, JsonReader::Value value) { return reader.ReadPlainMap(value); });
}

}  // namespace ringleader::model
