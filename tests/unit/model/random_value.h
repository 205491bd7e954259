// Random values for the model's tests: every type, every edge, bounded nesting.
#ifndef RINGLEADER_TESTS_UNIT_MODEL_RANDOM_VALUE_H_
#define RINGLEADER_TESTS_UNIT_MODEL_RANDOM_VALUE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "model/attribute_value.h"
#include "model/item.h"

namespace ringleader::model {

inline std::string RandomText(Random* random) {
  static constexpr const char* kPieces[] = {"a",    "b", "Z",  "0", " ", "\"", "\\", "\n",
                                            "\x01", "é", "漢", "😀", ".", "[",  "#"};
  std::string text;
  for (uint64_t i = random->Below(6); i > 0; --i) text += kPieces[random->Below(15)];
  return text;
}

inline std::string RandomBytes(Random* random) {
  std::string bytes;
  for (uint64_t i = random->Below(6); i > 0; --i) {
    bytes += static_cast<char>(random->Chance(0.5) ? random->Below(3) : random->Below(256));
  }
  return bytes;
}

inline Decimal RandomNumber(Random* random) {
  if (random->Chance(0.5)) return Decimal(random->Between(-1000, 1000));
  std::string text = random->Chance(0.5) ? "-" : "";
  for (uint64_t i = random->Between(1, 38); i > 0; --i) {
    text += static_cast<char>('0' + random->Below(10));
  }
  const absl::StatusOr<Decimal> number =
      Decimal::Parse(absl::StrCat(text, "E", random->Between(-130, 125)));
  return number.ok() ? *number : Decimal();
}

AttributeMap RandomMap(Random* random, int levels);

inline AttributeValue RandomSet(Random* random) {
  for (;;) {  // until there is no duplicate
    absl::StatusOr<AttributeValue> set = AttributeValue();
    const uint64_t kind = random->Below(3);
    const uint64_t size = 1 + random->Below(4);
    if (kind == 0) {
      std::vector<Decimal> elements;
      for (uint64_t i = 0; i < size; ++i) elements.push_back(RandomNumber(random));
      set = AttributeValue::NumberSet(std::move(elements));
    } else {
      std::vector<std::string> elements;
      for (uint64_t i = 0; i < size; ++i) {
        elements.push_back(kind == 1 ? RandomText(random) : RandomBytes(random));
      }
      set = kind == 1 ? AttributeValue::StringSet(std::move(elements))
                      : AttributeValue::BinarySet(std::move(elements));
    }
    if (set.ok()) return *std::move(set);
  }
}

inline AttributeValue RandomValue(Random* random, int levels) {
  switch (random->Below(levels > 1 ? 8 : 6)) {
    case 0:
      return AttributeValue::String(RandomText(random));
    case 1:
      return AttributeValue::Number(RandomNumber(random));
    case 2:
      return AttributeValue::Binary(RandomBytes(random));
    case 3:
      return AttributeValue::Bool(random->Chance(0.5));
    case 4:
      return AttributeValue::Null();
    case 5:
      return RandomSet(random);
    case 6: {
      AttributeValue::List list;
      for (uint64_t i = random->Below(4); i > 0; --i) {
        list.push_back(RandomValue(random, levels - 1));
      }
      return AttributeValue::FromList(std::move(list));
    }
    default:
      return AttributeValue::FromMap(RandomMap(random, levels - 1));
  }
}

inline AttributeMap RandomMap(Random* random, int levels) {
  AttributeMap map;
  for (uint64_t i = random->Below(5); i > 0; --i) {
    map.Set(absl::StrCat("n", RandomText(random)), RandomValue(random, levels));
  }
  return map;
}

// A value of that many levels: lists (or maps) around a NULL.
inline AttributeValue NestedValue(int levels, bool maps = false) {
  AttributeValue value;
  for (int level = 1; level < levels; ++level) {
    if (maps) {
      AttributeMap map;
      map.Set("m", std::move(value));
      value = AttributeValue::FromMap(std::move(map));
    } else {
      AttributeValue::List list;
      list.push_back(std::move(value));
      value = AttributeValue::FromList(std::move(list));
    }
  }
  return value;
}

}  // namespace ringleader::model

#endif  // RINGLEADER_TESTS_UNIT_MODEL_RANDOM_VALUE_H_
