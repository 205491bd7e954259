#include "ringleader/error.h"

#include <array>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/errors.h"
#include "model/item_codec.h"

namespace ringleader {
namespace {

constexpr absl::string_view kKindPayload = "ringleader.client/kind";
constexpr absl::string_view kItemPayload = "ringleader.client/item";

struct KindText {
  absl::string_view name;
  absl::StatusCode code;
};

// In the order of ErrorKind.
constexpr std::array<KindText, 14> kKinds = {{
    {"ok", absl::StatusCode::kOk},
    {"validation", absl::StatusCode::kInvalidArgument},
    {"condition failed", absl::StatusCode::kFailedPrecondition},
    {"table not found", absl::StatusCode::kNotFound},
    {"table exists", absl::StatusCode::kAlreadyExists},
    {"table in use", absl::StatusCode::kFailedPrecondition},
    {"throttled", absl::StatusCode::kResourceExhausted},
    {"unknown outcome", absl::StatusCode::kUnknown},
    {"deadline", absl::StatusCode::kDeadlineExceeded},
    {"unavailable", absl::StatusCode::kUnavailable},
    {"permission denied", absl::StatusCode::kPermissionDenied},
    {"not found", absl::StatusCode::kNotFound},
    {"conflict", absl::StatusCode::kAborted},
    {"internal", absl::StatusCode::kInternal},
}};
static_assert(kKinds.size() == static_cast<size_t>(ErrorKind::kInternal) + 1);

const KindText& TextOf(ErrorKind kind) { return kKinds[static_cast<size_t>(kind)]; }

ErrorKind KindOfWire(data::v1::Error error) {
  switch (error) {
    case data::v1::ERROR_NONE:
      return ErrorKind::kNone;
    case data::v1::ERROR_VALIDATION:
      return ErrorKind::kValidation;
    case data::v1::ERROR_CONDITION_FAILED:
      return ErrorKind::kConditionFailed;
    case data::v1::ERROR_TABLE_NOT_FOUND:
      return ErrorKind::kTableNotFound;
    case data::v1::ERROR_TABLE_EXISTS:
      return ErrorKind::kTableExists;
    case data::v1::ERROR_TABLE_IN_USE:
      return ErrorKind::kTableInUse;
    case data::v1::ERROR_RESOURCE_EXHAUSTED:
      return ErrorKind::kThrottled;
    case data::v1::ERROR_UNKNOWN_OUTCOME:
      return ErrorKind::kUnknownOutcome;
    case data::v1::ERROR_DEADLINE:
      return ErrorKind::kDeadline;
    case data::v1::ERROR_WRONG_ROUTE:
    case data::v1::ERROR_WRONG_SCHEMA:
    case data::v1::ERROR_UNAVAILABLE:
      return ErrorKind::kUnavailable;
    case data::v1::ERROR_UNAUTHENTICATED:
    case data::v1::ERROR_PERMISSION_DENIED:
      return ErrorKind::kPermissionDenied;
    // Of an earlier attempt nothing is known any more.
    case data::v1::ERROR_SESSION_EXPIRED:
      return ErrorKind::kUnknownOutcome;
    default:
      return ErrorKind::kInternal;
  }
}

}  // namespace

absl::string_view KindName(ErrorKind kind) { return TextOf(kind).name; }

absl::Status MakeError(ErrorKind kind, absl::string_view message) {
  absl::Status status(TextOf(kind).code, message);
  if (!status.ok()) {
    status.SetPayload(kKindPayload, absl::Cord(absl::StrCat(static_cast<int>(kind))));
  }
  return status;
}

ErrorKind KindOf(const absl::Status& status) {
  if (status.ok()) return ErrorKind::kNone;
  const auto payload = status.GetPayload(kKindPayload);
  int kind = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &kind) || kind <= 0 ||
      static_cast<size_t>(kind) >= kKinds.size()) {
    return ErrorKind::kInternal;
  }
  return static_cast<ErrorKind>(kind);
}

std::optional<model::Item> FailedItem(const absl::Status& status) {
  const auto payload = status.GetPayload(kItemPayload);
  if (!payload.has_value()) return std::nullopt;
  auto item = model::DecodeItem(std::string(*payload));
  if (!item.ok()) return std::nullopt;
  return *std::move(item);
}

namespace client {

absl::Status StatusOfResponse(const data::v1::Response& response) {
  absl::Status status = MakeError(KindOfWire(response.error()), response.message());
  if (response.error() == data::v1::ERROR_CONDITION_FAILED && !response.item().empty()) {
    status.SetPayload(kItemPayload, absl::Cord(response.item()));
  }
  return status;
}

absl::Status StatusOf(const coordinator::v1::Outcome& outcome) {
  switch (outcome.error()) {
    case coordinator::v1::ERROR_NONE:
      return absl::OkStatus();
    case coordinator::v1::ERROR_INVALID:
      return MakeError(ErrorKind::kValidation, outcome.message());
    case coordinator::v1::ERROR_NOT_FOUND:
      return MakeError(ErrorKind::kNotFound, outcome.message());
    case coordinator::v1::ERROR_EXISTS:
      return MakeError(ErrorKind::kTableExists, outcome.message());
    case coordinator::v1::ERROR_IN_USE:
      return MakeError(ErrorKind::kTableInUse, outcome.message());
    case coordinator::v1::ERROR_CONFLICT:
    case coordinator::v1::ERROR_VERSION:
      return MakeError(ErrorKind::kConflict, outcome.message());
    case coordinator::v1::ERROR_NOT_LEADER:
    case coordinator::v1::ERROR_UNAVAILABLE:
      return MakeError(ErrorKind::kUnavailable, outcome.message());
    default:
      return MakeError(ErrorKind::kInternal, outcome.message());
  }
}

}  // namespace client
}  // namespace ringleader
