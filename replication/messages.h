// What the replicas of one group say to each other: Raft's requests and answers as plain values.
// Each message is between exactly two replicas of one group; the transport adds nodes, epochs and
// batching, and the codec (replication/message_codec.h) gives the bytes.
//
// A message may be lost, duplicated, delayed and reordered without limit: the core (core.h) is safe
// under all of it. It may not be altered: the transport's framing has to detect that.
//
// Source: Ongaro, "Consensus: Bridging Theory and Practice", figures 3.1, 4.1 and
// sections 3.10, 6.4 and 9.6. The doubt query is ours (replication/core.md, "Doubt").
#ifndef RINGLEADER_REPLICATION_MESSAGES_H_
#define RINGLEADER_REPLICATION_MESSAGES_H_

#include <cstdint>
#include <vector>

#include "replication/types.h"

namespace ringleader::replication {

// Values are on the wire and may not change. Fields named are the ones that the kind uses beside
// group, from, to and term; the others stay at their defaults and are not encoded.
enum class MessageKind : uint8_t {
  // Would you vote for me in `term` (one above the sender's own)? position: the sender's last.
  // Changes nothing at the receiver.
  kPreVote = 1,
  // rejected; term: the term asked for if granted, the answerer's own term if rejected.
  kPreVoteAnswer = 2,
  // Vote for me in `term`. position: the sender's last. transfer: the leader asked for this
  // election, so stickiness does not apply.
  kVote = 3,
  // rejected.
  kVoteAnswer = 4,
  // Entries that follow `position` in the leader's log (none: a probe); commit: the leader's.
  kAppend = 5,
  // rejected == false: everything up to position.index is durable at the sender and equals the
  // log of the leader of `term`; position.term is 0.
  // rejected == true: the append after `index` did not fit; position: the highest place at which
  // the logs may still agree. lost: the sender's log really ends there although it once
  // acknowledged more (it is below its promise), so the leader takes back what it knew.
  kAppendAnswer = 6,
  // round, commit (never above what the receiver is known to have). The runtime carries these for
  // all groups of two nodes in one frame.
  kHeartbeat = 7,
  // round: that of the heartbeat answered, or 0: the sender is there, and confirms and promises
  // nothing. lost: the sender is empty and confirms nothing.
  kHeartbeatAnswer = 8,
  // The data of `snapshot` is staged at the receiver's node: install it. Stepped into the receiver
  // only after its runtime has staged and verified the data. Answered by kAppendAnswer. lost: the
  // sender's log makes the receiver a voter after the snapshot, so if it has nothing it lost it.
  kSnapshot = 9,
  // The leader of `term` asks the receiver to campaign at once.
  kTimeoutNow = 10,
  // The sender's log may have ended at `promise`, its intact part ends at `position`: what do you
  // hold? preliminary: answer without adopting `term` (the sender asks whether it would disturb).
  kDoubtQuery = 11,
  // rejected: the query was behind the answerer's term, and nothing else is said. Otherwise
  // position: the answerer's last; promise: its own promise ({0,0}: its log is certain); doubtful:
  // that promise is only in doubt; preliminary: as in the query; round: version of the answerer's
  // latest configuration.
  kDoubtAnswer = 12,
};

constexpr MessageKind kLastMessageKind = MessageKind::kDoubtAnswer;

struct Message {
  MessageKind kind = MessageKind::kHeartbeat;
  GroupId group = 0;
  ReplicaId from = 0;
  ReplicaId to = 0;
  Term term = 0;

  LogPosition position;
  LogPosition promise;
  Index index = 0;
  Index commit = 0;
  uint64_t round = 0;

  bool rejected = false;
  bool transfer = false;
  bool lost = false;
  bool preliminary = false;
  bool doubtful = false;
  // Reserved: the sender is a witness, which holds the log's positions and no payloads. Never set
  // by this version; a receiver drops a message that has it.
  bool witness = false;

  // kHeartbeatAnswer: for how long its sender, by its own clock, refuses everybody else at least
  // (lease.h). Not encoded: the transport knows it of the call. The highest: nobody told.
  uint64_t promised_us = UINT64_MAX;

  std::vector<Entry> entries;  // kAppend: indexes position.index + 1, + 2, ...
  SnapshotMeta snapshot;       // kSnapshot: `generation` is the receiver's and is not encoded
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_MESSAGES_H_
