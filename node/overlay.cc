#include "node/overlay.h"

#include <utility>

#include "common/check.h"

namespace ringleader {

const Overlay::Version* Overlay::Find(absl::string_view key) const {
  const auto found = versions_.find(key);
  return found == versions_.end() ? nullptr : &found->second.back();
}

void Overlay::Add(const std::string& key, uint64_t batch, std::optional<std::string> item) {
  CHECK(keys_.empty() || keys_.rbegin()->first <= batch);
  std::deque<Version>& versions = versions_[key];
  if (!versions.empty() && versions.back().batch == batch) {
    versions.back().item = std::move(item);
    return;
  }
  versions.push_back({batch, std::move(item)});
  keys_[batch].push_back(key);
}

void Overlay::Applied(uint64_t batch) {
  while (!keys_.empty() && keys_.begin()->first <= batch) {
    for (const std::string& key : keys_.begin()->second) {
      const auto found = versions_.find(key);
      CHECK(found != versions_.end());
      CHECK_EQ(found->second.front().batch, keys_.begin()->first);
      found->second.pop_front();
      if (found->second.empty()) versions_.erase(found);
    }
    keys_.erase(keys_.begin());
  }
}

void Overlay::DropFrom(uint64_t batch) {
  while (!keys_.empty() && keys_.rbegin()->first >= batch) {
    const auto last = std::prev(keys_.end());
    for (const std::string& key : last->second) {
      const auto found = versions_.find(key);
      CHECK(found != versions_.end());
      CHECK_EQ(found->second.back().batch, last->first);
      found->second.pop_back();
      if (found->second.empty()) versions_.erase(found);
    }
    keys_.erase(last);
  }
}

}  // namespace ringleader
