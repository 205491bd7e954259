// The applier's side of a replica: the state machine, and who waits for it.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/status.h"
#include "replication/replica.h"

namespace ringleader::replication {

void Replica::WhenApplied(Index index, Done ready) {
  place_.applier.Post([self = shared_from_this(), index, ready = std::move(ready)]() mutable {
    if (!self->stopped_.ok()) return ready(self->stopped_);
    if (index <= self->applied_) return ready(absl::OkStatus());
    auto& waiting = self->waiting_applied_;
    const auto place = std::upper_bound(
        waiting.begin(), waiting.end(), index,
        [](Index wanted, const WaitingApplied& other) { return wanted < other.index; });
    waiting.insert(place, WaitingApplied{index, std::move(ready)});
  });
}

void Replica::ApplyEntries(std::vector<Entry> entries) {
  if (!HasState()) return;
  CHECK(!entries.empty());
  CHECK_EQ(entries.front().index, applied_ + 1) << "group " << group_ << " would skip entries";
  const absl::Status done = machine_->Apply(entries);
  if (!done.ok()) {
    stopped_ = Annotate(done, absl::StrCat("applying entry ", entries.front().index, " and after"));
    DropWaiting(stopped_);
    machine_ = nullptr;
    place_.worker.Post([self = shared_from_this(), why = stopped_] { self->Fail(why); });
    return;
  }
  applied_ = entries.back().index;
  CHECK_EQ(machine_->applied().last.index, applied_);
  uint64_t bytes = 0;
  for (const Entry& entry : entries) bytes += CostBytes(entry);
  place_.worker.Post(
      [self = shared_from_this(), index = applied_, bytes] { self->AppliedTo(index, bytes); });
  ReleaseWaiting();
}

void Replica::ReleaseWaiting() {
  while (!waiting_applied_.empty() && waiting_applied_.front().index <= applied_) {
    Done ready = std::move(waiting_applied_.front().ready);
    waiting_applied_.pop_front();
    ready(absl::OkStatus());
  }
}

void Replica::DropWaiting(const absl::Status& why) {
  std::deque<WaitingApplied> waiting = std::move(waiting_applied_);
  waiting_applied_.clear();
  for (WaitingApplied& one : waiting) one.ready(why);
}

absl::StatusOr<AppliedState> Replica::Capture(const std::string& directory) {
  RETURN_IF_ERROR(stopped_);
  if (machine_ == nullptr)
    return absl::UnavailableError("this replica itself waits for a snapshot");
  return machine_->Capture(directory);
}

void Replica::StateFailed(absl::Status why) {
  place_.worker.Post([self = shared_from_this(), why = std::move(why)] { self->Fail(why); });
}

std::string Replica::GenerationDirectory(uint64_t generation) const {
  return JoinPath(directory_, absl::StrCat(generation));
}

absl::StatusOr<uint64_t> Replica::HighestGeneration() const {
  uint64_t highest = 0;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, place_.file_system.List(directory_));
  for (const std::string& name : names) {
    uint64_t generation = 0;
    if (absl::SimpleAtoi(name, &generation)) highest = std::max(highest, generation);
  }
  return highest;
}

// The log already says that `meta` is this replica's state: from here on a restart opens the new
// directory, whatever happens to the old ones.
void Replica::Install(SnapshotMeta meta) {
  if (!stopped_.ok()) return;
  machine_ = nullptr;  // closes the old state before the new one is opened
  absl::StatusOr<std::unique_ptr<StateMachine>> opened =
      place_.factory.Open(group_, id_, GenerationDirectory(meta.generation), AppliedState{});
  if (opened.ok() && (*opened)->applied().last != meta.last) {
    opened = absl::DataLossError(absl::StrCat("the snapshot's state ends at index ",
                                              (*opened)->applied().last.index, ", not at ",
                                              meta.last.index));
  }
  if (!opened.ok()) {
    stopped_ = Annotate(opened.status(), absl::StrCat("opening snapshot ", meta.generation));
    DropWaiting(stopped_);
    place_.worker.Post([self = shared_from_this(), why = stopped_] { self->Fail(why); });
    return;
  }
  machine_ = *std::move(opened);
  applied_ = meta.last.index;
  LogInfo("group ", group_, " replica ", id_, ": installed a snapshot at index ", applied_);
  DeleteOtherGenerations(place_.file_system, directory_, meta.generation, /*installed=*/true);
  place_.worker.Post([self = shared_from_this(), index = applied_] {
    if (self->closed_) return;
    if (self->snapshot_decided_ != nullptr) {
      std::exchange(self->snapshot_decided_, nullptr)(StagedFate::kInstalled);
    }
    self->AppliedTo(index, 0);
  });
  ReleaseWaiting();
}

void DeleteOtherGenerations(FileSystem& file_system, const std::string& directory,
                            uint64_t generation, bool installed) {
  const auto names = file_system.List(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (name == absl::StrCat(generation) || name == Replica::kQuarantined) continue;
    if (!installed && name == Replica::kDistrusted) continue;
    uint64_t number = 0;
    if (installed && absl::SimpleAtoi(name, &number) && number > generation) continue;
    const absl::Status removed = RemoveRecursively(file_system, JoinPath(directory, name));
    // What is left takes space and nothing else: the next opening tries again.
    if (!removed.ok()) LogWarning("leftover state: ", removed.ToString());
  }
}

}  // namespace ringleader::replication
