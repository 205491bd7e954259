// What a Core (core.h) asks its owner to do. One batch is taken after each turn by
// Core::TakeEffects() and carried out as each field says; fields that are empty ask for nothing.
#ifndef RINGLEADER_REPLICATION_EFFECTS_H_
#define RINGLEADER_REPLICATION_EFFECTS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "replication/messages.h"
#include "replication/types.h"

namespace ringleader::replication {

enum class Role : uint8_t { kFollower = 0, kPreCandidate = 1, kCandidate = 2, kLeader = 3 };

// A heartbeat that is due: one kHeartbeat message (`term`, `round`, the peer's `commit`) to each
// peer. Answers return through Core::Step or Core::HeartbeatAcknowledged.
struct HeartbeatRound {
  struct Peer {
    ReplicaId replica = 0;
    Index commit = 0;
    friend bool operator==(const Peer&, const Peer&) = default;
  };
  Term term = 0;
  uint64_t round = 0;
  std::vector<Peer> peers;
};

// A quorum acknowledged `round` of `term`, hence every earlier round, and each of it promised to
// elect nobody else for `promised_us` at least from when `round` was sent (the highest: no other
// than this leader had to promise, or nobody said for how long).
struct ConfirmedRound {
  Term term = 0;
  uint64_t round = 0;
  uint64_t promised_us = 0;
};

// The read numbered `read` may be served once `index` is applied.
struct ReadState {
  uint64_t read = 0;
  Index index = 0;
};

// Entries to be read from the log, starting at `first`, up to bytes_max (at least one entry); to be
// answered by Core::EntriesFetched with the same `replica` and `first`. replica is the peer that
// needs them, or this replica itself when they are to be applied.
struct FetchRequest {
  ReplicaId replica = 0;
  Index first = 0;
  Index last = 0;  // no entry after this one is wanted
  uint64_t bytes_max = 0;
};

// `message` (a kSnapshot without its snapshot) is to be completed with a snapshot whose last index
// is at least `index_min`, and sent behind its data; the outcome returns through
// Core::ReportSnapshot.
struct SnapshotRequest {
  Message message;
  Index index_min = 0;
};

// The role or the leader changed. leader 0: unknown.
struct SoftState {
  Role role = Role::kFollower;
  Term term = 0;
  ReplicaId leader = 0;
  friend bool operator==(const SoftState&, const SoftState&) = default;
};

// Leadership of `term` ended. Proposals of that term up to `commit` are committed; the outcome of
// those above is unknown to this replica: a successor may still commit them. Everything that
// belongs to the term (overlay, waiting writes, grants) is to be dropped.
struct LostLeadership {
  Term term = 0;
  Index commit = 0;
};

struct Effects {
  // 1. Withdraw first: lease reads and grants of this term end before anything below is sent, and
  // do not return in this term (DESIGN section 11, rule 5).
  bool lease_revoked = false;
  std::optional<LostLeadership> lost_leadership;
  // Reads that will never be confirmed; their callers retry.
  std::vector<uint64_t> aborted_reads;

  // 2. Make durable, batches in the order of persist_batch, and then call
  // Core::Persisted(persist_batch) (not from inside the carrying out of effects). 0: nothing to
  // persist in this batch. Within a batch the order is: hard_state, install_snapshot, entries; a
  // crash may leave a prefix of that, and nothing else.
  uint64_t persist_batch = 0;
  std::optional<HardState> hard_state;
  // Becomes the log's base, and every entry in the log before this batch goes away with it; its
  // data is staged and becomes this replica's state; then Core::Applied(last.index).
  std::optional<SnapshotMeta> install_snapshot;
  // Contiguous. Whatever the log holds at or after the first is truncated.
  std::vector<Entry> entries;

  // 3. Send at once, without waiting for 2: what these reveal is durable already. A leader's
  // appends are among them while its own write is under way.
  std::vector<Message> messages;
  // Note the time of sending for each round *before* looking at confirmed_round: a group with one
  // voter is confirmed in the batch that starts the round.
  std::vector<HeartbeatRound> heartbeats;
  std::optional<ConfirmedRound> confirmed_round;
  std::vector<SnapshotRequest> snapshots;
  std::vector<FetchRequest> fetches;

  // 4. Apply in order, then Core::Applied(index of the last). All are committed and durable here,
  // kinds kEmpty and kConfiguration included, as they move the applied index. Batches are applied
  // in the order they were taken.
  std::vector<Entry> apply;
  std::vector<ReadState> reads;

  std::optional<SoftState> soft_state;
  // The promise of RecoveredState is kept or was found void: the log need not report it any more.
  bool promise_settled = false;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_EFFECTS_H_
