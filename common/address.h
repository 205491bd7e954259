// Addresses as options give them: "host:port", with an IPv6 host in brackets.
#ifndef RINGLEADER_COMMON_ADDRESS_H_
#define RINGLEADER_COMMON_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringleader {

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
};

// INVALID_ARGUMENT: it is not host:port; the message says so.
absl::StatusOr<HostPort> ParseAddress(absl::string_view address);

// "host:port" by which others reach what listens on `listen`: its host, or that of `advertise` if
// it listens on all of the machine's addresses. What can't be parsed comes back as it is.
std::string ReachableAddress(absl::string_view listen, absl::string_view advertise);

// Whether it stands for all of a machine's addresses, and so is none by which others reach it:
// 0.0.0.0, [::] or no host.
bool IsWildcard(absl::string_view address);

// Whether only this machine reaches it: 127.0.0.0/8, [::1] or localhost.
bool IsLoopback(absl::string_view address);

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_ADDRESS_H_
