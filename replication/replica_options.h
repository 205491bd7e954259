// What a node decides once for all its replicas.
#ifndef RINGLEADER_REPLICATION_REPLICA_OPTIONS_H_
#define RINGLEADER_REPLICATION_REPLICA_OPTIONS_H_

#include <cstdint>

#include "common/clock.h"
#include "replication/core_options.h"

namespace ringleader::replication {

struct ReplicaOptions {
  CoreOptions core;
  // One tick of the core. With the core's default of 10 election ticks a leader that vanishes is
  // replaced after 1 to 2 s.
  Duration tick_period = std::chrono::milliseconds(100);
  // By how much the rates of two nodes' clocks may differ, as a fraction. Computers' quartz stays
  // below 0.0002; the rest is margin. If it is exceeded, a lease read may be stale.
  double clock_drift_max = 0.01;
  // A leader whose disk has owed an answer for this long hands leadership over; after twice as long
  // it stops its heartbeats, so that the others elect without it.
  Duration disk_stall_max = std::chrono::seconds(2);
  // Log kept behind the applied index for followers that are behind; who needs more gets a
  // snapshot.
  uint64_t retain_bytes = 16 << 20;
  // A follower applies when it has so many entries, or 64 KiB of them, at the latest with the next
  // tick: reads that need not be linearizable see writes by up to a tick later. 1: at once.
  size_t follower_gather = 1;
  // Compaction is looked at this often, in ticks.
  uint32_t compaction_ticks = 10;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_REPLICA_OPTIONS_H_
