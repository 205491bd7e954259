// One seeded run: a cluster drawn from the seed, load and faults for a while, then healing, in
// which the cluster must converge and serve; then the checks.
#ifndef RINGLEADER_TESTS_SIMULATION_RAFT_RUN_H_
#define RINGLEADER_TESTS_SIMULATION_RAFT_RUN_H_

#include <cstdint>

#include "tests/simulation/run_result.h"

namespace ringleader::simulation {

RunResult RunSeed(uint64_t seed);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RAFT_RUN_H_
