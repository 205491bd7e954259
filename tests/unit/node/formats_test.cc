// Golden bytes of everything that a node writes: none may change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/coding.h"
#include "common/crc32c.h"
#include "node/effects.h"
#include "node/partition_factory.h"
#include "node/records.h"

namespace ringleader {
namespace {

std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

// Protects partitions on disk from a changed state record.
TEST(FormatsTest, State) {
  StoreState state;
  state.applied.last = {.term = 3, .index = 300};
  state.previous = 299;
  state.applied.configuration_index = 2;
  state.applied.configuration.voters = {{1, 1}};
  state.applied.configuration.version = 4;
  state.time_us = 5;
  state.elapsed_us = 6;
  state.range = model::TokenRange{0, 0x7fffffffffffffff};
  EXPECT_EQ(Hex(StateKey()), "017374617465");
  const std::string bytes = EncodeState(state);
  EXPECT_EQ(Hex(bytes),
            "01ac0203ab020205060100000000000000"
            "00ffffffffffffff7f0801040101010000"
            "00");
  EXPECT_EQ(*DecodeState(bytes), state);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeState(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_EQ(DecodeState("\x02").status().code(), absl::StatusCode::kFailedPrecondition);
}

// Protects the definitions of tables.
TEST(FormatsTest, Table) {
  const TableRecord table{.id = 9, .schema_version = 2, .definition = "def"};
  EXPECT_EQ(Hex(TableKey(9)), "017461626c650000000000000009");
  EXPECT_EQ(Hex(EncodeTable(table)), "0109020003646566");
  EXPECT_EQ(*DecodeTable(EncodeTable(table)), table);
  EXPECT_EQ(Hex(EncodeTable({.id = 9, .schema_version = 2, .phase = TablePhase::kRetired})),
            "0109020100");
}

// Protects what makes retries harmless.
TEST(FormatsTest, Session) {
  SessionRecord session{.session = 0x0102, .lowest = 3, .elapsed_us = 7};
  session.results[4] = {.item_version = 5, .item = "x"};
  session.results[6] = {.item_version = 6, .item_kept = false};
  EXPECT_EQ(Hex(SessionKey(0x0102)), "020000000000000102");
  EXPECT_EQ(Hex(EncodeSession(session)),
            "0102010000000000000307020405010178"
            "06060000");
  EXPECT_EQ(*DecodeSession(EncodeSession(session)), session);
  session.results = {{4, {.item_version = 5, .item = "x", .changed_nothing = true}}};
  EXPECT_EQ(Hex(EncodeSession(session)), "0102010000000000000307010405030178");
  EXPECT_EQ(*DecodeSession(EncodeSession(session)), session);
}

// Protects that a session record has one encoding: results stand in the order of their sequences.
TEST(FormatsTest, ASessionOutOfOrderIsRefused) {
  const absl::string_view header("\x01\x02\x01\x00\x00\x00\x00\x00\x00\x03\x07\x02", 12);
  const absl::string_view four("\x04\x05\x01\x00", 4);
  const absl::string_view six("\x06\x06\x01\x00", 4);
  EXPECT_TRUE(DecodeSession(absl::StrCat(header, four, six)).ok());
  for (const absl::string_view first : {six, four}) {
    EXPECT_EQ(DecodeSession(absl::StrCat(header, first, four)).status().code(),
              absl::StatusCode::kDataLoss);
  }
}

// Protects stored items and their versions.
TEST(FormatsTest, StoredItem) {
  std::string bytes;
  AppendStoredItem(300, 128, "item", &bytes);
  EXPECT_EQ(Hex(bytes), "01ac0280016974656d");
  const auto stored = DecodeStoredItem(bytes);
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->index, 300u);
  EXPECT_EQ(stored->time_us, 128);
  EXPECT_EQ(stored->item, "item");
}

// Protects the log's entries: replicas of different builds read the same effects.
TEST(FormatsTest, Effects) {
  EffectsWriter writer;
  writer.Put("k", "item");
  writer.Delete("d");
  writer.Session(1, 2, 1, {.item = "old"});
  writer.Table({.id = 9, .schema_version = 2, .phase = TablePhase::kRetired});
  const std::string payload = writer.Finish(1000, 10);
  EXPECT_EQ(Hex(payload),
            "01e8070a"
            "01016b046974656d"
            "020164"
            "0301000000000000000201"
            "01036f6c64"
            "04050109020100");
  EXPECT_TRUE(writer.empty());
  const auto effects = DecodeEffects(payload);
  ASSERT_TRUE(effects.ok());
  ASSERT_EQ(effects->effects.size(), 4u);
  EXPECT_EQ(effects->time_us, 1000);
  EXPECT_EQ(effects->effects[0].item, "item");
  EXPECT_EQ(effects->effects[2].sequence, 2u);
  EXPECT_EQ(effects->effects[3].table.id, 9u);
  writer.Session(1, 2, 1, {.item = "no", .changed_nothing = true});
  const std::string nothing = writer.Finish(1000, 10);
  EXPECT_EQ(Hex(nothing),
            "01e8070a"
            "0301000000000000000201"
            "03026e6f");
  EXPECT_EQ(DecodeEffects(nothing)->effects[0].flags, 3);
  writer.Hash("a", "b");
  const std::string range = writer.Finish(1000, 10);
  EXPECT_EQ(Hex(range), "01e8070a0801610162");
  EXPECT_EQ(DecodeEffects(range)->effects[0].key, "a");
  EXPECT_EQ(DecodeEffects(range)->effects[0].item, "b");
  writer.Era({.change = EraChange::kOpen, .buckets = {0, 1, 4095}});
  writer.Era({.change = EraChange::kCloseAll});
  const std::string eras = writer.Finish(1000, 10);
  EXPECT_EQ(Hex(eras),
            "01e8070a"
            "0506"
            "00030001fe1f"
            "0502"
            "0200");
  const auto decoded = DecodeEffects(eras);
  EXPECT_EQ(decoded->effects[0].era, (EraRecord{EraChange::kOpen, {0, 1, 4095}, 2000}));
  EXPECT_EQ(decoded->effects[1].era, (EraRecord{EraChange::kCloseAll, {}, 2000}));
}

// Protects old replicas from guessing: reserved and unknown tags and formats stop them.
TEST(FormatsTest, UnknownEffectsAreRefused) {
  EXPECT_EQ(DecodeEffects(absl::string_view("\x01\x01\x00\x06", 4)).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DecodeEffects("\x02").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DecodeEffects("\x01").status().code(), absl::StatusCode::kDataLoss);
}

// Protects the plan files of new replicas.
TEST(FormatsTest, Plan) {
  const std::string bytes = EncodePlan({1, 2});
  EXPECT_EQ(Hex(bytes.substr(0, 17)), "0101000000000000000200000000000000");
  EXPECT_EQ(bytes.size(), 21u);
  EXPECT_EQ(*DecodePlan(bytes), (model::TokenRange{1, 2}));
  std::string damaged = bytes;
  damaged[3] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(DecodePlan(damaged).status()));
  // Damage to the format is damage; another format under its own checksum is a newer program's.
  damaged = bytes;
  damaged[0] = 2;
  EXPECT_TRUE(absl::IsDataLoss(DecodePlan(damaged).status()));
  damaged.resize(damaged.size() - 4);
  PutFixed32(crc32c::Value(damaged), damaged);
  EXPECT_EQ(DecodePlan(damaged).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::IsDataLoss(DecodePlan("").status()));
}

}  // namespace
}  // namespace ringleader
