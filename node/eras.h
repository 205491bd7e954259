// Eras: the log's record of where grants of the client cache may exist (DESIGN section 8,
// node/cache.md). A leader commits and applies one before the first grant that it covers; its
// successors wait a full lease term, from their own election, before they change what it covers,
// and then close it. What no era covers is not delayed. The lease term is the one that the era
// names, its leader's: nodes may be given different ones, and one node another one with time.
//
// Keys fall into buckets, so that an era has a bounded size whatever was granted. Eras of all
// earlier terms are treated alike by whoever leads, so they are kept together.
//
// Part of the replicated state: changed by applying entries only, the same everywhere. A value.
#ifndef RINGLEADER_NODE_ERAS_H_
#define RINGLEADER_NODE_ERAS_H_

#include <bitset>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "replication/types.h"

namespace ringleader {

// A write to a key that nobody held, after a failover, is delayed with a probability of (held
// buckets) / kEraBuckets: 16 held keys delay 0.4% of their partition's keys.
inline constexpr size_t kEraBuckets = 4096;
using EraBuckets = std::bitset<kEraBuckets>;

// The lease term of an era that names none: what every build had before it was an option. May not
// change.
inline constexpr uint32_t kUnnamedLeaseTermMs = 2000;
// What no era names more than.
inline constexpr uint32_t kLeaseTermMaxMs = 3'600'000;

// Of an item's whole key (model/key_codec.h). May not change: it places what is logged.
uint16_t EraBucketOf(absl::string_view key);

enum class EraChange : uint8_t {
  kOpen = 0,          // grants may exist in these buckets, by the entry's term
  kCloseEarlier = 1,  // none of a term before the entry's exists any more
  kCloseAll = 2,      // nor of the entry's own
};

struct EraRecord {
  EraChange change = EraChange::kOpen;
  std::vector<uint16_t> buckets;  // ascending; empty unless something is opened
  // Of what is opened: how long a successor waits for grants. Otherwise it says nothing.
  uint32_t lease_term_ms = kUnnamedLeaseTermMs;
  friend bool operator==(const EraRecord&, const EraRecord&) = default;
};

// Inside a log entry (effects.h): change (1 byte), varint count, then for each bucket, as a varint,
// how much it is above the one before (the first: above 0). If something is opened for another
// lease term than kUnnamedLeaseTermMs, the change is 3 and the term follows it as a varint: with
// that term older builds read what this one writes. May not change.
std::string EncodeEra(const EraRecord& era);
absl::StatusOr<EraRecord> DecodeEra(absl::string_view bytes);

class Eras {
 public:
  // `term` is the entry's. Deterministic.
  void Apply(const EraRecord& era, replication::Term term);

  // What the leader of `term` has to wait out: unclosed, and of an earlier term.
  EraBuckets Before(replication::Term term) const;
  // And for how long: the largest lease term of those eras; 0 if there are none.
  Duration LeaseTermBefore(replication::Term term) const;
  // Whether the leader of `term` may grant here what a successor waits `lease_term` for.
  bool Covers(replication::Term term, uint16_t bucket, Duration lease_term) const;
  // What the leader of `term` has open.
  EraBuckets Own(replication::Term term) const { return term == term_ ? own_ : EraBuckets(); }
  // What the leader of `term` opens where these buckets are wanted: around each, the larger a block
  // of others the more are open, so that all of them take a few hundred entries. Up to
  // 2 * kEraBlockShare, exactly those: with few keys held, few others wait after a failover.
  static constexpr size_t kEraBlockShare = 32;
  std::vector<uint16_t> ToOpen(replication::Term term, const std::set<uint16_t>& wanted,
                               Duration lease_term) const;
  bool empty() const { return own_.none() && earlier_.none(); }

  // In the store: version (1 byte), varint term, then both sets, the newest term's and the earlier
  // ones', each as 512 bytes, bucket b being bit b % 8 of byte b / 8. That is version 1, written
  // while every era has kUnnamedLeaseTermMs, so that older builds' replicas have the same bytes.
  // Version 2 has both sets' lease terms as varints before the sets; 0 of an empty one. May not
  // change.
  std::string Encode() const;
  static absl::StatusOr<Eras> Decode(absl::string_view bytes);

  friend bool operator==(const Eras&, const Eras&) = default;

 private:
  replication::Term term_ = 0;  // of own_
  EraBuckets own_;
  EraBuckets earlier_;
  // The largest of their eras; 0 exactly while the set is empty.
  uint32_t own_lease_ms_ = 0;
  uint32_t earlier_lease_ms_ = 0;
};

// The key of the record in the store. There is none while nothing is open.
std::string ErasKey();

}  // namespace ringleader

#endif  // RINGLEADER_NODE_ERAS_H_
