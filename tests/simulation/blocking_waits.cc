#include "tests/simulation/blocking_waits.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>

#include "common/check.h"

namespace ringleader::simulation {
namespace {

thread_local Simulation* waits_advance = nullptr;

}  // namespace

BlockingWaits::BlockingWaits(Simulation& simulation) {
  CHECK(waits_advance == nullptr) << "one simulation a thread";
  waits_advance = &simulation;
}

BlockingWaits::~BlockingWaits() { waits_advance = nullptr; }

static void Advance() {
  SimulatedThreads* const process = waits_advance->process();
  const bool advanced = process != nullptr ? process->RunWaitedFor() : waits_advance->Step();
  CHECK(advanced) << "a wait that nothing can end";
}

}  // namespace ringleader::simulation

// Takes the place of libstdc++'s, for this program and the shared libraries that it loads.
void std::condition_variable::wait(std::unique_lock<std::mutex>& lock) {
  if (ringleader::simulation::waits_advance == nullptr) {
    pthread_cond_wait(native_handle(), lock.mutex()->native_handle());
    return;
  }
  lock.unlock();
  ringleader::simulation::Advance();
  lock.lock();
}
