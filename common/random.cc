#include "common/random.h"

#include <sys/random.h>

#include <bit>

#include "common/check.h"

namespace ringleader {
namespace {

uint64_t SplitMix64(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) word = SplitMix64(seed);
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::Below(uint64_t bound) {
  CHECK_GE(bound, 1u);
  // Draws below `threshold` would make the low values likelier: 2^64 mod bound of them.
  const uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const uint64_t draw = Next();
    if (draw >= threshold) return draw % bound;
  }
}

int64_t Random::Between(int64_t low, int64_t high) {
  CHECK_LE(low, high);
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  const uint64_t offset = span == 0 ? Next() : Below(span);
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

double Random::Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

bool Random::Chance(double probability) { return Fraction() < probability; }

Random Random::Fork() { return Random(Next()); }

uint64_t SystemEntropy() {
  uint64_t bits;
  CHECK_EQ(getrandom(&bits, sizeof(bits), 0), static_cast<ssize_t>(sizeof(bits)));
  return bits;
}

}  // namespace ringleader
