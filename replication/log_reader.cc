#include "replication/log_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace ringleader::replication {

absl::StatusOr<Payload> ReadPayload(const LocatedEntry& entry) {
  std::string payload(entry.slot.bytes, '\0');
  if (!payload.empty()) {
    ASSIGN_OR_RETURN(
        const size_t got,
        entry.file->Read(entry.slot.offset, absl::MakeSpan(&payload[0], payload.size())));
    payload.resize(got);
  }
  const EntryKind kind = static_cast<EntryKind>(entry.slot.kind);
  if (EntryChecksum(entry.group, entry.index, entry.term, kind, payload) != entry.slot.checksum) {
    return absl::DataLossError(absl::StrCat("group ", entry.group, ": entry ", entry.index,
                                            " in segment ", entry.slot.segment,
                                            " does not match its checksum"));
  }
  if (payload.empty()) return Payload();
  return std::make_shared<const std::string>(std::move(payload));
}

absl::StatusOr<Payload> ReadToJudge(const LocatedEntry& entry) {
  absl::StatusOr<Payload> payload = ReadPayload(entry);
  for (int attempt = 1; attempt < kReadAttempts && absl::IsDataLoss(payload.status()); ++attempt) {
    payload = ReadPayload(entry);
  }
  return payload;
}

absl::Status AddCopies(absl::Span<const LocatedEntry> entries, Batch& batch,
                       std::vector<Payload>& payloads,
                       const std::function<void(const LocatedEntry&)>& damaged) {
  EntriesItem item;
  item.replaces_only = true;
  for (const LocatedEntry& entry : entries) {
    absl::StatusOr<Payload> payload = ReadToJudge(entry);
    if (absl::IsDataLoss(payload.status())) {
      damaged(entry);
      continue;
    }
    if (!payload.ok()) return payload.status();
    const bool continues = !item.records.empty() && entry.group == item.group &&
                           entry.index == item.first + item.records.size();
    if (!continues) {
      if (!item.records.empty()) batch.items.push_back(std::move(item));
      item = EntriesItem{entry.group, true, entry.index, {}};
    }
    const absl::string_view bytes = *payload == nullptr ? absl::string_view() : **payload;
    batch.AddRecord(item, entry.term, static_cast<EntryKind>(entry.slot.kind), bytes);
    payloads.push_back(*std::move(payload));
  }
  if (!item.records.empty()) batch.items.push_back(std::move(item));
  return absl::OkStatus();
}

}  // namespace ringleader::replication
