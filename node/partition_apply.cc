// Applying: the same on every replica, from the entries alone; and what it answers at the leader.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/mutants.h"
#include "common/rare_branches.h"
#include "common/status.h"
#include "model/key_codec.h"
#include "node/leveldb_slice.h"
#include "node/partition.h"
#include "replication/configuration.h"

namespace ringleader {
namespace {

constexpr Duration kSpacePeriod = std::chrono::seconds(1);

using replication::Entry;
using replication::EntryKind;

absl::string_view PayloadOf(const Entry& entry) {
  return entry.payload == nullptr ? absl::string_view() : absl::string_view(*entry.payload);
}

}  // namespace

absl::Status Partition::Apply(absl::Span<const Entry> entries) {
  if (place_.options.before_apply) place_.options.before_apply(group_, entries);
  RETURN_IF_ERROR(ApplyAll(entries));
  for (const Entry& entry : entries) Resolve(entry);
  ReleaseAnswers();
  ReleaseReads();
  if (leadership_ != nullptr) {
    if (const ReplicaPointer replica = leadership_->replica.lock()) {
      ProposeBuilding(replica);
      if (leadership_->opens_when_applied) OpenParked(replica);
      ExecuteDeferred(replica);
      if (leadership_->handing_over.has_value()) TendCache(replica);
    }
  }
  return absl::OkStatus();
}

// All of them in one batch (replication bounds what it hands over at once), but that the store has
// to be at the very index at which a range is hashed.
absl::Status Partition::ApplyAll(absl::Span<const Entry> entries) {
  while (!entries.empty()) {
    size_t taken = 0;
    RETURN_IF_ERROR(ApplySome(entries, &taken));
    entries.remove_prefix(taken);
    if (!to_hash_.has_value()) continue;
    RETURN_IF_ERROR(Annotate(HashRange(*to_hash_), "hashing a range"));
    to_hash_.reset();
  }
  return absl::OkStatus();
}

absl::Status Partition::ApplySome(absl::Span<const Entry> entries, size_t* taken) {
  StoreState next = state();
  next.previous = next.applied.last.index;
  leveldb::WriteBatch batch;
  std::set<uint64_t> sessions;
  while (*taken < entries.size() && !to_hash_.has_value()) {
    RETURN_IF_ERROR(AddEntry(entries[(*taken)++], next, batch, sessions));
  }
  for (const uint64_t session : sessions) {
    const SessionRecord* record = sessions_.Record(session);
    if (record == nullptr) {
      batch.Delete(SessionKey(session));
    } else {
      if (MUTANT("sessions-in-memory-only")) continue;
      batch.Put(SessionKey(session), EncodeSession(*record));
    }
  }
  return store_->Apply(batch, next);
}

absl::Status Partition::AddEntry(const Entry& entry, StoreState& next, leveldb::WriteBatch& batch,
                                 std::set<uint64_t>& sessions) {
  CHECK_EQ(entry.index, next.applied.last.index + 1);
  if (entry.kind == EntryKind::kConfiguration) {
    ASSIGN_OR_RETURN(next.applied.configuration,
                     replication::DecodeConfiguration(PayloadOf(entry)));
    next.applied.configuration_index = entry.index;
  } else if (entry.kind == EntryKind::kCommand) {
    RETURN_IF_ERROR(
        Annotate(AddEffects(entry, next, batch, sessions), absl::StrCat("entry ", entry.index)));
  }
  next.applied.last = {entry.term, entry.index};
  return absl::OkStatus();
}

absl::Status Partition::AddEffects(const Entry& entry, StoreState& next, leveldb::WriteBatch& batch,
                                   std::set<uint64_t>& sessions) {
  ASSIGN_OR_RETURN(const Effects effects, DecodeEffects(PayloadOf(entry)));
  if (effects.time_us <= next.time_us || effects.elapsed_us < next.elapsed_us) {
    return absl::DataLossError("its time goes back");
  }
  next.time_us = effects.time_us;
  next.elapsed_us = effects.elapsed_us;
  std::string value;
  for (const Effect& effect : effects.effects) {
    switch (effect.tag) {
      case EffectTag::kPut:
        value.clear();
        AppendStoredItem(
            entry.index,
            MUTANT("applies-own-clock") ? place_.store.clock.WallMicros() : effects.time_us,
            effect.item, &value);
        batch.Put(SliceOf(effect.key), value);
        break;
      case EffectTag::kDelete:
        batch.Delete(SliceOf(effect.key));
        break;
      case EffectTag::kSession:
        sessions_.Apply(effect, entry.index, effects.elapsed_us);
        sessions.insert(effect.session);
        break;
      case EffectTag::kTable:
        RETURN_IF_ERROR(AddTable(effect.table, batch));
        break;
      case EffectTag::kEra:
        eras_.Apply(effect.era, entry.term);
        if (eras_.empty()) {
          batch.Delete(ErasKey());
        } else {
          batch.Put(ErasKey(), eras_.Encode());
        }
        break;
      case EffectTag::kHash:
        to_hash_ = HashedRange{std::string(effect.key), std::string(effect.item)};
        break;
    }
  }
  for (const uint64_t session : sessions_.Expire(effects.elapsed_us)) sessions.insert(session);
  return absl::OkStatus();
}

absl::Status Partition::AddTable(const TableRecord& table, leveldb::WriteBatch& batch) {
  const auto known = tables_.find(table.id);
  if (known != tables_.end()) {
    const TableRecord& record = known->second->record;
    if (record.phase == TablePhase::kRetired) return absl::OkStatus();
    if (table.phase == TablePhase::kLive && table.schema_version <= record.schema_version) {
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(TableInfo info, MakeTableInfo(table));
  batch.Put(TableKey(table.id), EncodeTable(table));
  if (table.phase == TablePhase::kRetired) to_purge_.insert(table.id);
  auto shared = std::make_shared<const TableInfo>(std::move(info));
  tables_[table.id] = shared;
  place_.registry.TableApplied(group_, std::move(shared));
  return absl::OkStatus();
}

// Invariant 3.
void Partition::Resolve(const Entry& entry) {
  const auto lost =
      ErrorResponse(data::v1::ERROR_UNAVAILABLE, "another leader's entry took this write's place");
  if (leadership_ != nullptr && !leadership_->in_flight.empty() &&
      leadership_->in_flight.front().position.index == entry.index) {
    Batch batch = std::move(leadership_->in_flight.front());
    leadership_->in_flight.pop_front();
    CHECK_EQ(batch.position.term, entry.term) << "an entry of a term that has not ended was lost";
    leadership_->overlay.Applied(batch.number);
    leadership_->applied_batch = batch.number;
    FinishBatch(batch, nullptr);
  }
  for (auto orphan = orphans_.extract(entry.index); !orphan.empty();
       orphan = orphans_.extract(entry.index)) {
    Batch& batch = orphan.mapped();
    const bool ours = batch.position.term == entry.term || MUTANT("orphan-takes-any-entry");
    FinishBatch(batch, ours ? nullptr : &lost);
  }
}

absl::StatusOr<replication::AppliedState> Partition::Capture(absl::string_view directory) {
  RETURN_IF_ERROR(store_->Capture(directory));
  return state().applied;
}

// Nothing can reach a retired table's items: they are removed outside the log, each replica at its
// own pace. The record of its end stays.
absl::Status Partition::PurgeStep() {
  if (to_purge_.empty() || !store_->failure().ok()) return absl::OkStatus();
  const uint64_t table = *to_purge_.begin();
  const model::KeyRange range = model::TableRange(table, model::TokenRange());
  const auto iterator = store_->NewIterator(false);
  leveldb::WriteBatch batch;
  int keys = 0;
  for (iterator->Seek(range.start);
       iterator->Valid() && keys < place_.options.purge_keys_max &&
       range.Contains(absl::string_view(iterator->key().data(), iterator->key().size()));
       iterator->Next(), ++keys) {
    batch.Delete(iterator->key());
  }
  RETURN_IF_ERROR(store_->CheckIterator(*iterator));
  if (keys == 0) {
    to_purge_.erase(table);
    return absl::OkStatus();
  }
  return store_->WriteLocal(batch);
}

void Partition::Maintain(const ReplicaPointer& replica) {
  const Instant now = place_.store.clock.Now();
  const auto unknown = ErrorResponse(data::v1::ERROR_UNKNOWN_OUTCOME,
                                     "leadership ended before the outcome was known");
  const auto refused = ErrorResponse(data::v1::ERROR_UNAVAILABLE, "leadership ended");
  for (auto orphan = orphans_.begin(); orphan != orphans_.end();) {
    const auto current = orphan++;
    if (HolderElapsed(current->second.orphaned, now) < place_.options.orphan_max) continue;
    FinishBatch(current->second, MUTANT("unknown-called-refused") ? &refused : &unknown);
    orphans_.erase(current);
  }
  if (const absl::Status purged = PurgeStep(); !purged.ok()) {
    LogWarning("partition ", group_, ": purging: ", purged.ToString());
  }
  // Only entries move the replicated time. Where new sessions are about to be refused, or are,
  // there may be no other entries: an empty one lets the next few expire that are due.
  if (leadership_ != nullptr && store_->failure().ok() &&
      sessions_.size() >= place_.options.sessions_crowded &&
      sessions_.AnyExpired(ElapsedMicros())) {
    Building();
  }
  if (const absl::Status named = ProposeHash(); !named.ok()) {
    LogWarning("partition ", group_, ": choosing a range to hash: ", named.ToString());
  }
  TendFailure(replica, now);
  ForgetGrants(now);
  TendCache(replica);
  ConfirmAnswers(replica);
  ProposeBuilding(replica);
  MeasureStore(now);
}

// A store that failed is closed and opened again: there may be no entry whose application would
// tell. One that found no space can be read, and could not be opened without: it waits for some.
// Meanwhile its leader makes no entry that it could not apply, and the node counts as full.
void Partition::TendFailure(const ReplicaPointer& replica, const Instant& now) {
  const absl::Status& failure = store_->failure();
  if (failure.ok()) return;
  if (absl::IsResourceExhausted(failure)) {
    if (space_sought_.has_value() && WaiterElapsed(*space_sought_, now) < kSpacePeriod) return;
    const bool is_first = !space_sought_.has_value();
    space_sought_ = now;
    if (const absl::Status found = store_->FindSpace(); absl::IsResourceExhausted(found)) {
      RARE_BRANCH("store: without space it is read");
      if (!is_first) return;
      LogWarning("partition ", group_, " is only read until there is space: ", failure.ToString(),
                 "; ", found.message());
      waits_for_space_.emplace(place_.admission);
      return;
    }
  }
  replica->StateFailed(failure);
}

void Partition::MeasureStore(const Instant& now) {
  StorageMetrics* const metrics = place_.store.metrics;
  if (metrics == nullptr || !store_->failure().ok()) return;
  const bool due = HolderElapsed(measured_, now) >= StorageMetrics::kMeasurePeriod;
  if (std::exchange(ever_measured_, true) && !due) return;
  measured_ = now;
  metrics->Measured(this, store_->Measure());
}

}  // namespace ringleader
