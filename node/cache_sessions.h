// The sessions of the client cache that this node has: the ends of their lanes through which
// partitions send (node/cache.md).
//
// What a partition sends in the order of its turns arrives in that order, or the session ends. A
// lane whose client does not read is ended when more waits in it than its bound: an invalidation is
// never dropped. One of whose client nothing is heard is ended too, so that no place is kept for
// who stands still or is gone without a word. Whoever is told that a message did not go out tells
// its gate that the session is gone, and waits its grants out.
//
// Thread-safe. Outlives the partitions and the Listener.
#ifndef RINGLEADER_NODE_CACHE_SESSIONS_H_
#define RINGLEADER_NODE_CACHE_SESSIONS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cache_frames.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/mutex.h"
#include "common/network.h"
#include "node/lease_gate.h"
#include "replication/types.h"
#include "ringleader/cache/v1/cache.pb.h"

namespace ringleader {

struct CacheSessionsOptions {
  // More are refused with RESOURCE_EXHAUSTED.
  size_t sessions_max = 4096;
  // What may wait to be sent to one client; more ends its session.
  uint64_t queue_bytes_max = 4 << 20;
  // A session is ended when nothing was heard of its client for this long, or a frame has not gone
  // out. What is held is renewed twice in a lease term; who holds nothing needs no session.
  Duration silent_max = std::chrono::seconds(10);
  // What was sent before a session's end may take this long to go out: then the call is cancelled.
  Duration linger_max = std::chrono::seconds(2);
};

// What this node's partitions did for clients that cache.
struct CacheMeters {
  StripedCounter grants;
  // Reads that were answered without a grant, by why.
  std::array<StripedCounter, LeaseGate::kRefusals> refusals;
  StripedCounter renewals;
  StripedCounter invalidations;
  StripedCounter releases;  // items that clients gave back by themselves
  // Of the writes that had to wait: for a client that held the item, or for what an earlier leader
  // may have granted.
  StripedHistogram stall_by_holder{LatencyBounds()};
  StripedHistogram stall_by_failover{LatencyBounds()};

  void Count(LeaseGate::Refusal refusal) {
    (refusal == LeaseGate::Refusal::kNone ? grants : refusals[static_cast<size_t>(refusal)]).Add();
  }
};

// A session, for operators.
struct CacheSessionView {
  CacheSessionId session = 0;
  uint64_t client = 0;
  uint64_t incarnation = 0;
  std::string peer;
  Duration age{0};
  Duration silent{0};
  std::set<replication::GroupId> partitions;  // that may have granted it something
};

class CacheSessions {
 public:
  // The clock outlives it.
  CacheSessions(const CacheSessionsOptions& options, Clock& clock)
      : options_(options), clock_(clock) {}

  // A new session; 0: there are too many.
  CacheSessionId Open(std::shared_ptr<Call> call, std::string peer = "");
  // As its client calls itself.
  void Introduce(CacheSessionId session, const cache::v1::Open& open);
  // Ends the session, if it is not over; `why` goes to the client. Returns the partitions that may
  // have granted it something: they are to be told.
  std::set<replication::GroupId> End(CacheSessionId session, const absl::Status& why);

  // Queues one event, which goes out behind the caller's turn. False: the session is over, or is
  // ended by this.
  bool Send(CacheSessionId session, replication::GroupId partition, cache::v1::Event event);
  // Whether what can wait may be queued as well: half of the queue is left to what has to be said.
  bool HasRoom(CacheSessionId session, size_t bytes) const;
  // What is sent in the life of this goes out at its end, in one frame if it fits.
  class Gathering {
   public:
    Gathering(CacheSessions& sessions, CacheSessionId session)
        : sessions_(sessions), session_(session) {
      sessions_.Gather(session_);
    }
    ~Gathering() { sessions_.EndGathering(session_); }
    Gathering(const Gathering&) = delete;
    Gathering& operator=(const Gathering&) = delete;

   private:
    CacheSessions& sessions_;
    const CacheSessionId session_;
  };
  // Whether what is sent to the session may arrive.
  bool IsOpen(CacheSessionId session) const;
  // The same, and its client has said something.
  bool Heard(CacheSessionId session);
  // Sessions to be ended, each by End: those that are silent, and those that are over and whose
  // last words do not go out. Called now and then.
  std::vector<CacheSessionId> Overdue();
  // The network's queue of the session has run empty.
  void Idle(CacheSessionId session);

  // At most so many, in order, behind `after`.
  std::vector<CacheSessionView> Sessions(CacheSessionId after, size_t sessions_max) const;
  // What a partition's gate has now, and had when it last said so.
  void CountHeld(const LeaseGate::Counts& before, const LeaseGate::Counts& now);
  // Of all partitions.
  LeaseGate::Counts held() const;

  size_t size() const;
  CacheMeters& meters() { return meters_; }
  const CacheMeters& meters() const { return meters_; }
  const StripedCounter& refused() const { return refused_; }
  const StripedCounter& overflowed() const { return overflowed_; }
  const StripedCounter& silent() const { return silent_; }

 private:
  // What is queued while a frame is in the network's hands goes out together in the next.
  struct Lane {
    std::shared_ptr<Call> call;
    bool is_over = false;  // and not yet ended
    client::CacheFrames<cache::v1::ToClient> waiting;
    bool is_frame_out = false;
    int gatherings = 0;
    std::string peer;
    uint64_t client = 0;
    uint64_t incarnation = 0;
    Instant opened;
    Instant frame_sent;
    Instant heard;
    Instant closed;
    std::set<replication::GroupId> partitions;
  };

  void Gather(CacheSessionId session);
  void EndGathering(CacheSessionId session);
  bool Flush(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(Lane& lane, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CacheSessionsOptions options_;
  Clock& clock_;
  mutable Mutex mutex_;
  CacheSessionId last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<CacheSessionId, Lane> lanes_ ABSL_GUARDED_BY(mutex_);
  LeaseGate::Counts held_ ABSL_GUARDED_BY(mutex_);
  CacheMeters meters_;
  StripedCounter refused_;
  StripedCounter overflowed_;
  StripedCounter silent_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_CACHE_SESSIONS_H_
