// Waiting for a callback: the only place of the client library where a thread waits.
#ifndef RINGLEADER_CLIENT_AWAIT_H_
#define RINGLEADER_CLIENT_AWAIT_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "common/mutex.h"

namespace ringleader::client {

// Filled once by another thread, awaited by the one that owns it.
template <typename Result>
class Awaited {
 public:
  absl::AnyInvocable<void(Result)> Done() {
    return [state = state_](Result result) {
      {
        MutexLock lock(state->mutex);
        state->result.emplace(std::move(result));
      }
      // Unlocked: who wakes up would wait for the lock at once. The owner may be gone by now.
      state->is_done.NotifyOne();
    };
  }

  Result Wait() {
    MutexLock lock(state_->mutex);
    while (!state_->result.has_value()) state_->is_done.Wait(lock);
    return *std::move(state_->result);
  }

 private:
  struct State {
    Mutex mutex;
    Condition is_done;
    std::optional<Result> result ABSL_GUARDED_BY(mutex);
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_AWAIT_H_
