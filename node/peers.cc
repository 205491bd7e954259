#include "node/peers.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/crc32c.h"
#include "common/logging.h"

namespace ringleader {
namespace {

constexpr absl::string_view kMagic = "ringleader-peers 1";
constexpr absl::string_view kFile = "peers";
constexpr uint64_t kFileBytesMax = 1 << 20;

}  // namespace

std::string EncodePeers(const PeerAddresses& peers) {
  std::string text = absl::StrCat(kMagic, "\n");
  for (const auto& [node, address] : peers) {
    absl::StrAppend(&text, "node ", node, " ", address, "\n");
  }
  absl::StrAppend(&text, "crc32c ", absl::Hex(crc32c::Value(text), absl::kZeroPad8), "\n");
  return text;
}

PeerAddresses LoadPeers(FileSystem& file_system, absl::string_view directory) {
  const auto text = ReadFile(file_system, JoinPath(directory, kFile), kFileBytesMax);
  if (absl::IsNotFound(text.status())) return {};
  if (!text.ok()) {
    LogWarning("the file of peers: ", text.status().ToString());
    return {};
  }
  PeerAddresses peers;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    uint64_t node = 0;
    if (words.size() == 3 && words[0] == "node" && absl::SimpleAtoi(words[1], &node)) {
      peers[node] = std::string(words[2]);
    }
  }
  // Whatever was damaged, or is not known here, does not come out again.
  if (EncodePeers(peers) == *text) return peers;
  LogWarning("the file of peers is damaged or newer than this build; the coordinators will tell");
  return {};
}

absl::Status SavePeers(FileSystem& file_system, absl::string_view directory,
                       const PeerAddresses& peers) {
  return ReplaceFile(file_system, JoinPath(directory, kFile), EncodePeers(peers));
}

}  // namespace ringleader
