// What went wrong, for programs. Every error of the client library is an absl::Status whose kind is
// read by KindOf; the text is for people.
//
// The rule to write programs by: kUnknownOutcome is the only kind after which a write may have been
// carried out. After every other one it was not.
#ifndef RINGLEADER_CLIENT_INCLUDE_RINGLEADER_ERROR_H_
#define RINGLEADER_CLIENT_INCLUDE_RINGLEADER_ERROR_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "model/item.h"

namespace ringleader {

enum class ErrorKind {
  kNone = 0,         // the status is OK
  kValidation,       // never succeeds as it is; the text is DynamoDB's
  kConditionFailed,  // see FailedItem
  kTableNotFound,
  kTableExists,
  kTableInUse,        // being created or deleted
  kThrottled,         // the cluster, or this client, has too much to do; try again later
  kUnknownOutcome,    // the write may have been carried out, once
  kDeadline,          // its time was over
  kUnavailable,       // nobody who could do it was there
  kPermissionDenied,  // also: not authenticated
  kNotFound,          // no such node or partition
  kConflict,          // a plan made for an older state of the cluster
  kInternal,
};

// "condition failed" and so on.
absl::string_view KindName(ErrorKind kind);

// kNone for OK; kInternal for a status that is not from this library.
ErrorKind KindOf(const absl::Status& status);

// The item that failed a condition, if `return_item_on_condition_failure` asked for it and there
// was one.
std::optional<model::Item> FailedItem(const absl::Status& status);

// A status of this library.
absl::Status MakeError(ErrorKind kind, absl::string_view message);

}  // namespace ringleader

#endif  // RINGLEADER_CLIENT_INCLUDE_RINGLEADER_ERROR_H_
