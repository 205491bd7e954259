// Protects what applications may conclude from item_version: equal ones are the same item, and a
// later answer never has an older one.
#include "tests/simulation/item_versions.h"

#include <gtest/gtest.h>

namespace ringleader::simulation {
namespace {

SeenVersion Read(uint64_t version, int64_t value, int64_t call, int64_t returned) {
  return {.version = version, .value = value, .call = call, .returned = returned};
}
SeenVersion Write(uint64_t version, int64_t value, int64_t call, int64_t returned) {
  SeenVersion write = Read(version, value, call, returned);
  write.is_write = true;
  return write;
}
SeenVersion Eventual(SeenVersion read) {
  read.is_eventual = true;
  return read;
}

TEST(ItemVersionsTest, AVersionIsOneValue) {
  EXPECT_EQ(CheckVersions({Read(3, 7, 0, 1), Read(3, 7, 2, 3)}), "");
  EXPECT_NE(CheckVersions({Read(3, 7, 0, 1), Read(3, 8, 0, 1)}), "");
  EXPECT_NE(CheckVersions({Read(3, 7, 0, 1), Eventual(Read(3, 8, 0, 1))}), "");
  // Two writes of one entry: the second is what is there.
  EXPECT_EQ(CheckVersions({Write(3, 7, 0, 2), Write(3, 8, 0, 2), Read(3, 8, 3, 4)}), "");
}

TEST(ItemVersionsTest, VersionsOnlyGrow) {
  EXPECT_NE(CheckVersions({Read(4, 7, 0, 1), Read(3, 8, 2, 3)}), "");
  EXPECT_EQ(CheckVersions({Read(4, 7, 0, 3), Read(3, 8, 2, 4)}), "") << "at the same time";
  EXPECT_EQ(CheckVersions({Read(4, 7, 0, 1), Eventual(Read(3, 8, 2, 3))}), "");
  EXPECT_NE(CheckVersions({Write(4, 7, 0, 1), Read(3, 8, 2, 3)}), "");
  EXPECT_EQ(CheckVersions({Write(4, 7, 0, 1), Read(4, 7, 2, 3)}), "");
  EXPECT_NE(CheckVersions({Read(4, 7, 0, 1), Write(4, 8, 2, 3)}), "") << "a version used again";
}

}  // namespace
}  // namespace ringleader::simulation
