// What an item takes in memory, against what is really asked of the allocator.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "common/random.h"
#include "model/item.h"
#include "tests/unit/model/random_value.h"

namespace {

size_t allocations = 0;
size_t allocated_bytes = 0;

}  // namespace

[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  allocated_bytes += size;
  return std::malloc(size);
}
[[gnu::noinline]] void* operator new(size_t size) {
  void* const memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace ringleader::model {
namespace {

// Protects an application's memory: a cache that counts too little takes more than it was given.
TEST(ItemMemoryTest, CountsWhatIsAllocated) {
  Random random(7);
  for (int i = 0; i < 2000; ++i) {
    Item item = RandomMap(&random, 1 + static_cast<int>(random.Below(4)));
    item.Set("long", AttributeValue::Binary(std::string(random.Below(300), 'x')));
    allocations = allocated_bytes = 0;
    const Item copy = item;
    const size_t bytes = allocated_bytes + 16 * allocations;  // 16: the allocator's own, about
    EXPECT_EQ(HeapBytes(copy), bytes);
  }
}

}  // namespace
}  // namespace ringleader::model
