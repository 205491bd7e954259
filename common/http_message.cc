#include "common/http_message.h"

#include <ctime>

#include "absl/strings/str_cat.h"

namespace ringleader {
namespace {

// For people who read the wire; programs go by the number.
absl::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Payload Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

std::string DateOf(int64_t wall_micros) {
  const std::time_t now = static_cast<std::time_t>(wall_micros / 1000000);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  const size_t length = std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return std::string(text, length);
}

// No header of ours may end early: what an answer quotes could hold a line's end.
std::string OneLine(absl::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return line;
}

}  // namespace

absl::string_view HttpRequest::Header(absl::string_view name) const {
  for (const auto& [its_name, value] : headers) {
    if (its_name == name) return value;
  }
  return "";
}

absl::string_view HttpRequest::path() const {
  return absl::string_view(target).substr(0, target.find('?'));
}

std::string EncodeHead(const HttpResponse& response, bool close, int64_t wall_micros) {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ", ReasonOf(response.status),
                                  "\r\nDate: ", DateOf(wall_micros), "\r\n");
  if (!response.content_type.empty()) {
    absl::StrAppend(&head, "Content-Type: ", OneLine(response.content_type), "\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&head, OneLine(name), ": ", OneLine(value), "\r\n");
  }
  absl::StrAppend(&head, "Content-Length: ", response.body.size(), "\r\n");
  absl::StrAppend(&head, "Connection: ", close ? "close" : "keep-alive", "\r\n\r\n");
  return head;
}

}  // namespace ringleader
