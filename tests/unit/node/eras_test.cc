// The log's record of where grants may exist: what a successor must wait out.
#include "node/eras.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/escaping.h"

namespace ringleader {
namespace {

constexpr Duration kUnnamed = std::chrono::milliseconds(kUnnamedLeaseTermMs);

EraRecord Open(std::vector<uint16_t> buckets, uint32_t lease_term_ms = kUnnamedLeaseTermMs) {
  return {
      .change = EraChange::kOpen, .buckets = std::move(buckets), .lease_term_ms = lease_term_ms};
}

// Protects double failover: the eras of every earlier term are honoured, not the last one's alone.
TEST(ErasTest, AllUnclosedErasAreHonoured) {
  Eras eras;
  eras.Apply(Open({1}), 1);
  eras.Apply(Open({2}), 2);
  EXPECT_EQ(eras.Before(2), EraBuckets().set(1));
  EXPECT_EQ(eras.Before(3), EraBuckets().set(1).set(2));
}

// Protects grants: those of an earlier term's era are no permission in this one.
TEST(ErasTest, OnlyItsOwnTermMayGrant) {
  Eras eras;
  eras.Apply(Open({1, 4095}), 3);
  EXPECT_TRUE(eras.Covers(3, 4095, kUnnamed));
  EXPECT_FALSE(eras.Covers(3, 2, kUnnamed));
  EXPECT_FALSE(eras.Covers(4, 1, kUnnamed));
  eras.Apply(Open({2}), 4);
  EXPECT_FALSE(eras.Covers(4, 1, kUnnamed));
  EXPECT_TRUE(eras.Covers(4, 2, kUnnamed));
}

// Protects grants of the present term: closing what came before leaves them covered.
TEST(ErasTest, FewKeysOpenTheirOwnBucketsOnly) {
  Eras eras;
  for (uint16_t bucket = 0; bucket < 2 * Eras::kEraBlockShare - 1; ++bucket) {
    const uint16_t wanted = bucket * 61 % kEraBuckets;
    const std::vector<uint16_t> buckets = eras.ToOpen(2, {wanted}, std::chrono::milliseconds(2000));
    EXPECT_EQ(buckets, std::vector<uint16_t>{wanted});
    eras.Apply({.change = EraChange::kOpen, .buckets = buckets}, 2);
  }
  EXPECT_EQ(eras.Before(3).count(), 63u);
}

TEST(ErasTest, AllBucketsAreOpenAfterAFewHundredEntries) {
  Eras eras;
  int entries = 0;
  for (size_t i = 0; i < kEraBuckets; ++i) {
    const uint16_t wanted = i * 2741 % kEraBuckets;  // once each, in no order
    const std::vector<uint16_t> buckets = eras.ToOpen(2, {wanted}, std::chrono::milliseconds(2000));
    ASSERT_TRUE(std::is_sorted(buckets.begin(), buckets.end()));
    if (buckets.empty()) continue;
    ++entries;
    eras.Apply({.change = EraChange::kOpen, .buckets = buckets}, 2);
    ASSERT_TRUE(eras.Covers(2, wanted, std::chrono::milliseconds(2000)));
  }
  EXPECT_EQ(eras.Before(3).count(), kEraBuckets);
  EXPECT_LT(entries, 300);
}

TEST(ErasTest, ABucketIsOpenedAnewForALongerLeaseTerm) {
  Eras eras;
  eras.Apply({.change = EraChange::kOpen, .buckets = {7}, .lease_term_ms = 500}, 2);
  EXPECT_EQ(eras.ToOpen(2, {7}, std::chrono::milliseconds(500)), std::vector<uint16_t>());
  EXPECT_EQ(eras.ToOpen(2, {7}, std::chrono::milliseconds(900)), std::vector<uint16_t>{7});
  EXPECT_EQ(eras.ToOpen(3, {7}, std::chrono::milliseconds(500)), std::vector<uint16_t>{7});
}

TEST(ErasTest, ClosingEarlierOnesLeavesOnesOwn) {
  Eras eras;
  eras.Apply(Open({1}), 1);
  eras.Apply(Open({2}), 2);
  eras.Apply({.change = EraChange::kCloseEarlier}, 2);
  EXPECT_TRUE(eras.Before(2).none());
  EXPECT_EQ(eras.Before(3), EraBuckets().set(2));
  EXPECT_FALSE(eras.empty());
  // By a leader that opened none itself.
  eras.Apply({.change = EraChange::kCloseEarlier}, 3);
  EXPECT_TRUE(eras.empty());
}

// Protects planned transfers: their successor waits for nothing.
TEST(ErasTest, ClosingAllLeavesNothing) {
  Eras eras;
  eras.Apply(Open({1}), 1);
  eras.Apply(Open({2}), 2);
  eras.Apply({.change = EraChange::kCloseAll}, 2);
  EXPECT_TRUE(eras.empty());
  EXPECT_TRUE(eras.Before(3).none());
  eras.Apply(Open({7}), 2);
  EXPECT_TRUE(eras.Covers(2, 7, kUnnamed));
}

// Protects replicas on disk and in snapshots from a changed record.
TEST(ErasTest, StoredBytesDoNotChange) {
  Eras eras;
  eras.Apply(Open({0}), 1);
  eras.Apply(Open({9, 4095}), 300);
  const std::string bytes = eras.Encode();
  ASSERT_EQ(bytes.size(), 3u + 1024u);
  EXPECT_EQ(absl::BytesToHexString(bytes.substr(0, 6)), "01ac02000200");
  EXPECT_EQ(bytes[3 + 511], '\x80');
  EXPECT_EQ(bytes[3 + 512], '\x01');
  EXPECT_EQ(absl::BytesToHexString(ErasKey()), "0165726173");
  EXPECT_EQ(*Eras::Decode(bytes), eras);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Eras::Decode(bytes.substr(0, size)).ok()) << size;
  }
  std::string newer = bytes;
  newer[0] = 3;
  EXPECT_EQ(Eras::Decode(newer).status().code(), absl::StatusCode::kFailedPrecondition);
}

// Protects the log: a bucket is where it was, and nonsense is refused.
TEST(ErasTest, LoggedBytesDoNotChange) {
  EXPECT_EQ(EraBucketOf("key"), 1547u);
  EXPECT_EQ(absl::BytesToHexString(EncodeEra(Open({5, 6, 300}))), "00030501a602");
  EXPECT_EQ(*DecodeEra(EncodeEra(Open({0, 4095}))), Open({0, 4095}));
  const absl::string_view malformed[] = {
      absl::string_view("\x00\x00", 2),          // opens nothing
      absl::string_view("\x01\x01\x05", 3),      // closes something by name
      absl::string_view("\x00\x02\x05\x00", 4),  // twice the same
      absl::string_view("\x00\x01\x80\x20", 4),  // bucket 4096
      absl::string_view("\x00\x01", 2),         absl::string_view("\x00\x01\x01\x01", 4),
  };
  for (const absl::string_view bytes : malformed) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeEra(bytes).status())) << absl::BytesToHexString(bytes);
  }
  EXPECT_EQ(DecodeEra(absl::string_view("\x04\x00", 2)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// Protects grants of a leader with a longer term than its successor's: the longest of what is
// unclosed is waited for, and nothing longer.
TEST(ErasTest, TheLongestUnclosedLeaseTermIsWaitedFor) {
  using std::chrono::milliseconds;
  Eras eras;
  EXPECT_EQ(eras.LeaseTermBefore(1), Duration(0));
  eras.Apply(Open({1}, 9000), 1);
  eras.Apply(Open({2}, 300), 2);
  eras.Apply(Open({3}, 400), 2);
  EXPECT_EQ(eras.LeaseTermBefore(2), milliseconds(9000));
  EXPECT_EQ(eras.LeaseTermBefore(3), milliseconds(9000));
  eras.Apply({.change = EraChange::kCloseEarlier}, 2);
  EXPECT_EQ(eras.LeaseTermBefore(2), Duration(0));
  EXPECT_EQ(eras.LeaseTermBefore(3), milliseconds(400));
  // A grant that a successor would not wait for long enough needs another era.
  EXPECT_TRUE(eras.Covers(2, 2, milliseconds(400)));
  EXPECT_FALSE(eras.Covers(2, 2, milliseconds(401)));
  eras.Apply({.change = EraChange::kCloseAll}, 2);
  EXPECT_EQ(eras.LeaseTermBefore(3), Duration(0));
}

// Protects grants of the first of several leaders, and of one that named several terms: a shorter
// one that follows takes nothing from a longer one.
TEST(ErasTest, AShorterLeaseTermHidesNoLongerOne) {
  using std::chrono::milliseconds;
  Eras eras;
  eras.Apply(Open({1}, 9000), 1);
  eras.Apply(Open({2}, 300), 1);
  EXPECT_EQ(eras.LeaseTermBefore(2), milliseconds(9000));
  eras.Apply(Open({3}, 400), 2);
  eras.Apply(Open({4}, 500), 3);
  EXPECT_EQ(eras.LeaseTermBefore(3), milliseconds(9000));
  EXPECT_EQ(eras.LeaseTermBefore(4), milliseconds(9000));
  const Eras read = *Eras::Decode(eras.Encode());
  EXPECT_EQ(read, eras);
  EXPECT_EQ(read.LeaseTermBefore(3), milliseconds(9000));
}

// Protects a log and stores with lease terms in them, and with older builds' eras beside those:
// without a term it was 2 s.
TEST(ErasTest, BytesWithALeaseTermDoNotChange) {
  EXPECT_EQ(absl::BytesToHexString(EncodeEra(Open({5, 6, 300}, 500))), "03f403030501a602");
  EXPECT_EQ(*DecodeEra(EncodeEra(Open({5, 6, 300}, 500))), Open({5, 6, 300}, 500));
  EXPECT_EQ(DecodeEra(absl::string_view("\x00\x01\x05", 3))->lease_term_ms, 2000u);
  const absl::string_view malformed[] = {
      absl::string_view("\x03\x00\x01\x05", 4),              // a term of nothing
      absl::string_view("\x03\xd0\x0f\x01\x05", 5),          // 2 s, which is not named
      absl::string_view("\x03\x81\xdd\xdb\x01\x01\x05", 7),  // above an hour
      absl::string_view("\x03\xf4\x03\x00", 4),              // opens nothing
  };
  for (const absl::string_view bytes : malformed) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeEra(bytes).status())) << absl::BytesToHexString(bytes);
  }
  Eras eras;
  eras.Apply(Open({0}), 1);
  const std::string unnamed = eras.Encode();
  EXPECT_EQ(Eras::Decode(unnamed)->LeaseTermBefore(2), kUnnamed);
  eras.Apply(Open({9}, 500), 300);
  const std::string bytes = eras.Encode();
  ASSERT_EQ(bytes.size(), 7u + 1024u);
  EXPECT_EQ(absl::BytesToHexString(bytes.substr(0, 9)), "02ac02f403d00f0002");
  EXPECT_EQ(*Eras::Decode(bytes), eras);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Eras::Decode(bytes.substr(0, size)).ok()) << size;
  }
  // Each field is one byte or two: own term at 3, earlier term at 5, the earlier set behind both.
  const auto with = [&bytes](size_t at, absl::string_view changed) {
    return std::string(bytes).replace(at, changed.size(), std::string(changed));
  };
  EXPECT_TRUE(absl::IsDataLoss(Eras::Decode(with(3, "\xd0\x0f")).status())) << "nothing is named";
  const absl::string_view nothing("\x80\x00", 2);
  EXPECT_TRUE(absl::IsDataLoss(Eras::Decode(with(3, nothing)).status())) << "a set without a term";
  std::string above_an_hour = bytes;
  above_an_hour.replace(3, 2, "\x81\xdd\xdb\x01");
  EXPECT_TRUE(absl::IsDataLoss(Eras::Decode(above_an_hour).status()));
  const std::string none(1, '\0');
  EXPECT_TRUE(absl::IsDataLoss(Eras::Decode(with(7 + 512, none)).status())) << "a term of nothing";
  eras.Apply({.change = EraChange::kCloseEarlier}, 301);
  EXPECT_TRUE(eras.empty());
  EXPECT_EQ(eras.Encode()[0], 1) << "nothing has a name of its own any more";
}

}  // namespace
}  // namespace ringleader
