#include "common/executor.h"

#include <pthread.h>

#include <atomic>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/check.h"
#include "common/mutex.h"

namespace ringleader {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Invariant: a timer is in `timers_` and `due_` or in neither.
class ThreadExecutor : public Executor {
 public:
  explicit ThreadExecutor(absl::string_view name) : thread_([this] { Run(); }) {
    CHECK_LE(name.size(), 15u) << name;
    pthread_setname_np(thread_.native_handle(), std::string(name).c_str());
  }

  ~ThreadExecutor() override { Stop(); }

  void Stop() override {
    CHECK(!IsCurrent()) << "an executor can't wait for its own task";
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      wake_.NotifyOne();
    }
    thread_.join();
    std::deque<Task> ready;
    std::map<std::pair<SteadyTime, TimerId>, Task> timers;
    {
      MutexLock lock(mutex_);
      ready.swap(ready_);
      timers.swap(timers_);
      due_.clear();
    }
    // Destroyed here, unlocked: what they own may post or cancel.
  }

  void Post(Task task) override {
    bool wake = false;
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      ready_.push_back(std::move(task));
      wake = std::exchange(sleeping_, false);
    }
    // Unlocked: the thread that wakes up would wait for the lock at once.
    if (wake) wake_.NotifyOne();
  }

  TimerId PostAfter(Duration delay, Task task) override {
    MutexLock lock(mutex_);
    const TimerId id = ++last_timer_;
    if (stopping_) return id;
    const SteadyTime due = std::chrono::steady_clock::now() + std::max(delay, Duration(0));
    const auto place = timers_.emplace(std::make_pair(due, id), std::move(task)).first;
    due_.emplace(id, due);
    if (place == timers_.begin()) {
      sleeping_ = false;
      wake_.NotifyOne();
    }
    return id;
  }

  void Cancel(TimerId timer) override {
    Task destroyed_unlocked;
    MutexLock lock(mutex_);
    const auto found = due_.find(timer);
    if (found == due_.end()) return;
    const auto entry = timers_.find({found->second, timer});
    destroyed_unlocked = std::move(entry->second);
    timers_.erase(entry);
    due_.erase(found);
    lock.Unlock();
    destroyed_unlocked = nullptr;
    lock.Lock();
  }

  bool IsCurrent() const override { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  void Run() {
    SetCurrent(this);
    std::deque<Task> batch;
    MutexLock lock(mutex_);
    for (;;) {
      while (!stopping_ && ready_.empty() && !TakeDueTimer()) Sleep(lock);
      if (stopping_) return;
      while (TakeDueTimer()) {
      }
      // The whole queue at once: one lock for many tasks, and the order is kept.
      batch.swap(ready_);
      lock.Unlock();
      while (!batch.empty() && !stopping_.load(std::memory_order_relaxed)) {
        batch.front()();
        batch.pop_front();
      }
      batch.clear();
      lock.Lock();
    }
  }

  void Sleep(MutexLock& lock) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    sleeping_ = true;
    if (timers_.empty()) {
      wake_.Wait(lock);
    } else {
      wake_.WaitFor(lock, timers_.begin()->first.first - std::chrono::steady_clock::now());
    }
    sleeping_ = false;
  }

  // Moves the first timer to `ready_` if it is due.
  bool TakeDueTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (timers_.empty()) return false;
    const auto first = timers_.begin();
    if (first->first.first > std::chrono::steady_clock::now()) return false;
    ready_.push_back(std::move(first->second));
    due_.erase(first->first.second);
    timers_.erase(first);
    return true;
  }

  Mutex mutex_;
  Condition wake_;
  std::atomic<bool> stopping_{false};              // set under mutex_, so that no wake-up is missed
  bool sleeping_ ABSL_GUARDED_BY(mutex_) = false;  // and nobody has woken it yet
  std::deque<Task> ready_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<SteadyTime, TimerId>, Task> timers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<TimerId, SteadyTime> due_ ABSL_GUARDED_BY(mutex_);
  TimerId last_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;  // last: it starts running with everything above in place
};

class MachineThreads : public Threads {
 public:
  std::unique_ptr<Executor> Start(absl::string_view name) override {
    return std::make_unique<ThreadExecutor>(name);
  }
};

thread_local Executor* current_executor = nullptr;

}  // namespace

Executor* Executor::Current() { return current_executor; }

void Executor::SetCurrent(Executor* executor) { current_executor = executor; }

Threads& SystemThreads() {
  static MachineThreads* const threads = new MachineThreads;
  return *threads;
}

}  // namespace ringleader
