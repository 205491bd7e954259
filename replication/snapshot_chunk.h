// What travels on the snapshot lane. A transfer sends a directory's files in order:
//
//   sender -> receiver   Begin (what it is, which files), Data ... Data, End; Ask after a silence
//   receiver -> sender   Ack (bytes received so far) after each Data and Ask, Done (outcome)
//
// Bytes: kind, then varints and length-prefixed strings in the order of the fields. On the wire:
// may not change; a golden-bytes test pins it.
#ifndef RINGLEADER_REPLICATION_SNAPSHOT_CHUNK_H_
#define RINGLEADER_REPLICATION_SNAPSHOT_CHUNK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringleader::replication {

enum class SnapshotChunkKind : uint8_t {
  kBegin = 1,
  kData = 2,
  kEnd = 3,
  kAck = 4,
  kDone = 5,
  kAsk = 6
};

struct SnapshotFile {
  std::string name;  // within the directory: no separators, not "." or ".."
  uint64_t size = 0;
  friend bool operator==(const SnapshotFile&, const SnapshotFile&) = default;
};

inline constexpr size_t kSnapshotFilesMax = 1 << 16;

struct SnapshotChunk {
  SnapshotChunkKind kind = SnapshotChunkKind::kAck;
  uint64_t transfer = 0;  // the sender's number for it

  std::string message;              // kBegin: the encoded kSnapshot message
  std::vector<SnapshotFile> files;  // kBegin

  uint64_t file = 0;    // kData: which of `files`
  uint64_t offset = 0;  // kData: within the file
  uint32_t crc = 0;     // kData: CRC-32C of `bytes`
  std::string bytes;    // kData

  uint64_t received = 0;  // kAck: bytes of all files together
  std::string error;      // kDone: empty if the data arrived whole and is durable
};

std::string EncodeSnapshotChunk(const SnapshotChunk& chunk);
// INVALID_ARGUMENT: not something EncodeSnapshotChunk returns, or a file name that could leave the
// directory.
absl::StatusOr<SnapshotChunk> DecodeSnapshotChunk(absl::string_view bytes);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_SNAPSHOT_CHUNK_H_
