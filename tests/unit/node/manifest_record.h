// A record in LevelDB's log format (doc/log_format.md), as a MANIFEST consists of them.
#ifndef RINGLEADER_TESTS_UNIT_NODE_MANIFEST_RECORD_H_
#define RINGLEADER_TESTS_UNIT_NODE_MANIFEST_RECORD_H_

#include <cstdint>
#include <string>

#include "common/crc32c.h"

namespace ringleader {

inline std::string ManifestRecord(uint8_t type, const std::string& payload) {
  const std::string body = std::string(1, static_cast<char>(type)) + payload;
  const uint32_t crc = crc32c::Value(body);
  const uint32_t masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8;
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(masked >> (8 * i)));
  bytes.push_back(static_cast<char>(payload.size()));
  bytes.push_back(static_cast<char>(payload.size() >> 8));
  return bytes + body;
}

}  // namespace ringleader

#endif  // RINGLEADER_TESTS_UNIT_NODE_MANIFEST_RECORD_H_
