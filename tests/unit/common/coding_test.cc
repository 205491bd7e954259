// Protects the byte codec: one encoding for each value, and no read past the input.
#include "common/coding.h"

#include <gtest/gtest.h>

namespace ringleader {
namespace {

TEST(CodingTest, GoldenBytes) {
  std::string bytes;
  PutFixed32(0x01020304, bytes);
  PutFixed64(0x0102030405060708, bytes);
  PutVarint(300, bytes);
  PutLengthPrefixed("ab", bytes);
  EXPECT_EQ(bytes, std::string("\x04\x03\x02\x01\x08\x07\x06\x05\x04\x03\x02\x01\xac\x02\x02"
                               "ab"));
}

TEST(CodingTest, EveryVarintReadsBack) {
  for (int shift = 0; shift < 64; ++shift) {
    for (const uint64_t value : {1ull << shift, (1ull << shift) - 1, ~0ull >> shift}) {
      std::string bytes;
      PutVarint(value, bytes);
      Decoder decoder(bytes);
      EXPECT_EQ(decoder.Varint(), value);
      EXPECT_TRUE(decoder.AtEnd());
    }
  }
}

TEST(CodingTest, WhatNoWriterWritesIsRefused) {
  for (const absl::string_view bytes :
       {absl::string_view("\x80\x00", 2),                                   // longer than needed
        absl::string_view("\x80", 1),                                       // cut
        absl::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10),  // 65 bits
        absl::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11),
        absl::string_view()}) {
    Decoder decoder(bytes);
    decoder.Varint();
    EXPECT_FALSE(decoder.ok());
  }
}

TEST(CodingTest, AFailedDecoderStaysFailedAndGivesZeros) {
  Decoder decoder(
      absl::string_view("\x05"
                        "ab",
                        3));
  EXPECT_EQ(decoder.LengthPrefixed(), "");
  EXPECT_FALSE(decoder.ok());
  EXPECT_EQ(decoder.Byte(), 0);
  EXPECT_EQ(decoder.Fixed64(), 0u);
  EXPECT_FALSE(decoder.AtEnd());
}

}  // namespace
}  // namespace ringleader
