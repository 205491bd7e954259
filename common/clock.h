// Time as Ringleader uses it: durations from clocks that nobody can set, never the time of day, for
// everything that decides who may answer; the time of day only to stamp what people read.
//
// Two clocks are read together. The raw monotonic clock is not steered by NTP; the boot-time clock
// goes on while the machine sleeps. Neither is right in every failure, so each side of a promise
// takes the reading that is safe for it (DESIGN section 6):
//   who HOLDS a lease believes that more time has passed:  HolderElapsed, the larger of the two
//   who WAITS one out believes that less time has passed:  WaiterElapsed, the smaller of the two
//
// Thread-safe. Every component takes a Clock&, so that the simulator can run it in virtual time.
#ifndef RINGLEADER_COMMON_CLOCK_H_
#define RINGLEADER_COMMON_CLOCK_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

namespace ringleader {

using Duration = std::chrono::nanoseconds;

// One reading of both clocks, in time since a start that means nothing. Only differences between
// readings of the same process are of use, or of the same Clock::BootId(); they are never sent to
// another machine.
struct Instant {
  Duration raw{0};   // CLOCK_MONOTONIC_RAW
  Duration boot{0};  // CLOCK_BOOTTIME

  friend bool operator==(const Instant&, const Instant&) = default;
};

// The most time that may have passed between two readings: for the holder of a lease.
inline Duration HolderElapsed(const Instant& from, const Instant& to) {
  return std::max(to.raw - from.raw, to.boot - from.boot);
}

// The least time that has certainly passed between two readings: for whoever waits a lease out.
inline Duration WaiterElapsed(const Instant& from, const Instant& to) {
  return std::min(to.raw - from.raw, to.boot - from.boot);
}

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant Now() const = 0;
  // For the holder of a lease, who may believe that more time has passed: each clock says what it
  // says now or up to 1 ms more. Cheaper than Now.
  virtual Instant HolderNow() const { return Now(); }
  // Readings with the same id can be compared from process to process: no restart of the machine,
  // and of nothing else that sets its clocks, came between. Empty: they never can.
  virtual std::string BootId() const { return ""; }
  // The time of day, microseconds since 1970-01-01 UTC. May jump either way: for item versions
  // (which take max(clock, previous + 1)), expiry times and logs; never for leases or timeouts.
  virtual int64_t WallMicros() const = 0;
};

// The machine's clocks. Lives as long as the process.
Clock& SystemClock();

// Stops the calling thread. For the start of a process, before there is anything else to do.
void BlockFor(Duration pause);

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_CLOCK_H_
