// The bytes of a Message. Version 1; on the wire between nodes of different releases, so it may not
// change.
//
//   byte     version, 1
//   byte     kind
//   byte     flags: 1 rejected, 2 transfer, 4 lost, 8 preliminary, 16 doubtful, 32 witness
//   (reserved,
//            refused), others 0
//   varint   group, from, to, term
//   then by kind, all varints unless said otherwise:
//   kPreVote, kVote                 position
//   kPreVoteAnswer, kVoteAnswer     nothing
//   kAppend                         position, commit, count of entries, entries
//   kAppendAnswer                   index, position
//   kHeartbeat                      round, commit
//   kHeartbeatAnswer                round
//   kSnapshot                       last position, configuration (length and bytes)
//   kTimeoutNow                     nothing
//   kDoubtQuery                     position, promise
//   kDoubtAnswer                    position, promise, round
//
//   position  term, index
//   entry     term minus the term before it, kind (byte), payload (length and bytes); indexes
//             follow from the position
//
// An append costs one copy of its payloads into the frame and one out of it: each decoded payload
// is a string of its own, shared from then on by log, peers and state machine.
#ifndef RINGLEADER_REPLICATION_MESSAGE_CODEC_H_
#define RINGLEADER_REPLICATION_MESSAGE_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "replication/messages.h"

namespace ringleader::replication {

// Bounds of the decoder. Senders keep far below them (CoreOptions).
constexpr uint64_t kEncodedEntriesMax = 1 << 20;
constexpr uint64_t kEncodedPayloadBytesMax = 32 << 20;  // what the log takes (log.h)

// Appends the message's bytes to *out, which the caller may have reserved:
// EncodedSizeMax(message) is never exceeded. Null and empty payloads are the same on the wire.
void EncodeMessage(const Message& message, std::string* out);
size_t EncodedSizeMax(const Message& message);

// INVALID_ARGUMENT for anything but the bytes of exactly one message of this version. Never
// allocates more than a small multiple of bytes.size().
absl::StatusOr<Message> DecodeMessage(absl::string_view bytes);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_MESSAGE_CODEC_H_
