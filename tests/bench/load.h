// Drives clients with a workload and measures what they answer.
//
// Closed loop: `outstanding` requests are always under way; each answer starts the next. Open loop:
// requests start at a fixed rate whether answers come or not, and a latency counts from when the
// request was due, so that a stall shows in every request that it held up (no coordinated
// omission).
#ifndef RINGLEADER_TESTS_BENCH_LOAD_H_
#define RINGLEADER_TESTS_BENCH_LOAD_H_

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "tests/bench/latency.h"
#include "tests/bench/target.h"
#include "tests/bench/workload.h"

namespace ringleader::bench {

struct LoadOptions {
  WorkloadOptions workload;
  uint64_t outstanding = 256;  // over all clients; in the open loop, where it starts to drop
  double rate = 0;             // requests a second over all clients; 0: closed loop
  bool waits = false;          // closed loop: a thread for each outstanding request waits for it
  Duration warm_up = std::chrono::seconds(2);
  // Closed loop: the warm-up ends sooner if the clients' memories hold so many bytes and the share
  // of reads that they answer has stopped growing. 0: it does not.
  uint64_t warm_up_bytes = 0;
  Duration duration = std::chrono::seconds(10);
  std::vector<int> server_pids;  // whose CPU time is measured beside our own
  uint64_t seed = 1;
};

struct LoadReport {
  struct PerKind {
    LatencyHistogram latency;
    uint64_t not_found = 0;
  };
  std::array<PerKind, kOperationKinds> kinds;
  std::map<std::string, uint64_t> errors;  // by message, at most kErrorsMax different ones
  uint64_t failed = 0;
  uint64_t missed = 0;  // open loop: due while `outstanding` were under way, and not started
  double warm_up_seconds = 0;
  double seconds = 0;
  Target::CacheCounts cache;  // while measuring
  double own_cpu_seconds = 0;
  double server_cpu_seconds = 0;
  // The longest time without a single answer that is no error.
  Duration longest_gap{0};
};

inline constexpr size_t kErrorsMax = 20;
inline constexpr uint64_t kLoadFailuresMax = 10'000;

// Puts every key; what fails again, as a full or busy store refuses. Too many failures end it, with
// the first error.
absl::Status LoadKeys(const std::vector<std::unique_ptr<Target>>& clients,
                      const LoadOptions& options);

LoadReport RunLoad(const std::vector<std::unique_ptr<Target>>& clients, const LoadOptions& options);

}  // namespace ringleader::bench

#endif  // RINGLEADER_TESTS_BENCH_LOAD_H_
