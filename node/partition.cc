// Requests come in and go out: admission, checks that need no evaluation, answers.
#include "node/partition.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/status.h"
#include "node/leveldb_slice.h"

namespace ringleader {
namespace {

using replication::AppliedState;

bool IsWrite(const data::v1::Request& request) {
  return request.has_put() || request.has_delete_() || request.has_update();
}

bool IsRead(const data::v1::Request& request) {
  return request.has_get() || request.has_query() || request.has_scan();
}

Duration TimeoutOf(const data::v1::Request& request) {
  if (request.timeout_ms() == 0) return kRequestTimeoutDefault;
  return std::min<Duration>(std::chrono::milliseconds(request.timeout_ms()), kRequestTimeoutMax);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Partition>> Partition::Open(
    const PartitionPlace& place, replication::GroupId group, absl::string_view directory,
    const AppliedState& initial, const std::optional<model::TokenRange>& range) {
  std::unique_ptr<Partition> partition(new Partition(place, group));
  StoreState first{.applied = initial, .previous = initial.last.index};
  // Without a first position it is a learner that waits for a snapshot, which brings the range.
  if (initial.last.index > 0) first.range = range;
  ASSIGN_OR_RETURN(partition->store_, Store::Open(place.store, directory, first));
  RETURN_IF_ERROR(partition->Load());
  place.registry.Opened(group, partition.get(), partition->state().range);
  for (const auto& [id, table] : partition->tables_) place.registry.TableApplied(group, table);
  return partition;
}

// What is kept in memory beside the store: eras, tables and write sessions.
absl::Status Partition::Load() {
  const absl::StatusOr<std::string> eras = store_->Get(ErasKey());
  if (!eras.ok() && !absl::IsNotFound(eras.status())) return eras.status();
  if (eras.ok()) {
    ASSIGN_OR_RETURN(eras_, Eras::Decode(*eras));
  }
  const auto iterator = store_->NewIterator(false);
  const std::string tables = TableKeyPrefix();
  for (iterator->Seek(tables); iterator->Valid() && iterator->key().starts_with(tables);
       iterator->Next()) {
    ASSIGN_OR_RETURN(TableRecord record, DecodeTable(ViewOf(iterator->value())));
    auto info = MakeTableInfo(std::move(record));
    if (!info.ok()) return absl::DataLossError(info.status().message());
    if (info->record.phase == TablePhase::kRetired) to_purge_.insert(info->record.id);
    const uint64_t id = info->record.id;
    tables_[id] = std::make_shared<const TableInfo>(*std::move(info));
  }
  const std::string sessions = SessionKeyPrefix();
  for (iterator->Seek(sessions); iterator->Valid() && iterator->key().starts_with(sessions);
       iterator->Next()) {
    ASSIGN_OR_RETURN(SessionRecord record, DecodeSession(ViewOf(iterator->value())));
    sessions_.Load(std::move(record));
  }
  return store_->CheckIterator(*iterator);
}

Partition::~Partition() {
  place_.registry.Closed(group_, this);
  if (place_.store.metrics != nullptr) place_.store.metrics->Closed(this);
  *self_ = nullptr;
  const auto gone = ErrorResponse(data::v1::ERROR_UNAVAILABLE, "the replica was closed");
  const auto unknown =
      ErrorResponse(data::v1::ERROR_UNKNOWN_OUTCOME, "the replica was closed before it was known");
  if (leadership_ != nullptr) {
    DropUnproposed(gone);
    for (Batch& batch : leadership_->in_flight) FinishBatch(batch, &unknown);
  }
  for (auto& [number, batch] : proposing_) FinishBatch(batch, &unknown);
  for (auto& [index, batch] : orphans_) FinishBatch(batch, &unknown);
  for (auto& [index, read] : reads_) {
    AnswerWaiting(read, gone);
  }
}

bool Partition::Admit(const PendingRequest& pending, bool is_write, uint64_t* bytes) {
  const AdmissionOptions& options = place_.admission.options();
  *bytes = pending.request.ByteSizeLong();
  if (is_write && !TakesWrites()) {
    place_.admission.CountRefused(Admission::Refusal::kDisk);
    return false;
  }
  if (admitted_requests_ >= options.partition_requests_max ||
      admitted_bytes_ + *bytes > options.partition_bytes_max) {
    place_.admission.CountRefused(Admission::Refusal::kPartition);
    return false;
  }
  if (!place_.admission.Enter(*bytes)) {
    place_.admission.CountRefused(Admission::Refusal::kNode);
    return false;
  }
  ++admitted_requests_;
  admitted_bytes_ += *bytes;
  return true;
}

data::v1::Response Partition::NoWrites() {
  const bool fit = TakesWrites();
  data::v1::Response refused =
      ErrorResponse(data::v1::ERROR_RESOURCE_EXHAUSTED,
                    fit ? "too many writes are waiting"
                        : "the node's disk is full or does not answer: it takes no writes");
  const AdmissionOptions& options = place_.admission.options();
  refused.set_retry_after_ms(fit ? options.retry_after_ms : options.disk_retry_after_ms);
  return refused;
}

void Partition::Answer(Waiter& waiter, data::v1::Response response) {
  CHECK_GT(admitted_requests_, 0u);
  --admitted_requests_;
  admitted_bytes_ -= waiter.bytes;
  place_.admission.Leave(waiter.bytes);
  response.set_id(waiter.id);
  waiter.respond(std::move(response));
}

void Partition::AnswerWaiting(WaitingRequest& waiting, data::v1::Response response) {
  std::vector<Waiter> waiters = WaitersOf(waiting);
  for (size_t i = 0; i + 1 < waiters.size(); ++i) Answer(waiters[i], response);
  Answer(waiters.back(), std::move(response));
}

std::vector<Partition::Waiter> Partition::WaitersOf(WaitingRequest& waiting) {
  std::vector<Waiter> waiters = std::move(waiting.copies);
  waiters.push_back(
      {waiting.pending.request.id(), waiting.bytes, std::move(waiting.pending.respond)});
  return waiters;
}

bool Partition::IsPastItsTime(const PendingRequest& pending) const {
  return HolderElapsed(pending.received, place_.store.clock.Now()) >= TimeoutOf(pending.request);
}

void Partition::AnswerAll(Outcome& outcome, const data::v1::Response& response) {
  for (Waiter& waiter : outcome.waiters) Answer(waiter, response);
  outcome.waiters.clear();
}

// Before it was admitted.
void Partition::Refuse(PendingRequest& pending, data::v1::Response response) {
  response.set_id(pending.request.id());
  pending.respond(std::move(response));
}

data::v1::Response Partition::WrongRoute(const ReplicaPointer& replica) const {
  data::v1::Response response =
      ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "this node does not lead the partition");
  const replication::ReplicaView view = replica->view();
  // This replica itself may be about to lead: the sender asks again.
  if (view.leader.node == 0 || view.leader.replica == replica->id()) return response;
  data::v1::RouteHint* hint = response.mutable_route_hint();
  hint->set_partition(group_);
  hint->set_epoch(view.configuration.version);
  hint->set_leader_node(view.leader.node);
  hint->set_leader_address(place_.registry.Address(view.leader.node));
  hint->set_term(view.term);
  return response;
}

data::v1::Response Partition::TableNotFound() {
  return ErrorResponse(data::v1::ERROR_TABLE_NOT_FOUND, "Requested resource not found");
}

std::shared_ptr<const TableInfo> Partition::FindTable(const data::v1::Request& request,
                                                      bool is_current,
                                                      data::v1::Response* error) const {
  std::shared_ptr<const TableInfo> table;
  if (request.table_case() == data::v1::Request::kTableId) {
    const auto found = tables_.find(request.table_id());
    if (found != tables_.end()) table = found->second;
  } else {
    for (const auto& [id, candidate] : tables_) {
      const bool live = candidate->record.phase == TablePhase::kLive;
      if (live && candidate->schema.name == request.table_name()) table = candidate;
    }
  }
  if (table == nullptr || table->record.phase != TablePhase::kLive) {
    // A replica that is behind, or was deposed, may not have heard of it yet: only who is current
    // can be sure, and who knows that this id is gone for ever.
    const bool is_retired = request.table_case() == data::v1::Request::kTableId && table != nullptr;
    *error = is_current || is_retired
                 ? TableNotFound()
                 : ErrorResponse(data::v1::ERROR_UNAVAILABLE,
                                 "this replica does not know the table, which may be newer");
    return nullptr;
  }
  if (request.schema_version() != 0 && request.schema_version() != table->record.schema_version) {
    *error =
        ErrorResponse(data::v1::ERROR_WRONG_SCHEMA,
                      absl::StrCat("the table's schema version is ", table->record.schema_version,
                                   ", the request's is ", request.schema_version()));
    return nullptr;
  }
  return table;
}

uint64_t Partition::EndingBatch(uint64_t table) const {
  if (leadership_ == nullptr) return 0;
  const auto proposed = leadership_->tables_proposed.find({table, kRetiring});
  return proposed == leadership_->tables_proposed.end() ? 0 : proposed->second;
}

// Answers what needs no look at any state. True: go on.
bool Partition::CheckRequest(const ReplicaPointer& replica, PendingRequest& pending) {
  const data::v1::Request& request = pending.request;
  if (IsPastItsTime(pending)) {
    Refuse(pending, ErrorResponse(data::v1::ERROR_DEADLINE, "the request's time is over"));
    return false;
  }
  if (!IsWrite(request) && !IsRead(request)) {
    Refuse(pending, ErrorResponse(data::v1::ERROR_VALIDATION, "the request has no operation"));
    return false;
  }
  if (!state().range.has_value()) {
    Refuse(pending, WrongRoute(replica));
    return false;
  }
  if (IsWrite(request) && leadership_ == nullptr) {
    Refuse(pending, WrongRoute(replica));
    return false;
  }
  return true;
}

void Partition::Execute(const ReplicaPointer& replica, std::vector<PendingRequest> requests) {
  std::vector<PendingRequest> reads;
  if (leadership_ != nullptr) leadership_->replica = replica;
  for (PendingRequest& pending : requests) {
    if (!CheckRequest(replica, pending)) continue;
    if (!IsWrite(pending.request)) {
      reads.push_back(std::move(pending));
      continue;
    }
    uint64_t bytes = 0;
    if (!Admit(pending, true, &bytes)) {
      Refuse(pending, NoWrites());
      continue;
    }
    if (BuildingIsFull()) {
      leadership_->deferred.push_back({std::move(pending), bytes});
      continue;
    }
    ExecuteWrite({std::move(pending), bytes});
    if (BuildingIsFull()) ProposeBuilding(replica);
  }
  if (!reads.empty()) ExecuteReads(replica, std::move(reads));
  ConfirmAnswers(replica);
  ProposeBuilding(replica);
}

}  // namespace ringleader
