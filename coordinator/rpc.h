// Serving unary calls over the Network seam, with Protocol Buffers messages: one message each way,
// then the end. The other side: common/unary_client.h.
#ifndef RINGLEADER_COORDINATOR_RPC_H_
#define RINGLEADER_COORDINATOR_RPC_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/executor.h"
#include "common/network.h"

namespace ringleader::coordinator {

// Hands the request's bytes to `serve` on `executor`, once; whatever it does with the call is the
// answer.
std::unique_ptr<CallHandler> NewUnaryHandler(
    Executor& executor, std::shared_ptr<Call> call,
    std::function<void(std::shared_ptr<Call>, std::string)> serve);

// What answers a call with one request's bytes.
using UnaryServer = std::function<void(std::shared_ptr<Call>, std::string)>;

// Serves a method: `handle` gets the request, and answers through its second argument at once or
// later, at most once. A request that can't be parsed ends with INVALID_ARGUMENT.
template <typename Request, typename Response>
UnaryServer ServerOf(
    std::function<void(const Request&, std::function<void(const Response&)>)> handle) {
  return [handle = std::move(handle)](std::shared_ptr<Call> answered, const std::string& bytes) {
    Request request;
    if (!request.ParseFromString(bytes)) {
      answered->Finish(absl::InvalidArgumentError("malformed request"));
      return;
    }
    handle(request, [answered = std::move(answered)](const Response& response) {
      answered->Send(response.SerializeAsString());
      answered->Finish(absl::OkStatus());
    });
  };
}

// The same on `executor`.
template <typename Request, typename Response>
std::unique_ptr<CallHandler> ServeUnary(
    Executor& executor, std::shared_ptr<Call> call,
    std::function<void(const Request&, std::function<void(const Response&)>)> handle) {
  return NewUnaryHandler(executor, std::move(call), ServerOf<Request, Response>(std::move(handle)));
}

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_RPC_H_
