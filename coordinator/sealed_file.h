// A small file that is replaced whole: a magic word, a format version, the payload, a checksum over
// all of it. For the coordinator's identity and the metadata's checkpoint.
//
//   bytes 0-7    magic
//   varint       format version of the payload
//   varint, n    payload
//   fixed32      CRC-32C of everything before it
//
// On disk: it may not change. Thread-safe as the FileSystem is.
#ifndef RINGLEADER_COORDINATOR_SEALED_FILE_H_
#define RINGLEADER_COORDINATOR_SEALED_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringleader::coordinator {

struct SealedFormat {
  absl::string_view magic;  // 8 bytes
  uint64_t version = 1;     // the newest that this program reads, and the one it writes
};

std::string Seal(const SealedFormat& format, absl::string_view payload);

// The payload. DATA_LOSS: damaged; FAILED_PRECONDITION: written by a newer program.
absl::StatusOr<std::string> Unseal(const SealedFormat& format, absl::string_view bytes);

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_SEALED_FILE_H_
