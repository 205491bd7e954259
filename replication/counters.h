// What the replicas of one process count together, for metrics (runtime_metrics.h). Thread-safe.
#ifndef RINGLEADER_REPLICATION_COUNTERS_H_
#define RINGLEADER_REPLICATION_COUNTERS_H_

#include <atomic>
#include <cstdint>

#include "common/counters.h"

namespace ringleader::replication {

struct ReplicationCounters {
  StripedCounter elections_started;  // in a term of their own: not preliminary ones
  StripedCounter elections_won;
  StripedCounter leaderships_lost;
  StripedCounter proposals;          // payloads that got a place in a leader's log
  StripedCounter proposals_refused;  // not the leader, term over, or too much in flight
  StripedCounter replicas_failed;    // stopped because of an error
  StripedCounter replicas_rebuilt;   // opened again without their state
  StripedCounter promises_withheld;  // heartbeats answered without one (promise_record.h)

  StripedCounter snapshots_sent;
  StripedCounter snapshots_not_sent;  // given up, or refused by the receiver
  StripedCounter snapshot_bytes_sent;
  StripedCounter snapshots_received;
  StripedCounter snapshots_not_received;
  StripedCounter snapshot_bytes_received;
  std::atomic<int64_t> snapshots_sending{0};
  std::atomic<int64_t> snapshots_receiving{0};
};

// What the log writer measures.
struct LogWriterMeters {
  StripedHistogram write_time{LatencyBounds()};                 // of a batch, its sync included
  StripedHistogram batch_entries{ExponentialBounds(1, 2, 14)};  // 1 to 8192
  StripedHistogram batch_bytes{ExponentialBounds(256, 4, 10)};  // 256 B to 64 MiB
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_COUNTERS_H_
