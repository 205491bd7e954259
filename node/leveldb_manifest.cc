#include "node/leveldb_manifest.h"

#include <cstdint>

#include "common/crc32c.h"

namespace ringleader {
namespace {

constexpr size_t kLogBlockBytes = 32768;
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

enum class Record : uint8_t { kNone, kCutShort, kWhole };

// What is at `offset`, if a record could be. `end` and `type` are a whole one's.
Record ReadRecord(absl::string_view content, size_t offset, size_t* end, uint8_t* type) {
  const size_t left = kLogBlockBytes - offset % kLogBlockBytes;
  const size_t length = Byte(content, offset + 4) | Byte(content, offset + 5) << 8;
  *type = static_cast<uint8_t>(content[offset + 6]);
  *end = offset + kHeaderBytes + length;
  if (*type == 0 || *type > kLast || kHeaderBytes + length > left) return Record::kNone;
  if (*end > content.size()) return Record::kCutShort;
  return ChecksumHolds(content, offset, length) ? Record::kWhole : Record::kNone;
}

// Whether a whole record begins behind a bad one. Where is not known, as the bad one's length can't
// be trusted: a write that went astray leaves a hole, or somebody else's bytes.
bool IsRecordBehind(absl::string_view content, size_t offset) {
  for (; offset + kHeaderBytes <= content.size(); ++offset) {
    if (kLogBlockBytes - offset % kLogBlockBytes < kHeaderBytes) continue;
    size_t end;
    uint8_t type;
    if (ReadRecord(content, offset, &end, &type) == Record::kWhole &&
        (type == kFull || type == kFirst)) {
      return true;
    }
  }
  return false;
}

struct Scan {
  size_t intact = 0;             // where the last whole record ends
  bool bad = false;              // a record is
  bool bad_before_good = false;  // and another one begins behind it
};

Scan ScanRecords(absl::string_view content) {
  Scan scan;
  for (size_t offset = 0; offset + kHeaderBytes <= content.size();) {
    const size_t left = kLogBlockBytes - offset % kLogBlockBytes;
    if (left < kHeaderBytes) {
      offset += left;
      continue;
    }
    size_t end;
    uint8_t type;
    const Record record = ReadRecord(content, offset, &end, &type);
    if (record != Record::kWhole) {
      scan.bad_before_good = IsRecordBehind(content, offset + 1);
      // LevelDB knows one that is cut short for torn; but a length that went bad looks the same.
      scan.bad = record == Record::kNone || scan.bad_before_good;
      break;
    }
    if (type == kFull || type == kLast) scan.intact = end;
    offset = end;
  }
  return scan;
}

}  // namespace

size_t IntactManifestBytes(absl::string_view content) {
  const Scan scan = ScanRecords(content);
  return scan.bad && !scan.bad_before_good && scan.intact > 0 ? scan.intact : content.size();
}

bool IsManifestIntact(absl::string_view content) {
  return !ScanRecords(content).bad && BeginsWithAllFiles(content);
}

bool BeginsWithAllFiles(absl::string_view content) {
  constexpr char kComparatorTag = 1;
  return content.size() <= kHeaderBytes || content[kHeaderBytes] == kComparatorTag;
}

}  // namespace ringleader
