// What a seed draws for a run of either world. Wide ranges, and evenly over orders of magnitude
// where a bound may be tiny or large: half of a range that is drawn evenly is its upper half, and
// what is rare with large bounds would stay rare.
#ifndef RINGLEADER_TESTS_SIMULATION_RUN_DRAWS_H_
#define RINGLEADER_TESTS_SIMULATION_RUN_DRAWS_H_

#include <cstdint>
#include <vector>

#include "common/clock.h"
#include "common/random.h"
#include "replication/runtime.h"

namespace ringleader::simulation {

// In [low, high], 1 <= low; its logarithm is uniform.
int64_t DrawScale(Random& random, int64_t low, int64_t high);
Duration DrawDuration(Random& random, Duration low, Duration high);

// How quickly faults follow one another and how long they last: pauses, partitions, full disks,
// downtime. Short ones in quick succession hit elections and changes of members midway; long ones
// let leases end, logs be cut and nodes be given up.
struct FaultPace {
  Duration every_max{0};
  Duration lasts_max{0};
};
FaultPace DrawPace(Random& random);

// A weight for each kind of fault. Each run has a mixture of its own: some kinds often, some never,
// so that rare combinations are common somewhere. The first kind is never missing.
std::vector<uint64_t> DrawWeights(Random& random, size_t kinds);
// By their weights.
size_t DrawKind(Random& random, const std::vector<uint64_t>& weights);

// Limits as small as the code allows, somewhere.
void DrawReplication(Random& random, replication::RuntimeOptions& runtime);

// How long the log's thread takes for a write with its sync, at most: what waits for the disk is
// what a power cut takes.
Duration DrawSyncTime(Random& random);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RUN_DRAWS_H_
