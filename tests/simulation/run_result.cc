#include "tests/simulation/run_result.h"

namespace ringleader::simulation {

RunResult ResultOf(uint64_t seed, const Simulation& simulation, const NetworkCounts& network) {
  RunResult result{.seed = seed};
  result.trace_hash = simulation.trace_hash();
  result.events = simulation.events();
  result.virtual_seconds = static_cast<double>(simulation.now().count()) / 1e9;
  result.counts["message"] = network.messages;
  result.counts["message lost"] = network.lost;
  result.counts["message duplicated"] = network.duplicated;
  result.counts["message reordered"] = network.reordered;
  result.counts["message blocked"] = network.blocked;
  result.counts["call broken"] = network.broken;
  return result;
}

}  // namespace ringleader::simulation
