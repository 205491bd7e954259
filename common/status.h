// Helpers around absl::Status: early return, and context that names what and where.
#ifndef RINGLEADER_COMMON_STATUS_H_
#define RINGLEADER_COMMON_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ringleader {

// The same code, with `context: ` before the message; OK stays OK.
// Example: "opening /var/lib/ring/log/000012.seg: No space left on device".
inline absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace ringleader

// Leaves the function with the status if it is an error.
#define RETURN_IF_ERROR(expression)                                           \
  do {                                                                        \
    if (absl::Status status_or_error = (expression); !status_or_error.ok()) { \
      return status_or_error;                                                 \
    }                                                                         \
  } while (false)

#define RINGLEADER_CONCAT_INNER(a, b) a##b
#define RINGLEADER_CONCAT(a, b) RINGLEADER_CONCAT_INNER(a, b)

// ASSIGN_OR_RETURN(auto value, Function()): leaves the function with the error if there is one.
#define ASSIGN_OR_RETURN(declaration, expression) \
  RINGLEADER_ASSIGN_OR_RETURN(RINGLEADER_CONCAT(status_or_, __LINE__), declaration, expression)
#define RINGLEADER_ASSIGN_OR_RETURN(temporary, declaration, expression) \
  auto temporary = (expression);                                        \
  if (!temporary.ok()) return std::move(temporary).status();            \
  declaration = *std::move(temporary)

#endif  // RINGLEADER_COMMON_STATUS_H_
