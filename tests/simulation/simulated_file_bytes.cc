#include "tests/simulation/simulated_file_bytes.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringleader {

FileBytes& FileBytes::operator=(const FileBytes& other) {
  if (this == &other) return *this;
  size_ = other.size_;
  chunks_.resize(other.chunks_.size());
  for (size_t i = 0; i < chunks_.size(); ++i) {
    if (other.chunks_[i] == nullptr) {
      chunks_[i] = nullptr;
    } else if (chunks_[i] == nullptr) {
      chunks_[i] = std::make_unique<Chunk>(*other.chunks_[i]);
    } else {
      *chunks_[i] = *other.chunks_[i];
    }
  }
  return *this;
}

bool FileBytes::IsZeros(absl::string_view data) {
  return data.empty() ||
         (data[0] == '\0' && std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0);
}

template <typename Change>
void FileBytes::ForEachPart(uint64_t from, uint64_t to, Change change) {
  while (from < to) {
    const uint64_t chunk = from / kChunkBytes;
    const uint64_t end = std::min(to, (chunk + 1) * kChunkBytes);
    change(chunk, from - chunk * kChunkBytes, end - chunk * kChunkBytes);
    from = end;
  }
}

void FileBytes::Resize(uint64_t size) {
  if (size < size_ && size % kChunkBytes != 0) {
    const auto& last = chunks_[size / kChunkBytes];
    if (last != nullptr) std::fill(last->begin() + size % kChunkBytes, last->end(), '\0');
  }
  size_ = size;
  chunks_.resize((size + kChunkBytes - 1) / kChunkBytes);
}

void FileBytes::Read(uint64_t offset, absl::Span<char> out) const {
  char* to = out.data();
  ForEachPart(offset, offset + out.size(), [&](uint64_t chunk, uint64_t from, uint64_t end) {
    if (chunks_[chunk] == nullptr) {
      std::memset(to, 0, end - from);
    } else {
      std::memcpy(to, chunks_[chunk]->data() + from, end - from);
    }
    to += end - from;
  });
}

void FileBytes::Write(uint64_t offset, absl::string_view data) {
  const char* bytes = data.data();
  ForEachPart(offset, offset + data.size(), [&](uint64_t chunk, uint64_t from, uint64_t end) {
    const char* const part = bytes;
    bytes += end - from;
    if (chunks_[chunk] == nullptr) {
      if (IsZeros({part, end - from})) return;
      chunks_[chunk] = std::make_unique<Chunk>();
    }
    std::memcpy(chunks_[chunk]->data() + from, part, end - from);
  });
}

void FileBytes::CopyRange(const FileBytes& other, uint64_t from, uint64_t to) {
  ForEachPart(from, to, [&](uint64_t chunk, uint64_t begin, uint64_t end) {
    if (other.chunks_[chunk] == nullptr) {
      if (chunks_[chunk] != nullptr) {
        std::memset(chunks_[chunk]->data() + begin, 0, end - begin);
      }
      return;
    }
    if (chunks_[chunk] == nullptr) chunks_[chunk] = std::make_unique<Chunk>();
    std::memcpy(chunks_[chunk]->data() + begin, other.chunks_[chunk]->data() + begin, end - begin);
  });
}

void SectorSet::Insert(uint64_t from, uint64_t to) {
  if (from >= to) return;
  const uint64_t first = from / kWordBits, last = (to - 1) / kWordBits;
  if (last >= words_.size()) words_.resize(last + 1);
  for (uint64_t word = first; word <= last; ++word) {
    const uint64_t begin = std::max(from, word * kWordBits) - word * kWordBits;
    const uint64_t end = std::min(to, (word + 1) * kWordBits) - word * kWordBits;
    words_[word] |= (~uint64_t{0} >> (kWordBits - (end - begin))) << begin;
  }
  low_ = low_ == high_ ? first : std::min(low_, first);
  high_ = std::max(high_, last + 1);
}

std::vector<uint64_t> SectorSet::Take() {
  std::vector<uint64_t> sectors;
  for (uint64_t word = low_; word < high_; ++word) {
    for (uint64_t rest = std::exchange(words_[word], 0); rest != 0; rest &= rest - 1) {
      sectors.push_back(word * kWordBits + static_cast<uint64_t>(__builtin_ctzll(rest)));
    }
  }
  low_ = high_ = 0;
  return sectors;
}

}  // namespace ringleader
