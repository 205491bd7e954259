// Items as JSON from people and programs: any text is refused or gives an item that its own JSON
// reads back as; every line of an import is written or named as broken.
#include "model/json.h"

#include <sstream>
#include <string>
#include <utility>

#include "client/ctl/import.h"
#include "client/ctl/item_text.h"
#include "model/item_codec.h"
#include "tests/fuzz/fuzz.h"

namespace ringleader::model {
namespace {

void CheckItem(const Item& item) {
  for (const Attribute& attribute : item) CHECK(Levels(attribute.value) <= kLevelsMax);
  std::string text;
  AppendJson(item, &text);
  const auto read = ItemFromJson(text);
  CHECK(read.ok()) << read.status() << "\n" << text;
  CHECK(*read == item) << text;
  for (const bool dynamodb : {false, true}) {
    const std::string line = ctl::ItemText(item, dynamodb);
    CHECK(line.find('\n') == std::string::npos);
    const auto parsed = ctl::ParseItem(line);
    CHECK(parsed.ok()) << parsed.status() << "\n" << line;
    CHECK(*parsed == item) << line;
  }
  const std::string bytes = EncodeItem(item);
  if (bytes.size() > kEncodedBytesMax) return;
  const auto decoded = DecodeItem(bytes);
  CHECK(decoded.ok()) << decoded.status();
  CHECK(*decoded == item);
}

void FuzzValue(absl::string_view text) {
  const auto value = ValueFromJson(text);
  if (!value.ok()) return;
  std::string again;
  AppendJson(*value, &again);
  const auto read = ValueFromJson(again);
  CHECK(read.ok() && *read == *value) << again;
}

void FuzzLines(absl::string_view text) {
  std::istringstream in{std::string(text)};
  uint64_t reported = 0;
  uint64_t put = 0;
  const ctl::ImportCounts counts = ctl::ImportLines(
      in, {.file_name = "in", .line_bytes_max = 256},
      [&](const Item& item, Callback<WriteResult> done) {
        ++put;
        CheckItem(item);
        done(WriteResult{});
      },
      [&](absl::string_view) { ++reported; }, [](const ctl::ImportCounts&) {});
  CHECK(counts.written == put);
  CHECK(counts.broken == reported);
  CHECK(counts.failed == 0);
}

}  // namespace
}  // namespace ringleader::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader::model;
  ringleader::fuzz::Input input(ringleader::fuzz::View(data, size));
  // A letter says which form, so that the corpus can be read: d dynamodb, p plain, v value, l
  // lines.
  const uint8_t form = input.Byte();
  const absl::string_view text = input.Rest();
  if (form == 'd' || form == 'p') {
    const auto item = form == 'd' ? ItemFromJson(text) : ItemFromPlainJson(text);
    if (item.ok()) CheckItem(*item);
  } else if (form == 'v') {
    FuzzValue(text);
  } else if (form == 'l') {
    FuzzLines(text);
  } else {
    return -1;  // not worth keeping
  }
  return 0;
}
