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
namespace {

// Logs write zeros ahead: their checksum is computed once for each size.
uint32_t Checksum(absl::string_view data) {
  if (!FileBytes::IsZeros(data)) return crc32c::Value(data);
  thread_local std::map<size_t, uint32_t> of_zeros;
  const auto [at, is_new] = of_zeros.try_emplace(data.size());
  if (is_new) at->second = crc32c::Value(data);
  return at->second;
}

}  // namespace

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
    std::string joined;
    if (pieces.size() > 1) {
      for (const absl::string_view piece : pieces) joined.append(piece.data(), piece.size());
    }
    MutexLock lock(owner_.mutex_);
    RETURN_IF_ERROR(owner_.CheckHandle(incarnation_, path_));
    return owner_.WriteFile(*node_, path_, offset, pieces.size() == 1 ? pieces[0] : joined);
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
    ResizeCached(*node, 0);
  }
  RETURN_IF_ERROR(begun);
  return std::make_unique<SimulatedWritableFile>(*this, std::string(path), std::move(node),
                                                 incarnation_);
}

void SimulatedFileSystem::MarkDirty(Node& node, uint64_t from, uint64_t to) {
  node.may_differ = true;
  node.dirty.Insert(from / kSectorBytes, (to + kSectorBytes - 1) / kSectorBytes);
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
  node.cached.Read(offset, out.first(size));
  return size;
}

absl::Status SimulatedFileSystem::Resize(Node& node, absl::string_view path, uint64_t size_bytes) {
  const absl::Status begun = Begin(Operation::kAllocate, path, size_bytes);
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  const uint64_t before = node.cached.size();
  absl::Status done = begun;
  if (size_bytes > before) {
    const uint64_t room = capacity_ - std::min(capacity_, UsedBytesLocked());
    if (size_bytes - before > room) {
      done = absl::ResourceExhaustedError(absl::StrCat(path, ": no space left"));
      size_bytes = before + room;
    }
  }
  ResizeCached(node, size_bytes);
  // Beyond what the disk has, zeros come by themselves.
  MarkDirty(node, std::min(before, size_bytes),
            std::min<uint64_t>(std::max(before, size_bytes), node.durable.size()));
  return done;
}

absl::Status SimulatedFileSystem::WriteFile(Node& node, absl::string_view path, uint64_t offset,
                                            absl::string_view data) {
  const absl::Status begun = Begin(Operation::kWrite, path, offset ^ Checksum(data));
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  if (!misdirected_.empty() && absl::StrContains(path, misdirected_)) {
    const int64_t shifted =
        static_cast<int64_t>(offset) + misdirected_blocks_ * static_cast<int64_t>(kBlockBytes);
    offset = static_cast<uint64_t>(std::max<int64_t>(0, shifted));
    misdirected_.clear();
    ++misdirected_writes_;
  }
  uint64_t end = offset + data.size();
  absl::Status done = begun;
  if (end > node.cached.size()) {
    const uint64_t room = capacity_ - std::min(capacity_, UsedBytesLocked());
    if (end - node.cached.size() > room) {
      // What finds space is written.
      done = absl::ResourceExhaustedError(absl::StrCat(path, ": no space left"));
      end = node.cached.size() + room;
      if (end <= offset) return done;
      data = data.substr(0, end - offset);
    }
    ResizeCached(node, end);
  }
  node.cached.Write(offset, data);
  MarkDirty(node, offset, end);
  for (uint64_t block = (offset + kBlockBytes - 1) / kBlockBytes; (block + 1) * kBlockBytes <= end;
       ++block) {
    node.unreadable.erase(block);
  }
  return done;
}

void SimulatedFileSystem::PersistSector(Node& node, uint64_t sector) {
  const uint64_t from = sector * kSectorBytes;
  const uint64_t to =
      std::min<uint64_t>({from + kSectorBytes, node.cached.size(), node.durable.size()});
  node.durable.CopyRange(node.cached, from, to);
}

absl::Status SimulatedFileSystem::SyncFile(Node& node, absl::string_view path) {
  const absl::Status begun = Begin(Operation::kSync, path);
  if (crashed_) return begun;  // what becomes of the dirty sectors, Restart decides
  node.durable.Resize(node.cached.size());
  for (const uint64_t sector : node.dirty.Take()) {
    if (begun.ok() || random_.Chance(0.5)) PersistSector(node, sector);
  }
  node.has_lost_writes |= !begun.ok();
  node.may_differ = node.has_lost_writes;
  return begun;
}

void SimulatedFileSystem::SettleFile(Node& node) {
  const bool has_new_size = random_.Chance(0.5);
  if (!std::exchange(node.may_differ, false)) return;
  if (has_new_size) node.durable.Resize(node.cached.size());
  uint64_t block = UINT64_MAX;
  uint64_t fate = 0;  // of the current block: 0 lost, 1 kept, 2 torn
  for (const uint64_t sector : node.dirty.Take()) {
    if (sector * kSectorBytes / kBlockBytes != block) {
      block = sector * kSectorBytes / kBlockBytes;
      fate = random_.Below(3);
    }
    if (fate == 1 || (fate == 2 && random_.Chance(0.5))) PersistSector(node, sector);
  }
  node.has_lost_writes = false;
  node.cached = node.durable;
}

void SimulatedFileSystem::FlipBit(absl::string_view path, uint64_t bit) {
  MutexLock lock(mutex_);
  const NodePointer node = FileAt(path);
  CHECK_LT(bit / 8, node->cached.size());
  for (FileBytes* const bytes : {&node->cached, &node->durable}) {
    if (bit / 8 >= bytes->size()) continue;
    char byte;
    bytes->Read(bit / 8, {&byte, 1});
    byte ^= static_cast<char>(1 << (bit % 8));
    bytes->Write(bit / 8, {&byte, 1});
  }
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
    for (FileBytes* const bytes : {&node->cached, &node->durable}) {
      if (at < bytes->size()) bytes->Write(at, {&byte, 1});
    }
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
  const NodePointer node = FileAt(path);
  std::string content(node->cached.size(), '\0');
  node->cached.Read(0, absl::MakeSpan(content));
  return content;
}

}  // namespace ringleader
