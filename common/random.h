// Random numbers that a seed determines: xoshiro256** (Blackman and Vigna, 2018), seeded by
// SplitMix64. Not for secrets (common/crypto.h has those). The standard library's distributions
// differ between implementations, so the few shapes that are needed are defined here: the
// simulator's traces depend on them.
//
// Not thread-safe: one per owner. Fork() derives an independent stream, so that one consumer's
// draws don't change another's.
#ifndef RINGLEADER_COMMON_RANDOM_H_
#define RINGLEADER_COMMON_RANDOM_H_

#include <cstdint>

namespace ringleader {

class Random {
 public:
  explicit Random(uint64_t seed);

  // 64 uniform bits.
  uint64_t Next();
  // Uniform in [0, bound), bound >= 1, without modulo bias.
  uint64_t Below(uint64_t bound);
  // Uniform in [low, high], low <= high.
  int64_t Between(int64_t low, int64_t high);
  // Uniform in [0, 1), 53 bits.
  double Fraction();
  // True with this probability; 0 never, 1 always.
  bool Chance(double probability);
  // A new, independent stream.
  Random Fork();

 private:
  uint64_t state_[4];
};

// 64 bits from the kernel's random source: the seed of a production process.
uint64_t SystemEntropy();

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_RANDOM_H_
