#include "node/identity.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/crc32c.h"
#include "common/status.h"

namespace ringleader {
namespace {

constexpr absl::string_view kMagic = "ringleader-node ";
constexpr absl::string_view kFile = "identity";
constexpr absl::string_view kVersionMagic = "ringleader-cluster-version 1";
constexpr absl::string_view kVersionFile = "cluster-version";
constexpr uint64_t kFileBytesMax = 4096;

absl::Status Damaged() { return absl::DataLossError("the identity file is damaged"); }

bool TakeHex(absl::string_view line, absl::string_view name, uint64_t* value) {
  return absl::StartsWith(line, name) && absl::SimpleHexAtoi(line.substr(name.size()), value);
}

// As a file system of its own is that is mounted for the log or the databases.
bool IsEmptyDirectory(FileSystem& file_system, const std::string& path) {
  const auto is_directory = file_system.IsDirectory(path);
  if (!is_directory.ok() || !*is_directory) return false;
  const auto names = file_system.List(path);
  return names.ok() && (names->empty() || *names == std::vector<std::string>{"lost+found"});
}

}  // namespace

std::string EncodeIdentity(const NodeIdentity& identity) {
  std::string text = absl::StrCat(
      kMagic, "1\nincarnation ", absl::Hex(identity.incarnation, absl::kZeroPad16), "\nformation ",
      absl::Hex(identity.formation, absl::kZeroPad16), "\nnode ", identity.node, "\n");
  absl::StrAppend(&text, "crc32c ", absl::Hex(crc32c::Value(text), absl::kZeroPad8), "\n");
  return text;
}

absl::StatusOr<NodeIdentity> DecodeIdentity(absl::string_view text) {
  if (!absl::StartsWith(text, kMagic)) return Damaged();
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (lines[0] != absl::StrCat(kMagic, "1")) {
    return absl::FailedPreconditionError(
        "the identity file is of a newer format: this build is too old for the directory");
  }
  NodeIdentity identity;
  uint64_t checksum = 0;
  if (lines.size() != 6 || !TakeHex(lines[1], "incarnation ", &identity.incarnation) ||
      !TakeHex(lines[2], "formation ", &identity.formation) ||
      !absl::StartsWith(lines[3], "node ") ||
      !absl::SimpleAtoi(lines[3].substr(5), &identity.node) ||
      !TakeHex(lines[4], "crc32c ", &checksum) || identity.incarnation == 0) {
    return Damaged();
  }
  const size_t covered = text.size() - lines[4].size() - lines[5].size() - 1;
  if (crc32c::Value(text.substr(0, covered)) != checksum) return Damaged();
  return identity;
}

absl::StatusOr<NodeIdentity> LoadIdentity(FileSystem& file_system, absl::string_view directory,
                                          Random& random) {
  const std::string path = JoinPath(directory, kFile);
  const absl::StatusOr<std::string> text = ReadFile(file_system, path, kFileBytesMax);
  if (text.ok()) {
    auto identity = DecodeIdentity(*text);
    if (!identity.ok()) return Annotate(identity.status(), path);
    // It may have been renamed by a process that was killed before it synced the directory.
    RETURN_IF_ERROR(file_system.SyncDirectory(directory));
    return identity;
  }
  if (!absl::IsNotFound(text.status())) return text.status();
  ASSIGN_OR_RETURN(const std::vector<std::string> names, file_system.List(directory));
  for (const std::string& name : names) {
    // The last is of every new ext4: the directory may be a disk's own.
    if (name == "lock" || absl::StartsWith(name, kFile) || name == "lost+found") continue;
    if (IsEmptyDirectory(file_system, JoinPath(directory, name))) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " holds '", name,
                     "' and no identity: it is not a node's, or has lost what it was"));
  }
  const NodeIdentity identity{.incarnation = random.Next() | 1};
  RETURN_IF_ERROR(SaveIdentity(file_system, directory, identity));
  return identity;
}

absl::Status SaveIdentity(FileSystem& file_system, absl::string_view directory,
                          const NodeIdentity& identity) {
  return ReplaceFile(file_system, JoinPath(directory, kFile), EncodeIdentity(identity));
}

std::string EncodeClusterVersion(uint32_t version) {
  std::string text = absl::StrCat(kVersionMagic, "\nversion ", version, "\n");
  absl::StrAppend(&text, "crc32c ", absl::Hex(crc32c::Value(text), absl::kZeroPad8), "\n");
  return text;
}

uint32_t LoadClusterVersion(FileSystem& file_system, absl::string_view directory) {
  const auto text = ReadFile(file_system, JoinPath(directory, kVersionFile), kFileBytesMax);
  if (!text.ok()) return 0;
  const std::vector<absl::string_view> lines = absl::StrSplit(*text, '\n');
  uint32_t version = 0;
  const bool fits = lines.size() == 4 && absl::StartsWith(lines[1], "version ") &&
                    absl::SimpleAtoi(lines[1].substr(8), &version) &&
                    *text == EncodeClusterVersion(version);
  return fits ? version : 0;
}

absl::Status SaveClusterVersion(FileSystem& file_system, absl::string_view directory,
                                uint32_t version) {
  return ReplaceFile(file_system, JoinPath(directory, kVersionFile), EncodeClusterVersion(version));
}

}  // namespace ringleader
