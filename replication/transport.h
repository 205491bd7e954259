// Carries Raft's messages between nodes over the Network seam (gRPC in production).
//
// Each pair of nodes has three lanes in each direction, each a call with a connection of its own,
// so that none waits behind another (DESIGN section 6): control (votes, heartbeats, every answer),
// append (entries) and snapshot (chunks of state). A lane gathers messages into a frame while the
// frame before it is being written, and sends at once when nothing is: it never waits to fill a
// frame.
//
// Lossy on purpose: a lane whose queue is full, or that has no connection, drops what it is given
// and counts it; Raft sends again. Messages of one lane and one connection arrive in order, but the
// owner may not rely on it.
//
// A call names the cluster, the sender and the node it means to reach; a node refuses calls that
// are not for it, so that an address that was given to another node can't mix up two groups'
// replicas. It says as well for how long the sender's answers to heartbeats promise (lease.h): that
// is its process's, and a process that is started with other options makes other calls.
//
// Frame: version byte 1, then messages as `varint length, bytes` (replication/message_codec.h; the
// snapshot lane: replication/snapshot_chunk.h).
//
// Thread-safe. The handler is called from the network's threads, possibly under locks of the
// transport: it must not block and calls nothing of the transport, it posts. The Listener that
// serves the transport is destroyed before it.
#ifndef RINGLEADER_REPLICATION_TRANSPORT_H_
#define RINGLEADER_REPLICATION_TRANSPORT_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/network.h"
#include "replication/types.h"

namespace ringleader::replication {

// Values index arrays; the names are on the wire as method names.
enum class Lane : uint8_t { kControl = 0, kAppend = 1, kSnapshot = 2 };
inline constexpr size_t kLanes = 3;

absl::string_view LaneMethod(Lane lane);

struct TransportOptions {
  uint64_t cluster = 0;     // not 0
  NodeId node = 0;          // this one; not 0
  uint64_t promise_us = 0;  // Sender::promised_us of what this node sends; 0: not told
  // Queued messages of one lane to one node. Beyond it messages are dropped.
  std::array<uint64_t, kLanes> queue_bytes_max = {4 << 20, 64 << 20, 16 << 20};
  // A frame is closed when it is longer; one message alone may exceed it.
  uint64_t frame_bytes_max = 1 << 20;
  // Between attempts to reach a node; doubles from the first to the second.
  Duration redial_min = std::chrono::milliseconds(50);
  Duration redial_max = std::chrono::milliseconds(150);
};

// What a call says of who makes it.
struct Sender {
  NodeId node = 0;
  uint64_t promised_us = UINT64_MAX;  // for its heartbeat answers (Message::promised_us)
};

class TransportHandler {
 public:
  virtual ~TransportHandler() = default;
  // One frame's messages, each still encoded; the views are valid during the call.
  virtual void OnFrame(const Sender& from, Lane lane,
                       const std::vector<absl::string_view>& messages) = 0;
  // A lane to this node broke or can't be connected; what was queued on it is lost.
  virtual void OnUnreachable(NodeId node, Lane lane) = 0;
};

struct TransportStatistics {
  struct PerLane {
    uint64_t messages_sent = 0;
    uint64_t frames_sent = 0;
    uint64_t bytes_sent = 0;
    uint64_t messages_dropped = 0;  // full queue, unknown node, no connection
    uint64_t messages_received = 0;
    uint64_t bytes_received = 0;
    uint64_t breaks = 0;
    uint64_t connected = 0;  // nodes that have a call now
  };
  std::array<PerLane, kLanes> lanes;
};

class Transport : public Service {
 public:
  // All outlive the transport. The owner registers it as the Service of its Listener, or passes it
  // the calls whose method IsLaneMethod names.
  Transport(Network& network, Clock& clock, TransportHandler& handler,
            const TransportOptions& options);
  ~Transport() override;

  // Where a node can be reached, host:port. A changed address takes effect with the next
  // connection.
  void SetAddress(NodeId node, absl::string_view address);

  // Queues an encoded message; it leaves with the next Flush, or with the frame after the one under
  // way. False: dropped.
  bool Send(NodeId to, Lane lane, absl::string_view message);
  // Sends what is queued wherever nothing is under way. Called at the end of a turn, so that
  // everything that one turn says to a node (all its groups' heartbeats) travels in one frame.
  void Flush();

  static bool IsLaneMethod(absl::string_view method);
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

  TransportStatistics statistics() const;

 private:
  class OutgoingLane;
  class OutgoingHandler;
  class IncomingHandler;
  struct Peer;

  std::shared_ptr<OutgoingLane> FindLane(NodeId to, Lane lane);

  Network& network_;
  Clock& clock_;
  TransportHandler& handler_;
  const TransportOptions options_;

  mutable Mutex mutex_;
  std::map<NodeId, std::array<std::shared_ptr<OutgoingLane>, kLanes>> lanes_
      ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<OutgoingLane>> dirty_ ABSL_GUARDED_BY(mutex_);  // queued since Flush
  std::array<uint64_t, kLanes> unknown_drops_ ABSL_GUARDED_BY(mutex_) = {};
  std::array<uint64_t, kLanes> received_ ABSL_GUARDED_BY(mutex_) = {};
  std::array<uint64_t, kLanes> received_bytes_ ABSL_GUARDED_BY(mutex_) = {};
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_TRANSPORT_H_
