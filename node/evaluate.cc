#include "node/evaluate.h"

#include <utility>
#include <vector>

#include "common/status.h"
#include "model/error.h"
#include "model/item.h"
#include "model/item_codec.h"
#include "model/key_paths.h"
#include "model/update.h"

namespace ringleader {
namespace {

using data::v1::ReturnValues;
using model::Item;

constexpr absl::string_view kConditionFailed = "The conditional request failed";

// What the three kinds of write have in common, taken apart.
struct WriteParts {
  model::Placeholders placeholders;
  std::optional<model::Condition> condition;
  std::optional<model::Update> update;
  Item given;  // the item of a put, the key of the others
  std::string key;
  ReturnValues return_values = data::v1::RETURN_VALUES_NONE;
  bool item_on_failure = false;
};

Evaluation Refused(const absl::Status& status) { return {.response = StatusResponse(status)}; }

absl::Status CheckReturnValues(ReturnValues values, bool is_update) {
  if (values == data::v1::RETURN_VALUES_NONE || values == data::v1::RETURN_VALUES_ALL_OLD) {
    return absl::OkStatus();
  }
  if (!data::v1::ReturnValues_IsValid(values)) {
    return model::ValidationError("Return values set to invalid value");
  }
  if (is_update) return absl::OkStatus();
  return model::ValidationError("ReturnValues can only be ALL_OLD or NONE");
}

absl::Status ParseExpressions(const data::v1::Expressions& expressions, bool is_update,
                              const model::KeySchema& key, WriteParts* parts) {
  ASSIGN_OR_RETURN(parts->placeholders, MakePlaceholders(expressions));
  if (is_update && !expressions.update().empty()) {
    ASSIGN_OR_RETURN(parts->update,
                     model::Update::Parse(expressions.update(), &parts->placeholders));
  }
  if (!expressions.condition().empty()) {
    ASSIGN_OR_RETURN(parts->condition, model::Condition::Parse(expressions.condition(),
                                                               model::ExpressionKind::kCondition,
                                                               &parts->placeholders));
  }
  RETURN_IF_ERROR(parts->placeholders.CheckAllUsed());
  return CheckKeyPaths(key, parts->condition, std::nullopt);
}

// Put, Delete and Update differ in what they call their item and in what they allow.
template <typename Write>
absl::Status TakeWrite(const Write& write, const std::string& given, bool is_update,
                       const TableInfo& table, const model::TokenRange& range, bool is_put,
                       WriteParts* parts) {
  parts->return_values = write.return_values();
  parts->item_on_failure = write.return_item_on_condition_failure();
  RETURN_IF_ERROR(CheckReturnValues(parts->return_values, is_update));
  RETURN_IF_ERROR(ParseExpressions(write.expressions(), is_update, table.schema.key, parts));
  ASSIGN_OR_RETURN(parts->given, model::DecodeItem(given));
  model::KeyView key;
  if (is_put) {
    RETURN_IF_ERROR(model::ValidateItem(parts->given, model::kPutTooLarge));
    ASSIGN_OR_RETURN(key, table.schema.ValidateItemKeys(parts->given));
  } else {
    ASSIGN_OR_RETURN(key, table.schema.ValidateKey(parts->given));
  }
  if (parts->update.has_value()) RETURN_IF_ERROR(parts->update->CheckKeys(table.schema.key));
  RETURN_IF_ERROR(CheckToken(model::TokenOfKey(table.schema.id, *key.partition), range));
  parts->key = model::EncodeItemKey(table.schema.id, key);
  return absl::OkStatus();
}

absl::Status TakeApart(const data::v1::Request& request, const TableInfo& table,
                       const model::TokenRange& range, WriteParts* parts) {
  if (request.has_put()) {
    return TakeWrite(request.put(), request.put().item(), false, table, range, true, parts);
  }
  if (request.has_delete_()) {
    return TakeWrite(request.delete_(), request.delete_().key(), false, table, range, false, parts);
  }
  return TakeWrite(request.update(), request.update().key(), true, table, range, false, parts);
}

Evaluation ConditionFailed(const WriteParts& parts, const std::optional<std::string>& before) {
  Evaluation failed{.kind = Evaluation::Kind::kNothing, .key = parts.key};
  failed.response = ErrorResponse(data::v1::ERROR_CONDITION_FAILED, kConditionFailed);
  if (parts.item_on_failure && before.has_value()) failed.response.set_item(*before);
  return failed;
}

// The item after an update; `before` is null if there was none.
absl::StatusOr<Item> Updated(const WriteParts& parts, const TableInfo& table, const Item* before) {
  if (!parts.update.has_value()) return before != nullptr ? *before : parts.given;
  ASSIGN_OR_RETURN(Item after, parts.update->Apply(before != nullptr ? *before : parts.given));
  RETURN_IF_ERROR(model::ValidateItem(after, model::kUpdateTooLarge));
  RETURN_IF_ERROR(table.schema.ValidateItemKeys(after).status());
  return after;
}

void SetReturned(const WriteParts& parts, const Item* before, const std::string& before_bytes,
                 const Item* after, const std::string& after_bytes, data::v1::Response* response) {
  const auto project = [&](const Item& item) {
    return model::EncodeItem(model::Projection(parts.update->Paths()).Apply(item));
  };
  switch (parts.return_values) {
    case data::v1::RETURN_VALUES_ALL_OLD:
      if (before != nullptr) response->set_item(before_bytes);
      return;
    case data::v1::RETURN_VALUES_ALL_NEW:
      if (after != nullptr) response->set_item(after_bytes);
      return;
    case data::v1::RETURN_VALUES_UPDATED_OLD:
      if (before != nullptr && parts.update.has_value()) response->set_item(project(*before));
      return;
    case data::v1::RETURN_VALUES_UPDATED_NEW:
      if (after != nullptr && parts.update.has_value()) response->set_item(project(*after));
      return;
    default:
      return;
  }
}

// The rest of an evaluation, once the item as it is has been found.
Evaluation Decide(const data::v1::Request& request, const WriteParts& parts, const TableInfo& table,
                  const std::optional<std::string>& before_bytes, const Item* before) {
  if (parts.condition.has_value() && !parts.condition->Holds(before)) {
    return ConditionFailed(parts, before_bytes);
  }
  Evaluation done{.kind = Evaluation::Kind::kEffect, .key = parts.key};
  const std::string old = before_bytes.value_or("");
  if (request.has_delete_()) {
    if (before == nullptr) done.kind = Evaluation::Kind::kNothing;
    SetReturned(parts, before, old, nullptr, "", &done.response);
    return done;
  }
  if (request.has_put()) {
    done.item = model::EncodeItem(parts.given);
    SetReturned(parts, before, old, nullptr, "", &done.response);
    return done;
  }
  if (before == nullptr && parts.update.has_value() && !parts.update->CanCreate()) {
    done.kind = Evaluation::Kind::kNothing;
    return done;
  }
  absl::StatusOr<Item> after = Updated(parts, table, before);
  if (!after.ok()) {
    // Whether it applies depends on the item: the refusal is an answer about the state.
    return {.kind = Evaluation::Kind::kNothing,
            .key = parts.key,
            .response = StatusResponse(after.status())};
  }
  std::string bytes = model::EncodeItem(*after);
  SetReturned(parts, before, old, &*after, bytes, &done.response);
  if (before_bytes.has_value() && bytes == *before_bytes) done.kind = Evaluation::Kind::kNothing;
  done.item = std::move(bytes);
  return done;
}

}  // namespace

absl::StatusOr<Evaluation> EvaluateWrite(const data::v1::Request& request, const TableInfo& table,
                                         const model::TokenRange& range,
                                         const ReadCurrent& current) {
  WriteParts parts;
  if (absl::Status taken = TakeApart(request, table, range, &parts); !taken.ok()) {
    return Refused(taken);
  }
  // A put that asks nothing of the item that it replaces is not made to read it.
  const bool blind = request.has_put() && !parts.condition.has_value() &&
                     parts.return_values == data::v1::RETURN_VALUES_NONE;
  std::optional<std::string> before_bytes;
  Item before;
  if (!blind) {
    ASSIGN_OR_RETURN(before_bytes, current(parts.key));
    if (before_bytes.has_value()) {
      auto decoded = model::DecodeItem(*before_bytes);
      if (!decoded.ok()) return absl::DataLossError(decoded.status().message());
      before = *std::move(decoded);
    }
  }
  return Decide(request, parts, table, before_bytes, before_bytes.has_value() ? &before : nullptr);
}

data::v1::Response ErrorResponse(data::v1::Error error, absl::string_view message) {
  data::v1::Response response;
  response.set_error(error);
  response.set_message(message.data(), message.size());
  return response;
}

data::v1::Response StatusResponse(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return ErrorResponse(data::v1::ERROR_VALIDATION, status.message());
    case absl::StatusCode::kOutOfRange:
      return ErrorResponse(data::v1::ERROR_WRONG_ROUTE, status.message());
    case absl::StatusCode::kUnavailable:
      return ErrorResponse(data::v1::ERROR_UNAVAILABLE, status.message());
    default:
      return ErrorResponse(data::v1::ERROR_INTERNAL, status.message());
  }
}

absl::Status CheckToken(model::Token token, const model::TokenRange& range) {
  if (range.Contains(token)) return absl::OkStatus();
  return absl::OutOfRangeError("the key belongs to another partition");
}

absl::Status CheckKeyPaths(const model::KeySchema& key,
                           const std::optional<model::Condition>& condition,
                           const std::optional<model::Projection>& projection) {
  std::vector<const model::Path*> paths;
  if (condition.has_value()) paths = condition->Paths();
  if (projection.has_value()) {
    for (const model::Path& path : projection->paths()) paths.push_back(&path);
  }
  return model::ValidateKeyPaths(key, paths);
}

absl::StatusOr<model::Placeholders> MakePlaceholders(const data::v1::Expressions& expressions) {
  std::vector<std::pair<std::string, std::string>> names(expressions.names().begin(),
                                                         expressions.names().end());
  ASSIGN_OR_RETURN(Item values, model::DecodeItem(expressions.values()));
  return model::Placeholders::Make(std::move(names), std::move(values));
}

}  // namespace ringleader
