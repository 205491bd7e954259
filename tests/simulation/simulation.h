// Virtual time on one thread: the loop under every simulated process (in the manner of
// FoundationDB's simulator and TigerBeetle's VOPR). All executors of all processes are queues in
// this one loop; the seed decides the order in which tasks that are ready at the same time run and
// how long each takes, so the same seed gives the same run, and Trace() folds what happened into a
// hash that proves it.
//
// Not thread-safe: everything runs on the thread that calls RunFor.
#ifndef RINGLEADER_TESTS_SIMULATION_SIMULATION_H_
#define RINGLEADER_TESTS_SIMULATION_SIMULATION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/random.h"

namespace ringleader::simulation {

class Simulation {
 public:
  explicit Simulation(uint64_t seed);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  Duration now() const { return now_; }
  Random& random() { return random_; }

  // Runs `task` at `now() + delay`, after everything already due at that instant. Returns a name
  // for Cancel.
  uint64_t At(Duration delay, Task task);
  void Cancel(uint64_t event);

  // Runs events until `span` of virtual time has passed.
  void RunFor(Duration span);
  // Runs the next event. False: there is none.
  bool Step();

  // Folds a fact into the run's hash. Equal seeds must give equal hashes in every process.
  void Trace(uint64_t fact);
  void Trace(absl::string_view fact);
  uint64_t trace_hash() const { return trace_hash_; }
  uint64_t events() const { return events_; }

  // The process whose code runs now; null between processes.
  class SimulatedThreads* process() const {
    return process_;
  }

 private:
  friend class ProcessScope;
  Duration now_{0};
  Random random_;
  uint64_t last_event_ = 0;
  uint64_t events_ = 0;
  Duration second_began_{0};
  uint64_t second_events_ = 0;
  uint64_t trace_hash_ = 14695981039346656037u;
  // Its name: the number in the order in which events were asked for, then the slot of its task.
  struct Event {
    Duration due;
    uint64_t name;
  };
  struct IsLater {
    bool operator()(const Event& a, const Event& b) const {
      return a.due != b.due ? a.due > b.due : a.name > b.name;
    }
  };
  struct Slot {
    uint64_t event = 0;  // 0: free
    Task task;
  };
  static constexpr int kSlotBits = 24;

  // The next event; null: there is none. Drops those before it that were cancelled.
  const Event* Next();
  // The task of an event that is waited for; null: it ran or was cancelled.
  Slot* Find(uint64_t event);
  Task Take(Slot& slot);

  std::vector<Event> queue_;  // a heap, the next one at its front
  std::vector<Slot> slots_;
  std::vector<uint64_t> free_slots_;
  class SimulatedThreads* process_ = nullptr;
};

// What runs in this scope is code of `process`.
class ProcessScope {
 public:
  ProcessScope(Simulation& simulation, class SimulatedThreads* process)
      : simulation_(simulation), before_(std::exchange(simulation.process_, process)) {}
  ~ProcessScope() { simulation_.process_ = before_; }
  ProcessScope(const ProcessScope&) = delete;
  ProcessScope& operator=(const ProcessScope&) = delete;

 private:
  Simulation& simulation_;
  class SimulatedThreads* const before_;
};

// The clocks of one simulated machine: they run at `rate` times virtual time and can be made to
// jump.
class SimulatedClock : public Clock {
 public:
  SimulatedClock(Simulation& simulation, double rate) : simulation_(simulation), rate_(rate) {}

  Instant Now() const override;
  int64_t WallMicros() const override;

  std::string BootId() const override { return absl::StrCat("boot ", boots_); }
  // The machine starts anew. Its clocks go on, so that whoever compares what they said before with
  // what they say now is found by what comes of it.
  void Reboot() { ++boots_; }

  // Both clocks that measure durations gain `step`.
  void JumpBoth(Duration step) { offset_ += step; }
  // The boot-time clock gains `step` on the raw one, as when a machine slept.
  void JumpBoot(Duration step) { boot_offset_ += step; }
  // The time of day is set, in either direction.
  void JumpWall(Duration step) { wall_offset_ += step; }

 private:
  Simulation& simulation_;
  const double rate_;
  Duration offset_{0};
  Duration boot_offset_{0};
  Duration wall_offset_{0};
  uint64_t boots_ = 1;
};

// The threads of one simulated process. Pause stops all of them as SIGSTOP would; destroying the
// executors is the process's end. How long a task keeps its executor busy is drawn from the seed.
class SimulatedThreads : public Threads {
 public:
  // `name` is the machine's, in log lines.
  SimulatedThreads(Simulation& simulation, Duration task_time_max,
                   absl::string_view name = "process")
      : simulation_(simulation),
        name_(name),
        random_(simulation.random().Fork()),
        task_time_max_(task_time_max) {}

  std::unique_ptr<Executor> Start(absl::string_view name) override;

  // From now on tasks of the executors whose names begin with `name` wait for up to this, where
  // that is longer: a slow disk is a slow "log". One name at a time.
  void Slow(absl::string_view name, Duration task_time_max);

  void Pause() { paused_ = true; }
  void Resume();
  bool paused() const { return paused_; }
  const std::string& name() const { return name_; }

  // A task of this process waits: in a call of LevelDB for a compaction, or for replicas that are
  // opened. Runs the oldest task of one of the executors for that ("compact...", "flush",
  // "open...") to its end, in no time. False: there is none.
  bool RunWaitedFor();

 private:
  friend class SimulatedExecutor;
  Simulation& simulation_;
  const std::string name_;
  Random random_;
  const Duration task_time_max_;
  std::string slow_name_;
  Duration slow_time_max_{0};
  bool paused_ = false;
  std::map<uint64_t, class SimulatedExecutor*>
      executors_;  // by number: the order of Resume is fixed
  uint64_t last_executor_ = 0;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_SIMULATION_H_
