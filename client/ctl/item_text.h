// Items, keys and placeholders as people write them on a command line or in a file. Pure.
//
// Which JSON: a text is DynamoDB's form if each of its attributes is an object with exactly one
// member, named like a type: {"id": {"S": "ada"}}. Then its mistakes are reported as such, and
// never taken for the plain form. Everything else is the plain form: {"id": "ada"} (model/json.h).
// A plain item whose attributes are all maps with one member named "S", "N", ... must be written in
// DynamoDB's form.
#ifndef RINGLEADER_CLIENT_CTL_ITEM_TEXT_H_
#define RINGLEADER_CLIENT_CTL_ITEM_TEXT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/item.h"
#include "model/table_schema.h"
#include "ringleader/client.h"

namespace ringleader::ctl {

absl::StatusOr<model::Item> ParseItem(absl::string_view json);

// One line, without its end. Plain where that can be read back, else DynamoDB's form.
std::string ItemText(const model::Item& item, bool is_dynamodb_json);

// "id:S", "n:N", "id".
absl::StatusOr<model::KeyAttribute> ParseKeyAttribute(absl::string_view text);

// "#n=name", each.
absl::StatusOr<Names> ParseNames(const std::vector<std::string>& texts);

// The status, and if it says that there is no such table, which one was meant.
absl::Status NamingTable(const absl::Status& status, absl::string_view table);

}  // namespace ringleader::ctl

#endif  // RINGLEADER_CLIENT_CTL_ITEM_TEXT_H_
