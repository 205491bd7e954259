#include "node/records.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/coding.h"
#include "common/status.h"
#include "model/key_codec.h"
#include "replication/configuration.h"

namespace ringleader {
namespace {

constexpr uint8_t kRecordFormat = 1;
constexpr uint64_t kLengthMax = 64 << 20;

std::string Space(model::KeySpace space, absl::string_view rest) {
  std::string key(1, static_cast<char>(space));
  key.append(rest.data(), rest.size());
  return key;
}

void PutBigEndian64(uint64_t value, std::string& to) {
  for (int shift = 56; shift >= 0; shift -= 8) to.push_back(static_cast<char>(value >> shift));
}

absl::Status Malformed(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("malformed ", what));
}

// The version byte in front of every record.
absl::Status CheckFormat(Decoder& decoder, absl::string_view what) {
  const uint8_t format = decoder.Byte();
  if (!decoder.ok() || format == 0) return Malformed(what);
  if (format != kRecordFormat) {
    return absl::FailedPreconditionError(absl::StrCat("a ", what, " has format ", format,
                                                      "; this build knows ", kRecordFormat,
                                                      ": a newer program wrote it"));
  }
  return absl::OkStatus();
}

std::string TextOf(absl::string_view bytes) { return std::string(bytes); }

}  // namespace

std::string StateKey() { return Space(model::KeySpace::kMeta, "state"); }

std::string EncodeState(const StoreState& state) {
  std::string bytes(1, static_cast<char>(kRecordFormat));
  PutVarint(state.applied.last.index, bytes);
  PutVarint(state.applied.last.term, bytes);
  PutVarint(state.previous, bytes);
  PutVarint(state.applied.configuration_index, bytes);
  PutVarint(static_cast<uint64_t>(state.time_us), bytes);
  PutVarint(static_cast<uint64_t>(state.elapsed_us), bytes);
  bytes.push_back(state.range.has_value() ? 1 : 0);
  if (state.range.has_value()) {
    PutFixed64(state.range->first, bytes);
    PutFixed64(state.range->last, bytes);
  }
  const bool members = !state.applied.configuration.voters.empty();
  PutLengthPrefixed(
      members ? replication::EncodeConfiguration(state.applied.configuration) : std::string(),
      bytes);
  return bytes;
}

absl::StatusOr<StoreState> DecodeState(absl::string_view bytes) {
  Decoder decoder(bytes);
  RETURN_IF_ERROR(CheckFormat(decoder, "partition state"));
  StoreState state;
  state.applied.last.index = decoder.Varint();
  state.applied.last.term = decoder.Varint();
  state.previous = decoder.Varint();
  state.applied.configuration_index = decoder.Varint();
  state.time_us = static_cast<int64_t>(decoder.Varint());
  state.elapsed_us = static_cast<int64_t>(decoder.Varint());
  const uint8_t has_range = decoder.Byte();
  if (has_range > 1) return Malformed("partition state");
  if (has_range == 1) {
    const uint64_t first = decoder.Fixed64();
    state.range = model::TokenRange{first, decoder.Fixed64()};
  }
  const absl::string_view configuration = decoder.LengthPrefixed();
  if (!decoder.AtEnd() || state.previous > state.applied.last.index) {
    return Malformed("partition state");
  }
  if (!configuration.empty()) {
    auto members = replication::DecodeConfiguration(configuration);
    if (!members.ok()) return Malformed("configuration in a partition state");
    state.applied.configuration = *std::move(members);
  }
  return state;
}

std::string TableKeyPrefix() { return Space(model::KeySpace::kMeta, "table"); }

std::string TableKey(uint64_t table) {
  std::string key = TableKeyPrefix();
  PutBigEndian64(table, key);
  return key;
}

std::string EncodeTable(const TableRecord& table) {
  std::string bytes(1, static_cast<char>(kRecordFormat));
  PutVarint(table.id, bytes);
  PutVarint(table.schema_version, bytes);
  bytes.push_back(static_cast<char>(table.phase));
  PutLengthPrefixed(table.definition, bytes);
  return bytes;
}

absl::StatusOr<TableRecord> DecodeTable(absl::string_view bytes) {
  Decoder decoder(bytes);
  RETURN_IF_ERROR(CheckFormat(decoder, "table record"));
  TableRecord table;
  table.id = decoder.Varint();
  table.schema_version = decoder.Varint();
  const uint8_t phase = decoder.Byte();
  table.definition = TextOf(decoder.LengthPrefixed());
  if (!decoder.AtEnd() || phase > 1 || table.id == 0) return Malformed("table record");
  table.phase = static_cast<TablePhase>(phase);
  return table;
}

std::string SessionKeyPrefix() { return Space(model::KeySpace::kWriteSession, ""); }

std::string SessionKey(uint64_t session) {
  std::string key = SessionKeyPrefix();
  PutBigEndian64(session, key);
  return key;
}

uint8_t FlagsOf(const StoredResult& result) {
  if (result.changed_nothing) return 3;
  return result.item_kept ? 1 : 0;
}

bool SetFlags(uint8_t flags, StoredResult* result) {
  result->item_kept = (flags & 1) != 0;
  result->changed_nothing = (flags & 2) != 0;
  return flags <= 3 && flags != 2;
}

std::string EncodeSession(const SessionRecord& session) {
  std::string bytes(1, static_cast<char>(kRecordFormat));
  PutFixed64(session.session, bytes);
  PutVarint(session.lowest, bytes);
  PutVarint(static_cast<uint64_t>(session.elapsed_us), bytes);
  PutVarint(session.results.size(), bytes);
  for (const auto& [sequence, result] : session.results) {
    PutVarint(sequence, bytes);
    PutVarint(result.item_version, bytes);
    bytes.push_back(static_cast<char>(FlagsOf(result)));
    PutLengthPrefixed(result.item, bytes);
  }
  return bytes;
}

absl::StatusOr<SessionRecord> DecodeSession(absl::string_view bytes) {
  Decoder decoder(bytes);
  RETURN_IF_ERROR(CheckFormat(decoder, "write session"));
  SessionRecord session;
  session.session = decoder.Fixed64();
  session.lowest = decoder.Varint();
  session.elapsed_us = static_cast<int64_t>(decoder.Varint());
  const uint64_t count = decoder.VarintUpTo(kLengthMax);
  for (uint64_t i = 0; i < count && decoder.ok(); ++i) {
    const uint64_t sequence = decoder.Varint();
    // Ascending, as they are written: one record has one encoding on all replicas.
    if (i > 0 && sequence <= session.results.rbegin()->first) return Malformed("write session");
    StoredResult result;
    result.item_version = decoder.Varint();
    if (!SetFlags(decoder.Byte(), &result)) return Malformed("write session");
    result.item = TextOf(decoder.LengthPrefixed());
    session.results.emplace_hint(session.results.end(), sequence, std::move(result));
  }
  if (!decoder.AtEnd()) return Malformed("write session");
  return session;
}

void AppendStoredItem(uint64_t index, int64_t time_us, absl::string_view item, std::string* out) {
  out->push_back(static_cast<char>(kRecordFormat));
  PutVarint(index, *out);
  PutVarint(static_cast<uint64_t>(time_us), *out);
  out->append(item.data(), item.size());
}

absl::StatusOr<StoredItem> DecodeStoredItem(absl::string_view bytes) {
  Decoder decoder(bytes);
  RETURN_IF_ERROR(CheckFormat(decoder, "stored item"));
  StoredItem stored;
  stored.index = decoder.Varint();
  stored.time_us = static_cast<int64_t>(decoder.Varint());
  if (!decoder.ok()) return Malformed("stored item");
  stored.item = bytes.substr(bytes.size() - decoder.remaining());
  return stored;
}

}  // namespace ringleader
