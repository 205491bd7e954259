// The numbers that make writes exactly-once (DESIGN section 6, README "Write sessions"). The token
// space is cut into kLanes equal slices that never change; each lane has a session of its own with
// sequences 1, 2, 3, ...
//
// Invariants:
//   1. A (session, sequence) is given out once.
//   2. What Fill writes as lowest_outstanding is at most every open sequence of that session.
//   3. At most kOpenMax sequences lie between the lowest open one of a lane and its next.
// Not thread-safe.
#ifndef RINGLEADER_CLIENT_WRITE_SESSIONS_H_
#define RINGLEADER_CLIENT_WRITE_SESSIONS_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "common/random.h"
#include "model/token.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader::client {

class WriteSessions {
 public:
  static constexpr int kLaneBits = 6;
  static constexpr size_t kLanes = size_t{1} << kLaneBits;
  static constexpr size_t kOpenMax = 1024;

  // One number of one session, open until End.
  class Ticket {
   public:
    // As the next attempt is to carry it.
    void Fill(data::v1::WriteSession* session) const;

   private:
    friend class WriteSessions;
    struct Lane;
    Ticket(std::shared_ptr<Lane> lane, uint64_t sequence)
        : lane_(std::move(lane)), sequence_(sequence) {}
    std::shared_ptr<Lane> lane_;
    uint64_t sequence_;
  };

  // `random` names the sessions: two processes must not draw alike.
  explicit WriteSessions(Random random);

  // A number for a write at `token`; none while the lane has kOpenMax open.
  std::optional<Ticket> Begin(model::Token token);
  // The write has its outcome, or is given up: it will not be sent again.
  void End(const Ticket& ticket);
  // The cluster no longer knows the ticket's session: later writes of the lane get another. Open
  // tickets keep theirs.
  void Renew(const Ticket& ticket);

 private:
  std::shared_ptr<Ticket::Lane> NewLane();

  Random random_;
  std::array<std::shared_ptr<Ticket::Lane>, kLanes> lanes_;
};

struct WriteSessions::Ticket::Lane {
  uint64_t session = 0;
  uint64_t lowest = 1;     // the sequence at the front of `ended`, or the next one
  std::deque<bool> ended;  // by sequence, from `lowest`; the front is open
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_WRITE_SESSIONS_H_
