#include "tests/bench/load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/mutex.h"

namespace ringleader::bench {
namespace {

Duration Now() { return SystemClock().Now().raw; }

double OwnCpuSeconds() {
  rusage usage{};
  CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// User and system time of a process, from fields 14 and 15 of /proc/PID/stat (proc(5)); 0 if it is
// gone.
double CpuSecondsOf(int pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double CpuSecondsOf(const std::vector<int>& pids) {
  double sum = 0;
  for (const int pid : pids) sum += CpuSecondsOf(pid);
  return sum;
}

// One client's share of the load. Completions come one at a time from the client's thread, starts
// from there or from the pacer.
class Lane {
 public:
  Lane(Target& target, const LoadOptions& options, uint64_t seed, uint64_t outstanding)
      : target_(target), workload_(options.workload, seed), outstanding_max_(outstanding) {}

  void Measure(bool on) { measuring_.store(on); }
  void Stop() { stopping_.store(true); }
  uint64_t under_way() const { return under_way_.load(); }

  void StartAll() {
    for (uint64_t i = 0; i < outstanding_max_; ++i) StartOne(Now(), /*again=*/true);
  }
  // Open loop: one request that was due at `due`.
  void StartDue(Duration due) {
    if (under_way_.load() >= outstanding_max_) {
      if (measuring_.load()) ++missed_;
      return;
    }
    StartOne(due, /*again=*/false);
  }

  void AddTo(LoadReport& report) {
    MutexLock lock(mutex_);
    for (size_t i = 0; i < kOperationKinds; ++i) {
      report.kinds[i].latency.Merge(kinds_[i].latency);
      report.kinds[i].not_found += kinds_[i].not_found;
    }
    for (const auto& [text, count] : errors_) report.errors[text] += count;
    report.failed += failed_;
    report.missed += missed_;
  }

  // When the last answer came that was no error.
  std::atomic<int64_t>* last_success = nullptr;
  std::atomic<int64_t>* longest_gap_ns = nullptr;

 private:
  void StartOne(Duration due, bool again) {
    ++under_way_;
    MutexLock lock(mutex_);
    const Operation operation = workload_.Next();
    target_.Start(operation, [this, due, again, kind = operation.kind](const absl::Status& status) {
      Completed(kind, due, status);
      --under_way_;
      if (again && !stopping_.load()) StartOne(Now(), true);
    });
  }

  void Completed(OperationKind kind, Duration due, const absl::Status& status) {
    const Duration now = Now();
    const bool succeeded = status.ok() || absl::IsNotFound(status);
    if (succeeded) NoteSuccess(now);
    if (!measuring_.load()) return;
    MutexLock lock(mutex_);
    if (!succeeded) {
      ++failed_;
      const std::string text(status.ToString());
      if (errors_.size() < kErrorsMax || errors_.count(text) > 0) ++errors_[text];
      return;
    }
    PerKind& counts = kinds_[static_cast<size_t>(kind)];
    counts.latency.Record(now - due);
    if (!status.ok()) ++counts.not_found;
  }

  void NoteSuccess(Duration now) {
    const int64_t before = last_success->exchange(now.count());
    const int64_t gap = now.count() - before;
    if (!measuring_.load() || gap <= longest_gap_ns->load()) return;
    longest_gap_ns->store(gap);
  }

  using PerKind = LoadReport::PerKind;

  Target& target_;
  Mutex mutex_;
  Workload workload_ ABSL_GUARDED_BY(mutex_);
  const uint64_t outstanding_max_;
  std::atomic<bool> measuring_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> under_way_{0};
  std::array<PerKind, kOperationKinds> kinds_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> errors_ ABSL_GUARDED_BY(mutex_);
  uint64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> missed_{0};
};

using Lanes = std::vector<std::unique_ptr<Lane>>;

// Starts requests when they are due until `end`; late ones at once, all of them.
void Pace(const Lanes& lanes, double rate, Duration begin, Duration end) {
  const double period_ns = 1e9 / rate;
  for (uint64_t number = 0;; ++number) {
    const Duration due =
        begin + Duration(static_cast<int64_t>(static_cast<double>(number) * period_ns));
    if (due >= end) return;
    const Duration now = Now();
    if (due > now) std::this_thread::sleep_for(due - now);
    lanes[number % lanes.size()]->StartDue(due);
  }
}

void SleepUntil(Duration when) {
  const Duration now = Now();
  if (when > now) std::this_thread::sleep_for(when - now);
}

}  // namespace

absl::Status LoadKeys(const std::vector<std::unique_ptr<Target>>& clients,
                      const LoadOptions& options) {
  Mutex mutex;
  Condition changed;
  uint64_t under_way = 0;
  absl::Status first_error;
  Workload workload(options.workload, options.seed);
  for (uint64_t key = 0; key < options.workload.keys; ++key) {
    {
      MutexLock lock(mutex);
      while (under_way >= options.outstanding) changed.Wait(lock);
      if (!first_error.ok()) break;
      ++under_way;
    }
    clients[key % clients.size()]->Start(workload.Load(key), [&](const absl::Status& status) {
      MutexLock lock(mutex);
      if (!status.ok() && first_error.ok()) first_error = status;
      --under_way;
      changed.NotifyAll();
    });
  }
  MutexLock lock(mutex);
  while (under_way > 0) changed.Wait(lock);
  return first_error;
}

LoadReport RunLoad(const std::vector<std::unique_ptr<Target>>& clients,
                   const LoadOptions& options) {
  std::atomic<int64_t> last_success{Now().count()};
  std::atomic<int64_t> longest_gap_ns{0};
  Lanes lanes;
  for (size_t i = 0; i < clients.size(); ++i) {
    const uint64_t share = (options.outstanding + clients.size() - 1 - i) / clients.size();
    lanes.push_back(std::make_unique<Lane>(*clients[i], options, options.seed * 1000 + i, share));
    lanes.back()->last_success = &last_success;
    lanes.back()->longest_gap_ns = &longest_gap_ns;
  }
  const Duration begin = Now();
  const Duration measured = begin + options.warm_up;
  const Duration end = measured + options.duration;
  std::thread pacer;
  if (options.rate > 0) {
    pacer = std::thread([&] { Pace(lanes, options.rate, begin, end); });
  } else {
    for (const auto& lane : lanes) lane->StartAll();
  }
  SleepUntil(measured);
  LoadReport report;
  const Duration from = Now();
  report.own_cpu_seconds = -OwnCpuSeconds();
  report.server_cpu_seconds = -CpuSecondsOf(options.server_pids);
  for (const auto& lane : lanes) lane->Measure(true);
  SleepUntil(end);
  for (const auto& lane : lanes) lane->Measure(false);
  report.seconds = std::chrono::duration<double>(Now() - from).count();
  report.own_cpu_seconds += OwnCpuSeconds();
  report.server_cpu_seconds += CpuSecondsOf(options.server_pids);
  // A stall that has not ended counts as well.
  const int64_t open_gap = Now().count() - last_success.load();
  report.longest_gap = Duration(std::max(longest_gap_ns.load(), open_gap));
  for (const auto& lane : lanes) lane->Stop();
  if (pacer.joinable()) pacer.join();
  for (const auto& lane : lanes) {
    while (lane->under_way() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lane->AddTo(report);
  }
  return report;
}

}  // namespace ringleader::bench
