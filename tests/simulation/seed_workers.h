// Runs many seeds in processes of their own, so that all cores work, and so that a run that ends
// the program (a CHECK of the code under test, a signal) is a failure of its seed and of no other.
//
// Each worker takes every `workers`-th seed and tells what it begins and what came of it through a
// pipe; when it dies, another goes on behind the seed that it had begun.
#ifndef RINGLEADER_TESTS_SIMULATION_SEED_WORKERS_H_
#define RINGLEADER_TESTS_SIMULATION_SEED_WORKERS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "tests/simulation/run_result.h"

namespace ringleader::simulation {

struct SeedRange {
  uint64_t first = 0;
  uint64_t last = 0;  // included
  int workers = 1;
  double seconds_max = 0;      // no seed begins after this; 0: all are run
  bool until_failure = false;  // none begins after one that failed, and what runs then is ended
};

// `done` is told every result, in the order of their ends.
void RunSeeds(const SeedRange& range, const std::function<RunResult(uint64_t)>& run,
              const std::function<void(const RunResult&)>& done);

// For pipes between builds that are the same.
std::string EncodeResult(const RunResult& result);
bool DecodeResult(const std::string& text, RunResult* result);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_SEED_WORKERS_H_
