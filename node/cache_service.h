// ringleader.cache.v1.Cache as a node serves it: the lanes of the clients that cache, sorted to the
// partitions (node/cache.md). What a frame holds for one partition is one task of its applier, so
// that each sees a client's frames in their order. Nothing of it passes admission but the reads of
// fills that are not granted: acknowledgements are what writers wait for. Cache.Status asks the
// partitions what the sessions of its page hold.
//
// Thread-safe. Destroyed after the Listener that serves it and after the runtime.
#ifndef RINGLEADER_NODE_CACHE_SERVICE_H_
#define RINGLEADER_NODE_CACHE_SERVICE_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/network.h"
#include "node/cache_sessions.h"
#include "node/partition.h"
#include "node/registry.h"
#include "replication/replica.h"

namespace ringleader {

inline constexpr absl::string_view kCacheServicePrefix = "/ringleader.cache.v1.Cache/";

struct CacheServiceOptions {
  // Of a session, that no partition has taken yet; more ends it.
  size_t messages_max = client::kCacheFrameMessagesMax;
  // Of these messages; acknowledgements are but numbers.
  size_t bytes_max = 16 << 20;
  // Of a frame; more ends the session.
  size_t frame_bytes_max = client::kCacheFrameBytesMax;
};

class CacheService : public Service {
 public:
  using FindReplica =
      std::function<std::shared_ptr<replication::Replica>(replication::GroupId group)>;

  CacheService(FindReplica find, const Registry& registry, CacheSessions& sessions, Clock& clock,
               const CacheServiceOptions& options)
      : find_(std::move(find)),
        registry_(registry),
        sessions_(sessions),
        clock_(clock),
        options_(options) {}

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

  // Ends the sessions of which nothing is heard any more; called every 100 ms or so.
  void Maintain();

 private:
  class SessionHandler;
  class StatusHandler;
  // What of a session waits for its partitions' executors.
  struct Waiting {
    std::atomic<size_t> messages = 0;
    std::atomic<size_t> bytes = 0;
  };
  using Untaken = std::shared_ptr<Waiting>;
  // Some of them: taken when this goes away.
  class Place {
   public:
    Place() = default;
    Place(Untaken untaken, size_t messages, size_t bytes)
        : untaken_(std::move(untaken)), messages_(messages), bytes_(bytes) {
      untaken_->messages += messages_;
      untaken_->bytes += bytes_;
    }
    Place(Place&& other) noexcept
        : untaken_(std::move(other.untaken_)), messages_(other.messages_), bytes_(other.bytes_) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(untaken_, other.untaken_);
      std::swap(messages_, other.messages_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Place() {
      if (untaken_ == nullptr) return;
      untaken_->messages -= messages_;
      untaken_->bytes -= bytes_;
    }

   private:
    Untaken untaken_;
    size_t messages_ = 0;
    size_t bytes_ = 0;
  };
  // What a frame has for one partition.
  struct Share {
    std::vector<CacheFill> fills;
    std::vector<cache::v1::Renew> renewals;
    std::vector<cache::v1::Release> releases;
    std::map<replication::Term, std::vector<uint64_t>> acknowledgements;
    size_t messages = 0;
    size_t bytes = 0;  // without acknowledgements
    Place place;
  };

  // False: it is malformed, or more than may wait.
  bool Take(CacheSessionId session, const Untaken& untaken, cache::v1::ToNode message);
  using Shares = std::map<replication::GroupId, Share>;
  void Post(CacheSessionId session, Shares shares);
  void CarryOut(CacheSessionId session, const std::shared_ptr<replication::Replica>& replica,
                Share& share);
  void End(CacheSessionId session, const absl::Status& why);
  void AnswerStatus(const cache::v1::StatusRequest& request, std::shared_ptr<Call> call);

  const FindReplica find_;
  const Registry& registry_;
  CacheSessions& sessions_;
  Clock& clock_;
  const CacheServiceOptions options_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_CACHE_SERVICE_H_
