// Receives snapshots for this node's replicas: writes the files into a new generation's directory,
// makes them durable, and only then tells the replica, whose log then commits to that generation
// with one record (DESIGN section 11, rule 12). Until that record is durable the directory means
// nothing: a crash leaves it behind and the next opening removes it.
//
// Threads: OnChunk may be called from anywhere; everything else runs on `files`.
#ifndef RINGLEADER_REPLICATION_SNAPSHOT_RECEIVER_H_
#define RINGLEADER_REPLICATION_SNAPSHOT_RECEIVER_H_

#include <cstdint>
#include <functional>
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
#include "replication/messages.h"
#include "replication/snapshot_chunk.h"
#include "replication/transport.h"

namespace ringleader::replication {

class Replica;
enum class StagedFate : uint8_t;

class SnapshotReceiver {
 public:
  // At once on a node; further ones are refused and come again.
  static constexpr size_t kTransfersMax = 4;
  // A transfer that nothing was heard of for this long makes room for another.
  static constexpr Duration kSilenceMax = std::chrono::seconds(20);

  // Finds the replica that a snapshot is for, creating a learner if that is right; null: not here.
  using FindReplica = std::function<std::shared_ptr<Replica>(NodeId from, const Message& message)>;

  // All outlive it. `find` is called on `files`.
  SnapshotReceiver(FileSystem& file_system, Executor& files, Transport& transport, Clock& clock,
                   ReplicationCounters& counters, FindReplica find);

  void OnChunk(NodeId from, SnapshotChunk chunk);  // kBegin, kData, kEnd, kAsk
  // The lane to this node broke, on which it is answered: what it was sending is dropped. It asks.
  void OnUnreachable(NodeId node);

 private:
  using Key = std::pair<NodeId, uint64_t>;

  struct Transfer {
    std::shared_ptr<Replica> replica;
    Message message;
    std::string directory;
    std::vector<SnapshotFile> files;
    std::unique_ptr<WritableFile> open;  // files[file]
    size_t file = 0;
    uint64_t offset = 0;
    uint64_t received = 0;
    Instant heard;
  };

  absl::Status Begin(const Key& key, SnapshotChunk& chunk);
  absl::Status Write(Transfer& transfer, const SnapshotChunk& chunk);
  // Opens the next file that has bytes to come; the ones before are complete and synced.
  absl::Status Advance(Transfer& transfer);
  absl::Status Complete(const Key& key, Transfer& transfer);
  void Decided(const Key& key, StagedFate fate, const std::string& directory);
  void DropSilent();
  void Drop(const Key& key);
  void Answer(const Key& key);
  void SendAck(const Key& key, uint64_t received);
  void SendDone(const Key& key, const absl::Status& status);

  FileSystem& file_system_;
  Executor& files_;
  Transport& transport_;
  Clock& clock_;
  ReplicationCounters& counters_;
  const FindReplica find_;
  std::map<Key, Transfer> transfers_;
  std::map<Key, uint64_t> installing_;  // arrived whole, with their bytes; the replicas decide
  // Of all replicas. No generation is given out twice in the life of a process: what is left of an
  // earlier transfer may still remove its directory, and must not find another's under that name.
  // Earlier lives left nothing that could.
  uint64_t last_generation_ = 0;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_SNAPSHOT_RECEIVER_H_
