// Protects tokens: they place stored data and must never change.
#include "model/token.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/key_codec.h"

namespace ringleader::model {
namespace {

// The vectors of the reference implementation's own self-test (xxhsum): a generated buffer, two
// seeds, lengths on both sides of each of the algorithm's steps.
TEST(TokenTest, MatchesThePublishedVectors) {
  constexpr uint32_t kPrime = 2654435761u;
  std::string buffer;
  for (uint32_t generator = kPrime; buffer.size() < 101; generator *= generator) {
    buffer += static_cast<char>(generator >> 24);
  }
  const auto hash = [&](size_t size, uint64_t seed) {
    return Xxh64(absl::string_view(buffer).substr(0, size), seed);
  };
  EXPECT_EQ(hash(0, 0), 0xEF46DB3751D8E999u);
  EXPECT_EQ(hash(0, kPrime), 0xAC75FDA2929B17EFu);
  EXPECT_EQ(hash(1, 0), 0x4FCE394CC88952D8u);
  EXPECT_EQ(hash(1, kPrime), 0x739840CB819FA723u);
  EXPECT_EQ(hash(14, 0), 0xCFFA8DB881BC3A3Du);
  EXPECT_EQ(hash(14, kPrime), 0x5B9611585EFCC9CBu);
  EXPECT_EQ(hash(101, 0), 0x0EAB543384F878ADu);
  EXPECT_EQ(hash(101, kPrime), 0xCAA65939306F1E21u);
  EXPECT_EQ(Xxh64("a", 0), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(Xxh64("abc", 0), 0x44BC2CF5AD770999u);
}

// Golden: where keys lie. A change would lose every stored item.
TEST(TokenTest, GoldenTokens) {
  EXPECT_EQ(TokenOfKey(1, AttributeValue::String("user#1")), 11737945810907913194u);
  EXPECT_EQ(TokenOfKey(2, AttributeValue::String("user#1")), 14403900474132631604u);
  EXPECT_EQ(TokenOfKey(1, AttributeValue::Binary("user#1")), 723822555405045633u);
  EXPECT_EQ(TokenOfKey(1, AttributeValue::Number(Decimal(1))), 6821884517386165101u);
}

// Protects balance: keys that differ little spread evenly over equal token ranges.
TEST(TokenTest, SpreadsSequentialKeysEvenly) {
  constexpr int kKeys = 64000;
  constexpr int kRanges = 64;
  for (const bool numeric : {false, true}) {
    std::vector<int> counts(kRanges);
    for (int i = 0; i < kKeys; ++i) {
      const AttributeValue key = numeric ? AttributeValue::Number(Decimal(i))
                                         : AttributeValue::String(absl::StrCat("user#", i));
      ++counts[TokenOfKey(7, key) >> 58];
    }
    // Chi-squared with 63 degrees of freedom: 103.4 is passed by chance once in a thousand.
    double chi_squared = 0;
    for (const int count : counts) {
      const double off = count - kKeys / kRanges;
      chi_squared += off * off / (kKeys / kRanges);
    }
    EXPECT_LT(chi_squared, 103.4);
  }
}

}  // namespace
}  // namespace ringleader::model
