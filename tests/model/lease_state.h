// The state of the lease protocol's model (node/cache.md): one partition of three replicas, two
// clients, two keys, small counts of everything. A plain array of bytes, so that states compare and
// hash as they are; a step (lease_steps.cc) copies one and changes it.
//
// What is left out, and why nothing is lost by it:
//   - Raft itself. An entry is committed the moment a majority has it in its leader's term, the
//     earliest moment that exists; elections happen at any time, to any replica whose log is good
//     enough, so neither timeouts nor stickiness nor a voter's restart can do anything new.
//   - Clocks. Timers count real time in ticks. The bound on drift makes the longest that a grant
//     can last on a slow clock no longer than the shortest that a fast clock waits; both are taken
//     at their worst, one tick for one tick. A better clock allows a part of the same behaviour.
//   - What a leader learns late. It learns of commitment at once and may do nothing about it.
#ifndef RINGLEADER_TESTS_MODEL_LEASE_STATE_H_
#define RINGLEADER_TESTS_MODEL_LEASE_STATE_H_

#include <array>
#include <cstdint>
#include <type_traits>

namespace ringleader::lease_model {

inline constexpr int kReplicas = 3;
inline constexpr int kClients = 2;
inline constexpr int kKeys = 2;
inline constexpr int kTermsMax = 3;
inline constexpr int kLaneMax = 2;    // messages of a lane
inline constexpr int kSuffixMax = 3;  // entries of a leader that nobody else has

enum class EntryKind : uint8_t {
  kEmpty,      // the first of a term
  kWrite,      // of `key`
  kOpenEra,    // of `key`'s bucket: each key has one of its own
  kCloseEras,  // of all earlier terms
  kCloseAll,   // of the leader's own term too: before a planned transfer
  kShrink,     // all but the own term's of the keys in `key`, a set: where nothing is held
};
struct Entry {
  EntryKind kind;
  uint8_t key;
  uint8_t term;
};

enum class MessageKind : uint8_t { kNone, kFill, kRenew, kInvalidate };
// From a node to a client, in order.
struct Message {
  MessageKind kind;
  uint8_t key;
  uint8_t version;
  uint8_t term;
  uint8_t life;  // how long the grant lasts, from when the client sent what is answered
  uint8_t fill;  // the number of the request it answers; 0 where no release can name it
};

enum class RequestKind : uint8_t { kNone, kFill, kRenew };

// Between a client and a node: both directions, and what the node keeps of the session.
struct Lane {
  uint8_t live;  // the node has the session
  RequestKind request;
  uint8_t request_key;
  uint8_t request_number;  // 0 where nothing is released
  uint8_t request_age;     // since it was sent; stops at the longest lease term
  uint8_t taken;           // the node has answered it
  uint8_t acknowledged;    // keys whose invalidation the client acknowledged, on the way
  uint8_t released;        // keys that the client gave back, on the way
  std::array<uint8_t, kKeys> released_fill;
  uint8_t count;
  std::array<Message, kLaneMax> messages;
  // Of the node's present leadership.
  uint8_t held;                     // keys
  std::array<uint8_t, kKeys> fill;  // the newest by which each was granted
  uint8_t invalidating;             // keys: sent and not acknowledged
  uint8_t granted;                  // time until the last grant's deadline
  std::array<uint8_t, kKeys> wait;  // the same for an invalidation, as of when it was queued
  uint8_t read_early;  // of a mutant: 1 + the version that was read before the holder is registered
};

inline uint8_t Bit(int key) { return static_cast<uint8_t>(1u << key); }

struct Replica {
  uint8_t term;
  uint8_t leads;
  uint8_t serves;   // has applied its own first entry
  uint8_t current;  // has all that is committed
  uint8_t suffix_count;
  std::array<Entry, kSuffixMax> suffix;
  // As a leader.
  uint8_t elected_age;    // since the election; stops at the longest lease term
  uint8_t honoured_term;  // the longest lease term of the honoured eras
  uint8_t
      confirmed_age;  // since the newest confirmed round was sent; stops at the longest lease term
  uint8_t round_under_way;
  uint8_t round_age;
  uint8_t parked;    // keys of which a write waits at the gate
  uint8_t pending;   // keys of which a write is in the log and not applied
  uint8_t own_eras;  // keys that an era of this term covers, applied
  uint8_t honoured;  // keys that earlier terms' eras cover
  uint8_t revoking;
  uint8_t shrinking;                   // keys whose own eras an entry under way closes
  std::array<uint8_t, kKeys> version;  // applied
  std::array<uint8_t, kKeys> ghost;    // time until the grants of ended sessions are over
};

struct CachedItem {
  uint8_t present;
  uint8_t version;
  uint8_t term;
  uint8_t incarnation;
  uint8_t fill;
};

enum class ReadPhase : uint8_t { kIdle, kBegun, kHalf };
// A read of the application as two steps, anything may happen between them.
struct Read {
  ReadPhase phase;
  uint8_t key;
  uint8_t newest_at_start;
  CachedItem taken;
  uint8_t life;  // time left of its deadline, as that was when it was taken
};

struct Client {
  std::array<uint8_t, kReplicas> incarnation;  // of the session with each node
  std::array<CachedItem, kKeys> cache;
  std::array<uint8_t, kTermsMax + 1> deadline;  // time left, by term, of its node's incarnation
  // A fill of an ended session that the process had received and not looked at.
  Message late;
  uint8_t late_incarnation;
  uint8_t late_life;
  Read read;
};

struct State {
  std::array<Replica, kReplicas> replicas;
  std::array<std::array<Lane, kReplicas>, kClients> lanes;
  std::array<Client, kClients> clients;
  // What is committed.
  std::array<uint8_t, kKeys> version;
  std::array<uint8_t, kTermsMax + 1> eras;  // unclosed, by term: keys
  std::array<uint8_t, kTermsMax + 1> node_of_term;
  uint8_t terms;
  // What the run has used up of its bounds.
  uint8_t writes;
  uint8_t requests;
  uint8_t ends;      // of sessions, by a node
  uint8_t sessions;  // begun anew
  uint8_t crashes;
  uint8_t transfers;
  uint8_t shrinks;
  uint8_t releases;
  uint8_t reads;
  uint8_t stale_read;  // a two-step read returned what was old when it began
};
static_assert(std::has_unique_object_representations_v<State>, "states are compared as bytes");

}  // namespace ringleader::lease_model

#endif  // RINGLEADER_TESTS_MODEL_LEASE_STATE_H_
