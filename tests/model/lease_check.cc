// lease-check: searches every state of the lease protocol within several bounds, and shows that
// each safety step is needed: without it a shortest way to a stale read is found. The bounds and
// what they cover are in node/cache.md.
//
//   lease-check              what tests/run does; the closing line is `N passed, N failed`
//   lease-check --deep       larger bounds too: long, and some GB of memory; no suite runs it
//   lease-check --traces     also prints how each mutant fails
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/model/lease_model.h"
#include "tests/model/search.h"

namespace ringleader::lease_model {
namespace {

constexpr uint64_t kStatesMax = 4'000'000;
constexpr uint64_t kStatesMaxDeep = 60'000'000;

// Everything once: each fault with everything else, as far as it ends in time.
std::vector<Bounds> GroupBounds() {
  return {
      {.name = "all faults", .clients = 1, .keys = 1, .terms = 2, .writes = 1, .requests = 2},
      {.name = "sharers", .terms = 1, .writes = 2, .requests = 2},
      {.name = "sharers, failover",
       .terms = 2,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0,
       .lease_term = 1},
      {.name = "double failover",
       .clients = 1,
       .keys = 1,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0},
      {.name = "lease terms that differ",
       .clients = 1,
       .keys = 1,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0,
       .lease_term = 1,
       .first_lease_term = 2},
      {.name = "eras closed where nothing is held",
       .clients = 1,
       .terms = 2,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0,
       .shrinks = 1,
       .releases = 1,
       .lease_term = 1},
      {.name = "eras closed where nothing is held, transfer",
       .clients = 1,
       .keys = 1,
       .terms = 2,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .shrinks = 2,
       .lease_term = 1},
  };
}

// What sessions and clients do by themselves.
std::vector<Bounds> SessionBounds() {
  return {
      {.name = "overflow",
       .clients = 1,
       .terms = 1,
       .writes = 2,
       .requests = 3,
       .crashes = 0,
       .transfers = 0,
       .lane = 1},
      {.name = "releases",
       .clients = 1,
       .keys = 1,
       .terms = 1,
       .writes = 2,
       .requests = 3,
       .crashes = 0,
       .transfers = 0,
       .releases = 2,
       .reads = 1},
      {.name = "releases, failover",
       .clients = 1,
       .keys = 1,
       .terms = 2,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0,
       .releases = 1},
      {.name = "reads of two steps, late messages",
       .clients = 1,
       .keys = 1,
       .terms = 2,
       .writes = 1,
       .requests = 2,
       .crashes = 0,
       .transfers = 0,
       .reads = 1,
       .late = true,
       .slow_acknowledgement = true,
       .lease_term = 1},
      {.name = "slow rounds",
       .clients = 1,
       .keys = 1,
       .terms = 2,
       .writes = 1,
       .requests = 1,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0,
       .rounds = true},
  };
}

std::vector<Bounds> DeepBounds() {
  return {
      {.name = "two eras, double failover",
       .clients = 1,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0,
       .lease_term = 1},
      {.name = "sharers, double failover",
       .keys = 1,
       .writes = 1,
       .requests = 2,
       .sessions = 0,
       .crashes = 0,
       .transfers = 0,
       .lease_term = 1},
      {.name = "sharers, all faults", .terms = 2, .writes = 1, .requests = 2, .lease_term = 1},
      {.name = "slow rounds, renewals",
       .clients = 1,
       .keys = 1,
       .terms = 2,
       .writes = 1,
       .requests = 2,
       .sessions = 1,
       .crashes = 0,
       .transfers = 0,
       .rounds = true},
      {.name = "double failover, all faults",
       .clients = 1,
       .keys = 1,
       .writes = 1,
       .requests = 2,
       .lease_term = 1},
  };
}

constexpr Bounds kLeast{.clients = 1,
                        .keys = 1,
                        .terms = 1,
                        .writes = 1,
                        .requests = 1,
                        .sessions = 0,
                        .crashes = 0,
                        .transfers = 0};

// As little as shows it.
Bounds MutantBounds(Mutation mutation) {
  Bounds bounds = kLeast;
  switch (mutation) {
    case Mutation::kDeadlineFromConfirmation:
      bounds.rounds = true;
      bounds.terms = bounds.requests = 2;
      break;
    case Mutation::kDeadlineFromGrant:
      bounds.terms = bounds.requests = 2;
      break;
    case Mutation::kNoWaitAtFailover:
    case Mutation::kNoEra:
      bounds.terms = 2;
      break;
    case Mutation::kWaitsOwnTerm:
      bounds.terms = 2;
      bounds.lease_term = 1;
      bounds.first_lease_term = 2;
      break;
    case Mutation::kLastEraOnly:
    case Mutation::kOutlivesTerm:
      bounds.terms = 3;
      bounds.keys = bounds.requests = 2;
      bounds.lease_term = 1;
      break;
    case Mutation::kErasClosedEarly:
      bounds.terms = 3;
      break;
    case Mutation::kOutlivesIncarnation:
      bounds.keys = bounds.requests = 2;
      [[fallthrough]];
    case Mutation::kForgottenSession:
      bounds.sessions = 1;
      break;
    case Mutation::kDroppedOnOverflow:
      bounds.lane = 1;
      bounds.requests = 2;
      break;
    case Mutation::kCheckedBeforeRead:
    case Mutation::kDeadlineReloaded:
      bounds.late = true;
      bounds.reads = bounds.sessions = 1;
      bounds.requests = 2;
      break;
    case Mutation::kRenewalOvertakes:
      bounds.keys = 2;
      bounds.requests = 3;
      break;
    case Mutation::kReleaseOfAnyFill:
      bounds.requests = 2;
      [[fallthrough]];
    case Mutation::kReleasedAndServed:
      bounds.releases = 1;
      break;
    case Mutation::kGrantsWhileShrinking:
      bounds.requests = 2;
      [[fallthrough]];
    case Mutation::kShrinksHeld:
      bounds.shrinks = 1;
      bounds.terms = 2;
      break;
    case Mutation::kTransferWithoutRevoking:
      bounds.transfers = 1;
      bounds.terms = 2;
      break;
    default:
      break;
  }
  return bounds;
}

std::string Describe(const Bounds& bounds) {
  const auto part = [](int count, const char* what) {
    return count == 0 ? std::string() : ", " + std::to_string(count) + " " + what;
  };
  return std::string(bounds.name) + ": " + std::to_string(bounds.clients) + " clients, " +
         std::to_string(bounds.keys) + " keys, " + std::to_string(bounds.terms) + " terms of " +
         std::to_string(bounds.lease_term) +
         (bounds.first_lease_term == 0 ? "" : " or " + std::to_string(bounds.first_lease_term)) +
         " ticks" + part(bounds.writes, "writes") + part(bounds.requests, "requests") +
         part(bounds.sessions, "new sessions") + part(bounds.crashes, "restarts") +
         part(bounds.transfers, "transfers") + part(bounds.shrinks, "shrinks") +
         part(bounds.releases, "releases");
}

struct Task {
  Mutation mutation = Mutation::kNone;
  Bounds bounds;
  SearchResult result{};
  double seconds = 0;
};

// Each processor takes the next task; they share nothing else.
void RunAll(std::vector<Task>& tasks, uint64_t states_max) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < tasks.size(); i = next++) {
      const auto start = std::chrono::steady_clock::now();
      tasks[i].result = Search(LeaseModel(tasks[i].bounds, tasks[i].mutation), states_max);
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      tasks[i].seconds = taken.count();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

class Report {
 public:
  explicit Report(bool traces) : traces_(traces) {}

  void Add(const Task& task) {
    const SearchResult& result = task.result;
    const bool correct = task.mutation == Mutation::kNone;
    const char* verdict = "holds";
    if (result.broken != nullptr) {
      verdict = correct ? result.broken : "found";
    } else if (!result.complete) {
      verdict = "NOT FINISHED: too many states";
    } else if (!correct) {
      verdict = "NOT FOUND";
    }
    Count(correct ? result.complete : result.broken != nullptr);
    std::printf(
        "%s%s\n    %llu states, %d steps deep, %.1f s: %s\n",
        correct ? "" : "without: ", correct ? Describe(task.bounds).c_str() : NameOf(task.mutation),
        static_cast<unsigned long long>(result.states), result.depth, task.seconds, verdict);
    if (correct) {
      for (size_t i = 0; i < taken_.size(); ++i) taken_[i] += result.taken[i];
    }
    if (!correct && !traces_) return;
    for (const Step& step : result.steps) std::printf("    %s\n", step.ToString().c_str());
  }

  // A search in which something never happens proves nothing about it.
  void CheckEverythingHappened() {
    for (size_t i = 0; i < taken_.size(); ++i) {
      const auto kind = static_cast<StepKind>(i);
      if (kind == StepKind::kRegister) continue;  // of a mutant
      if (taken_[i] == 0) std::printf("no correct search ever took the step %s\n", NameOf(kind));
      Count(taken_[i] != 0);
    }
  }

  int Finish() const {
    std::printf("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  void Count(bool passed) { ++(passed ? passed_ : failed_); }

  const bool traces_;
  int passed_ = 0;
  int failed_ = 0;
  std::array<uint64_t, static_cast<size_t>(StepKind::kCount)> taken_{};
};

int Main(int argc, char** argv) {
  bool traces = false, deep = false;
  for (int i = 1; i < argc; ++i) {
    traces |= std::strcmp(argv[i], "--traces") == 0;
    deep |= std::strcmp(argv[i], "--deep") == 0;
  }
  if (argc > 1 && !traces && !deep) {
    std::fprintf(stderr, "usage: lease-check [--deep] [--traces]\n");
    return 2;
  }
  std::vector<Task> tasks;
  for (const Bounds& bounds : GroupBounds()) tasks.push_back({Mutation::kNone, bounds});
  for (const Bounds& bounds : SessionBounds()) tasks.push_back({Mutation::kNone, bounds});
  for (int i = 1; i < static_cast<int>(Mutation::kCount); ++i) {
    const auto mutation = static_cast<Mutation>(i);
    tasks.push_back({mutation, MutantBounds(mutation)});
  }
  if (deep) {
    for (const Bounds& bounds : DeepBounds()) tasks.push_back({Mutation::kNone, bounds});
  }
  RunAll(tasks, deep ? kStatesMaxDeep : kStatesMax);
  Report report(traces);
  for (const Task& task : tasks) report.Add(task);
  report.CheckEverythingHappened();
  return report.Finish();
}

}  // namespace
}  // namespace ringleader::lease_model

int main(int argc, char** argv) { return ringleader::lease_model::Main(argc, argv); }
