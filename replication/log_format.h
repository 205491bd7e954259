// The blocks of a log segment, byte by byte (replication/log.md has the pictures). On disk: nothing
// here may change without a new version; tests/unit/replication_log pins the bytes.
//
// A segment is a file of 4096-byte blocks: its header twice, then batches. A batch is
//   head pages | payload blocks | tail pages
// where head and tail hold the same stream (the table of what is in the batch, log_table.h), cut
// into pages of kPageDataBytes, each with its own checksum, place and sequence number. If table and
// payloads fit into one page, the payloads stand in the stream behind the table, and there are no
// payload blocks.
#ifndef RINGLEADER_REPLICATION_LOG_FORMAT_H_
#define RINGLEADER_REPLICATION_LOG_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "replication/types.h"

namespace ringleader::replication {

inline constexpr uint32_t kLogVersion = 1;
inline constexpr uint64_t kBlockBytes = 4096;
inline constexpr uint64_t kPageHeaderBytes = 64;
inline constexpr uint64_t kPageDataBytes = kBlockBytes - kPageHeaderBytes;
inline constexpr uint64_t kSegmentHeaderBlocks = 2;  // two copies
// Offsets in a segment are 32 bits in the index.
inline constexpr uint64_t kSegmentBytesLimit = (1ull << 32) - kBlockBytes;

struct SegmentHeader {
  uint64_t cluster = 0;
  NodeId node = 0;
  uint64_t segment = 0;         // its number; grows by one from 1
  uint64_t first_sequence = 0;  // of its first batch, which is a checkpoint
  uint64_t salt = 0;            // part of every page's checksum in this segment
  // Not 0: Log::Open wrote this segment. Batches of earlier segments from this sequence on don't
  // count: what was left of them stands in this one's first batch. Until a second batch follows,
  // the segment itself doesn't count.
  uint64_t void_from = 0;

  bool opening() const { return void_from != 0; }
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

// One block.
std::string EncodeSegmentHeader(const SegmentHeader& header);
// DATA_LOSS if this is no intact header, FAILED_PRECONDITION if it is one of a newer version.
absl::StatusOr<SegmentHeader> DecodeSegmentHeader(absl::string_view block);

// What each page of a batch says about it.
struct BatchHeader {
  uint64_t sequence = 0;
  uint64_t oldest_segment = 0;  // earlier ones are not part of the log any more
  uint32_t start_block = 0;     // in the segment
  uint32_t table_bytes = 0;
  uint32_t payload_bytes = 0;

  bool inlined() const { return table_bytes + uint64_t{payload_bytes} <= kPageDataBytes; }
  uint64_t stream_bytes() const { return table_bytes + (inlined() ? payload_bytes : 0); }
  // Pages of the head, and again of the tail.
  uint32_t parts() const {
    return static_cast<uint32_t>((stream_bytes() + kPageDataBytes - 1) / kPageDataBytes);
  }
  uint32_t payload_blocks() const {
    return inlined() ? 0 : static_cast<uint32_t>((payload_bytes + kBlockBytes - 1) / kBlockBytes);
  }
  uint32_t blocks() const { return 2 * parts() + payload_blocks(); }
  uint32_t end_block() const { return start_block + blocks(); }
  uint64_t bytes() const { return blocks() * kBlockBytes; }
  // In the segment, if not inlined.
  uint64_t payload_offset() const { return (uint64_t{start_block} + parts()) * kBlockBytes; }

  friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};

enum class PageCopy : uint8_t { kHead = 0, kTail = 1 };

struct Page {
  BatchHeader batch;
  PageCopy copy = PageCopy::kHead;
  uint32_t part = 0;
  absl::string_view data;  // points into the block
};

// Appends the batch's head or tail: batch.parts() blocks. `stream` has batch.stream_bytes().
void AppendPages(const SegmentHeader& segment, const BatchHeader& batch, PageCopy copy,
                 absl::string_view stream, std::string& to);
// The page in block number `block` of the segment, if there is an intact one that belongs there.
std::optional<Page> DecodePage(const SegmentHeader& segment, uint32_t block,
                               absl::string_view bytes);
// The batch's sequence, if the block is a page of this segment that was written for another block:
// the device put it here instead. None: it is something else.
std::optional<uint64_t> SequenceOfStray(const SegmentHeader& segment, uint32_t block,
                                        absl::string_view bytes);
// Where a part of the head or tail stands.
uint32_t PageBlock(const BatchHeader& batch, PageCopy copy, uint32_t part);

// Covers what the entry is as well as its payload: a record can't pass for another one.
uint32_t EntryChecksum(GroupId group, Index index, Term term, EntryKind kind,
                       absl::string_view payload);

// "00000000000000000042.segment" and back.
std::string SegmentName(uint64_t segment);
std::optional<uint64_t> ParseSegmentName(absl::string_view name);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_FORMAT_H_
