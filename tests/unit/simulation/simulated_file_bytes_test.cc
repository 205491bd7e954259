#include "tests/simulation/simulated_file_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "common/random.h"

namespace ringleader {
namespace {

constexpr uint64_t kSizeMax = 20000;

std::string ContentOf(const FileBytes& bytes) {
  std::string content(bytes.size(), '?');
  bytes.Read(0, absl::MakeSpan(content));
  return content;
}

// A part within `size`: where it begins and ends.
std::pair<uint64_t, uint64_t> Part(Random& random, uint64_t size) {
  const uint64_t a = random.Below(size + 1), b = random.Below(size + 1);
  return std::minmax(a, b);
}

TEST(FileBytes, AreAsAString) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    FileBytes bytes[2];
    std::string model[2];
    for (int step = 0; step < 60; ++step) {
      const uint64_t at = random.Below(2);
      const auto [from, to] = Part(random, model[at].size());
      switch (random.Below(5)) {
        case 0: {
          const uint64_t size = random.Below(kSizeMax);
          bytes[at].Resize(size);
          model[at].resize(size, '\0');
          break;
        }
        case 1:
        case 2: {
          const std::string data(to - from, static_cast<char>(random.Below(3)));
          bytes[at].Write(from, data);
          model[at].replace(from, data.size(), data);
          break;
        }
        case 3: {
          const auto [begin, end] = Part(random, std::min(model[0].size(), model[1].size()));
          bytes[at].CopyRange(bytes[1 - at], begin, end);
          model[at].replace(begin, end - begin, model[1 - at], begin, end - begin);
          break;
        }
        default:
          if (random.Chance(0.2)) {
            bytes[at] = bytes[1 - at];
            model[at] = model[1 - at];
          }
      }
      ASSERT_TRUE(ContentOf(bytes[0]) == model[0]) << "seed " << seed << ", step " << step;
      ASSERT_TRUE(ContentOf(bytes[1]) == model[1]) << "seed " << seed << ", step " << step;
    }
  }
}

TEST(FileBytes, ZerosAreKnown) {
  EXPECT_TRUE(FileBytes::IsZeros(""));
  EXPECT_TRUE(FileBytes::IsZeros(std::string(5000, '\0')));
  for (const size_t at : {0, 1, 4999}) {
    std::string data(5000, '\0');
    data[at] = 'x';
    EXPECT_FALSE(FileBytes::IsZeros(data)) << at;
  }
}

TEST(SectorSet, IsAsASet) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    SectorSet sectors;
    std::set<uint64_t> model;
    for (int step = 0; step < 30; ++step) {
      const auto [from, to] = Part(random, 300);
      sectors.Insert(from, to);
      for (uint64_t sector = from; sector < to; ++sector) model.insert(sector);
      if (random.Chance(0.5)) continue;
      ASSERT_EQ(sectors.Take(), std::vector<uint64_t>(model.begin(), model.end()))
          << "seed " << seed << ", step " << step;
      model.clear();
    }
  }
}

}  // namespace
}  // namespace ringleader
