// Protects the value type that every layer holds data in.
#include "model/attribute_value.h"

#include <gtest/gtest.h>

#include "model/item.h"
#include "tests/unit/model/random_value.h"

namespace ringleader::model {
namespace {

std::string Error(const absl::StatusOr<AttributeValue>& value) {
  return std::string(value.status().message());
}

// Protects that a set is one value in whatever order it was given.
TEST(AttributeValueTest, SetsAreUnordered) {
  EXPECT_EQ(*AttributeValue::StringSet({"b", "a", ""}), *AttributeValue::StringSet({"a", "", "b"}));
  EXPECT_EQ(*AttributeValue::NumberSet({Decimal(2), Decimal(-1)}),
            *AttributeValue::NumberSet({Decimal(-1), Decimal(2)}));
  EXPECT_FALSE(*AttributeValue::StringSet({"a"}) == *AttributeValue::BinarySet({"a"}));
  EXPECT_EQ(AttributeValue::BinarySet({"b", "a"})->binary_set(),
            (std::vector<std::string>{"a", "b"}));
}

// Protects DynamoDB's refusals of sets, word for word.
TEST(AttributeValueTest, RefusesEmptySetsAndDuplicates) {
  EXPECT_EQ(Error(AttributeValue::StringSet({})),
            "One or more parameter values were invalid: An string set  may not be empty");
  EXPECT_EQ(Error(AttributeValue::NumberSet({})),
            "One or more parameter values were invalid: An number set  may not be empty");
  EXPECT_EQ(Error(AttributeValue::BinarySet({})),
            "One or more parameter values were invalid: Binary sets should not be empty");
  EXPECT_EQ(Error(AttributeValue::StringSet({"b", "a", "b"})),
            "One or more parameter values were invalid: Input collection [b, a, b] contains "
            "duplicates.");
  EXPECT_EQ(Error(AttributeValue::NumberSet({*Decimal::Parse("1.0"), Decimal(1)})),
            "Input collection contains duplicates");
  EXPECT_FALSE(AttributeValue::BinarySet({"x", "x"}).ok());
}

// Protects equality: type and content, at every depth, numbers by value.
TEST(AttributeValueTest, ComparesDeeply) {
  Random random(4);
  for (int i = 0; i < 2000; ++i) {
    const AttributeValue a = RandomValue(&random, 4);
    const AttributeValue copy = a;
    EXPECT_EQ(a, copy);
    AttributeValue::List list;
    list.push_back(a);
    EXPECT_FALSE(AttributeValue::FromList(list) == a);
    list.push_back(AttributeValue::Null());
    EXPECT_EQ(AttributeValue::FromList(list), AttributeValue::FromList(list));
  }
  EXPECT_FALSE(AttributeValue::String("1") == AttributeValue::Number(Decimal(1)));
  EXPECT_FALSE(AttributeValue::String("1") == AttributeValue::Binary("1"));
  EXPECT_FALSE(AttributeValue::Bool(true) == AttributeValue::Bool(false));
  EXPECT_FALSE(NestedValue(9) == NestedValue(10));
}

// Protects the stack: a value nested beyond any limit is compared and destroyed without recursion.
TEST(AttributeValueTest, DeepNestingIsSafe) {
  for (const bool maps : {false, true}) {
    AttributeValue a = NestedValue(300000, maps);
    AttributeValue b = NestedValue(300000, maps);
    EXPECT_TRUE(a == b);
    EXPECT_EQ(Levels(a), kLevelsMax + 1);
    b = std::move(a);
  }
}

// Protects the limit of 32 levels as DynamoDB counts: 31 containers around a scalar.
TEST(AttributeValueTest, CountsLevels) {
  EXPECT_EQ(Levels(AttributeValue::Null()), 1);
  EXPECT_EQ(Levels(NestedValue(32)), 32);
  EXPECT_EQ(Levels(NestedValue(33)), 33);
  Item item;
  item.Set("a", NestedValue(32, true));
  EXPECT_TRUE(ValidateItem(item).ok());
  item.Set("a", NestedValue(33, true));
  EXPECT_EQ(ValidateItem(item).message(),
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested "
            "levels beyond supported limit");
}

// Protects lookup, replacement and removal by name.
TEST(AttributeMapTest, FindsSetsAndErases) {
  AttributeMap map;
  for (const char* name : {"m", "z", "a", "b"}) map.Set(name, AttributeValue::String(name));
  map.Set("b", AttributeValue::Bool(true));
  ASSERT_EQ(map.size(), 4u);
  EXPECT_EQ(map.begin()->name, "a");
  EXPECT_EQ(*map.Find("b"), AttributeValue::Bool(true));
  EXPECT_EQ(map.Find("c"), nullptr);
  EXPECT_TRUE(map.Erase("a"));
  EXPECT_FALSE(map.Erase("a"));
  EXPECT_EQ(map.Find("a"), nullptr);
}

// Protects against two values under one name.
TEST(AttributeMapTest, RefusesNamesTwice) {
  std::vector<Attribute> twice;
  twice.push_back({"b", AttributeValue::Null()});
  twice.push_back({"a", AttributeValue::Null()});
  twice.push_back({"b", AttributeValue::Null()});
  EXPECT_EQ(AttributeMap::FromUnsorted(std::move(twice)).status().message(),
            "attribute name occurs twice: b");
}

// Protects the size count: the developer guide's rules, and figures measured on the real service
// (a list element costs 1, {"a": "b"} in a list costs 7).
TEST(ItemTest, CountsSizeAsDynamoDb) {
  EXPECT_EQ(ValueBytes(AttributeValue::String("é")), 2u);
  EXPECT_EQ(ValueBytes(AttributeValue::Binary("abc")), 3u);
  EXPECT_EQ(ValueBytes(AttributeValue::Bool(true)), 1u);
  EXPECT_EQ(ValueBytes(AttributeValue::Null()), 1u);
  EXPECT_EQ(ValueBytes(AttributeValue::Number(Decimal(1234))), 3u);
  EXPECT_EQ(ValueBytes(*AttributeValue::StringSet({"a", "bc"})), 3u);
  EXPECT_EQ(ValueBytes(*AttributeValue::NumberSet({Decimal(1), Decimal(-1)})), 5u);
  EXPECT_EQ(ValueBytes(AttributeValue::FromList({})), 3u);
  EXPECT_EQ(ValueBytes(AttributeValue::FromMap({})), 3u);
  AttributeMap inner;
  inner.Set("a", AttributeValue::String("b"));
  EXPECT_EQ(ValueBytes(AttributeValue::FromMap(inner)), 6u);
  EXPECT_EQ(ValueBytes(AttributeValue::FromList({AttributeValue::FromMap(inner)})), 10u);
  Item item;
  item.Set("pk", AttributeValue::String("m800"));
  item.Set("n", AttributeValue::Number(Decimal(1)));
  EXPECT_EQ(ItemBytes(item), 2u + 4 + 1 + 2);
}

// Protects the 400 KB limit at its edge.
TEST(ItemTest, LimitsSizeAndNames) {
  Item item;
  item.Set("a", AttributeValue::String(std::string(kItemBytesMax - 1, 'x')));
  EXPECT_TRUE(ValidateItem(item).ok());
  item.Set("a", AttributeValue::String(std::string(kItemBytesMax, 'x')));
  EXPECT_EQ(ValidateItem(item).message(), "Item size has exceeded the maximum allowed size");
  EXPECT_EQ(ValidateItem(item, kUpdateTooLarge).message(),
            "Item size to update has exceeded the maximum allowed size");
  Item unnamed;
  unnamed.Set("", AttributeValue::Null());
  EXPECT_FALSE(ValidateItem(unnamed).ok());
  Item nested;
  nested.Set("a", AttributeValue::FromList({AttributeValue::FromMap(unnamed)}));
  EXPECT_FALSE(ValidateItem(nested).ok());
  Item long_name;
  long_name.Set(std::string(kAttributeNameBytesMax, 'n'), AttributeValue::Null());
  EXPECT_TRUE(ValidateItem(long_name).ok());
  long_name.Set(std::string(kAttributeNameBytesMax + 1, 'n'), AttributeValue::Null());
  EXPECT_FALSE(ValidateItem(long_name).ok());
}

}  // namespace
}  // namespace ringleader::model
