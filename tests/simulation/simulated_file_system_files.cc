// What happens to a file's bytes: page cache, disk, and the ways in which they part.
#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/status.h"
#include "tests/simulation/simulated_file_system.h"

namespace ringleader {

class SimulatedRandomAccessFile : public RandomAccessFile {
 public:
  SimulatedRandomAccessFile(SimulatedFileSystem& owner, std::string path,
                            SimulatedFileSystem::NodePointer node, uint64_t incarnation)
      : owner_(owner), path_(std::move(path)), node_(std::move(node)), incarnation_(incarnation) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> out) const override {
    MutexLock lock(owner_.mutex_);
    RETURN_IF_ERROR(owner_.CheckHandle(incarnation_, path_));
    return owner_.ReadAt(*node_, path_, offset, out);
  }

 private:
  SimulatedFileSystem& owner_;
  const std::string path_;
  const SimulatedFileSystem::NodePointer node_;
  const uint64_t incarnation_;
};

class SimulatedWritableFile : public WritableFile {
 public:
  SimulatedWritableFile(SimulatedFileSystem& owner, std::string path,
                        SimulatedFileSystem::NodePointer node, uint64_t incarnation)
      : owner_(owner), path_(std::move(path)), node_(std::move(node)), incarnation_(incarnation) {}

  absl::Status Append(absl::string_view data) override {
    MutexLock lock(owner_.mutex_);
    RETURN_IF_ERROR(owner_.CheckHandle(incarnation_, path_));
    return owner_.WriteFile(*node_, path_, node_->cached.size(), data);
  }

  absl::Status WriteAt(uint64_t offset, absl::Span<const absl::string_view> pieces) override {
    std::string data;
    for (const absl::string_view piece : pieces) data.append(piece.data(), piece.size());
    MutexLock lock(owner_.mutex_);
    RETURN_IF_ERROR(owner_.CheckHandle(incarnation_, path_));
    return owner_.WriteFile(*node_, path_, offset, data);
  }

  absl::Status Flush() override {
    MutexLock lock(owner_.mutex_);
    return owner_.CheckHandle(incarnation_, path_);
  }

  absl::Status Sync() override {
    MutexLock lock(owner_.mutex_);
    RETURN_IF_ERROR(owner_.CheckHandle(incarnation_, path_));
    return owner_.SyncFile(*node_, path_);
  }

  absl::Status Preallocate(uint64_t size_bytes) override {
    MutexLock lock(owner_.mutex_);
    RETURN_IF_ERROR(owner_.CheckHandle(incarnation_, path_));
    if (size_bytes <= node_->cached.size()) return absl::OkStatus();
    return owner_.Resize(*node_, path_, size_bytes);
  }

  absl::Status Truncate(uint64_t size_bytes) override {
    MutexLock lock(owner_.mutex_);
    RETURN_IF_ERROR(owner_.CheckHandle(incarnation_, path_));
    return owner_.Resize(*node_, path_, size_bytes);
  }

  absl::Status Close() override { return Flush(); }

 private:
  SimulatedFileSystem& owner_;
  const std::string path_;
  const SimulatedFileSystem::NodePointer node_;
  const uint64_t incarnation_;
};

absl::StatusOr<std::unique_ptr<RandomAccessFile>> SimulatedFileSystem::OpenForRead(
    absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kNames, path));
  ASSIGN_OR_RETURN(NodePointer node, Find(path));
  if (node->is_directory) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is a directory"));
  }
  return std::make_unique<SimulatedRandomAccessFile>(*this, std::string(path), std::move(node),
                                                     incarnation_);
}

absl::StatusOr<std::unique_ptr<WritableFile>> SimulatedFileSystem::OpenForWrite(
    absl::string_view path, WriteMode mode) {
  MutexLock lock(mutex_);
  const absl::Status begun = Begin(Operation::kNames, path, static_cast<uint64_t>(mode));
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  ASSIGN_OR_RETURN(const Place place, Resolve(path));
  const auto found = place.directory->names.find(place.name);
  const bool exists = found != place.directory->names.end();
  if (exists && mode == WriteMode::kCreate) {
    return absl::AlreadyExistsError(absl::StrCat(path, ": exists"));
  }
  if (place.name.empty() || (exists && found->second->is_directory)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is a directory"));
  }
  NodePointer node = exists ? found->second : std::make_shared<Node>();
  if (!exists) AddName(place, node);
  if (exists && mode == WriteMode::kTruncate) {
    MarkDirty(*node, 0, std::max(node->cached.size(), node->durable.size()));
    node->cached.clear();
  }
  RETURN_IF_ERROR(begun);
  return std::make_unique<SimulatedWritableFile>(*this, std::string(path), std::move(node),
                                                 incarnation_);
}

void SimulatedFileSystem::MarkDirty(Node& node, uint64_t from, uint64_t to) {
  for (uint64_t sector = from / kSectorBytes; sector * kSectorBytes < to; ++sector) {
    node.dirty.insert(sector);
  }
}

absl::StatusOr<size_t> SimulatedFileSystem::ReadAt(const Node& node, absl::string_view path,
                                                   uint64_t offset, absl::Span<char> out) {
  RETURN_IF_ERROR(Begin(Operation::kRead, path, offset ^ out.size() << 40));
  if (offset >= node.cached.size() || out.empty()) return size_t{0};
  const size_t size = std::min<uint64_t>(out.size(), node.cached.size() - offset);
  const auto bad = node.unreadable.lower_bound(offset / kBlockBytes);
  if (bad != node.unreadable.end() && *bad * kBlockBytes < offset + size) {
    return absl::DataLossError(absl::StrCat(path, ": block ", *bad, " can't be read"));
  }
  std::memcpy(out.data(), node.cached.data() + offset, size);
  return size;
}

absl::Status SimulatedFileSystem::Resize(Node& node, absl::string_view path, uint64_t size_bytes) {
  const absl::Status begun = Begin(Operation::kAllocate, path, size_bytes);
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  const uint64_t before = node.cached.size();
  if (size_bytes > before && UsedBytesLocked() + (size_bytes - before) > capacity_) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": no space left"));
  }
  node.cached.resize(size_bytes, '\0');
  // Beyond what the disk has, zeros come by themselves.
  MarkDirty(node, std::min(before, size_bytes),
            std::min<uint64_t>(std::max(before, size_bytes), node.durable.size()));
  return begun;
}

absl::Status SimulatedFileSystem::WriteFile(Node& node, absl::string_view path, uint64_t offset,
                                            absl::string_view data) {
  const absl::Status begun = Begin(Operation::kWrite, path, offset ^ crc32c::Value(data));
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  if (!misdirected_.empty() && absl::StrContains(path, misdirected_)) {
    const int64_t shifted =
        static_cast<int64_t>(offset) + misdirected_blocks_ * static_cast<int64_t>(kBlockBytes);
    offset = static_cast<uint64_t>(std::max<int64_t>(0, shifted));
    misdirected_.clear();
    ++misdirected_writes_;
  }
  const uint64_t end = offset + data.size();
  if (end > node.cached.size()) {
    if (UsedBytesLocked() + (end - node.cached.size()) > capacity_) {
      return absl::ResourceExhaustedError(absl::StrCat(path, ": no space left"));
    }
    node.cached.resize(end, '\0');
  }
  std::copy(data.begin(), data.end(), node.cached.begin() + static_cast<int64_t>(offset));
  MarkDirty(node, offset, end);
  for (uint64_t block = (offset + kBlockBytes - 1) / kBlockBytes; (block + 1) * kBlockBytes <= end;
       ++block) {
    node.unreadable.erase(block);
  }
  return begun;
}

void SimulatedFileSystem::PersistSector(Node& node, uint64_t sector) {
  const uint64_t from = sector * kSectorBytes;
  const uint64_t to =
      std::min<uint64_t>({from + kSectorBytes, node.cached.size(), node.durable.size()});
  if (from < to) std::memcpy(&node.durable[from], node.cached.data() + from, to - from);
}

absl::Status SimulatedFileSystem::SyncFile(Node& node, absl::string_view path) {
  const absl::Status begun = Begin(Operation::kSync, path);
  if (crashed_) return begun;  // what becomes of the dirty sectors, Restart decides
  node.durable.resize(node.cached.size(), '\0');
  for (const uint64_t sector : node.dirty) {
    if (begun.ok() || random_.Chance(0.5)) PersistSector(node, sector);
  }
  node.dirty.clear();
  return begun;
}

void SimulatedFileSystem::SettleFile(Node& node) {
  if (random_.Chance(0.5)) node.durable.resize(node.cached.size(), '\0');
  uint64_t block = UINT64_MAX;
  uint64_t fate = 0;  // of the current block: 0 lost, 1 kept, 2 torn
  for (const uint64_t sector : node.dirty) {
    if (sector * kSectorBytes / kBlockBytes != block) {
      block = sector * kSectorBytes / kBlockBytes;
      fate = random_.Below(3);
    }
    if (fate == 1 || (fate == 2 && random_.Chance(0.5))) PersistSector(node, sector);
  }
  node.dirty.clear();
  node.cached = node.durable;
}

void SimulatedFileSystem::FlipBit(absl::string_view path, uint64_t bit) {
  MutexLock lock(mutex_);
  const NodePointer node = FileAt(path);
  CHECK_LT(bit / 8, node->cached.size());
  const char mask = static_cast<char>(1 << (bit % 8));
  node->cached[bit / 8] ^= mask;
  if (bit / 8 < node->durable.size()) node->durable[bit / 8] ^= mask;
}

void SimulatedFileSystem::DamageBlock(absl::string_view path, uint64_t block, BadBlock how) {
  MutexLock lock(mutex_);
  const NodePointer node = FileAt(path);
  if (how == BadBlock::kUnreadable) {
    node->unreadable.insert(block);
    return;
  }
  for (uint64_t at = block * kBlockBytes; at < (block + 1) * kBlockBytes; ++at) {
    const char byte = how == BadBlock::kZeros ? '\0' : static_cast<char>(random_.Next());
    if (at < node->cached.size()) node->cached[at] = byte;
    if (at < node->durable.size()) node->durable[at] = byte;
  }
}

void SimulatedFileSystem::MisdirectNextWrite(absl::string_view path_part, int64_t blocks) {
  CHECK(!path_part.empty());
  MutexLock lock(mutex_);
  misdirected_ = std::string(path_part);
  misdirected_blocks_ = blocks;
}

void SimulatedFileSystem::MisdirectNoWrite() {
  MutexLock lock(mutex_);
  misdirected_.clear();
}

uint64_t SimulatedFileSystem::misdirected_writes() const {
  MutexLock lock(mutex_);
  return misdirected_writes_;
}

std::string SimulatedFileSystem::Content(absl::string_view path) const {
  MutexLock lock(mutex_);
  return FileAt(path)->cached;
}

}  // namespace ringleader
