// One listener for several services: a call goes to the service whose prefix its method has.
//
// Thread-safe once the routes are added, before it serves. The services outlive it.
#ifndef RINGLEADER_NODE_SERVICE_ROUTER_H_
#define RINGLEADER_NODE_SERVICE_ROUTER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/network.h"

namespace ringleader {

class ServiceRouter : public Service {
 public:
  void Add(absl::string_view prefix, Service* service) {
    routes_.emplace_back(std::string(prefix), service);
  }

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    for (const auto& [prefix, service] : routes_) {
      if (absl::StartsWith(incoming.method, prefix)) return service->Accept(incoming);
    }
    return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
  }

 private:
  std::vector<std::pair<std::string, Service*>> routes_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_SERVICE_ROUTER_H_
