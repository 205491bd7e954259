// Protects the bytes of items: what is on the wire, in the log and in the store.
#include "model/item_codec.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "model/error.h"
#include "tests/unit/model/random_value.h"
#include "tests/unit/model/values.h"

namespace ringleader::model {
namespace {

std::string DecodeError(absl::string_view hex) {
  const absl::StatusOr<AttributeValue> value = DecodeValue(absl::HexStringToBytes(hex));
  return value.ok() ? "ok" : std::string(value.status().message());
}

std::string ItemError(absl::string_view hex) {
  const absl::StatusOr<Item> item = DecodeItem(absl::HexStringToBytes(hex));
  return item.ok() ? "ok" : std::string(item.status().message());
}

// Golden: stored items consist of these bytes. They may not change.
TEST(ItemCodecTest, GoldenValues) {
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::String("hi"))), "0a026869");
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::String(""))), "0a00");
  EXPECT_EQ(Hex(EncodeValue(N("-1.50"))), "12042d312e35");
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::Binary(std::string("\0\xff", 2)))), "1a0200ff");
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::Bool(true))), "2001");
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::Bool(false))), "2000");
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::Null())), "2801");
  AttributeMap map;
  map.Set("k", AttributeValue::Null());
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::FromMap(map))), "32090a070a016b12022801");
  EXPECT_EQ(Hex(EncodeValue(AttributeValue::FromList({AttributeValue::Null(), N("7")}))),
            "3a090a0228010a03120137");
  EXPECT_EQ(Hex(EncodeValue(*AttributeValue::StringSet({"b", "a"}))), "42060a01610a0162");
  EXPECT_EQ(Hex(EncodeValue(*AttributeValue::NumberSet({Decimal(10), Decimal(9)}))),
            "4a070a01390a023130");
  EXPECT_EQ(Hex(EncodeValue(*AttributeValue::BinarySet({"\x01", ""}))), "52050a000a0101");
}

// Golden: an item, its attributes sorted by name.
TEST(ItemCodecTest, GoldenItem) {
  Item item;
  item.Set("pk", AttributeValue::String("user#1"));
  item.Set("age", N("42"));
  EXPECT_EQ(Hex(EncodeItem(item)), "0a0b0a036167651204120234320a0e0a02706b12080a06757365722331");
  EXPECT_EQ(EncodeItem(Item()), "");
}

// Protects every value through both halves, the measured size, and the one canonical form.
TEST(ItemCodecTest, RoundTripsRandomItems) {
  Random random(5);
  for (int i = 0; i < 5000; ++i) {
    const Item item = RandomMap(&random, 5);
    const std::string bytes = EncodeItem(item);
    EXPECT_EQ(bytes.size(), EncodedBytes(item));
    const absl::StatusOr<Item> back = DecodeItem(bytes);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_TRUE(*back == item);
    EXPECT_EQ(EncodeItem(*back), bytes);
  }
}

// Protects memory safety and boundedness: damaged bytes give an error or some valid item, which
// itself encodes and decodes.
TEST(ItemCodecTest, SurvivesDamage) {
  Random random(6);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = EncodeItem(RandomMap(&random, 4));
    for (uint64_t flips = 1 + random.Below(3); flips > 0 && !bytes.empty(); --flips) {
      bytes[random.Below(bytes.size())] ^= static_cast<char>(1 << random.Below(8));
    }
    if (random.Chance(0.3) && !bytes.empty()) bytes.resize(random.Below(bytes.size()));
    const absl::StatusOr<Item> item = DecodeItem(bytes);
    if (!item.ok()) {
      ++refused;
      continue;
    }
    const absl::StatusOr<Item> again = DecodeItem(EncodeItem(*item));
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(*again == *item);
  }
  EXPECT_GT(refused, 5000);
}

// Protects that other libraries' orders and long varints are read.
TEST(ItemCodecTest, AcceptsAnyOrderAndBecomesCanonical) {
  const std::string reordered = absl::HexStringToBytes(
      "0a0e0a02706b12080a06757365722331"
      "0a0b1204120234320a03616765");
  const absl::StatusOr<Item> item = DecodeItem(reordered);
  ASSERT_TRUE(item.ok()) << item.status();
  EXPECT_EQ(Hex(EncodeItem(*item)), "0a0b0a036167651204120234320a0e0a02706b12080a06757365722331");
  EXPECT_EQ(*DecodeValue(absl::HexStringToBytes("0a82006869")), AttributeValue::String("hi"));
  EXPECT_EQ(*DecodeValue(absl::HexStringToBytes("4a0a0a0331653"
                                                "10a0339"
                                                "2e30")),
            *AttributeValue::NumberSet({Decimal(9), Decimal(10)}));
}

constexpr char kEmptyValue[] =
    "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";

// Protects that each malformation of a value is refused, and named.
TEST(ItemCodecTest, NamesWhatIsWrong) {
  const char kSecond[] =
      "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
      "supported datatypes";
  EXPECT_EQ(DecodeError(""), kEmptyValue);
  EXPECT_EQ(DecodeError("0a00"
                        "0a00"),
            kSecond);
  EXPECT_EQ(DecodeError("0a00"
                        "2801"),
            kSecond);
  EXPECT_EQ(DecodeError("5a00"), "AttributeValue has an unknown field: number 11, wire type 2");
  EXPECT_EQ(DecodeError("0a00"
                        "5a00"),
            "AttributeValue has an unknown field: number 11, wire type 2");
  EXPECT_EQ(DecodeError("0801"), "AttributeValue has an unknown field: number 1, wire type 0");
  EXPECT_EQ(DecodeError("2201"
                        "01"),
            "AttributeValue has an unknown field: number 4, wire type 2");
  EXPECT_EQ(DecodeError("0a05"
                        "68"),
            "AttributeValue ends inside a field");
  EXPECT_EQ(DecodeError("0a"), "AttributeValue ends inside a field");
  EXPECT_EQ(DecodeError("00"), "AttributeValue ends inside a field");
  EXPECT_EQ(DecodeError("0affffffffffffffffffff01"), "AttributeValue ends inside a field");
  EXPECT_EQ(DecodeError("2002"), "AttributeValue has a flag that is neither 0 nor 1");
  EXPECT_EQ(DecodeError("2800"),
            "One or more parameter values were invalid: Null attribute value types must have the "
            "value of true");
  EXPECT_EQ(DecodeError("0a02c328"), "a string is not valid UTF-8");
  EXPECT_EQ(DecodeError("420"
                        "40a02c328"),
            "a string is not valid UTF-8");
  EXPECT_EQ(DecodeError("1200"), "The parameter cannot be converted to a numeric value");
  EXPECT_EQ(DecodeError("120178"), "The parameter cannot be converted to a numeric value: x");
  EXPECT_EQ(DecodeError("4200"),
            "One or more parameter values were invalid: An string set  may not be empty");
  EXPECT_EQ(DecodeError("3a02"
                        "0a00"),
            kEmptyValue);
  EXPECT_EQ(DecodeError("3a02"
                        "1200"),
            "List has an unknown field: number 2, wire type 2");
}

// Protects that each malformation of an item is refused, and named.
TEST(ItemCodecTest, NamesWhatIsWrongInAnItem) {
  EXPECT_EQ(ItemError("0a03"
                      "0a0161"),
            kEmptyValue);
  EXPECT_EQ(ItemError("0a0a"
                      "0a0161"
                      "0a0161"
                      "12022801"),
            "Attribute has field 1 twice");
  EXPECT_EQ(ItemError("0a0b"
                      "0a0161"
                      "12022801"
                      "12022801"),
            "Attribute has field 2 twice");
  EXPECT_EQ(ItemError("0a07"
                      "0a0161"
                      "12022801"
                      "0a07"
                      "0a0161"
                      "12022801"),
            "attribute name occurs twice: a");
  EXPECT_EQ(ItemError("0a07"
                      "0a01ff"
                      "12022801"),
            "an attribute name is not valid UTF-8");
  EXPECT_EQ(ItemError("1200"), "Item has an unknown field: number 2, wire type 2");
  EXPECT_TRUE(IsSerializationError(DecodeItem("\x12").status()));
  EXPECT_FALSE(IsSerializationError(DecodeValue("").status()));
}

// Protects the stack from bytes: nesting is refused at the first level beyond the limit.
TEST(ItemCodecTest, BoundsLevels) {
  EXPECT_TRUE(DecodeValue(EncodeValue(NestedValue(kLevelsMax))).ok());
  EXPECT_TRUE(DecodeValue(EncodeValue(NestedValue(kLevelsMax, true))).ok());
  EXPECT_EQ(DecodeValue(EncodeValue(NestedValue(kLevelsMax + 1))).status().message(),
            NestedTooDeeply().message());
  EXPECT_EQ(DecodeValue(EncodeValue(NestedValue(kLevelsMax + 1, true))).status().message(),
            NestedTooDeeply().message());
}

// Protects kEncodedBytesMax: no item that is allowed is too long to be read back. The worst by
// bytes of encoding for each byte counted are sets and lists of short numbers with many zeros.
TEST(ItemCodecTest, EveryAllowedItemFits) {
  std::vector<Decimal> elements;
  for (int64_t i = 1; elements.size() < 130000; ++i) {
    if (i % 10 != 0) elements.push_back(*Decimal::Parse(absl::StrCat(i, "E6")));
  }
  Item item;
  item.Set("a", *AttributeValue::NumberSet(std::move(elements)));
  EXPECT_LT(ItemBytes(item), 4 * kItemBytesMax);
  EXPECT_LE(EncodedBytes(item) * kItemBytesMax, kEncodedBytesMax * ItemBytes(item));
  Item list;
  list.Set("a", AttributeValue::FromList(AttributeValue::List(136000, N("1E6"))));
  EXPECT_TRUE(ValidateItem(list).ok());
  EXPECT_TRUE(DecodeItem(EncodeItem(list)).ok());
  EXPECT_FALSE(DecodeItem(std::string(kEncodedBytesMax + 1, '\n')).ok());
}

}  // namespace
}  // namespace ringleader::model
