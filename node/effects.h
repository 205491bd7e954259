// The payload of a partition's log entry: plain effects, decided by the leader that evaluated the
// requests. Applying it needs no clock, no expression and no schema (DESIGN section 6).
//
//   byte 1          format
//   varint          time: microseconds since 1970, max(the leader's clock, the entry before + 1)
//   varint          elapsed: microseconds of this partition's life that leaders have measured with
//                   clocks that nobody sets; never decreases; write sessions expire by it
//   records, each a tag byte and
//   01 put          key, item               (each as varint length, bytes)
//   02 delete       key
//   03 session      fixed64 session, varint sequence, varint lowest outstanding, byte flags
//                   (records.h), item
//   04 table        table record (records.h), length first
//   05 era          what it changes (eras.h), length first
//   06 split, 07 change record: reserved
//   08 hash         first key, key after the last (empty: to the end): a range that every replica
//                   hashes as it is after this entry (partition_hash.cc)
//
// Format 1 may not change. A replica that meets a tag it does not know stops: it is too old.
#ifndef RINGLEADER_NODE_EFFECTS_H_
#define RINGLEADER_NODE_EFFECTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "node/eras.h"
#include "node/records.h"

namespace ringleader {

enum class EffectTag : uint8_t {
  kPut = 1,
  kDelete = 2,
  kSession = 3,
  kTable = 4,
  kEra = 5,
  kHash = 8,
};

// Builds one payload; append in the order of evaluation.
class EffectsWriter {
 public:
  void Put(absl::string_view key, absl::string_view item);
  void Delete(absl::string_view key);
  // The result's item_version is the entry's index, which is not known yet: it is not written.
  void Session(uint64_t session, uint64_t sequence, uint64_t lowest, const StoredResult& result);
  void Table(const TableRecord& table);
  void Era(const EraRecord& era);
  void Hash(absl::string_view start, absl::string_view limit);

  size_t bytes() const { return records_.size(); }
  bool empty() const { return records_.empty(); }
  // The whole payload; leaves the writer empty.
  std::string Finish(int64_t time_us, int64_t elapsed_us);

 private:
  std::string records_;
};

// One effect of a payload; the views point into it.
struct Effect {
  EffectTag tag = EffectTag::kPut;
  absl::string_view key;
  absl::string_view item;
  uint64_t session = 0;
  uint64_t sequence = 0;
  uint64_t lowest = 0;
  uint8_t flags = 1;  // of a session's result
  TableRecord table;
  EraRecord era;
};

struct Effects {
  int64_t time_us = 0;
  int64_t elapsed_us = 0;
  std::vector<Effect> effects;
};

// DATA_LOSS: malformed. FAILED_PRECONDITION: of a format or with a tag that this build does not
// know.
absl::StatusOr<Effects> DecodeEffects(absl::string_view payload);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_EFFECTS_H_
