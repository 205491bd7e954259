// Comparing replicas (DESIGN section 7, and section 11, rule 21). The leader puts the name of a key
// range into the log; every replica, when it applies that entry, hashes what its store holds there.
// All hold the same at the same index, or one of them holds what nobody wrote. Whoever gets the
// reports of all compares (coordinator/divergence.h).
//
// Of the store only what entries made counts: not the state record, which also tells how entries
// were batched here, and no item of a retired table, which each replica removes at its own pace.
//
// The arithmetic. A range has 1 MiB or 4096 keys by the leader's store: about 10 ms of the applier.
// A pass over everything takes hash_pass: a partition of 4 GiB hashes one range in 21 s, a small
// one one in a day. An entry is 100 bytes; a partition without data has none.
#include <algorithm>
#include <utility>

#include "absl/functional/function_ref.h"
#include "common/status.h"
#include "model/key_codec.h"
#include "node/leveldb_slice.h"
#include "node/partition.h"

namespace ringleader {
// Calls `visit` with the keys from `start` to before `limit` (empty: to the end) that count, until
// it returns false.
absl::Status Partition::WalkReplicated(
    absl::string_view start, absl::string_view limit,
    absl::FunctionRef<bool(absl::string_view, absl::string_view)> visit) {
  const std::string own = StateKey();
  std::vector<model::KeyRange> gone;
  for (const auto& [id, table] : tables_) {
    if (table->record.phase != TablePhase::kRetired) continue;
    gone.push_back(model::TableRange(id, model::TokenRange()));
  }
  const auto before = [](const model::KeyRange& a, const model::KeyRange& b) {
    return a.start < b.start;
  };
  std::sort(gone.begin(), gone.end(), before);
  auto skip = gone.begin();
  const auto iterator = store_->NewIterator(false);
  iterator->Seek(leveldb::Slice(start.data(), start.size()));
  while (iterator->Valid()) {
    const absl::string_view key = ViewOf(iterator->key());
    if (!limit.empty() && key >= limit) break;
    while (skip != gone.end() && absl::string_view(skip->limit) <= key) ++skip;
    if (skip != gone.end() && skip->Contains(key)) {
      iterator->Seek(skip->limit);
      continue;
    }
    if (key != own && !visit(key, ViewOf(iterator->value()))) break;
    iterator->Next();
  }
  return store_->CheckIterator(*iterator);
}

// With every entry up to state() written and nothing else.
absl::Status Partition::HashRange(const HashedRange& range) {
  uint64_t hash = 0;
  RETURN_IF_ERROR(WalkReplicated(range.start, range.limit,
                                 [&hash](absl::string_view key, absl::string_view value) {
                                   hash = model::Xxh64(key, hash);
                                   hash = model::Xxh64(value, hash);
                                   return true;
                                 }));
  hash_cursor_ = range.limit;
  ++hash_ranges_;
  if (hash_cursor_.empty()) hash_ranges_before_ = std::exchange(hash_ranges_, 0);
  place_.registry.Hashed(group_, {state().applied.last.index, hash});
  return absl::OkStatus();
}

// By how many ranges there are. What is not in table files yet shows only when a pass meets it.
int64_t Partition::HashPaceMicros() const {
  const PartitionOptions& options = place_.options;
  const uint64_t ranges = std::max({store_->ApproximateBytes() / options.hash_bytes_max + 1,
                                    hash_ranges_ + 1, hash_ranges_before_});
  const Duration pace =
      std::max(options.hash_pause_min, options.hash_pass / static_cast<int64_t>(ranges));
  return pace / std::chrono::microseconds(1);
}

// At the leader: names the next range when it is due.
absl::Status Partition::ProposeHash() {
  const PartitionOptions& options = place_.options;
  if (leadership_ == nullptr || options.hash_pass == Duration(0) || !store_->failure().ok()) {
    return absl::OkStatus();
  }
  std::optional<int64_t>& due = leadership_->hash_due_us;
  const int64_t now = ElapsedMicros();
  if (!due.has_value()) {
    // Anywhere in the pause, by a number that each leadership has for itself: partitions that
    // started together spread, and leaders that change often still get to hash as often.
    const uint64_t number = model::Xxh64(StateKey(), group_ ^ (leadership_->term << 32));
    const double fraction = static_cast<double>(number >> 11) / static_cast<double>(1ull << 53);
    due = now + static_cast<int64_t>(fraction * static_cast<double>(HashPaceMicros()));
  }
  if (now < *due) return absl::OkStatus();
  due = now + HashPaceMicros();
  uint64_t keys = 0, bytes = 0;
  HashedRange range{hash_cursor_, ""};
  RETURN_IF_ERROR(
      WalkReplicated(range.start, "", [&](absl::string_view key, absl::string_view value) {
        if (keys >= options.hash_keys_max || bytes >= options.hash_bytes_max) {
          range.limit = std::string(key);
          return false;
        }
        ++keys;
        bytes += key.size() + value.size();
        return true;
      }));
  if (keys > 0) {
    Building().effects.Hash(range.start, range.limit);
  } else {
    hash_cursor_.clear();  // the end was reached: the next pass begins, if there is anything
  }
  return absl::OkStatus();
}

}  // namespace ringleader
