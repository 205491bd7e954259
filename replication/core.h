// The Raft core: one replica of one group as a deterministic state machine. Messages, ticks and
// acknowledgements go in, a batch of effects comes out; it has no clock, thread, socket, disk or
// random source of its own. Design and arguments: replication/core.md.
//
//   Core core(options, std::move(recovered), Random(seed));
//   ...any number of inputs: core.Step(message), core.Tick(), core.Propose(payloads), ...
//   Effects effects = core.TakeEffects();     // carried out in the order effects.h gives
//   ...when the log has synced batch n:       core.Persisted(n)
//   ...when the state machine is at index i:  core.Applied(i)
//
// Ownership and threads: one owner, not thread-safe; no input blocks. Payloads are shared, never
// copied. Message and effect values belong to whoever holds them.
//
// What holds between any two calls (checked by CoreInvariants after every step in tests):
//   1. base <= applied <= commit <= last, and what was handed out to be applied is committed and
//      durable here.
//   2. No message in effects reveals a term, a vote or an entry acknowledgement that is not durable
//      here (DESIGN section 11, rule 7). They are kept inside until Persisted says so: the owner
//      can send all it gets.
//   3. A leader has an empty entry of its own term, and commits only by counting replicas of an
//      entry of its term (rule 1).
//   4. The configuration used for every decision is the latest in the log, committed or not;
//      truncation brings the previous one back.
//   5. Memory is bounded by CoreOptions, the number of members and the number of terms in the log.
//
// Source: Ongaro's dissertation, chapters 3, 4, 6, 9; the shape (RawNode with asynchronous storage
// writes) follows etcd-io/raft's doc.go; the doubt rules follow "Protocol-Aware Recovery for
// Consensus-Based Storage" (FAST 2018).
#ifndef RINGLEADER_REPLICATION_CORE_H_
#define RINGLEADER_REPLICATION_CORE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/random.h"
#include "replication/core_log.h"
#include "replication/core_options.h"
#include "replication/effects.h"
#include "replication/messages.h"
#include "replication/progress.h"
#include "replication/quorum.h"
#include "replication/types.h"

namespace ringleader::replication {

class Core {
 public:
  // `recovered` has to be what core_options.h says; a state that contradicts itself ends the
  // process. `random` draws the election timeouts.
  Core(const CoreOptions& options, RecoveredState recovered, Random random);

  Core(Core&&) = default;
  Core& operator=(Core&&) = default;

  // --- Inputs ---------------------------------------------------------------------------------

  // A message from a peer. What is stale, malformed or meant for another replica is dropped. If the
  // effects after a kSnapshot do not ask to install it, its staged data is of no use.
  void Step(Message message);

  // One tick of the owner's clock. All timeouts are counted in ticks.
  void Tick();

  // Appends one command per payload, at consecutive indexes, and returns the position of the
  // first. The outcome is known when apply reaches an index (committed if the entry there has this
  // term) or by Effects::lost_leadership. payloads is not empty. Errors, all without effect:
  //   FAILED_PRECONDITION  not the leader; leader() may know who is
  //   UNAVAILABLE          the leader has not applied its first entry, or hands leadership over
  //   RESOURCE_EXHAUSTED   too much uncommitted or unapplied; retry later
  absl::StatusOr<LogPosition> Propose(std::vector<Payload> payloads);

  // Whether the owner has commands that it will propose once what is under way is applied. While it
  // has, the news of what is committed waits for their entries, at most until the next tick: that
  // saves every second append and its answer under load.
  void ExpectProposal(bool expected) { proposal_expected_ = expected; }

  // Starts the change to exactly these members and returns the position of its first entry. If the
  // set of voters changes, the change is joint, and the leader leaves the joint configuration by
  // itself as soon as it is committed; otherwise (learners only) one entry suffices, as no
  // majority changes. Errors, all without effect:
  //   FAILED_PRECONDITION  not the leader; or a change is under way; or a new voter is not yet a
  //                        learner that receives the log; or a voter would vanish: it has to
  //                        become a learner first, so that it learns that it does not count any
  //                        more before its data goes (rule 14)
  //   INVALID_ARGUMENT     no voters, a replica named twice or moved to another node, no change
  //   UNAVAILABLE          as for Propose
  absl::StatusOr<LogPosition> ProposeConfiguration(std::vector<Member> voters,
                                                   std::vector<Member> learners);

  // Asks for a linearizable read; Effects::reads answers with the number returned here (never
  // reused in this object) once leadership is confirmed by a heartbeat round that was sent after
  // this call, Effects::aborted_reads if leadership ends first. Reads that arrive together share a
  // round. Errors: FAILED_PRECONDITION (not the leader), UNAVAILABLE (own first entry not applied),
  // RESOURCE_EXHAUSTED (waiting_reads_max).
  absl::StatusOr<uint64_t> ReadIndex();

  // Hands leadership to voter `to`: refuses proposals, waits for it to catch up, then asks it to
  // campaign; from then on lease_allowed() is false for the rest of the term. Given up after one
  // minimum election timeout. A repeated call for the same voter is OK. Errors: FAILED_PRECONDITION
  // (not the leader; another transfer is under way), INVALID_ARGUMENT (not a voter, or itself),
  // UNAVAILABLE (own first entry not applied).
  absl::Status TransferLeadership(ReplicaId to);

  // Starts an election now, by way of a pre-vote, if this replica may stand. For the first
  // election of a new group and for tests; a transfer arrives as kTimeoutNow.
  void Campaign();

  // The transport dropped messages to this peer or knows it to be down: optimistic sending stops
  // until it answers.
  void ReportUnreachable(ReplicaId replica);

  // Outcome of a SnapshotRequest: delivered up to and including the kSnapshot message (`last` is
  // its last index), or failed (it is asked for again later).
  void ReportSnapshot(ReplicaId replica, absl::StatusOr<Index> last);

  // Every batch up to and including this number is durable. Numbers that are unknown or old are
  // ignored. Because batches are numbered and truncation is remembered, a late call counts for
  // nothing that has been truncated since.
  void Persisted(uint64_t persist_batch);

  // The state machine reached `index`.
  void Applied(Index index);

  // Answer to a FetchRequest: entries from `first` on, or an error. OUT_OF_RANGE means that they
  // are gone from the log (the peer gets a snapshot), any other error is retried later.
  void EntriesFetched(ReplicaId replica, Index first, absl::StatusOr<std::vector<Entry>> entries);

  // The same as stepping a kHeartbeatAnswer, for answers that the transport put together. Answers
  // marked `lost` are stepped as messages.
  void HeartbeatAcknowledged(ReplicaId replica, Term term, uint64_t round);

  // Entries up to `index` are not needed any more and may be dropped from memory and log; the
  // followers that still need them get a snapshot. durable_applied is how far the state machine is
  // *durable* (rule 13). Returns the log's new base: the owner may truncate the log up to it and
  // not beyond ({0,0}, nothing, while a snapshot is on its way to the disk).
  LogPosition AdvanceCompaction(Index index, Index durable_applied);

  // --- Effects --------------------------------------------------------------------------------

  // True if TakeEffects() would return something to do.
  bool HasEffects() const;
  Effects TakeEffects();

  // --- State ----------------------------------------------------------------------------------

  GroupId group() const { return group_; }
  ReplicaId replica() const { return self_; }
  Role role() const { return role_; }
  Term term() const { return hard_state_.term; }
  // 0: unknown.
  ReplicaId leader() const { return leader_; }
  Index commit_index() const { return commit_; }
  Index applied_index() const { return applied_; }
  LogPosition last_position() const { return log_.last(); }
  LogPosition base_position() const { return log_.base(); }
  // The log is on disk up to here.
  Index durable_index() const { return log_.durable(); }
  // The latest in the log, committed or not.
  const Configuration& configuration() const { return configurations_.back().configuration; }
  Index configuration_index() const { return configurations_.back().index; }
  // In force at `index`, which is at least the applied index at start and at least the base.
  const Configuration& configuration_at(Index index) const;
  // Leader, and its own first entry is applied: it may evaluate, grant, read and change members.
  bool ready_to_serve() const { return role_ == Role::kLeader && applied_ >= term_first_index_; }
  // False for a follower, from the moment a transfer was sent to the end of that term, and for a
  // leader that its own log has made no voter.
  bool lease_allowed() const { return ready_to_serve() && !lease_withdrawn_; }
  // 0: no transfer under way.
  ReplicaId transferee() const { return transferee_; }
  // {0,0}: none, or settled.
  LogPosition promised() const { return promise_; }
  bool doubtful() const { return doubtful_; }
  // Its group counts it as a voter and it has no log that would let it be one: no snapshot will
  // fill it (rule 11). Only the order that makes it a first voter, or another replica in its place,
  // helps.
  bool unfillable() const { return refused_to_vote_ && Forgetful(); }
  // Leader only (empty otherwise): what is known of each member but itself.
  const std::map<ReplicaId, Progress>& progress() const { return progress_; }
  // The last entry that a leader sends to this member: a learner gets what is committed.
  Index LastFor(ReplicaId to) const;

 private:
  friend class CoreInvariants;

  // A batch that was handed out and is not yet known to be durable.
  struct PendingBatch {
    uint64_t number = 0;
    std::optional<HardState> hard_state;
    bool install = false;
    Index last_index = 0;  // 0: no entries; lowered when they are truncated
  };
  struct WaitingRead {
    uint64_t read = 0;
    Index index = 0;
    uint64_t round = 0;  // confirmed by this round or a later one; 0: no round sent yet
  };
  // Entries whose cost is counted until `last` is committed, applied.
  struct Charge {
    Index last = 0;
    uint64_t bytes = 0;
  };

  // core.cc: dispatch, terms, sending
  bool StepTerm(const Message& message);
  void AnswerOldTerm(const Message& message);
  void StepKind(Message& message);
  void BecomeFollower(Term term, ReplicaId leader);
  void EnterTerm(Term term, ReplicaId vote);
  void EndRole();
  void ResetElectionTimer(Role role);
  void HearLeader(ReplicaId leader);
  Message NewMessage(MessageKind kind, ReplicaId to) const;
  void Send(Message message);
  void ReleaseWaitingMessages();
  bool HardStateDurable() const { return durable_hard_state_ == hard_state_; }

  // core_effects.cc: effects out, acknowledgements of writing and applying in
  std::optional<SoftState> ChangedSoftState() const;
  void CollectPersist();
  bool InstallPending() const;
  void Truncate(Index first);
  Index ApplyLimit() const;
  bool MayHandOut() const;
  void CollectApply();
  void HandOut(std::vector<Entry> entries);
  void ApplyFetched(Index first, absl::StatusOr<std::vector<Entry>> entries);
  bool IsOurs(const std::vector<Entry>& entries, Index first) const;

  // core_election.cc
  void TickElection();
  void TickSilence();
  void TickLeader();
  void CheckQuorum();
  bool Silent() const;
  bool Empty() const { return configuration().voters.empty(); }
  // Empty, and nothing is known of what it may have promised: perhaps a voter whose disk was wiped.
  // An empty replica that knows its promise has lost its state only: log, term and vote are intact.
  bool Forgetful() const { return Empty() && promise_ == LogPosition{}; }
  bool LeaderIsFresh() const;
  bool Electable() const;
  bool Promotable() const;
  LogPosition VotingPosition() const;
  void StartElection(bool preliminary, bool transfer);
  void AskVoters();
  void CountOwnVote();
  void RecordVote(ReplicaId from, bool granted);
  void StepVote(const Message& message);
  void StepVoteAnswer(const Message& message);
  void BecomeLeader();

  // core_replication.cc: the leader's side
  absl::Status CheckServing() const;
  LogPosition AppendEntries(std::vector<Entry> entries);
  void BroadcastAppends();
  void SendCommitNews();
  void SendAppends(ReplicaId to, bool even_if_empty);
  bool SendAppend(ReplicaId to, Progress& progress, bool even_if_empty);
  void EmitAppend(ReplicaId to, Progress& progress, std::vector<Entry> entries);
  void FetchFor(ReplicaId to, Progress& progress);
  void RequestSnapshot(ReplicaId to, Progress& progress, Index at_least);
  void StepAppendAnswer(const Message& message);
  void StepAppendRejected(const Message& message, Progress& progress);
  void AdvanceCommit();
  void CommitTo(Index index);

  // core_follower.cc: the follower's side
  bool AppendIsWellFormed(const Message& message) const;
  void StepAppend(Message& message);
  void TakeAppended(Message& message);
  void RejectAppend(const Message& message);
  void AcknowledgeAppend(bool always);
  void StepHeartbeat(const Message& message);
  void StepSnapshot(Message& message);
  void InstallSnapshot(SnapshotMeta meta);

  // core_reads.cc: heartbeat rounds and the reads they confirm
  bool ReadsNeedRound() const;
  void StartRound();
  void ConfirmRounds();
  void StepHeartbeatAnswer(const Message& message);

  // core_configuration.cc
  absl::Status CheckChange(const Configuration& next) const;
  LogPosition AppendConfiguration(Configuration configuration);
  void AdoptConfiguration(Index index, Configuration configuration);
  void RestoreConfigurations(Index last);
  void RebuildProgress();
  void LeaveJointIfCommitted();
  void StepDownIfRemoved();

  // core_transfer.cc
  void SendTimeoutNowIfCaughtUp();
  void AbortTransfer();
  void LeadAnewIfWithoutLease();
  void StepTimeoutNow(const Message& message);

  // core_doubt.cc
  void SettlePromiseIfKept();
  void AskDoubt(bool preliminary);
  void StepDoubtQuery(const Message& message);
  void StepDoubtAnswer(const Message& message);
  void RejectDoubtQuery(const Message& query);
  void DecideDoubt();
  std::optional<LogPosition> HeldAtMost() const;

  CoreOptions options_;
  Random random_;
  GroupId group_ = 0;
  ReplicaId self_ = 0;

  HardState hard_state_;
  HardState durable_hard_state_;
  HardState handed_hard_state_;  // the last that was put into a batch
  Role role_ = Role::kFollower;
  ReplicaId leader_ = 0;

  CoreLog log_;
  Index commit_ = 0;
  Index handed_ = 0;  // handed out to be applied up to here
  Index applied_ = 0;
  Index persist_handed_ = 0;  // handed out to be persisted up to here
  bool apply_fetch_pending_ = false;
  bool apply_fetch_retry_ = false;
  std::optional<SnapshotMeta> installing_;  // handed to the owner until it is applied
  bool install_unhanded_ = false;
  // In force from its index on; the first covers the base, the last is in use.
  std::deque<PlacedConfiguration> configurations_;

  uint64_t last_batch_ = 0;
  std::deque<PendingBatch> pending_batches_;
  std::vector<Message> waiting_messages_;  // until hard_state_ is durable

  // Timers, in ticks.
  uint32_t election_elapsed_ = 0;
  // Since any leader was heard, whatever its term: what was promised to it by answering is not
  // taken back by a message of a newer term. Starts as if that were long ago: a restart has its own
  // silence.
  uint32_t leader_silence_ = UINT32_MAX;
  uint32_t election_timeout_ = 0;
  uint32_t heartbeat_elapsed_ = 0;
  uint32_t silence_left_ = 0;
  std::optional<Message> heard_in_silence_;  // the newest request for a vote

  // Follower: the log is known to equal the leader's up to here in this term, and how much of it
  // was acknowledged.
  Index verified_ = 0;
  Index acknowledged_ = 0;

  // Candidate.
  std::map<ReplicaId, bool> votes_;
  bool by_transfer_ = false;

  // Leader.
  std::map<ReplicaId, Progress> progress_;
  Index term_first_index_ = 0;
  uint64_t round_ = 0;
  uint64_t confirmed_round_ = 0;
  uint64_t checked_round_ = 0;  // confirmed_round_ at the last CheckQuorum
  uint64_t last_read_ = 0;
  std::deque<WaitingRead> waiting_reads_;
  ReplicaId transferee_ = 0;
  uint32_t transfer_elapsed_ = 0;
  bool timeout_now_sent_ = false;
  bool lease_withdrawn_ = false;  // until the term ends
  bool broadcast_ = false;        // entries or a commit index are new for the peers
  bool proposal_expected_ = false;
  std::deque<Charge> uncommitted_;
  std::deque<Charge> unapplied_;
  uint64_t uncommitted_bytes_ = 0;
  uint64_t unapplied_bytes_ = 0;
  // Handed out and not yet applied, on every role.
  std::deque<Charge> applying_;
  uint64_t applying_bytes_ = 0;

  // Promise and doubt.
  LogPosition promise_;
  bool doubtful_ = false;
  bool refused_to_vote_ = false;  // a snapshot named it a voter while it was forgetful
  bool asking_ = false;
  bool asking_preliminary_ = false;
  uint32_t doubt_rest_ = 0;  // election timeouts until the next query
  std::map<ReplicaId, Message> doubt_answers_;

  SoftState reported_;
  Effects effects_;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_CORE_H_
