// The steps of the lease protocol's model and what must hold after each; the protocol is in
// node/cache.md. A Mutation leaves out one safety step: the search must then find a stale read.
#ifndef RINGLEADER_TESTS_MODEL_LEASE_MODEL_H_
#define RINGLEADER_TESTS_MODEL_LEASE_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/lease_state.h"

namespace ringleader::lease_model {

enum class Mutation : uint8_t {
  kNone,
  kDeadlineFromReceipt,       // the client counts from when the answer came
  kDeadlineFromConfirmation,  // the node counts from when a round was confirmed, not sent
  kDeadlineFromGrant,         // the node counts from the grant: a deposed leader goes on granting
  kNoDriftMargin,             // a slow client's term is longer than what others wait
  kNoWaitAtFailover,
  kWaitsOwnTerm,           // a successor waits its own lease term, not that of the eras
  kLastEraOnly,            // a new era takes the place of the ones before
  kNoEra,                  // grants without a committed era
  kErasClosedEarly,        // a successor closes eras before it has waited them out
  kFillRacesInvalidation,  // the value is read before the holder is registered
  kOutlivesIncarnation,    // an entry is served by the deadline of a later session
  kOutlivesTerm,           // an entry is served by the deadline of a later leadership
  kDroppedOnOverflow,      // a full lane drops the invalidation
  kForgottenSession,       // an ended session is not waited out
  kCheckedBeforeRead,
  kDeadlineReloaded,         // it is looked up when the entry may have left its place
  kGrantedWhilePending,      // a key is granted between its write's proposal and application
  kRenewalOvertakes,         // renewals leave the lane's order
  kTransferWithoutRevoking,  // the closing entry goes out with grants about
  kReleaseOfAnyFill,         // one that comes late takes back what a newer fill granted
  kReleasedAndServed,        // it is given back before it is dropped
  kShrinksHeld,              // eras are closed where something is held
  kGrantsWhileShrinking,     // or is granted before they are closed
  kCount,
};
const char* NameOf(Mutation mutation);

// How much of everything a search allows. Times are in ticks.
struct Bounds {
  const char* name = "";
  int clients = kClients;
  int keys = kKeys;
  int terms = 3;
  int writes = 2;
  int requests = 3;  // fills and renewals
  int sessions = 1;  // re-creations
  int crashes = 1;
  int transfers = 1;
  int shrinks = 0;                    // of a leader's own eras
  int lane = kLaneMax;                // messages to a client; one more overflows it
  int releases = 0;                   // of what the client's memory evicts
  int reads = 0;                      // two-step reads; the invariant covers those of one step
  bool late = false;                  // messages of an ended session that come later
  bool slow_acknowledgement = false;  // an acknowledgement takes time
  // Rounds of heartbeats are steps, and their answers take time. Otherwise every leader that a
  // majority would still answer has just confirmed one.
  bool rounds = false;
  int lease_term = 2;
  int first_lease_term = 0;  // of replica 0, if it is not the others'

  int TermOf(int replica) const {
    return replica == 0 && first_lease_term != 0 ? first_lease_term : lease_term;
  }
  int LongestTerm() const { return std::max(lease_term, first_lease_term); }
};

enum class StepKind : uint8_t {
  kTick,
  kRound,
  kConfirm,
  kElect,
  kReplicate,
  kOpenEra,
  kCloseEras,
  kRevoke,
  kCloseAll,
  kShrink,
  kCrash,
  kWriteArrives,
  kPropose,
  kFill,
  kRenew,
  kTakeRequest,
  kRegister,
  kDeliver,
  kDeliverLate,
  kTakeAcknowledgement,
  kRelease,
  kTakeRelease,
  kEndSession,
  kNewSession,
  kReadBegins,
  kReadLooks,
  kReadEnds,
  kCount,
};
const char* NameOf(StepKind kind);

struct Step {
  StepKind kind = StepKind::kTick;
  uint8_t a = 0;  // mostly a client or replica
  uint8_t b = 0;  // mostly a replica
  uint8_t key = 0;
  std::string ToString() const;
};

class LeaseModel {
 public:
  LeaseModel(const Bounds& bounds, Mutation mutation) : bounds_(bounds), mutation_(mutation) {}

  // Replica 0 leads term 1 and serves; both clients have a session with every node.
  State Initial() const;
  // Every step that may be tried, whether it is possible now or not.
  std::vector<Step> AllSteps() const;
  // A quick look: false if Take certainly refuses it.
  static bool MayTake(const Step& step, const State& state);
  // False: it is not possible now; `state` is then undefined.
  bool Take(const Step& step, State& state) const;
  // Null, or what is broken.
  const char* Broken(const State& state) const;
  // Forgets what can't matter any more, and takes one of the ways to number what is alike: clients,
  // and the replicas that do not lead first.
  void Canonicalize(State& state) const;

 private:
  bool Tick(State& state) const;
  void Confirm(State& state) const;
  void Forget(State& state) const;
  void NumberReplicas(State& state) const;
  // lease_steps_group.cc: replicas
  bool TakeGroupStep(const Step& step, State& state) const;
  bool Elect(State& state, int candidate, int voter) const;
  bool Replicate(State& state, int leader, int follower) const;
  void Commit(State& state, Replica& leader, const Entry& entry) const;
  bool IsAskedFor(const State& state, int node, int key) const;
  bool Append(Replica& leader, EntryKind kind, int key) const;
  bool Shrink(State& state, int index) const;
  void EndLeadership(State& state, int replica) const;
  bool WaitsForEarlier(int index, const Replica& leader) const;
  bool Crash(State& state, int replica) const;
  bool Propose(State& state, int leader, int key) const;
  bool CloseAll(State& state, int leader) const;
  // lease_steps_session.cc: clients and sessions
  bool TakeSessionStep(const Step& step, State& state) const;
  bool TakeRequest(State& state, int client, int node) const;
  bool MayGrant(int node, const Replica& leader, int key) const;
  int Life(int node, const Replica& leader) const;
  bool Grant(State& state, int client, int node, int key, int version) const;
  void Invalidate(State& state, int node, int key) const;
  bool Release(State& state, int client, int node, int key) const;
  bool TakeRelease(Lane& lane, int key) const;
  bool Deliver(State& state, int client, int node) const;
  void Insert(Client& client, const Message& message, int incarnation) const;
  void EndSession(State& state, int client, int node) const;
  bool NewSession(State& state, int client, int node) const;
  bool TakeReadStep(const Step& step, State& state) const;
  bool IsValid(const State& state, const Client& client, const CachedItem& item) const;

  const Bounds bounds_;
  const Mutation mutation_;
};

}  // namespace ringleader::lease_model

#endif  // RINGLEADER_TESTS_MODEL_LEASE_MODEL_H_
