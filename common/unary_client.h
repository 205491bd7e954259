// Unary calls to others over the Network seam: one message each way, then the end.
#ifndef RINGLEADER_COMMON_UNARY_CLIENT_H_
#define RINGLEADER_COMMON_UNARY_CLIENT_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "common/network.h"

namespace ringleader {

// Calls methods of others and tells each outcome on one executor, once. When it is destroyed, what
// is under way is told nobody. Thread-safe.
class UnaryClient {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;

  // Both outlive it, but not the calls.
  UnaryClient(Network& network, Executor& executor);
  ~UnaryClient();
  UnaryClient(const UnaryClient&) = delete;
  UnaryClient& operator=(const UnaryClient&) = delete;

  // An end without an answer is UNAVAILABLE.
  void Call(absl::string_view address, absl::string_view method, std::string request,
            const CallOptions& options, Done done);

 private:
  class Handler;
  // What the handlers of calls under way may reach, as long as it is there.
  struct Gate {
    Mutex mutex;
    Executor* executor ABSL_GUARDED_BY(mutex) = nullptr;
  };

  Network& network_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
};

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_UNARY_CLIENT_H_
