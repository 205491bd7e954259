// Protects the order and the bytes of stored keys.
#include "model/key_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "tests/unit/model/random_value.h"
#include "tests/unit/model/values.h"

namespace ringleader::model {
namespace {

// Short, from few bytes, so that prefixes of each other and zeros are common.
AttributeValue RandomKey(Random* random, AttributeType type) {
  if (type == AttributeType::kNumber) return AttributeValue::Number(RandomNumber(random));
  std::string bytes;
  for (uint64_t i = random->Below(5); i > 0; --i) {
    static constexpr char kBytes[] = {'\0', '\x01', '\xff', 'a', '\xfe', '\x02'};
    bytes += kBytes[random->Below(type == AttributeType::kString ? 2 : 6)];
  }
  return type == AttributeType::kString ? S(bytes) : B(bytes);
}

int Order(const AttributeValue& a, const AttributeValue& b) {
  if (!a.is_number()) {
    const int order = a.bytes().compare(b.bytes());
    return order < 0 ? -1 : order > 0;
  }
  return a.number() < b.number() ? -1 : b.number() < a.number();
}

// Golden: stored keys consist of these bytes. They may not change.
TEST(KeyCodecTest, GoldenKeys) {
  const AttributeValue partition = S(std::string("a\0b", 3));
  const AttributeValue sort = N("-1.5");
  const KeyView key{&partition, &sort};
  EXPECT_EQ(Hex(EncodeKeyAt(0x0102, 0x1122334455667788, key)),
            "10"
            "0000000000000102"
            "1122334455667788"
            "04"
            "6100ff62"
            "0001"
            "02"
            "017def"
            "ff");
  const AttributeValue binary = B("\xff");
  EXPECT_EQ(Hex(EncodeKeyAt(1, 2, {&binary, nullptr})),
            "10"
            "0000000000000001"
            "0000000000000002"
            "03"
            "ff"
            "0001");
  EXPECT_EQ(Hex(EncodeItemKey(1, {&binary, nullptr})),
            "100000000000000001f63dc89727d79dbb03ff0001");
}

// Protects that an item's key lies at its partition key's token, and is the prefix and sort key.
TEST(KeyCodecTest, ItemKeysLieAtTheirToken) {
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    const AttributeValue partition = RandomKey(&random, AttributeType::kBinary);
    const AttributeValue sort = RandomKey(&random, AttributeType::kNumber);
    const KeyView key{&partition, &sort};
    const Token token = TokenOfKey(5, partition);
    EXPECT_EQ(EncodeItemKey(5, key), EncodeKeyAt(5, token, key));
    EXPECT_TRUE(
        absl::StartsWith(EncodeItemKey(5, key), EncodePartitionPrefix(5, token, partition)));
    EXPECT_TRUE(TableRange(5, {token, token}).Contains(EncodeItemKey(5, key)));
    EXPECT_LE(EncodeItemKey(5, key).size(), kKeyBytesMax);
  }
}

// Protects every query: bytes compare as (id, token, partition key, sort key) do, for each type.
TEST(KeyCodecTest, BytesCompareAsKeysDo) {
  Random random(8);
  const AttributeType kTypes[] = {AttributeType::kString, AttributeType::kNumber,
                                  AttributeType::kBinary};
  for (int i = 0; i < 40000; ++i) {
    const AttributeType partition_type = kTypes[random.Below(3)];
    const AttributeType sort_type = kTypes[random.Below(3)];
    struct {
      uint64_t id, token;
      AttributeValue partition, sort;
    } keys[2];
    for (auto& key : keys) {
      key.id = random.Below(2) << 40;
      key.token = random.Below(2) << 63;
      key.partition = RandomKey(&random, partition_type);
      key.sort = RandomKey(&random, sort_type);
    }
    auto& [a, b] = keys;
    const int expected = a.id != b.id                           ? (a.id < b.id ? -1 : 1)
                         : a.token != b.token                   ? (a.token < b.token ? -1 : 1)
                         : Order(a.partition, b.partition) != 0 ? Order(a.partition, b.partition)
                                                                : Order(a.sort, b.sort);
    const std::string x = EncodeKeyAt(a.id, a.token, {&a.partition, &a.sort});
    const std::string y = EncodeKeyAt(b.id, b.token, {&b.partition, &b.sort});
    EXPECT_EQ(x < y ? -1 : y < x, expected) << Hex(x) << " " << Hex(y);
  }
}

// Protects partition keys that begin with each other from interleaving.
TEST(KeyCodecTest, PartitionKeysNeverInterleave) {
  const AttributeValue a = S("a"), a0 = S(std::string("a\0", 2)), ab = S("ab");
  for (const AttributeValue* other : {&a0, &ab}) {
    const std::string prefix = EncodePartitionPrefix(1, 1, a);
    const KeyRange range = PartitionKeyRange(prefix);
    const AttributeValue low = B(""), high = B(std::string(1024, '\xff'));
    EXPECT_TRUE(range.Contains(EncodeKeyAt(1, 1, {&a, &low})));
    EXPECT_TRUE(range.Contains(EncodeKeyAt(1, 1, {&a, &high})));
    EXPECT_TRUE(range.Contains(EncodeKeyAt(1, 1, {&a, nullptr})));
    EXPECT_FALSE(range.Contains(EncodeKeyAt(1, 1, {other, &low})));
    EXPECT_FALSE(range.Contains(EncodeKeyAt(1, 1, {other, &high})));
  }
}

// Protects reading keys back, and that damaged ones are refused.
TEST(KeyCodecTest, DecodesWhatItEncodes) {
  Random random(9);
  for (int i = 0; i < 5000; ++i) {
    const AttributeValue partition = RandomKey(&random, AttributeType::kBinary);
    const AttributeValue sort = RandomKey(&random, AttributeType::kNumber);
    const bool has_sort = random.Chance(0.5);
    const KeyView key{&partition, has_sort ? &sort : nullptr};
    std::string bytes = EncodeItemKey(random.Next(), key);
    const absl::StatusOr<DecodedKey> decoded = DecodeItemKey(bytes);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->partition, partition);
    EXPECT_EQ(decoded->sort.has_value(), has_sort);
    EXPECT_EQ(decoded->sort.value_or(AttributeValue()), has_sort ? sort : AttributeValue());
    EXPECT_FALSE(DecodeItemKey(bytes + '\x02').ok());
    EXPECT_FALSE(DecodeItemKey(absl::string_view(bytes).substr(0, random.Below(18))).ok());
    bytes[17 + random.Below(bytes.size() - 17)] ^= static_cast<char>(1 << random.Below(8));
    const absl::StatusOr<DecodedKey> damaged = DecodeItemKey(bytes);
    if (damaged.ok()) {  // then it is another key, and only that
      const KeyView other{&damaged->partition, damaged->sort ? &*damaged->sort : nullptr};
      EXPECT_EQ(EncodeKeyAt(damaged->table, damaged->token, other), bytes);
    }
  }
  EXPECT_EQ(DecodeItemKey("").status().code(), absl::StatusCode::kDataLoss);
}

// Protects sort-key conditions: a range holds exactly the keys that satisfy the condition.
TEST(KeyCodecTest, SortRangesHoldWhatSatisfiesTheCondition) {
  using Operator = SortCondition::Operator;
  Random random(10);
  const AttributeValue partition = S("p");
  const std::string prefix = EncodePartitionPrefix(1, 1, partition);
  int hits = 0;
  for (int i = 0; i < 40000; ++i) {
    const AttributeType type = i % 3 == 0   ? AttributeType::kString
                               : i % 3 == 1 ? AttributeType::kNumber
                                            : AttributeType::kBinary;
    SortCondition condition;
    condition.op = static_cast<Operator>(random.Below(type == AttributeType::kNumber ? 6 : 7));
    condition.low = RandomKey(&random, type);
    condition.high = RandomKey(&random, type);
    const AttributeValue sort = random.Chance(0.2) ? condition.low : RandomKey(&random, type);
    bool expected = false;
    const int low = Order(sort, condition.low);
    switch (condition.op) {
      case Operator::kEqual:
        expected = low == 0;
        break;
      case Operator::kLess:
        expected = low < 0;
        break;
      case Operator::kLessOrEqual:
        expected = low <= 0;
        break;
      case Operator::kGreater:
        expected = low > 0;
        break;
      case Operator::kGreaterOrEqual:
        expected = low >= 0;
        break;
      case Operator::kBetween:
        expected = low >= 0 && Order(sort, condition.high) <= 0;
        break;
      case Operator::kBeginsWith:
        expected = absl::StartsWith(sort.bytes(), condition.low.bytes());
        break;
    }
    const std::string key = EncodeKeyAt(1, 1, {&partition, &sort});
    EXPECT_EQ(SortKeyRange(prefix, condition).Contains(key), expected) << Hex(key);
    EXPECT_EQ(Satisfies(sort, condition), expected);
    hits += expected;
  }
  EXPECT_GT(hits, 5000);
}

// Protects a partition's share of a table: exactly the tokens asked for, ends included.
TEST(KeyCodecTest, TableRangesEndAtTheirTokens) {
  const AttributeValue key = B(std::string(100, '\xff'));
  const auto at = [&](TableId id, Token token) { return EncodeKeyAt(id, token, {&key, nullptr}); };
  const KeyRange range = TableRange(5, {10, 20});
  EXPECT_FALSE(range.Contains(at(5, 9)));
  EXPECT_TRUE(range.Contains(at(5, 10)));
  EXPECT_TRUE(range.Contains(at(5, 20)));
  EXPECT_FALSE(range.Contains(at(5, 21)));
  EXPECT_FALSE(range.Contains(at(6, 15)));
  EXPECT_TRUE(TableRange(5, {}).Contains(at(5, UINT64_MAX)));
  EXPECT_TRUE(TableRange(5, {}).Contains(at(5, 0)));
  EXPECT_FALSE(TableRange(5, {}).Contains(at(6, 0)));
  EXPECT_TRUE(TableRange(UINT64_MAX, {}).Contains(at(UINT64_MAX, UINT64_MAX)));
  EXPECT_EQ(PrefixEnd("\xff\xff"), "");
  EXPECT_EQ(PrefixEnd("a\xff"), "b");
}

}  // namespace
}  // namespace ringleader::model
