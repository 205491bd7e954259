// storage-faults: many runs of storage_run.h, each from a seed. By hand:
//
//   build/bin/storage-faults --random 5000 --aimed 2000
//   build/bin/storage-faults --first 17 --random 1      # one of them again
//
// Exit code 1 if a run failed; each failure is printed with the command that repeats it. Last line:
// `N passed, N failed`.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/logging.h"
#include "common/options.h"
#include "tests/storage/storage_run.h"

namespace ringleader::storage {
namespace {

struct Settings {
  int64_t first = 1;
  int64_t random = 30;
  int64_t aimed = 30;
  bool verbose = false;
};

// For the handler below: a CHECK that fails says which run it was.
char current[128];

extern "C" void SayWhichRun(int) {
  std::fputs(current, stderr);
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

class Tally {
 public:
  void Run(uint64_t seed, Aim aim, bool is_aimed, bool verbose) {
    std::snprintf(current, sizeof(current), "again: storage-faults --first %llu --%s 1 --%s 0\n",
                  static_cast<unsigned long long>(seed), is_aimed ? "aimed" : "random",
                  is_aimed ? "random" : "aimed");
    const RunResult result = RunOnce(seed, aim);
    if (verbose) absl::PrintF("%d: %s\n", seed, result.damage);
    if (!result.failure.empty()) {
      ++failed_;
      absl::PrintF("FAILED: %s\n  after %s\n  %s", result.failure, result.damage, current);
      std::fflush(stdout);
    } else if (result.damage.empty()) {
      ++nothing_;
    } else {
      ++by_aim_[AimName(aim)];
      healed_.push_back(result.healed);
      noticed_ += result.noticed ? 1 : 0;
    }
    operations_ += result.operations;
  }

  int Report() {
    for (const auto& [aim, count] : by_aim_) absl::PrintF("%s: %d\n", aim, count);
    std::sort(healed_.begin(), healed_.end());
    if (!healed_.empty()) {
      const auto in_seconds = [](Duration span) {
        return std::chrono::duration<double>(span).count();
      };
      absl::PrintF("healed after %.1f s in the median, %.1f s at the longest; %d rebuilt\n",
                   in_seconds(healed_[healed_.size() / 2]), in_seconds(healed_.back()), noticed_);
    }
    absl::PrintF("%d requests; %d runs had nothing of the kind to damage\n", operations_, nothing_);
    absl::PrintF("%d passed, %d failed\n", healed_.size(), failed_);
    return failed_ == 0 && !healed_.empty() ? 0 : 1;
  }

 private:
  std::map<std::string, uint64_t> by_aim_;
  std::vector<Duration> healed_;
  uint64_t noticed_ = 0;
  uint64_t nothing_ = 0;
  uint64_t failed_ = 0;
  uint64_t operations_ = 0;
};

int Main(int argc, char** argv) {
  Settings settings;
  OptionSet options("storage-faults", "One bad block on one of three disks, many times.");
  options.Add({.name = "first", .help = "The first seed."}, 1, 1 << 30, &settings.first);
  options.Add({.name = "random", .help = "Runs with any block bad."}, 0, 1 << 30, &settings.random);
  options.Add({.name = "aimed", .help = "Runs with a block bad that something hangs on."}, 0,
              1 << 30, &settings.aimed);
  options.Add({.name = "verbose", .help = "Say what is damaged, and what the nodes log."},
              &settings.verbose);
  ParseOrExit(options, argc, argv);
  if (!settings.verbose) SetLogLevel(LogLevel::kOff);
  std::signal(SIGABRT, SayWhichRun);
  Tally tally;
  const auto first = static_cast<uint64_t>(settings.first);
  for (uint64_t i = 0; i < static_cast<uint64_t>(settings.random); ++i) {
    tally.Run(first + i, Aim::kAny, false, settings.verbose);
  }
  constexpr uint64_t kAims = static_cast<uint64_t>(Aim::kCount) - 1;
  for (uint64_t i = 0; i < static_cast<uint64_t>(settings.aimed); ++i) {
    const uint64_t seed = first + i;
    tally.Run(seed, static_cast<Aim>(1 + seed % kAims), true, settings.verbose);
  }
  return tally.Report();
}

}  // namespace
}  // namespace ringleader::storage

int main(int argc, char** argv) { return ringleader::storage::Main(argc, argv); }
