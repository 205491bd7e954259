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

class UnaryClient::Handler : public CallHandler {
 public:
  Handler(std::shared_ptr<Gate> gate, Done done) : gate_(std::move(gate)), done_(std::move(done)) {}

  void OnMessage(std::string message) override { answer_ = std::move(message); }
  void OnEnd(const absl::Status& status) override {
    if (!status.ok()) answer_ = status;
    MutexLock lock(gate_->mutex);
    if (gate_->executor == nullptr) return;
    gate_->executor->Post([done = std::move(done_), answer = std::move(answer_)]() mutable {
      done(std::move(answer));
    });
  }

 private:
  const std::shared_ptr<Gate> gate_;
  Done done_;
  absl::StatusOr<std::string> answer_ = absl::UnavailableError("the call ended without an answer");
};

UnaryClient::UnaryClient(Network& network, Executor& executor) : network_(network) {
  MutexLock lock(gate_->mutex);
  gate_->executor = &executor;
}

UnaryClient::~UnaryClient() {
  MutexLock lock(gate_->mutex);
  gate_->executor = nullptr;
}

void UnaryClient::Call(absl::string_view address, absl::string_view method, std::string request,
                       Duration timeout, Done done, CallMetadata metadata) {
  CallOptions options;
  options.metadata = std::move(metadata);
  options.timeout = timeout;
  const std::shared_ptr<ringleader::Call> call =
      network_.Start(address, method, options, std::make_unique<Handler>(gate_, std::move(done)));
  call->Send(std::move(request));
  call->Finish(absl::OkStatus());
}

}  // namespace ringleader::coordinator
