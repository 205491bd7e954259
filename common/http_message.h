// Requests and responses of HTTP/1.1 as values, and how a response's head reads on the wire.
#ifndef RINGLEADER_COMMON_HTTP_MESSAGE_H_
#define RINGLEADER_COMMON_HTTP_MESSAGE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace ringleader {

// In the order they came, or are to be sent.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // "GET"
  std::string target;   // as sent: "/metrics?name=up"
  HttpHeaders headers;  // names in lower case
  std::string body;
  std::string peer;  // the caller's address, host:port

  // The first header of that name (in lower case); empty if there is none.
  absl::string_view Header(absl::string_view name) const;
  // The target without its query.
  absl::string_view path() const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";  // empty: none is sent
  HttpHeaders headers;  // beyond Content-Type and what the server adds
  std::string body;
  bool close = false;  // this connection ends with this answer
};

// Everything before the body: status line, Date (`wall_micros` since 1970), the response's headers,
// Content-Length, Connection, the empty line. Line ends inside names and values become spaces.
std::string EncodeHead(const HttpResponse& response, bool close, int64_t wall_micros);

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_HTTP_MESSAGE_H_
