// Raft, log and transport as metrics: what a storage node and a coordinator have in common.
#ifndef RINGLEADER_REPLICATION_RUNTIME_METRICS_H_
#define RINGLEADER_REPLICATION_RUNTIME_METRICS_H_

#include "common/metrics.h"
#include "replication/runtime.h"

namespace ringleader::replication {

// ringleader_raft_*, ringleader_log_*, ringleader_transport_*. Reads what any thread may read;
// costs a copy of each replica's view. On any thread.
void CollectRuntime(const Runtime& runtime, const Instant& now, MetricSink& sink);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_RUNTIME_METRICS_H_
