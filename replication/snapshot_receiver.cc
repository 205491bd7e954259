#include "replication/snapshot_receiver.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/logging.h"
#include "common/mutants.h"
#include "common/status.h"
#include "replication/configuration.h"
#include "replication/message_codec.h"
#include "replication/replica.h"

namespace ringleader::replication {

SnapshotReceiver::SnapshotReceiver(FileSystem& file_system, Executor& files, Transport& transport,
                                   Clock& clock, ReplicationCounters& counters, FindReplica find)
    : file_system_(file_system),
      files_(files),
      transport_(transport),
      clock_(clock),
      counters_(counters),
      find_(std::move(find)) {}

void SnapshotReceiver::OnChunk(NodeId from, SnapshotChunk chunk) {
  files_.Post([this, from, chunk = std::move(chunk)]() mutable {
    const Key key{from, chunk.transfer};
    if (chunk.kind == SnapshotChunkKind::kAsk) return Answer(key);
    absl::Status status;
    if (chunk.kind == SnapshotChunkKind::kBegin) {
      status = Begin(key, chunk);
    } else {
      const auto found = transfers_.find(key);
      if (found == transfers_.end()) return;  // refused or dropped before
      found->second.heard = clock_.Now();
      status = chunk.kind == SnapshotChunkKind::kData ? Write(found->second, chunk)
                                                      : Complete(key, found->second);
      if (status.ok() && chunk.kind == SnapshotChunkKind::kData) {
        SendAck(key, found->second.received);
      }
    }
    if (!status.ok()) {
      LogWarning("snapshot from node ", from, " refused: ", status.ToString());
      Drop(key);
      SendDone(key, status);
    }
  });
}

// An answer was lost, or there is none yet: files take their time to sync, a replica to install.
void SnapshotReceiver::Answer(const Key& key) {
  const auto found = transfers_.find(key);
  if (found != transfers_.end()) {
    found->second.heard = clock_.Now();
    return SendAck(key, found->second.received);
  }
  const auto installing = installing_.find(key);
  if (installing != installing_.end()) return SendAck(key, installing->second);
  SendDone(key, absl::UnavailableError("it is over at the receiver, or was dropped there"));
}

absl::Status SnapshotReceiver::Begin(const Key& key, SnapshotChunk& chunk) {
  ASSIGN_OR_RETURN(Message message, DecodeMessage(chunk.message));
  if (message.kind != MessageKind::kSnapshot) return absl::InvalidArgumentError("not a snapshot");
  std::shared_ptr<Replica> replica = find_(key.first, message);
  if (replica == nullptr) return absl::NotFoundError("no such replica here");
  if (message.snapshot.last.index < replica->snapshot_floor()) {
    replica->NoteOffer(message.term);
    return absl::OutOfRangeError("it is older than what was applied here");
  }
  replica->NoteOffer(0);
  const bool counted = message.lost || IsVoter(message.snapshot.configuration, message.to);
  if (counted && replica->view().unfillable && !MUTANT("wiped-voter-returns")) {
    // As its core would (core_follower.cc), before all the data has come.
    return absl::FailedPreconditionError("its group counts on it as a voter, and it has no log");
  }
  // A newer attempt for the same replica takes the place of an older one, also if the replica was
  // closed and opened again since.
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    const auto& [other, transfer] = *it++;
    if (transfer.replica->group() == replica->group() && transfer.replica->id() == replica->id()) {
      Drop(Key(other));
    }
  }
  if (transfers_.size() >= kTransfersMax) DropSilent();
  if (transfers_.size() >= kTransfersMax) {
    return absl::ResourceExhaustedError("enough snapshots are under way here");
  }
  Transfer transfer;
  transfer.message = std::move(message);
  ASSIGN_OR_RETURN(const uint64_t highest, replica->HighestGeneration());
  last_generation_ = std::max(last_generation_, highest) + 1;
  transfer.message.snapshot.generation = last_generation_;
  transfer.directory = replica->GenerationDirectory(transfer.message.snapshot.generation);
  transfer.replica = std::move(replica);
  transfer.files = std::move(chunk.files);
  transfer.heard = clock_.Now();
  RETURN_IF_ERROR(CreateDirectories(file_system_, transfer.directory));
  Transfer& placed = transfers_.emplace(key, std::move(transfer)).first->second;
  counters_.snapshots_receiving = static_cast<int64_t>(transfers_.size());
  return Advance(placed);
}

absl::Status SnapshotReceiver::Advance(Transfer& transfer) {
  for (;;) {
    if (transfer.open == nullptr) {
      if (transfer.file == transfer.files.size()) return absl::OkStatus();
      ASSIGN_OR_RETURN(transfer.open,
                       file_system_.OpenForWrite(
                           JoinPath(transfer.directory, transfer.files[transfer.file].name),
                           WriteMode::kCreate));
      transfer.offset = 0;
    }
    if (transfer.offset < transfer.files[transfer.file].size) return absl::OkStatus();
    RETURN_IF_ERROR(transfer.open->Sync());
    RETURN_IF_ERROR(transfer.open->Close());
    transfer.open = nullptr;
    ++transfer.file;
  }
}

absl::Status SnapshotReceiver::Write(Transfer& transfer, const SnapshotChunk& chunk) {
  if (transfer.open == nullptr || chunk.file != transfer.file || chunk.offset != transfer.offset ||
      chunk.bytes.size() > transfer.files[transfer.file].size - transfer.offset) {
    return absl::InvalidArgumentError("a chunk that is not the next one");
  }
  if (crc32c::Value(chunk.bytes) != chunk.crc) {
    return absl::DataLossError(
        absl::StrCat("bytes of ", transfer.files[transfer.file].name, " were altered on the way"));
  }
  RETURN_IF_ERROR(transfer.open->Append(chunk.bytes));
  transfer.offset += chunk.bytes.size();
  transfer.received += chunk.bytes.size();
  counters_.snapshot_bytes_received.Add(chunk.bytes.size());
  return Advance(transfer);
}

absl::Status SnapshotReceiver::Complete(const Key& key, Transfer& transfer) {
  if (transfer.open != nullptr) return absl::InvalidArgumentError("it ends before all bytes came");
  RETURN_IF_ERROR(file_system_.SyncDirectory(transfer.directory));
  RETURN_IF_ERROR(file_system_.SyncDirectory(ParentPath(transfer.directory)));
  auto node = transfers_.extract(key);
  counters_.snapshots_received.Add();
  counters_.snapshots_receiving = static_cast<int64_t>(transfers_.size());
  Transfer& done = node.mapped();
  installing_[key] = done.received;
  const std::shared_ptr<Replica> replica = done.replica;
  replica->PostToWorker([this, key, replica, message = std::move(done.message),
                         directory = std::move(done.directory)]() mutable {
    replica->SnapshotStaged(
        std::move(message), [this, key, directory = std::move(directory)](StagedFate fate) {
          files_.Post([this, key, fate, directory] { Decided(key, fate, directory); });
        });
  });
  return absl::OkStatus();
}

void SnapshotReceiver::Decided(const Key& key, StagedFate fate, const std::string& directory) {
  installing_.erase(key);
  if (fate == StagedFate::kUnknown) {
    return SendDone(key, absl::UnavailableError("the replica was closed while it installed it"));
  }
  if (fate == StagedFate::kRefused) RemoveRecursively(file_system_, directory).IgnoreError();
  // Refused because it was not needed any more: nothing to send again either.
  SendDone(key, absl::OkStatus());
}

void SnapshotReceiver::OnUnreachable(NodeId node) {
  files_.Post([this, node] {
    std::vector<Key> broken;
    for (const auto& [key, transfer] : transfers_) {
      if (key.first == node) broken.push_back(key);
    }
    for (const Key& key : broken) Drop(key);
  });
}

void SnapshotReceiver::DropSilent() {
  const Instant now = clock_.Now();
  std::vector<Key> silent;
  for (const auto& [key, transfer] : transfers_) {
    if (HolderElapsed(transfer.heard, now) > kSilenceMax) silent.push_back(key);
  }
  for (const Key& key : silent) Drop(key);
}

void SnapshotReceiver::Drop(const Key& key) {
  auto node = transfers_.extract(key);
  if (node.empty()) return;
  counters_.snapshots_not_received.Add();
  counters_.snapshots_receiving = static_cast<int64_t>(transfers_.size());
  node.mapped().open = nullptr;
  RemoveRecursively(file_system_, node.mapped().directory).IgnoreError();  // or at the next start
}

void SnapshotReceiver::SendAck(const Key& key, uint64_t received) {
  transport_.Send(
      key.first, Lane::kSnapshot,
      EncodeSnapshotChunk(
          {.kind = SnapshotChunkKind::kAck, .transfer = key.second, .received = received}));
  transport_.Flush();
}

void SnapshotReceiver::SendDone(const Key& key, const absl::Status& status) {
  transport_.Send(key.first, Lane::kSnapshot,
                  EncodeSnapshotChunk({.kind = SnapshotChunkKind::kDone,
                                       .transfer = key.second,
                                       .error = status.ok() ? "" : status.ToString()}));
  transport_.Flush();
}

}  // namespace ringleader::replication
