#include "tests/bench/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ringleader::bench {

size_t LatencyHistogram::BucketOf(uint64_t ns) {
  constexpr uint64_t kLinear = uint64_t{1} << kSubBits;
  if (ns < kLinear) return ns;
  const int power = std::bit_width(ns) - 1 - kSubBits;  // values are cut by so many bits
  const size_t bucket = (static_cast<size_t>(power + 1) << kSubBits) + ((ns >> power) - kLinear);
  return std::min(bucket, (size_t{kPowers} << kSubBits) - 1);
}

uint64_t LatencyHistogram::UpperEnd(size_t bucket) {
  constexpr uint64_t kLinear = uint64_t{1} << kSubBits;
  if (bucket < kLinear) return bucket;
  const int power = static_cast<int>(bucket >> kSubBits) - 1;
  return (((bucket & (kLinear - 1)) + kLinear + 1) << power) - 1;
}

void LatencyHistogram::Record(Duration latency) {
  const int64_t ns = std::max<int64_t>(latency.count(), 0);
  ++buckets_[BucketOf(static_cast<uint64_t>(ns))];
  ++count_;
  sum_ns_ += static_cast<uint64_t>(ns);
  max_ns_ = std::max(max_ns_, ns);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

Duration LatencyHistogram::Mean() const {
  return Duration(count_ == 0 ? 0 : static_cast<int64_t>(sum_ns_ / count_));
}

Duration LatencyHistogram::Quantile(double quantile) const {
  const auto rank = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= std::max<uint64_t>(rank, 1)) {
      return Duration(std::min<int64_t>(static_cast<int64_t>(UpperEnd(i)), max_ns_));
    }
  }
  return Duration(0);
}

}  // namespace ringleader::bench
