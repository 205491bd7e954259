// Protects what a scrape reads: counters lose nothing under many threads, and the text is
// Prometheus'.
#include "common/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "common/request_metrics.h"

namespace ringleader {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(CountersTest, NothingIsLostBetweenThreads) {
  StripedCounter counter;
  StripedHistogram histogram({1, 10, 100});
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      for (uint64_t value = 0; value < 1000; ++value) {
        counter.Add(2);
        histogram.Observe(value);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 40000u);
  const HistogramReading reading = histogram.Read();
  EXPECT_EQ(reading.counts, (std::vector<uint64_t>{40, 180, 1800, 17980}));
  EXPECT_EQ(reading.count(), 20000u);
  EXPECT_EQ(reading.sum, 20u * 499500u);
}

TEST(CountersTest, ABoundBelongsToItsBucketAndTimeIsNeverNegative) {
  StripedHistogram histogram({5});
  histogram.Observe(uint64_t{5});
  histogram.Observe(uint64_t{6});
  histogram.Observe(Duration(-3));
  EXPECT_EQ(histogram.Read().counts, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(histogram.Read().sum, 11u);
}

TEST(MetricSinkTest, WritesPrometheusText) {
  StripedHistogram seconds({1'000'000, 1'000'000'000});
  seconds.Observe(Duration(500'000'000));
  seconds.Observe(Duration(2'000'000'000));
  MetricSink sink;
  sink.Gauge("ringleader_b", "B.", 2.5, {{"state", "up"}});
  sink.Counter("ringleader_a_total", "A.", 3);
  sink.Gauge("ringleader_b", "B.", 4, {{"state", "a\"b\\c\nd"}});
  sink.Histogram("ringleader_c_seconds", "C.", seconds, kNanoseconds);
  EXPECT_EQ(sink.Text(), R"(# HELP ringleader_a_total A.
# TYPE ringleader_a_total counter
ringleader_a_total 3
# HELP ringleader_b B.
# TYPE ringleader_b gauge
ringleader_b{state="up"} 2.5
ringleader_b{state="a\"b\\c\nd"} 4
# HELP ringleader_c_seconds C.
# TYPE ringleader_c_seconds histogram
ringleader_c_seconds_count 2
ringleader_c_seconds_sum 2.5
ringleader_c_seconds_bucket{le="0.001"} 0
ringleader_c_seconds_bucket{le="1"} 1
ringleader_c_seconds_bucket{le="+Inf"} 2
)");
}

TEST(MetricSinkTest, DescribesTheProcess) {
  MetricSink sink;
  CollectProcess(sink);
  const std::string text = sink.Text();
  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}) {
    EXPECT_THAT(text, ContainsRegex(std::string("\n") + name + " [0-9.e+]*[1-9]"));
  }
  EXPECT_THAT(text, ContainsRegex("\nprocess_start_time_seconds 1[.0-9e+]+"));
  EXPECT_THAT(text, HasSubstr("ringleader_build_info{"));
}

TEST(RequestMetricsTest, CountsByOperationAndResult) {
  RequestMetrics metrics({"get", "put", "other"}, {"ok", "throttled", "other"});
  metrics.Record(0, 0, std::chrono::milliseconds(2));
  metrics.Record(1, 1, std::chrono::milliseconds(2));
  metrics.Record(99, 99, std::chrono::milliseconds(2));
  MetricSink sink;
  metrics.Collect(sink);
  const std::string text = sink.Text();
  EXPECT_THAT(text, HasSubstr("ringleader_requests_total{operation=\"get\",result=\"ok\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{operation=\"put\",result=\"throttled\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{operation=\"other\",result=\"other\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{operation=\"put\",result=\"ok\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("{operation=\"get\",result=\"throttled\"}")));
  EXPECT_THAT(text, HasSubstr("duration_seconds_bucket{operation=\"get\",le=\"0.0025\"} 1\n"));
}

}  // namespace
}  // namespace ringleader
