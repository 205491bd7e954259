#include "common/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader {
namespace {

constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%fZ %L %v";

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made =
        new spdlog::logger("ringleader", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern(kPattern, spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *logger;
}

std::function<std::string()>& Origin() {
  static auto* const origin = new std::function<std::string()>();
  return *origin;
}

spdlog::level::level_enum Level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  CHECK(false) << "level " << static_cast<int>(level);
  return spdlog::level::off;
}

}  // namespace

void SetLogLevel(LogLevel level) { Logger().set_level(Level(level)); }

bool LogEnabled(LogLevel level) { return Logger().should_log(Level(level)); }

void WriteLog(LogLevel level, absl::string_view message) {
  std::string with_origin;
  if (Origin() != nullptr) {
    with_origin = absl::StrCat(Origin()(), " ", message);
    message = with_origin;
  }
  Logger().log(Level(level), spdlog::string_view_t(message.data(), message.size()));
}

void SetLogOrigin(std::function<std::string()> origin) {
  Logger().set_pattern(origin == nullptr ? kPattern : "%L %v", spdlog::pattern_time_type::utc);
  Origin() = std::move(origin);
}

}  // namespace ringleader
