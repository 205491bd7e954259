// What the fuzz targets share: taking structured pieces off the bytes that libFuzzer makes up, and
// its entry point. A target states a property with CHECK; a CHECK that fails, a sanitizer's report,
// a time-out and too much memory are what libFuzzer calls a crash.
#ifndef RINGLEADER_TESTS_FUZZ_FUZZ_H_
#define RINGLEADER_TESTS_FUZZ_FUZZ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "common/check.h"

// libFuzzer calls it with each input. 0: the input may join the corpus.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace ringleader::fuzz {

inline absl::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes pieces off the front. What is not there reads as zero or empty: every input means
// something, and a byte more or less changes little.
class Input {
 public:
  explicit Input(absl::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  uint8_t Byte() {
    const absl::string_view byte = Bytes(1);
    return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
  }
  // Below `bound`, which is 1 to 256.
  size_t Below(size_t bound) { return Byte() % bound; }
  uint64_t Number() {
    uint64_t number = 0;
    for (const char byte : Bytes(8)) number = number << 8 | static_cast<uint8_t>(byte);
    return number;
  }
  absl::string_view Bytes(size_t count) {
    const absl::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  // Up to a zero byte, which is taken as well.
  absl::string_view Text() {
    const size_t end = rest_.find('\0');
    const absl::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(std::min(rest_.size(), text.size() + 1));
    return text;
  }
  absl::string_view Rest() { return Bytes(rest_.size()); }

 private:
  absl::string_view rest_;
};

}  // namespace ringleader::fuzz

#endif  // RINGLEADER_TESTS_FUZZ_FUZZ_H_
