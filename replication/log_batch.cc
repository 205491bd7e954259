#include "replication/log_batch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status.h"

namespace ringleader::replication {
namespace {

// Tables and segments are addressed with 32 bits.
constexpr uint64_t kTableBytesMax = 512ull << 20;

absl::string_view View(const Payload& payload) {
  return payload == nullptr ? absl::string_view() : absl::string_view(*payload);
}

absl::Status CheckSizes(const GroupWrite& write) {
  if (write.create.has_value() && write.create->plan.size() > kPlanBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("group ", write.group, ": a plan of ",
                                                   write.create->plan.size(), " bytes; at most ",
                                                   kPlanBytesMax));
  }
  for (const std::vector<Entry>* entries : {&write.entries, &write.repairs}) {
    for (const Entry& entry : *entries) {
      if (entry.payload_bytes() <= kEntryBytesMax) continue;
      return absl::InvalidArgumentError(absl::StrCat("group ", write.group, ": entry ", entry.index,
                                                     " has ", entry.payload_bytes(),
                                                     " bytes; at most ", kEntryBytesMax));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void Batch::AddRecord(EntriesItem& item, Term term, EntryKind kind, absl::string_view payload) {
  const Index index = item.first + item.records.size();
  item.records.push_back({term, kind, static_cast<uint32_t>(payload.size()),
                          EntryChecksum(item.group, index, term, kind, payload)});
  payloads.push_back(payload);
  payload_bytes += payload.size();
  ++entries;
}

absl::Status Batch::Seal(uint64_t payload_bytes_max) {
  if (payload_bytes > payload_bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a batch of ", payload_bytes, " bytes of entries; at most ", payload_bytes_max));
  }
  table = EncodeTable(items);
  if (table.size() > kTableBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a batch with a table of ", table.size(), " bytes; at most ", kTableBytesMax));
  }
  return absl::OkStatus();
}

BatchBuilder::BatchBuilder(const LogIndex& index, absl::Span<const GroupWrite> writes)
    : writes_(writes) {
  for (const GroupWrite& write : writes) {
    const auto [place, added] = outlines_.try_emplace(write.group);
    const LogIndex::GroupLog* const log = added ? index.Find(write.group) : nullptr;
    if (log != nullptr) {
      place->second = {true, log->destroyed, log->creation.replica, log->shape};
    }
  }
}

absl::StatusOr<Batch> BatchBuilder::Build(uint64_t payload_bytes_max) {
  for (const GroupWrite& write : writes_) RETURN_IF_ERROR(CheckSizes(write));
  for (const GroupWrite& write : writes_) RETURN_IF_ERROR(Add(write));
  RETURN_IF_ERROR(batch_.Seal(payload_bytes_max));
  return std::move(batch_);
}

void BatchBuilder::AddCreation(const GroupWrite& write, Outline& outline) {
  CHECK(write.group != 0 && write.create->replica != 0);
  CHECK(!outline.known || (outline.destroyed && outline.replica != write.create->replica))
      << "group " << write.group << " exists, or was destroyed under this replica id";
  outline = {true, false, write.create->replica, LogShape()};
  batch_.items.push_back(CreateItem{write.group, *write.create});
}

absl::Status BatchBuilder::Add(const GroupWrite& write) {
  Outline& outline = outlines_[write.group];
  if (write.create.has_value()) AddCreation(write, outline);
  CHECK(outline.known && !outline.destroyed)
      << "group " << write.group << " was never created here or is destroyed";
  if (write.hard_state.has_value()) {
    batch_.items.push_back(HardStateItem{write.group, *write.hard_state});
  }
  AddLogChanges(write, outline);
  if (write.applied.has_value()) batch_.items.push_back(AppliedItem{write.group, *write.applied});
  if (write.compact_to.has_value() && *write.compact_to > outline.shape.compacted().index) {
    outline.shape.CompactTo(*write.compact_to);
    batch_.items.push_back(CompactItem{write.group, outline.shape.compacted()});
  }
  if (write.destroy) {
    outline.destroyed = true;
    outline.shape = LogShape();
    batch_.items.push_back(DestroyItem{write.group});
  }
  return absl::OkStatus();
}

void BatchBuilder::AddLogChanges(const GroupWrite& write, Outline& outline) {
  if (write.snapshot.has_value()) {
    CHECK_GE(write.snapshot->last.index, outline.shape.compacted().index)
        << "group " << write.group << ": a snapshot goes back";
    outline.shape.RestartAfter(write.snapshot->last);
    batch_.items.push_back(SnapshotItem{write.group, *write.snapshot});
  }
  if (write.truncate_after.has_value()) {
    outline.shape.TruncateAfter(*write.truncate_after);
    batch_.items.push_back(TruncateItem{write.group, *write.truncate_after});
  }
  if (!write.entries.empty()) AddEntries(write, outline);
  if (!write.repairs.empty()) AddRepairs(write, outline);
}

void BatchBuilder::AddEntries(const GroupWrite& write, Outline& outline) {
  const Index first = write.entries.front().index;
  CHECK(first >= outline.shape.first() && first <= outline.shape.last() + 1)
      << "group " << write.group << ": entries from " << first << " for a log of "
      << outline.shape.first() << " to " << outline.shape.last();
  outline.shape.TruncateAfter(first - 1);
  EntriesItem item{write.group, false, first, {}};
  item.records.reserve(write.entries.size());
  for (const Entry& entry : write.entries) {
    CHECK_EQ(entry.index, first + item.records.size());
    CHECK_GE(entry.term, outline.shape.last_position().term) << "group " << write.group;
    outline.shape.Append(entry.term);
    batch_.AddRecord(item, entry.term, entry.kind, View(entry.payload));
  }
  batch_.items.push_back(std::move(item));
}

void BatchBuilder::AddRepairs(const GroupWrite& write, const Outline& outline) {
  EntriesItem item{write.group, true, write.repairs.front().index, {}};
  for (const Entry& entry : write.repairs) {
    CHECK(outline.shape.Holds(entry.index) && outline.shape.TermAt(entry.index) == entry.term)
        << "group " << write.group << ": entry " << entry.index << " of term " << entry.term
        << " can't repair this log";
    if (entry.index != item.first + item.records.size()) {
      CHECK_GT(entry.index, item.first + item.records.size() - 1);
      batch_.items.push_back(std::move(item));
      item = EntriesItem{write.group, true, entry.index, {}};
    }
    batch_.AddRecord(item, entry.term, entry.kind, View(entry.payload));
  }
  batch_.items.push_back(std::move(item));
}

BatchImage::BatchImage(const SegmentHeader& segment, const BatchHeader& header,
                       const Batch& batch) {
  std::string stream = batch.table;
  if (header.inlined()) {
    for (const absl::string_view payload : batch.payloads) {
      stream.append(payload.data(), payload.size());
    }
  }
  AppendPages(segment, header, PageCopy::kHead, stream, head_);
  AppendPages(segment, header, PageCopy::kTail, stream, tail_);
  pieces_.push_back(head_);
  if (!header.inlined()) {
    pieces_.insert(pieces_.end(), batch.payloads.begin(), batch.payloads.end());
    padding_.assign(header.payload_blocks() * kBlockBytes - header.payload_bytes, '\0');
    pieces_.push_back(padding_);
  }
  pieces_.push_back(tail_);
}

}  // namespace ringleader::replication
