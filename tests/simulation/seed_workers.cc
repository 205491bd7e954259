#include "tests/simulation/seed_workers.h"

#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/check.h"
#include "common/clock.h"

namespace ringleader::simulation {
namespace {

constexpr int kProcessorSecondsMax = 120;

constexpr char kField = '\x1f', kRecord = '\x1e';  // in no text of ours

struct Worker {
  pid_t process = 0;
  int pipe = -1;
  uint64_t next = 0;   // the seed that the next process of this place begins with
  uint64_t begun = 0;  // meaningful if `is_running`
  bool is_running = false;
  std::string received;
};

void WriteAll(int file, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t wrote = write(file, text.data() + at, text.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) _exit(3);  // nobody listens any more
    at += static_cast<size_t>(wrote);
  }
}

// Ends this process if it takes that much of a core's time before the next call. Hundreds of times
// what a run takes: replicas that answer each other for ever would keep all the others from
// running.
void LimitProcessorTime() {
  const itimerval limit{.it_interval = {}, .it_value = {.tv_sec = kProcessorSecondsMax}};
  CHECK_EQ(setitimer(ITIMER_PROF, &limit, nullptr), 0);
}

std::string HowItEnded(int status) {
  if (!WIFSIGNALED(status)) return absl::StrCat("the run ended with ", WEXITSTATUS(status));
  if (WTERMSIG(status) == SIGPROF) {
    return absl::StrCat("the run took more than ", kProcessorSecondsMax, " s of a core");
  }
  return absl::StrCat("the run ended by signal ", WTERMSIG(status), "; what it said is above");
}

class Pool {
 public:
  Pool(const SeedRange& range, const std::function<RunResult(uint64_t)>& run,
       const std::function<void(const RunResult&)>& done)
      : range_(range), run_(run), done_(done), workers_(static_cast<size_t>(range.workers)) {
    for (size_t i = 0; i < workers_.size(); ++i) workers_[i].next = range.first + i;
  }

  void Run() {
    for (Worker& worker : workers_) Begin(worker);
    while (true) {
      std::vector<pollfd> waits;
      for (const Worker& worker : workers_) {
        if (worker.process != 0) waits.push_back({.fd = worker.pipe, .events = POLLIN});
      }
      if (waits.empty()) return;
      if (poll(waits.data(), waits.size(), -1) < 0) continue;
      for (const pollfd& wait : waits) {
        for (Worker& worker : workers_) {
          if (wait.revents != 0 && worker.process != 0 && worker.pipe == wait.fd) Read(worker);
        }
      }
    }
  }

 private:
  bool TimeIsOver() const {
    const double elapsed = static_cast<double>((SystemClock().Now().raw - started_).count()) / 1e9;
    return range_.seconds_max > 0 && elapsed > range_.seconds_max;
  }

  void Begin(Worker& worker) {
    worker.is_running = false;
    if (worker.next > range_.last || TimeIsOver() || is_stopped_) return;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    std::fflush(stdout);
    worker.process = fork();
    CHECK_GE(worker.process, 0);
    if (worker.process == 0) {
      close(ends[0]);
      for (uint64_t seed = worker.next; seed <= range_.last && !TimeIsOver();
           seed += workers_.size()) {
        WriteAll(ends[1], absl::StrCat(seed, std::string(1, kRecord)));
        LimitProcessorTime();
        WriteAll(ends[1], EncodeResult(run_(seed)) + kRecord);
      }
      _exit(0);
    }
    close(ends[1]);
    worker.pipe = ends[0];
  }

  // What came after the failure that ended the run is not told.
  void Report(const RunResult& result) {
    if (is_stopped_) return;
    done_(result);
    if (result.violation.empty() || !range_.until_failure) return;
    is_stopped_ = true;
    for (const Worker& worker : workers_) {
      if (worker.process != 0) kill(worker.process, SIGKILL);
    }
  }

  void Read(Worker& worker) {
    char buffer[1 << 16];
    const ssize_t got = read(worker.pipe, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) return Ended(worker);
    worker.received.append(buffer, static_cast<size_t>(got));
    for (size_t end; (end = worker.received.find(kRecord)) != std::string::npos;) {
      const std::string record = worker.received.substr(0, end);
      worker.received.erase(0, end + 1);
      RunResult result;
      if (!worker.is_running) {
        CHECK(absl::SimpleAtoi(record, &worker.begun));
        worker.is_running = true;
        worker.next = worker.begun + workers_.size();
      } else {
        CHECK(DecodeResult(record, &result));
        worker.is_running = false;
        Report(result);
      }
    }
  }

  void Ended(Worker& worker) {
    int status = 0;
    CHECK_EQ(waitpid(worker.process, &status, 0), worker.process);
    close(worker.pipe);
    worker.process = 0;
    worker.received.clear();
    if (!worker.is_running && status == 0) return;  // it has run all of its seeds
    if (!worker.is_running) {  // between two: the next one is not run, and must not count as well
      worker.begun = worker.next;
      worker.next += workers_.size();
    }
    Report({.seed = worker.begun, .violation = HowItEnded(status)});
    Begin(worker);
  }

  const SeedRange range_;
  const std::function<RunResult(uint64_t)>& run_;
  const std::function<void(const RunResult&)>& done_;
  const Duration started_ = SystemClock().Now().raw;
  std::vector<Worker> workers_;
  bool is_stopped_ = false;
};

}  // namespace

void RunSeeds(const SeedRange& range, const std::function<RunResult(uint64_t)>& run,
              const std::function<void(const RunResult&)>& done) {
  CHECK_GE(range.workers, 1);
  Pool(range, run, done).Run();
}

std::string EncodeResult(const RunResult& result) {
  std::string text;
  const auto add = [&text](const auto& field) {
    absl::StrAppend(&text, field, std::string(1, kField));
  };
  add(result.seed);
  add(result.violation);
  add(result.trace_hash);
  add(result.events);
  add(result.virtual_seconds);
  add(result.operations);
  add(result.unknown);
  add(result.elections);
  for (const auto& [what, count] : result.counts) {
    add(what);
    add(count);
  }
  return text;
}

bool DecodeResult(const std::string& text, RunResult* result) {
  constexpr size_t kFixed = 8;
  std::vector<std::string> fields = absl::StrSplit(text, kField);
  fields.pop_back();  // each field is followed by a separator
  if (fields.size() < kFixed || fields.size() % 2 != 0) return false;
  result->violation = fields[1];
  if (!absl::SimpleAtoi(fields[0], &result->seed) ||
      !absl::SimpleAtoi(fields[2], &result->trace_hash) ||
      !absl::SimpleAtoi(fields[3], &result->events) ||
      !absl::SimpleAtod(fields[4], &result->virtual_seconds) ||
      !absl::SimpleAtoi(fields[5], &result->operations) ||
      !absl::SimpleAtoi(fields[6], &result->unknown) ||
      !absl::SimpleAtoi(fields[7], &result->elections)) {
    return false;
  }
  for (size_t i = kFixed; i < fields.size(); i += 2) {
    if (!absl::SimpleAtoi(fields[i + 1], &result->counts[fields[i]])) return false;
  }
  return true;
}

}  // namespace ringleader::simulation
