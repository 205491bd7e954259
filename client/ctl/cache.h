// What nodes say about the clients that cache, put together. Pure.
#ifndef RINGLEADER_CLIENT_CTL_CACHE_H_
#define RINGLEADER_CLIENT_CTL_CACHE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ringleader/cache/v1/cache.pb.h"

namespace ringleader::ctl {

// One node's answer: its pages in one, with `next_after` if there are more sessions.
struct NodeCache {
  uint64_t node = 0;
  std::string address;
  absl::Status reached;  // why there is no answer
  cache::v1::StatusResponse status;
};

// Nodes and their sum, then sessions, then what is missing.
std::string CacheText(const std::vector<NodeCache>& nodes);
// An object: `nodes`, `sessions`, and `unreachable`, the addresses of those that gave no answer.
std::string CacheJson(const std::vector<NodeCache>& nodes);

}  // namespace ringleader::ctl

#endif  // RINGLEADER_CLIENT_CTL_CACHE_H_
