// Base64 (RFC 4648 section 4) as DynamoDB's JSON has it: with padding, without line breaks, and
// strictly read, so that every text has one meaning. Thread-safe.
#ifndef RINGLEADER_MODEL_BASE64_H_
#define RINGLEADER_MODEL_BASE64_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringleader::model {

void AppendBase64(absl::string_view bytes, std::string* out);

// The error says what is wrong with the text.
absl::StatusOr<std::string> DecodeBase64(absl::string_view text);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_BASE64_H_
