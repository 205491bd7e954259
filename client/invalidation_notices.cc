#include "client/invalidation_notices.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/check.h"
#include "model/key_codec.h"

namespace ringleader::client {

void InvalidationNotices::Inserted(absl::string_view key, uint64_t version,
                                   const std::shared_ptr<const GrantDeadline>& deadline,
                                   const model::TableSchema& schema) {
  if (const auto old = keys_.find(key); old != keys_.end()) {
    if (old->second.version != version) {
      LetGo(old);
    } else {
      auto& others = by_deadline_[old->second.deadline.get()];
      others.erase(old->first);
      if (others.empty()) by_deadline_.erase(old->second.deadline.get());
      old->second.deadline = deadline;
      by_deadline_[deadline.get()].insert(old->first);
      return;
    }
  }
  std::shared_ptr<const TableNames>& names = names_[schema.id];
  if (names == nullptr) {
    names = std::make_shared<TableNames>(
        TableNames{schema.name, schema.key.partition.name,
                   schema.key.sort.has_value() ? schema.key.sort->name : ""});
  }
  const auto [at, is_new] = keys_.emplace(key, Watched{version, deadline, names});
  CHECK(is_new);
  by_deadline_[deadline.get()].insert(at->first);
}

void InvalidationNotices::Gone(absl::string_view key, const GrantDeadline* deadline) {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return;
  if (deadline == nullptr || at->second.deadline.get() == deadline) LetGo(at);
}

bool InvalidationNotices::IsWatched(absl::string_view key, uint64_t version) const {
  const auto at = keys_.find(key);
  return at != keys_.end() && at->second.version == version;
}

bool InvalidationNotices::Tend(absl::FunctionRef<void(const ItemCache::Dropped&)> give_back) {
  const Instant now = clock_.Now();
  std::vector<std::string> over;
  for (const auto& [deadline, keys] : by_deadline_) {
    if (!deadline->Load().IsOver(now)) continue;
    for (const absl::string_view key : keys) over.emplace_back(key);
  }
  std::sort(over.begin(), over.end());  // not in the order of the deadlines' addresses
  for (const std::string& key : over) {
    const auto at = keys_.find(key);
    const auto dropped = cache_.Drop(key, at->second.deadline.get());
    if (dropped.has_value()) give_back(*dropped);
    LetGo(at);
  }
  return !keys_.empty();
}

void InvalidationNotices::LetGo(WatchedKeys::iterator at) {
  const auto group = by_deadline_.find(at->second.deadline.get());
  group->second.erase(at->first);
  if (group->second.empty()) by_deadline_.erase(group);
  const auto gone = keys_.extract(at);
  const std::shared_ptr<const TableNames>& names = gone.mapped().names;
  Notify(gone.key(), *names);
  if (names.use_count() == 2) names_.erase(model::TableInKey(gone.key()));
}

void InvalidationNotices::Notify(const std::string& key, const TableNames& names) {
  absl::StatusOr<model::DecodedKey> decoded = model::DecodeItemKey(key);
  CHECK_OK(decoded);  // this process encoded it
  Item item;
  item.Set(names.partition, std::move(decoded->partition));
  if (decoded->sort.has_value()) item.Set(names.sort, *std::move(decoded->sort));
  pending_.fetch_add(1, std::memory_order_relaxed);
  application_.Post([this, table = names.table, item = std::move(item)] {
    callback_(table, item);
    pending_.fetch_sub(1, std::memory_order_relaxed);
  });
}

}  // namespace ringleader::client
