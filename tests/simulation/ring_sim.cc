// ring-sim: replays one seed, or many. The same seed gives the same trace hash in every process.
//
//   ring-sim --seed 17             one run, with what happened in it
//   ring-sim --seeds 1-200         many; a failure prints the command that replays it
//   ring-sim --hours 2             from --from on, until the time is over
//   ... --clock-spread 0.5         with clocks that are far out of their bound
//   ... --until-failure            no seed after the first that failed
//   ring-sim-mutants --mutant M    with a deliberate fault in the production code (mutants.md)
//
// Many seeds run in one process a core. Exit code 0 if every run kept every promise, 1 if not, 2
// for wrong words.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/logging.h"
#include "common/mutants.h"
#include "common/options.h"
#include "common/rare_branches.h"
#include "tests/simulation/cluster_run.h"
#include "tests/simulation/raft_run.h"
#include "tests/simulation/seed_workers.h"

namespace ringleader::simulation {
namespace {

struct Words {
  int64_t seed = -1;
  std::string seeds;
  double hours = 0;
  int64_t from = 1;
  std::string world = "cluster";
  int64_t jobs = 0;
  bool until_failure = false;
  double clock_spread = -1;
  bool each = false;
  bool verbose = false;
  std::string mutant;
  bool list_mutants = false;
};

void Define(OptionSet& options, Words& words) {
  options.Add({.name = "seed", .help = "Replays this one run"}, -1, INT64_MAX, &words.seed);
  options.Add({.name = "seeds", .help = "Runs A-B, both included"}, &words.seeds);
  options.Add({.name = "hours", .unit = "h", .help = "Runs seeds until this time is over"}, 0.0,
              10000.0, &words.hours);
  options.Add({.name = "from", .help = "The first seed of --hours"}, 0, INT64_MAX, &words.from);
  options.AddChoice({.name = "world", .help = "What runs: all of it, or replication alone"},
                    {"cluster", "raft"}, &words.world);
  options.Add({.name = "jobs", .help = "Processes for many seeds; 0: as many as there are cores"},
              0, 1024, &words.jobs);
  options.Add({.name = "until-failure", .help = "Runs no seed after the first that failed"},
              &words.until_failure);
  options.Add({.name = "clock-spread",
               .help = "Rates of clocks are 1 +- this (world cluster); -1: as the seed draws them"},
              -1.0, 0.9, &words.clock_spread);
#ifdef RINGLEADER_MUTANTS
  options.Add({.name = "mutant", .help = "Switches this fault of the production code on"},
              &words.mutant);
  options.Add({.name = "list-mutants", .help = "Names the faults that this program has"},
              &words.list_mutants);
#endif
  options.Add({.name = "each", .help = "Prints each run, not only those that failed"}, &words.each);
  options.Add({.name = "verbose", .help = "Shows the processes' own log lines"}, &words.verbose);
}

bool ParseSeeds(const std::string& text, uint64_t* first, uint64_t* last) {
  const std::vector<std::string> parts = absl::StrSplit(text, '-');
  return parts.size() == 2 && absl::SimpleAtoi(parts[0], first) &&
         absl::SimpleAtoi(parts[1], last) && *first <= *last;
}

// False: the program ends with `exit_code`.
bool ChooseMutant([[maybe_unused]] const Words& words, [[maybe_unused]] int* exit_code) {
#ifdef RINGLEADER_MUTANTS
  if (words.list_mutants) {
    for (const std::string& name : mutants::All()) std::printf("%s\n", name.c_str());
    *exit_code = 0;
    return false;
  }
  if (!words.mutant.empty() && !mutants::Choose(words.mutant)) {
    std::fprintf(stderr, "ring-sim-mutants: there is no mutant %s\n", words.mutant.c_str());
    *exit_code = 2;
    return false;
  }
#endif
  return true;
}

RunResult Run(const Words& words, uint64_t seed) {
  const std::map<std::string, uint64_t> before = rare_branches::Counts();
#ifdef RINGLEADER_MUTANTS
  const uint64_t reached_before = mutants::Reached();
#endif
  RunResult result = words.world == "raft" ? RunSeed(seed)
                                           : RunCluster(seed, {.clock_spread = words.clock_spread});
  for (const auto& [name, times] : rare_branches::Counts()) {
    result.counts[absl::StrCat("branch: ", name)] = times - before.at(name);
  }
#ifdef RINGLEADER_MUTANTS
  if (!words.mutant.empty()) {
    result.counts["mutant reached"] = mutants::Reached() - reached_before;
  }
#endif
  return result;
}

// What all runs were, together.
class Summary {
 public:
  explicit Summary(const Words& words) : words_(words) {}

  void Add(const RunResult& result) {
    ++runs_;
    virtual_seconds_ += result.virtual_seconds;
    operations_ += result.operations;
    for (const auto& [what, count] : result.counts) {
      counts_[what].times += count;
      counts_[what].seeds += count > 0 ? 1 : 0;
    }
    if (words_.seed >= 0 || words_.each || !result.violation.empty()) PrintRun(result);
    if (!result.violation.empty()) {
      ++failed_;
      std::printf("FAILED %s\nreplay: ring-sim --world %s --seed %llu\n", result.violation.c_str(),
                  words_.world.c_str(), Number(result.seed));
    }
    std::fflush(stdout);
  }

  int Print() const {
    std::printf("what was injected and what happened:\n");
    for (const auto& [what, count] : counts_) {
      std::printf("  %8llu in %5llu seeds: %s\n", Number(count.times), Number(count.seeds),
                  what.c_str());
    }
    const double seconds = static_cast<double>((SystemClock().Now().raw - started_).count()) / 1e9;
    std::printf(
        "%llu seeds, %.2f virtual hours in %.1f s, %llu operations, %.2f core-seconds a seed\n",
        Number(runs_), virtual_seconds_ / 3600, seconds, Number(operations_),
        runs_ == 0 ? 0 : CoreSeconds() / static_cast<double>(runs_));
    std::printf("%llu passed, %llu failed\n", Number(runs_ - failed_), Number(failed_));
    return failed_ == 0 ? 0 : 1;
  }

 private:
  static unsigned long long Number(uint64_t number) { return number; }

  static void PrintRun(const RunResult& result) {
    std::printf(
        "seed %llu: %.0f virtual s, %llu events, %llu operations, %llu unknown, "
        "%llu elections, trace %016llx\n",
        Number(result.seed), result.virtual_seconds, Number(result.events),
        Number(result.operations), Number(result.unknown), Number(result.elections),
        Number(result.trace_hash));
  }

  // Of this process and of those that ran seeds for it.
  static double CoreSeconds() {
    double seconds = 0;
    for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
      rusage usage{};
      CHECK_EQ(getrusage(who, &usage), 0);
      for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
        seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
      }
    }
    return seconds;
  }

  struct Times {
    uint64_t times = 0;
    uint64_t seeds = 0;  // in which it came up at all
  };

  const Words& words_;
  const Duration started_ = SystemClock().Now().raw;
  std::map<std::string, Times> counts_;
  uint64_t runs_ = 0;
  uint64_t failed_ = 0;
  uint64_t operations_ = 0;
  double virtual_seconds_ = 0;
};

int Main(int argc, char** argv) {
  Words words;
  OptionSet options("ring-sim", "Runs a Ringleader cluster in virtual time, under faults.");
  Define(options, words);
  ParseOrExit(options, argc, argv);
  SetLogLevel(words.verbose ? LogLevel::kDebug : LogLevel::kOff);
  int exit_code = 0;
  if (!ChooseMutant(words, &exit_code)) return exit_code;
  SeedRange range{.first = static_cast<uint64_t>(words.from), .last = UINT64_MAX / 2};
  range.seconds_max = words.hours * 3600;
  range.until_failure = words.until_failure;
  const bool many = words.seed < 0;
  if (many && words.hours <= 0 && !ParseSeeds(words.seeds, &range.first, &range.last)) {
    std::fprintf(stderr, "ring-sim: give --seed N, --seeds A-B or --hours H\n");
    return 2;
  }
  const auto run = [&words](uint64_t seed) { return Run(words, seed); };
  Summary summary(words);
  if (many) {
    const int64_t cores = std::max<int64_t>(1, sysconf(_SC_NPROCESSORS_ONLN));
    range.workers = static_cast<int>(words.jobs > 0 ? words.jobs : cores);
    RunSeeds(range, run, [&summary](const RunResult& result) { summary.Add(result); });
  } else {
    summary.Add(run(static_cast<uint64_t>(words.seed)));
  }
  return summary.Print();
}

}  // namespace
}  // namespace ringleader::simulation

int main(int argc, char** argv) { return ringleader::simulation::Main(argc, argv); }
