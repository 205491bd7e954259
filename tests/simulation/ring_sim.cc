// ring-sim: replays one seed, or many. The same seed gives the same trace hash in every process.
//
//   ring-sim --seed 17             one run, with what happened in it
//   ring-sim --seeds 1-200         many; a failure prints the command that replays it
//
// Exit code 0 if every run kept every promise, 1 if not, 2 for wrong words.
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/logging.h"
#include "common/options.h"
#include "tests/simulation/cluster_run.h"
#include "tests/simulation/raft_run.h"

namespace ringleader::simulation {
namespace {

bool ParseSeeds(const std::string& text, uint64_t* first, uint64_t* last) {
  const std::vector<std::string> parts = absl::StrSplit(text, '-');
  return parts.size() == 2 && absl::SimpleAtoi(parts[0], first) &&
         absl::SimpleAtoi(parts[1], last) && *first <= *last;
}

void PrintRun(const RunResult& result) {
  std::printf(
      "seed %llu: %.0f virtual s, %llu events, %llu operations, %llu unknown, "
      "%llu elections, trace %016llx\n",
      static_cast<unsigned long long>(result.seed), result.virtual_seconds,
      static_cast<unsigned long long>(result.events),
      static_cast<unsigned long long>(result.operations),
      static_cast<unsigned long long>(result.unknown),
      static_cast<unsigned long long>(result.elections),
      static_cast<unsigned long long>(result.trace_hash));
}

void PrintCounts(const std::map<std::string, uint64_t>& counts) {
  for (const auto& [what, count] : counts) {
    std::printf("  %8llu %s\n", static_cast<unsigned long long>(count), what.c_str());
  }
}

int Main(int argc, char** argv) {
  int64_t seed = -1;
  std::string seeds;
  std::string world = "cluster";
  bool verbose = false;
  OptionSet options("ring-sim", "Runs Ringleader's replication in virtual time, under faults.");
  options.Add({.name = "seed", .help = "Replays this one run"}, -1, INT64_MAX, &seed);
  options.Add({.name = "seeds", .help = "Runs A-B, both included"}, &seeds);
  options.AddChoice({.name = "world", .help = "What runs: all of it, or replication alone"},
                    {"cluster", "raft"}, &world);
  options.Add({.name = "verbose", .help = "Shows the processes' own log lines"}, &verbose);
  ParseOrExit(options, argc, argv);
  SetLogLevel(verbose ? LogLevel::kDebug : LogLevel::kOff);
  uint64_t first = static_cast<uint64_t>(seed), last = first;
  if (seed < 0 && !ParseSeeds(seeds, &first, &last)) {
    std::fprintf(stderr, "ring-sim: give --seed N or --seeds A-B\n");
    return 2;
  }
  std::map<std::string, uint64_t> counts;
  uint64_t failed = 0;
  for (uint64_t each = first; each <= last; ++each) {
    const RunResult result = world == "raft" ? RunSeed(each) : RunCluster(each);
    for (const auto& [what, count] : result.counts) counts[what] += count;
    if (seed >= 0 || !result.violation.empty()) PrintRun(result);
    if (!result.violation.empty()) {
      ++failed;
      std::printf("FAILED %s\nreplay: ring-sim --seed %llu\n", result.violation.c_str(),
                  static_cast<unsigned long long>(each));
    }
    std::fflush(stdout);
  }
  std::printf("what was injected and what happened:\n");
  PrintCounts(counts);
  std::printf("%llu passed, %llu failed\n",
              static_cast<unsigned long long>(last - first + 1 - failed),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ringleader::simulation

int main(int argc, char** argv) { return ringleader::simulation::Main(argc, argv); }
