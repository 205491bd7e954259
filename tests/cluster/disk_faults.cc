// A disk that fails, for the tests of tests/cluster: a library that is loaded before the C library
// (LD_PRELOAD) and makes reads, writes and syncs of regular files fail with EIO, as a program sees
// it when the device does. Only calls that go by a file descriptor, as all of ours do
// (common/posix_file_system.cc).
//
// The file that RING_DISK_FAULTS names is mapped: three bytes, one each for reads, writes, syncs:
// of 255 calls, how many fail. Whoever breaks the disk changes them while the process runs.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

enum Kind { kRead, kWrite, kSync, kKinds };

const volatile uint8_t* MapRates() {
  const char* const path = std::getenv("RING_DISK_FAULTS");
  if (path == nullptr) return nullptr;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* const mapped = mmap(nullptr, kKinds, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  return mapped == MAP_FAILED ? nullptr : static_cast<const volatile uint8_t*>(mapped);
}

// Whether this call is one of those that fail.
bool Fails(int file, Kind kind) {
  static const volatile uint8_t* const rates = MapRates();
  if (rates == nullptr || rates[kind] == 0) return false;
  struct stat attributes;
  if (fstat(file, &attributes) != 0 || !S_ISREG(attributes.st_mode)) return false;
  static std::atomic<uint32_t> calls{0};
  // A multiplicative hash: which calls fail is spread, and needs no state beyond a counter.
  const uint32_t draw = (calls.fetch_add(1) * 2654435761u) >> 24;
  if (draw >= rates[kind]) return false;
  errno = EIO;
  return true;
}

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t pread(int file, void* to, size_t bytes, off_t offset) {
  static auto* const real = Real<ssize_t(int, void*, size_t, off_t)>("pread");
  return Fails(file, kRead) ? -1 : real(file, to, bytes, offset);
}

ssize_t pread64(int file, void* to, size_t bytes, off64_t offset) {
  static auto* const real = Real<ssize_t(int, void*, size_t, off64_t)>("pread64");
  return Fails(file, kRead) ? -1 : real(file, to, bytes, offset);
}

ssize_t write(int file, const void* from, size_t bytes) {
  static auto* const real = Real<ssize_t(int, const void*, size_t)>("write");
  return Fails(file, kWrite) ? -1 : real(file, from, bytes);
}

ssize_t pwrite(int file, const void* from, size_t bytes, off_t offset) {
  static auto* const real = Real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return Fails(file, kWrite) ? -1 : real(file, from, bytes, offset);
}

ssize_t pwritev(int file, const iovec* from, int count, off_t offset) {
  static auto* const real = Real<ssize_t(int, const iovec*, int, off_t)>("pwritev");
  return Fails(file, kWrite) ? -1 : real(file, from, count, offset);
}

ssize_t pwritev64(int file, const iovec* from, int count, off64_t offset) {
  static auto* const real = Real<ssize_t(int, const iovec*, int, off64_t)>("pwritev64");
  return Fails(file, kWrite) ? -1 : real(file, from, count, offset);
}

int fsync(int file) {
  static auto* const real = Real<int(int)>("fsync");
  return Fails(file, kSync) ? -1 : real(file);
}

int fdatasync(int file) {
  static auto* const real = Real<int(int)>("fdatasync");
  return Fails(file, kSync) ? -1 : real(file);
}

}  // extern "C"
