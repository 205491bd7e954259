#include "client/retry.h"

#include <algorithm>

#include "common/check.h"

namespace ringleader::client {

Duration RetryPolicy::NextDelay(int attempt, Duration at_least) {
  CHECK_GE(attempt, 1);
  if (tokens_ < 1) {
    // Jitter on top, so that requests that ran out together don't come back together.
    const auto jitter = Duration(random_.Between(0, options_.backoff_max.count() / 4));
    return std::max(at_least, options_.backoff_max) + jitter;
  }
  tokens_ -= 1;
  Duration ceiling = options_.backoff_min;
  for (int i = 1; i < attempt && ceiling < options_.backoff_max; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, options_.backoff_max);
  const auto jittered = Duration(random_.Between(0, ceiling.count()));
  // A named wait is spread too: everybody was told the same one.
  return at_least > Duration(0) ? at_least + jittered / 2 : jittered;
}

void RetryPolicy::Answered() {
  tokens_ = std::min(options_.budget_tokens_max, tokens_ + options_.tokens_per_answer);
}

}  // namespace ringleader::client
