// Writes at the leader: what is known of a request already, evaluation, proposal, and the answers
// that change nothing.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "model/key_codec.h"
#include "node/partition.h"

namespace ringleader {
namespace {

data::v1::Response ResponseOf(const StoredResult& result) {
  if (!result.item_kept) {
    data::v1::Response lost =
        ErrorResponse(data::v1::ERROR_INTERNAL,
                      "an earlier attempt was carried out; what it returned is not kept");
    lost.set_is_final(true);
    return lost;
  }
  data::v1::Response response;
  if (result.changed_nothing) {
    CHECK(response.ParseFromString(result.item)) << "an answer that was not one when it was kept";
    return response;
  }
  response.set_item(result.item);
  response.set_item_version(result.item_version);
  return response;
}

StoredResult ResultOf(const data::v1::Response& response) {
  if (response.item().size() > kResultItemBytesMax) return {.item_kept = false};
  return {.item = response.item()};
}

// Of an answer that changes nothing; who asks again does without an item that is too large to keep.
StoredResult ResultOfNothing(const data::v1::Response& response) {
  data::v1::Response kept;
  kept.set_error(response.error());
  kept.set_message(response.message());
  if (response.item().size() <= kResultItemBytesMax) kept.set_item(response.item());
  return {.item = kept.SerializeAsString(), .changed_nothing = true};
}

}  // namespace

// --- Evaluation
// -----------------------------------------------------------------------------------

void Partition::ExecuteWrite(WaitingRequest waiting) {
  if (AnswerKnown(waiting)) return;
  if (!store_->failure().ok()) return AnswerWaiting(waiting, NoWrites());
  const data::v1::Request& request = waiting.pending.request;
  data::v1::Response error;
  const auto table = FindTable(request, /*is_current=*/true, &error);
  const uint64_t ending = table == nullptr ? 0 : EndingBatch(table->record.id);
  if (ending != 0) error = TableNotFound();
  if (error.error() == data::v1::ERROR_TABLE_NOT_FOUND) {
    // A deposed leader may not have heard of it, and its end may be lost with the term: confirmed,
    // as every answer that changes nothing.
    Outcome unknown;
    unknown.waiters = WaitersOf(waiting);
    return AddAnswer(std::move(unknown), std::move(error), ending);
  }
  if (table == nullptr) return AnswerWaiting(waiting, error);
  uint64_t seen_batch = 0;
  auto evaluation = EvaluateWrite(request, *table, *state().range, [&](const std::string& key) {
    return CurrentItem(key, &seen_batch);
  });
  if (!evaluation.ok()) {
    store_->MarkDamaged(evaluation.status());
    return AnswerWaiting(
        waiting, ErrorResponse(data::v1::ERROR_UNAVAILABLE, "this replica's storage is damaged"));
  }
  // In this turn, or the write is evaluated anew.
  if (evaluation->kind == Evaluation::Kind::kEffect && !MayChange(evaluation->key)) {
    return Park(std::move(waiting), evaluation->key);
  }
  const data::v1::WriteSession& session = request.session();
  Outcome outcome;
  if (session.session() != 0) outcome.sequence = {session.session(), session.sequence()};
  outcome.waiters = WaitersOf(waiting);
  switch (evaluation->kind) {
    case Evaluation::Kind::kRefused:
      return AnswerAll(outcome, evaluation->response);
    case Evaluation::Kind::kNothing:
      if (session.session() != 0 && !session.sole_copy() && !MUTANT("no-record-of-nothing")) {
        return RecordAnswer(std::move(outcome), std::move(evaluation->response),
                            session.lowest_outstanding());
      }
      return AddAnswer(std::move(outcome), std::move(evaluation->response), seen_batch);
    case Evaluation::Kind::kEffect:
      return AddToBatch(std::move(outcome), *std::move(evaluation), session.lowest_outstanding());
  }
}

// Answers, or lets share an outcome, what has been evaluated before. False: it is new.
bool Partition::AnswerKnown(WaitingRequest& waiting) {
  const data::v1::WriteSession& session = waiting.pending.request.session();
  if (session.session() == 0) return false;
  const auto answer = [&](const data::v1::Response& response) {
    AnswerWaiting(waiting, response);
    return true;
  };
  const SessionSequence sequence(session.session(), session.sequence());
  if (session.sequence() == 0) {
    return answer(ErrorResponse(data::v1::ERROR_VALIDATION, "write sequences begin with 1"));
  }
  if (Outcome* attempt = FindAttempt(sequence);
      attempt != nullptr && !MUTANT("attempts-evaluated-apart")) {
    RARE_BRANCH("write session: a copy joins its attempt");
    for (Waiter& waiter : WaitersOf(waiting)) attempt->waiters.push_back(std::move(waiter));
    return true;
  }
  if (JoinParked(sequence, waiting)) return true;
  const SessionTable::Answer known =
      sessions_.Find(sequence.first, sequence.second, session.lowest_outstanding());
  switch (known.known) {
    case SessionTable::Known::kNew:
      return false;
    case SessionTable::Known::kDone:
      RARE_BRANCH("write session: a copy is answered from its record");
      return answer(ResponseOf(*known.result));
    case SessionTable::Known::kForgotten:
      RARE_BRANCH("write session: a copy comes too late");
      return answer(ErrorResponse(data::v1::ERROR_SESSION_EXPIRED,
                                  "the outcome of this write is not remembered any more"));
    case SessionTable::Known::kFull: {
      data::v1::Response full = ErrorResponse(data::v1::ERROR_RESOURCE_EXHAUSTED,
                                              "too many write sessions, or results in this one");
      full.set_retry_after_ms(place_.admission.options().retry_after_ms);
      return answer(full);
    }
  }
  return false;
}

Partition::Outcome* Partition::FindAttempt(const SessionSequence& sequence) {
  const auto attempt = leadership_->attempts.find(sequence);
  if (attempt == leadership_->attempts.end()) return nullptr;
  const auto [number, place] = attempt->second;
  if (leadership_->building.number == number) return &leadership_->building.outcomes[place];
  const auto proposing = proposing_.find(number);
  if (proposing != proposing_.end()) return &proposing->second.outcomes[place];
  for (Batch& batch : leadership_->in_flight) {
    if (batch.number == number) return &batch.outcomes[place];
  }
  CHECK(false) << "an attempt in no batch";
  return nullptr;
}

absl::StatusOr<std::optional<std::string>> Partition::CurrentItem(const std::string& key,
                                                                  uint64_t* seen) {
  if (const Overlay::Version* version = leadership_->overlay.Find(key);
      version != nullptr && !MUTANT("evaluates-without-overlay")) {
    *seen = version->batch;
    return version->item;
  }
  const absl::StatusOr<std::string> value = store_->Get(key);
  if (absl::IsNotFound(value.status())) return std::optional<std::string>();
  if (!value.ok()) return value.status();
  const absl::StatusOr<StoredItem> stored = DecodeStoredItem(*value);
  if (!stored.ok()) return stored.status();
  return std::optional<std::string>(stored->item);
}

// --- Batches
// --------------------------------------------------------------------------------------

Partition::Batch& Partition::Building() {
  Batch& building = leadership_->building;
  if (building.number == 0) building.number = ++last_batch_;
  return building;
}

void Partition::AddToBatch(Outcome outcome, Evaluation evaluation, uint64_t lowest) {
  Batch& batch = Building();
  if (evaluation.item.has_value()) {
    batch.effects.Put(evaluation.key, *evaluation.item);
  } else {
    batch.effects.Delete(evaluation.key);
  }
  outcome.response = std::move(evaluation.response);
  if (const auto [session, sequence] = outcome.sequence;
      session != 0 && !MUTANT("no-session-records")) {
    batch.effects.Session(session, sequence, lowest, ResultOf(outcome.response));
    leadership_->attempts[outcome.sequence] = {batch.number, batch.outcomes.size()};
  }
  leadership_->overlay.Add(evaluation.key, batch.number, std::move(evaluation.item));
  batch.outcomes.push_back(std::move(outcome));
}

// An attempt of which copies may be on their way: one that was delayed would find the sequence
// unknown, here or at a later leader, and a state in which the condition holds; the write would be
// carried out after its originator was told that it is not (rule 22 turned around). Copies sent
// before this one wait for nothing else than this record; of those sent later this answer is not
// taken, as its sender has given it up.
void Partition::RecordAnswer(Outcome outcome, data::v1::Response response, uint64_t lowest) {
  Batch& batch = Building();
  const auto [session, sequence] = outcome.sequence;
  CHECK_NE(session, 0u);
  batch.effects.Session(session, sequence, lowest, ResultOfNothing(response));
  leadership_->attempts[outcome.sequence] = {batch.number, batch.outcomes.size()};
  outcome.response = std::move(response);
  outcome.changes = false;
  batch.outcomes.push_back(std::move(outcome));
}

void Partition::ProposeTable(const ReplicaPointer& replica, const TableRecord& table) {
  if (leadership_ == nullptr || !store_->failure().ok()) return;
  const bool retires = table.phase == TablePhase::kRetired;
  const auto known = tables_.find(table.id);
  if (known != tables_.end()) {
    const TableRecord& record = known->second->record;
    if (record.phase == TablePhase::kRetired) return;
    if (!retires && record.schema_version >= table.schema_version) return;
  }
  const std::pair<uint64_t, uint64_t> proposal(table.id,
                                               retires ? kRetiring : table.schema_version);
  if (leadership_->tables_proposed.contains(proposal)) return;
  leadership_->replica = replica;
  if (retires && !MayEndTable(table)) return;
  Batch& batch = Building();
  leadership_->tables_proposed[proposal] = batch.number;
  batch.effects.Table(table);
  batch.tables.push_back(proposal);
  ProposeBuilding(replica);
}

// Of the partition's life, as leaders measured it.
int64_t Partition::ElapsedMicros() const {
  const Duration led = WaiterElapsed(leadership_->began, place_.store.clock.Now());
  return leadership_->elapsed_base_us + std::max<int64_t>(0, led / std::chrono::microseconds(1));
}

// An effect may be thousands of times its request, so requests are no measure of an entry: each of
// a hundred additions to a counter in a large item puts the whole item. The entry's size is
// entry_bytes_max and one effect at most, which the log always takes.
bool Partition::BuildingIsFull() const {
  return leadership_ != nullptr &&
         leadership_->building.effects.bytes() >= place_.options.entry_bytes_max;
}

// What waited for room in the building batch, as far as there is.
void Partition::ExecuteDeferred(const ReplicaPointer& replica) {
  while (leadership_ != nullptr && !leadership_->deferred.empty() && !BuildingIsFull()) {
    WaitingRequest waiting = std::move(leadership_->deferred.front());
    leadership_->deferred.pop_front();
    ExecuteUnlessOver(std::move(waiting));
  }
  ProposeBuilding(replica);
}

void Partition::ExecuteUnlessOver(WaitingRequest waiting) {
  if (IsPastItsTime(waiting.pending)) {
    return AnswerWaiting(waiting,
                         ErrorResponse(data::v1::ERROR_DEADLINE, "the request's time is over"));
  }
  ExecuteWrite(std::move(waiting));
}

void Partition::ProposeBuilding(const ReplicaPointer& replica) {
  if (leadership_ == nullptr || leadership_->proposing || leadership_->building.number == 0) return;
  Leadership& leadership = *leadership_;
  leadership.replica = replica;
  const bool waits = leadership.in_flight.size() >= place_.options.entries_in_flight_max;
  replica->ExpectProposal(waits);
  if (waits) return;  // Apply proposes it
  Batch batch = std::exchange(leadership.building, Batch());
  leadership.last_time_us = std::max(place_.store.clock.WallMicros(), leadership.last_time_us + 1);
  auto payload = std::make_shared<const std::string>(
      batch.effects.Finish(leadership.last_time_us, ElapsedMicros()));
  const uint64_t number = batch.number;
  leadership.proposing = true;
  proposing_.emplace(number, std::move(batch));
  replica->Propose(leadership.term, {std::move(payload)},
                   [self = self_, number, term = leadership.term,
                    replica](absl::StatusOr<replication::LogPosition> position) {
                     if (*self != nullptr) (*self)->Proposed(number, term, replica, position);
                   });
}

// Invariant 2.
void Partition::Proposed(uint64_t number, replication::Term term, const ReplicaPointer& replica,
                         absl::StatusOr<replication::LogPosition> position) {
  auto node = proposing_.extract(number);
  CHECK(!node.empty());
  Batch& batch = node.mapped();
  const bool current = leadership_ != nullptr && leadership_->term == term;
  if (current) leadership_->proposing = false;
  if (position.ok()) {
    batch.position = *position;
    if (current) {
      leadership_->in_flight.push_back(std::move(batch));
      ProposeBuilding(replica);
      return ExecuteDeferred(replica);
    }
    batch.orphaned = place_.store.clock.Now();
    orphans_.emplace(position->index, std::move(batch));
    return;
  }
  const bool full = absl::IsResourceExhausted(position.status());
  data::v1::Response refused =
      ErrorResponse(full ? data::v1::ERROR_RESOURCE_EXHAUSTED : data::v1::ERROR_UNAVAILABLE,
                    full ? "the log takes no more at the moment" : position.status().message());
  if (full) refused.set_retry_after_ms(place_.admission.options().retry_after_ms);
  FinishBatch(batch, &refused);
  if (!current) return;
  FinishBatch(leadership_->building, &refused);
  leadership_->building = Batch();
  if (!MUTANT("overlay-keeps-refused")) leadership_->overlay.DropFrom(number);
  DropAnswers(number, refused);
  ExecuteDeferred(replica);
}

void Partition::FinishBatch(Batch& batch, const data::v1::Response* failure) {
  for (Outcome& outcome : batch.outcomes) {
    if (leadership_ != nullptr) {
      const auto attempt = leadership_->attempts.find(outcome.sequence);
      if (attempt != leadership_->attempts.end() && attempt->second.first == batch.number) {
        leadership_->attempts.erase(attempt);
      }
    }
    if (failure == nullptr && outcome.changes) {
      outcome.response.set_item_version(batch.position.index);
    }
    AnswerAll(outcome, failure != nullptr ? *failure : outcome.response);
  }
  batch.outcomes.clear();
  if (leadership_ == nullptr) return;
  if (batch.number != 0 && leadership_->era_batch == batch.number) EraBatchFinished();
  for (const auto& table : batch.tables) {
    // A batch of an earlier term leaves what this one has proposed since.
    const auto proposed = leadership_->tables_proposed.find(table);
    if (proposed != leadership_->tables_proposed.end() && proposed->second == batch.number) {
      leadership_->tables_proposed.erase(proposed);
      if (table.second == kRetiring) {
        leadership_->gate->LeaveRange(model::TableRange(table.first, model::TokenRange()).start);
      }
    }
  }
}

// --- Answers that change nothing: invariant 4
// -------------------------------------------------------

void Partition::AddAnswer(Outcome outcome, data::v1::Response response, uint64_t seen_batch) {
  outcome.response = std::move(response);
  outcome.seen_batch = seen_batch;
  leadership_->answers.push_back(std::move(outcome));
}

void Partition::ConfirmAnswers(const ReplicaPointer& replica) {
  if (leadership_ == nullptr) return;
  std::list<Outcome>& answers = leadership_->answers;
  if (answers.empty() || answers.back().confirmation != 0) return;
  const uint64_t confirmation = ++leadership_->last_confirmation;
  for (auto answer = answers.rbegin(); answer != answers.rend() && answer->confirmation == 0;
       ++answer) {
    answer->confirmation = confirmation;
  }
  const replication::Term term = leadership_->term;
  // The lease may be a later term's, whose beginning has not reached this executor yet.
  if (!place_.options.quorum_reads && replica->LeaseRead().ok() && replica->view().term == term) {
    return Confirmed(term, confirmation, absl::OkStatus());
  }
  if (MUTANT("answers-unconfirmed")) return Confirmed(term, confirmation, absl::OkStatus());
  replica->QuorumRead([self = self_, term, confirmation](absl::StatusOr<replication::Index> read) {
    if (*self != nullptr) (*self)->Confirmed(term, confirmation, read.status());
  });
}

void Partition::Confirmed(replication::Term term, uint64_t confirmation,
                          const absl::Status& status) {
  if (leadership_ == nullptr || leadership_->term != term) return;  // dropped with the term
  const auto refused = ErrorResponse(data::v1::ERROR_UNAVAILABLE, status.message());
  auto answer = leadership_->answers.begin();
  while (answer != leadership_->answers.end()) {
    const auto current = answer++;
    if (current->confirmation != confirmation) continue;
    if (status.ok()) {
      current->confirmed = true;
    } else {
      FinishAnswer(current, refused);
    }
  }
  ReleaseAnswers();
}

void Partition::ReleaseAnswers() {
  if (leadership_ == nullptr) return;
  std::list<Outcome>& answers = leadership_->answers;
  while (!answers.empty() && answers.front().confirmed &&
         (answers.front().seen_batch <= leadership_->applied_batch ||
          MUTANT("answers-before-applied"))) {
    const data::v1::Response response = std::move(answers.front().response);
    FinishAnswer(answers.begin(), response);
  }
}

void Partition::FinishAnswer(std::list<Outcome>::iterator answer,
                             const data::v1::Response& response) {
  AnswerAll(*answer, response);
  leadership_->answers.erase(answer);
}

void Partition::DropAnswers(uint64_t seen_min, const data::v1::Response& why) {
  auto answer = leadership_->answers.begin();
  while (answer != leadership_->answers.end()) {
    const auto current = answer++;
    if (current->seen_batch >= seen_min) FinishAnswer(current, why);
  }
}

// --- Terms
// ----------------------------------------------------------------------------------------

void Partition::DropUnproposed(const data::v1::Response& why) {
  CountHeld({});
  for (WaitingRequest& waiting : leadership_->deferred) AnswerWaiting(waiting, why);
  leadership_->deferred.clear();
  for (auto& [key, parked] : leadership_->parked) {
    for (WaitingRequest& waiting : parked) AnswerWaiting(waiting, why);
  }
  leadership_->parked.clear();
  leadership_->parked_attempts.clear();
  FinishBatch(leadership_->building, &why);
  DropAnswers(0, why);
}

void Partition::LeadershipBegan(replication::Term term) {
  CHECK(leadership_ == nullptr) << "two terms at once";
  leadership_ = std::make_unique<Leadership>();
  leadership_->term = term;
  leadership_->began = place_.store.clock.Now();
  leadership_->elapsed_base_us = state().elapsed_us;
  leadership_->last_time_us = state().time_us;
  leadership_->gate.emplace(place_.options.lease, term, leadership_->began, eras_);
}

void Partition::LeadershipEnded(replication::Term term) {
  if (leadership_ == nullptr) return;
  CHECK_EQ(leadership_->term, term);
  DropUnproposed(ErrorResponse(data::v1::ERROR_UNAVAILABLE, "leadership of the partition ended"));
  for (Batch& batch : leadership_->in_flight) {
    batch.orphaned = place_.store.clock.Now();
    orphans_.emplace(batch.position.index, std::move(batch));
  }
  leadership_ = nullptr;
}

}  // namespace ringleader
