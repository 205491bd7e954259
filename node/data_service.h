// ringleader.data.v1.Data as a node serves it: requests for the partitions that are here, unary or
// over a stream of frames (DESIGN section 12).
//
// A frame is parsed once on the network's thread, its requests are sorted by partition, and each
// partition gets its share as one task of its applier. Answers go out as they come: at once while
// nothing is being sent, otherwise gathered until the frame before is out. A stream has a bounded
// number of unanswered requests and bytes; what exceeds that is refused with RESOURCE_EXHAUSTED,
// and a peer that does not read its answers loses the stream.
//
// Thread-safe. Destroyed after the Listener that serves it and after the runtime, whose appliers
// run its tasks; the registry and the clock outlive it.
#ifndef RINGLEADER_NODE_DATA_SERVICE_H_
#define RINGLEADER_NODE_DATA_SERVICE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/network.h"
#include "common/request_metrics.h"
#include "node/partition.h"
#include "node/registry.h"
#include "replication/replica.h"

namespace ringleader {

struct DataServiceOptions {
  uint64_t stream_requests_max = 10000;
  uint64_t stream_bytes_max = 64 << 20;
  uint64_t answers_bytes_max = 64 << 20;  // gathered and not yet sent
  uint64_t frame_bytes_max = 1 << 20;     // one answer alone may exceed it
};

inline constexpr absl::string_view kDataServicePrefix = "/ringleader.data.v1.Data/";

class DataService : public Service {
 public:
  // The open replica of a group here, or null.
  using FindReplica =
      std::function<std::shared_ptr<replication::Replica>(replication::GroupId group)>;

  DataService(FindReplica find, const Registry& registry, Clock& clock,
              const DataServiceOptions& options)
      : find_(std::move(find)), registry_(registry), clock_(clock), options_(options) {}

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

  const RequestMetrics& metrics() const { return metrics_; }

  // Sorts requests to their partitions; each is answered through its `respond`.
  void Dispatch(std::vector<PendingRequest> requests);

 private:
  class Stream;
  class ExchangeHandler;
  class ExecuteHandler;

  void Measure(PendingRequest& pending);
  // The partition that a request is for; 0, with the answer in `error`, if it can't be told or is
  // not here.
  replication::GroupId Route(const data::v1::Request& request, data::v1::Response* error) const;

  const FindReplica find_;
  const Registry& registry_;
  Clock& clock_;
  const DataServiceOptions options_;
  RequestMetrics metrics_{DataOperations(), DataResults()};
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_DATA_SERVICE_H_
