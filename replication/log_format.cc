#include "replication/log_format.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/coding.h"
#include "common/crc32c.h"

namespace ringleader::replication {
namespace {

constexpr absl::string_view kSegmentMagic("RINGLSEG", 8);
constexpr uint32_t kPageMagic = 0x47504c52;  // "RLPG"
constexpr absl::string_view kSuffix = ".segment";
constexpr size_t kNumberDigits = 20;

// Of a page: what the segment knows and no stranger can guess, then the block without its checksum.
uint32_t PageChecksum(const SegmentHeader& segment, absl::string_view block) {
  char seed[16];
  StoreFixed64(segment.salt, seed);
  StoreFixed64(segment.segment, seed + 8);
  return crc32c::Extend(crc32c::Value({seed, sizeof(seed)}), block.substr(4));
}

bool IsPage(const SegmentHeader& segment, absl::string_view bytes) {
  CHECK_EQ(bytes.size(), kBlockBytes);
  return LoadFixed32(bytes.data() + 4) == kPageMagic &&
         LoadFixed32(bytes.data()) == PageChecksum(segment, bytes);
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string block(4, '\0');
  block.append(kSegmentMagic.data(), kSegmentMagic.size());
  PutFixed32(kLogVersion, block);
  for (const uint64_t field : {header.cluster, header.node, header.segment, header.first_sequence,
                               header.salt, header.void_from}) {
    PutFixed64(field, block);
  }
  block.resize(kBlockBytes, '\0');
  StoreFixed32(crc32c::Value(absl::string_view(block).substr(4)), &block[0]);
  return block;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(absl::string_view block) {
  Decoder decoder(block);
  const uint32_t crc = decoder.Fixed32();
  if (block.size() != kBlockBytes || crc != crc32c::Value(block.substr(4)) ||
      decoder.Bytes(kSegmentMagic.size()) != kSegmentMagic) {
    return absl::DataLossError("no intact segment header");
  }
  const uint32_t version = decoder.Fixed32();
  if (version != kLogVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("log format version ", version, ", this program reads ", kLogVersion,
                     version > kLogVersion ? ": a newer program wrote it" : ""));
  }
  SegmentHeader header;
  header.cluster = decoder.Fixed64();
  header.node = decoder.Fixed64();
  header.segment = decoder.Fixed64();
  header.first_sequence = decoder.Fixed64();
  header.salt = decoder.Fixed64();
  header.void_from = decoder.Fixed64();
  return header;
}

uint32_t PageBlock(const BatchHeader& batch, PageCopy copy, uint32_t part) {
  const uint32_t before = copy == PageCopy::kHead ? 0 : batch.parts() + batch.payload_blocks();
  return batch.start_block + before + part;
}

void AppendPages(const SegmentHeader& segment, const BatchHeader& batch, PageCopy copy,
                 absl::string_view stream, std::string& to) {
  CHECK_EQ(stream.size(), batch.stream_bytes());
  for (uint32_t part = 0; part < batch.parts(); ++part) {
    const size_t begin = to.size();
    to.append(4, '\0');
    PutFixed32(kPageMagic, to);
    PutFixed32(kLogVersion, to);
    PutFixed32(static_cast<uint32_t>(copy), to);
    PutFixed64(segment.segment, to);
    PutFixed64(batch.sequence, to);
    PutFixed64(batch.oldest_segment, to);
    PutFixed32(PageBlock(batch, copy, part), to);
    PutFixed32(batch.start_block, to);
    PutFixed32(part, to);
    PutFixed32(batch.table_bytes, to);
    PutFixed32(batch.payload_bytes, to);
    PutFixed32(0, to);  // not used
    CHECK_EQ(to.size() - begin, kPageHeaderBytes);
    const absl::string_view data = stream.substr(part * kPageDataBytes, kPageDataBytes);
    to.append(data.data(), data.size());
    to.resize(begin + kBlockBytes, '\0');
    StoreFixed32(PageChecksum(segment, absl::string_view(to).substr(begin)), &to[begin]);
  }
}

std::optional<uint64_t> SequenceOfStray(const SegmentHeader& segment, uint32_t block,
                                        absl::string_view bytes) {
  if (!IsPage(segment, bytes)) return std::nullopt;
  Decoder decoder(bytes.substr(8));
  const uint32_t version = decoder.Fixed32();
  decoder.Fixed32();  // copy
  const uint64_t number = decoder.Fixed64();
  const uint64_t sequence = decoder.Fixed64();
  decoder.Fixed64();  // oldest segment
  const uint32_t own_block = decoder.Fixed32();
  if (version != kLogVersion || number != segment.segment || own_block == block) {
    return std::nullopt;
  }
  return sequence;
}

std::optional<Page> DecodePage(const SegmentHeader& segment, uint32_t block,
                               absl::string_view bytes) {
  if (!IsPage(segment, bytes)) return std::nullopt;
  Decoder decoder(bytes.substr(8));
  Page page;
  const uint32_t version = decoder.Fixed32();
  const uint32_t copy = decoder.Fixed32();
  const uint64_t number = decoder.Fixed64();
  page.batch.sequence = decoder.Fixed64();
  page.batch.oldest_segment = decoder.Fixed64();
  const uint32_t own_block = decoder.Fixed32();
  page.batch.start_block = decoder.Fixed32();
  page.part = decoder.Fixed32();
  page.batch.table_bytes = decoder.Fixed32();
  page.batch.payload_bytes = decoder.Fixed32();
  if (version != kLogVersion || copy > 1 || number != segment.segment || own_block != block) {
    return std::nullopt;  // written for another place
  }
  page.copy = static_cast<PageCopy>(copy);
  if (page.part >= page.batch.parts() || PageBlock(page.batch, page.copy, page.part) != block) {
    return std::nullopt;
  }
  const absl::string_view data = bytes.substr(kPageHeaderBytes);
  page.data = data.substr(0, page.batch.stream_bytes() - page.part * kPageDataBytes);
  return page;
}

uint32_t EntryChecksum(GroupId group, Index index, Term term, EntryKind kind,
                       absl::string_view payload) {
  char identity[25];
  StoreFixed64(group, identity);
  StoreFixed64(index, identity + 8);
  StoreFixed64(term, identity + 16);
  identity[24] = static_cast<char>(kind);
  return crc32c::Extend(crc32c::Value({identity, sizeof(identity)}), payload);
}

std::string SegmentName(uint64_t segment) { return absl::StrFormat("%020d%s", segment, kSuffix); }

std::optional<uint64_t> ParseSegmentName(absl::string_view name) {
  uint64_t segment = 0;
  if (name.size() != kNumberDigits + kSuffix.size() || !absl::EndsWith(name, kSuffix) ||
      !absl::SimpleAtoi(name.substr(0, kNumberDigits), &segment) || segment == 0) {
    return std::nullopt;
  }
  return segment;
}

}  // namespace ringleader::replication
