// What the databases of a node's partitions count and measure, for metrics.
//
// Counters are added to as things happen. Sizes are measured by each partition on its own applier
// every kMeasurePeriod, and summed when a scrape asks: a scrape waits for no database.
//
// Thread-safe.
#ifndef RINGLEADER_NODE_STORAGE_METRICS_H_
#define RINGLEADER_NODE_STORAGE_METRICS_H_

#include <array>
#include <cstdint>
#include <map>

#include "common/clock.h"
#include "common/counters.h"
#include "common/metrics.h"
#include "common/mutex.h"

namespace ringleader {

inline constexpr size_t kStorageLevels = 7;

struct StorageSize {
  std::array<uint64_t, kStorageLevels> files{};
  std::array<uint64_t, kStorageLevels> bytes{};
  uint64_t memtable_bytes = 0;

  StorageSize& operator+=(const StorageSize& other);
};

class StorageMetrics {
 public:
  static constexpr Duration kMeasurePeriod = std::chrono::seconds(10);

  StripedCounter table_bytes_written;  // by flushes and compactions
  StripedCounter compactions_scheduled;
  StripedCounter write_delays;  // LevelDB asked for a pause, as level 0 is long
  StripedCounter write_stalls;  // LevelDB made a writer wait for a compaction
  StripedCounter failures;      // databases that refuse everything from then on

  // `partition` only tells owners apart.
  void Measured(const void* partition, const StorageSize& size);
  void Closed(const void* partition);

  void Collect(MetricSink& sink) const;

 private:
  mutable Mutex mutex_;
  std::map<const void*, StorageSize> sizes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_STORAGE_METRICS_H_
