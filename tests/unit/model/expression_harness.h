// Expressions for tests: items and values written in DynamoDB's JSON, results as text.
#ifndef RINGLEADER_TESTS_UNIT_MODEL_EXPRESSION_HARNESS_H_
#define RINGLEADER_TESTS_UNIT_MODEL_EXPRESSION_HARNESS_H_

#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "model/condition.h"
#include "model/expression.h"
#include "model/expression_lexer.h"
#include "model/json.h"
#include "model/projection.h"
#include "model/update.h"

namespace ringleader::model {

using Names = std::vector<std::pair<std::string, std::string>>;

inline Item ItemOf(absl::string_view json) {
  absl::StatusOr<Item> item = ItemFromJson(json);
  CHECK(item.ok()) << item.status().ToString() << " in " << json;
  return *std::move(item);
}

inline std::string TextOf(const Item& item) {
  std::string text;
  AppendJson(item, &text);
  return text;
}

inline Placeholders PlaceholdersOf(absl::string_view values, Names names = {}) {
  return *Placeholders::Make(std::move(names), ItemOf(values));
}

// "true", "false", or the error.
inline std::string Evaluated(absl::string_view expression, absl::string_view item,
                             absl::string_view values = "{}", Names names = {},
                             ExpressionKind kind = ExpressionKind::kCondition) {
  Placeholders placeholders = PlaceholdersOf(values, std::move(names));
  const absl::StatusOr<Condition> condition = Condition::Parse(expression, kind, &placeholders);
  if (!condition.ok()) return std::string(condition.status().message());
  const absl::Status used = placeholders.CheckAllUsed();
  if (!used.ok()) return std::string(used.message());
  const Item parsed = item.empty() ? Item() : ItemOf(item);
  return condition->Holds(item.empty() ? nullptr : &parsed) ? "true" : "false";
}

// The item afterwards as JSON, or the error.
inline std::string Updated(absl::string_view expression, absl::string_view item,
                           absl::string_view values = "{}", Names names = {}) {
  Placeholders placeholders = PlaceholdersOf(values, std::move(names));
  const absl::StatusOr<Update> update = Update::Parse(expression, &placeholders);
  if (!update.ok()) return std::string(update.status().message());
  const absl::Status used = placeholders.CheckAllUsed();
  if (!used.ok()) return std::string(used.message());
  const absl::StatusOr<Item> after = update->Apply(ItemOf(item));
  return after.ok() ? TextOf(*after) : std::string(after.status().message());
}

inline std::string Projected(absl::string_view expression, absl::string_view item,
                             Names names = {}) {
  Placeholders placeholders = PlaceholdersOf("{}", std::move(names));
  const absl::StatusOr<Projection> projection = Projection::Parse(expression, &placeholders);
  if (!projection.ok()) return std::string(projection.status().message());
  return TextOf(projection->Apply(ItemOf(item)));
}

}  // namespace ringleader::model

#endif  // RINGLEADER_TESTS_UNIT_MODEL_EXPRESSION_HARNESS_H_
