// Sends snapshots of this node's replicas to others. A snapshot is a copy of the state machine's
// directory, captured at one index (links, in practice); its files go out in chunks, a window of
// them ahead of the receiver's acknowledgements, so that the receiver's disk sets the pace and
// memory stays bounded.
//
// A replica that asks again soon after a transfer to it has ended waits for the next one, longer
// each time: what it could not take a moment ago it can't take now, and sending everything over and
// over would keep disk and network busy for nothing.
//
// Failure cases: a broken lane, a receiver that refuses or falls silent, a read error: the transfer
// ends, its directory goes, and the core is told; it asks again. Directories left by a crash are
// removed at start.
//
// Threads: Send is called on workers, OnChunk and OnUnreachable from anywhere; the rest runs on
// `files`.
#ifndef RINGLEADER_REPLICATION_SNAPSHOT_SENDER_H_
#define RINGLEADER_REPLICATION_SNAPSHOT_SENDER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/file_system.h"
#include "replication/counters.h"
#include "replication/effects.h"
#include "replication/snapshot_chunk.h"
#include "replication/transport.h"

namespace ringleader::replication {

class Replica;

struct SnapshotSenderOptions {
  int transfers_max = 4;  // at once; further requests fail and come again
  uint64_t chunk_bytes = 256 << 10;
  uint64_t window_bytes = 4 << 20;                  // sent and not acknowledged, per transfer
  Duration silence_max = std::chrono::seconds(20);  // without an acknowledgement
  // Between two transfers to one replica: doubled with each further one, until it has been left
  // alone for again_within.
  Duration pause_min = std::chrono::seconds(1);
  Duration pause_max = std::chrono::seconds(10);
  Duration again_within = std::chrono::minutes(1);
};

class SnapshotSender {
 public:
  // `directory` is the sender's own. All outlive it.
  SnapshotSender(FileSystem& file_system, const std::string& directory, Executor& files,
                 Transport& transport, Clock& clock, ReplicationCounters& counters,
                 uint64_t first_transfer, const SnapshotSenderOptions& options);

  // Carries the request out; the outcome goes to replica->SnapshotReported on its worker.
  void Send(std::shared_ptr<Replica> replica, NodeId to, SnapshotRequest request);

  void OnChunk(NodeId from, SnapshotChunk chunk);  // kAck, kDone
  void OnUnreachable(NodeId node);

 private:
  struct Transfer {
    std::shared_ptr<Replica> replica;
    NodeId to = 0;
    SnapshotRequest request;
    std::string directory;
    LogPosition last;
    std::vector<SnapshotFile> files;
    std::unique_ptr<RandomAccessFile> open;  // files[file]
    size_t file = 0;
    uint64_t offset = 0;
    uint64_t sent = 0;
    uint64_t acknowledged = 0;
    bool begun = false;  // the receiver was told of it
    bool ended = false;  // everything is sent
    bool counts = true;  // it was not put off because others were under way
    Instant heard;
  };

  // What was sent to a replica lately.
  struct Earlier {
    Instant ended;
    Duration pause{0};  // before the next one
  };
  using Receiver = std::pair<GroupId, ReplicaId>;

  Duration PauseBefore(const Receiver& receiver);
  void Begin(std::shared_ptr<Replica> replica, NodeId to, SnapshotRequest request);
  void Captured(uint64_t number, absl::StatusOr<struct AppliedState> state);
  absl::Status ListFiles(Transfer& transfer);
  void Pump(uint64_t number);
  absl::Status SendNextChunk(uint64_t number, Transfer& transfer);
  void Finish(uint64_t number, const absl::Status& status);
  void CheckSilence();

  FileSystem& file_system_;
  const std::string directory_;
  Executor& files_;
  Transport& transport_;
  Clock& clock_;
  ReplicationCounters& counters_;
  const SnapshotSenderOptions options_;
  uint64_t next_transfer_;
  std::map<uint64_t, Transfer> transfers_;
  std::map<Receiver, Earlier> earlier_;
  bool watching_ = false;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_SNAPSHOT_SENDER_H_
