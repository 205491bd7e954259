// Expressions as a request brings them: any text is refused or is a bounded tree that can be
// evaluated; what an update makes can be stored and read back; a projection is part of the item.
#include <string>

#include "model/condition.h"
#include "model/item_codec.h"
#include "model/key_condition.h"
#include "model/projection.h"
#include "model/update.h"
#include "tests/fuzz/fuzz.h"

namespace ringleader::model {
namespace {

AttributeValue Number(absl::string_view text) {
  return AttributeValue::Number(Decimal::Parse(text).value());
}

// An item of every type, nested, with the names that the dictionary knows.
Item SampleItem() {
  AttributeMap inner;
  inner.Set("a", Number("-12.5"));
  inner.Set("b", AttributeValue::FromList({Number("1"), AttributeValue::String("x")}));
  Item item;
  item.Set("a", AttributeValue::FromMap(inner));
  item.Set("b", AttributeValue::FromList({AttributeValue::FromMap(inner), Number("2"),
                                          AttributeValue::String("y"), AttributeValue::Null()}));
  item.Set("c", AttributeValue::StringSet({"p", "q"}).value());
  item.Set("d", AttributeValue::NumberSet({Decimal(1), Decimal(2)}).value());
  item.Set("e", AttributeValue::BinarySet({"\x01", "\xff"}).value());
  item.Set("f", AttributeValue::Binary("bytes"));
  item.Set("g", AttributeValue::Bool(true));
  item.Set("n", Number("99999999999999999999999999999999999999"));
  item.Set("id", AttributeValue::String("key"));
  item.Set("at", Number("7"));
  return item;
}

Placeholders SamplePlaceholders() {
  AttributeMap values;
  values.Set(":s", AttributeValue::String("x"));
  values.Set(":t", AttributeValue::String("SS"));
  values.Set(":n", Number("1"));
  values.Set(":big", Number("9E125"));
  values.Set(":b", AttributeValue::Binary("b"));
  values.Set(":l", AttributeValue::FromList({Number("3")}));
  AttributeMap map;
  map.Set("a", Number("4"));
  values.Set(":m", AttributeValue::FromMap(map));
  values.Set(":ss", AttributeValue::StringSet({"q", "r"}).value());
  values.Set(":ns", AttributeValue::NumberSet({Decimal(2), Decimal(3)}).value());
  values.Set(":bs", AttributeValue::BinarySet({"\x01"}).value());
  values.Set(":z", AttributeValue::Null());
  return Placeholders::Make({{"#a", "a"}, {"#b", "b"}, {"#dot", "a.b"}, {"#id", "id"}},
                            std::move(values))
      .value();
}

const KeySchema& Keys() {
  static const auto* const kKeys = new KeySchema{
      .partition = {"id", AttributeType::kString},
      .sort = KeyAttribute{"at", AttributeType::kNumber},
  };
  return *kKeys;
}

int Depth(const ConditionNode& node) {
  int deepest = 0;
  for (const ConditionNode& inner : node.conditions) deepest = std::max(deepest, Depth(inner));
  return deepest + 1;
}

void FuzzCondition(absl::string_view text, ExpressionKind kind) {
  static const auto* const kItem = new Item(SampleItem());
  Placeholders placeholders = SamplePlaceholders();
  const auto condition = Condition::Parse(text, kind, &placeholders);
  if (!condition.ok()) return;
  CHECK(Depth(condition->root()) <= kExpressionLevelsMax);
  const bool holds = condition->Holds(kItem);
  CHECK(condition->Holds(kItem) == holds);
  condition->Holds(nullptr);
}

void FuzzUpdate(absl::string_view text) {
  static const auto* const kItem = new Item(SampleItem());
  Placeholders placeholders = SamplePlaceholders();
  const auto update = Update::Parse(text, &placeholders);
  if (!update.ok()) return;
  const bool keys_stay = update->CheckKeys(Keys()).ok();
  const auto after = update->Apply(*kItem);
  if (!after.ok()) return;
  if (keys_stay) {
    CHECK(*after->Find("id") == *kItem->Find("id"));
    CHECK(*after->Find("at") == *kItem->Find("at"));
  }
  Projection(update->Paths()).Apply(*after);
  if (!ValidateItem(*after, kUpdateTooLarge).ok()) return;
  const auto stored = DecodeItem(EncodeItem(*after));
  CHECK(stored.ok()) << stored.status();
  CHECK(*stored == *after);
}

void FuzzProjection(absl::string_view text) {
  static const auto* const kItem = new Item(SampleItem());
  Placeholders placeholders = SamplePlaceholders();
  const auto projection = Projection::Parse(text, &placeholders);
  if (!projection.ok()) return;
  const Item part = projection->Apply(*kItem);
  CHECK(ItemBytes(part) <= ItemBytes(*kItem));
  for (const Attribute& attribute : part) CHECK(kItem->Find(attribute.name) != nullptr);
}

void FuzzKeyCondition(absl::string_view text) {
  Placeholders placeholders = SamplePlaceholders();
  const auto condition = KeyCondition::Parse(text, Keys(), &placeholders);
  if (!condition.ok()) return;
  CHECK(condition->partition.is_string());
  const Token token = TokenOfKey(7, condition->partition);
  const KeyRange range = condition->Range(7, token);
  const KeyRange all = PartitionKeyRange(EncodePartitionPrefix(7, token, condition->partition));
  if (!range.empty()) CHECK(all.start <= range.start && range.limit <= all.limit);
}

}  // namespace
}  // namespace ringleader::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader::model;
  ringleader::fuzz::Input input(ringleader::fuzz::View(data, size));
  // A letter says which kind, so that the corpus can be read: c f k p u.
  switch (input.Byte()) {
    case 'c':
      FuzzCondition(input.Rest(), ExpressionKind::kCondition);
      break;
    case 'f':
      FuzzCondition(input.Rest(), ExpressionKind::kFilter);
      break;
    case 'k':
      FuzzKeyCondition(input.Rest());
      break;
    case 'p':
      FuzzProjection(input.Rest());
      break;
    case 'u':
      FuzzUpdate(input.Rest());
      break;
    default:
      return -1;  // not worth keeping
  }
  return 0;
}
