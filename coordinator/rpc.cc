#include "coordinator/rpc.h"

#include <utility>

namespace ringleader::coordinator {
namespace {

class UnaryHandler : public CallHandler {
 public:
  UnaryHandler(Executor& executor, std::shared_ptr<Call> call,
               std::function<void(std::shared_ptr<Call>, std::string)> serve)
      : executor_(executor), call_(std::move(call)), serve_(std::move(serve)) {}

  void OnMessage(std::string message) override {
    if (std::exchange(served_, true)) {
      call_->Finish(absl::InvalidArgumentError("one request is expected"));
      return;
    }
    executor_.Post([call = call_, serve = serve_, message = std::move(message)]() mutable {
      serve(std::move(call), std::move(message));
    });
  }
  void OnPeerFinished() override {
    if (!served_) call_->Finish(absl::InvalidArgumentError("a request is expected"));
  }
  void OnEnd(const absl::Status&) override {}

 private:
  Executor& executor_;
  const std::shared_ptr<Call> call_;
  const std::function<void(std::shared_ptr<Call>, std::string)> serve_;
  bool served_ = false;
};

}  // namespace

std::unique_ptr<CallHandler> NewUnaryHandler(
    Executor& executor, std::shared_ptr<Call> call,
    std::function<void(std::shared_ptr<Call>, std::string)> serve) {
  return std::make_unique<UnaryHandler>(executor, std::move(call), std::move(serve));
}

}  // namespace ringleader::coordinator
