// Items and values from the wire: any bytes are refused, or give a value whose own encoding, JSON
// and plain JSON all read back as that value.
#include <string>

#include "model/item_codec.h"
#include "model/json.h"
#include "tests/fuzz/fuzz.h"

namespace ringleader::model {
namespace {

bool HasEmptyName(const AttributeMap& map) { return map.Find("") != nullptr; }

void CheckJson(const Item& item) {
  std::string text;
  AppendJson(item, &text);
  const auto read = ItemFromJson(text);
  CHECK(read.ok()) << read.status() << "\n" << text;
  CHECK(*read == item) << text;
  text.clear();
  if (!AppendPlainJson(item, &text).ok()) return;
  const auto plain = ItemFromPlainJson(text);
  CHECK(plain.ok()) << plain.status() << "\n" << text;
  CHECK(*plain == item) << text;
}

void FuzzItem(absl::string_view bytes) {
  const auto item = DecodeItem(bytes);
  if (!item.ok()) return;
  const std::string once = EncodeItem(*item);
  CHECK(once.size() == EncodedBytes(*item));
  CHECK(once.size() <= 4 * bytes.size());  // "1E6" becomes "1000000", an absent name an empty one
  const auto again = DecodeItem(once);
  CHECK(again.ok()) << again.status();
  CHECK(*again == *item);
  CHECK(EncodeItem(*again) == once);
  for (const Attribute& attribute : *item) CHECK(Levels(attribute.value) <= kLevelsMax);
  if (ValidateItem(*item).ok()) {
    CHECK(once.size() <= kEncodedBytesMax);
    CHECK(!HasEmptyName(*item));
  }
  CheckJson(*item);
}

void FuzzValue(absl::string_view bytes) {
  const auto value = DecodeValue(bytes);
  if (!value.ok()) return;
  const std::string once = EncodeValue(*value);
  CHECK(once.size() == EncodedBytes(*value));
  const auto again = DecodeValue(once);
  CHECK(again.ok()) << again.status();
  CHECK(*again == *value);
  CHECK(Levels(*value) <= kLevelsMax);
}

}  // namespace
}  // namespace ringleader::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringleader::fuzz::Input input(ringleader::fuzz::View(data, size));
  if (input.Below(4) == 0) {
    ringleader::model::FuzzValue(input.Rest());
  } else {
    ringleader::model::FuzzItem(input.Rest());
  }
  return 0;
}
