#include "node/leveldb_manifest.h"

#include <cstdint>

#include "common/crc32c.h"

namespace ringleader {
namespace {

constexpr size_t kBlockBytes = 32768;
constexpr size_t kHeaderBytes = 7;  // fixed32 checksum, fixed16 length, byte type
constexpr uint8_t kFull = 1, kFirst = 2, kLast = 4;
constexpr uint32_t kMaskDelta = 0xa282ead8;

uint32_t Byte(absl::string_view content, size_t offset) {
  return static_cast<uint8_t>(content[offset]);
}

// Of the type and the payload, as LevelDB stores it.
bool ChecksumHolds(absl::string_view content, size_t offset, size_t length) {
  uint32_t stored = 0;
  for (size_t i = 0; i < 4; ++i) stored |= Byte(content, offset + i) << (8 * i);
  const uint32_t crc = crc32c::Value(content.substr(offset + kHeaderBytes - 1, length + 1));
  return stored == ((crc >> 15) | (crc << 17)) + kMaskDelta;
}

struct Scan {
  size_t intact = 0;             // where the last whole record ends
  bool bad = false;              // a record is
  bool bad_before_good = false;  // and another one begins behind it
};

Scan ScanRecords(absl::string_view content) {
  Scan scan;
  auto& [intact, bad, bad_before_good] = scan;
  for (size_t offset = 0; offset + kHeaderBytes <= content.size();) {
    const size_t left = kBlockBytes - offset % kBlockBytes;
    if (left < kHeaderBytes) {
      offset += left;
      continue;
    }
    const size_t length = Byte(content, offset + 4) | Byte(content, offset + 5) << 8;
    const auto type = static_cast<uint8_t>(content[offset + 6]);
    const size_t end = offset + kHeaderBytes + length;
    const bool plausible = type != 0 && type <= kLast && kHeaderBytes + length <= left;
    if (plausible && end > content.size()) break;  // cut short: LevelDB knows this for torn
    if (!plausible || !ChecksumHolds(content, offset, length)) {
      bad = true;
      offset = plausible ? end : offset + left;
      continue;
    }
    if (bad && (type == kFull || type == kFirst)) {
      bad_before_good = true;
      return scan;
    }
    if (!bad && (type == kFull || type == kLast)) intact = end;
    offset = end;
  }
  return scan;
}

}  // namespace

size_t IntactManifestBytes(absl::string_view content) {
  const Scan scan = ScanRecords(content);
  return scan.bad && !scan.bad_before_good && scan.intact > 0 ? scan.intact : content.size();
}

bool IsManifestIntact(absl::string_view content) { return !ScanRecords(content).bad; }

}  // namespace ringleader
