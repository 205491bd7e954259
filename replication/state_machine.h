// What a group replicates: the seam between replication/ and its users, a node's partition or the
// coordinators' metadata. Replication brings every replica the same entries in the same order; the
// state machine turns them into state, keeps that state on disk in a directory of its own, and can
// hand a copy of the directory to another replica.
//
// Threads: everything is called on the replica's apply executor, one call at a time, and may block
// on the disk; votes and heartbeats don't wait for it.
//
// Determinism: what Apply does depends on the entries alone, never on clock, random source or
// address.
#ifndef RINGLEADER_REPLICATION_STATE_MACHINE_H_
#define RINGLEADER_REPLICATION_STATE_MACHINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "replication/types.h"

namespace ringleader::replication {

// How far a state machine has got, and the members at that point. Stored in the same write as the
// effects of the entry at `last` (DESIGN section 11, rule 8).
struct AppliedState {
  LogPosition last;
  Configuration configuration;  // in force at last.index
  Index configuration_index =
      0;  // of the entry that brought it; 0: unknown, it was there from the start
  friend bool operator==(const AppliedState&, const AppliedState&) = default;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // What the entries applied so far made of it.
  virtual AppliedState applied() const = 0;

  // Takes the next entries: the first has index applied().last.index + 1. All kinds come by: kEmpty
  // and kConfiguration move applied() and nothing else. An error means that the state can't be
  // trusted any more (a failed write, a checksum): the replica stops serving and is rebuilt from
  // its peers.
  virtual absl::Status Apply(absl::Span<const Entry> entries) = 0;

  // Everything up to here survives a crash of the machine. The log keeps what follows.
  virtual Index durable_applied() const = 0;
  // Makes durable_applied() reach applied(), at the cost of writing it out.
  virtual absl::Status Flush() = 0;

  // Puts a copy of the state, exactly as it is at applied(), durable and independent of what is
  // applied later, into `directory`, which exists and is empty; links to files that never change
  // are enough. Returns the position.
  virtual absl::StatusOr<AppliedState> Capture(absl::string_view directory) = 0;

  // This replica leads in `term` and has applied its own first entry: evaluation may begin. Ends
  // with LeadershipEnded before it can begin again.
  virtual void LeadershipBegan(Term term) = 0;
  // Whatever belongs to `term` (overlay, waiting writes, grants) is dropped. Entries proposed in it
  // may still be applied later.
  virtual void LeadershipEnded(Term term) = 0;
};

// Opens state machines. Called on apply executors, and by Runtime::Open before they run anything.
class StateMachineFactory {
 public:
  virtual ~StateMachineFactory() = default;
  // The state in `directory`: empty if this replica is new, what Capture wrote if it came by
  // snapshot, what this replica wrote itself otherwise. `initial` is the state of an empty
  // directory.
  virtual absl::StatusOr<std::unique_ptr<StateMachine>> Open(GroupId group, ReplicaId replica,
                                                             absl::string_view directory,
                                                             const AppliedState& initial) = 0;

  // Reads a file that Capture put into its directory and checks what checksums it has: called for
  // each before it is sent to a peer, on the files executor. DATA_LOSS: it is damaged, and so is
  // the state that it was captured from.
  virtual absl::Status CheckCaptured(absl::string_view path) {
    static_cast<void>(path);
    return absl::OkStatus();
  }
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_STATE_MACHINE_H_
