#include "model/packed_item.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/random.h"
#include "tests/unit/model/random_value.h"

namespace ringleader::model {
namespace {

std::string Packed(const Item& item) {
  std::string bytes(PackedBytes(item), '\0');
  EXPECT_EQ(PackItem(item, bytes.data()), bytes.data() + bytes.size());
  return bytes;
}

// Protects readers from memory: what is unpacked is the item, of every type and at every size of a
// count.
TEST(PackedItemTest, EveryItemComesBack) {
  Random random(11);
  for (int i = 0; i < 5000; ++i) {
    Item item = RandomMap(&random, 1 + static_cast<int>(random.Below(5)));
    item.Set("long", AttributeValue::Binary(std::string(random.Below(600), 'x')));
    const std::string bytes = Packed(item);
    EXPECT_EQ(PackedItem(bytes.data()).Unpack(), item);
  }
}

TEST(PackedItemTest, TheLimitsOfACount) {
  for (const size_t size : {0, 1, 254, 255, 256, 65535, 65536, 300000}) {
    Item item;
    item.Set(std::string(size % kAttributeNameBytesMax, 'n'),
             AttributeValue::String(std::string(size, 'v')));
    AttributeValue::List list(size);
    item.Set("list", AttributeValue::FromList(std::move(list)));
    if (size > 0 && size < 1000) {
      AttributeMap map;
      std::vector<std::string> texts;
      std::vector<Decimal> numbers;
      for (size_t i = 0; i < size; ++i) {
        map.Set(std::to_string(i), AttributeValue::Null());
        texts.push_back(std::to_string(i));
        numbers.emplace_back(static_cast<int64_t>(i));
      }
      item.Set("map", AttributeValue::FromMap(std::move(map)));
      item.Set("texts", *AttributeValue::StringSet(texts));
      item.Set("binaries", *AttributeValue::BinarySet(texts));
      item.Set("numbers", *AttributeValue::NumberSet(numbers));
    }
    const std::string bytes = Packed(item);
    Item unpacked;
    unpacked.Set("before", AttributeValue::Bool(true));
    PackedItem(bytes.data()).UnpackTo(&unpacked);
    EXPECT_EQ(unpacked, item) << size;
  }
}

TEST(PackedItemTest, AsDeepAsAnUpdateNests) {
  for (const bool maps : {false, true}) {
    Item item;
    item.Set("deep", NestedValue(2 * kLevelsMax, maps));
    const std::string bytes = Packed(item);
    EXPECT_EQ(PackedItem(bytes.data()).Unpack(), item);
  }
}

TEST(PackedItemTest, AnItemOfTwoShortAttributesTakesLittle) {
  Item item;
  item.Set("id", AttributeValue::String("key-12"));
  item.Set("value", AttributeValue::Binary(std::string(100, 'x')));
  EXPECT_EQ(PackedBytes(item), 1u + (3 + 1 + 7) + (6 + 1 + 101));
}

}  // namespace
}  // namespace ringleader::model
