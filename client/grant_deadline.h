// Until when what one session was granted for one partition, in one term of its leader, may be read
// from memory (node/cache.md). Entries that were granted together share one; a renewal extends it
// for all of them, another session or another term has another one, and so extends nothing here.
//
// Threads: Extend by one thread at a time, that of the session's lane; everything else by any.
//
// Why a reader loads two numbers and needs no lock: both only grow. Whatever mixture of an older
// and a newer pair it sees is no later than the newer one, and it learns of neither before the
// lane's thread did everything that came before in the lane (release, acquire).
#ifndef RINGLEADER_CLIENT_GRANT_DEADLINE_H_
#define RINGLEADER_CLIENT_GRANT_DEADLINE_H_

#include <atomic>
#include <cstdint>

#include "common/clock.h"

namespace ringleader::client {

class CacheLane;

// Whose grants they are: of which lane, in which of its streams, and in which partition and term.
struct GrantOrigin {
  const CacheLane* lane = nullptr;  // to be compared only
  uint64_t stream = 0;
  uint64_t partition = 0;
  uint64_t term = 0;
};

class GrantDeadline {
 public:
  GrantDeadline() = default;
  explicit GrantDeadline(const GrantOrigin& origin) : origin_(origin) {}

  const GrantOrigin& origin() const { return origin_; }

  // A deadline by both clocks; it is over when either says so (HolderElapsed).
  struct Reading {
    int64_t raw_ns = INT64_MIN;
    int64_t boot_ns = INT64_MIN;

    bool IsOver(const Instant& now) const { return WasOver(now, Duration(0)); }
    // Whether it was over already `ago` before now.
    bool WasOver(const Instant& now, Duration ago) const {
      return (now.raw - ago).count() >= raw_ns || (now.boot - ago).count() >= boot_ns;
    }
  };

  // `sent`: when the request was sent that is being answered; never when the answer came. A life
  // that would take something back by either clock changes nothing.
  void Extend(const Instant& sent, Duration life) {
    const int64_t raw_ns = (sent.raw + life).count();
    const int64_t boot_ns = (sent.boot + life).count();
    if (raw_ns < raw_ns_.load(std::memory_order_relaxed) ||
        boot_ns < boot_ns_.load(std::memory_order_relaxed)) {
      return;
    }
    raw_ns_.store(raw_ns, std::memory_order_release);
    boot_ns_.store(boot_ns, std::memory_order_release);
  }

  Reading Load() const {
    return {raw_ns_.load(std::memory_order_acquire), boot_ns_.load(std::memory_order_acquire)};
  }

 private:
  const GrantOrigin origin_ = {};
  std::atomic<int64_t> raw_ns_{INT64_MIN};
  std::atomic<int64_t> boot_ns_{INT64_MIN};
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_GRANT_DEADLINE_H_
