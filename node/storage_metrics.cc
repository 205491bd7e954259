#include "node/storage_metrics.h"

#include "absl/strings/str_cat.h"

namespace ringleader {

StorageSize& StorageSize::operator+=(const StorageSize& other) {
  for (size_t level = 0; level < kStorageLevels; ++level) {
    files[level] += other.files[level];
    bytes[level] += other.bytes[level];
  }
  memtable_bytes += other.memtable_bytes;
  return *this;
}

void StorageMetrics::Measured(const void* partition, const StorageSize& size) {
  MutexLock lock(mutex_);
  sizes_[partition] = size;
}

void StorageMetrics::Closed(const void* partition) {
  MutexLock lock(mutex_);
  sizes_.erase(partition);
}

void StorageMetrics::Collect(MetricSink& sink) const {
  StorageSize sum;
  {
    MutexLock lock(mutex_);
    for (const auto& [partition, size] : sizes_) sum += size;
  }
  for (size_t level = 0; level < kStorageLevels; ++level) {
    const MetricLabels labels = {{"level", absl::StrCat(level)}};
    sink.Gauge("ringleader_storage_table_files", "Table files of all partitions, by level.",
               static_cast<double>(sum.files[level]), labels);
    sink.Gauge("ringleader_storage_table_bytes", "Bytes of table files, by level.",
               static_cast<double>(sum.bytes[level]), labels);
  }
  sink.Gauge("ringleader_storage_memtable_bytes",
             "Memory of what is applied and not yet in a table.",
             static_cast<double>(sum.memtable_bytes));
  sink.Counter("ringleader_storage_table_written_bytes_total",
               "Bytes of tables written by flushes and compactions.", table_bytes_written);
  sink.Counter("ringleader_storage_compactions_scheduled_total",
               "Times that LevelDB asked for background work: flushes and compactions.",
               compactions_scheduled);
  sink.Counter("ringleader_storage_write_delays_total",
               "Writes that LevelDB wanted delayed, as level 0 has many files.", write_delays);
  sink.Counter("ringleader_storage_write_stalls_total",
               "Writes that waited for LevelDB to flush or compact.", write_stalls);
  sink.Counter("ringleader_storage_failures_total",
               "Databases that failed and refuse everything; their replicas are rebuilt.",
               failures);
}

}  // namespace ringleader
