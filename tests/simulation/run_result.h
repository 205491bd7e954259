// What one seeded run did, whichever world it was.
#ifndef RINGLEADER_TESTS_SIMULATION_RUN_RESULT_H_
#define RINGLEADER_TESTS_SIMULATION_RUN_RESULT_H_

#include <cstdint>
#include <map>
#include <string>

#include "replication/runtime.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"

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

// Holds what the event loop and the network know of the run.
RunResult ResultOf(uint64_t seed, const Simulation& simulation, const NetworkCounts& network);

// Adds what a process has counted since it began: what is rare has to happen often enough
// somewhere.
void Tally(const replication::Runtime& runtime, std::map<std::string, uint64_t>& counts);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RUN_RESULT_H_
