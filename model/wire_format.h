// The pieces of the Protocol Buffers wire format that items use: varints, tags, length-delimited
// fields. Written back to front, so that every length is known when its turn comes and a message is
// encoded in one pass, without measuring nested messages again at each level.
// (https://protobuf.dev/programming-guides/encoding)
//
// Thread-compatible. No allocation.
#ifndef RINGLEADER_MODEL_WIRE_FORMAT_H_
#define RINGLEADER_MODEL_WIRE_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

namespace ringleader::model {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// The bytes of a varint.
constexpr size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++bytes;
  }
  return bytes;
}

// The bytes of a field of number 1 to 15 that holds `bytes` bytes: tag, length, content.
constexpr size_t FieldBytes(size_t bytes) { return 1 + VarintBytes(bytes) + bytes; }

// Writes a buffer from its end to its begin. The caller gives it exactly the room it will use.
class BackwardWriter {
 public:
  explicit BackwardWriter(char* end) : at_(end) {}

  char* at() const { return at_; }

  void Bytes(absl::string_view bytes) {
    at_ -= bytes.size();
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
  }
  void Varint(uint64_t value) {
    at_ -= VarintBytes(value);
    char* to = at_;
    for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
    *to = static_cast<char>(value);
  }
  void Tag(int field, WireType type) {
    *--at_ = static_cast<char>(field << 3 | static_cast<int>(type));
  }
  // A length-delimited field.
  void BytesField(int field, absl::string_view bytes) {
    Bytes(bytes);
    Header(field, bytes.size());
  }
  // Tag and length of a field whose `bytes` of content were just written.
  void Header(int field, size_t bytes) {
    Varint(bytes);
    Tag(field, WireType::kBytes);
  }

 private:
  char* at_;
};

// Reads a message's fields from front to back. After an error every call fails.
class FieldReader {
 public:
  explicit FieldReader(absl::string_view in) : in_(in) {}

  bool done() const { return in_.empty(); }

  // The next field's number and type; false if there is no valid tag.
  bool Tag(uint32_t* field, WireType* type) {
    uint64_t tag;
    if (!Varint(&tag) || tag >> 3 == 0 || tag > UINT32_MAX) return false;
    *field = static_cast<uint32_t>(tag >> 3);
    *type = static_cast<WireType>(tag & 7);
    return true;
  }
  // At most 10 bytes, as the format allows; need not be the shortest form.
  bool Varint(uint64_t* value) {
    if (!in_.empty() && static_cast<uint8_t>(in_.front()) < 0x80) {  // nearly always
      *value = static_cast<uint8_t>(in_.front());
      in_.remove_prefix(1);
      return true;
    }
    return LongVarint(value);
  }
  // The content of a length-delimited field: a view into the input.
  bool Bytes(absl::string_view* bytes) {
    uint64_t size;
    if (!Varint(&size) || size > in_.size()) return false;
    *bytes = absl::string_view(in_.data(), size);
    in_.remove_prefix(size);
    return true;
  }

 private:
  bool LongVarint(uint64_t* value) {
    uint64_t result = 0;
    for (size_t i = 0; i < 10 && i < in_.size(); ++i) {
      const uint8_t byte = static_cast<uint8_t>(in_[i]);
      if (i == 9 && byte > 1) return false;
      result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        in_.remove_prefix(i + 1);
        *value = result;
        return true;
      }
    }
    return false;
  }

  absl::string_view in_;
};

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_WIRE_FORMAT_H_
