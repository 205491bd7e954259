// The words of the durable log: what is written to it and what it says after opening. Values only.
// The log itself is log.h; what the bytes look like is log.md.
#ifndef RINGLEADER_REPLICATION_LOG_TYPES_H_
#define RINGLEADER_REPLICATION_LOG_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "replication/types.h"

namespace ringleader::replication {

// One read that failed says little: what is to be judged by it is read as often as this.
inline constexpr int kReadAttempts = 3;

// Brings a replica into being on this node: the fenced one-time plan of DESIGN section 5, kept as
// the bytes that the caller gave (at most kPlanBytesMax).
struct GroupCreation {
  ReplicaId replica = 0;
  std::string plan;
  friend bool operator==(const GroupCreation&, const GroupCreation&) = default;
};

// Everything one group wants durable together. Fields take effect in the order they stand here, and
// all of one GroupWrite's or none survive a crash. Several writes of one group may stand in a
// batch. Except for `create`, the group must exist and not be destroyed.
struct GroupWrite {
  GroupId group = 0;

  // The group must be unknown, or destroyed under another replica id. Starts with an empty log.
  std::optional<GroupCreation> create;

  std::optional<HardState> hard_state;

  // The commit point of a snapshot: its directory is complete and synced. The log keeps what
  // follows snapshot.last if it holds that very position, otherwise nothing; either way it starts
  // after it. Not older than a snapshot or compaction recorded before. A replica's own snapshot (of
  // a state it has applied) is recorded the same way.
  std::optional<SnapshotMeta> snapshot;

  // Ends the log after this index: for entries in doubt that the group decided to discard.
  std::optional<Index> truncate_after;

  // Contiguous, starting at most one past the last index and after the compacted position. Replaces
  // everything at and after the first of them (Raft figure 2, AppendEntries step 3).
  std::vector<Entry> entries;

  // Entries that the log holds at the same index with the same term, damaged or not: each takes the
  // place of its record and nothing is truncated. Ascending.
  std::vector<Entry> repairs;

  // The durable applied index as far as it is known, for the owner's own use; never goes back.
  std::optional<Index> applied;

  // Entries up to this index aren't needed any more. At most the last index; an index that is
  // already compacted is ignored.
  std::optional<Index> compact_to;

  // The replica is gone from this node. Its log is dropped; group, replica id and plan stay as a
  // tombstone.
  bool destroy = false;
};

enum class DamageKind : uint8_t {
  kCorrupt,  // was certainly durable, may have been acknowledged: only ever repaired
  kInDoubt,  // was part of the last write before the log was opened, which may not have completed
};

// Entries whose position and term are known and whose content isn't.
struct Damage {
  Index first = 0;
  Index last = 0;
  Term term = 0;
  DamageKind kind = DamageKind::kCorrupt;
  friend bool operator==(const Damage&, const Damage&) = default;
};

// What the log holds for one group.
struct GroupState {
  GroupId group = 0;
  GroupCreation creation;
  bool destroyed = false;  // a tombstone: nothing below means anything

  // Blocks were lost that named what happened to which group (it takes two bad blocks, never one).
  // This replica may have voted, or acknowledged entries, without knowing it any more: it must not
  // vote, campaign or count in a quorum under its id again (DESIGN section 11, rule 11), so it is
  // destroyed and replaced. Stays until then.
  bool suspect = false;

  HardState hard_state;
  std::optional<SnapshotMeta> snapshot;  // the last one recorded
  Index applied = 0;                     // the last `applied` recorded

  LogPosition compacted;  // the entry before the first one that the log holds
  // Where the log ends, or would if nothing were damaged: the position this replica has promised to
  // voters. Equal to `compacted` if there are no entries.
  LogPosition promised;
  Index intact_last = 0;  // entries after `compacted` up to here are intact
  std::vector<TermRun> runs;
  std::vector<Damage> damage;  // ascending, disjoint, all after `compacted`; one term each

  Index first_index() const { return compacted.index + 1; }

  // It was made because a leader talked to it, and has given nobody its word since: without a
  // configuration a replica neither votes, nor testifies, nor acknowledges entries or rounds
  // (core.h, Forgetful), and what it might say would stand here before it was sent. A term it may
  // have: it moves with every message and promises nothing by itself.
  bool is_stub() const {
    return !destroyed && !suspect && hard_state.vote == 0 && !snapshot.has_value() &&
           applied == 0 && promised == LogPosition{} && damage.empty();
  }
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_TYPES_H_
