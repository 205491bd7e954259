// One seeded run: a cluster drawn from the seed, load and faults for a while, then healing, in
// which the cluster must converge and serve; then the checks.
#ifndef RINGLEADER_TESTS_SIMULATION_RAFT_RUN_H_
#define RINGLEADER_TESTS_SIMULATION_RAFT_RUN_H_

#include <cstdint>
#include <map>
#include <string>

namespace ringleader::simulation {

struct RunResult {
  uint64_t seed = 0;
  std::string violation;  // empty: every promise was kept
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  double virtual_seconds = 0;
  uint64_t operations = 0;
  uint64_t unknown = 0;
  uint64_t elections = 0;
  std::map<std::string, uint64_t> counts;  // of faults and of what they led to
};

RunResult RunSeed(uint64_t seed);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RAFT_RUN_H_
