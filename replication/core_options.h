// What a Core (core.h) is made from: its options and the state that its log and its storage
// recovered.
#ifndef RINGLEADER_REPLICATION_CORE_OPTIONS_H_
#define RINGLEADER_REPLICATION_CORE_OPTIONS_H_

#include <cstdint>
#include <vector>

#include "replication/types.h"

namespace ringleader::replication {

// What an entry costs in every byte bound below, beside its payload: an empty entry is not free.
constexpr uint64_t kEntryOverheadBytes = 64;

inline uint64_t CostBytes(const Entry& entry) {
  return kEntryOverheadBytes + entry.payload_bytes();
}

struct CoreOptions {
  // Of one proposed entry: what every log and message takes (log.h, message_codec.h).
  uint64_t entry_bytes_max = 32ull << 20;
  // A follower that heard its leader ignores other candidates for election_ticks ticks, hence for
  // at least election_ticks - 1 full tick periods: that is what a lease may be derived from (DESIGN
  // section 11, rule 4). It stands for election itself after one tick more and up to half as many
  // again (core.md, "How long nobody leads").
  uint32_t election_ticks = 10;
  // Between two heartbeat rounds of a leader; below election_ticks.
  uint32_t heartbeat_ticks = 2;
  // Per follower: appends sent and not acknowledged, as messages and as bytes (see CostBytes).
  uint32_t inflight_messages_max = 64;
  uint64_t inflight_bytes_max = 8 << 20;
  // Of one append message; a single larger entry is sent alone.
  uint64_t append_bytes_max = 512 << 10;
  // A leader refuses proposals while its term's entries that are not yet committed exceed the
  // first or those committed and not yet applied exceed the second. A follower hands out at most
  // the second to be applied at once, and drops appends while more than the first waits for its
  // disk.
  uint64_t uncommitted_bytes_max = 16 << 20;
  uint64_t unapplied_bytes_max = 16 << 20;
  // Entries kept in memory for followers and for applying. Entries that are not yet durable are
  // kept beyond it (the two bounds above bound them).
  uint64_t entry_cache_bytes_max = 16 << 20;
  // Reads that wait for a confirmation at once; more are refused.
  uint32_t waiting_reads_max = 1 << 16;
};

// A configuration and the entry that carried it.
struct PlacedConfiguration {
  Index index = 0;
  Configuration configuration;
};

// A replica as its disk knows it. Three ways to get one:
//   - restart: as recovered;
//   - a voter of a new group: `base` is the group's first position, with index and term of at
//     least 1 (above the parent's split index after a split), hard_state.term >= base.term,
//     `configuration` the first one, restarted = false; every first voter has the same base;
//   - a learner that waits for a snapshot: ids only, everything else empty, restarted = false.
// As no group begins at index 0, an empty replica can only be filled by a snapshot, which brings it
// the configuration.
struct RecoveredState {
  GroupId group = 0;
  ReplicaId replica = 0;
  HardState hard_state;
  // The log holds the entries after `base`; `base` itself is covered by the snapshot or by applied
  // state.
  LogPosition base;
  // Terms of all entries after `base`, ascending; empty if there are none. Together with
  // last_index they tell the term of every entry without reading it.
  std::vector<TermRun> term_runs;
  Index last_index = 0;
  // The newest entries, contiguous up to last_index; as many as entry_cache_bytes_max allows.
  // May be empty: missing entries are fetched when they are needed.
  std::vector<Entry> tail;
  // Everything up to here is in the state machine. base.index <= applied <= last_index.
  Index applied = 0;
  // In force at `applied`, and the entry that brought it (<= applied; base.index if that is
  // unknown), and every configuration entry after `applied`, ascending.
  Configuration configuration;
  Index configuration_index = 0;
  std::vector<PlacedConfiguration> later_configurations;
  // False for a replica that never ran before. A restarted one stays silent for as long as one that
  // heard its leader just now refuses others: it may have acknowledged a leader's lease (core.md).
  bool restarted = true;
  // For how many of this process's tick periods, at least, a process before may have promised a
  // leader to elect nobody else: if that is more than election_ticks - 1, the silence is longer by
  // the difference.
  uint32_t promised_ticks = 0;
  // For how many tick periods certainly nobody has acted as this replica: the silence is shorter by
  // as many, and so is the wait for a leader.
  uint32_t ticks_away = 0;
  // Not {0,0}: this log held or may have held entries up to here, which are now unreadable
  // (DESIGN section 6; core.md, "Corruption and doubt"). doubtful: they were in the last batch,
  // whose sync can't be proven. The log reports a promise on every start until
  // Effects::promise_settled was made durable.
  LogPosition promised;
  bool doubtful = false;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_CORE_OPTIONS_H_
