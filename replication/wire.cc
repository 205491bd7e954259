#include "replication/wire.h"

#include "common/check.h"

namespace ringleader::replication {

void WireWriter::Varint(uint64_t value) {
  while (value >= 0x80) {
    Byte(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  Byte(static_cast<uint8_t>(value));
}

void WireWriter::Bytes(absl::string_view bytes) {
  Varint(bytes.size());
  out_->append(bytes.data(), bytes.size());
}

uint8_t WireReader::Byte() {
  if (!ok_ || in_.empty()) {
    ok_ = false;
    return 0;
  }
  const auto value = static_cast<uint8_t>(in_.front());
  in_.remove_prefix(1);
  return value;
}

uint64_t WireReader::Varint() {
  uint64_t value = 0;
  for (size_t i = 0; i < kVarintBytesMax; ++i) {
    const uint8_t byte = Byte();
    if (!ok_) return 0;
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    const bool overlong = byte == 0 && i > 0;
    const bool too_large = i == kVarintBytesMax - 1 && byte > 1;
    if (overlong || too_large) break;
    return value;
  }
  ok_ = false;
  return 0;
}

absl::string_view WireReader::Bytes() {
  const uint64_t size = Varint();
  if (!ok_ || size > in_.size()) {
    ok_ = false;
    return {};
  }
  const absl::string_view bytes = in_.substr(0, size);
  in_.remove_prefix(size);
  return bytes;
}

uint64_t WireReader::Count(size_t bytes_each) {
  CHECK_GE(bytes_each, 1u);
  const uint64_t count = Varint();
  if (!ok_ || count > in_.size() / bytes_each) {
    ok_ = false;
    return 0;
  }
  return count;
}

}  // namespace ringleader::replication
