// One replica of one partition: the state machine that replication drives, and at the leader the
// evaluation of writes (DESIGN section 6).
//
//   requests -> Execute -> evaluate over overlay and store -> building batch -> Replica::Propose
//   (worker, log, peers) -> Apply -> store; answers
//
// Everything happens on the replica's applier. Replicas of all partitions of an applier take turns,
// so nothing here waits: what is not ready is kept, and continued by Apply, by a callback of
// Replica, or by Maintain.
//
// Invariants
//   1. Evaluation sees exactly the log: the store (all applied entries) under the overlay (this
//      term's entries after them, in order). Hence only a leader that has applied its own first
//      entry evaluates.
//   2. One proposal at a time waits for its place in the log, and a few have one and are not yet
//      applied; what is evaluated meanwhile goes into the building batch, until that is full: then
//      writes wait unevaluated. If a proposal is refused, the building batch, which may rest on
//      it, is refused with it; batches that have a place stay.
//   3. A batch in flight is answered by what is applied at its index: an entry of its own term is
//      its entry, any other proves that it never happens.
//   4. An answer that follows from the state and changes nothing leaves only after every batch that
//      it may have seen is applied and leadership was confirmed after it was evaluated.
//      If copies of the request may be about, the answer is an entry instead, with the session's
//      record and no effect: no copy is evaluated after an answer that its originator took.
//   5. A write that changes a key which clients of the cache hold is not carried out: it is parked,
//      and evaluated anew once they have given the key back or their grants are over
//      (partition_cache.cc).
//   6. Overlay, building batch, such answers and parked writes belong to one term. Batches in
//      flight outlive it: they are resolved by (3), or answered UNKNOWN_OUTCOME when that takes
//      too long.
#ifndef RINGLEADER_NODE_PARTITION_H_
#define RINGLEADER_NODE_PARTITION_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "client/data_server.h"
#include "node/admission.h"
#include "node/cache_sessions.h"
#include "node/effects.h"
#include "node/eras.h"
#include "node/evaluate.h"
#include "node/lease_gate.h"
#include "node/overlay.h"
#include "node/registry.h"
#include "node/sessions.h"
#include "node/store.h"
#include "node/table_info.h"
#include "replication/replica.h"
#include "replication/state_machine.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader {

struct PartitionOptions {
  bool quorum_reads = false;  // never by lease
  // Of one entry: what is evaluated beyond it waits for the next.
  uint64_t entry_bytes_max = 1 << 20;
  // Entries of a partition under way at once. Further writes gather in the next entry until one of
  // these is applied: under load each entry, with its messages, its record and its write to the
  // store, then serves many writes.
  size_t entries_in_flight_max = 1;
  // How long a write whose leader lost its term may wait to learn its outcome.
  Duration orphan_max = std::chrono::seconds(1);
  // Keys removed in one step of purging a retired table.
  int purge_keys_max = 1000;
  // How long a comparison of everything takes (partition_hash.cc); 0: none is made. The shortest
  // time between two ranges, and how large one is by the leader's store.
  Duration hash_pass = std::chrono::hours(24);
  Duration hash_pause_min = std::chrono::seconds(5);
  uint64_t hash_bytes_max = 1 << 20;
  uint64_t hash_keys_max = 4096;
  // Whether keys are leased to clients that cache. What was leased before is honoured either way.
  bool grants = true;
  LeaseOptions lease;
  // A leader closes its eras where nothing is held any more: it looks this often, and does so if
  // this many more buckets are open than twice those where something is held.
  Duration eras_period = std::chrono::minutes(1);
  size_t eras_spare = 64;
  // Writes that wait for clients which hold their item: of one item, and their bytes in all.
  size_t parked_key_max = 256;
  uint64_t parked_bytes_max = 8 << 20;
  // For observers in tests: told what is about to be applied here, and so is committed, on the
  // applier. May be null.
  std::function<void(replication::GroupId, absl::Span<const replication::Entry>)> before_apply;
  // With as many write sessions as this, the leader lets expire what is due though nobody writes.
  size_t sessions_crowded = kSessionsMax / 8 * 7;
};

// What the partitions of a node share. Outlives them.
struct PartitionPlace {
  StorePlace store;
  Registry& registry;
  Admission& admission;
  PartitionOptions options;
  CacheSessions* cache_sessions = nullptr;  // null: nothing is granted
};

// A read by a client that wants to keep what it reads.
struct CacheFill {
  CacheSessionId session = 0;
  uint64_t number = 0;
  data::v1::Request request;  // a get
  Instant received;
  bool no_grant = false;  // the read is all that is wanted
};

// A request on its way; unanswered only if the process ends first.
using PendingRequest = client::DataRequest;

class Partition : public replication::StateMachine {
 public:
  using ReplicaPointer = std::shared_ptr<replication::Replica>;

  // `range`: what the replica's plan says; counts for an empty directory only.
  static absl::StatusOr<std::unique_ptr<Partition>> Open(
      const PartitionPlace& place, replication::GroupId group, absl::string_view directory,
      const replication::AppliedState& initial, const std::optional<model::TokenRange>& range);
  // Answers what is waiting.
  ~Partition() override;

  // Evaluates and answers; every request's `respond` is called, now or later.
  void Execute(const ReplicaPointer& replica, std::vector<PendingRequest> requests);
  // Proposes a table's definition, if this replica leads and its state has an older one.
  void ProposeTable(const ReplicaPointer& replica, const TableRecord& table);
  // Hands leadership to another voter, after everything that is leased is taken back: the next
  // leader then waits for nothing. Not longer than that takes at the most.
  void HandOver(const ReplicaPointer& replica, replication::ReplicaId to);

  // Of the cache's sessions, in the order in which their messages came.
  void Fill(const ReplicaPointer& replica, std::vector<CacheFill> fills);
  void Renew(const ReplicaPointer& replica, CacheSessionId session,
             const cache::v1::Renew& renewal);
  void Acknowledged(const ReplicaPointer& replica, CacheSessionId session, replication::Term term,
                    const std::vector<uint64_t>& numbers);
  void Released(CacheSessionId session, const cache::v1::Release& release);
  void CacheSessionEnded(const ReplicaPointer& replica, CacheSessionId session);

  // What time alone brings; called every 100 ms or so.
  void Maintain(const ReplicaPointer& replica);

  // What a scrub reads of it (Store::LiveFiles).
  std::vector<std::string> LiveFiles() const { return store_->LiveFiles(); }

  const StoreState& state() const { return store_->state(); }
  const std::map<uint64_t, std::shared_ptr<const TableInfo>>& tables() const { return tables_; }
  size_t tables_to_purge() const { return to_purge_.size(); }
  uint64_t waiting_requests() const { return admitted_requests_; }
  size_t sessions() const { return sessions_.size(); }
  const Eras& eras() const { return eras_; }
  // Null: this replica does not lead.
  const LeaseGate* gate() const { return leadership_ == nullptr ? nullptr : &*leadership_->gate; }
  // The sessions that hold the item of a get; none also if it is not an item of this partition.
  std::vector<CacheSessionId> HoldersOf(const data::v1::Request& get) const;

  replication::AppliedState applied() const override { return store_->state().applied; }
  absl::Status Apply(absl::Span<const replication::Entry> entries) override;
  replication::Index durable_applied() const override { return store_->durable(); }
  absl::Status Flush() override { return store_->Flush(); }
  absl::StatusOr<replication::AppliedState> Capture(absl::string_view directory) override;
  void LeadershipBegan(replication::Term term) override;
  void LeadershipEnded(replication::Term term) override;

 private:
  using SessionSequence = std::pair<uint64_t, uint64_t>;
  static constexpr uint64_t kRetiring = UINT64_MAX;

  // Somebody who waits for an answer, and what admission counted for it.
  struct Waiter {
    uint64_t id = 0;
    uint64_t bytes = 0;
    absl::AnyInvocable<void(data::v1::Response)> respond;
  };
  // An evaluated request; repeated attempts of it share its outcome.
  struct Outcome {
    std::vector<Waiter> waiters;
    data::v1::Response response;
    SessionSequence sequence{0, 0};
    bool changes = true;  // what its entry makes has a version
    // Of an answer that changes nothing and has no entry: invariant 4.
    uint64_t seen_batch = 0;
    bool confirmed = false;
    uint64_t confirmation = 0;  // which round of confirmation it waits for
  };
  struct Batch {
    uint64_t number = 0;
    EffectsWriter effects;
    std::vector<Outcome> outcomes;
    std::vector<std::pair<uint64_t, uint64_t>> tables;  // as in Leadership::tables_proposed
    replication::LogPosition position;
    Instant orphaned;
  };
  // Let in, and not answered yet.
  struct WaitingRequest {
    PendingRequest pending;
    uint64_t bytes = 0;
    std::vector<Waiter> copies = {};     // further attempts of the same write
    std::optional<Instant> parked = {};  // since when clients of the cache are waited for
    bool by_failover = false;            // those of an earlier leader
  };
  // Leadership is to go to another voter: what is leased is taken back first.
  struct HandingOver {
    replication::ReplicaId to = 0;
    Instant began;
    bool is_asked = false;  // the transfer
    Instant asked;
    Instant target_asked;  // the present one
  };
  struct Leadership {
    replication::Term term = 0;
    Batch building;
    bool proposing = false;
    std::deque<WaitingRequest> deferred;  // writes that found the building batch full
    std::deque<Batch> in_flight;
    std::weak_ptr<replication::Replica> replica;  // as of the last proposal
    Overlay overlay;
    uint64_t applied_batch = 0;
    std::list<Outcome> answers;  // that change nothing, in the order of evaluation
    uint64_t last_confirmation = 0;
    // In which batch an unanswered attempt of a write is, and at which place.
    std::map<SessionSequence, std::pair<uint64_t, size_t>> attempts;
    // Table and schema version (kRetiring for its end), and the batch that has it. Of an end writes
    // hear once that is applied (invariant 4); reads see the table until then.
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> tables_proposed;
    // partition_cache.cc. Writes by the key that they wait for, which the gate has as blocked, and
    // where an attempt of a session's write waits.
    std::optional<LeaseGate> gate;
    std::map<std::string, std::deque<WaitingRequest>> parked;
    std::map<SessionSequence, std::string> parked_attempts;
    uint64_t parked_bytes = 0;
    Instant gate_maintained;
    LeaseGate::Counts gate_counts;  // as the node has them for its metrics
    bool opening_armed = false;
    bool opens_when_applied = false;  // the building batch was full
    std::set<uint16_t> eras_wanted;
    uint64_t era_batch = 0;                         // has a change of eras, and is not finished
    Instant eras_shrunk;                            // or looked at, last
    std::map<uint64_t, TableRecord> tables_ending;  // wait for their keys' holders
    std::optional<HandingOver> handing_over;
    Instant began;
    std::optional<int64_t> hash_due_us;  // by ElapsedMicros
    int64_t elapsed_base_us = 0;
    int64_t last_time_us = 0;
  };
  struct HashedRange {
    std::string start;
    std::string limit;  // empty: to the end
  };

  Partition(const PartitionPlace& place, replication::GroupId group)
      : place_(place), group_(group), self_(std::make_shared<Partition*>(this)) {}
  absl::Status Load();

  // partition.cc: requests come in and go out
  bool TakesWrites() { return place_.admission.disk_fit() && store_->failure().ok(); }
  data::v1::Response NoWrites();  // what a refused one hears
  bool Admit(const PendingRequest& pending, bool is_write, uint64_t* bytes);
  void Answer(Waiter& waiter, data::v1::Response response);
  void AnswerWaiting(WaitingRequest& waiting, data::v1::Response response);
  static std::vector<Waiter> WaitersOf(WaitingRequest& waiting);
  bool IsPastItsTime(const PendingRequest& pending) const;
  void AnswerAll(Outcome& outcome, const data::v1::Response& response);
  void MeasureStore(const Instant& now);
  void TendFailure(const ReplicaPointer& replica, const Instant& now);
  void Refuse(PendingRequest& pending, data::v1::Response response);
  data::v1::Response WrongRoute(const ReplicaPointer& replica) const;
  // By what is applied. `is_current`: this replica has all that was committed before the request
  // came, or the answer waits until that is known.
  std::shared_ptr<const TableInfo> FindTable(const data::v1::Request& request, bool is_current,
                                             data::v1::Response* error) const;
  static data::v1::Response TableNotFound();
  // The batch under way that ends the table: no write gets behind it, and nobody may hear of it
  // before it is applied. 0: none.
  uint64_t EndingBatch(uint64_t table) const;
  bool CheckRequest(const ReplicaPointer& replica, PendingRequest& pending);

  // partition_reads.cc
  void ExecuteReads(const ReplicaPointer& replica, std::vector<PendingRequest> reads);
  void WaitForApplied(replication::Index index, std::vector<WaitingRequest> reads);
  void AnswerRead(WaitingRequest& read);
  void ReleaseReads();

  // partition_writes.cc
  void ExecuteWrite(WaitingRequest waiting);
  bool AnswerKnown(WaitingRequest& waiting);
  void AddToBatch(Outcome outcome, Evaluation evaluation, uint64_t lowest);
  void RecordAnswer(Outcome outcome, data::v1::Response response, uint64_t lowest);
  Batch& Building();
  Outcome* FindAttempt(const SessionSequence& sequence);
  absl::StatusOr<std::optional<std::string>> CurrentItem(const std::string& key, uint64_t* seen);
  bool BuildingIsFull() const;
  void ExecuteDeferred(const ReplicaPointer& replica);
  void ExecuteUnlessOver(WaitingRequest waiting);
  void ProposeBuilding(const ReplicaPointer& replica);
  void Proposed(uint64_t number, replication::Term term, const ReplicaPointer& replica,
                absl::StatusOr<replication::LogPosition> position);
  void AddAnswer(Outcome outcome, data::v1::Response response, uint64_t seen_batch);
  void ConfirmAnswers(const ReplicaPointer& replica);
  void Confirmed(replication::Term term, uint64_t confirmation, const absl::Status& status);
  void ReleaseAnswers();
  void FinishAnswer(std::list<Outcome>::iterator answer, const data::v1::Response& response);
  void DropUnproposed(const data::v1::Response& why);
  void DropAnswers(uint64_t seen_min, const data::v1::Response& why);
  void FinishBatch(Batch& batch, const data::v1::Response* failure);
  int64_t ElapsedMicros() const;

  // partition_cache.cc: what is leased to clients
  bool MayChange(const std::string& key);
  void Park(WaitingRequest waiting, const std::string& key);
  bool JoinParked(const SessionSequence& sequence, WaitingRequest& waiting);
  void ArmOpening();
  void OpenParked(const ReplicaPointer& replica);
  void ExecuteParked(WaitingRequest waiting, const Instant& now);
  void SendInvalidations(const std::vector<Invalidation>& invalidations);
  bool MayEndTable(const TableRecord& table);
  void TendTables(const ReplicaPointer& replica);
  void TendEras();
  void ShrinkEras(const Instant& now);
  void EraBatchFinished();
  void TendHandingOver(const ReplicaPointer& replica);
  void AskForTransfer(const ReplicaPointer& replica, bool is_again);
  void ForgetGrants(const Instant& now);
  void CountHeld(const LeaseGate::Counts& now);
  void TendCache(const ReplicaPointer& replica);
  void AnswerGranted(const CacheFill& fill, const std::string& key, Duration life);
  LeaseGate::Refusal TryGrant(const ReplicaPointer& replica, const CacheFill& fill);

  // partition_apply.cc
  absl::Status ApplyAll(absl::Span<const replication::Entry> entries);
  absl::Status ApplySome(absl::Span<const replication::Entry> entries, size_t* taken);
  absl::Status AddEntry(const replication::Entry& entry, StoreState& next,
                        leveldb::WriteBatch& batch, std::set<uint64_t>& sessions);
  absl::Status AddEffects(const replication::Entry& entry, StoreState& next,
                          leveldb::WriteBatch& batch, std::set<uint64_t>& sessions);
  absl::Status AddTable(const TableRecord& table, leveldb::WriteBatch& batch);
  void Resolve(const replication::Entry& entry);
  absl::Status PurgeStep();

  // partition_hash.cc
  absl::Status WalkReplicated(absl::string_view start, absl::string_view limit,
                              absl::FunctionRef<bool(absl::string_view, absl::string_view)> visit);
  absl::Status HashRange(const HashedRange& range);
  int64_t HashPaceMicros() const;
  absl::Status ProposeHash();

  const PartitionPlace place_;
  const replication::GroupId group_;
  // For callbacks: they find null when the partition is gone.
  const std::shared_ptr<Partition*> self_;
  std::unique_ptr<Store> store_;
  SessionTable sessions_;
  std::map<uint64_t, std::shared_ptr<const TableInfo>> tables_;
  Eras eras_;
  std::set<uint64_t> to_purge_;  // retired tables that may have data
  // Of the entry that is being applied: to be hashed as soon as it is written.
  std::optional<HashedRange> to_hash_;
  std::string hash_cursor_;  // where the next range begins
  // In this pass so far, and in the last one.
  uint64_t hash_ranges_ = 0;
  uint64_t hash_ranges_before_ = 0;

  uint64_t last_batch_ = 0;
  std::unique_ptr<Leadership> leadership_;
  std::map<uint64_t, Batch> proposing_;                      // by number; at most one of a term
  std::multimap<replication::Index, Batch> orphans_;         // of ended terms; some share an index
  std::multimap<replication::Index, WaitingRequest> reads_;  // by the index that they wait for
  uint64_t admitted_requests_ = 0;
  uint64_t admitted_bytes_ = 0;
  std::optional<Instant> space_sought_;  // for a store that found none
  std::optional<Admission::WithoutSpace> waits_for_space_;
  Instant measured_;
  bool ever_measured_ = false;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_PARTITION_H_
