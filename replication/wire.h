// Bytes of the core's own formats: little-endian base-128 varints (as in protocol buffers) and
// length-prefixed strings. Part of formats on disk and on the wire: it may not change.
//
// Writer appends to a string it does not own. Reader reads a view it does not own; after any read
// failed, ok() is false for good and every read returns zero or empty, so that a decoder checks
// once at the end. Not thread-safe.
#ifndef RINGLEADER_REPLICATION_WIRE_H_
#define RINGLEADER_REPLICATION_WIRE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace ringleader::replication {

constexpr size_t kVarintBytesMax = 10;

class WireWriter {
 public:
  explicit WireWriter(std::string* out) : out_(out) {}

  void Byte(uint8_t value) { out_->push_back(static_cast<char>(value)); }
  void Varint(uint64_t value);
  void Bytes(absl::string_view bytes);  // length, then the bytes

 private:
  std::string* out_;
};

class WireReader {
 public:
  explicit WireReader(absl::string_view in) : in_(in) {}

  uint8_t Byte();
  // Rejects encodings that are longer than needed: equal values have equal bytes.
  uint64_t Varint();
  // A view into the input.
  absl::string_view Bytes();
  // A count of things of which each takes at least bytes_each (>= 1): fails if they can't be in
  // the rest, so that a forged count never allocates.
  uint64_t Count(size_t bytes_each);

  void Fail() { ok_ = false; }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && in_.empty(); }
  size_t remaining() const { return in_.size(); }

 private:
  absl::string_view in_;
  bool ok_ = true;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_WIRE_H_
