// The serving side of ringleader.data.v1.Data: calls in, requests with a place for their answers
// out (DESIGN section 12). Storage nodes and coordinators both serve it, and differ only in what
// they do with a request; it stands here because both import client/, whose channel is the other
// end of the stream, and common/ knows no wire contract.
//
// A frame is parsed once, on the network's thread. Answers that the tasks waiting on an executor
// give go out together behind them, and what comes while a frame is being sent in the next. A
// stream has a bounded number of unanswered requests and bytes, and all streams together have
// bounded bytes; what exceeds that is refused with RESOURCE_EXHAUSTED, and a peer that does not
// read its answers loses the stream.
//
// Thread-safe. Outlives the Listener that serves it, and the answers to what it handed out.
#ifndef RINGLEADER_CLIENT_DATA_SERVER_H_
#define RINGLEADER_CLIENT_DATA_SERVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/network.h"
#include "common/request_metrics.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader::client {

inline constexpr absl::string_view kDataServicePrefix = "/ringleader.data.v1.Data/";

struct DataServerOptions {
  uint64_t stream_requests_max = 10000;
  uint64_t stream_bytes_max = 64 << 20;
  uint64_t answers_bytes_max = 64 << 20;  // gathered and not yet sent
  uint64_t all_bytes_max = 512 << 20;     // unanswered, over all streams
  uint64_t frame_bytes_max = 1 << 20;     // of answers; one alone may exceed it
  uint64_t frame_requests_max = 4096;     // more in one frame end the call
  uint64_t request_bytes_max = 16 << 20;  // of a message that arrives; the same
};

// A request that arrived. `respond` is called once, by any thread, with the request's id in the
// response; an answer that nobody waits for any more is dropped. A request that is destroyed
// without an answer holds its place in its stream until that ends.
struct DataRequest {
  data::v1::Request request;
  Instant received;
  absl::AnyInvocable<void(data::v1::Response)> respond;
};

class DataServer : public Service {
 public:
  // Takes the requests of one frame, on a thread of the network: it must not block.
  using Handle = std::function<void(std::vector<DataRequest>)>;

  // The clock and what `handle` uses outlive it.
  DataServer(Clock& clock, const DataServerOptions& options, Handle handle)
      : clock_(clock), options_(options), handle_(std::move(handle)) {}

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

  // Of every request that was handed out, as it is answered.
  const RequestMetrics& metrics() const { return metrics_; }

 private:
  class Stream;
  class ExchangeHandler;
  class ExecuteHandler;

  void Record(size_t operation, const Instant& received, const data::v1::Response& response);

  Clock& clock_;
  const DataServerOptions options_;
  const Handle handle_;
  // Bytes of unanswered requests of all streams, which may outlive this.
  const std::shared_ptr<std::atomic<uint64_t>> all_bytes_ =
      std::make_shared<std::atomic<uint64_t>>(0);
  RequestMetrics metrics_{DataOperations(), DataResults()};
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_DATA_SERVER_H_
