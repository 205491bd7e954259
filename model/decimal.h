// A DynamoDB number: exact decimal, at most 38 significant digits, magnitude 0 or from 1E-130 to
// 9.99...E+125 (exponent of the first digit from -130 to 125).
//
// Invariants: the significand has no trailing zero; zero is one value (no sign, no exponent). So
// numbers that are equal have equal members, one text and one encoding: 1, 1.0 and 10E-1 are one
// key and one element of a set.
//
// A value type of 24 bytes; immutable; thread-safe. Errors are DynamoDB's ValidationException
// texts, as InvalidArgument.
#ifndef RINGLEADER_MODEL_DECIMAL_H_
#define RINGLEADER_MODEL_DECIMAL_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringleader::model {

class Decimal {
 public:
  static constexpr int kDigitsMax = 38;
  static constexpr int kExponentMin = -130;  // of the first significant digit
  static constexpr int kExponentMax = 125;
  // Bounds of what the writers below append.
  static constexpr size_t kTextBytesMax = 1 + 2 + 130 + 38;
  static constexpr size_t kCompactTextBytesMax = 1 + 38 + 7;
  static constexpr size_t kOrderedBytesMax = 2 + 19 + 1;

  // Zero.
  constexpr Decimal() = default;
  explicit Decimal(int64_t value);

  // Reads an optional sign, digits with at most one point among them, and an optional exponent
  // ("-12.50", ".5", "1E+3"): the forms of Java's BigDecimal, which DynamoDB uses. Trailing zeros
  // do not count as significant digits.
  static absl::StatusOr<Decimal> Parse(absl::string_view text);

  // Exact sum and difference. An error if the result has more than 38 digits or is out of range: it
  // is never rounded.
  static absl::StatusOr<Decimal> Add(const Decimal& a, const Decimal& b);
  static absl::StatusOr<Decimal> Subtract(const Decimal& a, const Decimal& b);

  // The canonical text, in plain notation without exponent, as DynamoDB prints it: "0.001", "1200".
  std::string ToString() const;
  void AppendText(std::string* out) const;

  // The canonical text in which numbers are stored: plain notation where that costs at most 6 bytes
  // more than sign and digits alone, otherwise the integer significand and its exponent ("12E120").
  // Parse() reads it back. The form may not change: stored items contain it.
  void AppendCompactText(std::string* out) const;
  // Writes the same to `out`, room for CompactTextBytes(), and returns the end.
  char* WriteCompactText(char* out) const;
  size_t CompactTextBytes() const;

  // Bytes that compare (memcmp) as the numbers do, and that no other number's bytes begin with. The
  // form is in key_codec.h's layout and may not change.
  void AppendOrdered(std::string* out) const;
  // Takes one number off the front of `*in`; false if it is not exactly what AppendOrdered writes.
  static bool ConsumeOrdered(absl::string_view* in, Decimal* number);

  // What DynamoDB charges for it: see item.h.
  size_t StoredBytes() const;

  // The value if it is an integer that fits, for indexes and tests.
  bool ToInt64(int64_t* value) const;

  bool is_zero() const { return digits_ == 0; }
  bool is_negative() const { return negative_; }

  friend bool operator==(const Decimal& a, const Decimal& b) {
    return a.high_ == b.high_ && a.low_ == b.low_ && a.scale_ == b.scale_ &&
           a.negative_ == b.negative_;
  }
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b);

 private:
  using Uint128 = unsigned __int128;

  // (negative ? -1 : 1) * significand * 10^scale, checked and brought to the invariants.
  static absl::StatusOr<Decimal> Make(bool negative, Uint128 significand, int scale);
  static absl::StatusOr<Decimal> Sum(const Decimal& a, const Decimal& b, bool negate_b);

  Uint128 significand() const { return static_cast<Uint128>(high_) << 64 | low_; }
  int exponent() const { return scale_ + digits_ - 1; }
  // The significand's digits as text; returns the end.
  char* WriteDigits(char* out) const;
  char* WriteText(char* out) const;
  size_t TextBytes() const;

  uint64_t high_ = 0;  // the significand: an integer below 10^38
  uint64_t low_ = 0;
  int16_t scale_ = 0;   // the power of ten of the significand's last digit
  uint8_t digits_ = 0;  // of the significand; 0 for zero
  bool negative_ = false;
};

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_DECIMAL_H_
