// Which build this is: shown by --version, logged at the start, and exported as a metric.
#ifndef RINGLEADER_COMMON_BUILD_INFO_H_
#define RINGLEADER_COMMON_BUILD_INFO_H_

#include "absl/strings/string_view.h"

namespace ringleader {

absl::string_view BuildVersion();   // "0.1.0"
absl::string_view BuildRevision();  // the git commit it was configured at, or "unknown"

// "Ringleader 0.1.0 (39045e6)"
absl::string_view BuildDescription();

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_BUILD_INFO_H_
