#include "tests/storage/damage.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/file_system.h"

namespace ringleader::storage {
namespace {

using Disk = SimulatedFileSystem;

constexpr uint64_t kLastBlocks = 6;  // about two small batches

bool HoldsSomething(const std::string& content, uint64_t block) {
  const absl::string_view bytes =
      absl::string_view(content).substr(block * Disk::kBlockBytes, Disk::kBlockBytes);
  return std::any_of(bytes.begin(), bytes.end(), [](char byte) { return byte != '\0'; });
}

absl::string_view NameOf(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

bool Matches(Aim aim, absl::string_view path) {
  switch (aim) {
    case Aim::kSegmentHeader:
    case Aim::kLastBatch:
    case Aim::kLogBlock:
      return absl::EndsWith(path, ".segment");
    case Aim::kTableEnd:
    case Aim::kTableBlock:
      return absl::EndsWith(path, ".ldb");
    case Aim::kManifest:
      return absl::StartsWith(NameOf(path), "MANIFEST");
    case Aim::kCurrent:
      return NameOf(path) == "CURRENT";
    case Aim::kPlan:
      return absl::StrContains(path, "/plans/");
    default:
      return true;
  }
}

struct Target {
  std::string path;
  uint64_t block = 0;
};

// The blocks of one file that the aim takes.
void AddBlocks(Aim aim, const std::string& path, const std::string& content,
               std::vector<Target>& targets) {
  const uint64_t blocks = (content.size() + Disk::kBlockBytes - 1) / Disk::kBlockBytes;
  std::vector<uint64_t> held;
  for (uint64_t block = 0; block < blocks; ++block) {
    if (aim == Aim::kAny || HoldsSomething(content, block)) held.push_back(block);
  }
  if (aim == Aim::kSegmentHeader) held.resize(std::min<size_t>(held.size(), 2));
  if (aim == Aim::kTableEnd && !held.empty()) held = {held.back()};
  if (aim == Aim::kLastBatch && held.size() > kLastBlocks) {
    held.erase(held.begin(), held.end() - static_cast<int64_t>(kLastBlocks));
  }
  for (const uint64_t block : held) targets.push_back({path, block});
}

}  // namespace

const char* AimName(Aim aim) {
  constexpr const char* kNames[] = {"any block", "segment header", "last batch",
                                    "log block", "table's end",    "table block",
                                    "MANIFEST",  "CURRENT",        "plan"};
  static_assert(std::size(kNames) == static_cast<size_t>(Aim::kCount));
  return kNames[static_cast<size_t>(aim)];
}

Damage DamageOneBlock(Disk& disk, Aim aim, Random& random) {
  std::vector<Target> targets;
  for (const std::string& path : disk.Files()) {
    if (!Matches(aim, path)) continue;
    if (aim == Aim::kLastBatch) targets.clear();  // files are sorted: the newest segment stays
    AddBlocks(aim, path, disk.Content(path), targets);
  }
  if (targets.empty()) return {};
  const Target& target = targets[random.Below(targets.size())];
  Damage damage{.path = target.path, .block = target.block};
  const uint64_t begin = target.block * Disk::kBlockBytes;
  const uint64_t bytes =
      std::min<uint64_t>(Disk::kBlockBytes, disk.Content(target.path).size() - begin);
  constexpr const char* kHow[] = {"zeros", "noise", "unreadable", "a flipped bit"};
  const uint64_t how = random.Below(std::size(kHow));
  if (how == 3) {
    disk.FlipBit(target.path, begin * 8 + random.Below(bytes * 8));
  } else {
    disk.DamageBlock(target.path, target.block, static_cast<Disk::BadBlock>(how));
  }
  damage.what = absl::StrCat(kHow[how], " in block ", target.block, " of ", target.path, " (",
                             AimName(aim), ")");
  return damage;
}

}  // namespace ringleader::storage
