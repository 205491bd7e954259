#include "replication/message_codec.h"

#include <memory>
#include <utility>

#include "common/check.h"
#include "common/status.h"
#include "replication/configuration.h"
#include "replication/wire.h"

namespace ringleader::replication {
namespace {

constexpr uint8_t kMessageFormat = 1;
constexpr uint8_t kRejected = 1;
constexpr uint8_t kTransfer = 2;
constexpr uint8_t kLost = 4;
constexpr uint8_t kPreliminary = 8;
constexpr uint8_t kDoubtful = 16;
constexpr uint8_t kFlagsKnown = kRejected | kTransfer | kLost | kPreliminary | kDoubtful;
constexpr size_t kHeaderBytesMax = 3 + 4 * kVarintBytesMax;
constexpr size_t kBodyBytesMax = 6 * kVarintBytesMax;
constexpr size_t kEntryBytesMin = 3;  // term difference, kind, empty payload

uint8_t Flags(const Message& message) {
  CHECK(!message.witness) << "reserved";
  uint8_t flags = 0;
  if (message.rejected) flags |= kRejected;
  if (message.transfer) flags |= kTransfer;
  if (message.lost) flags |= kLost;
  if (message.preliminary) flags |= kPreliminary;
  if (message.doubtful) flags |= kDoubtful;
  return flags;
}

void WritePosition(LogPosition position, WireWriter* writer) {
  writer->Varint(position.term);
  writer->Varint(position.index);
}

LogPosition ReadPosition(WireReader* reader) {
  LogPosition position;
  position.term = reader->Varint();
  position.index = reader->Varint();
  return position;
}

void WriteEntries(const Message& message, WireWriter* writer) {
  CHECK_LE(message.entries.size(), kEncodedEntriesMax);
  writer->Varint(message.entries.size());
  LogPosition previous = message.position;
  for (const Entry& entry : message.entries) {
    CHECK_EQ(entry.index, previous.index + 1);
    CHECK_GE(entry.term, previous.term);
    writer->Varint(entry.term - previous.term);
    writer->Byte(static_cast<uint8_t>(entry.kind));
    writer->Bytes(entry.payload == nullptr ? absl::string_view() : *entry.payload);
    previous = {entry.term, entry.index};
  }
}

void ReadEntries(Message* message, WireReader* reader) {
  const uint64_t count = reader->Count(kEntryBytesMin);
  if (count > kEncodedEntriesMax) return reader->Fail();
  message->entries.reserve(count);
  LogPosition previous = message->position;
  for (uint64_t i = 0; i < count; ++i) {
    Entry entry;
    const uint64_t step = reader->Varint();
    const uint8_t kind = reader->Byte();
    const absl::string_view payload = reader->Bytes();
    const bool wraps = previous.index == UINT64_MAX || step > UINT64_MAX - previous.term;
    const bool unknown = kind > static_cast<uint8_t>(EntryKind::kConfiguration);
    if (wraps || unknown || payload.size() > kEncodedPayloadBytesMax) reader->Fail();
    if (!reader->ok()) return;
    entry.term = previous.term + step;
    entry.index = previous.index + 1;
    entry.kind = static_cast<EntryKind>(kind);
    if (!payload.empty()) {
      entry.payload = std::make_shared<const std::string>(payload.data(), payload.size());
    }
    previous = {entry.term, entry.index};
    message->entries.push_back(std::move(entry));
  }
}

absl::Status ReadSnapshot(Message* message, WireReader* reader) {
  message->snapshot.last = ReadPosition(reader);
  const absl::string_view bytes = reader->Bytes();
  if (!reader->ok()) return absl::OkStatus();
  ASSIGN_OR_RETURN(message->snapshot.configuration, DecodeConfiguration(bytes));
  return absl::OkStatus();
}

absl::Status ReadBody(Message* message, WireReader* reader) {
  switch (message->kind) {
    case MessageKind::kPreVote:
    case MessageKind::kVote:
      message->position = ReadPosition(reader);
      return absl::OkStatus();
    case MessageKind::kPreVoteAnswer:
    case MessageKind::kVoteAnswer:
    case MessageKind::kTimeoutNow:
      return absl::OkStatus();
    case MessageKind::kAppend:
      message->position = ReadPosition(reader);
      message->commit = reader->Varint();
      ReadEntries(message, reader);
      return absl::OkStatus();
    case MessageKind::kAppendAnswer:
      message->index = reader->Varint();
      message->position = ReadPosition(reader);
      return absl::OkStatus();
    case MessageKind::kHeartbeat:
      message->round = reader->Varint();
      message->commit = reader->Varint();
      return absl::OkStatus();
    case MessageKind::kHeartbeatAnswer:
      message->round = reader->Varint();
      return absl::OkStatus();
    case MessageKind::kSnapshot:
      return ReadSnapshot(message, reader);
    case MessageKind::kDoubtQuery:
    case MessageKind::kDoubtAnswer:
      message->position = ReadPosition(reader);
      message->promise = ReadPosition(reader);
      if (message->kind == MessageKind::kDoubtAnswer) message->round = reader->Varint();
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError("unknown kind");
}

void WriteBody(const Message& message, WireWriter* writer) {
  switch (message.kind) {
    case MessageKind::kPreVote:
    case MessageKind::kVote:
      return WritePosition(message.position, writer);
    case MessageKind::kPreVoteAnswer:
    case MessageKind::kVoteAnswer:
    case MessageKind::kTimeoutNow:
      return;
    case MessageKind::kAppend:
      WritePosition(message.position, writer);
      writer->Varint(message.commit);
      return WriteEntries(message, writer);
    case MessageKind::kAppendAnswer:
      writer->Varint(message.index);
      return WritePosition(message.position, writer);
    case MessageKind::kHeartbeat:
      writer->Varint(message.round);
      return writer->Varint(message.commit);
    case MessageKind::kHeartbeatAnswer:
      return writer->Varint(message.round);
    case MessageKind::kSnapshot:
      WritePosition(message.snapshot.last, writer);
      return writer->Bytes(EncodeConfiguration(message.snapshot.configuration));
    case MessageKind::kDoubtQuery:
    case MessageKind::kDoubtAnswer:
      WritePosition(message.position, writer);
      WritePosition(message.promise, writer);
      if (message.kind == MessageKind::kDoubtAnswer) writer->Varint(message.round);
      return;
  }
}

}  // namespace

void EncodeMessage(const Message& message, std::string* out) {
  WireWriter writer(out);
  writer.Byte(kMessageFormat);
  writer.Byte(static_cast<uint8_t>(message.kind));
  writer.Byte(Flags(message));
  writer.Varint(message.group);
  writer.Varint(message.from);
  writer.Varint(message.to);
  writer.Varint(message.term);
  WriteBody(message, &writer);
}

size_t EncodedSizeMax(const Message& message) {
  size_t size = kHeaderBytesMax + kBodyBytesMax;
  for (const Entry& entry : message.entries) {
    size += 2 * kVarintBytesMax + 1 + entry.payload_bytes();
  }
  if (message.kind == MessageKind::kSnapshot) {
    size += EncodeConfiguration(message.snapshot.configuration).size();
  }
  return size;
}

absl::StatusOr<Message> DecodeMessage(absl::string_view bytes) {
  WireReader reader(bytes);
  if (reader.Byte() != kMessageFormat) {
    return absl::InvalidArgumentError("message: unknown format version");
  }
  Message message;
  const uint8_t kind = reader.Byte();
  const uint8_t flags = reader.Byte();
  if (kind == 0 || kind > static_cast<uint8_t>(kLastMessageKind)) {
    return absl::InvalidArgumentError("message: unknown kind");
  }
  if ((flags & ~kFlagsKnown) != 0) return absl::InvalidArgumentError("message: unknown flags");
  message.kind = static_cast<MessageKind>(kind);
  message.rejected = (flags & kRejected) != 0;
  message.transfer = (flags & kTransfer) != 0;
  message.lost = (flags & kLost) != 0;
  message.preliminary = (flags & kPreliminary) != 0;
  message.doubtful = (flags & kDoubtful) != 0;
  message.group = reader.Varint();
  message.from = reader.Varint();
  message.to = reader.Varint();
  message.term = reader.Varint();
  RETURN_IF_ERROR(Annotate(ReadBody(&message, &reader), "message"));
  if (!reader.AtEnd()) return absl::InvalidArgumentError("message: malformed");
  return message;
}

}  // namespace ringleader::replication
