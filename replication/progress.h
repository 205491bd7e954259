// What a leader knows of one other member and how it sends to it. Belongs to one term of one
// leader.
//
//            rejected, unreachable            append answered
//   probe <-------------------------------- replicate <---- snapshot installed
//     |  ------- append answered ---------->    |                 ^
//     +------------ log starts after next ------+---> snapshot ---+
//
// Source: etcd-io/raft tracker/progress.go, for the three states.
#ifndef RINGLEADER_REPLICATION_PROGRESS_H_
#define RINGLEADER_REPLICATION_PROGRESS_H_

#include <cstdint>
#include <deque>

#include "replication/types.h"

namespace ringleader::replication {

// Appends that were sent and are not acknowledged, oldest first, bounded in number and bytes.
class InflightWindow {
 public:
  InflightWindow() = default;
  InflightWindow(uint32_t messages_max, uint64_t bytes_max)
      : messages_max_(messages_max), bytes_max_(bytes_max) {}

  // An append up to entry `last` was sent. Not while full().
  void Add(Index last, uint64_t bytes);
  // Everything up to `index` was acknowledged.
  void FreeTo(Index index);
  // Makes room for one message: the oldest is taken as lost or answered (used when a heartbeat is
  // answered while the window is full, so that a lost answer can't stop the peer for ever).
  void FreeOldest();
  void Clear();

  // The next append has to wait. The byte bound is passed by at most one message.
  bool full() const { return sent_.size() >= messages_max_ || bytes_ >= bytes_max_; }
  uint64_t bytes() const { return bytes_; }
  size_t messages() const { return sent_.size(); }

 private:
  struct Sent {
    Index last = 0;
    uint64_t bytes = 0;
  };
  uint32_t messages_max_ = 0;
  uint64_t bytes_max_ = 0;
  uint64_t bytes_ = 0;  // sum over sent_
  std::deque<Sent> sent_;
};

struct Progress {
  enum class State : uint8_t {
    kProbe,      // where the logs agree is not known: one append per heartbeat answer
    kReplicate,  // appends are sent optimistically, as far as the window
                 // allows (to a learner: what is committed)
    kSnapshot,   // waits for a snapshot; nothing is sent
  };

  State state = State::kProbe;
  // The peer's durable log equals the leader's up to here. Only grows, except when the peer says
  // that it lost what it had acknowledged (Message::lost), or its answer to a probe shows it.
  Index match = 0;
  // The next entry to send; match < next <= last + 1. In kProbe nothing above is under way, in
  // kReplicate everything in [match + 1, next - 1] is.
  Index next = 1;
  // kProbe: an append is under way and not answered; nothing is sent until an answer, to it or to a
  // heartbeat.
  bool probe_sent = false;
  // kReplicate: sent and not acknowledged. Empty in the other states.
  InflightWindow inflight;
  // kSnapshot: a SnapshotRequest is with the owner and its outcome is not reported.
  bool snapshot_requested = false;
  // Entries from `next` on were asked from the log; nothing is sent until they come. Never set in
  // kSnapshot.
  bool fetching = false;
  // Heard in this term since the last check of the quorum.
  bool active = false;
  bool was_active = false;  // in the period before
  // The latest heartbeat round that the peer answered; at most the leader's last.
  uint64_t acknowledged_round = 0;
  uint64_t promised_us = 0;  // by that answer (Message::promised_us)
  // The commit index that was last sent in an append.
  Index sent_commit = 0;

  // Nothing may be sent to this peer now.
  bool Paused() const;
  void BecomeProbe();
  void BecomeReplicate();
  void BecomeSnapshot();
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_PROGRESS_H_
