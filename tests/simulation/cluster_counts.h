// What the processes of a run have counted: everything that is rare has to happen often enough
// somewhere, and what production counts anyway need not be counted again.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_COUNTS_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_COUNTS_H_

#include <cstdint>
#include <map>
#include <string>

#include "tests/simulation/cluster_world.h"

namespace ringleader::simulation {

// Adds what a process has counted since it began, if one runs: its own metrics that only grow by
// their names, and what no metric shows.
void TallyProcess(ClusterMachine& machine, std::map<std::string, uint64_t>& counts);

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_COUNTS_H_
