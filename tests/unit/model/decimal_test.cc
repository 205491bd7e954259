// Protects numbers: 38 exact digits, one text and one encoding for each value, DynamoDB's range.
#include "model/decimal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"

namespace ringleader::model {
namespace {

constexpr char kOverflow[] =
    "Number overflow. Attempting to store a number with magnitude larger than supported range";
constexpr char kUnderflow[] =
    "Number underflow. Attempting to store a number with magnitude smaller than supported range";
constexpr char kDigits[] = "Attempting to store more than 38 significant digits in a Number";

std::string Canonical(absl::string_view text) {
  const absl::StatusOr<Decimal> number = Decimal::Parse(text);
  return number.ok() ? number->ToString() : std::string(number.status().message());
}

std::string Compact(const Decimal& number) {
  std::string text;
  number.AppendCompactText(&text);
  return text;
}

std::string Ordered(const Decimal& number) {
  std::string bytes;
  number.AppendOrdered(&bytes);
  return bytes;
}

Decimal D(absl::string_view text) { return *Decimal::Parse(text); }

// Protects the forms that clients may write, and the one that they read.
TEST(DecimalTest, ParsesEveryFormToOneText) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"0", "0"},
      {"-0", "0"},
      {"0.000", "0"},
      {"0e999999999999", "0"},
      {"+7", "7"},
      {"007", "7"},
      {"7.0", "7"},
      {"-7.50", "-7.5"},
      {".5", "0.5"},
      {"5.", "5"},
      {"1e3", "1000"},
      {"1E+3", "1000"},
      {"1E-3", "0.001"},
      {"12.34e1", "123.4"},
      {"12.34e-5", "0.0001234"},
      {"100", "100"},
      {"-0.00100", "-0.001"},
      {"99999999999999999999999999999999999999", "99999999999999999999999999999999999999"},
      {"0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678"},
      {"123456789012345678901234567890123456780000", "123456789012345678901234567890123456780000"},
      {"1E125", absl::StrCat("1", std::string(125, '0'))},
      {"1E-130", absl::StrCat("0.", std::string(129, '0'), "1")},
      {"9.9999999999999999999999999999999999999E125",
       absl::StrCat(std::string(38, '9'), std::string(88, '0'))},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Canonical(text), expected) << text;
}

// Protects that what is no number, or does not fit, is refused in DynamoDB's words.
TEST(DecimalTest, RefusesWhatDoesNotFit) {
  EXPECT_EQ(Canonical(""), "The parameter cannot be converted to a numeric value");
  for (const char* text : {"-", "+", ".", "e5", "1e", "1e+", "1 ", " 1", "1,0", "0x10", "NaN",
                           "Infinity", "1.2.3", "1e5.0", "--1", "1e--5", "1_0", "٣"}) {
    EXPECT_EQ(Canonical(text),
              absl::StrCat("The parameter cannot be converted to a numeric value: ", text));
  }
  EXPECT_EQ(Canonical("1E126"), kOverflow);
  EXPECT_EQ(Canonical("-10E125"), kOverflow);
  EXPECT_EQ(Canonical("1E99999999999999999999"), kOverflow);
  EXPECT_EQ(Canonical("1E-131"), kUnderflow);
  EXPECT_EQ(Canonical("0.1E-130"), kUnderflow);
  EXPECT_EQ(Canonical("1E-99999999999999999999"), kUnderflow);
  EXPECT_EQ(Canonical("123456789012345678901234567890123456789"), kDigits);
  EXPECT_EQ(Canonical("1.00000000000000000000000000000000000001"), kDigits);
  EXPECT_EQ(Canonical(std::string(1000, '1')), kOverflow);
}

// Protects exact arithmetic: nothing is ever rounded.
TEST(DecimalTest, AddsAndSubtractsExactly) {
  const auto sum = [](absl::string_view a, absl::string_view b) {
    const absl::StatusOr<Decimal> result = Decimal::Add(D(a), D(b));
    return result.ok() ? result->ToString() : std::string(result.status().message());
  };
  const auto difference = [](absl::string_view a, absl::string_view b) {
    const absl::StatusOr<Decimal> result = Decimal::Subtract(D(a), D(b));
    return result.ok() ? result->ToString() : std::string(result.status().message());
  };
  EXPECT_EQ(sum("0.1", "0.2"), "0.3");
  EXPECT_EQ(sum("1", "-1"), "0");
  EXPECT_EQ(sum("0", "-5"), "-5");
  EXPECT_EQ(difference("0", "-5"), "5");
  EXPECT_EQ(difference("0", "0"), "0");
  EXPECT_EQ(difference("1", "0.9"), "0.1");
  EXPECT_EQ(sum("99", "1"), "100");
  EXPECT_EQ(sum("99999999999999999999999999999999999999", "1"),
            absl::StrCat("1", std::string(38, '0')));
  EXPECT_EQ(difference("1E38", "1"), std::string(38, '9'));
  EXPECT_EQ(sum("1E38", "1"), kOverflow);
  EXPECT_EQ(difference("1E39", "1"), kOverflow);
  EXPECT_EQ(sum("4E38", "1"), kOverflow);
  EXPECT_EQ(sum("1E125", "1E-130"), kOverflow);
  EXPECT_EQ(sum("9E125", "1E125"), kOverflow);
  EXPECT_EQ(difference("1.1E-130", "1E-130"), kUnderflow);
  EXPECT_EQ(difference("-9E125", "9E125"), kOverflow);
}

// Protects arithmetic, comparison and text against a model: 64-bit integers, shifted.
TEST(DecimalTest, AgreesWithIntegersOfOneScale) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const int bits = static_cast<int>(random.Below(62));
    const int64_t a =
        static_cast<int64_t>(random.Below(uint64_t{2} << bits)) - (int64_t{1} << bits);
    const int64_t b =
        static_cast<int64_t>(random.Below(uint64_t{2} << bits)) - (int64_t{1} << bits);
    const int scale = static_cast<int>(random.Between(-100, 100));
    const auto at_scale = [scale](int64_t value) { return D(absl::StrCat(value, "E", scale)); };
    EXPECT_EQ(*Decimal::Add(at_scale(a), at_scale(b)), at_scale(a + b));
    EXPECT_EQ(*Decimal::Subtract(at_scale(a), at_scale(b)), at_scale(a - b));
    EXPECT_EQ(at_scale(a) <=> at_scale(b), a <=> b);
    EXPECT_EQ(Ordered(at_scale(a)) < Ordered(at_scale(b)), a < b);
    EXPECT_EQ(Decimal(a).ToString(), absl::StrCat(a));
    int64_t back;
    ASSERT_TRUE(Decimal(a).ToInt64(&back));
    EXPECT_EQ(back, a);
  }
}

// Protects the limits of the conversion to integers.
TEST(DecimalTest, ConvertsIntegersThatFit) {
  int64_t value;
  EXPECT_TRUE(Decimal(INT64_MIN).ToInt64(&value));
  EXPECT_EQ(value, INT64_MIN);
  EXPECT_TRUE(Decimal(INT64_MAX).ToInt64(&value));
  EXPECT_EQ(value, INT64_MAX);
  EXPECT_FALSE(D("9223372036854775808").ToInt64(&value));
  EXPECT_FALSE(D("0.5").ToInt64(&value));
  EXPECT_FALSE(D("1E125").ToInt64(&value));
}

Decimal RandomDecimal(Random* random) {
  const int digits = static_cast<int>(random->Between(1, 38));
  std::string text = random->Chance(0.5) ? "-" : "";
  for (int i = 0; i < digits; ++i) {
    text += static_cast<char>('0' + random->Below(random->Chance(0.3) ? 2 : 10));
  }
  absl::StrAppend(&text, "E", random->Between(-130, 125 - digits + 1));
  const absl::StatusOr<Decimal> number = Decimal::Parse(text);
  return number.ok() ? *number : Decimal();
}

// Protects every reader against every writer, over the whole range.
TEST(DecimalTest, EveryTextAndEncodingReadsBack) {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const Decimal number = RandomDecimal(&random);
    EXPECT_EQ(D(number.ToString()), number);
    EXPECT_LE(number.ToString().size(), Decimal::kTextBytesMax);
    EXPECT_EQ(D(Compact(number)), number);
    EXPECT_EQ(Compact(number).size(), number.CompactTextBytes());
    EXPECT_LE(Compact(number).size(), Decimal::kCompactTextBytesMax);
    const std::string bytes = Ordered(number) + "tail";
    EXPECT_LE(bytes.size() - 4, Decimal::kOrderedBytesMax);
    absl::string_view rest = bytes;
    Decimal back;
    ASSERT_TRUE(Decimal::ConsumeOrdered(&rest, &back)) << number.ToString();
    EXPECT_EQ(back, number);
    EXPECT_EQ(rest, "tail");
  }
}

// Protects queries on numeric keys: bytes compare as numbers do.
TEST(DecimalTest, OrderedBytesCompareAsNumbers) {
  Random random(3);
  std::vector<Decimal> numbers;
  for (int i = 0; i < 3000; ++i) numbers.push_back(RandomDecimal(&random));
  for (const char* text : {"0", "1", "-1", "1.5", "1.50001", "10", "100", "1E125", "-1E125",
                           "1E-130", "-1E-130", "9.9E125", "-9.9E125", "12", "1.2", "0.12"}) {
    numbers.push_back(D(text));
  }
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 1; i < numbers.size(); ++i) {
    EXPECT_EQ(Ordered(numbers[i - 1]) < Ordered(numbers[i]), numbers[i - 1] < numbers[i]);
    EXPECT_LE(Ordered(numbers[i - 1]), Ordered(numbers[i]))
        << numbers[i - 1].ToString() << " " << numbers[i].ToString();
  }
}

// Golden: stored keys contain these bytes. They may not change.
TEST(DecimalTest, GoldenOrderedBytes) {
  EXPECT_EQ(Ordered(D("0")), std::string("\x02", 1));
  EXPECT_EQ(Ordered(D("1")), std::string("\x03\x82\x0b\x00", 4));
  EXPECT_EQ(Ordered(D("-1")), std::string("\x01\x7d\xf4\xff", 4));
  EXPECT_EQ(Ordered(D("12.345")), std::string("\x03\x83\x0d\x23\x33\x00", 6));
  EXPECT_EQ(Ordered(D("1E-130")), std::string("\x03\x00\x0b\x00", 4));
  EXPECT_EQ(Ordered(D("-9E125")), std::string("\x01\x00\xa4\xff", 4));
}

// Golden: stored items contain these texts. They may not change.
TEST(DecimalTest, GoldenCompactTexts) {
  EXPECT_EQ(Compact(D("0")), "0");
  EXPECT_EQ(Compact(D("-12.5")), "-12.5");
  EXPECT_EQ(Compact(D("1000000")), "1000000");
  EXPECT_EQ(Compact(D("10000000")), "1E7");
  EXPECT_EQ(Compact(D("0.00001")), "0.00001");
  EXPECT_EQ(Compact(D("0.000001")), "1E-6");
  EXPECT_EQ(Compact(D("-1.2E125")), "-12E124");
}

// Protects against damaged or forged keys: only what the writer writes is read.
TEST(DecimalTest, RefusesBytesThatAreNotCanonical) {
  for (const std::string& bytes :
       {std::string(), std::string("\x00", 1), std::string("\x04\x82\x0b\x00", 4),
        std::string("\x03\x82\x0b", 3), std::string("\x03\x82\x00", 3),
        std::string("\x03\x82\x01\x0b\x00", 5), std::string("\x03\x82\x05\x00", 4),
        std::string("\x03\x82\x0b\x01\x00", 5), std::string("\x03\x82\x66\x00", 4),
        absl::StrCat(absl::string_view("\x03\x82", 2), std::string(20, '\x0b'),
                     absl::string_view("\0", 1))}) {
    absl::string_view in = bytes;
    Decimal number;
    EXPECT_FALSE(Decimal::ConsumeOrdered(&in, &number));
    EXPECT_EQ(in.size(), bytes.size());
  }
}

// Protects the size count that the 400 KB limit uses.
TEST(DecimalTest, CountsStoredBytes) {
  const std::vector<std::pair<std::string, size_t>> cases = {
      {"0", 1},
      {"1", 2},
      {"-1", 3},
      {"99", 2},
      {"100", 2},
      {"10", 2},
      {"123", 3},
      {"1234", 3},
      {"5.5", 3},
      {"0.01", 2},
      {"0.001", 2},
      {"12.34", 3},
      {"1E125", 2},
      {"12345678901234567890123456789012345678", 20},
      {"-12345678901234567890123456789012345678", 21},
      {"-1.2345678901234567890123456789012345678", 21},
  };
  for (const auto& [text, bytes] : cases) EXPECT_EQ(D(text).StoredBytes(), bytes) << text;
}

}  // namespace
}  // namespace ringleader::model
