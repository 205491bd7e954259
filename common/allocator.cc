#include "common/allocator.h"

#include <malloc.h>

#include "common/check.h"

namespace ringleader {
namespace {

constexpr int kKeptBytes = 64 << 20;
// Larger blocks come from the kernel and go back to it: snapshots and frames, not requests.
constexpr int kMappedBytes = 4 << 20;

}  // namespace

void KeepFreedMemory() {
  CHECK_EQ(mallopt(M_TRIM_THRESHOLD, kKeptBytes), 1);
  CHECK_EQ(mallopt(M_MMAP_THRESHOLD, kMappedBytes), 1);
}

}  // namespace ringleader
