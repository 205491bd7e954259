// The seam to the network: calls between processes, each an ordered, bidirectional stream of
// messages, as gRPC defines them. A unary call is a stream with one message each way. Production
// runs it over gRPC (common/grpc_network.h), where a method is a gRPC method path such as
// "/ringleader.node.v1.Node/Exchange" and a message its serialized protobuf, so programs that use
// generated gRPC stubs reach the same services. The simulator has its own.
//
// What a caller may rely on: messages of one call arrive in order, whole, at most once, or the call
// ends with an error. Whether a message that was sent before the end arrived is unknown.
//
// Threads: every method may be called from any thread. A handler's events come one at a time, from
// threads of the network, and must not block: they decode and post. An event may call any method.
#ifndef RINGLEADER_COMMON_NETWORK_H_
#define RINGLEADER_COMMON_NETWORK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"

namespace ringleader {

// Pairs sent once, when the call starts. Keys are lower case, values printable ASCII.
using CallMetadata = std::vector<std::pair<std::string, std::string>>;

// One side of a call. May outlive the call: it then refuses everything.
class Call {
 public:
  virtual ~Call() = default;

  // Queues a message. False, and nothing was queued: the call has ended, or its queue holds more
  // than its bound. A queue that was empty takes a message of any size up to the network's message
  // limit.
  virtual bool Send(std::string message) = 0;

  // Says that no more will be sent. On the server it ends the call with `status` once the queued
  // messages are out. On the client OK does the same for its direction and the server's status is
  // awaited, while an error cancels the call at once. Later calls are ignored.
  virtual void Finish(absl::Status status) = 0;

  // Ends the call at once, also after Finish: what is queued is dropped. For a peer that does not
  // read, whom Finish would wait for.
  virtual void Cancel() { Finish(absl::CancelledError("the call is given up")); }

  // Bytes queued and not yet handed to the operating system; for choosing between calls and
  // metrics.
  virtual uint64_t queued_bytes() const = 0;
};

// What the owner of one side is told. The network owns the handler and destroys it after OnEnd.
class CallHandler {
 public:
  virtual ~CallHandler() = default;

  virtual void OnMessage(std::string message) = 0;

  // The send queue has run empty: the moment to build the next frame from what gathered meanwhile
  // (adaptive batching: never wait to fill a frame, never send one message at a time under load).
  virtual void OnSendIdle() {}

  // The peer will send no more. Only the server is told: for a client the end of the answers is
  // OnEnd.
  virtual void OnPeerFinished() {}

  // The last event, exactly once, on every path. The server's status; UNAVAILABLE if the connection
  // could not be made or broke; CANCELLED, DEADLINE_EXCEEDED.
  virtual void OnEnd(const absl::Status& status) = 0;
};

struct CallOptions {
  CallMetadata metadata;
  // The call ends with DEADLINE_EXCEEDED after this; zero: no deadline.
  Duration timeout{0};
  // Send refuses while more than this is queued.
  uint64_t send_queue_bytes_max = 64 << 20;
  // Calls with different names never share a connection, so that one kind of traffic can't hold up
  // another. Calls with the same name to the same address do.
  std::string connection;
};

// A call that a server is asked to take.
struct IncomingCall {
  absl::string_view method;      // valid during Accept only
  const CallMetadata& metadata;  // valid during Accept only
  std::string peer;              // the caller's address, for logs
  std::shared_ptr<Call> call;
};

class Service {
 public:
  virtual ~Service() = default;
  // The handler for a new call; or an error, which ends the call with it (UNIMPLEMENTED for a
  // method it does not know). Called from the network's threads, possibly from several at once.
  virtual absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) = 0;
};

// A listening server. Destroying it ends its calls with UNAVAILABLE, waits until every handler has
// had its OnEnd and is gone, and frees the port.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual int port() const = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  // Starts a call. Never fails at once: what goes wrong arrives as OnEnd, possibly before Start
  // returns. `address` is host:port.
  virtual std::shared_ptr<Call> Start(absl::string_view address, absl::string_view method,
                                      const CallOptions& options,
                                      std::unique_ptr<CallHandler> handler) = 0;

  // Listens on host:port (port 0: any free one) until the Listener is destroyed. `service` outlives
  // it. FAILED_PRECONDITION: the address can't be bound; the message names it and says why.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::string_view address,
                                                           Service* service) = 0;
};

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_NETWORK_H_
