// Three replicas' gates and some clients' caches, the real classes, in virtual time with clocks
// that drift, lanes that are slow or break, leaders that are deposed without knowing it. What is
// left out is Raft: an entry is committed the moment the newest leader proposes it, and an older
// one commits nothing.
//
// After every step each client looks every key up: what it finds must be the committed version.
#ifndef RINGLEADER_TESTS_UNIT_CACHE_LEASE_WORLD_H_
#define RINGLEADER_TESTS_UNIT_CACHE_LEASE_WORLD_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/grant_deadline.h"
#include "client/item_cache.h"
#include "common/clock.h"
#include "common/random.h"
#include "node/eras.h"
#include "node/lease_gate.h"

namespace ringleader {

// True time times a rate of its own.
class DriftingClock : public Clock {
 public:
  DriftingClock(const int64_t& true_us, double rate) : true_us_(true_us), rate_(rate) {}
  Instant Now() const override {
    const Duration now(static_cast<int64_t>(static_cast<double>(true_us_) * 1000 * rate_));
    return {now, now};
  }
  int64_t WallMicros() const override { return true_us_; }

 private:
  const int64_t& true_us_;
  const double rate_;
};

class LeaseWorld {
 public:
  static constexpr int kNodes = 3;
  static constexpr int kClients = 3;
  static constexpr int kKeys = 4;

  explicit LeaseWorld(uint64_t seed);
  // One random event, and a little time.
  void Step();

  // What happened, so that a test can see that it tests something.
  struct Counts {
    uint64_t hits = 0;
    uint64_t grants = 0;
    uint64_t deposed_grants = 0;  // by a leader that was none any more
    uint64_t writes = 0;
    uint64_t parked = 0;
    uint64_t elections = 0;
    uint64_t sessions_ended = 0;
    uint64_t given_back = 0;
    uint64_t given_back_late = 0;  // when it was granted anew, or called back
    uint64_t transfers = 0;
    uint64_t stale = 0;  // must stay 0
  };
  const Counts& counts() const { return counts_; }
  const std::string& first_stale() const { return first_stale_; }

 private:
  struct Node {
    std::unique_ptr<DriftingClock> clock;
    uint32_t lease_term_ms = 0;
    std::optional<LeaseGate> gate;  // while it believes to lead
    replication::Term term = 0;
    Instant confirmed;
    Eras eras;  // as it has applied them
    std::map<std::string, uint64_t> versions;
    bool revoking = false;
  };
  struct Message {
    int64_t due_us = 0;
    CacheSessionId session = 0;
    replication::Term term = 0;
    std::string key;  // empty: a renewal
    uint64_t version = 0;
    Duration life{0};
    Instant sent;               // of the request, by the client's clock
    uint64_t invalidation = 0;  // not 0: this is one
    uint64_t fill = 0;
  };
  // Between a client and a node.
  struct Lane {
    CacheSessionId session = 0;
    std::deque<Message> messages;  // to the client
    std::map<replication::Term, std::shared_ptr<client::GrantDeadline>> deadlines;
  };
  struct Client {
    std::unique_ptr<DriftingClock> clock;
    std::unique_ptr<client::ItemCache> cache;
    std::vector<Lane> lanes{kNodes};
    // Of ended sessions, looked at late.
    std::deque<std::pair<Message, std::shared_ptr<client::GrantDeadline>>> late;
  };
  struct Request {
    int64_t due_us = 0;
    int client = 0;
    int node = 0;
    CacheSessionId session = 0;
    std::string key;  // empty: a renewal
    Instant sent;
    uint64_t fill = 0;
    replication::Term gives_back = 0;  // not 0: what was granted in this term by `fill`
  };

  std::string RandomKey() { return "key" + std::to_string(random_.Below(kKeys)); }
  bool IsNewest(const Node& node) const { return node.gate.has_value() && node.term == term_; }
  void Elect();
  void Depose(Node& node);
  void Write();
  void Commit(const std::string& key);
  void CommitEra(Node& node, const EraRecord& era);
  void Send(int node, std::vector<Invalidation> invalidations);
  void AskFor();
  void Arrive(const Request& request);
  void Deliver(int client, int node);
  void GiveBack(int client, const std::vector<client::ItemCache::Dropped>& dropped);
  void EndSession(int client, int node);
  void BreakLane();
  void Shrink(Node& node);
  void Transfer();
  void RunLeaders();
  void CheckReads();

  Random random_;
  int64_t now_us_ = 1'000'000;
  std::vector<Node> nodes_{kNodes};
  std::vector<Client> clients_{kClients};
  std::vector<Request> requests_;
  replication::Term term_ = 0;
  Eras eras_;  // committed
  std::map<std::string, uint64_t> versions_;
  CacheSessionId last_session_ = 0;
  uint64_t last_fill_ = 0;
  Counts counts_;
  std::string first_stale_;
};

}  // namespace ringleader

#endif  // RINGLEADER_TESTS_UNIT_CACHE_LEASE_WORLD_H_
