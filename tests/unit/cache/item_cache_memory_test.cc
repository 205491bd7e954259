// What the cache takes of the application's memory, against what is really asked of the allocator.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "absl/strings/str_cat.h"
#include "client/item_cache.h"

namespace {

constexpr size_t kOfTheAllocator = 8;  // beside each block
std::atomic<size_t> live_bytes{0};

}  // namespace

[[gnu::noinline]] void* operator new(size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  live_bytes += malloc_usable_size(memory) + kOfTheAllocator;
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= malloc_usable_size(memory) + kOfTheAllocator;
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace ringleader::client {
namespace {

// Protects an application's memory: a cache that counts too little takes more than it was given,
// and one that counts too much keeps less than it could.
TEST(ItemCacheMemoryTest, CountsWhatIsAllocated) {
  constexpr uint64_t kBytesMax = 16 << 20;
  for (const size_t value_bytes : {10, 100, 1000, 10000}) {
    const size_t before = live_bytes;
    ItemCache cache(SystemClock(), {.bytes_max = kBytesMax, .shards = 4});
    const auto deadline = std::make_shared<GrantDeadline>();
    for (int i = 0; cache.statistics().evicted == 0; ++i) {
      model::Item item;
      item.Set("id", model::AttributeValue::String(absl::StrCat("key-", i)));
      item.Set("value", model::AttributeValue::Binary(std::string(value_bytes, 'x')));
      cache.Insert(absl::StrCat("a table's number, and key-", i), item, 1, deadline, 1);
    }
    const auto taken = static_cast<double>(live_bytes - before);
    EXPECT_LT(taken, 1.1 * kBytesMax) << value_bytes;
    EXPECT_GT(taken, 0.85 * static_cast<double>(cache.statistics().bytes)) << value_bytes;
    EXPECT_LT(taken, 1.15 * static_cast<double>(cache.statistics().bytes)) << value_bytes;
  }
}

}  // namespace
}  // namespace ringleader::client
