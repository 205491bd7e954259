#include "common/clock.h"

#include <time.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>

#include "common/check.h"

namespace ringleader {
namespace {

constexpr Duration kReadingUsedFor = std::chrono::microseconds(500);

Duration Read(clockid_t id) {
  timespec time;
  CHECK_EQ(clock_gettime(id, &time), 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

class MachineClock : public Clock {
 public:
  Instant Now() const override {
    return Instant{.raw = Read(CLOCK_MONOTONIC_RAW), .boot = Read(CLOCK_BOOTTIME)};
  }
  // The raw clock is read only now and then: since its last reading it has gone on for at most
  // twice as long as the boot-time clock says, which the kernel steers by less than a quarter
  // (adjtimex: 10% by its tick, 12.5% of an offset, 0.05% by its frequency). It is read after the
  // other one, so whatever holds the thread up between the two counts as time that has passed.
  Instant HolderNow() const override {
    thread_local Instant last;
    const Duration boot = Read(CLOCK_BOOTTIME);
    const Duration since = boot - last.boot;
    if (since <= kReadingUsedFor) return {.raw = last.raw + 2 * since, .boot = boot};
    last = {.raw = Read(CLOCK_MONOTONIC_RAW), .boot = boot};
    return last;
  }
  // The kernel's id of the boot, and the time namespace with what it adds to the clocks.
  std::string BootId() const override {
    const auto read = [](const char* path) {
      std::ifstream file(path);
      return std::string(std::istreambuf_iterator<char>(file), {});
    };
    const std::string id = read("/proc/sys/kernel/random/boot_id");
    std::error_code error;  // a kernel without time namespaces
    const std::string space = std::filesystem::read_symlink("/proc/self/ns/time", error).string();
    return id.empty() ? id : id + space + read("/proc/self/timens_offsets");
  }
  int64_t WallMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(Read(CLOCK_REALTIME)).count();
  }
};

}  // namespace

Clock& SystemClock() {
  static MachineClock* const clock = new MachineClock;  // never destroyed: threads may outlive main
  return *clock;
}

void BlockFor(Duration pause) { std::this_thread::sleep_for(pause); }

}  // namespace ringleader
