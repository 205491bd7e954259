// A MANIFEST's torn last record is told from corruption.
#include "node/leveldb_manifest.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/node/manifest_record.h"

namespace ringleader {
namespace {

constexpr uint8_t kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4;

std::string Damaged(std::string record) {
  record.back() = static_cast<char>(record.back() ^ 1);
  return record;
}

const std::string kGood = ManifestRecord(kFull, '\1' + std::string(99, 'a'));

TEST(LevelDbManifest, AWholeOneIsReadWhole) {
  EXPECT_EQ(IntactManifestBytes(""), 0u);
  EXPECT_EQ(IntactManifestBytes(kGood + kGood), 2 * kGood.size());
}

TEST(LevelDbManifest, ABadLastRecordWasTorn) {
  // Protects a start after power failed everywhere at once: the record never was.
  EXPECT_EQ(IntactManifestBytes(kGood + Damaged(kGood)), kGood.size());
  EXPECT_EQ(IntactManifestBytes(kGood + std::string(500, '\0')), kGood.size());
  EXPECT_EQ(IntactManifestBytes(kGood + std::string(70000, '\xee')), kGood.size());
}

TEST(LevelDbManifest, PartsOfATornRecordDoNotMakeItOne) {
  // The blocks of one write reach the disk in any order.
  const size_t rest = 32768 - kGood.size() - 7;
  const std::string first = ManifestRecord(kFirst, std::string(rest, 'b'));
  const std::string middle = ManifestRecord(kMiddle, std::string(32768 - 7, 'c'));
  const std::string last = ManifestRecord(kLast, std::string(50, 'd'));
  const std::string whole = kGood + first + middle + last;
  EXPECT_EQ(IntactManifestBytes(whole), whole.size());
  EXPECT_EQ(IntactManifestBytes(kGood + Damaged(first) + middle + last), kGood.size());
  EXPECT_EQ(IntactManifestBytes(kGood + first + Damaged(middle) + last), kGood.size());
  EXPECT_EQ(IntactManifestBytes(kGood + first + middle + Damaged(last)), kGood.size());
}

TEST(LevelDbManifest, ABadRecordBeforeAnotherIsCorruption) {
  // Protects rule 10: LevelDB gets to see it, and refuses.
  const std::string corrupt = kGood + Damaged(kGood) + kGood;
  EXPECT_EQ(IntactManifestBytes(corrupt), corrupt.size());
  const std::string next_block = kGood + std::string(32768 - kGood.size(), '\0') + kGood;
  EXPECT_EQ(IntactManifestBytes(next_block), next_block.size());
  EXPECT_EQ(IntactManifestBytes(Damaged(kGood)), kGood.size())
      << "nothing before it to fall back on";
}

TEST(LevelDbManifest, ARecordThatWentAstrayIsCorruption) {
  // Protects state: found by the simulation, where a record was written over the first one, shorter
  // than that, and good ones stood behind the rest of it, in the same block. What was left opened
  // as a database without most of its files. A hole, where one should have been written, is the
  // same.
  const std::string astray = ManifestRecord(kFull, std::string(60, 'b'));
  const std::string over = astray + kGood.substr(astray.size()) + kGood;
  EXPECT_EQ(IntactManifestBytes(over), over.size());
  EXPECT_FALSE(IsManifestIntact(over));
  const std::string hole = kGood + std::string(67, '\0') + kGood;
  EXPECT_EQ(IntactManifestBytes(hole), hole.size());
  EXPECT_FALSE(IsManifestIntact(hole));
  // A length that went bad says that the record is cut short; what stands behind it says otherwise.
  std::string longer = ManifestRecord(kFull, std::string(60, 'b'));
  longer[5] = 1;
  EXPECT_FALSE(IsManifestIntact(kGood + longer + kGood));
  EXPECT_TRUE(IsManifestIntact(kGood + longer));
  // One of the same length leaves no trace but that it is no first record.
  EXPECT_TRUE(BeginsWithAllFiles(kGood + astray));
  EXPECT_FALSE(BeginsWithAllFiles(astray + astray));
  EXPECT_FALSE(IsManifestIntact(astray + astray));
  EXPECT_TRUE(BeginsWithAllFiles(""));
}

TEST(LevelDbManifest, WhatIsSentToAPeerHasNoBadRecord) {
  EXPECT_TRUE(IsManifestIntact(kGood + kGood));
  EXPECT_TRUE(IsManifestIntact(kGood + kGood.substr(0, 20))) << "one that is being written";
  EXPECT_FALSE(IsManifestIntact(kGood + Damaged(kGood)));
  EXPECT_FALSE(IsManifestIntact(kGood + Damaged(kGood) + kGood));
}

TEST(LevelDbManifest, AnyCutOrNoiseAtTheEndKeepsWhatWasWhole) {
  const std::string content = kGood + kGood;
  for (size_t cut = kGood.size(); cut < content.size(); ++cut) {
    const size_t intact = IntactManifestBytes(content.substr(0, cut));
    EXPECT_TRUE(intact == kGood.size() || intact == cut) << cut;
  }
}

}  // namespace
}  // namespace ringleader
