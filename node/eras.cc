#include "node/eras.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/coding.h"
#include "common/mutants.h"
#include "model/key_codec.h"
#include "model/token.h"

namespace ringleader {
namespace {

constexpr uint8_t kErasFormatUnnamed = 1;
constexpr uint8_t kErasFormat = 2;
constexpr uint8_t kOpenNamed = 3;         // as a change
constexpr uint64_t kHashSeed = 0x657261;  // "era"
constexpr size_t kSetBytes = kEraBuckets / 8;

void AppendSet(const EraBuckets& buckets, std::string& to) {
  std::string bytes(kSetBytes, '\0');
  for (size_t bucket = 0; bucket < kEraBuckets; ++bucket) {
    if (buckets[bucket]) bytes[bucket / 8] |= static_cast<char>(1u << (bucket % 8));
  }
  to += bytes;
}

EraBuckets SetFrom(absl::string_view bytes) {
  CHECK_EQ(bytes.size(), kSetBytes);
  EraBuckets buckets;
  for (size_t bucket = 0; bucket < kEraBuckets; ++bucket) {
    buckets[bucket] = (static_cast<uint8_t>(bytes[bucket / 8]) >> (bucket % 8) & 1) != 0;
  }
  return buckets;
}

bool IsNamed(uint64_t lease_ms) { return lease_ms != 0 && lease_ms != kUnnamedLeaseTermMs; }

}  // namespace

uint16_t EraBucketOf(absl::string_view key) {
  static_assert(kEraBuckets == 1 << 12);
  return static_cast<uint16_t>(model::Xxh64(key, kHashSeed) >> 52);
}

std::string EncodeEra(const EraRecord& era) {
  CHECK((era.change == EraChange::kOpen) != era.buckets.empty()) << "an era of nothing";
  CHECK(era.lease_term_ms > 0 && era.lease_term_ms <= kLeaseTermMaxMs);
  const bool named = era.change == EraChange::kOpen && era.lease_term_ms != kUnnamedLeaseTermMs;
  std::string bytes(1, static_cast<char>(named ? kOpenNamed : static_cast<uint8_t>(era.change)));
  if (named) PutVarint(era.lease_term_ms, bytes);
  PutVarint(era.buckets.size(), bytes);
  for (size_t i = 0; i < era.buckets.size(); ++i) {
    const uint16_t before = i == 0 ? 0 : era.buckets[i - 1];
    CHECK_LT(era.buckets[i], kEraBuckets);
    CHECK(i == 0 || era.buckets[i] > before) << "not ascending";
    PutVarint(static_cast<uint64_t>(era.buckets[i] - before), bytes);
  }
  return bytes;
}

absl::StatusOr<EraRecord> DecodeEra(absl::string_view bytes) {
  Decoder decoder(bytes);
  EraRecord era;
  uint8_t change = decoder.Byte();
  if (change > kOpenNamed) {
    return absl::FailedPreconditionError(
        absl::StrCat("an era is changed in the way ", change, ", which this build does not know"));
  }
  if (change == kOpenNamed) {
    change = static_cast<uint8_t>(EraChange::kOpen);
    const uint64_t lease_term_ms = decoder.Varint();
    if (lease_term_ms == 0 || lease_term_ms > kLeaseTermMaxMs ||
        lease_term_ms == kUnnamedLeaseTermMs) {
      return absl::DataLossError("malformed era");
    }
    era.lease_term_ms = static_cast<uint32_t>(lease_term_ms);
  }
  const uint64_t count = decoder.Varint();
  era.change = static_cast<EraChange>(change);
  const bool opens = era.change == EraChange::kOpen;
  if (!decoder.ok() || count > kEraBuckets || opens != (count > 0)) {
    return absl::DataLossError("malformed era");
  }
  uint64_t bucket = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t above = decoder.Varint();
    if (!decoder.ok() || above >= kEraBuckets - bucket || (i > 0 && above == 0)) {
      return absl::DataLossError("malformed era");
    }
    bucket += above;
    era.buckets.push_back(static_cast<uint16_t>(bucket));
  }
  if (!decoder.AtEnd()) return absl::DataLossError("malformed era");
  return era;
}

// Entries of a log have terms that never go back, so what is open is of this term or an earlier
// one.
void Eras::Apply(const EraRecord& era, replication::Term term) {
  CHECK_GE(term, term_);
  if (term > term_) {
    earlier_ |= own_;
    earlier_lease_ms_ = std::max(earlier_lease_ms_, own_lease_ms_);
    own_.reset();
    own_lease_ms_ = 0;
    term_ = term;
  }
  switch (era.change) {
    case EraChange::kOpen:
      for (const uint16_t bucket : era.buckets) own_.set(bucket);
      own_lease_ms_ = std::max(own_lease_ms_, era.lease_term_ms);
      return;
    case EraChange::kCloseEarlier:
      earlier_.reset();
      earlier_lease_ms_ = 0;
      return;
    case EraChange::kCloseAll:
      earlier_.reset();
      own_.reset();
      earlier_lease_ms_ = own_lease_ms_ = 0;
      return;
  }
}

EraBuckets Eras::Before(replication::Term term) const {
  if (term > term_ && MUTANT("only-last-era")) return own_;
  return term > term_ ? own_ | earlier_ : earlier_;
}

Duration Eras::LeaseTermBefore(replication::Term term) const {
  const uint32_t own_ms = term > term_ ? own_lease_ms_ : 0;
  return std::chrono::milliseconds(std::max(own_ms, earlier_lease_ms_));
}

bool Eras::Covers(replication::Term term, uint16_t bucket, Duration lease_term) const {
  return term == term_ && own_[bucket] && lease_term <= std::chrono::milliseconds(own_lease_ms_);
}

std::vector<uint16_t> Eras::ToOpen(replication::Term term, const std::set<uint16_t>& wanted,
                                   Duration lease_term) const {
  const size_t open = (term == term_ ? own_.count() : 0) + wanted.size();
  const size_t block = std::bit_floor(std::max<size_t>(1, open / kEraBlockShare));
  static_assert(std::has_single_bit(kEraBuckets));
  EraBuckets opened;
  for (const uint16_t bucket : wanted) {
    const size_t first = bucket - bucket % block;
    for (size_t i = first; i < first + block; ++i) {
      if (!Covers(term, static_cast<uint16_t>(i), lease_term)) opened.set(i);
    }
  }
  std::vector<uint16_t> buckets;
  for (size_t i = 0; i < kEraBuckets; ++i) {
    if (opened[i]) buckets.push_back(static_cast<uint16_t>(i));
  }
  return buckets;
}

std::string Eras::Encode() const {
  const bool named = IsNamed(own_lease_ms_) || IsNamed(earlier_lease_ms_);
  std::string bytes(1, static_cast<char>(named ? kErasFormat : kErasFormatUnnamed));
  PutVarint(term_, bytes);
  if (named) {
    PutVarint(own_lease_ms_, bytes);
    PutVarint(earlier_lease_ms_, bytes);
  }
  AppendSet(own_, bytes);
  AppendSet(earlier_, bytes);
  return bytes;
}

absl::StatusOr<Eras> Eras::Decode(absl::string_view bytes) {
  Decoder decoder(bytes);
  const uint8_t format = decoder.Byte();
  if (decoder.ok() && format > kErasFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat("a record of eras has format ", format, "; this build knows ", kErasFormat));
  }
  Eras eras;
  eras.term_ = decoder.Varint();
  const bool named = format == kErasFormat;
  const uint64_t own_ms = named ? decoder.Varint() : kUnnamedLeaseTermMs;
  const uint64_t earlier_ms = named ? decoder.Varint() : kUnnamedLeaseTermMs;
  if (!decoder.ok() || format == 0 || decoder.remaining() != 2 * kSetBytes) {
    return absl::DataLossError("malformed record of eras");
  }
  eras.own_ = SetFrom(bytes.substr(bytes.size() - 2 * kSetBytes, kSetBytes));
  eras.earlier_ = SetFrom(bytes.substr(bytes.size() - kSetBytes));
  if (named && !IsNamed(own_ms) && !IsNamed(earlier_ms)) {
    return absl::DataLossError("malformed record of eras");
  }
  const auto fits = [named](const EraBuckets& set, uint64_t ms) {
    return ms <= kLeaseTermMaxMs && (!named || set.any() == (ms > 0));
  };
  if (!fits(eras.own_, own_ms) || !fits(eras.earlier_, earlier_ms)) {
    return absl::DataLossError("malformed record of eras");
  }
  eras.own_lease_ms_ = eras.own_.any() ? static_cast<uint32_t>(own_ms) : 0;
  eras.earlier_lease_ms_ = eras.earlier_.any() ? static_cast<uint32_t>(earlier_ms) : 0;
  return eras;
}

std::string ErasKey() { return std::string(1, static_cast<char>(model::KeySpace::kMeta)) + "eras"; }

}  // namespace ringleader
