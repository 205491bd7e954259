// Part of every server program (ringleader_server in cmake/targets.cmake): memory that tcmalloc
// takes from the system comes in huge pages where the kernel has some to give ("madvise" is what
// Debian sets). A node's memtables are walked at random all over a few hundred megabytes; with
// pages of 4 KiB most steps of such a walk also miss the processor's table of translations.
#include <gperftools/malloc_extension.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace ringleader {
namespace {

constexpr size_t kHugePage = 2 << 20;

class HugePages : public SysAllocator {
 public:
  // Called under the heap's lock: it allocates nothing. Null: there is no memory.
  void* Alloc(size_t size, size_t* actual_size, size_t alignment) override {
    if (size > SIZE_MAX / 2 || alignment > SIZE_MAX / 4) return nullptr;
    size = (size + kHugePage - 1) / kHugePage * kHugePage;
    alignment = std::max(alignment, kHugePage);  // a power of two
    const size_t mapped = size + alignment;
    void* const map =
        mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(map);
    const uintptr_t used = (begin + alignment - 1) / alignment * alignment;
    if (used > begin) munmap(map, used - begin);
    const size_t behind = begin + mapped - (used + size);
    if (behind > 0) munmap(reinterpret_cast<void*>(used + size), behind);
    madvise(reinterpret_cast<void*>(used), size, MADV_HUGEPAGE);  // a wish: no is no failure
    if (actual_size != nullptr) *actual_size = size;
    return reinterpret_cast<void*>(used);
  }
};

// Before main and never undone, as the heap outlives everything.
[[maybe_unused]] const bool installed = [] {
  alignas(HugePages) static char place[sizeof(HugePages)];
  MallocExtension::instance()->SetSystemAllocator(new (place) HugePages);
  return true;
}();

}  // namespace
}  // namespace ringleader
