// A node's log on a damaged disk: opening never crashes and never makes an entry up, whatever was
// done to the files; after damage to one block nothing is silently missing either (log.md).
#include "replication/log.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/random.h"
#include "replication/log_format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/unit/replication_log/log_fixture.h"

namespace ringleader::replication {
namespace {

using Disk = SimulatedFileSystem;

constexpr uint64_t kSeeds = 16;  // different logs that inputs damage
constexpr int kDamagesMax = 12;

LogOptions Options() {
  LogOptions options = SmallOptions();
  options.segment_bytes = 64 << 10;
  options.log_bytes_target = 256 << 10;
  return options;
}

// A log as it was written, and every entry that was ever in it.
struct Written {
  std::map<std::string, std::string> files;
  Model model;
  std::set<std::tuple<GroupId, Index, Term, std::string>> entries;
};

void Remember(const std::vector<GroupWrite>& batch, Written& written) {
  for (const GroupWrite& write : batch) {
    for (const Entry& entry : write.entries) {
      written.entries.emplace(write.group, entry.index, entry.term, Text(entry));
    }
  }
}

Written Write(uint64_t seed) {
  Written written;
  Disk disk(seed);
  Random random(seed);
  const uint64_t lives = 1 + random.Below(3);
  for (uint64_t life = 0; life < lives; ++life) {
    auto log = Log::Open(disk, "log", Options());
    CHECK(log.ok()) << log.status();
    for (uint64_t step = 2 + random.Below(12); step > 0; --step) {
      const std::vector<GroupWrite> batch = RandomBatch(random, written.model);
      CHECK((*log)->Write(batch).ok());
      Remember(batch, written);
    }
    log->reset();
    disk.RestartProcess();
  }
  for (const std::string& path : disk.Files()) {
    if (path.ends_with(".segment")) written.files[path] = disk.Content(path);
  }
  return written;
}

const Written& WrittenOf(uint64_t seed) {
  static auto* const kWritten = new std::map<uint64_t, Written>;
  const auto [place, fresh] = kWritten->try_emplace(seed);
  if (fresh) place->second = Write(seed + 1);
  return place->second;
}

void Put(Disk& disk, absl::string_view path, absl::string_view content) {
  auto file = disk.OpenForWrite(path, WriteMode::kTruncate);
  CHECK(file.ok()) << file.status();
  CHECK((*file)->Append(content).ok());
  CHECK((*file)->Sync().ok());
}

// One act of damage. True if it was confined to one block.
bool Damage(Disk& disk, fuzz::Input& input) {
  const std::vector<std::string> files = disk.Files();
  if (files.empty()) return false;
  const std::string& path = files[input.Below(files.size())];
  std::string content = disk.Content(path);
  const uint64_t blocks = content.size() / Disk::kBlockBytes;
  if (blocks == 0) return false;
  const uint64_t block = input.Number() % blocks;
  const size_t how = input.Below(8);
  if (how < 3) {
    disk.DamageBlock(path, block, static_cast<Disk::BadBlock>(how));
    return true;
  }
  if (how == 3) {
    disk.FlipBit(path, block * Disk::kBlockBytes * 8 + input.Number() % (Disk::kBlockBytes * 8));
    return true;
  }
  if (how == 4) {  // a few bytes, chosen
    const size_t offset = block * Disk::kBlockBytes + input.Number() % (Disk::kBlockBytes - 64);
    const absl::string_view bytes = input.Bytes(1 + input.Below(64));
    content.replace(offset, bytes.size(), bytes.data(), bytes.size());
    Put(disk, path, content);
    return true;
  }
  if (how == 5) {  // a block of the same or another file, as a misdirected write leaves it
    const std::string other = disk.Content(files[input.Below(files.size())]);
    if (other.size() < Disk::kBlockBytes) return false;
    const uint64_t from = input.Number() % (other.size() / Disk::kBlockBytes);
    content.replace(block * Disk::kBlockBytes, Disk::kBlockBytes, other, from * Disk::kBlockBytes,
                    Disk::kBlockBytes);
    Put(disk, path, content);
    return true;
  }
  if (how == 6) {
    Put(disk, path, content.substr(0, block * Disk::kBlockBytes));
    return false;
  }
  CHECK(disk.RemoveFile(path).ok());
  return false;
}

// All that is read has been written once, at that place.
void CheckNothingInvented(const Log& log, const Written* written) {
  for (const GroupState& state : log.Groups()) {
    if (state.destroyed) continue;
    CHECK(state.intact_last >= state.compacted.index);
    for (Index index = state.first_index(); index <= state.promised.index; ++index) {
      const auto read = log.Read(state.group, index, index, 1);
      if (!read.ok()) continue;
      CHECK(read->size() == 1);
      if (written == nullptr) continue;
      const Entry& entry = read->front();
      CHECK(written->entries.contains({state.group, index, entry.term, Text(entry)}))
          << "group " << state.group << " index " << index << " term " << entry.term;
    }
  }
}

// Goes on with the log as its node would: one more batch, and the log as it was found.
void CheckGoesOn(Disk& disk, std::unique_ptr<Log> log) {
  CHECK(log->Write({}).ok());
  const std::vector<GroupState> before = log->Groups();
  const bool lost = log->report().lost_history;
  log.reset();
  disk.RestartProcess();
  auto again = Log::Open(disk, "log", Options());
  CHECK(again.ok()) << again.status();
  CHECK((*again)->report().lost_history == lost);
  const std::vector<GroupState> after = (*again)->Groups();
  CHECK(after.size() == before.size());
  for (size_t i = 0; i < after.size(); ++i) {
    CHECK(after[i].group == before[i].group && after[i].suspect == before[i].suspect);
    CHECK(after[i].hard_state == before[i].hard_state);
    CHECK(after[i].promised == before[i].promised);
    CHECK(after[i].damage == before[i].damage);
  }
}

void FuzzDamaged(fuzz::Input input) {
  const Written& written = WrittenOf(input.Below(kSeeds));
  Disk disk(1);
  CHECK(disk.CreateDirectory("log").ok());
  for (const auto& [path, content] : written.files) Put(disk, path, content);
  int damages = 0;
  bool one_block = true;
  for (; !input.empty() && damages < kDamagesMax; ++damages) {
    one_block = Damage(disk, input) && damages == 0;
  }
  auto log = Log::Open(disk, "log", Options());
  CHECK(log.ok()) << log.status();
  CheckNothingInvented(**log, &written);
  if (one_block) {
    CHECK(!(*log)->report().lost_history);
    CHECK(Difference(**log, written.model, true).empty()) << Difference(**log, written.model, true);
  }
  CheckGoesOn(disk, *std::move(log));
}

// Files of nothing but the input's bytes.
void FuzzRaw(fuzz::Input input) {
  Disk disk(1);
  CHECK(disk.CreateDirectory("log").ok());
  const uint64_t files = 1 + input.Below(3);
  for (uint64_t file = 1; file <= files; ++file) {
    const size_t bytes = file == files ? SIZE_MAX : input.Below(256) * 256;
    std::string content(input.Bytes(bytes));
    content.resize((content.size() + Disk::kBlockBytes - 1) / Disk::kBlockBytes *
                   Disk::kBlockBytes);
    Put(disk, "log/" + SegmentName(file), content);
  }
  auto log = Log::Open(disk, "log", Options());
  if (log.ok()) CheckNothingInvented(**log, nullptr);
}

}  // namespace
}  // namespace ringleader::replication

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringleader::fuzz::Input input(ringleader::fuzz::View(data, size));
  if (input.Below(8) == 0) {
    ringleader::replication::FuzzRaw(input);
  } else {
    ringleader::replication::FuzzDamaged(input);
  }
  return 0;
}
