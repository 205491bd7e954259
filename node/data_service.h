// ringleader.data.v1.Data as a node serves it: requests for the partitions that are here
// (client/data_server.h has the streams). A frame's requests are sorted by partition, and each
// partition gets its share as one task of its applier.
//
// Thread-safe. Destroyed after the Listener that serves it and after the runtime, whose appliers
// run its tasks; the registry and the clock outlive it.
#ifndef RINGLEADER_NODE_DATA_SERVICE_H_
#define RINGLEADER_NODE_DATA_SERVICE_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "client/data_server.h"
#include "common/clock.h"
#include "common/network.h"
#include "common/request_metrics.h"
#include "node/partition.h"
#include "node/registry.h"
#include "replication/replica.h"

namespace ringleader {

using DataServiceOptions = client::DataServerOptions;
using client::kDataServicePrefix;

class DataService : public Service {
 public:
  // The open replica of a group here, or null.
  using FindReplica =
      std::function<std::shared_ptr<replication::Replica>(replication::GroupId group)>;

  DataService(FindReplica find, const Registry& registry, Clock& clock,
              const DataServiceOptions& options)
      : find_(std::move(find)),
        registry_(registry),
        server_(clock, options,
                [this](std::vector<PendingRequest> requests) { Dispatch(std::move(requests)); }) {}

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    return server_.Accept(incoming);
  }

  const RequestMetrics& metrics() const { return server_.metrics(); }

  // Sorts requests to their partitions; each is answered through its `respond`.
  void Dispatch(std::vector<PendingRequest> requests);

 private:
  // What a frame has for one partition.
  struct Share {
    replication::GroupId group = 0;
    std::shared_ptr<replication::Replica> replica;
    std::vector<PendingRequest> requests;
  };

  static void Refuse(std::vector<PendingRequest>& requests, const data::v1::Response& why);
  // The partition that a request is for; 0, with the answer in `error`, if it can't be told or is
  // not here.
  replication::GroupId Route(const data::v1::Request& request, data::v1::Response* error) const;

  const FindReplica find_;
  const Registry& registry_;
  client::DataServer server_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_DATA_SERVICE_H_
