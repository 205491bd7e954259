// What a process tells Prometheus: sources write their values into a sink when a scrape asks, and
// the text format comes out. No value is kept here: accessors are read at the scrape, hot paths
// count in common/counters.h.
//
// Rules for what is written, checked by tests/cluster/metrics_test.py against a real Prometheus:
//   1. Names are ringleader_<part>_<what>_<unit>: base units (seconds, bytes), `_total` for what
//      only grows. process_* are Prometheus' own.
//   2. The number of series is bounded by the build and the number of nodes: no label holds a
//      partition, a key, a table or anything else that a client names.
//   3. A counter starts at 0 with its process and never goes back.
#ifndef RINGLEADER_COMMON_METRICS_H_
#define RINGLEADER_COMMON_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/counters.h"

namespace ringleader {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Nanoseconds as seconds.
inline constexpr double kNanoseconds = 1e-9;

// Takes the values of one scrape. Values of one name that come apart are put together; they have
// one help text, the first. Not thread-safe.
class MetricSink {
 public:
  MetricSink();
  ~MetricSink();

  void Gauge(absl::string_view name, absl::string_view help, double value,
             const MetricLabels& labels = {});
  void Counter(absl::string_view name, absl::string_view help, double value,
               const MetricLabels& labels = {});
  void Counter(absl::string_view name, absl::string_view help, const StripedCounter& counter,
               const MetricLabels& labels = {}) {
    Counter(name, help, static_cast<double>(counter.value()), labels);
  }
  // `unit`: by what bounds and sum are multiplied, as kNanoseconds.
  void Histogram(absl::string_view name, absl::string_view help, const StripedHistogram& histogram,
                 double unit = 1, const MetricLabels& labels = {});

  // Prometheus' text format, version 0.0.4, families in alphabetical order.
  std::string Text() const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

inline constexpr absl::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// process_* and ringleader_build_info.
void CollectProcess(MetricSink& sink);

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_METRICS_H_
