// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of everything that Ringleader stores.
// Finds every burst of up to 32 bits and misses other damage once in 2^32. Not against attackers.
//
//   uint32_t crc = crc32c::Value("header");
//   crc = crc32c::Extend(crc, "payload");   // == Value("headerpayload")
//
// Uses the processor's instruction where there is one. Thread-safe.
#ifndef RINGLEADER_COMMON_CRC32C_H_
#define RINGLEADER_COMMON_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace ringleader::crc32c {

// The checksum of the bytes that `crc` stands for followed by `data`. 0 stands for no bytes.
uint32_t Extend(uint32_t crc, absl::string_view data);

inline uint32_t Value(absl::string_view data) { return Extend(0, data); }

// The portable implementation, whatever the processor: for the test that compares the two.
uint32_t ExtendPortable(uint32_t crc, absl::string_view data);

}  // namespace ringleader::crc32c

#endif  // RINGLEADER_COMMON_CRC32C_H_
