// Reading segments as they are found on the disk, whatever state they are in: which batches show
// themselves, and their bytes. What that means for the log is log_recovery's business.
#ifndef RINGLEADER_REPLICATION_LOG_SCAN_H_
#define RINGLEADER_REPLICATION_LOG_SCAN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "replication/log_format.h"
#include "replication/log_index.h"
#include "replication/log_table.h"

namespace ringleader::replication {

// Reads a file forward through a window. Blocks that the device can't read, though it is asked
// several times, and what lies past the end come as zeros: their checksums tell. Other errors are
// errors. Not thread-safe.
class BlockReader {
 public:
  BlockReader(const RandomAccessFile& file, uint64_t size_bytes)
      : file_(file), size_bytes_(size_bytes) {}
  // Valid until the next call.
  absl::StatusOr<absl::string_view> Read(uint64_t offset, uint64_t bytes);

  // Of what was read so far: the numbers of the blocks that are no zeros at all.
  const std::set<uint64_t>& unreadable() const { return unreadable_; }

 private:
  absl::Status Fill(uint64_t offset, uint64_t bytes);
  absl::Status FillByBlocks();
  // Of the window.
  absl::Status FillPart(uint64_t at, uint64_t size);
  void ZeroPart(uint64_t at, uint64_t size);

  const RandomAccessFile& file_;
  const uint64_t size_bytes_;
  uint64_t window_offset_ = 0;
  std::string window_;
  std::set<uint64_t> unreadable_;
};

// A batch of which at least one page is intact.
struct ScannedBatch {
  BatchHeader header;
  std::vector<uint32_t> pages;  // for each part the block of an intact copy, 0: none
  uint32_t intact_pages = 0;    // of 2 * header.parts()

  bool complete() const;
};

struct ScannedSegment {
  uint64_t number = 0;
  std::string path;
  uint64_t size_bytes = 0;
  std::shared_ptr<RandomAccessFile> file;
  std::optional<SegmentHeader> header;  // none: both copies are bad
  bool has_data = false;                // a block after the headers is not zero
  uint64_t bad_blocks = 0;              // header copies
  uint64_t unreadable_blocks = 0;
  std::map<uint64_t, ScannedBatch> batches;  // by sequence
  uint64_t last_stray = 0;                   // the newest batch of which a page is in a wrong place
  uint64_t stray_end_block = 0;              // behind the last such page
};

// FAILED_PRECONDITION if a newer version wrote the segment.
absl::StatusOr<ScannedSegment> ScanSegment(FileSystem& file_system, absl::string_view directory,
                                           uint64_t number);

// The stream of a complete batch: table, and payloads if they are inlined.
absl::StatusOr<std::string> ReadStream(const ScannedSegment& segment, const ScannedBatch& batch,
                                       BlockReader& reader);

// Where the payloads of the batch begin in the file.
uint64_t PayloadOffset(const ScannedBatch& batch);

// Checks an item's payloads, which begin at `offset`: what each record is worth, `bad` for those
// that don't match their checksum.
absl::StatusOr<std::vector<EntrySlot::State>> VerifyPayloads(const EntriesItem& item,
                                                             uint64_t offset, EntrySlot::State bad,
                                                             BlockReader& reader);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_LOG_SCAN_H_
