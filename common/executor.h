// Where code runs. An Executor runs tasks one at a time, in the order they were posted; a process
// is a few of them that talk by posting, so most state has one owner and needs no lock. In
// production an executor is a thread of its own; under the simulator all executors of all processes
// share one thread and virtual time, and the seed decides how their tasks interleave.
//
// Rules for every task:
//   1. It never waits for another task, a peer or a timer: it posts and returns.
//   2. It may block in a call to FileSystem or LevelDB only on an executor that exists for that
//      (log writer, apply, compaction), never on one that carries votes and heartbeats.
//   3. It owns what it captures, or knows that it outlives the executor.
#ifndef RINGLEADER_COMMON_EXECUTOR_H_
#define RINGLEADER_COMMON_EXECUTOR_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"

namespace ringleader {

using Task = absl::AnyInvocable<void()>;

// Names a timer of one executor; never reused. 0 names none.
using TimerId = uint64_t;

class Executor {
 public:
  // Stops first.
  virtual ~Executor() = default;

  // The running task ends, the queued ones and the timers are destroyed unrun, and so is everything
  // that is posted from now on. Whoever owns several executors whose tasks post to each other stops
  // all of them before it destroys any. Not to be called from one of its own tasks; twice is once.
  virtual void Stop() = 0;

  // Runs `task` after every task posted before it. Thread-safe; never runs it inline.
  virtual void Post(Task task) = 0;

  // Posts `task` once `delay` has passed (at once if it is not positive). Thread-safe.
  virtual TimerId PostAfter(Duration delay, Task task) = 0;

  // Called from a task of this executor: the timer's task will not run any more, or has run. From
  // elsewhere it may still be running. A timer that has fired or 0 is ignored. Thread-safe.
  virtual void Cancel(TimerId timer) = 0;

  // True in a task of this executor: for CHECKs of who calls.
  virtual bool IsCurrent() const = 0;

  // The executor whose task runs on this thread; null if there is none, or none that says so. What
  // is posted to it runs behind everything that waits now: for doing once what many tasks ask for.
  static Executor* Current();

 protected:
  static void SetCurrent(Executor* executor);
};

// Makes executors: threads in production, turns of the one loop in simulation.
class Threads {
 public:
  virtual ~Threads() = default;
  // `name` shows in debuggers and `top`: at most 15 bytes, as the kernel keeps no more.
  virtual std::unique_ptr<Executor> Start(absl::string_view name) = 0;
};

// A thread for each executor. Lives as long as the process.
Threads& SystemThreads();

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_EXECUTOR_H_
