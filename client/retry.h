// How long to wait before a retry, and how many retries a client may add to a cluster's load.
// Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", 2015); the
// budget is a token bucket filled by answers (as in Finagle and gRPC's retry throttling), except
// that an empty one slows a retry down instead of failing it. Not thread-safe.
#ifndef RINGLEADER_CLIENT_RETRY_H_
#define RINGLEADER_CLIENT_RETRY_H_

#include "common/clock.h"
#include "common/random.h"

namespace ringleader::client {

struct RetryOptions {
  Duration backoff_min = std::chrono::milliseconds(10);
  Duration backoff_max = std::chrono::milliseconds(150);
  double budget_tokens_max = 100;
  double tokens_per_answer = 0.1;
};

class RetryPolicy {
 public:
  RetryPolicy(const RetryOptions& options, Random random)
      : options_(options), random_(random), tokens_(options.budget_tokens_max) {}

  // The wait before attempt number `attempt` + 1, when `attempt` (1, 2, ...) were made; at least
  // `at_least`. Takes a token.
  Duration NextDelay(int attempt, Duration at_least);

  // An attempt was answered by somebody who could carry it out.
  void Answered();

  double tokens() const { return tokens_; }

 private:
  const RetryOptions options_;
  Random random_;
  double tokens_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_RETRY_H_
