// Reading the log back while it is in use (DESIGN section 6; log.md, "Scrubbing").
#include <algorithm>
#include <iterator>
#include <utility>

#include "common/status.h"
#include "replication/log_implementation.h"
#include "replication/log_scan.h"

namespace ringleader::replication {
namespace {

// Copies of headers and pages that are not what was written. A batch of which nothing is left has
// two blocks at least.
uint64_t CountBadBlocks(const ScannedSegment& segment, const ScrubPlan& plan) {
  uint64_t bad = segment.bad_blocks;
  uint64_t expected = plan.first_sequence;
  for (const auto& [sequence, batch] : segment.batches) {
    if (sequence < expected || sequence >= plan.end_sequence) continue;
    bad += 2 * (sequence - expected);
    bad += 2 * batch.header.parts() - std::min(batch.intact_pages, 2 * batch.header.parts());
    expected = sequence + 1;
  }
  if (plan.first_sequence != 0 && expected < plan.end_sequence) {
    bad += 2 * (plan.end_sequence - expected);
  }
  return bad;
}

}  // namespace

std::optional<ScrubPlan> LogImplementation::PlanScrub(uint64_t after) const {
  MutexLock lock(mutex_);
  const auto found = segments_.upper_bound(after);
  // The newest one is being written.
  if (found == segments_.end() || std::next(found) == segments_.end()) return std::nullopt;
  ScrubPlan plan;
  plan.segment = found->first;
  plan.first_sequence = found->second.first_sequence;
  plan.end_sequence = UINT64_MAX;
  for (auto later = std::next(found); later != segments_.end(); ++later) {
    const uint64_t begins =
        later->second.void_from != 0 ? later->second.void_from : later->second.first_sequence;
    if (begins != 0) plan.end_sequence = std::min(plan.end_sequence, begins);
  }
  const auto use = index_.uses().find(static_cast<uint32_t>(plan.segment));
  if (use == index_.uses().end()) return plan;
  for (const auto& [group, count] : use->second.groups) plan.groups.insert(group);
  return plan;
}

// Each group's for itself: looking for them takes as long as the group has entries.
std::vector<LocatedEntry> LogImplementation::LiveEntries(uint64_t segment, GroupId group) const {
  std::vector<LocatedEntry> entries;
  MutexLock lock(mutex_);
  const auto found = segments_.find(segment);
  if (found == segments_.end()) return entries;
  index_.ForEachEntryIn(
      static_cast<uint32_t>(segment), group,
      [&, file = found->second.file](Index index, Term term, const EntrySlot& slot) {
        entries.push_back({group, index, term, slot, file});
        return true;
      });
  return entries;
}

absl::StatusOr<LogScrub> LogImplementation::Scrub(uint64_t after) {
  const std::optional<ScrubPlan> plan = PlanScrub(after);
  LogScrub scrub;
  if (!plan.has_value()) return scrub;
  scrub.segment = plan->segment;
  const absl::StatusOr<ScannedSegment> scanned =
      ScanSegment(file_system_, directory_, plan->segment);
  // Removed meanwhile, as nothing lives in it any more.
  if (absl::IsNotFound(scanned.status())) return scrub;
  RETURN_IF_ERROR(scanned.status());
  scrub.bytes = scanned->size_bytes;
  scrub.bad_blocks = CountBadBlocks(*scanned, *plan);
  for (const GroupId group : plan->groups) {
    const uint64_t bad_before = scrub.bad_entries;
    for (const LocatedEntry& entry : LiveEntries(plan->segment, group)) {
      scrub.bytes += entry.slot.bytes;
      const absl::Status read = ReadToJudge(entry).status();
      if (read.ok()) continue;
      if (!absl::IsDataLoss(read)) return read;
      ++scrub.bad_entries;
      MutexLock lock(mutex_);
      ++statistics_.read_errors;
      index_.MarkCorrupt(entry.group, entry.index, entry.slot);
    }
    if (scrub.bad_entries > bad_before) scrub.groups.push_back(group);
  }
  MutexLock lock(mutex_);
  if (scrub.bad_blocks + scrub.bad_entries > 0) {
    rewrite_through_ = std::max(rewrite_through_, plan->segment);
  }
  return scrub;
}

bool LogImplementation::Distrust(GroupId group, Index index) {
  std::vector<LocatedEntry> located;
  {
    MutexLock lock(mutex_);
    const LogIndex::GroupLog* const log = index_.Find(group);
    if (log == nullptr || !log->shape.Holds(index)) return false;
    located = Locate(group, *log, index, index, kEntryBytesMax);
  }
  if (located.empty()) return true;
  const LocatedEntry& entry = located.front();
  if (!absl::IsDataLoss(ReadToJudge(entry).status())) return false;
  MutexLock lock(mutex_);
  ++statistics_.read_errors;
  index_.MarkCorrupt(group, index, entry.slot);
  return true;
}

void LogImplementation::Suspect(GroupId group) {
  MutexLock lock(mutex_);
  index_.MarkSuspect(group);
}

bool LogImplementation::RewriteIsDue() const {
  MutexLock lock(mutex_);
  return !index_.uses().empty() && index_.uses().begin()->first <= rewrite_through_;
}

}  // namespace ringleader::replication
