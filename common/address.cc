#include "common/address.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ringleader {

absl::StatusOr<HostPort> ParseAddress(absl::string_view address) {
  const absl::Status malformed =
      absl::InvalidArgumentError(absl::StrCat("'", address, "' is not host:port"));
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return malformed;
  absl::string_view host = address.substr(0, colon);
  uint32_t port = 0;
  if (!absl::SimpleAtoi(address.substr(colon + 1), &port) || port > UINT16_MAX) return malformed;
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return malformed;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != absl::string_view::npos) {
    return malformed;  // which colon ends the host can't be told
  }
  return HostPort{std::string(host), static_cast<uint16_t>(port)};
}

bool IsWildcard(absl::string_view address) {
  const auto parsed = ParseAddress(address);
  if (!parsed.ok()) return absl::StartsWith(address, ":");
  in_addr four{};
  if (inet_pton(AF_INET, parsed->host.c_str(), &four) == 1) return four.s_addr == INADDR_ANY;
  in6_addr six{};
  return inet_pton(AF_INET6, parsed->host.c_str(), &six) == 1 && IN6_IS_ADDR_UNSPECIFIED(&six);
}

std::string ReachableAddress(absl::string_view listen, absl::string_view advertise) {
  const auto parsed = ParseAddress(listen);
  if (!parsed.ok() || !IsWildcard(listen) || !ParseAddress(advertise).ok()) {
    return std::string(listen);
  }
  return absl::StrCat(advertise.substr(0, advertise.rfind(':')), ":", parsed->port);
}

bool IsLoopback(absl::string_view address) {
  const auto parsed = ParseAddress(address);
  if (!parsed.ok()) return false;
  if (parsed->host == "localhost") return true;
  in_addr four{};
  if (inet_pton(AF_INET, parsed->host.c_str(), &four) == 1) {
    return ntohl(four.s_addr) >> 24 == 127;
  }
  in6_addr six{};
  return inet_pton(AF_INET6, parsed->host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

}  // namespace ringleader
