#include "common/clock.h"

#include <time.h>

#include "common/check.h"

namespace ringleader {
namespace {

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
  int64_t WallMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(Read(CLOCK_REALTIME)).count();
  }
};

}  // namespace

Clock& SystemClock() {
  static MachineClock* const clock = new MachineClock;  // never destroyed: threads may outlive main
  return *clock;
}

}  // namespace ringleader
