#include "replication/snapshot_sender.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/logging.h"
#include "common/status.h"
#include "replication/message_codec.h"
#include "replication/replica.h"

namespace ringleader::replication {
namespace {

constexpr Duration kSilenceCheckPeriod = std::chrono::seconds(1);

}  // namespace

SnapshotSender::SnapshotSender(FileSystem& file_system, const std::string& directory,
                               Executor& files, Transport& transport, Clock& clock,
                               ReplicationCounters& counters, uint64_t first_transfer,
                               const SnapshotSenderOptions& options)
    : file_system_(file_system),
      directory_(directory),
      files_(files),
      transport_(transport),
      clock_(clock),
      counters_(counters),
      options_(options),
      next_transfer_(first_transfer) {}

void SnapshotSender::Send(std::shared_ptr<Replica> replica, NodeId to, SnapshotRequest request) {
  files_.Post([this, replica = std::move(replica), to, request = std::move(request)]() mutable {
    const Duration pause = PauseBefore({replica->group(), request.message.to});
    if (pause <= Duration(0)) return Begin(std::move(replica), to, std::move(request));
    files_.PostAfter(
        pause, [this, replica = std::move(replica), to, request = std::move(request)]() mutable {
          Begin(std::move(replica), to, std::move(request));
        });
  });
}

// How long the next transfer to this replica has to wait. Meanwhile the core asks for no other.
Duration SnapshotSender::PauseBefore(const Receiver& receiver) {
  const Instant now = clock_.Now();
  std::erase_if(earlier_, [&](const auto& each) {
    return WaiterElapsed(each.second.ended, now) >= options_.again_within;
  });
  const auto found = earlier_.find(receiver);
  if (found == earlier_.end()) return Duration(0);
  Earlier& earlier = found->second;
  earlier.pause = std::clamp(2 * earlier.pause, options_.pause_min, options_.pause_max);
  return earlier.pause - WaiterElapsed(earlier.ended, now);
}

void SnapshotSender::Begin(std::shared_ptr<Replica> replica, NodeId to, SnapshotRequest request) {
  const uint64_t number = next_transfer_++;
  const std::string directory = JoinPath(directory_, absl::StrCat(number));
  Transfer& transfer = transfers_[number];
  transfer.replica = replica;
  transfer.to = to;
  transfer.request = std::move(request);
  transfer.directory = directory;
  transfer.heard = clock_.Now();
  counters_.snapshots_sending = static_cast<int64_t>(transfers_.size());
  transfer.counts = transfers_.size() <= static_cast<size_t>(options_.transfers_max);
  if (!transfer.counts) {
    return Finish(number, absl::ResourceExhaustedError("enough snapshots are under way"));
  }
  if (absl::Status made = CreateDirectories(file_system_, directory); !made.ok()) {
    return Finish(number, made);
  }
  if (!std::exchange(watching_, true)) {
    files_.PostAfter(kSilenceCheckPeriod, [this] { CheckSilence(); });
  }
  replica->applier().Post([this, replica, number, directory] {
    auto state = replica->Capture(directory);
    files_.Post(
        [this, number, state = std::move(state)]() mutable { Captured(number, std::move(state)); });
  });
}

void SnapshotSender::Captured(uint64_t number, absl::StatusOr<AppliedState> state) {
  const auto found = transfers_.find(number);
  if (found == transfers_.end()) {  // given up meanwhile
    RemoveRecursively(file_system_, JoinPath(directory_, absl::StrCat(number))).IgnoreError();
    return;
  }
  Transfer& transfer = found->second;
  if (!state.ok()) return Finish(number, state.status());
  if (state->last.index < transfer.request.index_min) {
    return Finish(number, absl::UnavailableError("the state is not yet at the index asked for"));
  }
  if (absl::Status listed = ListFiles(transfer); !listed.ok()) return Finish(number, listed);
  transfer.last = state->last;
  Message& message = transfer.request.message;
  message.snapshot = SnapshotMeta{.last = state->last, .configuration = state->configuration};
  SnapshotChunk begin{.kind = SnapshotChunkKind::kBegin, .transfer = number};
  EncodeMessage(message, &begin.message);
  begin.files = transfer.files;
  if (!transport_.Send(transfer.to, Lane::kSnapshot, EncodeSnapshotChunk(begin))) {
    return Finish(number, absl::UnavailableError("the snapshot lane takes nothing"));
  }
  transfer.begun = true;
  Pump(number);
}

absl::Status SnapshotSender::ListFiles(Transfer& transfer) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, file_system_.List(transfer.directory));
  if (names.size() > kSnapshotFilesMax) {
    return absl::OutOfRangeError(
        absl::StrCat(names.size(), " files are more than a snapshot holds"));
  }
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const uint64_t size,
                     file_system_.FileSize(JoinPath(transfer.directory, name)));
    transfer.files.push_back({name, size});
  }
  return absl::OkStatus();
}

// Sends until the window is full or everything is out.
void SnapshotSender::Pump(uint64_t number) {
  const auto found = transfers_.find(number);
  if (found == transfers_.end()) return;
  Transfer& transfer = found->second;
  while (!transfer.ended && transfer.sent - transfer.acknowledged < options_.window_bytes) {
    if (absl::Status sent = SendNextChunk(number, transfer); !sent.ok()) {
      return Finish(number, sent);
    }
  }
  transport_.Flush();
}

absl::Status SnapshotSender::SendNextChunk(uint64_t number, Transfer& transfer) {
  while (transfer.file < transfer.files.size() &&
         transfer.offset == transfer.files[transfer.file].size) {
    ++transfer.file;
    transfer.offset = 0;
    transfer.open = nullptr;
  }
  SnapshotChunk chunk{.kind = SnapshotChunkKind::kData, .transfer = number};
  if (transfer.file == transfer.files.size()) {
    chunk.kind = SnapshotChunkKind::kEnd;
    transfer.ended = true;
  } else {
    const SnapshotFile& file = transfer.files[transfer.file];
    if (transfer.open == nullptr) {
      const std::string path = JoinPath(transfer.directory, file.name);
      // A bad block that nobody has read must not take the place of a peer's good state.
      RETURN_IF_ERROR(transfer.replica->CheckCaptured(path));
      ASSIGN_OR_RETURN(transfer.open, file_system_.OpenForRead(path));
    }
    chunk.file = transfer.file;
    chunk.offset = transfer.offset;
    chunk.bytes.resize(std::min(options_.chunk_bytes, file.size - transfer.offset));
    ASSIGN_OR_RETURN(const size_t got,
                     transfer.open->Read(transfer.offset, absl::MakeSpan(chunk.bytes)));
    if (got != chunk.bytes.size()) return absl::DataLossError(file.name + " became shorter");
    chunk.crc = crc32c::Value(chunk.bytes);
    transfer.offset += got;
    transfer.sent += got;
    counters_.snapshot_bytes_sent.Add(got);
  }
  if (!transport_.Send(transfer.to, Lane::kSnapshot, EncodeSnapshotChunk(chunk))) {
    return absl::UnavailableError("the snapshot lane takes nothing");
  }
  return absl::OkStatus();
}

void SnapshotSender::OnChunk(NodeId from, SnapshotChunk chunk) {
  files_.Post([this, from, chunk = std::move(chunk)] {
    const auto found = transfers_.find(chunk.transfer);
    if (found == transfers_.end() || found->second.to != from) return;
    found->second.heard = clock_.Now();
    if (chunk.kind == SnapshotChunkKind::kAck) {
      // A receiver can't acknowledge what was not sent.
      found->second.acknowledged =
          std::clamp(chunk.received, found->second.acknowledged, found->second.sent);
      Pump(chunk.transfer);
    } else {
      Finish(chunk.transfer,
             chunk.error.empty() ? absl::OkStatus() : absl::UnavailableError(chunk.error));
    }
  });
}

void SnapshotSender::OnUnreachable(NodeId node) {
  files_.Post([this, node] {
    std::vector<uint64_t> broken;
    for (const auto& [number, transfer] : transfers_) {
      if (transfer.to == node) broken.push_back(number);
    }
    for (const uint64_t number : broken) {
      Finish(number, absl::UnavailableError("the snapshot lane broke"));
    }
  });
}

// What the receiver sent last may be lost with its lane, and it may have dropped the transfer.
void SnapshotSender::CheckSilence() {
  std::vector<uint64_t> silent;
  const Instant now = clock_.Now();
  for (const auto& [number, transfer] : transfers_) {
    const Duration silence = HolderElapsed(transfer.heard, now);
    if (silence > options_.silence_max) {
      silent.push_back(number);
    } else if (transfer.begun && silence > kSilenceCheckPeriod) {
      transport_.Send(transfer.to, Lane::kSnapshot,
                      EncodeSnapshotChunk({.kind = SnapshotChunkKind::kAsk, .transfer = number}));
    }
  }
  transport_.Flush();
  for (const uint64_t number : silent) {
    Finish(number, absl::DeadlineExceededError("the receiver fell silent"));
  }
  watching_ = !transfers_.empty();
  if (watching_) files_.PostAfter(kSilenceCheckPeriod, [this] { CheckSilence(); });
}

void SnapshotSender::Finish(uint64_t number, const absl::Status& status) {
  auto node = transfers_.extract(number);
  CHECK(!node.empty());
  Transfer& transfer = node.mapped();
  (status.ok() ? counters_.snapshots_sent : counters_.snapshots_not_sent).Add();
  counters_.snapshots_sending = static_cast<int64_t>(transfers_.size());
  if (!status.ok()) {
    LogInfo("group ", transfer.replica->group(), ": snapshot to node ", transfer.to,
            " failed: ", status.ToString());
  }
  // Only what was read here says so: what the receiver reports comes as UNAVAILABLE.
  if (absl::IsDataLoss(status)) {
    transfer.replica->StateFailed(Annotate(status, "reading its state for a snapshot"));
  }
  if (transfer.counts) {
    earlier_[{transfer.replica->group(), transfer.request.message.to}].ended = clock_.Now();
  }
  transfer.open = nullptr;
  RemoveRecursively(file_system_, transfer.directory).IgnoreError();  // at the next start again
  absl::StatusOr<Index> outcome = transfer.last.index;
  if (!status.ok()) outcome = status;
  const ReplicaId to = transfer.request.message.to;
  transfer.replica->PostToWorker(
      [replica = transfer.replica, to, outcome] { replica->SnapshotReported(to, outcome); });
}

}  // namespace ringleader::replication
