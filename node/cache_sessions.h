// The sessions of the client cache that this node has: the ends of their lanes through which
// partitions send (node/cache.md).
//
// What a partition sends in the order of its turns arrives in that order, or the session ends. A
// lane whose client does not read is ended when more waits in it than its bound: an invalidation is
// never dropped. Whoever is told that a message did not go out tells its gate that the session is
// gone, and waits its grants out.
//
// Thread-safe. Outlives the partitions and the Listener.
#ifndef RINGLEADER_NODE_CACHE_SESSIONS_H_
#define RINGLEADER_NODE_CACHE_SESSIONS_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>

#include "absl/status/status.h"
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
};

// What this node's partitions did for clients that cache.
struct CacheMeters {
  StripedCounter grants;
  StripedCounter refusals;  // reads that were answered without a grant
  StripedCounter renewals;
  StripedCounter invalidations;
  StripedCounter releases;  // items that clients gave back by themselves
  // Of the writes that had to wait: for a client that held the item, or for what an earlier leader
  // may have granted.
  StripedHistogram stall_by_holder{LatencyBounds()};
  StripedHistogram stall_by_failover{LatencyBounds()};
};

class CacheSessions {
 public:
  explicit CacheSessions(const CacheSessionsOptions& options) : options_(options) {}

  // A new session; 0: there are too many.
  CacheSessionId Open(std::shared_ptr<Call> call);
  // Ends the session, if it is not over; `why` goes to the client. Returns the partitions that may
  // have granted it something: they are to be told.
  std::set<replication::GroupId> End(CacheSessionId session, const absl::Status& why);

  // Queues one event. False: the session is over, or is ended by this.
  bool Send(CacheSessionId session, replication::GroupId partition, cache::v1::Event event);
  // Whether what is sent to the session may arrive.
  bool IsOpen(CacheSessionId session) const;
  // The network's queue of the session has run empty.
  void Idle(CacheSessionId session);

  size_t size() const;
  CacheMeters& meters() { return meters_; }
  const CacheMeters& meters() const { return meters_; }
  const StripedCounter& refused() const { return refused_; }
  const StripedCounter& overflowed() const { return overflowed_; }

 private:
  // What is queued while a frame is in the network's hands goes out together in the next.
  struct Lane {
    std::shared_ptr<Call> call;  // null: over, and not yet ended
    cache::v1::ToClient waiting;
    uint64_t waiting_bytes = 0;
    bool is_frame_out = false;
    std::set<replication::GroupId> partitions;
  };

  bool Flush(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(Lane& lane, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CacheSessionsOptions options_;
  mutable Mutex mutex_;
  CacheSessionId last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<CacheSessionId, Lane> lanes_ ABSL_GUARDED_BY(mutex_);
  CacheMeters meters_;
  StripedCounter refused_;
  StripedCounter overflowed_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_CACHE_SESSIONS_H_
