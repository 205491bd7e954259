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

void Tally(const replication::Runtime& runtime, std::map<std::string, uint64_t>& counts) {
  const auto& counters = runtime.counters();
  counts["replica stopped by an error"] += counters.replicas_failed.value();
  counts["replica rebuilt without its state"] += counters.replicas_rebuilt.value();
  counts["snapshot sent"] += counters.snapshots_sent.value();
  counts["snapshot given up"] += counters.snapshots_not_sent.value();
  counts["snapshot received"] += counters.snapshots_received.value();
  counts["election started"] += counters.elections_started.value();
  counts["leadership lost"] += counters.leaderships_lost.value();
  counts["proposal refused"] += counters.proposals_refused.value();
  const auto& report = runtime.log().report();
  counts["log opened: lost history"] += report.lost_history ? 1 : 0;
  counts["log opened: torn tail"] += report.torn_tail ? 1 : 0;
  counts["log opened: corrupt entry"] += report.corrupt_entries;
  counts["log opened: entry in doubt"] += report.entries_in_doubt;
  counts["log opened: bad metadata block"] += report.bad_blocks;
}

}  // namespace ringleader::simulation
