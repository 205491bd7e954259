// What a node reads from its own log, databases and files: any bytes are refused or are the one
// encoding of what they say, so that replicas whose values are equal have equal bytes.
#include "node/records.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/crc32c.h"
#include "node/effects.h"
#include "node/identity.h"
#include "node/leveldb_manifest.h"
#include "tests/fuzz/fuzz.h"

namespace ringleader {
namespace {

void Write(const Effect& effect, EffectsWriter& writer) {
  switch (effect.tag) {
    case EffectTag::kPut:
      return writer.Put(effect.key, effect.item);
    case EffectTag::kDelete:
      return writer.Delete(effect.key);
    case EffectTag::kSession: {
      StoredResult result{.item = std::string(effect.item)};
      CHECK(SetFlags(effect.flags, &result));
      return writer.Session(effect.session, effect.sequence, effect.lowest, result);
    }
    case EffectTag::kTable:
      return writer.Table(effect.table);
    case EffectTag::kEra:
      return writer.Era(effect.era);
    case EffectTag::kHash:
      return writer.Hash(effect.key, effect.item);
  }
  CHECK(false) << "a tag that nobody decodes";
}

void FuzzEffects(absl::string_view bytes) {
  const auto effects = DecodeEffects(bytes);
  if (!effects.ok()) return;
  EffectsWriter writer;
  for (const Effect& effect : effects->effects) Write(effect, writer);
  CHECK(writer.Finish(effects->time_us, effects->elapsed_us) == bytes);
}

void FuzzState(absl::string_view bytes) {
  const auto state = DecodeState(bytes);
  if (state.ok()) CHECK(EncodeState(*state) == bytes);
}

void FuzzTable(absl::string_view bytes) {
  const auto table = DecodeTable(bytes);
  if (table.ok()) CHECK(EncodeTable(*table) == bytes);
}

void FuzzSession(absl::string_view bytes) {
  const auto session = DecodeSession(bytes);
  if (session.ok()) CHECK(EncodeSession(*session) == bytes);
}

void FuzzStoredItem(absl::string_view bytes) {
  const auto stored = DecodeStoredItem(bytes);
  if (!stored.ok()) return;
  std::string again;
  AppendStoredItem(stored->index, stored->time_us, stored->item, &again);
  CHECK(again == bytes);
}

// With the right checksum behind them: else no input would get past it.
void FuzzIdentity(absl::string_view bytes) {
  const std::string text =
      absl::StrCat(bytes, absl::StrFormat("crc32c %08x\n", crc32c::Value(bytes)));
  const auto identity = DecodeIdentity(text);
  if (identity.ok()) CHECK(EncodeIdentity(*identity) == text);
}

void FuzzManifest(absl::string_view bytes) {
  const size_t intact = IntactManifestBytes(bytes);
  CHECK(intact <= bytes.size());
  if (IsManifestIntact(bytes)) CHECK(intact == bytes.size());
}

}  // namespace
}  // namespace ringleader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader;
  constexpr void (*kTargets[])(absl::string_view) = {
      FuzzEffects, FuzzState, FuzzTable, FuzzSession, FuzzStoredItem, FuzzIdentity, FuzzManifest};
  fuzz::Input input(fuzz::View(data, size));
  const size_t target = input.Below(std::size(kTargets));
  kTargets[target](input.Rest());
  return 0;
}
