// Attribute values and bytes, written short.
#ifndef RINGLEADER_TESTS_UNIT_MODEL_VALUES_H_
#define RINGLEADER_TESTS_UNIT_MODEL_VALUES_H_

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"

namespace ringleader::model {

inline AttributeValue S(std::string text) { return AttributeValue::String(std::move(text)); }
inline AttributeValue B(std::string bytes) { return AttributeValue::Binary(std::move(bytes)); }
inline AttributeValue N(absl::string_view text) {
  return AttributeValue::Number(*Decimal::Parse(text));
}

inline std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

}  // namespace ringleader::model

#endif  // RINGLEADER_TESTS_UNIT_MODEL_VALUES_H_
