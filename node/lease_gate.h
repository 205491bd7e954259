// The gate of section 8 of the design, for one partition during one leadership: who holds which
// keys, and whether a change of a key may go into the log yet. node/cache.md has the protocol, and
// tests/model shows that each part of it is needed.
//
//   write:  Enter(key) -> open: evaluate and propose in this turn
//                      -> not: the invalidations go out, the write is parked; NextOpened returns
//                         its key once every holder has acknowledged or its grants have run out
//   fill:   Grant(session, key, fill), and in the same turn the item is read and sent
//   drop:   Returned(session, key, fill): the client dropped by itself what that fill brought
//
// Invariants
//   1. A key that Enter let pass is held by nobody, and stays so until its writes are applied: the
//      caller says with Grant whether any is pending.
//   2. A key that Enter did not let pass is granted to nobody until NextOpened returned it.
//   3. A registered holder stays so until its invalidation is queued, even when its grants have run
//      out: a renewal brings them back to life. An invalidation is waited for until it is
//      acknowledged, or until the session's deadline as it was when it was queued has passed: later
//      renewals reach the client behind it.
//      A holder that gave the key back by itself is forgotten only if nothing that was granted to
//      it later may be on its way: it names the fill, and any other than the newest undoes nothing.
//   4. What an era of an earlier term covers opens a full lease term, as long as the longest that
//      those eras name, after this leadership began.
//
// Pure: no clock, no I/O. Not thread-safe: the partition's applier. Bounded by its options.
#ifndef RINGLEADER_NODE_LEASE_GATE_H_
#define RINGLEADER_NODE_LEASE_GATE_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "node/eras.h"
#include "replication/types.h"

namespace ringleader {

struct LeaseOptions {
  // What writers wait for grants that nobody gives back. Also what a dead holder costs a write.
  // Nodes may differ: eras tell a successor what to wait. At most kLeaseTermMaxMs.
  Duration lease_term = std::chrono::seconds(2);
  // By how much the rates of any two clocks, of nodes and of clients, may differ.
  double drift = 0.01;
  // Taken off each grant beside it, for the resolution of clocks and the rounding of the rest.
  Duration margin = std::chrono::milliseconds(5);
  // Of a partition.
  size_t sessions_max = 4096;
  size_t keys_max = 131072;
  size_t session_keys_max = 65536;
  size_t key_holders_max = 256;
  size_t holders_max = 262144;  // of all its keys together
};

// The longest that a grant lasts by its holder's clock, from when the round was sent that confirms
// it. A holder whose clock runs slow by `drift` against a waiter's counts it out within lease_term
// of the waiter's clock: (1 - drift) * (1 + drift) < 1.
Duration GrantLifeMax(const LeaseOptions& options);

using CacheSessionId = uint64_t;

// To be queued on the session's lane, in order; if that has no room, Ended is called instead.
struct Invalidation {
  CacheSessionId session = 0;
  uint64_t number = 0;  // of the gate's own; an acknowledgement repeats it
  std::string key;
};

class LeaseGate {
 public:
  enum class Refusal : uint8_t {
    kNone,
    kPending,   // a change of the key waits or is under way
    kNoEra,     // commit one that covers its bucket, and ask again
    kStale,     // no round was confirmed lately
    kRevoking,  // leadership is about to be handed over
    // Bounds of the options.
    kSessions,
    kKeys,  // in all, or of the session
    kHolders,
    // Its caller's: it leads no more or grants nothing at all; the session's lane has no room.
    kOff,
    kLaneFull,
  };
  static constexpr size_t kRefusals = static_cast<size_t>(Refusal::kLaneFull) + 1;
  struct Answer {
    Refusal refusal = Refusal::kNone;
    Duration life{0};  // from when the holder sent what is answered; 0 if refused
  };
  struct Counts {
    size_t sessions = 0;
    size_t keys = 0;     // that somebody holds
    size_t holders = 0;  // pairs of session and key
    size_t waits = 0;    // invalidations and ended sessions that are waited out
    size_t blocked = 0;  // keys of which a write waits
  };

  // `began`: at or after this term's election. `eras`: of a state in which the term's own first
  // entry is applied.
  LeaseGate(const LeaseOptions& options, replication::Term term, const Instant& began,
            const Eras& eras);

  // --- Writes ---------------------------------------------------------------------------------

  // True: the key may be changed in this turn. False: when NextOpened returns it; what is added to
  // `to_send` must go out.
  bool Enter(absl::string_view key, const Instant& now, std::vector<Invalidation>* to_send);
  // The same for all keys from `start` to before `limit` at once (a table's end). Until it returns
  // true nothing in the range is granted; it is asked again until then, and after that Leave(start)
  // once the change is applied or given up.
  bool EnterRange(absl::string_view start, absl::string_view limit, const Instant& now,
                  std::vector<Invalidation>* to_send);
  void LeaveRange(absl::string_view start);
  // The next key behind `*after`, which it becomes, that Enter refused and that may be changed now:
  // in this turn, or Block says that it waits on. Begins with an empty one.
  std::optional<std::string> NextOpened(const Instant& now, std::string* after);
  void Block(absl::string_view key) { blocked_.emplace(key); }
  // Nobody holds the key or waits for it: Enter would return true, and do nothing. What a write of
  // a key that nobody holds costs.
  bool IsUntouched(absl::string_view key) const;
  // Whether a key that Enter refused waits for what an earlier term may have granted.
  bool WaitsForEarlier(absl::string_view key, const Instant& now) const {
    return before_[EraBucketOf(key)] && !EarlierAreOver(now);
  }
  // The soonest that time alone opens a key that Enter refused; none if there is no such key.
  std::optional<Duration> UntilOpening(const Instant& now) const;

  // --- Grants ---------------------------------------------------------------------------------

  // `confirmed`: when the newest round of this term that a quorum answered was sent. `pending`: an
  // entry that changes the key is evaluated and not applied. If granted, the item is read and sent
  // in this turn, before anything else goes to this session. `fill`: no other of the session has
  // this number.
  Answer Grant(CacheSessionId session, absl::string_view key, uint64_t fill,
               const Instant& confirmed, const Instant& now, bool pending, const Eras& eras);
  // For everything that the session holds; nothing if that is nothing.
  Answer Renew(CacheSessionId session, const Instant& confirmed, const Instant& now);
  // The client dropped by itself what `fill` brought, and no lookup finds it any more. False: that
  // is not what it holds.
  bool Returned(CacheSessionId session, absl::string_view key, uint64_t fill);

  // --- Sessions -------------------------------------------------------------------------------

  void Acknowledged(CacheSessionId session, uint64_t number);
  // Its lane is gone, so nothing can be taken back: its grants are waited out.
  void Ended(CacheSessionId session);

  // --- The end of eras ------------------------------------------------------------------------

  // Earlier terms' eras are waited out: an entry with kCloseEarlier may be proposed.
  bool EarlierAreOver(const Instant& now) const;
  bool HasEarlier() const { return before_.any(); }
  // The longest that anything is waited for here.
  Duration WaitMax() const { return std::max(options_.lease_term, before_term_); }
  // That entry is applied.
  void EarlierClosed() {
    before_.reset();
    before_term_ = Duration(0);
  }
  // Before a planned transfer: nothing is granted or renewed any more, everything is called back.
  void Revoke(std::vector<Invalidation>* to_send);
  // Nothing that was granted is valid any more: an entry with kCloseAll may be proposed.
  bool IsRevoked(const Instant& now);
  // The transfer did not happen. Grants need new eras if the closing entry was applied.
  void Resume() { revoking_ = false; }

  // --- Fewer eras -------------------------------------------------------------------------------

  // Where something is held or waited for, at the cost of a look at every bucket.
  EraBuckets HeldBuckets() const;
  // Before an entry that closes the own eras but for those of `kept`: nothing is granted outside of
  // them until that entry is applied or refused, and Shrunk called.
  void Shrink(const EraBuckets& kept) { kept_ = kept; }
  void Shrunk() { kept_.reset(); }

  // Forgets waits that are over, at the cost of those that there are; now and then.
  void Maintain(const Instant& now);
  Counts counts() const;
  // What one session holds, and what it has not acknowledged.
  struct SessionCounts {
    size_t keys = 0;
    size_t invalidations = 0;
  };
  SessionCounts CountsOf(CacheSessionId session) const;
  // The sessions that hold this key.
  std::vector<CacheSessionId> HoldersOf(absl::string_view key) const;

 private:
  struct Wait {
    CacheSessionId session = 0;
    uint64_t number = 0;  // 0: of ended sessions
    Instant from;         // a full lease term from here
  };
  struct Key {
    std::set<CacheSessionId> holders;
    std::vector<Wait> waits;
  };
  struct Session {
    Instant confirmed;  // the newest round that a grant or renewal told
    absl::flat_hash_map<std::string, uint64_t> keys;  // and the fill of the last grant
    std::map<uint64_t, std::string> invalidations;    // not acknowledged: number and key
  };
  // Not in order, as every grant looks a key up; what has to go through them in order sorts them.
  // Their places stay.
  using Keys = absl::node_hash_map<std::string, Key>;
  using Sessions = std::map<CacheSessionId, Session>;

  bool IsOver(const Instant& from, const Instant& now) const {
    return WaiterElapsed(from, now) >= options_.lease_term;
  }
  Duration UntilOver(const Instant& from, const Instant& now) const {
    return options_.lease_term - WaiterElapsed(from, now);
  }
  Duration UntilEarlierAreOver(const Instant& now) const {
    return before_term_ - WaiterElapsed(began_, now);
  }
  std::vector<Keys::iterator> InOrder(absl::string_view start, absl::string_view limit);
  bool IsOpen(absl::string_view key, const Instant& now);
  bool InClosedRange(absl::string_view key) const;
  Duration Life(const Instant& confirmed, const Instant& now) const;
  Refusal BoundMet(Sessions::const_iterator session, Keys::const_iterator held,
                   CacheSessionId id) const;
  void Invalidate(Keys::iterator key, std::vector<Invalidation>* to_send);
  void Uncount(Keys::iterator key);
  void Count(Keys::iterator key);
  void DropWaits(Keys::iterator key, const Instant& now);
  void EraseIfEmpty(Keys::iterator key);
  static void WaitOut(const Instant& from, std::vector<Wait>& waits);
  void RemoveHolder(Keys::iterator key, CacheSessionId session);
  void EraseSessionIfEmpty(Sessions::iterator session);

  LeaseOptions options_;
  Duration life_max_;
  replication::Term term_;
  Instant began_;
  EraBuckets before_;
  Duration before_term_;
  Keys keys_;                            // that are held or waited for
  std::set<absl::string_view> waiting_;  // of them, those waited for; the names are theirs
  Counts counts_;                        // keys, holders and waits, of keys_
  // How many of keys_ are in each bucket: a key whose bucket has none needs no further look.
  std::array<uint32_t, kEraBuckets> bucket_keys_{};
  Sessions sessions_;
  std::set<std::string, std::less<>> blocked_;
  std::map<std::string, std::string, std::less<>> closed_ranges_;  // start, limit
  uint64_t last_number_ = 0;
  bool revoking_ = false;
  std::optional<EraBuckets> kept_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_LEASE_GATE_H_
