#include "node/effects.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/coding.h"
#include "common/status.h"

namespace ringleader {
namespace {

constexpr uint8_t kEffectsFormat = 1;

void PutTag(EffectTag tag, std::string& to) { to.push_back(static_cast<char>(tag)); }

absl::StatusOr<Effect> DecodeEffect(Decoder& decoder) {
  Effect effect;
  const uint8_t tag = decoder.Byte();
  effect.tag = static_cast<EffectTag>(tag);
  switch (effect.tag) {
    case EffectTag::kPut:
    case EffectTag::kHash:
      effect.key = decoder.LengthPrefixed();
      effect.item = decoder.LengthPrefixed();
      return effect;
    case EffectTag::kDelete:
      effect.key = decoder.LengthPrefixed();
      return effect;
    case EffectTag::kSession: {
      effect.session = decoder.Fixed64();
      effect.sequence = decoder.Varint();
      effect.lowest = decoder.Varint();
      effect.flags = decoder.Byte();
      StoredResult result;
      if (!SetFlags(effect.flags, &result)) {
        return absl::DataLossError("malformed entry: unknown session flags");
      }
      effect.item = decoder.LengthPrefixed();
      return effect;
    }
    case EffectTag::kTable: {
      ASSIGN_OR_RETURN(effect.table, DecodeTable(decoder.LengthPrefixed()));
      return effect;
    }
    case EffectTag::kEra: {
      ASSIGN_OR_RETURN(effect.era, DecodeEra(decoder.LengthPrefixed()));
      return effect;
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("an entry holds an effect of kind ", tag, ", which this build does not know"));
}

}  // namespace

void EffectsWriter::Put(absl::string_view key, absl::string_view item) {
  PutTag(EffectTag::kPut, records_);
  PutLengthPrefixed(key, records_);
  PutLengthPrefixed(item, records_);
}

void EffectsWriter::Delete(absl::string_view key) {
  PutTag(EffectTag::kDelete, records_);
  PutLengthPrefixed(key, records_);
}

void EffectsWriter::Session(uint64_t session, uint64_t sequence, uint64_t lowest,
                            const StoredResult& result) {
  PutTag(EffectTag::kSession, records_);
  PutFixed64(session, records_);
  PutVarint(sequence, records_);
  PutVarint(lowest, records_);
  records_.push_back(static_cast<char>(FlagsOf(result)));
  PutLengthPrefixed(result.item, records_);
}

void EffectsWriter::Table(const TableRecord& table) {
  PutTag(EffectTag::kTable, records_);
  PutLengthPrefixed(EncodeTable(table), records_);
}

void EffectsWriter::Era(const EraRecord& era) {
  PutTag(EffectTag::kEra, records_);
  PutLengthPrefixed(EncodeEra(era), records_);
}

void EffectsWriter::Hash(absl::string_view start, absl::string_view limit) {
  PutTag(EffectTag::kHash, records_);
  PutLengthPrefixed(start, records_);
  PutLengthPrefixed(limit, records_);
}

std::string EffectsWriter::Finish(int64_t time_us, int64_t elapsed_us) {
  std::string payload(1, static_cast<char>(kEffectsFormat));
  PutVarint(static_cast<uint64_t>(time_us), payload);
  PutVarint(static_cast<uint64_t>(elapsed_us), payload);
  payload += std::exchange(records_, std::string());
  return payload;
}

absl::StatusOr<Effects> DecodeEffects(absl::string_view payload) {
  Decoder decoder(payload);
  const uint8_t format = decoder.Byte();
  if (decoder.ok() && format != kEffectsFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat("an entry has format ", format, ", which this build does not know"));
  }
  Effects effects;
  effects.time_us = static_cast<int64_t>(decoder.Varint());
  effects.elapsed_us = static_cast<int64_t>(decoder.Varint());
  while (decoder.ok() && decoder.remaining() > 0) {
    ASSIGN_OR_RETURN(Effect effect, DecodeEffect(decoder));
    effects.effects.push_back(std::move(effect));
  }
  if (!decoder.AtEnd()) return absl::DataLossError("malformed entry");
  return effects;
}

}  // namespace ringleader
