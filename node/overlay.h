// What a leader has evaluated and not yet applied: for each key the values that it will have, by
// batch. Evaluation looks here first, so that read-modify-writes of one key pipeline without
// waiting for the log (DESIGN section 6).
//
// Batches are numbered upwards. They are applied from the oldest, and dropped from the newest (a
// proposal that was refused takes everything with it that was evaluated over it).
//
// Not thread-safe: the partition's applier. Bounded by the admission of writes.
#ifndef RINGLEADER_NODE_OVERLAY_H_
#define RINGLEADER_NODE_OVERLAY_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace ringleader {

class Overlay {
 public:
  struct Version {
    uint64_t batch = 0;
    std::optional<std::string> item;  // none: deleted
  };

  // The newest value, or null: the store has it. Valid until the overlay changes.
  const Version* Find(absl::string_view key) const;
  // `batch` is at least the highest so far.
  void Add(const std::string& key, uint64_t batch, std::optional<std::string> item);
  // The store has everything up to `batch`.
  void Applied(uint64_t batch);
  // `batch` and all after it will never be applied.
  void DropFrom(uint64_t batch);

  bool empty() const { return versions_.empty(); }

 private:
  absl::flat_hash_map<std::string, std::deque<Version>> versions_;  // ascending by batch
  std::map<uint64_t, std::vector<std::string>> keys_;               // that a batch wrote
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_OVERLAY_H_
