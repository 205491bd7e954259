// One seeded run of a whole cluster: its size and options drawn from the seed, a workload and
// faults for a while, then healing, after which everything has to be well: every key is served
// within kServeWithin, health has nothing to say within kHealthyWithin, what was acknowledged is
// there, and all replicas hold the same.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_RUN_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_RUN_H_

#include <cstdint>

#include "tests/simulation/run_result.h"

namespace ringleader::simulation {

struct ClusterRunOptions {
  // How far the rates of clocks are from 1, at most; negative: as the seed draws it, within the
  // bound. Everything else is drawn as without it. A broken gate of the client cache then fails the
  // run at its end, so that it shows what comes of it.
  double clock_spread = -1;
};

RunResult RunCluster(uint64_t seed, const ClusterRunOptions& run = {});

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_RUN_H_
