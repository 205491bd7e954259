// Reads: by lease, by a round of heartbeats, or from whatever this replica has.
#include <utility>

#include "common/mutants.h"
#include "node/partition.h"
#include "node/reads.h"

namespace ringleader {
namespace {

bool IsEventual(const data::v1::Request& request) {
  data::v1::Consistency consistency = request.get().consistency();
  if (request.has_query()) consistency = request.query().consistency();
  if (request.has_scan()) consistency = request.scan().consistency();
  return consistency == data::v1::CONSISTENCY_EVENTUAL;
}

}  // namespace

// All reads of a turn have arrived before it: one index serves them all.
void Partition::ExecuteReads(const ReplicaPointer& replica, std::vector<PendingRequest> requests) {
  std::vector<WaitingRequest> linearizable;
  for (PendingRequest& pending : requests) {
    uint64_t bytes = 0;
    if (!Admit(pending, false, &bytes)) {
      data::v1::Response full =
          ErrorResponse(data::v1::ERROR_RESOURCE_EXHAUSTED, "too many requests are waiting");
      full.set_retry_after_ms(place_.admission.options().retry_after_ms);
      Refuse(pending, std::move(full));
      continue;
    }
    WaitingRequest read{std::move(pending), bytes};
    const bool at_once = IsEventual(read.pending.request) || MUTANT("every-read-is-eventual");
    at_once ? AnswerRead(read) : linearizable.push_back(std::move(read));
  }
  if (linearizable.empty()) return;
  const absl::StatusOr<replication::Index> index =
      place_.options.quorum_reads ? absl::UnavailableError("reads take a round of heartbeats")
                                  : replica->LeaseRead();
  if (index.ok()) return WaitForApplied(*index, std::move(linearizable));
  if (absl::IsFailedPrecondition(index.status()) || leadership_ == nullptr) {
    for (WaitingRequest& read : linearizable) {
      AnswerWaiting(read, WrongRoute(replica));
    }
    return;
  }
  // If the partition is closed meanwhile, its requests stay with the callback, which then answers.
  replica->QuorumRead(
      [self = self_, &admission = place_.admission, replica,
       reads = std::move(linearizable)](absl::StatusOr<replication::Index> confirmed) mutable {
        for (WaitingRequest& read : reads) {
          if (*self != nullptr) break;
          admission.Leave(read.bytes);
          data::v1::Response gone =
              ErrorResponse(data::v1::ERROR_UNAVAILABLE, "the replica was closed");
          gone.set_id(read.pending.request.id());
          read.pending.respond(std::move(gone));
        }
        if (*self == nullptr) return;
        Partition& partition = **self;
        if (confirmed.ok()) return partition.WaitForApplied(*confirmed, std::move(reads));
        for (WaitingRequest& read : reads) {
          partition.AnswerWaiting(
              read, absl::IsFailedPrecondition(confirmed.status())
                        ? partition.WrongRoute(replica)
                        : ErrorResponse(data::v1::ERROR_UNAVAILABLE, confirmed.status().message()));
        }
      });
}

void Partition::WaitForApplied(replication::Index index, std::vector<WaitingRequest> reads) {
  for (WaitingRequest& read : reads) {
    if (index <= state().applied.last.index) {
      AnswerRead(read);
    } else {
      reads_.emplace(index, std::move(read));
    }
  }
}

void Partition::AnswerRead(WaitingRequest& read) {
  data::v1::Response error;
  // A linearizable read is answered once this replica is known to have all that came before it.
  const bool is_current = !IsEventual(read.pending.request);
  const auto table = FindTable(read.pending.request, is_current, &error);
  if (table == nullptr) return AnswerWaiting(read, std::move(error));
  auto response = Read(read.pending.request, *table, *state().range, *store_);
  if (!response.ok()) store_->MarkDamaged(response.status());
  AnswerWaiting(read, response.ok() ? *std::move(response)
                                    : ErrorResponse(data::v1::ERROR_UNAVAILABLE,
                                                    "this replica's storage is damaged"));
}

void Partition::ReleaseReads() {
  while (!reads_.empty() && reads_.begin()->first <= state().applied.last.index) {
    WaitingRequest read = std::move(reads_.begin()->second);
    reads_.erase(reads_.begin());
    AnswerRead(read);
  }
}

}  // namespace ringleader
