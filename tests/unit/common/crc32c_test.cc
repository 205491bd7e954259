// Protects everything stored: the checksum must be CRC-32C on every machine and for ever.
#include "common/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "common/random.h"

namespace ringleader {
namespace {

TEST(Crc32cTest, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(crc32c::Value("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c::Value(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c::Value(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32cTest, TheInstructionAndThePortableCodeAgreeAtEveryLengthAndSplit) {
  Random random(1);
  std::string data(100, '\0');
  for (char& byte : data) byte = static_cast<char>(random.Next());
  for (size_t size = 0; size <= data.size(); ++size) {
    const absl::string_view part(data.data(), size);
    EXPECT_EQ(crc32c::Value(part), crc32c::ExtendPortable(0, part));
    const size_t cut = random.Below(size + 1);
    EXPECT_EQ(crc32c::Extend(crc32c::Value(part.substr(0, cut)), part.substr(cut)),
              crc32c::Value(part));
  }
}

}  // namespace
}  // namespace ringleader
