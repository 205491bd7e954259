#include "replication/snapshot_chunk.h"

#include "absl/strings/match.h"
#include "common/coding.h"

namespace ringleader::replication {
namespace {

bool StaysInDirectory(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." && !absl::StrContains(name, '/') &&
         !absl::StrContains(name, '\0');
}

void PutBegin(const SnapshotChunk& chunk, std::string& bytes) {
  PutLengthPrefixed(chunk.message, bytes);
  PutVarint(chunk.files.size(), bytes);
  for (const SnapshotFile& file : chunk.files) {
    PutLengthPrefixed(file.name, bytes);
    PutVarint(file.size, bytes);
  }
}

void TakeBegin(Decoder& decoder, SnapshotChunk& chunk) {
  chunk.message = std::string(decoder.LengthPrefixed());
  const uint64_t files = decoder.VarintUpTo(kSnapshotFilesMax);
  for (uint64_t i = 0; i < files && decoder.ok(); ++i) {
    SnapshotFile file;
    file.name = std::string(decoder.LengthPrefixed());
    file.size = decoder.Varint();
    chunk.files.push_back(std::move(file));
  }
}

}  // namespace

std::string EncodeSnapshotChunk(const SnapshotChunk& chunk) {
  std::string bytes(1, static_cast<char>(chunk.kind));
  PutVarint(chunk.transfer, bytes);
  switch (chunk.kind) {
    case SnapshotChunkKind::kBegin:
      PutBegin(chunk, bytes);
      break;
    case SnapshotChunkKind::kData:
      PutVarint(chunk.file, bytes);
      PutVarint(chunk.offset, bytes);
      PutFixed32(chunk.crc, bytes);
      PutLengthPrefixed(chunk.bytes, bytes);
      break;
    case SnapshotChunkKind::kEnd:
    case SnapshotChunkKind::kAsk:
      break;
    case SnapshotChunkKind::kAck:
      PutVarint(chunk.received, bytes);
      break;
    case SnapshotChunkKind::kDone:
      PutLengthPrefixed(chunk.error, bytes);
      break;
  }
  return bytes;
}

absl::StatusOr<SnapshotChunk> DecodeSnapshotChunk(absl::string_view bytes) {
  Decoder decoder(bytes);
  SnapshotChunk chunk;
  chunk.kind = static_cast<SnapshotChunkKind>(decoder.Byte());
  chunk.transfer = decoder.Varint();
  switch (chunk.kind) {
    case SnapshotChunkKind::kBegin:
      TakeBegin(decoder, chunk);
      break;
    case SnapshotChunkKind::kData:
      chunk.file = decoder.Varint();
      chunk.offset = decoder.Varint();
      chunk.crc = decoder.Fixed32();
      chunk.bytes = std::string(decoder.LengthPrefixed());
      break;
    case SnapshotChunkKind::kEnd:
    case SnapshotChunkKind::kAsk:
      break;
    case SnapshotChunkKind::kAck:
      chunk.received = decoder.Varint();
      break;
    case SnapshotChunkKind::kDone:
      chunk.error = std::string(decoder.LengthPrefixed());
      break;
    default:
      return absl::InvalidArgumentError("snapshot chunk of an unknown kind");
  }
  if (!decoder.AtEnd()) return absl::InvalidArgumentError("malformed snapshot chunk");
  for (const SnapshotFile& file : chunk.files) {
    if (!StaysInDirectory(file.name)) {
      return absl::InvalidArgumentError("snapshot chunk names a file outside its directory");
    }
  }
  return chunk;
}

}  // namespace ringleader::replication
