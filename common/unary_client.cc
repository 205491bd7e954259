#include "common/unary_client.h"

#include <utility>

namespace ringleader {

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
                       const CallOptions& options, Done done) {
  const std::shared_ptr<ringleader::Call> call =
      network_.Start(address, method, options, std::make_unique<Handler>(gate_, std::move(done)));
  call->Send(std::move(request));
  call->Finish(absl::OkStatus());
}

}  // namespace ringleader
