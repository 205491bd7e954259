// Protects the bytes on disk: a log written by any version of this program must stay readable. If a
// golden test fails, the change needs a new kLogVersion, not new golden bytes.
#include "replication/log_format.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/coding.h"
#include "common/crc32c.h"
#include "replication/log_batch.h"
#include "replication/log_table.h"

namespace ringleader::replication {
namespace {

const SegmentHeader kHeader = {0x1111, 5, 3, 42, 0xabcdef, 7};

std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

TEST(LogFormatTest, GoldenSegmentHeader) {
  const std::string block = EncodeSegmentHeader(kHeader);
  ASSERT_EQ(block.size(), kBlockBytes);
  EXPECT_EQ(Hex(block.substr(4, 60)),
            "52494e474c534547"    // magic "RINGLSEG"
            "01000000"            // version
            "1111000000000000"    // cluster
            "0500000000000000"    // node
            "0300000000000000"    // segment
            "2a00000000000000"    // first sequence
            "efcdab0000000000"    // salt
            "0700000000000000");  // void from
  EXPECT_EQ(block.substr(64), std::string(kBlockBytes - 64, '\0'));
  EXPECT_EQ(LoadFixed32(block.data()), crc32c::Value(block.substr(4)));
  EXPECT_EQ(*DecodeSegmentHeader(block), kHeader);
}

TEST(LogFormatTest, ANewerVersionIsRefusedAndDamageIsDamage) {
  std::string block = EncodeSegmentHeader(kHeader);
  block[20] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(DecodeSegmentHeader(block).status()));
  block[20] ^= 1;
  StoreFixed32(kLogVersion + 1, &block[12]);
  StoreFixed32(crc32c::Value(block.substr(4)), &block[0]);
  EXPECT_TRUE(absl::IsFailedPrecondition(DecodeSegmentHeader(block).status()));
}

TEST(LogFormatTest, GoldenPage) {
  const BatchHeader batch{
      .sequence = 9, .oldest_segment = 2, .start_block = 4, .table_bytes = 3, .payload_bytes = 2};
  std::string pages;
  AppendPages(kHeader, batch, PageCopy::kTail, "abcde", pages);
  ASSERT_EQ(pages.size(), kBlockBytes);
  EXPECT_EQ(Hex(pages.substr(0, 69)),
            "bcddab08"          // checksum
            "524c5047"          // magic "RLPG"
            "01000000"          // version
            "01000000"          // tail
            "0300000000000000"  // segment
            "0900000000000000"  // sequence
            "0200000000000000"  // oldest segment
            "05000000"          // this block
            "04000000"          // the batch's first block
            "00000000"          // part
            "03000000"          // bytes of the table
            "02000000"          // bytes of the payloads
            "00000000"          // not used
            "6162636465");
  const std::optional<Page> page = DecodePage(kHeader, 5, pages);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->batch, batch);
  EXPECT_EQ(page->data, "abcde");
}

TEST(LogFormatTest, APageCountsOnlyWhereItBelongs) {
  const BatchHeader batch{.sequence = 9, .start_block = 4, .table_bytes = 3};
  std::string page;
  AppendPages(kHeader, batch, PageCopy::kHead, "abc", page);
  EXPECT_TRUE(DecodePage(kHeader, 4, page).has_value());
  EXPECT_FALSE(DecodePage(kHeader, 5, page).has_value());  // a misdirected write
  EXPECT_EQ(SequenceOfStray(kHeader, 5, page), 9u);
  EXPECT_FALSE(SequenceOfStray(kHeader, 4, page).has_value());
  SegmentHeader other = kHeader;
  other.salt ^= 1;  // a payload that imitates a page doesn't know the salt
  EXPECT_FALSE(DecodePage(other, 4, page).has_value());
  EXPECT_FALSE(SequenceOfStray(other, 5, page).has_value());
  for (const size_t at : {0u, 10u, 50u, 66u, 4095u}) {
    std::string bad = page;
    bad[at] ^= 4;
    EXPECT_FALSE(DecodePage(kHeader, 4, bad).has_value()) << at;
  }
}

TEST(LogFormatTest, CopiesOfATableNeverShareABlock) {
  for (const uint32_t table_bytes : {1u, 4032u, 4033u, 100000u}) {
    for (const uint32_t payload_bytes : {0u, 1u, 4031u, 4032u, 70000u}) {
      const BatchHeader batch{
          .start_block = 2, .table_bytes = table_bytes, .payload_bytes = payload_bytes};
      const uint32_t head = PageBlock(batch, PageCopy::kHead, batch.parts() - 1);
      const uint32_t tail = PageBlock(batch, PageCopy::kTail, 0);
      EXPECT_EQ(head + 1 + batch.payload_blocks(), tail);
      EXPECT_EQ(PageBlock(batch, PageCopy::kTail, batch.parts() - 1) + 1, batch.end_block());
      EXPECT_EQ(batch.inlined(), batch.payload_blocks() == 0 &&
                                     (payload_bytes == 0 || batch.parts() == 1) &&
                                     batch.stream_bytes() <= kPageDataBytes);
    }
  }
}

std::vector<LogItem> OneOfEach() {
  SnapshotMeta snapshot;
  snapshot.last = {3, 300};
  snapshot.generation = 8;
  snapshot.configuration = {{{1, 11}}, {{2, 12}}, {{3, 13}}, 6};
  GroupState state;
  state.group = 4;
  state.creation = {9, "p"};
  state.suspect = true;
  state.hard_state = {5, 2};
  state.snapshot = snapshot;
  state.applied = 77;
  state.compacted = {2, 10};
  state.promised = {4, 14};
  state.runs = {{11, 3}, {13, 4}};
  state.damage = {{12, 12, 3, DamageKind::kInDoubt}};
  GroupState tombstone;
  tombstone.group = 5;
  tombstone.creation = {3, "q"};
  tombstone.destroyed = true;
  EntriesItem entries{
      1,
      false,
      7,
      {{2, EntryKind::kEmpty, 0, 0x01020304}, {3, EntryKind::kCommand, 300, 0x05060708}}};
  EntriesItem replaced = entries;
  replaced.replaces_only = true;
  return {CreateItem{1, {2, "plan"}},
          HardStateItem{1, {300, 2}},
          SnapshotItem{1, snapshot},
          TruncateItem{1, 6},
          entries,
          replaced,
          AppliedItem{1, 5},
          CompactItem{1, {2, 7}},
          DestroyItem{1},
          CheckpointItem{true, {state, tombstone}}};
}

TEST(LogFormatTest, GoldenTable) {
  EXPECT_EQ(
      Hex(EncodeTable(OneOfEach())),
      "0a"                                // ten items
      "01010204706c616e"                  // create
      "0201ac0202"                        // term and vote
      "030103ac02080601010b01020c01030d"  // snapshot
      "040106"                            // truncate
      "05010702020103010004030201c1250807060506010702020103010004030201c12508070605070105"  // applied
      "08010207"  // compact
      "0901"      // destroy
      "0a0102"    // checkpoint of two groups
      "0406090170050203ac02080601010b01020c01030d4d020a0e020b030d04010c0c030501030171");
}

TEST(LogFormatTest, ATableReadsBackAndNoOtherBytesDo) {
  const std::string table = EncodeTable(OneOfEach());
  const auto items = DecodeTable(table);
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_EQ(EncodeTable(*items), table);
  for (size_t size = 0; size < table.size(); ++size) {
    EXPECT_FALSE(DecodeTable(table.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeTable(table + "x").ok());
  // Hostile bytes must end in a status: no crash, no huge allocation.
  for (size_t at = 0; at < table.size(); ++at) {
    for (const char byte : {'\x00', '\x7f', '\xff'}) {
      std::string bad = table;
      bad[at] = byte;
      DecodeTable(bad).status().IgnoreError();
    }
  }
}

TEST(LogFormatTest, AnEntrysChecksumCoversWhatItIs) {
  const uint32_t checksum = EntryChecksum(1, 2, 3, EntryKind::kCommand, "payload");
  EXPECT_EQ(checksum, 0xd35d0b45u);  // on disk
  EXPECT_NE(checksum, EntryChecksum(2, 2, 3, EntryKind::kCommand, "payload"));
  EXPECT_NE(checksum, EntryChecksum(1, 3, 3, EntryKind::kCommand, "payload"));
  EXPECT_NE(checksum, EntryChecksum(1, 2, 4, EntryKind::kCommand, "payload"));
  EXPECT_NE(checksum, EntryChecksum(1, 2, 3, EntryKind::kConfiguration, "payload"));
  EXPECT_NE(checksum, EntryChecksum(1, 2, 3, EntryKind::kCommand, "payloae"));
}

TEST(LogFormatTest, SegmentNamesSortLikeNumbers) {
  EXPECT_EQ(SegmentName(42), "00000000000000000042.segment");
  EXPECT_EQ(ParseSegmentName("00000000000000000042.segment"), 42u);
  EXPECT_EQ(ParseSegmentName("LOCK"), std::nullopt);
  EXPECT_EQ(ParseSegmentName("0000000000000000004x.segment"), std::nullopt);
  EXPECT_EQ(ParseSegmentName("42.segment"), std::nullopt);
}

}  // namespace
}  // namespace ringleader::replication
