#include "model/base64.h"

#include <array>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace ringleader::model {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The 6 bits of each character; -1 if it has none.
constexpr std::array<int8_t, 256> Values() {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = -1;
  for (int i = 0; i < 64; ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  return values;
}
constexpr std::array<int8_t, 256> kValues = Values();

}  // namespace

void AppendBase64(absl::string_view bytes, std::string* out) {
  const size_t begin = out->size();
  out->resize(begin + (bytes.size() + 2) / 3 * 4);
  char* to = out->data() + begin;
  const uint8_t* at = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 3; left -= 3, at += 3) {
    const uint32_t bits = at[0] << 16 | at[1] << 8 | at[2];
    *to++ = kAlphabet[bits >> 18];
    *to++ = kAlphabet[bits >> 12 & 63];
    *to++ = kAlphabet[bits >> 6 & 63];
    *to++ = kAlphabet[bits & 63];
  }
  if (left == 0) return;
  const uint32_t bits = at[0] << 16 | (left == 2 ? at[1] << 8 : 0);
  *to++ = kAlphabet[bits >> 18];
  *to++ = kAlphabet[bits >> 12 & 63];
  *to++ = left == 2 ? kAlphabet[bits >> 6 & 63] : '=';
  *to++ = '=';
}

absl::StatusOr<std::string> DecodeBase64(absl::string_view text) {
  if (text.size() % 4 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Base64 encoded length is expected a multiple of 4 bytes but found: ", text.size()));
  }
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  const size_t characters = text.size() - padding;
  for (size_t i = 0; i < characters; ++i) {
    const int8_t value = kValues[static_cast<uint8_t>(text[i])];
    if (value < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("Invalid Base64 character: '", text.substr(i, 1), "'"));
    }
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (i % 4 == 1) bytes.push_back(static_cast<char>(bits >> 4));
    if (i % 4 == 2) bytes.push_back(static_cast<char>(bits >> 2));
    if (i % 4 == 3) bytes.push_back(static_cast<char>(bits));
  }
  // 1 padding leaves 2 bits over, 2 leave 4: they must be zero, or two texts would mean the same.
  const uint32_t rest = padding == 0 ? 0 : padding == 1 ? bits & 3 : bits & 15;
  if (rest != 0) {
    return absl::InvalidArgumentError("Invalid last non-pad Base64 character dectected");
  }
  return bytes;
}

}  // namespace ringleader::model
