// What a simulated file consists of: its bytes, of which runs of zeros take no memory, and the set
// of its sectors that a crash may lose.
#ifndef RINGLEADER_TESTS_SIMULATION_SIMULATED_FILE_BYTES_H_
#define RINGLEADER_TESTS_SIMULATION_SIMULATED_FILE_BYTES_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringleader {

class FileBytes {
 public:
  FileBytes() = default;
  FileBytes(const FileBytes& other) { *this = other; }
  FileBytes& operator=(const FileBytes& other);

  static bool IsZeros(absl::string_view data);

  uint64_t size() const { return size_; }
  // What it gains are zeros.
  void Resize(uint64_t size);

  // All within the size, `CopyRange` within both.
  void Read(uint64_t offset, absl::Span<char> out) const;
  void Write(uint64_t offset, absl::string_view data);
  void CopyRange(const FileBytes& other, uint64_t from, uint64_t to);

 private:
  static constexpr uint64_t kChunkBytes = 4096;
  using Chunk = std::array<char, kChunkBytes>;

  // Calls `change(chunk number, from, to)` for each part of [from, to) in a chunk, with places
  // within it.
  template <typename Change>
  static void ForEachPart(uint64_t from, uint64_t to, Change change);

  uint64_t size_ = 0;
  std::vector<std::unique_ptr<Chunk>> chunks_;  // null: zeros; zeros too beyond the size
};

class SectorSet {
 public:
  // [from, to).
  void Insert(uint64_t from, uint64_t to);
  // All of them, in rising order; none is left.
  std::vector<uint64_t> Take();

 private:
  static constexpr uint64_t kWordBits = 64;
  std::vector<uint64_t> words_;
  uint64_t low_ = 0, high_ = 0;  // the words outside of [low_, high_) are zeros
};

}  // namespace ringleader

#endif  // RINGLEADER_TESTS_SIMULATION_SIMULATED_FILE_BYTES_H_
