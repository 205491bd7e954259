// Of the calls that a completion queue of grpc_network serves: how many there are.
#ifndef RINGLEADER_COMMON_LIVE_CALLS_H_
#define RINGLEADER_COMMON_LIVE_CALLS_H_

#include "common/check.h"
#include "common/mutex.h"

namespace ringleader {

// Counts the calls of a queue's owner, so that it shuts its queues down only when no call can start
// another operation on them (gRPC aborts the process otherwise).
class LiveCalls {
 public:
  void Enter() {
    MutexLock lock(mutex_);
    ++count_;
  }
  void Leave() {
    MutexLock lock(mutex_);
    CHECK_GT(count_, 0);
    if (--count_ == 0) none_.NotifyAll();
  }
  void AwaitNone() {
    MutexLock lock(mutex_);
    while (count_ > 0) none_.Wait(lock);
  }

 private:
  Mutex mutex_;
  Condition none_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_LIVE_CALLS_H_
