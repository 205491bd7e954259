// Protects the snapshot lane's format, and the directory that a received snapshot is written into.
#include "replication/snapshot_chunk.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace ringleader::replication {
namespace {

std::string Hex(const SnapshotChunk& chunk) {
  return absl::BytesToHexString(EncodeSnapshotChunk(chunk));
}

// On the wire between releases: these bytes may not change.
TEST(SnapshotChunkTest, GoldenBytes) {
  SnapshotChunk begin{.kind = SnapshotChunkKind::kBegin, .transfer = 300, .message = "msg"};
  begin.files = {{"a", 1}, {"b", 200}};
  EXPECT_EQ(Hex(begin),
            "01ac02036d736702016101"
            "0162c801");
  EXPECT_EQ(Hex({.kind = SnapshotChunkKind::kData,
                 .transfer = 1,
                 .file = 2,
                 .offset = 3,
                 .crc = 0x01020304,
                 .bytes = "xy"}),
            "020102030403020102"
            "7879");
  EXPECT_EQ(Hex({.kind = SnapshotChunkKind::kEnd, .transfer = 1}), "0301");
  EXPECT_EQ(Hex({.kind = SnapshotChunkKind::kAck, .transfer = 1, .received = 128}), "04018001");
  EXPECT_EQ(Hex({.kind = SnapshotChunkKind::kDone, .transfer = 1, .error = "no"}), "0501026e6f");
  EXPECT_EQ(Hex({.kind = SnapshotChunkKind::kAsk, .transfer = 1}), "0601");
}

TEST(SnapshotChunkTest, WhatIsEncodedIsDecoded) {
  SnapshotChunk begin{.kind = SnapshotChunkKind::kBegin, .transfer = 7, .message = "m"};
  begin.files = {{"000005.ldb", 1 << 20}, {"empty", 0}};
  const auto decoded = DecodeSnapshotChunk(EncodeSnapshotChunk(begin));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->files, begin.files);
  EXPECT_EQ(decoded->message, "m");
}

TEST(SnapshotChunkTest, AFileNameCannotLeaveItsDirectory) {
  const std::vector<std::string> names = {"../x", "/etc/passwd",         "..", ".", "",
                                          "a/b",  std::string("a\0b", 3)};
  for (const std::string& name : names) {
    SnapshotChunk begin{.kind = SnapshotChunkKind::kBegin};
    begin.files = {{name, 1}};
    EXPECT_FALSE(DecodeSnapshotChunk(EncodeSnapshotChunk(begin)).ok()) << name;
  }
}

TEST(SnapshotChunkTest, EveryCutOffOrPaddedChunkIsRefused) {
  SnapshotChunk begin{.kind = SnapshotChunkKind::kBegin, .transfer = 7, .message = "m"};
  begin.files = {{"a", 1}};
  for (const SnapshotChunk& chunk :
       {begin, SnapshotChunk{.kind = SnapshotChunkKind::kData, .bytes = "x"}}) {
    const std::string bytes = EncodeSnapshotChunk(chunk);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeSnapshotChunk(bytes.substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(DecodeSnapshotChunk(bytes + "x").ok());
  }
  EXPECT_FALSE(DecodeSnapshotChunk("\x09\x01").ok());
  // A count that the bytes can't hold allocates nothing.
  EXPECT_FALSE(DecodeSnapshotChunk("\x01\x01\x00\xff\xff\x03").ok());
}

}  // namespace
}  // namespace ringleader::replication
