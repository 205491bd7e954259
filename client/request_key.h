// Where a request goes: the token of its partition key, read from the request's bytes without
// decoding more of the item than that. Thread-safe.
#ifndef RINGLEADER_CLIENT_REQUEST_KEY_H_
#define RINGLEADER_CLIENT_REQUEST_KEY_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/attribute_value.h"
#include "model/table_schema.h"
#include "model/token.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader::client {

// One attribute of an encoded item; none if it isn't there. Errors: the bytes up to it, or its own,
// are malformed. What follows it is not looked at.
absl::StatusOr<std::optional<model::AttributeValue>> FindEncodedAttribute(absl::string_view item,
                                                                          absl::string_view name);

// The token of a Get, Put, Update, Delete or Query, and of a Scan that begins at a key; none for a
// Scan from the start. Errors are ValidationErrors in DynamoDB's words.
absl::StatusOr<std::optional<model::Token>> TokenOfRequest(const data::v1::Request& request,
                                                           const model::TableSchema& schema);

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_REQUEST_KEY_H_
