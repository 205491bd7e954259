#include "replication/log.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/mutants.h"
#include "common/mutex.h"
#include "common/random.h"
#include "common/status.h"
#include "replication/log_implementation.h"

namespace ringleader::replication {
namespace {

constexpr char kLockName[] = "LOCK";
// Reclaim copies at most this many entries a call, however small they are.
constexpr uint64_t kReclaimEntriesMax = 1 << 14;
constexpr uint64_t kZeroAheadBytes = 256 << 10;

}  // namespace

absl::Status LogImplementation::OpenDirectory() {
  MutexLock writing(writing_);
  RETURN_IF_ERROR(CheckLogOptions(options_));
  RETURN_IF_ERROR(CreateDirectories(file_system_, directory_));
  ASSIGN_OR_RETURN(lock_, file_system_.Lock(JoinPath(directory_, kLockName)));
  ASSIGN_OR_RETURN(RecoveredLog recovered, RecoverLog(file_system_, directory_, options_));
  // Nothing is changed yet. What a device can't read for a while is no damage, and would count as
  // such for good.
  for (const Duration pause : options_.reread_after) {
    if (recovered.report.unreadable_blocks == 0 || !options_.sleep) break;
    LogWarning(directory_, ": ", recovered.report.unreadable_blocks,
               " blocks can't be read; trying again");
    options_.sleep(pause);
    ASSIGN_OR_RETURN(recovered, RecoverLog(file_system_, directory_, options_));
  }
  for (const std::string& path : recovered.garbage) {
    RETURN_IF_ERROR(file_system_.RemoveFile(path));
  }
  // A removed segment's number may be used again: its name must not come back.
  if (!recovered.garbage.empty()) RETURN_IF_ERROR(file_system_.SyncDirectory(directory_));
  report_ = recovered.report;
  {
    MutexLock lock(mutex_);
    for (const ScannedSegment& segment : recovered.segments) {
      Segment& known = segments_[segment.number];
      known = {.path = segment.path, .size_bytes = segment.size_bytes, .file = segment.file};
      if (!segment.header.has_value()) continue;
      known.first_sequence = segment.header->first_sequence;
      known.void_from = segment.header->void_from;
    }
    index_ = recovered.index;
  }
  RETURN_IF_ERROR(TrimSegments(recovered));
  return StartAnew(recovered);
}

std::vector<LocatedEntry> LogImplementation::Unproven(const RecoveredLog& recovered) const {
  std::vector<LocatedEntry> entries;
  MutexLock lock(mutex_);
  const auto use = index_.uses().find(recovered.unproven_segment);
  if (recovered.unproven_end == 0 || use == index_.uses().end()) return entries;
  const std::shared_ptr<const RandomAccessFile> file =
      segments_.at(recovered.unproven_segment).file;
  std::vector<GroupId> groups;
  for (const auto& [group, count] : use->second.groups) groups.push_back(group);
  std::sort(groups.begin(), groups.end());
  for (const GroupId group : groups) {
    index_.ForEachEntryIn(
        recovered.unproven_segment, group, [&](Index index, Term term, const EntrySlot& slot) {
          if (slot.offset >= recovered.unproven_begin && slot.offset < recovered.unproven_end) {
            entries.push_back({group, index, term, slot, file});
          }
          return true;
        });
  }
  return entries;
}

// A checkpoint, and every intact entry of the last batch again: what the page cache shows of that
// batch may not be on the disk.
absl::StatusOr<Batch> LogImplementation::RecoveryBatch(const RecoveredLog& recovered,
                                                       std::vector<Payload>& payloads) {
  const std::vector<LocatedEntry> unproven = Unproven(recovered);
  bool is_failing = false;
  Batch copies;
  RETURN_IF_ERROR(AddCopies(unproven, copies, payloads,
                            [&is_failing](const LocatedEntry&) { is_failing = true; }));
  // Nothing is written yet: the next opening judges anew.
  if (is_failing) {
    return absl::UnavailableError(
        absl::StrCat(directory_, ": what was read a moment ago can't be read any more"));
  }
  MutexLock lock(mutex_);
  copies.items.insert(copies.items.begin(), index_.Checkpoint());
  return copies;
}

absl::Status LogImplementation::StartAnew(const RecoveredLog& recovered) {
  std::vector<Payload> payloads;
  ASSIGN_OR_RETURN(Batch batch, RecoveryBatch(recovered, payloads));
  RETURN_IF_ERROR(batch.Seal(options_.batch_bytes_max + kEntryBytesMax));
  next_sequence_ = recovered.last_sequence + 1;
  const uint64_t void_from = std::max<uint64_t>(1, recovered.last_sequence);
  BatchHeader layout;
  layout.table_bytes = static_cast<uint32_t>(batch.table.size());
  layout.payload_bytes = static_cast<uint32_t>(batch.payload_bytes);
  // On a full disk a small segment must do: a node has to start in order to free space.
  const uint64_t least =
      (kSegmentHeaderBlocks + 2) * kBlockBytes + layout.bytes() + options_.reserve_bytes;
  const uint64_t number = recovered.last_segment + 1;
  absl::StatusOr<Active> created =
      CreateSegment(number, void_from, std::max(options_.segment_bytes, least));
  if (absl::IsResourceExhausted(created.status())) {
    created = CreateSegment(number, void_from, least);
  }
  if (!created.ok()) return created.status();
  RETURN_IF_ERROR(PrepareSegment(*created));
  active_ = *std::move(created);
  RETURN_IF_ERROR(WriteBatch(batch));
  // Proves the first batch. Only now does the segment count.
  Batch seal;
  RETURN_IF_ERROR(seal.Seal(0));
  RETURN_IF_ERROR(WriteBatch(seal));
  active_.fresh = true;
  return absl::OkStatus();
}

// Gives back what was preallocated behind the last batch that shows itself (a crash may have undone
// the same step of Roll): on a full disk that is the space for the new segment.
absl::Status LogImplementation::TrimSegments(const RecoveredLog& recovered) {
  for (const ScannedSegment& segment : recovered.segments) {
    if (!segment.header.has_value() || segment.batches.empty()) continue;
    // A batch in a wrong place may be all that tells of a promise, until that is recorded.
    const uint64_t end_block = std::max<uint64_t>(
        segment.batches.rbegin()->second.header.end_block(), segment.stray_end_block);
    const uint64_t end = end_block * kBlockBytes;
    if (segment.size_bytes <= end) continue;
    ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file,
                     file_system_.OpenForWrite(segment.path, WriteMode::kAppend));
    RETURN_IF_ERROR(file->Truncate(end));
    MutexLock lock(mutex_);
    segments_[segment.number].size_bytes = end;
  }
  return absl::OkStatus();
}

absl::Status LogImplementation::Fail(const absl::Status& status) {
  CHECK(!status.ok());
  if (!failure_.ok()) return failure_;
  // Codes that promise that nothing was written must not leave here.
  const bool promises = absl::IsResourceExhausted(status) || absl::IsInvalidArgument(status);
  failure_ = Annotate(
      absl::Status(promises ? absl::StatusCode::kInternal : status.code(), status.message()),
      "the log failed and can't be used any more");
  return failure_;
}

// Leaves nothing behind if it fails for lack of space.
absl::StatusOr<Active> LogImplementation::CreateSegment(uint64_t number, uint64_t void_from,
                                                        uint64_t size_bytes) {
  CHECK_LT(number, uint64_t{UINT32_MAX});
  if (size_bytes > kSegmentBytesLimit) {
    return absl::InvalidArgumentError(absl::StrCat("a segment of ", size_bytes, " bytes"));
  }
  Active active;
  active.header = {options_.cluster, options_.node, number,
                   next_sequence_,   salts_.Next(), void_from};
  const std::string path = JoinPath(directory_, SegmentName(number));
  ASSIGN_OR_RETURN(active.file, file_system_.OpenForWrite(path, WriteMode::kTruncate));
  if (const absl::Status status = active.file->Preallocate(size_bytes); !status.ok()) {
    active.file.reset();
    file_system_.RemoveFile(path)
        .IgnoreError();  // the next attempt truncates it, opening ignores it
    return status;
  }
  active.size_bytes = size_bytes;
  active.end_bytes = kSegmentHeaderBlocks * kBlockBytes;
  active.fresh = true;
  return active;
}

// The header is durable before anything follows it: a segment with content and without a header is
// damaged, never unfinished.
absl::Status LogImplementation::PrepareSegment(const Active& segment) {
  const std::string block = EncodeSegmentHeader(segment.header);
  RETURN_IF_ERROR(segment.file->WriteAt(0, {block, block}));
  RETURN_IF_ERROR(SyncTimed(*segment.file));
  if (!MUTANT("segment-name-unsynced")) RETURN_IF_ERROR(file_system_.SyncDirectory(directory_));
  const std::string path = JoinPath(directory_, SegmentName(segment.header.segment));
  ASSIGN_OR_RETURN(std::shared_ptr<const RandomAccessFile> reader, file_system_.OpenForRead(path));
  MutexLock lock(mutex_);
  segments_[segment.header.segment] = {path, segment.size_bytes, std::move(reader),
                                       segment.header.first_sequence, segment.header.void_from};
  statistics_.written_bytes += 2 * block.size();
  return absl::OkStatus();
}

bool LogImplementation::Fits(uint64_t bytes, bool with_reserve) const {
  return active_.end_bytes + bytes + (with_reserve ? 0 : options_.reserve_bytes) <=
         active_.size_bytes;
}

absl::Status LogImplementation::MakeRoom(uint64_t bytes, bool may_use_reserve) {
  if (Fits(bytes, false)) return absl::OkStatus();
  absl::Status status = Grow(bytes);
  if (absl::IsResourceExhausted(status) && HasObsolete()) {
    RETURN_IF_ERROR(FreeObsolete());
    status = Grow(bytes);
  }
  if (absl::IsResourceExhausted(status)) {
    if (may_use_reserve && Fits(bytes, true)) return absl::OkStatus();
    MutexLock lock(mutex_);
    ++statistics_.out_of_space;
    return status;
  }
  return status.ok() || absl::IsInvalidArgument(status) ? status : Fail(status);
}

// RESOURCE_EXHAUSTED: nothing changed.
absl::Status LogImplementation::Grow(uint64_t bytes) {
  if (!active_.fresh) return Roll(bytes);
  const uint64_t size_bytes = active_.end_bytes + bytes + options_.reserve_bytes;
  if (size_bytes > kSegmentBytesLimit) {
    return absl::InvalidArgumentError("the batch does not fit into a segment");
  }
  RETURN_IF_ERROR(active_.file->Preallocate(size_bytes));
  active_.size_bytes = size_bytes;
  MutexLock lock(mutex_);
  segments_[active_.header.segment].size_bytes = size_bytes;
  return absl::OkStatus();
}

bool LogImplementation::HasObsolete() const {
  const uint64_t oldest = OldestNeeded();
  MutexLock lock(mutex_);
  return segments_.begin()->first < oldest;
}

// An empty batch says durably where the log begins now, out of the reserve: the files before that
// are the space that is missing.
absl::Status LogImplementation::FreeObsolete() {
  Batch empty;
  RETURN_IF_ERROR(empty.Seal(0));
  return Fits(2 * kBlockBytes, true) ? WriteBatch(empty) : absl::OkStatus();
}

// RESOURCE_EXHAUSTED: nothing changed.
absl::Status LogImplementation::Roll(uint64_t bytes) {
  Batch checkpoint;
  {
    MutexLock lock(mutex_);
    checkpoint.items.push_back(index_.Checkpoint());
  }
  RETURN_IF_ERROR(checkpoint.Seal(0));
  BatchHeader layout;
  layout.table_bytes = static_cast<uint32_t>(checkpoint.table.size());
  const uint64_t least =
      kSegmentHeaderBlocks * kBlockBytes + layout.bytes() + bytes + options_.reserve_bytes;
  ASSIGN_OR_RETURN(Active next, CreateSegment(active_.header.segment + 1, 0,
                                              std::max(options_.segment_bytes, least)));
  if (const absl::Status status = PrepareSegment(next); !status.ok()) return Fail(status);
  std::swap(active_, next);
  if (const absl::Status status = WriteBatch(checkpoint); !status.ok()) return status;
  active_.fresh = true;
  // The old one is complete and proven; the rest of its space goes back.
  if (const absl::Status status = next.file->Truncate(next.end_bytes); !status.ok()) {
    return Fail(status);
  }
  MutexLock lock(mutex_);
  const auto old = segments_.find(next.header.segment);
  if (old != segments_.end()) old->second.size_bytes = next.end_bytes;
  return absl::OkStatus();
}

absl::Status LogImplementation::SyncTimed(WritableFile& file) {
  const Instant begin = clock_.Now();
  const absl::Status synced = file.Sync();
  if (!synced.ok() && !MUTANT("failed-sync-goes-on")) return synced;
  const Duration took = HolderElapsed(begin, clock_.Now());
  MutexLock lock(mutex_);
  ++statistics_.syncs;
  statistics_.sync_total += took;
  statistics_.sync_longest = std::max(statistics_.sync_longest, took);
  return absl::OkStatus();
}

uint64_t LogImplementation::OldestNeeded() const {
  MutexLock lock(mutex_);
  const uint64_t active = active_.header.segment;
  if (index_.uses().empty()) return active;
  return std::min<uint64_t>(active, index_.uses().begin()->first);
}

// Where preallocated space becomes data, a sync has the file system write its journal too, and what
// that waits for: half as long again, and much more beside somebody who writes large files. Where
// blocks were written before it is the data alone. So zeros go ahead of small batches, of which
// there may be hundreds a second.
absl::Status LogImplementation::ZeroAhead(uint64_t end_bytes, uint64_t batch_bytes) {
  if (end_bytes <= active_.zeroed_to || batch_bytes > kZeroAheadBytes / 4) return absl::OkStatus();
  static const std::string* const zeros = new std::string(kZeroAheadBytes, '\0');
  const uint64_t bytes = std::min(kZeroAheadBytes, active_.size_bytes - end_bytes);
  RETURN_IF_ERROR(active_.file->WriteAt(end_bytes, {absl::string_view(*zeros).substr(0, bytes)}));
  active_.zeroed_to = end_bytes + bytes;
  MutexLock lock(mutex_);
  statistics_.zeroed_bytes += bytes;
  return absl::OkStatus();
}

// The one place where batches are written: there is room, one write, one sync.
absl::Status LogImplementation::WriteBatch(const Batch& batch) {
  BatchHeader header;
  header.sequence = next_sequence_;
  header.oldest_segment = OldestNeeded();
  header.start_block = static_cast<uint32_t>(active_.end_bytes / kBlockBytes);
  header.table_bytes = static_cast<uint32_t>(batch.table.size());
  header.payload_bytes = static_cast<uint32_t>(batch.payload_bytes);
  CHECK_EQ(active_.end_bytes % kBlockBytes, 0u);
  CHECK_LE(active_.end_bytes + header.bytes(), active_.size_bytes);
  const BatchImage image(active_.header, header, batch);
  // The zeros first: over a batch that went astray they would hide that it was written.
  absl::Status status = ZeroAhead(active_.end_bytes + header.bytes(), header.bytes());
  if (status.ok()) status = active_.file->WriteAt(active_.end_bytes, image.pieces());
  if (status.ok()) status = SyncTimed(*active_.file);
  if (!status.ok()) return Fail(status);
  ++next_sequence_;
  active_.end_bytes += header.bytes();
  active_.fresh = false;
  ApplyBatch(batch, header);
  // A segment that an opening began counts with its second batch, which proves the first: after a
  // crash before that it is thrown away, and the older ones are all there is.
  const bool counts = !active_.header.opening() || header.sequence > active_.header.first_sequence;
  if (counts) RemoveObsolete(header.oldest_segment);
  return absl::OkStatus();
}

void LogImplementation::ApplyBatch(const Batch& batch, const BatchHeader& header) {
  MutexLock lock(mutex_);
  PayloadPlace place;
  place.segment = static_cast<uint32_t>(active_.header.segment);
  place.offset = static_cast<uint32_t>(header.inlined() ? header.start_block * kBlockBytes +
                                                              kPageHeaderBytes + header.table_bytes
                                                        : header.payload_offset());
  for (const LogItem& item : batch.items) {
    // A checkpoint says what the index holds.
    if (std::holds_alternative<CheckpointItem>(item)) continue;
    CHECK_OK(index_.Apply(item, place));
    const EntriesItem* const entries = std::get_if<EntriesItem>(&item);
    if (entries != nullptr) place.offset += static_cast<uint32_t>(entries->payload_bytes());
  }
  ++statistics_.batches;
  statistics_.entries += batch.entries;
  statistics_.payload_bytes += batch.payload_bytes;
  statistics_.written_bytes += header.bytes();
}

// A durable batch says that the log begins at `oldest`. What can't be removed is tried again.
void LogImplementation::RemoveObsolete(uint64_t oldest) {
  std::vector<std::pair<uint64_t, std::string>> obsolete;
  {
    MutexLock lock(mutex_);
    for (const auto& [number, segment] : segments_) {
      if (number >= oldest) break;
      obsolete.emplace_back(number, segment.path);
    }
  }
  for (const auto& [number, path] : obsolete) {
    const absl::Status status = file_system_.RemoveFile(path);
    if (!status.ok() && !absl::IsNotFound(status)) return;
    MutexLock lock(mutex_);
    segments_.erase(number);  // readers under way hold the file
    ++statistics_.segments_removed;
  }
}

absl::Status LogImplementation::Commit(const Batch& batch) {
  BatchHeader layout;
  layout.table_bytes = static_cast<uint32_t>(batch.table.size());
  layout.payload_bytes = static_cast<uint32_t>(batch.payload_bytes);
  RETURN_IF_ERROR(MakeRoom(layout.bytes(), batch.entries == 0));
  return WriteBatch(batch);
}

absl::Status LogImplementation::Write(absl::Span<const GroupWrite> writes) {
  MutexLock writing(writing_);
  RETURN_IF_ERROR(failure_);
  absl::optional<BatchBuilder> builder;
  {
    MutexLock lock(mutex_);
    builder.emplace(index_, writes);
  }
  ASSIGN_OR_RETURN(const Batch batch, builder->Build(options_.batch_bytes_max));
  return Commit(batch);
}

uint64_t LogImplementation::FileBytes() const {
  uint64_t bytes = 0;
  for (const auto& [number, segment] : segments_) bytes += segment.size_bytes;
  return bytes;
}

bool LogImplementation::IsLong() const {
  return FileBytes() > options_.log_bytes_target ||
         segments_.size() > 2 * options_.log_bytes_target / options_.segment_bytes;
}

// Entries of one group in the oldest segment that has any, if that is not the active one.
std::vector<LocatedEntry> LogImplementation::ReclaimChoice(uint64_t bytes_max) const {
  MutexLock lock(mutex_);
  std::vector<LocatedEntry> chosen;
  if (index_.uses().empty()) return chosen;
  const auto& [segment, use] = *index_.uses().begin();
  if (!IsLong() && segment > rewrite_through_) return chosen;
  if (segment == active_.header.segment) return chosen;
  GroupId group = UINT64_MAX;
  for (const auto& [candidate, count] : use.groups) group = std::min(group, candidate);
  uint64_t bytes = 0;
  const std::shared_ptr<const RandomAccessFile> file = segments_.at(segment).file;
  index_.ForEachEntryIn(segment, group, [&](Index index, Term term, const EntrySlot& slot) {
    chosen.push_back({group, index, term, slot, file});
    bytes += slot.bytes;
    return bytes < bytes_max && chosen.size() < kReclaimEntriesMax;
  });
  return chosen;
}

absl::StatusOr<uint64_t> LogImplementation::Reclaim(uint64_t bytes_max) {
  MutexLock writing(writing_);
  RETURN_IF_ERROR(failure_);
  const std::vector<LocatedEntry> chosen =
      ReclaimChoice(std::min(bytes_max, options_.batch_bytes_max));
  if (chosen.empty()) return uint64_t{0};
  Batch batch;
  std::vector<Payload> payloads;
  const absl::Status status = AddCopies(chosen, batch, payloads, [this](const LocatedEntry& entry) {
    MutexLock lock(mutex_);
    ++statistics_.read_errors;
    index_.MarkCorrupt(entry.group, entry.index, entry.slot);
  });
  if (!status.ok()) return Fail(status);
  RETURN_IF_ERROR(batch.Seal(options_.batch_bytes_max + kEntryBytesMax));
  RETURN_IF_ERROR(Commit(batch));
  MutexLock lock(mutex_);
  statistics_.reclaimed_bytes += batch.payload_bytes;
  return std::max<uint64_t>(batch.payload_bytes, 1);  // empty entries are work too
}

std::vector<LogPin> LogImplementation::Pins() const {
  MutexLock lock(mutex_);
  std::vector<LogPin> pins;
  if (index_.uses().empty()) return pins;
  const auto& [segment, use] = *index_.uses().begin();
  if (segments_.empty() || segment == segments_.rbegin()->first) return pins;
  for (const auto& [group, entries] : use.groups) {
    LogPin& pin = pins.emplace_back(LogPin{group, entries, 0});
    index_.ForEachEntryIn(segment, group, [&pin](Index index, Term, const EntrySlot&) {
      pin.last = index;
      return true;
    });
  }
  std::sort(pins.begin(), pins.end(), [](const LogPin& a, const LogPin& b) {
    return a.entries != b.entries ? a.entries > b.entries : a.group < b.group;
  });
  return pins;
}

std::vector<GroupState> LogImplementation::Groups() const {
  MutexLock lock(mutex_);
  return index_.States();
}

std::optional<GroupState> LogImplementation::Group(GroupId group) const {
  MutexLock lock(mutex_);
  const LogIndex::GroupLog* const log = index_.Find(group);
  if (log == nullptr) return std::nullopt;
  return index_.State(group, *log);
}

std::vector<LocatedEntry> LogImplementation::Locate(GroupId group, const LogIndex::GroupLog& log,
                                                    Index first, Index last,
                                                    uint64_t bytes_max) const {
  std::vector<LocatedEntry> located;
  uint64_t bytes = 0;
  for (Index index = first; index <= last; ++index) {
    const EntrySlot& slot = log.slot(index);
    if (slot.state != EntrySlot::kIntact) break;
    located.push_back(
        {group, index, *log.shape.TermAt(index), slot, segments_.at(slot.segment).file});
    bytes += slot.bytes;
    if (bytes > bytes_max) break;
  }
  return located;
}

absl::StatusOr<std::vector<Entry>> LogImplementation::Read(GroupId group, Index first, Index last,
                                                           uint64_t bytes_max) const {
  std::vector<LocatedEntry> located;
  {
    MutexLock lock(mutex_);
    const LogIndex::GroupLog* const log = index_.Find(group);
    if (log == nullptr || first > last || !log->shape.Holds(first) || !log->shape.Holds(last)) {
      return absl::OutOfRangeError(
          absl::StrCat("group ", group, ": entries ", first, " to ", last, " are not in the log"));
    }
    located = Locate(group, *log, first, last, bytes_max);
  }
  if (located.empty()) {
    return absl::DataLossError(absl::StrCat("group ", group, ": entry ", first, " is damaged"));
  }
  std::vector<Entry> entries;
  entries.reserve(located.size());
  for (const LocatedEntry& entry : located) {
    absl::StatusOr<Payload> payload = ReadPayload(entry);
    if (!payload.ok()) {
      MutexLock lock(mutex_);
      ++statistics_.read_errors;
      if (!entries.empty() && absl::IsDataLoss(payload.status())) break;
      return payload.status();
    }
    entries.push_back(
        {entry.term, entry.index, static_cast<EntryKind>(entry.slot.kind), *std::move(payload)});
  }
  return entries;
}

absl::StatusOr<Term> LogImplementation::TermAt(GroupId group, Index index) const {
  MutexLock lock(mutex_);
  const LogIndex::GroupLog* const log = index_.Find(group);
  const std::optional<Term> term =
      log == nullptr || log->destroyed ? std::nullopt : log->shape.TermAt(index);
  if (term.has_value()) return *term;
  return absl::OutOfRangeError(absl::StrCat("group ", group, ": no entry ", index));
}

LogStatistics LogImplementation::statistics() const {
  MutexLock lock(mutex_);
  LogStatistics statistics = statistics_;
  statistics.segments = segments_.size();
  statistics.bytes = FileBytes();
  statistics.is_long = IsLong();
  statistics.live_entries = index_.live_entries();
  statistics.live_bytes = index_.live_bytes();
  return statistics;
}

absl::StatusOr<std::unique_ptr<Log>> Log::Open(FileSystem& file_system, absl::string_view directory,
                                               const LogOptions& options) {
  auto log = std::make_unique<LogImplementation>(file_system, directory, options);
  RETURN_IF_ERROR(Annotate(log->OpenDirectory(), absl::StrCat("opening the log in ", directory)));
  return log;
}

}  // namespace ringleader::replication
