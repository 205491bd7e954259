#include "coordinator/sealed_file.h"

#include "common/check.h"
#include "common/coding.h"
#include "common/crc32c.h"

namespace ringleader::coordinator {
namespace {

constexpr size_t kMagicBytes = 8;
constexpr size_t kChecksumBytes = 4;

}  // namespace

std::string Seal(const SealedFormat& format, absl::string_view payload) {
  CHECK_EQ(format.magic.size(), kMagicBytes);
  std::string bytes(format.magic);
  PutVarint(format.version, bytes);
  PutLengthPrefixed(payload, bytes);
  PutFixed32(crc32c::Value(bytes), bytes);
  return bytes;
}

absl::StatusOr<std::string> Unseal(const SealedFormat& format, absl::string_view bytes) {
  if (bytes.size() < kMagicBytes + kChecksumBytes) {
    return absl::DataLossError("the file is cut short");
  }
  const absl::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (crc32c::Value(body) != LoadFixed32(bytes.data() + body.size())) {
    return absl::DataLossError("the file fails its checksum");
  }
  if (body.substr(0, kMagicBytes) != format.magic) {
    return absl::FailedPreconditionError("the file is of another kind");
  }
  Decoder decoder(body.substr(kMagicBytes));
  const uint64_t version = decoder.Varint();
  if (decoder.ok() && version > format.version) {
    return absl::FailedPreconditionError("the file was written by a newer program");
  }
  const absl::string_view payload = decoder.LengthPrefixed();
  if (!decoder.AtEnd() || version == 0) return absl::DataLossError("the file is malformed");
  return std::string(payload);
}

}  // namespace ringleader::coordinator
