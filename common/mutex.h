// A std::mutex that clang's thread-safety analysis understands, and that the thread sanitizer sees
// through (it cannot see into the packaged, uninstrumented absl::Mutex).
//
//   Mutex mutex_;
//   int count_ ABSL_GUARDED_BY(mutex_);
//   ...
//   MutexLock lock(mutex_);
//   while (count_ == 0) changed_.Wait(lock);
#ifndef RINGLEADER_COMMON_MUTEX_H_
#define RINGLEADER_COMMON_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace ringleader {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : lock_(mutex.mutex_) {}
  ~MutexLock() ABSL_UNLOCK_FUNCTION() {}
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  // Gives the lock up and takes it again, inside the scope.
  void Unlock() ABSL_UNLOCK_FUNCTION() { lock_.unlock(); }
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { lock_.lock(); }

 private:
  friend class Condition;
  std::unique_lock<std::mutex> lock_;
};

// A condition variable for MutexLock. Every wait may return without a reason: wait in a loop.
class Condition {
 public:
  void Wait(MutexLock& lock) { condition_.wait(lock.lock_); }
  // False after `timeout` without a notification.
  bool WaitFor(MutexLock& lock, std::chrono::nanoseconds timeout) {
    return condition_.wait_for(lock.lock_, timeout) == std::cv_status::no_timeout;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_MUTEX_H_
