// Counters and histograms for hot paths: many threads add, one reads now and then.
//
// Adding is one or three relaxed atomic additions to memory that the calling thread shares with few
// others, on cache lines of its own: no lock, no allocation, some nanoseconds. Reading adds the
// stripes up; it is not one moment in time: what is added meanwhile may be in or not, and a
// histogram's sum may be an observation ahead of its counts. Nothing is lost, nothing goes back.
//
// They know neither names nor Prometheus: their owner holds them as members, and common/metrics.h
// writes out what they say. Thread-safe.
#ifndef RINGLEADER_COMMON_COUNTERS_H_
#define RINGLEADER_COMMON_COUNTERS_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/check.h"
#include "common/clock.h"

namespace ringleader {

inline constexpr size_t kStripes = 8;
inline constexpr size_t kCacheLineBytes = 64;

// The calling thread's stripe: threads are dealt out in turn as they first ask.
inline size_t ThreadStripe() {
  static std::atomic<size_t> threads{0};
  thread_local const size_t stripe = threads.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return stripe;
}

// Only grows.
class StripedCounter {
 public:
  StripedCounter() = default;
  StripedCounter(const StripedCounter&) = delete;
  StripedCounter& operator=(const StripedCounter&) = delete;

  void Add(uint64_t count = 1) {
    stripes_[ThreadStripe()].value.fetch_add(count, std::memory_order_relaxed);
  }
  uint64_t value() const {
    uint64_t sum = 0;
    for (const Stripe& stripe : stripes_) sum += stripe.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(kCacheLineBytes) Stripe {
    std::atomic<uint64_t> value{0};
  };
  std::array<Stripe, kStripes> stripes_;
};

// What a histogram has seen. `counts` has one more place than `bounds`: what is above the last.
struct HistogramReading {
  std::vector<uint64_t> bounds;
  std::vector<uint64_t> counts;
  uint64_t sum = 0;

  uint64_t count() const {
    uint64_t all = 0;
    for (const uint64_t one : counts) all += one;
    return all;
  }
};

// Whole numbers (nanoseconds, bytes, entries) by size.
class StripedHistogram {
 public:
  // A bucket for each bound holds what is at most that; `bounds` ascend and are not empty.
  explicit StripedHistogram(std::vector<uint64_t> bounds)
      : bounds_(std::move(bounds)), lines_(LinesFor(bounds_.size())), cells_(lines_ * kStripes) {
    CHECK(!bounds_.empty());
    CHECK(std::is_sorted(bounds_.begin(), bounds_.end()));
  }
  StripedHistogram(const StripedHistogram&) = delete;
  StripedHistogram& operator=(const StripedHistogram&) = delete;

  void Observe(uint64_t value) {
    const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    const size_t stripe = ThreadStripe();
    CellOf(stripe, 0).fetch_add(value, std::memory_order_relaxed);
    CellOf(stripe, 1 + static_cast<size_t>(bucket)).fetch_add(1, std::memory_order_relaxed);
  }
  // A clock may have been read on two threads: less than nothing counts as nothing.
  void Observe(Duration elapsed) {
    Observe(static_cast<uint64_t>(std::max<int64_t>(0, elapsed.count())));
  }

  HistogramReading Read() const {
    HistogramReading reading{bounds_, std::vector<uint64_t>(bounds_.size() + 1), 0};
    for (size_t stripe = 0; stripe < kStripes; ++stripe) {
      for (size_t i = 0; i < reading.counts.size(); ++i) {
        reading.counts[i] += CellOf(stripe, 1 + i).load(std::memory_order_relaxed);
      }
      reading.sum += CellOf(stripe, 0).load(std::memory_order_relaxed);
    }
    return reading;
  }

 private:
  static constexpr size_t kLineCells = kCacheLineBytes / sizeof(uint64_t);
  struct alignas(kCacheLineBytes) Line {
    std::array<std::atomic<uint64_t>, kLineCells> cells{};
  };

  // Of a stripe: the sum, the buckets, the one above them; filled up to whole cache lines.
  static size_t LinesFor(size_t bounds) { return (bounds + 2 + kLineCells - 1) / kLineCells; }
  std::atomic<uint64_t>& CellOf(size_t stripe, size_t place) {
    return cells_[stripe * lines_ + place / kLineCells].cells[place % kLineCells];
  }
  const std::atomic<uint64_t>& CellOf(size_t stripe, size_t place) const {
    return cells_[stripe * lines_ + place / kLineCells].cells[place % kLineCells];
  }

  const std::vector<uint64_t> bounds_;
  const size_t lines_;
  std::vector<Line> cells_;
};

// 25 microseconds to 10 seconds, in nanoseconds: from a read in memory to a failover.
inline std::vector<uint64_t> LatencyBounds() {
  std::vector<uint64_t> bounds = {25'000, 50'000};
  for (uint64_t decade = 100'000; decade <= 1'000'000'000; decade *= 10) {
    for (const uint64_t step : {10, 25, 50}) bounds.push_back(decade * step / 10);
  }
  bounds.push_back(10'000'000'000);
  return bounds;
}

// first, first * factor, ..., `count` of them.
inline std::vector<uint64_t> ExponentialBounds(uint64_t first, uint64_t factor, size_t count) {
  std::vector<uint64_t> bounds;
  for (uint64_t bound = first; bounds.size() < count; bound *= factor) bounds.push_back(bound);
  return bounds;
}

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_COUNTERS_H_
