// A histogram of durations with a bounded relative error: buckets are linear within each power of
// two, 64 to one, so that a quantile is off by at most 1/64 (as HdrHistogram does it).
//
// Not thread-safe: one per recording thread, merged at the end.
#ifndef RINGLEADER_TESTS_BENCH_LATENCY_H_
#define RINGLEADER_TESTS_BENCH_LATENCY_H_

#include <array>
#include <cstdint>

#include "common/clock.h"

namespace ringleader::bench {

class LatencyHistogram {
 public:
  void Record(Duration latency);
  void Merge(const LatencyHistogram& other);

  uint64_t count() const { return count_; }
  Duration max() const { return Duration(max_ns_); }
  Duration Mean() const;
  // The upper end of the bucket that holds the value of this rank; quantile in [0, 1]. 0 if empty.
  Duration Quantile(double quantile) const;

 private:
  static constexpr int kSubBits = 6;
  static constexpr int kPowers = 40;  // up to 2^40 ns x 64 buckets: 18 minutes
  static size_t BucketOf(uint64_t ns);
  static uint64_t UpperEnd(size_t bucket);

  std::array<uint64_t, size_t{kPowers} << kSubBits> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_ns_ = 0;
  int64_t max_ns_ = 0;
};

}  // namespace ringleader::bench

#endif  // RINGLEADER_TESTS_BENCH_LATENCY_H_
