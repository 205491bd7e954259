// A small HTTP/1.1 server: keep-alive, pipelining, answers that come later and from any thread.
// Every process has one for its admin pages; the DynamoDB door is another with wider bounds.
//
//   auto server = HttpServer::Start("127.0.0.1:9100", {}, [](HttpRequest request, HttpRespond go) {
//     go({.status = 200, .body = "alive\n"});
//   });
//
// What it does by itself: parses and bounds requests, answers malformed ones (400), those over a
// bound (413, 431) or beyond the server's memory (503) and closes, sends "100 Continue" to who
// waits for it, keeps answers of one connection in the order of its requests, adds Content-Length,
// Connection and Date, leaves the body out of the answer to a HEAD.
//
// Slow and silent peers. A request has `request_max` from its first byte to its last, an answer
// `write_max` to be taken, a connection without a request `idle_max`. With `connections_max` open,
// a new one takes the place of the one that has been without a request at the handler the longest,
// half-sent requests included; if all have one, the new one is closed. So whoever only holds
// connections keeps nobody out. A connection is not read further while `pipeline_max` of its
// requests, or `body_bytes_max` of them, are unanswered.
//
// Threads: the handler is called on the server's threads and must not wait; requests of one
// connection arrive in order. HttpRespond may be called on any thread, also after the server is
// gone (nothing happens then).
#ifndef RINGLEADER_COMMON_HTTP_SERVER_H_
#define RINGLEADER_COMMON_HTTP_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/http_message.h"

namespace ringleader {

// Answers one request, once. Destroyed without a call, it answers 500.
using HttpRespond = absl::AnyInvocable<void(HttpResponse)>;
using HttpHandler = std::function<void(HttpRequest, HttpRespond)>;

struct HttpServerOptions {
  int threads = 1;
  uint32_t header_bytes_max = 16 << 10;  // request line included
  uint64_t body_bytes_max = 64 << 10;
  // Of all bodies that are being received or not yet answered.
  uint64_t memory_bytes_max = 64 << 20;
  size_t connections_max = 1024;
  size_t pipeline_max = 16;
  Duration idle_max = std::chrono::seconds(60);
  Duration request_max = std::chrono::seconds(20);
  Duration write_max = std::chrono::seconds(60);
  // Stopping waits this long for requests that have no answer yet.
  Duration drain_max = std::chrono::seconds(2);
};

// Since the start, but for `connections`.
struct HttpServerStatistics {
  uint64_t connections = 0;  // open now
  uint64_t accepted = 0;
  uint64_t turned_away = 0;  // closed, or replaced by a newer one, as there were too many
  uint64_t requests = 0;     // handed to the handler
  uint64_t refused = 0;      // malformed, or over a bound
  uint64_t timed_out = 0;    // connections closed because their peer was slow or silent
};

class HttpServer {
 public:
  // Listens on host:port (port 0: any free one). FAILED_PRECONDITION: the address can't be bound;
  // the message names it and says why.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(absl::string_view address,
                                                           const HttpServerOptions& options,
                                                           HttpHandler handler);
  // Stops.
  ~HttpServer();

  // Frees the port, lets the open requests be answered for `drain_max`, closes everything. The
  // handler is not called after this returns. Twice is once; not from the handler.
  void Stop();

  int port() const;
  HttpServerStatistics statistics() const;

 private:
  class Core;
  class Connection;

  explicit HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  const std::shared_ptr<Core> core_;
};

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_HTTP_SERVER_H_
