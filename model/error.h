// The two ways in which the data that a client sends can be wrong. Both are InvalidArgument; their
// text is what DynamoDB answers, word for word where it is publicly known, because programs branch
// on it. Thread-safe.
#ifndef RINGLEADER_MODEL_ERROR_H_
#define RINGLEADER_MODEL_ERROR_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ringleader::model {

// DynamoDB's ValidationException: well-formed, but not allowed.
inline absl::Status ValidationError(absl::string_view message) {
  return absl::InvalidArgumentError(message);
}

inline constexpr absl::string_view kSerializationPayload = "ringleader.model/serialization";

// DynamoDB's SerializationException: the bytes cannot be read as what they should be. The payload
// tells it from a ValidationError.
inline absl::Status SerializationError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kSerializationPayload, absl::Cord());
  return status;
}

inline bool IsSerializationError(const absl::Status& status) {
  return status.GetPayload(kSerializationPayload).has_value();
}

// What most messages about a value begin with.
inline constexpr absl::string_view kInvalidParameter =
    "One or more parameter values were invalid: ";

inline absl::Status InvalidParameter(absl::string_view message) {
  return ValidationError(absl::StrCat(kInvalidParameter, message));
}

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_ERROR_H_
