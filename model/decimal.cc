#include "model/decimal.h"

#include <array>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status.h"
#include "model/error.h"

namespace ringleader::model {
namespace {

using Uint128 = unsigned __int128;

// 10^0 to 10^38; 10^38 is less than 2^127.
constexpr std::array<Uint128, Decimal::kDigitsMax + 1> PowersOfTen() {
  std::array<Uint128, Decimal::kDigitsMax + 1> powers{};
  Uint128 power = 1;
  for (Uint128& entry : powers) {
    entry = power;
    power *= 10;
  }
  return powers;
}
constexpr std::array<Uint128, Decimal::kDigitsMax + 1> kPowersOfTen = PowersOfTen();

// An exponent in a text is read no further than this: it is far out of range either way.
constexpr int kTextExponentMax = 1000000;

// The plain form may be this much longer than sign and digits before the exponent form is stored.
constexpr size_t kPlainExtraBytesMax = 6;

absl::Status Overflow() {
  return ValidationError(
      "Number overflow. Attempting to store a number with magnitude larger than supported range");
}
absl::Status Underflow() {
  return ValidationError(
      "Number underflow. Attempting to store a number with magnitude smaller than supported range");
}
absl::Status TooManyDigits() {
  return ValidationError("Attempting to store more than 38 significant digits in a Number");
}
absl::Status NotANumber(absl::string_view text) {
  if (text.empty()) return ValidationError("The parameter cannot be converted to a numeric value");
  return ValidationError(
      absl::StrCat("The parameter cannot be converted to a numeric value: ", text));
}

int CountDigits(Uint128 value) {
  int digits = 0;
  while (digits < Decimal::kDigitsMax && kPowersOfTen[digits] <= value) ++digits;
  if (digits == Decimal::kDigitsMax && kPowersOfTen[Decimal::kDigitsMax] <= value) ++digits;
  return digits;
}

// The digits and point of a number text, read from left to right.
struct Significand {
  Uint128 value = 0;      // right only while digits <= 38
  int64_t digits = 0;     // from the first to the last that is not zero
  int64_t positions = 0;  // digits seen in all
  int64_t point = -1;     // positions before the point; -1 without one
  int64_t last = 0;       // positions up to and including the last that is not zero
  int64_t zeros = 0;      // zeros since then

  void Take(int digit) {
    ++positions;
    if (digit == 0) {
      if (digits > 0) ++zeros;
      return;
    }
    digits += zeros + 1;
    if (digits <= Decimal::kDigitsMax) value = value * kPowersOfTen[zeros + 1] + digit;
    zeros = 0;
    last = positions;
  }
  // The power of ten of the last digit that is not zero.
  int64_t scale() const { return (point < 0 ? positions : point) - last; }
};

// Reads [sign] digits at `*at`, held within +-kTextExponentMax; false if there is no digit.
bool ReadExponent(absl::string_view text, size_t* at, int* exponent) {
  bool negative = false;
  if (*at < text.size() && (text[*at] == '+' || text[*at] == '-')) negative = text[(*at)++] == '-';
  if (*at == text.size()) return false;
  int value = 0;
  for (; *at < text.size(); ++*at) {
    if (!absl::ascii_isdigit(text[*at])) return false;
    value = std::min(value * 10 + (text[*at] - '0'), kTextExponentMax);
  }
  *exponent = negative ? -value : value;
  return true;
}

}  // namespace

static_assert(sizeof(Decimal) == 24, "numbers are stored inline in every attribute value");

Decimal::Decimal(int64_t value) {
  const bool negative = value < 0;
  const uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(value) : value;
  *this = *Make(negative, magnitude, 0);
}

absl::StatusOr<Decimal> Decimal::Make(bool negative, Uint128 significand, int scale) {
  if (significand == 0) return Decimal();
  while (significand % 10 == 0) {
    significand /= 10;
    ++scale;
  }
  const int digits = CountDigits(significand);
  const int exponent = scale + digits - 1;
  if (exponent > kExponentMax) return Overflow();
  if (exponent < kExponentMin) return Underflow();
  if (digits > kDigitsMax) return Overflow();  // of a sum: a text's are counted before
  Decimal result;
  result.high_ = static_cast<uint64_t>(significand >> 64);
  result.low_ = static_cast<uint64_t>(significand);
  result.scale_ = static_cast<int16_t>(scale);
  result.digits_ = static_cast<uint8_t>(digits);
  result.negative_ = negative;
  return result;
}

absl::StatusOr<Decimal> Decimal::Parse(absl::string_view text) {
  size_t at = 0;
  bool negative = false;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) negative = text[at++] == '-';
  Significand significand;
  for (; at < text.size(); ++at) {
    if (absl::ascii_isdigit(text[at])) {
      significand.Take(text[at] - '0');
    } else if (text[at] == '.' && significand.point < 0) {
      significand.point = significand.positions;
    } else {
      break;
    }
  }
  if (significand.positions == 0) return NotANumber(text);
  int text_exponent = 0;
  if (at < text.size()) {
    if (text[at] != 'e' && text[at] != 'E') return NotANumber(text);
    if (!ReadExponent(text, &++at, &text_exponent)) return NotANumber(text);
  }
  if (significand.digits == 0) return Decimal();
  const int64_t scale = significand.scale() + text_exponent;
  const int64_t exponent = scale + significand.digits - 1;
  if (exponent > kExponentMax) return Overflow();
  if (exponent < kExponentMin) return Underflow();
  if (significand.digits > kDigitsMax) return TooManyDigits();
  return Make(negative, significand.value, static_cast<int>(scale));
}

absl::StatusOr<Decimal> Decimal::Add(const Decimal& a, const Decimal& b) {
  return Sum(a, b, /*negate_b=*/false);
}

absl::StatusOr<Decimal> Decimal::Subtract(const Decimal& a, const Decimal& b) {
  return Sum(a, b, /*negate_b=*/true);
}

absl::StatusOr<Decimal> Decimal::Sum(const Decimal& a, const Decimal& b, bool negate_b) {
  if (b.is_zero()) return a;
  const bool b_negative = b.negative_ != negate_b;
  if (a.is_zero()) {
    Decimal result = b;
    result.negative_ = b_negative;
    return result;
  }
  // Bring both to the smaller power of ten. Whatever no longer fits 128 bits (3.4E38) cannot come
  // back under 10^38 by subtracting less than 10^38: the exact result has too many digits.
  const int scale = std::min(a.scale_, b.scale_);
  Uint128 terms[2] = {a.significand(), b.significand()};
  const int shifts[2] = {a.scale_ - scale, b.scale_ - scale};
  for (int i = 0; i < 2; ++i) {
    if (shifts[i] > kDigitsMax) return Overflow();
    if (__builtin_mul_overflow(terms[i], kPowersOfTen[shifts[i]], &terms[i])) return Overflow();
  }
  if (a.negative_ == b_negative) {
    Uint128 sum;
    if (__builtin_add_overflow(terms[0], terms[1], &sum)) return Overflow();
    return Make(a.negative_, sum, scale);
  }
  if (terms[0] >= terms[1]) return Make(a.negative_, terms[0] - terms[1], scale);
  return Make(b_negative, terms[1] - terms[0], scale);
}

char* Decimal::WriteDigits(char* out) const {
  char* const end = out + digits_;
  char* at = end;
  Uint128 wide = significand();
  while (wide > UINT64_MAX) {
    *--at = static_cast<char>('0' + static_cast<int>(wide % 10));
    wide /= 10;
  }
  for (uint64_t narrow = static_cast<uint64_t>(wide); narrow != 0; narrow /= 10) {
    *--at = static_cast<char>('0' + narrow % 10);
  }
  return end;
}

size_t Decimal::TextBytes() const {
  if (is_zero()) return 1;
  const size_t sign = negative_ ? 1 : 0;
  if (scale_ >= 0) return sign + digits_ + scale_;
  if (exponent() >= 0) return sign + digits_ + 1;
  return sign + 2 - scale_;
}

char* Decimal::WriteText(char* out) const {
  if (is_zero()) {
    *out++ = '0';
    return out;
  }
  if (negative_) *out++ = '-';
  if (scale_ >= 0) {
    out = WriteDigits(out);
    std::memset(out, '0', scale_);
    return out + scale_;
  }
  if (exponent() >= 0) {
    char* const end = WriteDigits(out);
    char* const point = end + scale_;
    std::memmove(point + 1, point, end - point);
    *point = '.';
    return end + 1;
  }
  *out++ = '0';
  *out++ = '.';
  const int zeros = -scale_ - digits_;
  std::memset(out, '0', zeros);
  return WriteDigits(out + zeros);
}

std::string Decimal::ToString() const {
  std::string text;
  AppendText(&text);
  return text;
}

void Decimal::AppendText(std::string* out) const {
  char text[kTextBytesMax];
  out->append(text, WriteText(text) - text);
}

size_t Decimal::CompactTextBytes() const {
  const size_t sign_and_digits = digits_ + (negative_ ? 1 : 0);
  const size_t plain = TextBytes();
  if (plain <= sign_and_digits + kPlainExtraBytesMax) return plain;
  const int magnitude = scale_ < 0 ? -scale_ : scale_;
  return sign_and_digits + 1 + (scale_ < 0 ? 1 : 0) +
         (magnitude >= 100  ? 3
          : magnitude >= 10 ? 2
                            : 1);
}

char* Decimal::WriteCompactText(char* out) const {
  const size_t sign_and_digits = digits_ + (negative_ ? 1 : 0);
  if (TextBytes() <= sign_and_digits + kPlainExtraBytesMax) return WriteText(out);
  if (negative_) *out++ = '-';
  out = WriteDigits(out);
  *out++ = 'E';
  if (scale_ < 0) *out++ = '-';
  const int magnitude = scale_ < 0 ? -scale_ : scale_;
  if (magnitude >= 100) *out++ = static_cast<char>('0' + magnitude / 100);
  if (magnitude >= 10) *out++ = static_cast<char>('0' + magnitude / 10 % 10);
  *out++ = static_cast<char>('0' + magnitude % 10);
  return out;
}

void Decimal::AppendCompactText(std::string* out) const {
  char text[kCompactTextBytesMax];
  out->append(text, WriteCompactText(text) - text);
}

size_t Decimal::StoredBytes() const {
  if (is_zero()) return 1;
  // Base-100 digits aligned to the decimal point: an odd power of ten costs one half digit more.
  const int half_digits = digits_ + (scale_ % 2 != 0 ? 1 : 0);
  const size_t bytes = 1 + (half_digits + 1) / 2 + (negative_ ? 1 : 0);
  return std::min<size_t>(bytes, 21);
}

bool Decimal::ToInt64(int64_t* value) const {
  if (scale_ < 0 || exponent() > 18) return false;
  const Uint128 magnitude = significand() * kPowersOfTen[scale_];
  const Uint128 limit = static_cast<Uint128>(INT64_MAX) + (negative_ ? 1 : 0);
  if (magnitude > limit) return false;
  const uint64_t bits = static_cast<uint64_t>(magnitude);
  *value = static_cast<int64_t>(negative_ ? 0 - bits : bits);
  return true;
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) {
  const int a_sign = a.is_zero() ? 0 : a.negative_ ? -1 : 1;
  const int b_sign = b.is_zero() ? 0 : b.negative_ ? -1 : 1;
  if (a_sign != b_sign || a_sign == 0) return a_sign <=> b_sign;
  std::strong_ordering magnitude = a.exponent() <=> b.exponent();
  if (magnitude == 0) {
    // Equal first digits' powers: compare the significands as fractions of 38 digits.
    magnitude = a.significand() * kPowersOfTen[Decimal::kDigitsMax - a.digits_] <=>
                b.significand() * kPowersOfTen[Decimal::kDigitsMax - b.digits_];
  }
  return a_sign < 0 ? 0 <=> magnitude : magnitude;
}

// Ordered form:
//   zero      02
//   positive  03, exponent + 130, pairs of digits from the first on (each 1 + 0..99), 00
//   negative  01, and every byte that follows as for its absolute value, inverted
// An odd last digit is paired with 0. The end byte is below every pair, so a number sorts before
// those that continue its digits; inversion turns this around for negative ones.
void Decimal::AppendOrdered(std::string* out) const {
  if (is_zero()) {
    out->push_back('\x02');
    return;
  }
  char digits[kDigitsMax + 1];
  char* end = WriteDigits(digits);
  if (digits_ % 2 != 0) *end++ = '0';
  const uint8_t invert = negative_ ? 0xff : 0;
  char bytes[kOrderedBytesMax];
  char* to = bytes;
  *to++ = negative_ ? '\x01' : '\x03';
  *to++ = static_cast<char>((exponent() - kExponentMin) ^ invert);
  for (const char* at = digits; at < end; at += 2) {
    *to++ = static_cast<char>((1 + (at[0] - '0') * 10 + (at[1] - '0')) ^ invert);
  }
  *to++ = static_cast<char>(invert);
  out->append(bytes, to - bytes);
}

bool Decimal::ConsumeOrdered(absl::string_view* in, Decimal* number) {
  if (in->empty()) return false;
  const uint8_t kind = static_cast<uint8_t>((*in)[0]);
  if (kind == 2) {
    in->remove_prefix(1);
    *number = Decimal();
    return true;
  }
  if ((kind != 1 && kind != 3) || in->size() < 4) return false;
  const uint8_t invert = kind == 1 ? 0xff : 0;
  const int exponent = (static_cast<uint8_t>((*in)[1]) ^ invert) + kExponentMin;
  Uint128 significand = 0;
  int digits = 0;
  size_t at = 2;
  for (;; ++at, digits += 2) {
    if (at == in->size()) return false;
    const uint8_t pair = static_cast<uint8_t>((*in)[at]) ^ invert;
    if (pair == 0) break;
    if (pair > 100 || digits == kDigitsMax) return false;
    significand = significand * 100 + (pair - 1);
  }
  // Only what AppendOrdered writes: the first digit is not zero, the last pair is not 00.
  if (digits == 0 || significand < kPowersOfTen[digits - 1] || significand % 100 == 0) return false;
  absl::StatusOr<Decimal> made = Make(kind == 1, significand, exponent - digits + 1);
  if (!made.ok()) return false;
  *number = *made;
  in->remove_prefix(at + 1);
  return true;
}

}  // namespace ringleader::model
