// What is read of a segment whose file is short or partly unreadable.
#include "replication/log_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "absl/status/status.h"

namespace ringleader::replication {
namespace {

constexpr uint64_t kBadBlock = 700;

// All 'x'; one block can't be read.
class PartlyReadable : public RandomAccessFile {
 public:
  static constexpr uint64_t kBytes = (4 << 20) + 100;

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> out) const override {
    const uint64_t end = std::min<uint64_t>(offset + out.size(), kBytes);
    if (offset < (kBadBlock + 1) * kBlockBytes && end > kBadBlock * kBlockBytes) {
      return absl::DataLossError("a bad block");
    }
    if (offset >= end) return 0;
    std::fill_n(out.begin(), end - offset, 'x');
    return end - offset;
  }
};

std::string ReadBlock(BlockReader& reader, uint64_t block) {
  const auto bytes = reader.Read(block * kBlockBytes, kBlockBytes);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return std::string(bytes.value_or(""));
}

// Protects recovery from taking one block's bytes for another's: the window is used again.
TEST(BlockReader, WhatCanNotBeReadIsZerosAndNotWhatWasReadBefore) {
  const PartlyReadable file;
  BlockReader reader(file, PartlyReadable::kBytes);
  const std::string good(kBlockBytes, 'x');
  for (uint64_t block = 0; block < PartlyReadable::kBytes / kBlockBytes; ++block) {
    ASSERT_EQ(ReadBlock(reader, block), block == kBadBlock ? std::string(kBlockBytes, '\0') : good)
        << "block " << block;
  }
  const uint64_t last = PartlyReadable::kBytes / kBlockBytes;
  EXPECT_EQ(ReadBlock(reader, last), std::string(100, 'x') + std::string(kBlockBytes - 100, '\0'));
  EXPECT_EQ(ReadBlock(reader, 0), good);
  EXPECT_EQ(ReadBlock(reader, last + 5), std::string(kBlockBytes, '\0'));
}

}  // namespace
}  // namespace ringleader::replication
