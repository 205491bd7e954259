#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_network.h"
#include "etcd.pb.h"
#include "tests/bench/target.h"

namespace ringleader::bench {
namespace {

// The one answer of a unary call, and the call's end.
class UnaryHandler : public CallHandler {
 public:
  UnaryHandler(bool is_get, Target::Done done) : is_get_(is_get), done_(std::move(done)) {}

  void OnMessage(std::string message) override {
    has_answer_ = true;
    if (!is_get_) return;
    etcdserverpb::RangeResponse response;
    readable_ = response.ParseFromString(message);
    found_ = response.kvs_size() > 0;
  }

  void OnEnd(const absl::Status& status) override {
    if (!status.ok()) return done_(status);
    if (!has_answer_ || !readable_) return done_(absl::InternalError("no answer in the call"));
    done_(is_get_ && !found_ ? absl::NotFoundError("no such key") : absl::OkStatus());
  }

 private:
  const bool is_get_;
  Target::Done done_;
  bool has_answer_ = false;
  bool readable_ = true;
  bool found_ = false;
};

// etcd's own way: a unary call a request, over one HTTP/2 connection to each member, in turn.
class EtcdTarget : public Target {
 public:
  explicit EtcdTarget(const TargetOptions& options)
      : endpoints_(options.endpoints), eventual_(options.eventual), network_(NewGrpcNetwork({})) {}

  void Start(const Operation& operation, Done done) override {
    const std::string& endpoint = endpoints_[turn_++ % endpoints_.size()];
    switch (operation.kind) {
      case OperationKind::kPut: {
        etcdserverpb::PutRequest request;
        request.set_key(std::string(operation.key));
        request.set_value(std::string(operation.value));
        return Call(endpoint, "/etcdserverpb.KV/Put", request.SerializeAsString(), std::move(done));
      }
      case OperationKind::kGet: {
        etcdserverpb::RangeRequest request;
        request.set_key(std::string(operation.key));
        request.set_serializable(eventual_);
        return Call(endpoint, "/etcdserverpb.KV/Range", request.SerializeAsString(),
                    std::move(done), /*is_get=*/true);
      }
      case OperationKind::kDelete: {
        etcdserverpb::DeleteRangeRequest request;
        request.set_key(std::string(operation.key));
        return Call(endpoint, "/etcdserverpb.KV/DeleteRange", request.SerializeAsString(),
                    std::move(done));
      }
      case OperationKind::kUpdate:
        return Call(endpoint, "/etcdserverpb.KV/NoSuchMethod", "", std::move(done));
    }
  }

 private:
  void Call(const std::string& endpoint, absl::string_view method, std::string request, Done done,
            bool is_get = false) {
    CallOptions options;
    options.timeout = std::chrono::seconds(10);
    const auto call = network_->Start(endpoint, method, options,
                                      std::make_unique<UnaryHandler>(is_get, std::move(done)));
    call->Send(std::move(request));  // refused only by a call that has ended, which OnEnd tells
    call->Finish(absl::OkStatus());
  }

  const std::vector<std::string> endpoints_;
  const bool eventual_;
  std::atomic<size_t> turn_{0};
  const std::unique_ptr<Network> network_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Target>> NewEtcdTarget(const TargetOptions& options) {
  if (options.endpoints.empty()) return absl::InvalidArgumentError("name etcd's endpoints");
  return std::make_unique<EtcdTarget>(options);
}

}  // namespace ringleader::bench
