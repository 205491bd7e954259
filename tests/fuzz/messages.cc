// What arrives from other nodes and from the log's tables: any bytes are refused or are the one
// encoding of what they say.
#include <string>
#include <vector>

#include "common/coding.h"
#include "common/crc32c.h"
#include "replication/configuration.h"
#include "replication/log_format.h"
#include "replication/log_table.h"
#include "replication/message_codec.h"
#include "replication/snapshot_chunk.h"
#include "tests/fuzz/fuzz.h"

namespace ringleader::replication {
namespace {

void FuzzMessage(absl::string_view bytes) {
  const auto message = DecodeMessage(bytes);
  if (!message.ok()) return;
  std::string again;
  EncodeMessage(*message, &again);
  CHECK(again == bytes);
  CHECK(again.size() <= EncodedSizeMax(*message));
}

void FuzzChunk(absl::string_view bytes) {
  const auto chunk = DecodeSnapshotChunk(bytes);
  if (!chunk.ok()) return;
  CHECK(EncodeSnapshotChunk(*chunk) == bytes);
  for (const SnapshotFile& file : chunk->files) {
    CHECK(!file.name.empty() && file.name != "." && file.name != "..");
    CHECK(file.name.find('/') == std::string::npos);
  }
}

void FuzzConfiguration(absl::string_view bytes) {
  const auto configuration = DecodeConfiguration(bytes);
  if (configuration.ok()) CHECK(EncodeConfiguration(*configuration) == bytes);
}

void FuzzLogTable(absl::string_view bytes) {
  const auto items = DecodeTable(bytes);
  if (!items.ok()) return;
  // A checkpoint's damage is encoded without what is corrupt, so only a second pass must agree.
  const std::string once = EncodeTable(*items);
  const auto again = DecodeTable(once);
  CHECK(again.ok());
  CHECK(EncodeTable(*again) == once);
}

// A header or page whose magic and checksum are right, whatever else it says: what follows from it
// stays within the block.
void FuzzLogBlock(absl::string_view bytes) {
  const SegmentHeader segment{.cluster = 7, .node = 5, .segment = 3, .salt = 9};
  std::string block(bytes.substr(0, kBlockBytes));
  block.resize(kBlockBytes, '\0');
  block.replace(4, 4, "RLPG");
  std::string seed;
  PutFixed64(segment.salt, seed);
  PutFixed64(segment.segment, seed);
  StoreFixed32(crc32c::Extend(crc32c::Value(seed), absl::string_view(block).substr(4)), &block[0]);
  for (const uint32_t at : {2u, 3u, 1u << 20}) {
    const auto page = DecodePage(segment, at, block);
    if (!page.has_value()) continue;
    CHECK(page->part < page->batch.parts());
    CHECK(page->data.size() <= kPageDataBytes);
  }
  block.replace(4, 8, "RINGLSEG");
  StoreFixed32(crc32c::Value(absl::string_view(block).substr(4)), &block[0]);
  const auto header = DecodeSegmentHeader(block);
  if (header.ok()) CHECK(DecodeSegmentHeader(EncodeSegmentHeader(*header)).value() == *header);
}

}  // namespace
}  // namespace ringleader::replication

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader::replication;
  ringleader::fuzz::Input input(ringleader::fuzz::View(data, size));
  switch (input.Below(5)) {
    case 0:
      FuzzMessage(input.Rest());
      break;
    case 1:
      FuzzChunk(input.Rest());
      break;
    case 2:
      FuzzConfiguration(input.Rest());
      break;
    case 3:
      FuzzLogTable(input.Rest());
      break;
    default:
      FuzzLogBlock(input.Rest());
  }
  return 0;
}
