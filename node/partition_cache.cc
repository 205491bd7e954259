// What is leased to clients that cache: the gate before writes, grants and renewals, eras, and the
// taking back of everything before leadership is handed over (node/cache.md).
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/cluster_version.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "model/item.h"
#include "model/key_codec.h"
#include "node/partition.h"
#include "node/reads.h"

namespace ringleader {
namespace {

// Beyond the waiting for grants: how long the entry that closes the eras may take before leadership
// goes without it, and how long the transfer may take before this leader grants again.
constexpr Duration kCloseWithin = std::chrono::seconds(1);
constexpr Duration kTransferWithin = std::chrono::seconds(5);
// After this a transfer that was asked for is under way, unless it was given up.
constexpr Duration kTransferBegins = std::chrono::milliseconds(500);
// Between two looks at what waits for time to pass.
constexpr Duration kOpeningPauseMin = std::chrono::milliseconds(1);

// What is over is forgotten this often: every key that was ever granted is looked at.
constexpr Duration kGatePeriod = std::chrono::seconds(1);

cache::v1::Event FilledEvent(uint64_t number, data::v1::Response response) {
  cache::v1::Event event;
  event.mutable_filled()->set_number(number);
  *event.mutable_filled()->mutable_response() = std::move(response);
  return event;
}

// Never less than the term is.
uint32_t WholeMillis(Duration term) {
  return static_cast<uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(term).count());
}

uint64_t Micros(Duration life) {
  return static_cast<uint64_t>(life / std::chrono::microseconds(1));
}

}  // namespace

// --- Writes -------------------------------------------------------------------------------------

bool Partition::MayChange(const std::string& key) {
  LeaseGate& gate = *leadership_->gate;
  if (gate.IsUntouched(key)) return true;
  std::vector<Invalidation> to_send;
  const bool open = gate.Enter(key, place_.store.clock.Now(), &to_send);
  SendInvalidations(to_send);
  return open;
}

// Each to its holder behind everything that this partition has sent it. Where that can't be, the
// holder is waited out.
void Partition::SendInvalidations(const std::vector<Invalidation>& invalidations) {
  for (const Invalidation& invalidation : invalidations) {
    CHECK(place_.cache_sessions != nullptr) << "a holder without a session";
    cache::v1::Event event;
    event.mutable_invalidate()->set_partition(group_);
    event.mutable_invalidate()->set_term(leadership_->term);
    event.mutable_invalidate()->set_number(invalidation.number);
    event.mutable_invalidate()->set_key(invalidation.key);
    place_.cache_sessions->meters().invalidations.Add();
    if (!place_.cache_sessions->Send(invalidation.session, group_, std::move(event))) {
      leadership_->gate->Ended(invalidation.session);
    }
  }
}

void Partition::Park(WaitingRequest waiting, const std::string& key) {
  const PartitionOptions& options = place_.options;
  const auto others = leadership_->parked.find(key);
  const size_t count = others == leadership_->parked.end() ? 0 : others->second.size();
  if (count >= options.parked_key_max ||
      leadership_->parked_bytes + waiting.bytes > options.parked_bytes_max) {
    // The key is waited for all the same; ArmOpening lets it go.
    auto full = ErrorResponse(data::v1::ERROR_RESOURCE_EXHAUSTED,
                              "too many writes wait for clients that hold this item");
    full.set_retry_after_ms(place_.admission.options().retry_after_ms);
    AnswerWaiting(waiting, full);
    return ArmOpening();
  }
  leadership_->parked_bytes += waiting.bytes;
  const data::v1::WriteSession& session = waiting.pending.request.session();
  if (session.session() != 0) {
    leadership_->parked_attempts[{session.session(), session.sequence()}] = key;
  }
  waiting.parked = place_.store.clock.Now();
  waiting.by_failover = leadership_->gate->WaitsForEarlier(key, *waiting.parked);
  leadership_->parked[key].push_back(std::move(waiting));
  ArmOpening();
}

// Another attempt of a write that is parked: they share its outcome, and it has as much time as the
// newest of them. It is not the only copy any more unless both say so (RecordAnswer has why).
bool Partition::JoinParked(const SessionSequence& sequence, WaitingRequest& waiting) {
  const auto attempt = leadership_->parked_attempts.find(sequence);
  if (attempt == leadership_->parked_attempts.end()) return false;
  std::deque<WaitingRequest>& parked = leadership_->parked.at(attempt->second);
  const auto earlier =
      std::find_if(parked.begin(), parked.end(), [&](const WaitingRequest& candidate) {
        const data::v1::WriteSession& session = candidate.pending.request.session();
        return SessionSequence(session.session(), session.sequence()) == sequence;
      });
  CHECK(earlier != parked.end()) << "an attempt that is parked nowhere";
  const bool sole = earlier->pending.request.session().sole_copy() &&
                    waiting.pending.request.session().sole_copy();
  std::vector<Waiter> copies = WaitersOf(*earlier);
  for (Waiter& copy : waiting.copies) copies.push_back(std::move(copy));
  earlier->pending = std::move(waiting.pending);
  leadership_->parked_bytes += waiting.bytes;
  leadership_->parked_bytes -= earlier->bytes;
  earlier->bytes = waiting.bytes;
  earlier->copies = std::move(copies);
  earlier->pending.request.mutable_session()->set_sole_copy(sole);
  return true;
}

// For what opens without an acknowledgement.
void Partition::ArmOpening() {
  if (leadership_ == nullptr || leadership_->opening_armed) return;
  const std::optional<Duration> wait = leadership_->gate->UntilOpening(place_.store.clock.Now());
  const ReplicaPointer replica = leadership_->replica.lock();
  if (!wait.has_value() || replica == nullptr) return;
  leadership_->opening_armed = true;
  replica->applier().PostAfter(
      std::max(*wait, kOpeningPauseMin),
      [self = self_, term = leadership_->term, weak = leadership_->replica] {
        if (*self == nullptr) return;
        Partition& partition = **self;
        if (partition.leadership_ == nullptr || partition.leadership_->term != term) return;
        partition.leadership_->opening_armed = false;
        if (const ReplicaPointer alive = weak.lock()) partition.OpenParked(alive);
        partition.ArmOpening();
      });
}

// Before what was deferred: it came first. What opens is changed in the same turn, as a grant could
// come in between: so nothing opens while the building batch is full, and Apply asks again.
void Partition::OpenParked(const ReplicaPointer& replica) {
  const Instant now = place_.store.clock.Now();
  std::string after;
  bool any = false;
  while (!BuildingIsFull()) {
    const std::optional<std::string> key = leadership_->gate->NextOpened(now, &after);
    if (!key.has_value()) break;
    auto parked = leadership_->parked.extract(*key);
    if (parked.empty()) continue;
    any = true;
    std::deque<WaitingRequest>& writes = parked.mapped();
    while (!writes.empty() && !BuildingIsFull()) {
      WaitingRequest waiting = std::move(writes.front());
      writes.pop_front();
      ExecuteParked(std::move(waiting), now);
    }
    if (writes.empty()) continue;
    leadership_->gate->Block(*key);
    leadership_->parked.insert(std::move(parked));
  }
  leadership_->opens_when_applied = BuildingIsFull();
  if (!any) return;
  ExecuteDeferred(replica);
  ConfirmAnswers(replica);
}

void Partition::ExecuteParked(WaitingRequest waiting, const Instant& now) {
  const data::v1::WriteSession& session = waiting.pending.request.session();
  leadership_->parked_attempts.erase({session.session(), session.sequence()});
  leadership_->parked_bytes -= waiting.bytes;
  if (waiting.by_failover) RARE_BRANCH("era: a write waited for an earlier one");
  if (place_.cache_sessions != nullptr) {
    CacheMeters& meters = place_.cache_sessions->meters();
    (waiting.by_failover ? meters.stall_by_failover : meters.stall_by_holder)
        .Observe(HolderElapsed(*waiting.parked, now));
  }
  ExecuteUnlessOver(std::move(waiting));
}

// --- A table's end ------------------------------------------------------------------------------

bool Partition::MayEndTable(const TableRecord& table) {
  const model::KeyRange range = model::TableRange(table.id, model::TokenRange());
  std::vector<Invalidation> to_send;
  const bool open =
      leadership_->gate->EnterRange(range.start, range.limit, place_.store.clock.Now(), &to_send);
  SendInvalidations(to_send);
  if (open) {
    leadership_->tables_ending.erase(table.id);
  } else {
    leadership_->tables_ending[table.id] = table;
  }
  return open;
}

void Partition::TendTables(const ReplicaPointer& replica) {
  const std::map<uint64_t, TableRecord> ending = leadership_->tables_ending;
  for (const auto& [id, table] : ending) ProposeTable(replica, table);
}

// --- Eras ---------------------------------------------------------------------------------------

// One change at a time is under way.
void Partition::TendEras() {
  Leadership& leadership = *leadership_;
  if (leadership.era_batch != 0 || !store_->failure().ok()) return;
  const Instant now = place_.store.clock.Now();
  EraRecord era;
  if (leadership.handing_over.has_value()) {
    if (eras_.empty()) return;
    if (!leadership.gate->IsRevoked(now) && !MUTANT("transfer-closes-early")) return;
    RARE_BRANCH("era: all are closed for a transfer");
    era.change = EraChange::kCloseAll;
  } else if (leadership.gate->HasEarlier() && leadership.gate->EarlierAreOver(now)) {
    RARE_BRANCH("era: earlier ones are closed");
    era.change = EraChange::kCloseEarlier;
  } else if (!leadership.eras_wanted.empty()) {
    RARE_BRANCH("era: some are opened");
    const Duration lease_term = place_.options.lease.lease_term;
    era.buckets = eras_.ToOpen(leadership.term, leadership.eras_wanted, lease_term);
    era.lease_term_ms = WholeMillis(lease_term);
    leadership.eras_wanted.clear();
    if (era.buckets.empty()) return;  // opened since they were asked for
  } else {
    return ShrinkEras(now);
  }
  Batch& batch = Building();
  batch.effects.Era(era);
  leadership.era_batch = batch.number;
}

// Clients come by more keys than they hold at a time, and each bucket that is open delays writes
// after a failover. One entry closes all and opens those again where something is held.
void Partition::ShrinkEras(const Instant& now) {
  Leadership& leadership = *leadership_;
  LeaseGate& gate = *leadership.gate;
  const PartitionOptions& options = place_.options;
  if (gate.HasEarlier() || HolderElapsed(leadership.eras_shrunk, now) < options.eras_period) return;
  leadership.eras_shrunk = now;
  gate.Maintain(now);
  const EraBuckets held = MUTANT("shrinks-held") ? EraBuckets() : gate.HeldBuckets();
  const EraBuckets open = eras_.Own(leadership.term);
  if (open.count() <= 2 * held.count() + options.eras_spare) return;
  RARE_BRANCH("era: closed where nothing is held");
  EraRecord kept{.lease_term_ms = WholeMillis(options.lease.lease_term)};
  for (size_t bucket = 0; bucket < kEraBuckets; ++bucket) {
    if (held[bucket]) kept.buckets.push_back(static_cast<uint16_t>(bucket));
  }
  gate.Shrink(held);
  Batch& batch = Building();
  batch.effects.Era({.change = EraChange::kCloseAll});
  if (!kept.buckets.empty()) batch.effects.Era(kept);
  leadership.era_batch = batch.number;
}

// Applied, or refused: then it is asked for again.
void Partition::EraBatchFinished() {
  leadership_->era_batch = 0;
  LeaseGate& gate = *leadership_->gate;
  gate.Shrunk();
  if (gate.HasEarlier() && eras_.Before(leadership_->term).none()) gate.EarlierClosed();
}

// --- Handing leadership over --------------------------------------------------------------------

void Partition::HandOver(const ReplicaPointer& replica, replication::ReplicaId to) {
  if (leadership_ == nullptr || leadership_->handing_over.has_value()) return;
  leadership_->replica = replica;
  leadership_->handing_over = HandingOver{.to = to, .began = place_.store.clock.Now()};
  std::vector<Invalidation> to_send;
  leadership_->gate->Revoke(&to_send);
  if (!to_send.empty()) RARE_BRANCH("lease: grants are revoked before a transfer");
  SendInvalidations(to_send);
  TendCache(replica);
  ProposeBuilding(replica);
}

// One that did not take it may be dead: then another voter is asked that has nearly everything, if
// there is one.
void Partition::AskForTransfer(const ReplicaPointer& replica, bool is_again) {
  HandingOver& handing_over = *leadership_->handing_over;
  const replication::ReplicaView view = replica->view();
  const auto is_near = [&view](replication::ReplicaId voter) {
    return std::find(view.caught_up.begin(), view.caught_up.end(), voter) != view.caught_up.end();
  };
  if (is_again) {
    for (const replication::Member& voter : view.configuration.voters) {
      const bool is_other = voter.replica != replica->id() && voter.replica != handing_over.to;
      if (!is_other || !is_near(voter.replica)) continue;
      handing_over.to = voter.replica;
      break;
    }
  }
  handing_over.target_asked = place_.store.clock.Now();
  replica->Transfer(handing_over.to, [](const absl::Status&) {});
}

// Leadership may go at any time: what is not closed the next leader waits out. So a client that
// does not answer, or a disk that does not write, delays it for a bounded time only.
void Partition::TendHandingOver(const ReplicaPointer& replica) {
  HandingOver& handing_over = *leadership_->handing_over;
  const Instant now = place_.store.clock.Now();
  if (!handing_over.is_asked) {
    const bool closed = eras_.empty() && leadership_->gate->IsRevoked(now);
    const bool late =
        HolderElapsed(handing_over.began, now) >= leadership_->gate->WaitMax() + kCloseWithin;
    if (!closed && !late && TakesWrites()) return;
    handing_over.is_asked = true;
    handing_over.asked = now;
    return AskForTransfer(replica, /*is_again=*/false);
  }
  if (replica->view().transferee == 0 &&
      HolderElapsed(handing_over.target_asked, now) >= kTransferBegins &&
      HolderElapsed(handing_over.asked, now) < kTransferWithin) {
    return AskForTransfer(replica, /*is_again=*/true);  // that voter did not take it in time
  }
  // It did not go. While the entry that closes the eras may still be applied, a new grant would be
  // one that no era covers afterwards.
  if (leadership_->era_batch != 0) return;
  if (HolderElapsed(handing_over.asked, now) < kTransferWithin) return;
  RARE_BRANCH("transfer: leadership did not go");
  leadership_->gate->Resume();
  leadership_->handing_over.reset();
}

void Partition::ForgetGrants(const Instant& now) {
  if (leadership_ == nullptr) return;
  if (WaiterElapsed(leadership_->gate_maintained, now) < kGatePeriod) return;
  leadership_->gate_maintained = now;
  leadership_->gate->Maintain(now);
  CountHeld(leadership_->gate->counts());
}

void Partition::CountHeld(const LeaseGate::Counts& now) {
  if (place_.cache_sessions == nullptr) return;
  place_.cache_sessions->CountHeld(leadership_->gate_counts, now);
  leadership_->gate_counts = now;
}

void Partition::TendCache(const ReplicaPointer& replica) {
  if (leadership_ == nullptr) return;
  leadership_->replica = replica;
  if (!leadership_->parked.empty()) OpenParked(replica);
  if (!leadership_->tables_ending.empty()) TendTables(replica);
  TendEras();
  if (leadership_->handing_over.has_value()) TendHandingOver(replica);
}

// --- Grants -------------------------------------------------------------------------------------

// Grants and answers, or says why not.
LeaseGate::Refusal Partition::TryGrant(const ReplicaPointer& replica, const CacheFill& fill) {
  using Refusal = LeaseGate::Refusal;
  const PartitionOptions& options = place_.options;
  // How large the item is is not known yet: a lane of which half is free has room for any.
  if (!place_.cache_sessions->HasRoom(fill.session, 0)) return Refusal::kLaneFull;
  // An older build stops at an era, so there is none before the cluster says that all know them.
  if (place_.registry.cluster_version() < kClusterVersionEras) return Refusal::kOff;
  if (leadership_ == nullptr || !options.grants || options.quorum_reads ||
      !state().range.has_value() || fill.request.get().expressions().ByteSizeLong() > 0) {
    return Refusal::kOff;
  }
  const std::optional<Instant> confirmed = replica->ConfirmedRound(leadership_->term);
  data::v1::Response error;
  const auto table = FindTable(fill.request, /*is_current=*/false, &error);
  if (!confirmed.has_value()) return Refusal::kStale;
  if (table == nullptr || EndingBatch(table->record.id) != 0) return Refusal::kOff;
  const absl::StatusOr<std::string> key =
      ItemKeyOf(fill.request.get().key(), *table, *state().range);
  if (!key.ok()) return Refusal::kOff;
  const bool pending = leadership_->overlay.Find(*key) != nullptr;
  const LeaseGate::Answer answer = leadership_->gate->Grant(
      fill.session, *key, fill.number, *confirmed, place_.store.clock.Now(), pending, eras_);
  if (answer.refusal == LeaseGate::Refusal::kNoEra) {
    leadership_->eras_wanted.insert(EraBucketOf(*key));
    TendEras();
    ProposeBuilding(replica);
  }
  if (answer.refusal == Refusal::kNone) AnswerGranted(fill, *key, answer.life);
  return answer.refusal;
}

// What gets no grant is read like everybody's.
void Partition::Fill(const ReplicaPointer& replica, std::vector<CacheFill> fills) {
  CacheSessions* const sessions = place_.cache_sessions;
  CHECK(sessions != nullptr);
  std::vector<PendingRequest> reads;
  for (CacheFill& fill : fills) {
    if (!sessions->IsOpen(fill.session)) continue;  // nobody is there to answer
    // What is granted must reach its session, or the session ends. What finds no room any more is
    // read only, which may be refused.
    if (!fill.no_grant) {
      const LeaseGate::Refusal refusal = TryGrant(replica, fill);
      sessions->meters().Count(refusal);
      if (refusal == LeaseGate::Refusal::kNone) continue;
    }
    reads.push_back({std::move(fill.request), fill.received,
                     [sessions, group = group_, session = fill.session,
                      number = fill.number](data::v1::Response response) {
                       cache::v1::Event event = FilledEvent(number, std::move(response));
                       // Bulk must not end the session: it can be had elsewhere.
                       if (!sessions->HasRoom(session, event.ByteSizeLong())) {
                         event =
                             FilledEvent(number, ErrorResponse(data::v1::ERROR_RESOURCE_EXHAUSTED,
                                                               "the cache's lane is full"));
                       }
                       sessions->Send(session, group, std::move(event));
                     }});
  }
  if (!reads.empty()) Execute(replica, std::move(reads));
}

// Registered, read and sent in one turn: no write can come between.
void Partition::AnswerGranted(const CacheFill& fill, const std::string& key, Duration life) {
  auto response = ReadWholeItem(key, *store_);
  cache::v1::Event event;
  if (response.ok()) {
    event = FilledEvent(fill.number, *std::move(response));
    event.mutable_filled()->set_partition(group_);
    event.mutable_filled()->set_term(leadership_->term);
    event.mutable_filled()->set_life_us(Micros(life));
  } else {
    store_->MarkDamaged(response.status());
    event = FilledEvent(fill.number, ErrorResponse(data::v1::ERROR_UNAVAILABLE,
                                                   "this replica's storage is damaged"));
  }
  if (!place_.cache_sessions->Send(fill.session, group_, std::move(event))) {
    leadership_->gate->Ended(fill.session);
  }
}

void Partition::Renew(const ReplicaPointer& replica, CacheSessionId session,
                      const cache::v1::Renew& renewal) {
  cache::v1::Event event;
  cache::v1::Renewed& renewed = *event.mutable_renewed();
  renewed.set_number(renewal.number());
  renewed.set_partition(group_);
  renewed.set_term(renewal.term());
  if (leadership_ != nullptr && leadership_->term == renewal.term()) {
    if (const auto confirmed = replica->ConfirmedRound(leadership_->term); confirmed.has_value()) {
      const LeaseGate::Answer answer =
          leadership_->gate->Renew(session, *confirmed, place_.store.clock.Now());
      renewed.set_life_us(Micros(answer.life));
      if (answer.life > Duration(0)) place_.cache_sessions->meters().renewals.Add();
    }
  }
  const bool sent = place_.cache_sessions->Send(session, group_, std::move(event));
  if (!sent && leadership_ != nullptr) leadership_->gate->Ended(session);
}

void Partition::Acknowledged(const ReplicaPointer& replica, CacheSessionId session,
                             replication::Term term, const std::vector<uint64_t>& numbers) {
  if (leadership_ == nullptr || leadership_->term != term) return;
  for (const uint64_t number : numbers) leadership_->gate->Acknowledged(session, number);
  TendCache(replica);
  ProposeBuilding(replica);
}

// No write waits for a holder that was not told, so nothing opens by this.
void Partition::Released(CacheSessionId session, const cache::v1::Release& release) {
  if (leadership_ == nullptr || leadership_->term != release.term()) return;
  if (leadership_->gate->Returned(session, release.key(), release.fill())) {
    place_.cache_sessions->meters().releases.Add();
  }
}

std::vector<CacheSessionId> Partition::HoldersOf(const data::v1::Request& get) const {
  data::v1::Response error;
  const auto table = FindTable(get, /*is_current=*/false, &error);
  if (leadership_ == nullptr || table == nullptr || !state().range.has_value()) return {};
  const absl::StatusOr<std::string> key = ItemKeyOf(get.get().key(), *table, *state().range);
  return key.ok() ? leadership_->gate->HoldersOf(*key) : std::vector<CacheSessionId>();
}

void Partition::CacheSessionEnded(const ReplicaPointer& replica, CacheSessionId session) {
  if (leadership_ == nullptr) return;
  leadership_->gate->Ended(session);
  TendCache(replica);
}

}  // namespace ringleader
