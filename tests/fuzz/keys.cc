// The order-preserving key codec: bytes that decode are what the key encodes to, keys decode to
// themselves, byte order is the API's order, and a range of sort keys holds just those that satisfy
// the condition.
#include <compare>
#include <optional>
#include <string>

#include "model/key_codec.h"
#include "tests/fuzz/fuzz.h"

namespace ringleader::model {
namespace {

void FuzzBytes(absl::string_view bytes) {
  const auto key = DecodeItemKey(bytes);
  if (!key.ok()) return;
  const KeyView view{&key->partition, key->sort.has_value() ? &*key->sort : nullptr};
  CHECK(EncodeKeyAt(key->table, key->token, view) == bytes);
}

// An S, N or B, of at most `bytes_max` bytes. S need not be UTF-8 here: what can be stored is
// checked before keys are encoded.
AttributeValue TakeKey(fuzz::Input& input, size_t bytes_max) {
  switch (input.Below(4)) {
    case 0:
      return AttributeValue::String(std::string(input.Bytes(input.Byte() % (bytes_max + 1))));
    case 1:
      return AttributeValue::Binary(std::string(input.Bytes(input.Byte() % (bytes_max + 1))));
    case 2:
      return AttributeValue::Number(Decimal(static_cast<int64_t>(input.Number())));
    default: {
      const auto number = Decimal::Parse(input.Text());
      return AttributeValue::Number(number.ok() ? *number : Decimal());
    }
  }
}

std::strong_ordering Compare(const AttributeValue& a, const AttributeValue& b) {
  if (a.is_number()) return a.number() <=> b.number();
  return a.bytes().compare(b.bytes()) <=> 0;
}

void CheckDecodes(TableId table, const KeyView& view, const std::string& key) {
  CHECK(key.size() <= kKeyBytesMax);
  const auto decoded = DecodeItemKey(key);
  CHECK(decoded.ok()) << decoded.status();
  CHECK(decoded->table == table);
  CHECK(decoded->partition == *view.partition);
  CHECK(decoded->sort.has_value() == (view.sort != nullptr));
  if (view.sort != nullptr) CHECK(*decoded->sort == *view.sort);
}

void FuzzOrder(fuzz::Input input) {
  const TableId table = input.Number();
  const AttributeValue partition = TakeKey(input, 64);
  const AttributeValue first = TakeKey(input, 64);
  const AttributeValue second = TakeKey(input, 64);
  const KeyView one{&partition, &first};
  const KeyView other{&partition, &second};
  const std::string one_key = EncodeItemKey(table, one);
  const std::string other_key = EncodeItemKey(table, other);
  CheckDecodes(table, one, one_key);
  CheckDecodes(table, {&partition, nullptr}, EncodeItemKey(table, {&partition, nullptr}));
  if (first.type() == second.type()) {
    CHECK((one_key <=> other_key) == Compare(first, second));
  } else {
    CHECK(one_key != other_key);
  }
  // No component is the beginning of another: what follows never takes part in its comparison.
  std::string one_component;
  std::string other_component;
  AppendKeyComponent(first, &one_component);
  AppendKeyComponent(second, &other_component);
  if (one_component != other_component) {
    CHECK(one_component.rfind(other_component, 0) == std::string::npos);
    CHECK(other_component.rfind(one_component, 0) == std::string::npos);
  }
}

void FuzzRange(fuzz::Input input) {
  constexpr size_t kOperators = static_cast<size_t>(SortCondition::Operator::kBeginsWith) + 1;
  SortCondition condition;
  condition.op = static_cast<SortCondition::Operator>(input.Below(kOperators));
  const AttributeValue partition = TakeKey(input, 16);
  condition.low = TakeKey(input, 64);
  condition.high = TakeKey(input, 64);
  const AttributeValue sort = TakeKey(input, 64);
  if (condition.low.type() != sort.type() || condition.high.type() != sort.type()) return;
  if (condition.op == SortCondition::Operator::kBeginsWith && sort.is_number()) return;
  const std::string prefix = EncodePartitionPrefix(7, TokenOfKey(7, partition), partition);
  const KeyRange range = SortKeyRange(prefix, condition);
  const std::string key = EncodeItemKey(7, {&partition, &sort});
  CHECK(PartitionKeyRange(prefix).Contains(key));
  CHECK(range.Contains(key) == Satisfies(sort, condition));
}

}  // namespace
}  // namespace ringleader::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringleader::fuzz::Input input(ringleader::fuzz::View(data, size));
  switch (input.Below(3)) {
    case 0:
      ringleader::model::FuzzBytes(input.Rest());
      break;
    case 1:
      ringleader::model::FuzzOrder(input);
      break;
    default:
      ringleader::model::FuzzRange(input);
  }
  return 0;
}
