#include "common/request_metrics.h"

#include <algorithm>
#include <utility>

namespace ringleader {

RequestMetrics::RequestMetrics(std::vector<std::string> operations,
                               std::vector<std::string> results)
    : operations_(std::move(operations)),
      results_(std::move(results)),
      counts_(operations_.size() * results_.size()) {
  CHECK(!counts_.empty());
  for (size_t i = 0; i < operations_.size(); ++i) {
    latencies_.push_back(std::make_unique<StripedHistogram>(LatencyBounds()));
  }
}

std::vector<std::string> DataOperations() {
  return {"get", "put", "delete", "update", "query", "scan", "other"};
}

std::vector<std::string> DataResults() {
  return {"ok",
          "validation",
          "condition_failed",
          "table_not_found",
          "resource_exhausted",
          "wrong_route",
          "wrong_schema",
          "unavailable",
          "unknown_outcome",
          "session_expired",
          "deadline",
          "internal",
          "table_exists",
          "table_in_use",
          "unauthenticated",
          "permission_denied",
          "other"};
}

void RequestMetrics::Record(size_t operation, size_t result, Duration latency) {
  operation = std::min(operation, operations_.size() - 1);
  result = std::min(result, results_.size() - 1);
  counts_[operation * results_.size() + result].Add();
  latencies_[operation]->Observe(latency);
}

void RequestMetrics::Collect(MetricSink& sink) const {
  for (size_t operation = 0; operation < operations_.size(); ++operation) {
    for (size_t result = 0; result < results_.size(); ++result) {
      const uint64_t count = counts_[operation * results_.size() + result].value();
      // The first result is success: it is there from the start, so that a rate has a beginning.
      if (count == 0 && result != 0) continue;
      sink.Counter("ringleader_requests_total", "Requests answered, by operation and result.",
                   static_cast<double>(count),
                   {{"operation", operations_[operation]}, {"result", results_[result]}});
    }
    sink.Histogram("ringleader_request_duration_seconds",
                   "From the arrival of a request to its answer, whatever the result.",
                   *latencies_[operation], kNanoseconds, {{"operation", operations_[operation]}});
  }
}

}  // namespace ringleader
