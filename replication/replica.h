// One replica at work: the Raft core with its log, its state machine, its peers and its clients.
//
// Threads. A replica lives on two executors and has a small part that everybody may read:
//   worker    the core and everything it decides; a turn takes inputs, then carries the effects
//   out. Never
//             waits: the log answers by message, applying happens elsewhere.
//   applier   the state machine: apply, evaluate, flush, capture, install.
//   view_     under its mutex: who leads, until when, how far is committed: for reads on any
//   thread.
//
// A write:  client -> applier (evaluate) -> worker (propose) -> log writer and transport -> worker
//           (committed) -> applier (apply, answer).
// A read:   any thread takes a read index, from the lease at once or from a quorum round; the
// applier answers
//           when it has applied that far.
//
// Invariants
//   1. view_.commit covers an entry before its application is posted: a read that starts after a
//   write
//      was answered finds a commit index at or above it.
//   2. view_ loses the lease before any message that could make another leader is sent.
//   3. Tasks reach the applier in the order the worker decided them: apply, leadership, install.
#ifndef RINGLEADER_REPLICATION_REPLICA_H_
#define RINGLEADER_REPLICATION_REPLICA_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "replication/core.h"
#include "replication/counters.h"
#include "replication/lease.h"
#include "replication/log.h"
#include "replication/log_writer.h"
#include "replication/promise_length.h"
#include "replication/promise_record.h"
#include "replication/repair_tracker.h"
#include "replication/replica_options.h"
#include "replication/state_machine.h"
#include "replication/transport.h"

namespace ringleader::replication {

// Where a replica's parts run and what they use. Everything outlives the replica's executors'
// tasks.
struct ReplicaPlace {
  Executor& worker;
  Executor& applier;
  Executor& files;  // reads old entries, moves snapshots
  Log& log;
  LogWriter& writer;
  Transport& transport;
  FileSystem& file_system;
  Clock& clock;
  const PromiseRecord& promises;
  const PromiseLengths& promise_lengths;
  StateMachineFactory& factory;
  class SnapshotSender& snapshots;
  ReplicationCounters& counters;
  const ReplicaOptions& options;
  // Sends what the worker's turns have queued, once, behind the tasks that wait now: so that turns
  // of many groups share a frame. On the worker.
  std::function<void()> flush_soon;
  // Told on the worker, once, when a replica has stopped because of an error.
  std::function<void(GroupId, const absl::Status&)> on_failed;
};

// What anybody may know of a replica, as of its last turn.
struct ReplicaView {
  Role role = Role::kFollower;
  Term term = 0;
  Member leader;         // 0, 0: unknown
  bool serving = false;  // leads and has applied its own first entry
  bool lease_allowed = false;
  Instant lease_from;  // meaningful if lease_allowed and has_lease, as is the next
  Duration lease_length{0};
  bool has_lease = false;
  Index commit = 0;
  Index applied = 0;
  Index last = 0;
  Index base = 0;
  Configuration configuration;
  Index configuration_index = 0;
  ReplicaId transferee = 0;
  // A leader's: replicas that answer and have all but the last kCaughtUpEntries of the entries that
  // it sends them (learners get what is committed), as of its last tick.
  std::vector<ReplicaId> caught_up;
  bool rebuilding = false;  // waits for a snapshot to replace state that was lost
  // Its group counts on it as a voter, and it has no log: no snapshot fills it (Core::unfillable).
  bool unfillable = false;
  absl::Status failure;  // not OK: poisoned; it does nothing any more
};

// What became of the directory that a snapshot was staged in.
enum class StagedFate : uint8_t {
  kInstalled,
  kRefused,  // the log does not name it and never will
  kUnknown,  // the replica was closed while the record that names it was on its way to the log
};

class Replica : public std::enable_shared_from_this<Replica> {
 public:
  // Where a proposal stands in the log once it is accepted; says nothing of its outcome.
  using Proposed = absl::AnyInvocable<void(absl::StatusOr<LogPosition>)>;
  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  using ReadReady = absl::AnyInvocable<void(absl::StatusOr<Index>)>;

  struct OpenMode {
    bool restarted = true;  // it may have run before
    // Since when certainly nobody has acted as this replica; none: since it is opened.
    std::optional<Instant> away_since;
    // Not empty: its state can't be trusted. The directory takes this name and the replica waits
    // for a snapshot without.
    absl::string_view set_aside;
    // If its state is not whole, what was set aside as kDistrusted takes its place again.
    bool take_back = false;
  };
  // Kept until the replica has state again.
  static constexpr absl::string_view kDistrusted = "distrusted";
  // Differs from what most others hold. Kept as long as the replica is here: that most others have
  // something else does not prove it wrong (DESIGN section 7).
  static constexpr absl::string_view kQuarantined = "quarantined";

  // `state` is what Log::Group said. Opens the state machine
  // (which may block): called on the applier, or before the executors run. An error means that this
  // node can't host the replica as it is.
  static absl::StatusOr<std::shared_ptr<Replica>> Open(const ReplicaPlace& place,
                                                       const GroupState& state,
                                                       const std::string& directory, OpenMode mode,
                                                       Random random);

  GroupId group() const { return group_; }
  ReplicaId id() const { return id_; }
  Executor& applier() const { return place_.applier; }
  // Runs on the worker, for what is under "the runtime, on the worker".
  void PostToWorker(Task task) { place_.worker.Post(std::move(task)); }

  // --- Any thread -----------------------------------------------------------------------------

  ReplicaView view() const;

  // The index that a linearizable read starting now must wait for, if this replica leads and its
  // lease holds now. FAILED_PRECONDITION: it does not lead; UNAVAILABLE: no lease at this moment:
  // ask QuorumRead.
  absl::StatusOr<Index> LeaseRead() const;
  // When the newest round of heartbeats of this term that a quorum has answered was sent: until a
  // lease term after that nobody else can have waited one out. None: this replica does not lead in
  // `term`, or is about to give leadership away.
  std::optional<Instant> ConfirmedRound(Term term) const;
  // The same by a round of heartbeats; `ready` runs on the applier.
  void QuorumRead(ReadReady ready);
  // Runs `ready` on the applier once `index` is applied; or with an error, when the replica stops.
  void WhenApplied(Index index, Done ready);

  // Appends one entry per payload if this replica still leads in `term`, in order and at
  // consecutive indexes; `proposed` runs on the applier with the first position, before any of them
  // is applied. Errors as Core::Propose; ABORTED: the term is over.
  void Propose(Term term, std::vector<Payload> payloads, Proposed proposed);
  // Whether more will be proposed as soon as what is under way is applied (Core::ExpectProposal).
  // On any thread.
  void ExpectProposal(bool expected) { proposal_expected_ = expected; }

  // Change of members, and transfer; `done` runs on the worker when it has begun, not when it is
  // complete. `version`: of the configuration that the change was made for; FAILED_PRECONDITION if
  // that is not in force any more (DESIGN section 11, rule 20). None: it suits any.
  void ChangeMembers(std::vector<Member> voters, std::vector<Member> learners, Proposed proposed,
                     std::optional<uint64_t> version = std::nullopt);
  void Transfer(ReplicaId to, Done done);

  // Makes the state durable and lets the log drop what it has covered.
  void FlushAndCompact();

  // --- The runtime, on the worker --------------------------------------------------------------

  // For who checks invariants, between two turns.
  const Core& core() const { return core_; }
  void Step(NodeId from, Message message);
  void Tick(const Instant& now);
  void Unreachable(NodeId node);
  // The only voter need not wait for a timeout.
  void CampaignIfAlone();
  // The data of a snapshot is complete in the directory of `message.snapshot.generation`. Only what
  // is refused may be removed: of an unknown one the next opening decides, by what the log says.
  void SnapshotStaged(Message message, absl::AnyInvocable<void(StagedFate)> decided);
  void SnapshotReported(ReplicaId to, absl::StatusOr<Index> last);
  // The executors are stopped: lets go of every callback, as some hold the replica itself.
  void Discard();
  // No more turns. The state machine is destroyed on the applier.
  void Close(const absl::Status& why);

  // --- The snapshot sender, on the applier -------------------------------------------------------

  absl::StatusOr<AppliedState> Capture(const std::string& directory);

  // --- The snapshot sender, on the files executor ------------------------------------------------

  // A captured file, before it is sent (StateMachineFactory::CheckCaptured).
  absl::Status CheckCaptured(absl::string_view path) const {
    return place_.factory.CheckCaptured(path);
  }
  // Its state can't be used any more: it stops as after a failed write, and is opened again. From
  // any thread, unlike the rest here.
  void StateFailed(absl::Status why);

  const std::string& directory() const { return directory_; }
  // The directory of one generation of state.
  std::string GenerationDirectory(uint64_t generation) const;
  // A replica without state takes no snapshot from before what its log has compacted: that much was
  // applied here once, so a leader who can commit is about to have it, and the log never goes back.
  Index snapshot_floor() const { return snapshot_floor_; }
  // The leader of this term has offered an older one last; 0: nobody has. Thread-safe.
  void NoteOffer(Term too_old_of) { too_old_of_.store(too_old_of); }
  Term too_old_of() const { return too_old_of_.load(); }
  // On the files executor: the highest generation that has a directory.
  absl::StatusOr<uint64_t> HighestGeneration() const;

 private:
  struct Opened;
  struct WaitingApplied {
    Index index;
    Done ready;
  };
  // A point of the log for deciding how much of it to keep.
  struct RetentionMark {
    Index index;
    uint64_t bytes_total;
  };

  Replica(const ReplicaPlace& place, const GroupState& state, const std::string& directory,
          Opened opened, Random random);
  static absl::Status RecoverReadable(const ReplicaPlace& place, const AppliedState& applied,
                                      GroupState& state, RecoveredState& recovered);
  static absl::Status Recover(const ReplicaPlace& place, const GroupState& state,
                              const AppliedState& applied, RecoveredState& recovered);

  // worker
  void Turn();
  void CarryOut(Effects effects);
  void Withdraw(const Effects& effects);
  void Persist(Effects& effects);
  void SubmitPending();
  void SendAll(Effects& effects);
  void SendMessage(const Message& message);
  void SendHeartbeats(const HeartbeatRound& round);
  Duration LeaseOf(uint64_t promised_us) const;
  void Fetch(const FetchRequest& request);
  void NoteUnreadable(Index index, const absl::Status& why);
  void HandOut(Effects& effects);
  void HandOutEntries();
  void InstallDurable(SnapshotMeta meta);
  void AppliedTo(Index index, uint64_t bytes);
  void UpdateView();
  void NoteLeadership();
  void NoteCaughtUp();
  void WatchDisk(const Instant& now);
  void CompactTo(Index durable);
  void Fail(const absl::Status& why);
  NodeId NodeOf(ReplicaId replica) const;

  // applier
  bool HasState() const { return stopped_.ok() && machine_ != nullptr; }
  void ApplyEntries(std::vector<Entry> entries);
  void Install(SnapshotMeta meta);
  void ReleaseWaiting();
  void DropWaiting(const absl::Status& why);

  const ReplicaPlace place_;
  const GroupId group_;
  const ReplicaId id_;
  const std::string directory_;

  // The worker's.
  Core core_;
  RepairTracker repairs_;
  RoundTimes rounds_;
  bool turning_ = false;
  bool giving_up_ = false;  // it may have to be opened again for an entry that can't be read
  Index unreadable_ = 0;    // the entry that was told of last
  bool closed_ = false;
  Term serving_term_ = 0;  // told the state machine of; 0: of none
  uint32_t ticks_ = 0;
  bool hold_heartbeats_ = false;
  std::map<ReplicaId, NodeId> heard_from_;  // for replicas that no configuration names
  std::deque<std::pair<uint64_t, GroupWrite>> unsubmitted_;  // the log's queue was full
  std::map<uint64_t, SnapshotMeta> installing_;              // by persist batch
  std::map<uint64_t, ReadReady> reads_;                      // by the core's number
  absl::AnyInvocable<void(StagedFate)> snapshot_decided_;    // set while one is being installed
  const Index snapshot_floor_;
  std::atomic<Term> too_old_of_{0};
  std::deque<RetentionMark> retention_;
  uint64_t applied_bytes_total_ = 0;
  Index compact_wanted_ = 0;
  // Committed and not with the applier yet: a follower's gather (ReplicaOptions::follower_gather).
  std::vector<Entry> gathered_;
  uint64_t gathered_bytes_ = 0;

  // The applier's.
  std::unique_ptr<StateMachine> machine_;  // null while a snapshot is awaited, and after a failure
  std::deque<WaitingApplied> waiting_applied_;  // ascending
  Index applied_ = 0;
  absl::Status stopped_;  // not OK: machine_ is gone or not to be used

  std::atomic<bool> proposal_expected_ = false;

  mutable Mutex view_mutex_;
  ReplicaView view_ ABSL_GUARDED_BY(view_mutex_);
};

// Removes every entry of a replica's directory but that of this generation, which is opened or, if
// `installed`, at work, and what is quarantined; what can't be removed is logged. Before it is at
// work, what was distrusted stays. From then on higher generations do: they are newer transfers,
// and one of them may be complete and about to be recorded.
void DeleteOtherGenerations(FileSystem& file_system, const std::string& directory,
                            uint64_t generation, bool installed);

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_REPLICA_H_
