#include "client/ctl/context.h"

#include "absl/strings/str_cat.h"
#include "common/grpc_network.h"

namespace ringleader::ctl {

std::unique_ptr<client::Connection> Context::Connect() const {
  ClientOptions options{.coordinators = coordinators};
  options.timeout = std::chrono::milliseconds(timeout_ms);
  if (route == "direct") options.route = RoutePolicy::kDirect;
  if (route == "coordinators") options.route = RoutePolicy::kCoordinators;
  return std::make_unique<client::Connection>(client::RouterOptionsOf(options), NewGrpcNetwork({}),
                                              SystemThreads(), SystemClock(),
                                              Random(SystemEntropy()));
}

absl::StatusOr<std::unique_ptr<client::Connection>> Context::ConnectToData() const {
  auto connection = Connect();
  const absl::Status status = connection->AwaitMap(std::chrono::milliseconds(timeout_ms));
  if (!status.ok()) {
    return MakeError(
        KindOf(status),
        absl::StrCat("can't reach the cluster (is a coordinator running there? --coordinators or "
                     "RING_COORDINATORS names others): ",
                     status.message()));
  }
  return connection;
}

}  // namespace ringleader::ctl
