// For how long an answer to a heartbeat promises, noted for the next process on the data directory.
//
// A follower that answers promises to vote for nobody else for a time that its options give
// (lease.h). Whoever starts after it, with other options or on a machine that lost its power, has
// to keep the longest promise that may be running. So a process notes its own length, durably,
// before it makes promises that are longer than what is noted, and takes it down only when those
// of the processes before have run out.
//
//   file             "ringleader-promise-length 1", "us <length>", "crc32c <of these>", a line each
//
// The format may not change.
#ifndef RINGLEADER_REPLICATION_PROMISE_LENGTH_H_
#define RINGLEADER_REPLICATION_PROMISE_LENGTH_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/file_system.h"

namespace ringleader::replication {

// In whole microseconds. None: no process has noted one, or it can't be read, which is logged.
std::optional<Duration> LoadPromiseLength(FileSystem& file_system, absl::string_view path);
// Durable when it returns OK.
absl::Status SavePromiseLength(FileSystem& file_system, absl::string_view path, Duration length);

struct PromiseLengths {
  // The longest that may be running of processes before. Where nothing is noted, as by builds that
  // note none, it is taken that they promised what this one wants to.
  Duration before{0};
  // What this process may promise: what it wants to, or less where that can't be noted.
  Duration own{0};
};
// At the start of a process, before it says anything.
PromiseLengths NotePromiseLength(FileSystem& file_system, absl::string_view path, Duration wanted);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_PROMISE_LENGTH_H_
