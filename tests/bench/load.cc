#include "tests/bench/load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/mutex.h"

namespace ringleader::bench {
namespace {

// The share of reads from memory has settled when it is not larger by so much than in the window
// before.
constexpr Duration kSettleWindow = std::chrono::seconds(20);
constexpr double kSettledBelow = 0.003;

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
  // One request after the other on the caller's thread, until it is to stop.
  void RunUntilStopped() {
    while (!stopping_.load()) {
      const Operation operation = NextOperation();
      const Duration due = Now();
      Completed(operation.kind, due, target_.Run(operation));
    }
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
  // Its bytes are the workload's, valid until the next: of use to one thread only.
  Operation NextOperation() {
    MutexLock lock(mutex_);
    return workload_.Next();
  }

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

// What all clients' memories have answered so far.
Target::CacheCounts CacheCountsOf(const std::vector<std::unique_ptr<Target>>& clients) {
  Target::CacheCounts sum;
  for (const auto& client : clients) {
    const Target::CacheCounts one = client->cache_counts();
    sum.hits += one.hits;
    sum.misses += one.misses;
    sum.joined += one.joined;
    sum.expired += one.expired;
    sum.inserted += one.inserted;
    sum.refused += one.refused;
    sum.invalidated += one.invalidated;
    sum.evicted += one.evicted;
    sum.entries += one.entries;
    sum.bytes += one.bytes;
  }
  return sum;
}

Target::CacheCounts Since(const Target::CacheCounts& before, Target::CacheCounts now) {
  now.hits -= before.hits;
  now.misses -= before.misses;
  now.joined -= before.joined;
  now.expired -= before.expired;
  now.inserted -= before.inserted;
  now.refused -= before.refused;
  now.invalidated -= before.invalidated;
  now.evicted -= before.evicted;
  return now;
}

// Of the reads from now on until then.
double ShareFromMemory(const std::vector<std::unique_ptr<Target>>& clients, Duration until) {
  const Target::CacheCounts before = CacheCountsOf(clients);
  SleepUntil(until);
  const Target::CacheCounts counts = Since(before, CacheCountsOf(clients));
  const double reads = static_cast<double>(counts.hits + counts.misses);
  return static_cast<double>(counts.hits) / std::max(reads, 1.0);
}

// A memory that has just become full still holds much that was read once.
void SettleMemories(const std::vector<std::unique_ptr<Target>>& clients, uint64_t bytes,
                    Duration last) {
  double share = 0;
  while (Now() < last) {
    const double now = ShareFromMemory(clients, std::min(last, Now() + kSettleWindow));
    const bool has_settled = now < share + kSettledBelow;
    share = now;
    if (has_settled && CacheCountsOf(clients).bytes >= bytes) return;
  }
}

// Returns when measuring begins.
Duration WarmUp(const std::vector<std::unique_ptr<Target>>& clients, const LoadOptions& options,
                Duration begin) {
  const Duration last = begin + options.warm_up;
  if (options.warm_up_bytes > 0) {
    SettleMemories(clients, options.warm_up_bytes, last);
    return Now();
  }
  SleepUntil(last);
  return last;
}

}  // namespace

absl::Status LoadKeys(const std::vector<std::unique_ptr<Target>>& clients,
                      const LoadOptions& options) {
  Mutex mutex;
  Condition changed;
  uint64_t under_way = 0;
  absl::Status first_error;
  std::deque<uint64_t> again;  // failed; a put may be made twice
  uint64_t failures = 0;
  Workload workload(options.workload, options.seed);
  for (uint64_t next = 0;;) {
    uint64_t key = next;
    {
      MutexLock lock(mutex);
      while (under_way >= options.outstanding ||
             (next == options.workload.keys && again.empty() && under_way > 0)) {
        changed.Wait(lock);
      }
      if (failures > kLoadFailuresMax) break;
      if (!again.empty()) {
        key = again.front();
        again.pop_front();
      } else if (next++ == options.workload.keys) {
        return absl::OkStatus();
      }
      ++under_way;
    }
    clients[key % clients.size()]->Start(workload.Load(key), [&, key](const absl::Status& status) {
      MutexLock lock(mutex);
      if (!status.ok()) {
        if (first_error.ok()) first_error = status;
        ++failures;
        again.push_back(key);
      }
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
  const size_t lanes_count = options.waits ? options.outstanding : clients.size();
  for (size_t i = 0; i < lanes_count; ++i) {
    const uint64_t share = (options.outstanding + lanes_count - 1 - i) / lanes_count;
    lanes.push_back(std::make_unique<Lane>(*clients[i % clients.size()], options,
                                           options.seed * 1000 + i, share));
    lanes.back()->last_success = &last_success;
    lanes.back()->longest_gap_ns = &longest_gap_ns;
  }
  const Duration begin = Now();
  std::thread pacer;
  std::vector<std::thread> waiting;
  if (options.waits) {
    for (const auto& lane : lanes) waiting.emplace_back([&lane] { lane->RunUntilStopped(); });
  } else if (options.rate > 0) {
    pacer = std::thread([&, end = begin + options.warm_up + options.duration] {
      Pace(lanes, options.rate, begin, end);
    });
  } else {
    for (const auto& lane : lanes) lane->StartAll();
  }
  const Duration measured = WarmUp(clients, options, begin);
  LoadReport report;
  report.warm_up_seconds = std::chrono::duration<double>(measured - begin).count();
  const Duration from = Now();
  report.own_cpu_seconds = -OwnCpuSeconds();
  report.server_cpu_seconds = -CpuSecondsOf(options.server_pids);
  const Target::CacheCounts cached = CacheCountsOf(clients);
  for (const auto& lane : lanes) lane->Measure(true);
  SleepUntil(measured + options.duration);
  report.cache = Since(cached, CacheCountsOf(clients));
  for (const auto& lane : lanes) lane->Measure(false);
  report.seconds = std::chrono::duration<double>(Now() - from).count();
  report.own_cpu_seconds += OwnCpuSeconds();
  report.server_cpu_seconds += CpuSecondsOf(options.server_pids);
  // A stall that has not ended counts as well.
  const int64_t open_gap = Now().count() - last_success.load();
  report.longest_gap = Duration(std::max(longest_gap_ns.load(), open_gap));
  for (const auto& lane : lanes) lane->Stop();
  if (pacer.joinable()) pacer.join();
  for (std::thread& thread : waiting) thread.join();
  for (const auto& lane : lanes) {
    while (lane->under_way() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lane->AddTo(report);
  }
  return report;
}

}  // namespace ringleader::bench
