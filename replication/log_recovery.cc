#include "replication/log_recovery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status.h"

namespace ringleader::replication {
namespace {

class Recovery {
 public:
  Recovery(FileSystem& file_system, absl::string_view directory, const LogOptions& options)
      : file_system_(file_system), directory_(directory), options_(options) {}

  absl::StatusOr<RecoveredLog> Run() {
    RETURN_IF_ERROR(Scan());
    DropUnfinishedSegment();
    DropVoidBatches();
    DropSuperseded();
    FindLast();
    RETURN_IF_ERROR(Replay());
    FindStray();
    Summarize();
    return std::move(log_);
  }

 private:
  std::vector<ScannedSegment>& segments() { return log_.segments; }

  void Note(std::string text) {
    if (log_.report.notes.size() < LogReport::kNotesMax) {
      log_.report.notes.push_back(std::move(text));
    }
  }

  absl::Status Scan();
  absl::Status CheckOwner(const ScannedSegment& segment) const;
  void DropUnfinishedSegment();
  void DropVoidBatches();
  void DropSuperseded();
  void FindLast();
  absl::Status Replay();
  void FindStray();
  absl::Status ReplaySegment(const ScannedSegment& segment, bool oldest);
  absl::Status ReplayBatch(const ScannedSegment& segment, const ScannedBatch& batch,
                           BlockReader& reader);
  absl::Status ApplyItems(const ScannedSegment& segment, const ScannedBatch& batch,
                          const std::vector<LogItem>& items, BlockReader& reader);
  void Lose(uint64_t batches, const std::string& what);
  void Summarize();

  FileSystem& file_system_;
  const absl::string_view directory_;
  const LogOptions& options_;
  RecoveredLog log_;
  uint64_t expected_ = 0;  // the next batch's sequence; 0: not known
};

absl::Status Recovery::Scan() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, file_system_.List(directory_));
  for (const std::string& name : names) {
    const std::optional<uint64_t> number = ParseSegmentName(name);
    if (!number.has_value()) continue;
    ASSIGN_OR_RETURN(ScannedSegment segment, ScanSegment(file_system_, directory_, *number));
    RETURN_IF_ERROR(CheckOwner(segment));
    log_.report.bad_blocks += segment.header.has_value() ? segment.bad_blocks : 0;
    log_.report.unreadable_blocks += segment.unreadable_blocks;
    ++log_.report.segments;
    segments().push_back(std::move(segment));
  }
  return absl::OkStatus();  // names are sorted, and so are the numbers
}

absl::Status Recovery::CheckOwner(const ScannedSegment& segment) const {
  if (!segment.header.has_value()) return absl::OkStatus();
  if (segment.header->cluster == options_.cluster && segment.header->node == options_.node) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      segment.path, " belongs to node ", segment.header->node, " of cluster ",
      segment.header->cluster, ", this is node ", options_.node, " of cluster ", options_.cluster));
}

// The newest segment may have been under construction. Nothing in it was relied upon then: a header
// is synced before anything follows, and Open returns only after a second batch. Until then the
// segment before it is there: without it, it is the second batch that is lost.
void Recovery::DropUnfinishedSegment() {
  if (segments().empty()) return;
  const ScannedSegment& newest = segments().back();
  const bool continues =
      segments().size() > 1 && segments()[segments().size() - 2].number + 1 == newest.number;
  if (newest.number > 1 && !continues) return;
  const uint64_t last_in_place = newest.batches.empty() ? 0 : newest.batches.rbegin()->first;
  const uint64_t last = std::max(last_in_place, newest.last_stray);
  const bool unfinished =
      newest.header.has_value()
          ? last == 0 || (newest.header->opening() && last == newest.header->first_sequence)
          : !newest.has_data;
  if (!unfinished) return;
  Note(absl::StrCat(newest.path, ": was never completed; removed"));
  log_.garbage.push_back(newest.path);
  segments().pop_back();
}

void Recovery::DropVoidBatches() {
  uint64_t limit = UINT64_MAX;
  for (auto segment = segments().rbegin(); segment != segments().rend(); ++segment) {
    segment->batches.erase(segment->batches.lower_bound(limit), segment->batches.end());
    if (segment->header.has_value() && segment->header->opening()) {
      limit = std::min(limit, segment->header->void_from);
    }
  }
}

void Recovery::DropSuperseded() {
  uint64_t oldest = 0;
  for (const ScannedSegment& segment : segments()) {
    log_.last_segment = segment.number;
    for (const auto& [sequence, batch] : segment.batches) {
      oldest = std::max(oldest, batch.header.oldest_segment);
    }
  }
  while (!segments().empty() && segments().front().number < oldest) {
    log_.garbage.push_back(segments().front().path);
    segments().erase(segments().begin());
  }
  if (!segments().empty() && oldest != 0 && segments().front().number > oldest) {
    Lose(1,
         absl::StrCat("segments ", oldest, " to ", segments().front().number - 1, " are missing"));
  }
}

void Recovery::FindLast() {
  for (const ScannedSegment& segment : segments()) {
    if (!segment.batches.empty()) log_.last_sequence = segment.batches.rbegin()->first;
  }
}

void Recovery::Lose(uint64_t batches, const std::string& what) {
  log_.report.batches_lost += batches;
  log_.index.MarkAllSuspect();
  Note(what);
}

absl::Status Recovery::Replay() {
  uint64_t previous = 0;
  for (const ScannedSegment& segment : segments()) {
    if (previous != 0 && segment.number != previous + 1) {
      Lose(1, absl::StrCat("segments ", previous + 1, " to ", segment.number - 1, " are missing"));
      expected_ = 0;
    }
    if (!segment.header.has_value()) {
      Lose(1, absl::StrCat(segment.path, ": both copies of the header are bad"));
      expected_ = 0;
    } else {
      RETURN_IF_ERROR(ReplaySegment(segment, previous == 0));
    }
    previous = segment.number;
  }
  return absl::OkStatus();
}

// In its own place an acknowledged batch may look as if it had never been written; where it landed
// instead it tells of itself. If it was nobody's promise yet, that costs a replica.
void Recovery::FindStray() {
  if (segments().empty()) return;
  const ScannedSegment& newest = segments().back();
  if (newest.last_stray <= log_.last_sequence) return;
  Lose(newest.last_stray - log_.last_sequence,
       absl::StrCat(newest.path, ": batch ", newest.last_stray, " is not in its own place"));
}

absl::Status Recovery::ReplaySegment(const ScannedSegment& segment, bool oldest) {
  const SegmentHeader& header = *segment.header;
  const uint64_t begins = header.opening() ? header.void_from : header.first_sequence;
  if (expected_ != 0 && expected_ < begins) {
    Lose(begins - expected_, absl::StrCat("batches ", expected_, " to ", begins - 1, " before ",
                                          segment.path, " are lost"));
  }
  const bool continues = !oldest && expected_ != 0 && !header.opening();
  expected_ = header.first_sequence;
  BlockReader reader(*segment.file, segment.size_bytes);
  for (const auto& [sequence, batch] : segment.batches) {
    uint64_t lost = sequence - expected_;
    // The checkpoint of a segment that merely continues says nothing new.
    if (continues && expected_ == header.first_sequence && lost > 0) --lost;
    if (lost > 0) {
      Lose(lost,
           absl::StrCat(segment.path, ": ", lost, " batches before batch ", sequence, " are lost"));
    }
    expected_ = sequence + 1;
    if (batch.complete()) {
      RETURN_IF_ERROR(ReplayBatch(segment, batch, reader));
    } else if (sequence == log_.last_sequence) {
      log_.report.torn_tail = true;
      Note(absl::StrCat(segment.path, ": batch ", sequence, " at the end never completed"));
    } else if (!continues || sequence != header.first_sequence) {
      Lose(1, absl::StrCat(segment.path, ": the table of batch ", sequence, " is lost"));
    }
  }
  return absl::OkStatus();
}

absl::Status Recovery::ReplayBatch(const ScannedSegment& segment, const ScannedBatch& batch,
                                   BlockReader& reader) {
  ASSIGN_OR_RETURN(const std::string stream, ReadStream(segment, batch, reader));
  absl::StatusOr<std::vector<LogItem>> items =
      DecodeTable(absl::string_view(stream).substr(0, batch.header.table_bytes));
  if (!items.ok()) return Annotate(items.status(), segment.path);
  if (batch.header.sequence == log_.last_sequence) {
    log_.unproven_segment = static_cast<uint32_t>(segment.number);
    log_.unproven_begin = batch.header.start_block * kBlockBytes;
    log_.unproven_end = batch.header.end_block() * kBlockBytes;
  }
  ++log_.report.batches;
  log_.report.bytes += batch.header.bytes();
  log_.report.bad_blocks += 2 * batch.header.parts() - batch.intact_pages;
  return ApplyItems(segment, batch, *items, reader);
}

absl::Status Recovery::ApplyItems(const ScannedSegment& segment, const ScannedBatch& batch,
                                  const std::vector<LogItem>& items, BlockReader& reader) {
  const bool proven = batch.header.sequence < log_.last_sequence;
  uint64_t offset = PayloadOffset(batch);
  for (const LogItem& item : items) {
    PayloadPlace place;
    const EntriesItem* const entries = std::get_if<EntriesItem>(&item);
    if (entries != nullptr) {
      place.segment = static_cast<uint32_t>(segment.number);
      place.offset = static_cast<uint32_t>(offset);
      ASSIGN_OR_RETURN(place.states,
                       VerifyPayloads(*entries, offset,
                                      proven ? EntrySlot::kCorrupt : EntrySlot::kInDoubt, reader));
      offset += entries->payload_bytes();
    }
    const absl::Status applied = log_.index.Apply(item, place);
    if (applied.ok()) continue;
    const std::string what =
        absl::StrCat(segment.path, ": batch ", batch.header.sequence, ": ", applied.message());
    // After a loss it is no surprise that something does not fit; the replica is suspect anyway.
    if (!log_.index.lost_history()) return absl::DataLossError(what);
    Note(what);
  }
  return absl::OkStatus();
}

void Recovery::Summarize() {
  log_.report.created = segments().empty();
  log_.report.lost_history = log_.index.lost_history();
  for (const GroupState& state : log_.index.States()) {
    for (const Damage& damage : state.damage) {
      const bool corrupt = damage.kind == DamageKind::kCorrupt;
      (corrupt ? log_.report.corrupt_entries : log_.report.entries_in_doubt) +=
          damage.last - damage.first + 1;
      Note(absl::StrCat("group ", state.group, ": entries ", damage.first, " to ", damage.last,
                        " of term ", damage.term, corrupt ? " are corrupt" : " are in doubt"));
    }
  }
}

}  // namespace

absl::Status CheckLogOptions(const LogOptions& options) {
  const bool valid = options.cluster != 0 && options.node != 0 &&
                     options.segment_bytes >= 64 << 10 && options.segment_bytes <= 1 << 30 &&
                     options.batch_bytes_max >= 64 << 10 && options.batch_bytes_max <= 256 << 20 &&
                     options.reserve_bytes <= options.segment_bytes / 4 &&
                     options.log_bytes_target >= 4 * options.segment_bytes;
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError("log options out of their bounds (replication/log.h)");
}

absl::StatusOr<RecoveredLog> RecoverLog(FileSystem& file_system, absl::string_view directory,
                                        const LogOptions& options) {
  return Recovery(file_system, directory, options).Run();
}

}  // namespace ringleader::replication
