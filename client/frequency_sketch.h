// How often keys were asked for lately, in four bits a counter: a count-min sketch whose counters
// are halved now and then (TinyLFU: Einziger, Friedman and Manes, ACM ToS 2017). An estimate is
// never too low for what was added since the last halving, up to 15, and rarely too high.
//
// Not thread-safe.
#ifndef RINGLEADER_CLIENT_FREQUENCY_SKETCH_H_
#define RINGLEADER_CLIENT_FREQUENCY_SKETCH_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringleader::client {

class FrequencySketch {
 public:
  // For about this many keys that matter: 8 bytes each.
  explicit FrequencySketch(size_t keys) : words_(std::bit_ceil(std::max<size_t>(keys, 64))) {}

  // `hash`: 64 well mixed bits of the key.
  void Add(uint64_t hash) {
    bool added = false;
    for (int row = 0; row < kRows; ++row) added |= Increment(hash, row);
    if (added && ++additions_ >= kAdditionsPerWord * words_.size()) Halve();
  }

  uint32_t Estimate(uint64_t hash) const {
    uint32_t least = 15;
    for (int row = 0; row < kRows; ++row) {
      const uint64_t word = words_[WordOf(hash, row)];
      least = std::min(least, static_cast<uint32_t>(word >> ShiftOf(hash, row) & 15));
    }
    return least;
  }

 private:
  static constexpr int kRows = 4;
  // What the sketch remembers: some ten times as many requests as it has words.
  static constexpr uint64_t kAdditionsPerWord = 10;

  // Rows take different words and, of a word's 16 counters, a quarter each.
  size_t WordOf(uint64_t hash, int row) const {
    const uint64_t mixed = (hash + static_cast<uint64_t>(row)) * 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(mixed >> 20) & (words_.size() - 1);
  }
  static int ShiftOf(uint64_t hash, int row) {
    return 4 * (4 * row + static_cast<int>(hash >> (2 * row) & 3));
  }
  bool Increment(uint64_t hash, int row) {
    uint64_t& word = words_[WordOf(hash, row)];
    const int shift = ShiftOf(hash, row);
    if ((word >> shift & 15) == 15) return false;
    word += uint64_t{1} << shift;
    return true;
  }
  void Halve() {
    for (uint64_t& word : words_) word = word >> 1 & 0x7777777777777777u;
    additions_ /= 2;
  }

  std::vector<uint64_t> words_;
  uint64_t additions_ = 0;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_FREQUENCY_SKETCH_H_
