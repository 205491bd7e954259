// The leader's lease: from when a confirmed heartbeat round was sent until followers could next
// elect somebody else (DESIGN section 11, rules 3 to 5).
//
// Why it is safe. A follower that answers a round of term t resets its election timer on receipt,
// hence after the round was sent, and for election_ticks ticks neither campaigns nor votes for
// anybody else (stickiness; after a restart, silence, of which the periods are over in which
// certainly nobody promised anything here). The owner ticks at most once in tick_period
// of time as whoever waits a lease out must measure it (WaiterElapsed), so election_ticks ticks
// take at least (election_ticks - 1) periods of the follower's clock: that is what it promises, by
// its own options, and each of its calls says so (transport.h). A quorum did so; every future
// leader needs one of them. The leader measures from the sending, by HolderElapsed, and the two
// clocks' rates differ by less than `drift`: so a lease as long as the shortest promise of that
// quorum, shortened by drift, ends before. (Nodes may run with different options; core.md,
// "Reads and leases".)
//
// Not thread-safe.
#ifndef RINGLEADER_REPLICATION_LEASE_H_
#define RINGLEADER_REPLICATION_LEASE_H_

#include <cstdint>
#include <deque>
#include <optional>

#include "common/clock.h"
#include "replication/types.h"

namespace ringleader::replication {

// For how long, at least and by its own clock, a follower that answered a heartbeat just now
// refuses everybody else.
inline Duration PromiseLength(uint32_t election_ticks, Duration tick_period) {
  return static_cast<int64_t>(election_ticks - 1) * tick_period;
}

// How long a round that was just sent protects, once a quorum that promised so much confirms it.
inline Duration LeaseLength(Duration promised, double drift) {
  return Duration(static_cast<int64_t>(static_cast<double>(promised.count()) * (1 - drift)));
}

// The same where all nodes have these options.
inline Duration LeaseLength(uint32_t election_ticks, Duration tick_period, double drift) {
  return LeaseLength(PromiseLength(election_ticks, tick_period), drift);
}

// When each unconfirmed round was sent. Rounds are numbered by a counter of the core, never by
// anything that a retried request carries.
class RoundTimes {
 public:
  // More unconfirmed rounds than a leader can have before CheckQuorum ends it; the oldest go first.
  static constexpr size_t kRoundsMax = 1024;

  void Sent(Term term, uint64_t round, const Instant& now) {
    if (term != term_) {
      rounds_.clear();
      term_ = term;
    }
    rounds_.push_back({round, now});
    if (rounds_.size() > kRoundsMax) rounds_.pop_front();
  }

  // When the round was sent; that and the earlier ones are forgotten. Nothing if it isn't known.
  std::optional<Instant> Confirmed(Term term, uint64_t round) {
    if (term != term_) return std::nullopt;
    std::optional<Instant> sent;
    while (!rounds_.empty() && rounds_.front().number <= round) {
      if (rounds_.front().number == round) sent = rounds_.front().sent;
      rounds_.pop_front();
    }
    return sent;
  }

 private:
  struct Round {
    uint64_t number;
    Instant sent;
  };
  Term term_ = 0;
  std::deque<Round> rounds_;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LEASE_H_
