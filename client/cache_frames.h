// Frames of the client cache's lanes (proto/ringleader/cache): what either side has to send, in
// frames of bounded size, and whether one that came is worth being parsed.
//
// Threads: by one at a time.
#ifndef RINGLEADER_CLIENT_CACHE_FRAMES_H_
#define RINGLEADER_CLIENT_CACHE_FRAMES_H_

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace ringleader::client {

// What goes out is in frames of less than this, unless one message alone is more; what comes in
// more than that ends the session. A message is an item at most.
inline constexpr size_t kCacheFrameBytes = 1 << 20;
inline constexpr size_t kCacheFrameMessages = 8192;
inline constexpr size_t kCacheFrameBytesMax = 4 << 20;
inline constexpr size_t kCacheFrameMessagesMax = 65536;
static_assert(2 * kCacheFrameBytes <= kCacheFrameBytesMax);
static_assert(2 * kCacheFrameMessages <= kCacheFrameMessagesMax);

// Looks at the outermost fields only, and makes no object: a frame of a few bytes a message costs a
// hundred times that when it is parsed. False also if it is malformed there.
inline bool IsCacheFrameBounded(absl::string_view bytes, size_t bytes_max, size_t messages_max) {
  using google::protobuf::internal::WireFormatLite;
  if (bytes.size() > bytes_max) return false;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  for (size_t messages = 0;; ++messages) {
    const uint32_t tag = input.ReadTag();
    if (tag == 0) return input.CurrentPosition() == static_cast<int>(bytes.size());
    if (messages >= messages_max || !WireFormatLite::SkipField(&input, tag)) return false;
  }
}

template <typename Frame>
class CacheFrames {
 public:
  // The frame into which a message of so many bytes goes, behind all others.
  Frame& For(size_t message_bytes) {
    const size_t bytes = message_bytes + kFieldBytes;
    if (frames_.empty() || frames_.back().messages >= kCacheFrameMessages ||
        frames_.back().bytes + bytes > kCacheFrameBytes) {
      frames_.emplace_back();
    }
    Counted& last = frames_.back();
    ++last.messages;
    last.bytes += bytes;
    bytes_ += bytes;
    return last.frame;
  }
  // The first; there is one.
  std::string Pop() {
    std::string frame = frames_.front().frame.SerializeAsString();
    bytes_ -= frames_.front().bytes;
    frames_.pop_front();
    return frame;
  }
  void Clear() {
    frames_.clear();
    bytes_ = 0;
  }

  bool empty() const { return frames_.empty(); }
  // Of what waits; a little more than it is.
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kFieldBytes = 6;  // tag and length

  struct Counted {
    Frame frame;
    size_t messages = 0;
    size_t bytes = 0;
  };
  std::deque<Counted> frames_;
  uint64_t bytes_ = 0;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_CACHE_FRAMES_H_
