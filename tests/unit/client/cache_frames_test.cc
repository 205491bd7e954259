// Frames of the cache's lanes: what is too much is not parsed, and what is sent is not too much.
#include "client/cache_frames.h"

#include <gtest/gtest.h>

#include "ringleader/cache/v1/cache.pb.h"

namespace ringleader::client {
namespace {

// Protects both sides' memory: a frame of a few bytes a message is counted before it is parsed.
TEST(CacheFramesTest, WhatIsTooMuchIsNotWorthParsing) {
  cache::v1::ToNode message;
  message.mutable_open()->set_client(5);
  for (int i = 0; i < 9; ++i) message.add_renewals();
  const std::string bytes = message.SerializeAsString();
  EXPECT_TRUE(IsCacheFrameBounded(bytes, bytes.size(), 10));
  EXPECT_FALSE(IsCacheFrameBounded(bytes, bytes.size() - 1, 10));
  EXPECT_FALSE(IsCacheFrameBounded(bytes, bytes.size(), 9));
  EXPECT_TRUE(IsCacheFrameBounded("", 10, 10));
  EXPECT_FALSE(IsCacheFrameBounded(absl::string_view("\x1a\x05", 2), 10, 10)) << "cut off";
}

// Protects sessions: whatever gathers is sent in frames that the other side takes, all of it.
TEST(CacheFramesTest, FramesAreBoundedByBytesAndMessages) {
  CacheFrames<cache::v1::ToNode> frames;
  uint64_t added = 0;
  const auto add = [&](size_t key_bytes) {
    cache::v1::Release release;
    release.set_key(std::string(key_bytes, 'k'));
    release.set_fill(++added);
    *frames.For(release.ByteSizeLong()).add_releases() = release;
  };
  for (size_t i = 0; i < kCacheFrameMessages + 1; ++i) add(1);
  for (int i = 0; i < 10; ++i) add(250 << 10);
  EXPECT_GE(frames.bytes(), 10u * (250 << 10));
  uint64_t taken = 0;
  int count = 0;
  for (; !frames.empty(); ++count) {
    const std::string bytes = frames.Pop();
    EXPECT_TRUE(IsCacheFrameBounded(bytes, kCacheFrameBytes, kCacheFrameMessages));
    cache::v1::ToNode frame;
    ASSERT_TRUE(frame.ParseFromString(bytes));
    for (const auto& release : frame.releases()) EXPECT_EQ(release.fill(), ++taken);
  }
  EXPECT_EQ(taken, added);
  EXPECT_EQ(count, 4);  // by messages, and by bytes four of the large ones each
  EXPECT_EQ(frames.bytes(), 0u);
}

}  // namespace
}  // namespace ringleader::client
