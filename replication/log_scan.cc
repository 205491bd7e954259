#include "replication/log_scan.h"

#include <algorithm>

#include "common/check.h"
#include "common/status.h"

namespace ringleader::replication {
namespace {

constexpr uint64_t kWindowBytes = 1 << 20;

bool AllZero(absl::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == '\0'; });
}

absl::Status ReadHeader(BlockReader& reader, ScannedSegment& segment) {
  for (uint64_t copy = 0; copy < kSegmentHeaderBlocks; ++copy) {
    ASSIGN_OR_RETURN(const absl::string_view block, reader.Read(copy * kBlockBytes, kBlockBytes));
    absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(block);
    if (absl::IsFailedPrecondition(header.status())) return Annotate(header.status(), segment.path);
    if (header.ok() && header->segment == segment.number) {
      segment.header = *header;
    } else {
      ++segment.bad_blocks;
    }
  }
  return absl::OkStatus();
}

// The pages of a batch agree on what the batch is; one that doesn't belongs to another time.
void AddPage(const Page& page, uint32_t block, ScannedSegment& segment) {
  const auto [place, added] = segment.batches.try_emplace(page.batch.sequence);
  ScannedBatch& batch = place->second;
  if (added) {
    batch.header = page.batch;
    batch.pages.resize(page.batch.parts());
  } else if (batch.header != page.batch) {
    return;
  }
  // The first copy, which stands in front of the payloads: so reading goes forward all the way.
  if (batch.pages[page.part] == 0) batch.pages[page.part] = block;
  ++batch.intact_pages;
}

}  // namespace

absl::StatusOr<absl::string_view> BlockReader::Read(uint64_t offset, uint64_t bytes) {
  const bool inside = offset >= window_offset_ && offset + bytes <= window_offset_ + window_.size();
  if (!inside) RETURN_IF_ERROR(Fill(offset, bytes));
  return absl::string_view(window_).substr(offset - window_offset_, bytes);
}

absl::Status BlockReader::Fill(uint64_t offset, uint64_t bytes) {
  window_offset_ = offset / kBlockBytes * kBlockBytes;
  const uint64_t ahead =
      size_bytes_ > window_offset_ ? std::min(kWindowBytes, size_bytes_ - window_offset_) : 0;
  window_.resize(std::max(offset + bytes - window_offset_, ahead));
  absl::Status status = FillPart(0, window_.size());
  if (absl::IsDataLoss(status)) status = FillByBlocks();
  if (!status.ok()) window_.clear();  // it has what was read before
  return status;
}

absl::Status BlockReader::FillByBlocks() {
  for (uint64_t at = 0; at < window_.size(); at += kBlockBytes) {
    const uint64_t size = std::min<uint64_t>(kBlockBytes, window_.size() - at);
    absl::Status status = FillPart(at, size);
    for (int attempt = 1; attempt < kReadAttempts && absl::IsDataLoss(status); ++attempt) {
      status = FillPart(at, size);
    }
    if (absl::IsDataLoss(status)) {
      ZeroPart(at, size);
      unreadable_.insert((window_offset_ + at) / kBlockBytes);
    } else if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status BlockReader::FillPart(uint64_t at, uint64_t size) {
  ASSIGN_OR_RETURN(const size_t read,
                   file_.Read(window_offset_ + at, absl::MakeSpan(&window_[at], size)));
  ZeroPart(at + read, size - read);
  return absl::OkStatus();
}

void BlockReader::ZeroPart(uint64_t at, uint64_t size) {
  std::fill_n(window_.begin() + static_cast<int64_t>(at), size, '\0');
}

bool ScannedBatch::complete() const {
  return std::find(pages.begin(), pages.end(), 0u) == pages.end();
}

absl::StatusOr<ScannedSegment> ScanSegment(FileSystem& file_system, absl::string_view directory,
                                           uint64_t number) {
  ScannedSegment segment;
  segment.number = number;
  segment.path = JoinPath(directory, SegmentName(number));
  ASSIGN_OR_RETURN(segment.size_bytes, file_system.FileSize(segment.path));
  ASSIGN_OR_RETURN(segment.file, file_system.OpenForRead(segment.path));
  BlockReader reader(*segment.file, segment.size_bytes);
  RETURN_IF_ERROR(ReadHeader(reader, segment));
  const uint64_t blocks = std::min(segment.size_bytes, kSegmentBytesLimit) / kBlockBytes;
  for (uint32_t block = kSegmentHeaderBlocks; block < blocks; ++block) {
    ASSIGN_OR_RETURN(const absl::string_view bytes, reader.Read(block * kBlockBytes, kBlockBytes));
    if (!segment.has_data) {
      segment.has_data = !AllZero(bytes) || reader.unreadable().contains(block);
    }
    if (!segment.header.has_value()) continue;
    const std::optional<Page> page = DecodePage(*segment.header, block, bytes);
    if (page.has_value()) {
      AddPage(*page, block, segment);
    } else if (const auto stray = SequenceOfStray(*segment.header, block, bytes)) {
      segment.last_stray = std::max(segment.last_stray, *stray);
      segment.stray_end_block = block + 1;
    }
  }
  segment.unreadable_blocks = reader.unreadable().size();
  return segment;
}

absl::StatusOr<std::string> ReadStream(const ScannedSegment& segment, const ScannedBatch& batch,
                                       BlockReader& reader) {
  CHECK(batch.complete() && segment.header.has_value());
  std::string stream;
  for (const uint32_t block : batch.pages) {
    ASSIGN_OR_RETURN(const absl::string_view bytes, reader.Read(block * kBlockBytes, kBlockBytes));
    const std::optional<Page> page = DecodePage(*segment.header, block, bytes);
    if (!page.has_value()) {
      return absl::DataLossError("a block of " + segment.path + " changed while it was read");
    }
    stream.append(page->data.data(), page->data.size());
  }
  CHECK_EQ(stream.size(), batch.header.stream_bytes());
  return stream;
}

uint64_t PayloadOffset(const ScannedBatch& batch) {
  if (!batch.header.inlined()) return batch.header.payload_offset();
  return batch.pages.front() * kBlockBytes + kPageHeaderBytes + batch.header.table_bytes;
}

absl::StatusOr<std::vector<EntrySlot::State>> VerifyPayloads(const EntriesItem& item,
                                                             uint64_t offset, EntrySlot::State bad,
                                                             BlockReader& reader) {
  std::vector<EntrySlot::State> states(item.records.size(), EntrySlot::kIntact);
  for (size_t i = 0; i < item.records.size(); ++i) {
    const EntryRecord& record = item.records[i];
    ASSIGN_OR_RETURN(const absl::string_view payload, reader.Read(offset, record.bytes));
    const uint32_t checksum =
        EntryChecksum(item.group, item.first + i, record.term, record.kind, payload);
    if (checksum != record.checksum) states[i] = bad;
    offset += record.bytes;
  }
  return states;
}

}  // namespace ringleader::replication
