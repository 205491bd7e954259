// Requests of one service by operation and result, with their latency by operation. A service makes
// one with the names that it has, records each request as it is answered, and collects it.
//
// Thread-safe; recording costs a few atomic additions (common/counters.h).
#ifndef RINGLEADER_COMMON_REQUEST_METRICS_H_
#define RINGLEADER_COMMON_REQUEST_METRICS_H_

#include <climits>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/metrics.h"

namespace ringleader {

class RequestMetrics {
 public:
  // What Record takes are places in these. The last of each is for whatever is out of range.
  RequestMetrics(std::vector<std::string> operations, std::vector<std::string> results);

  void Record(size_t operation, size_t result, Duration latency);

  // ringleader_requests_total{operation, result}, without results that never came, and
  // ringleader_request_duration_seconds{operation}.
  void Collect(MetricSink& sink) const;

 private:
  const std::vector<std::string> operations_;
  const std::vector<std::string> results_;
  std::vector<StripedCounter> counts_;  // by operation, then result
  std::vector<std::unique_ptr<StripedHistogram>> latencies_;
};

// The names for requests of ringleader.data.v1: operations in the order of Request's oneof, results
// by their Error's number.
std::vector<std::string> DataOperations();
std::vector<std::string> DataResults();
// The place in DataOperations of Request::operation_case().
inline size_t DataOperation(int operation_case) {
  constexpr int kFirst = 10;
  return static_cast<size_t>(operation_case < kFirst ? INT_MAX : operation_case - kFirst);
}

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_REQUEST_METRICS_H_
