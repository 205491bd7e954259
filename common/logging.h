// The process's log: one line an event, on standard error, for people and for grep:
//
//   2026-11-23T05:00:00.123456Z W partition 17: lost leadership in term 5: no quorum heard for 2000
//   ms
//
// A line says what happened, to what, and what follows or what to do. Nothing per request, nothing
// that a client can make endless: Log is for events whose number is bounded by what operators or
// failures do. Thread-safe.
#ifndef RINGLEADER_COMMON_LOGGING_H_
#define RINGLEADER_COMMON_LOGGING_H_

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ringleader {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3, kOff = 4 };

void SetLogLevel(LogLevel level);
// Whether a line of this level is written: to avoid building it.
bool LogEnabled(LogLevel level);
void WriteLog(LogLevel level, absl::string_view message);
// Lines begin with what `origin` says instead of the time of day and their level, while it is not
// null: a simulator has many machines and a time of its own. Not while others write.
void SetLogOrigin(std::function<std::string()> origin);

// LogWarning("partition ", id, ": ", status): the parts are joined as by absl::StrCat.
template <typename... Parts>
void LogDebug(const Parts&... parts) {
  if (LogEnabled(LogLevel::kDebug)) WriteLog(LogLevel::kDebug, absl::StrCat(parts...));
}
template <typename... Parts>
void LogInfo(const Parts&... parts) {
  if (LogEnabled(LogLevel::kInfo)) WriteLog(LogLevel::kInfo, absl::StrCat(parts...));
}
template <typename... Parts>
void LogWarning(const Parts&... parts) {
  if (LogEnabled(LogLevel::kWarning)) WriteLog(LogLevel::kWarning, absl::StrCat(parts...));
}
template <typename... Parts>
void LogError(const Parts&... parts) {
  if (LogEnabled(LogLevel::kError)) WriteLog(LogLevel::kError, absl::StrCat(parts...));
}

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_LOGGING_H_
