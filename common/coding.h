// Numbers as bytes, for what goes to disk: fixed width little-endian, and varints (7 bits a byte,
// low bits first, the top bit set on all but the last; LevelDB and Protocol Buffers use the same).
//
// Writing appends to a string. Reading is done by a Decoder, which never reads past its input and
// refuses what a writer would not have written (a varint longer than needed), so that every value
// has exactly one encoding.
#ifndef RINGLEADER_COMMON_CODING_H_
#define RINGLEADER_COMMON_CODING_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace ringleader {

inline void StoreFixed32(uint32_t value, char* to) {
  for (int byte = 0; byte < 4; ++byte) to[byte] = static_cast<char>(value >> (8 * byte));
}

inline void StoreFixed64(uint64_t value, char* to) {
  for (int byte = 0; byte < 8; ++byte) to[byte] = static_cast<char>(value >> (8 * byte));
}

inline uint32_t LoadFixed32(const char* from) {
  uint32_t value = 0;
  for (int byte = 0; byte < 4; ++byte) {
    value |= static_cast<uint32_t>(static_cast<unsigned char>(from[byte])) << (8 * byte);
  }
  return value;
}

inline uint64_t LoadFixed64(const char* from) {
  return LoadFixed32(from) | static_cast<uint64_t>(LoadFixed32(from + 4)) << 32;
}

inline void PutFixed32(uint32_t value, std::string& to) {
  char bytes[4];
  StoreFixed32(value, bytes);
  to.append(bytes, sizeof(bytes));
}

inline void PutFixed64(uint64_t value, std::string& to) {
  char bytes[8];
  StoreFixed64(value, bytes);
  to.append(bytes, sizeof(bytes));
}

inline void PutVarint(uint64_t value, std::string& to) {
  while (value >= 0x80) {
    to.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  to.push_back(static_cast<char>(value));
}

inline void PutLengthPrefixed(absl::string_view bytes, std::string& to) {
  PutVarint(bytes.size(), to);
  to.append(bytes.data(), bytes.size());
}

// Takes values off the front of `input`, which must outlive it. After the first one that isn't
// there, ok() is false, and every later value is 0 or empty: check once, at the end.
class Decoder {
 public:
  explicit Decoder(absl::string_view input) : rest_(input) {}

  bool ok() const { return ok_; }
  // True if everything was there and nothing is left over.
  bool AtEnd() const { return ok_ && rest_.empty(); }
  size_t remaining() const { return rest_.size(); }

  uint8_t Byte() {
    const absl::string_view bytes = Bytes(1);
    return ok_ ? static_cast<uint8_t>(bytes[0]) : 0;
  }

  uint32_t Fixed32() {
    const absl::string_view bytes = Bytes(4);
    return ok_ ? LoadFixed32(bytes.data()) : 0;
  }

  uint64_t Fixed64() {
    const absl::string_view bytes = Bytes(8);
    return ok_ ? LoadFixed64(bytes.data()) : 0;
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Byte();
      if (!ok_) return 0;
      // The tenth byte holds one bit; a last byte of 0 adds nothing.
      if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) return Fail();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }

  // A varint of at most `max`: for counts and lengths, before anything is allocated.
  uint64_t VarintUpTo(uint64_t max) {
    const uint64_t value = Varint();
    return value <= max ? value : Fail();
  }

  absl::string_view Bytes(uint64_t size) {
    if (!ok_ || size > rest_.size()) {
      Fail();
      return {};
    }
    const absl::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  absl::string_view LengthPrefixed() { return Bytes(Varint()); }

 private:
  uint64_t Fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }

  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_CODING_H_
