#include "client/ctl/item_text.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/json.h"

namespace ringleader::ctl {
namespace {

bool LooksLikeDynamoDb(const model::Item& plain) {
  for (const model::Attribute& attribute : plain) {
    if (!attribute.value.is_map() || attribute.value.map().size() != 1) return false;
    model::AttributeType type;
    if (!model::TypeFromName(attribute.value.map().begin()->name, &type)) return false;
  }
  return !plain.empty();
}

}  // namespace

absl::StatusOr<model::Item> ParseItem(absl::string_view json) {
  auto plain = model::ItemFromPlainJson(json);
  if (plain.ok() && !LooksLikeDynamoDb(*plain)) return plain;
  auto typed = model::ItemFromJson(json);
  // What neither form takes is reported as the form it looks like.
  return typed.ok() || plain.ok() ? std::move(typed) : std::move(plain);
}

std::string ItemText(const model::Item& item, bool is_dynamodb_json) {
  std::string text;
  if (!is_dynamodb_json && !LooksLikeDynamoDb(item) && model::AppendPlainJson(item, &text).ok()) {
    return text;
  }
  text.clear();
  model::AppendJson(item, &text);
  return text;
}

absl::StatusOr<model::KeyAttribute> ParseKeyAttribute(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  model::KeyAttribute attribute{.name = std::string(parts.first)};
  const absl::string_view type = parts.second.empty() ? "S" : parts.second;
  const bool is_key_type = type == "S" || type == "N" || type == "B";
  if (attribute.name.empty() || !is_key_type) {
    return MakeError(ErrorKind::kValidation,
                     absl::StrCat("'", text,
                                  "' is no key: write name:type, with type S (string), N "
                                  "(number) or B (binary), such as id:S"));
  }
  model::TypeFromName(type, &attribute.type);
  return attribute;
}

absl::StatusOr<Names> ParseNames(const std::vector<std::string>& texts) {
  Names names;
  for (const std::string& text : texts) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    if (parts.first.size() < 2 || parts.first[0] != '#' || parts.second.empty()) {
      return MakeError(ErrorKind::kValidation,
                       absl::StrCat("'", text, "' is no name: write #placeholder=attribute"));
    }
    names.push_back(parts);
  }
  return names;
}

absl::Status NamingTable(const absl::Status& status, absl::string_view table) {
  if (status.ok() || KindOf(status) != ErrorKind::kTableNotFound) return status;
  return MakeError(ErrorKind::kTableNotFound,
                   absl::StrCat(status.message(), ": Table: ", table, " not found"));
}

}  // namespace ringleader::ctl
