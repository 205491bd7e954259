// Waiting for a callback: the only place of the client library where a thread waits.
#ifndef RINGLEADER_CLIENT_AWAIT_H_
#define RINGLEADER_CLIENT_AWAIT_H_

#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "common/mutex.h"

namespace ringleader::client {

// Filled once by another thread, awaited by the one that owns it. Outlives its callback's run.
template <typename Result>
class Awaited {
 public:
  absl::AnyInvocable<void(Result)> Done() {
    return [this](Result result) {
      MutexLock lock(mutex_);
      result_.emplace(std::move(result));
      // Under the lock: the owner may destroy this as soon as it can see the result.
      is_done_.NotifyOne();
    };
  }

  Result Wait() {
    MutexLock lock(mutex_);
    while (!result_.has_value()) is_done_.Wait(lock);
    return *std::move(result_);
  }

 private:
  Mutex mutex_;
  Condition is_done_;
  std::optional<Result> result_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_AWAIT_H_
