// Where the other nodes were when the coordinators last told: so that a node which starts while no
// coordinator answers, or before one does, finds its peers and serves. Only a hint: a call names
// the node that it is for (replication/transport.h), and the coordinators tell again.
//
// File `peers`, text, replaced whole; format 1 may not change:
//   ringleader-peers 1
//   node <decimal> <host:port>    for each, ascending
//   crc32c <8 hex digits>         of the lines above
#ifndef RINGLEADER_NODE_PEERS_H_
#define RINGLEADER_NODE_PEERS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/file_system.h"

namespace ringleader {

using PeerAddresses = std::map<uint64_t, std::string>;  // by node

std::string EncodePeers(const PeerAddresses& peers);
// Empty if there is no such file, or it is damaged or of a newer format.
PeerAddresses LoadPeers(FileSystem& file_system, absl::string_view directory);
// Durable when it returns OK.
absl::Status SavePeers(FileSystem& file_system, absl::string_view directory,
                       const PeerAddresses& peers);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_PEERS_H_
