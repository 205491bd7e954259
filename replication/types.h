// The words of replication, shared by the Raft core, the durable log, the transport and the
// runtime. Values only: no behaviour, no I/O.
#ifndef RINGLEADER_REPLICATION_TYPES_H_
#define RINGLEADER_REPLICATION_TYPES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ringleader::replication {

// One Raft group: a partition, or the coordinators' metadata. Never reused. 0 is no group.
using GroupId = uint64_t;
// One replica of one group. Never reused, not even by the same node (DESIGN section 6): a replica
// that lost its log returns under a new id. 0 is no replica.
using ReplicaId = uint64_t;
// One process that hosts replicas; minted once, lives in its data directory. 0 is no node.
using NodeId = uint64_t;
using Term = uint64_t;
// Position in a group's log; the first entry is 1. 0 is before the log.
using Index = uint64_t;

// What an entry is for. Values are on disk and on the wire and may not change.
enum class EntryKind : uint8_t {
  kEmpty = 0,          // a new leader's first entry: no payload
  kCommand = 1,        // payload belongs to the state machine
  kConfiguration = 2,  // payload is an encoded Configuration
};

// An entry's bytes, encoded once and shared by the log, the peers and the state machine. Null means
// empty.
using Payload = std::shared_ptr<const std::string>;

struct Entry {
  Term term = 0;
  Index index = 0;
  EntryKind kind = EntryKind::kEmpty;
  Payload payload;

  uint64_t payload_bytes() const { return payload == nullptr ? 0 : payload->size(); }
};

// Where a log ends, and the order Raft compares logs by: term first, then index (Raft
// section 5.4.1).
struct LogPosition {
  Term term = 0;
  Index index = 0;
  friend auto operator<=>(const LogPosition&, const LogPosition&) = default;
};

// Consecutive entries of one term: from `first` to the next run's first, or to the end of the log.
struct TermRun {
  Index first = 0;
  Term term = 0;
  friend bool operator==(const TermRun&, const TermRun&) = default;
};

// What a replica must have on disk before it reveals it (Raft figure 2). vote 0: none in this term.
struct HardState {
  Term term = 0;
  ReplicaId vote = 0;
  friend bool operator==(const HardState&, const HardState&) = default;
};

// A replica and the node that hosts it.
struct Member {
  ReplicaId replica = 0;
  NodeId node = 0;
  friend auto operator<=>(const Member&, const Member&) = default;
};

// A group's members, each list sorted by replica. While `outgoing` is not empty the configuration
// is joint: every decision needs a majority of `voters` and one of `outgoing` (Raft section 6).
struct Configuration {
  std::vector<Member> voters;
  std::vector<Member> outgoing;  // the voters before the change, while it is joint
  std::vector<Member> learners;  // receive the log, count for nothing
  uint64_t version = 0;          // grows by one with every configuration entry; part of the epoch

  bool joint() const { return !outgoing.empty(); }
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// What a snapshot stands for: the state after applying everything up to `last`.
struct SnapshotMeta {
  LogPosition last;
  Configuration configuration;  // in force at last.index
  uint64_t generation = 0;      // names the directory that holds it on the node that installed it
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_TYPES_H_
