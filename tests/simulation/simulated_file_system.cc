// The names, the faults and the crash. What happens to a file's bytes is in
// simulated_file_system_files.cc.
#include "tests/simulation/simulated_file_system.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/status.h"

namespace ringleader {

SimulatedFileSystem::SimulatedFileSystem(uint64_t seed)
    : random_(seed), root_(std::make_shared<Node>()) {
  root_->is_directory = true;
}

SimulatedFileSystem::~SimulatedFileSystem() = default;

void SimulatedFileSystem::Trace(absl::string_view text, uint64_t number) {
  trace_hash_ = (trace_hash_ ^ crc32c::Extend(static_cast<uint32_t>(number), text) ^ number) *
                0x9e3779b97f4a7c15;
  trace_hash_ ^= trace_hash_ >> 29;
}

absl::Status SimulatedFileSystem::Begin(Operation operation, absl::string_view path,
                                        uint64_t detail) {
  const uint64_t number = operations_++;
  Trace(path, static_cast<uint64_t>(operation) << 56 ^ detail);
  crashing_ = false;
  if (crashed_) return absl::UnavailableError(absl::StrCat(path, ": the machine is down"));
  const bool is_crash_sync = operation == Operation::kSync && !crash_at_sync_.empty() &&
                             absl::StrContains(path, crash_at_sync_);
  if (number >= crash_at_ || is_crash_sync) {
    crashed_ = crashing_ = true;
    return absl::UnavailableError(absl::StrCat(path, ": the machine crashed"));
  }
  if (fault_.count > 0 && fault_.operation == operation &&
      absl::StrContains(path, fault_.path_part)) {
    if (fault_.skip > 0) {
      --fault_.skip;
    } else {
      --fault_.count;
      Trace("fault", number);
      return Annotate(fault_.status, path);
    }
  }
  return absl::OkStatus();
}

absl::Status SimulatedFileSystem::CheckHandle(uint64_t incarnation, absl::string_view path) const {
  if (incarnation == incarnation_) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path, ": opened before the restart"));
}

bool SimulatedFileSystem::CrashKeepsEffect() {
  const bool keeps = crashing_ && random_.Chance(0.5);
  crashing_ = false;
  return keeps;
}

absl::StatusOr<SimulatedFileSystem::Place> SimulatedFileSystem::Resolve(
    absl::string_view path) const {
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  Place place{root_, ""};
  for (const absl::string_view part : parts) {
    if (part == ".") continue;
    if (!place.name.empty()) {
      const auto found = place.directory->names.find(place.name);
      if (found == place.directory->names.end() || !found->second->is_directory) {
        return absl::NotFoundError(absl::StrCat(path, ": no such directory"));
      }
      place.directory = found->second;
    }
    place.name = std::string(part);
  }
  return place;
}

absl::StatusOr<SimulatedFileSystem::NodePointer> SimulatedFileSystem::Find(
    absl::string_view path) const {
  ASSIGN_OR_RETURN(const Place place, Resolve(path));
  if (place.name.empty()) return place.directory;
  const auto found = place.directory->names.find(place.name);
  if (found == place.directory->names.end()) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file or directory"));
  }
  return found->second;
}

SimulatedFileSystem::NodePointer SimulatedFileSystem::FileAt(absl::string_view path) const {
  absl::StatusOr<NodePointer> node = Find(path);
  CHECK_OK(node);
  CHECK(!(*node)->is_directory) << path;
  return *node;
}

void SimulatedFileSystem::AddName(const Place& place, NodePointer node) {
  names_changed_ = true;
  place.directory->names[place.name] = node;
  place.directory->changes.push_back({"", place.name, std::move(node)});
}

void SimulatedFileSystem::RemoveName(const Place& place) {
  names_changed_ = true;
  place.directory->names.erase(place.name);
  place.directory->changes.push_back({place.name, "", nullptr});
}

absl::StatusOr<bool> SimulatedFileSystem::Exists(absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kNames, path));
  return Find(path).ok();
}

absl::StatusOr<uint64_t> SimulatedFileSystem::FileSize(absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kNames, path));
  ASSIGN_OR_RETURN(const NodePointer node, Find(path));
  return node->cached.size();
}

absl::StatusOr<bool> SimulatedFileSystem::IsDirectory(absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kNames, path));
  ASSIGN_OR_RETURN(const NodePointer node, Find(path));
  return node->is_directory;
}

absl::Status SimulatedFileSystem::Rename(absl::string_view from, absl::string_view to) {
  MutexLock lock(mutex_);
  const absl::Status begun = Begin(Operation::kNames, from);
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  ASSIGN_OR_RETURN(const Place source, Resolve(from));
  ASSIGN_OR_RETURN(const Place target, Resolve(to));
  ASSIGN_OR_RETURN(const NodePointer node, Find(from));
  const auto replaced = target.directory->names.find(target.name);
  if (replaced != target.directory->names.end()) {
    if (replaced->second == node) return begun;
    if (replaced->second->is_directory && !replaced->second->names.empty()) {
      return absl::AlreadyExistsError(absl::StrCat(to, ": directory not empty"));
    }
  }
  names_changed_ = true;
  if (source.directory == target.directory) {
    source.directory->names.erase(source.name);
    source.directory->names[target.name] = node;
    source.directory->changes.push_back({source.name, target.name, node});
  } else {
    RemoveName(source);
    AddName(target, node);
  }
  return begun;
}

absl::Status SimulatedFileSystem::Link(absl::string_view existing, absl::string_view to) {
  MutexLock lock(mutex_);
  const absl::Status begun = Begin(Operation::kNames, to);
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  ASSIGN_OR_RETURN(const NodePointer node, Find(existing));
  ASSIGN_OR_RETURN(const Place target, Resolve(to));
  if (target.directory->names.contains(target.name)) {
    return absl::AlreadyExistsError(absl::StrCat(to, ": exists"));
  }
  AddName(target, node);
  return begun;
}

absl::Status SimulatedFileSystem::RemoveFile(absl::string_view path) {
  MutexLock lock(mutex_);
  const absl::Status begun = Begin(Operation::kNames, path);
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  ASSIGN_OR_RETURN(const NodePointer node, Find(path));
  if (node->is_directory) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is a directory"));
  }
  ASSIGN_OR_RETURN(const Place place, Resolve(path));
  RemoveName(place);
  return begun;
}

absl::Status SimulatedFileSystem::CreateDirectory(absl::string_view path) {
  MutexLock lock(mutex_);
  const absl::Status begun = Begin(Operation::kNames, path);
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  ASSIGN_OR_RETURN(const Place place, Resolve(path));
  if (place.name.empty() || place.directory->names.contains(place.name)) {
    return absl::AlreadyExistsError(absl::StrCat(path, ": exists"));
  }
  NodePointer node = std::make_shared<Node>();
  node->is_directory = true;
  AddName(place, std::move(node));
  return begun;
}

absl::Status SimulatedFileSystem::RemoveDirectory(absl::string_view path) {
  MutexLock lock(mutex_);
  const absl::Status begun = Begin(Operation::kNames, path);
  if (!begun.ok() && !CrashKeepsEffect()) return begun;
  ASSIGN_OR_RETURN(const NodePointer node, Find(path));
  if (!node->is_directory) return absl::NotFoundError(absl::StrCat(path, ": not a directory"));
  if (!node->names.empty()) return absl::AlreadyExistsError(absl::StrCat(path, ": not empty"));
  ASSIGN_OR_RETURN(const Place place, Resolve(path));
  if (place.name.empty()) return absl::FailedPreconditionError("/: is the root");
  RemoveName(place);
  return begun;
}

absl::StatusOr<std::vector<std::string>> SimulatedFileSystem::List(absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kNames, path));
  ASSIGN_OR_RETURN(const NodePointer node, Find(path));
  if (!node->is_directory) return absl::NotFoundError(absl::StrCat(path, ": not a directory"));
  std::vector<std::string> names;
  for (const auto& [name, unused] : node->names) names.push_back(name);
  return names;
}

absl::Status SimulatedFileSystem::SyncDirectory(absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kSync, path));
  ASSIGN_OR_RETURN(const NodePointer node, Find(path));
  if (!node->is_directory) return absl::NotFoundError(absl::StrCat(path, ": not a directory"));
  node->durable_names = node->names;
  node->changes.clear();
  return absl::OkStatus();
}

uint64_t SimulatedFileSystem::UsedBytesLocked() const {
  if (!std::exchange(names_changed_, false)) return used_bytes_;
  ++count_;
  used_bytes_ = 0;
  std::vector<const Node*> todo = {root_.get()};
  while (!todo.empty()) {
    const Node* const node = todo.back();
    todo.pop_back();
    if (std::exchange(node->counted, count_) == count_) continue;
    used_bytes_ += node->cached.size();
    for (const auto& [name, child] : node->names) todo.push_back(child.get());
  }
  return used_bytes_;
}

void SimulatedFileSystem::ResizeCached(Node& node, uint64_t size_bytes) {
  if (node.counted == count_) used_bytes_ += size_bytes - node.cached.size();
  node.cached.Resize(size_bytes);
  node.may_differ = true;
}

absl::StatusOr<uint64_t> SimulatedFileSystem::FreeBytes(absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kNames, path));
  const uint64_t used = UsedBytesLocked();
  return capacity_ > used ? capacity_ - used : 0;
}

class SimulatedFileLock : public FileLock {
 public:
  SimulatedFileLock(SimulatedFileSystem& owner, std::string path, uint64_t incarnation)
      : owner_(owner), path_(std::move(path)), incarnation_(incarnation) {}
  ~SimulatedFileLock() override {
    MutexLock lock(owner_.mutex_);
    if (incarnation_ == owner_.incarnation_) owner_.locks_.erase(path_);
  }

 private:
  SimulatedFileSystem& owner_;
  const std::string path_;
  const uint64_t incarnation_;
};

absl::StatusOr<std::unique_ptr<FileLock>> SimulatedFileSystem::Lock(absl::string_view path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Begin(Operation::kNames, path));
  ASSIGN_OR_RETURN(const Place place, Resolve(path));
  if (!place.directory->names.contains(place.name)) AddName(place, std::make_shared<Node>());
  if (!locks_.insert(std::string(path)).second) {
    return absl::UnavailableError(absl::StrCat(path, ": is locked"));
  }
  return std::make_unique<SimulatedFileLock>(*this, std::string(path), incarnation_);
}

void SimulatedFileSystem::CrashAfter(uint64_t operations) {
  MutexLock lock(mutex_);
  crash_at_ = operations_ + operations;
}

void SimulatedFileSystem::CrashAtSync(absl::string_view path_part) {
  MutexLock lock(mutex_);
  crash_at_sync_ = std::string(path_part);
}

void SimulatedFileSystem::CrashNoMore() {
  MutexLock lock(mutex_);
  crash_at_ = UINT64_MAX;
  crash_at_sync_.clear();
}

void SimulatedFileSystem::CrashNow() {
  MutexLock lock(mutex_);
  crashed_ = true;
}

bool SimulatedFileSystem::crashed() const {
  MutexLock lock(mutex_);
  return crashed_;
}

uint64_t SimulatedFileSystem::operations() const {
  MutexLock lock(mutex_);
  return operations_;
}

uint64_t SimulatedFileSystem::trace_hash() const {
  MutexLock lock(mutex_);
  return trace_hash_;
}

void SimulatedFileSystem::Restart() {
  MutexLock lock(mutex_);
  std::set<Node*> seen;
  SettleTree(*root_, seen);
  names_changed_ = true;
  Trace("restart", ++incarnation_);
  locks_.clear();
  crashed_ = false;
  crash_at_ = UINT64_MAX;
  crash_at_sync_.clear();
}

void SimulatedFileSystem::RestartProcess() {
  MutexLock lock(mutex_);
  Trace("restart of the process", ++incarnation_);
  locks_.clear();
  crashed_ = false;
  crash_at_ = UINT64_MAX;
  crash_at_sync_.clear();
}

void SimulatedFileSystem::SettleDirectory(Node& directory) {
  for (const NameChange& change : directory.changes) {
    if (random_.Chance(0.5)) continue;
    if (!change.removed.empty()) directory.durable_names.erase(change.removed);
    if (!change.added.empty()) directory.durable_names[change.added] = change.node;
  }
  directory.changes.clear();
  directory.names = directory.durable_names;
}

void SimulatedFileSystem::SettleTree(Node& directory, std::set<Node*>& seen) {
  SettleDirectory(directory);
  for (const auto& [name, node] : directory.names) {
    if (!seen.insert(node.get()).second) continue;
    if (node->is_directory) {
      SettleTree(*node, seen);
    } else {
      SettleFile(*node);
    }
  }
}

void SimulatedFileSystem::InjectError(Operation operation, absl::string_view path_part,
                                      uint64_t skip, uint64_t count, absl::Status status) {
  CHECK(!status.ok());
  MutexLock lock(mutex_);
  fault_ = {operation, std::string(path_part), skip, count, std::move(status)};
}

void SimulatedFileSystem::SetCapacity(uint64_t bytes) {
  MutexLock lock(mutex_);
  capacity_ = bytes;
}

uint64_t SimulatedFileSystem::UsedBytes() const {
  MutexLock lock(mutex_);
  return UsedBytesLocked();
}

std::vector<std::string> SimulatedFileSystem::Files() const {
  MutexLock lock(mutex_);
  std::vector<std::string> files;
  std::vector<std::pair<std::string, const Node*>> todo = {{"", root_.get()}};
  while (!todo.empty()) {
    const auto [path, node] = todo.back();
    todo.pop_back();
    if (!node->is_directory) files.push_back(path);
    for (const auto& [name, child] : node->names) {
      todo.emplace_back(path.empty() ? name : JoinPath(path, name), child.get());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace ringleader
