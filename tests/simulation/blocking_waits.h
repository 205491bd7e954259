// Makes code that waits for another thread run on the simulation's one thread.
//
// LevelDB waits on a condition variable inside a call: a write for a full memtable, and the
// destructor for a compaction. A node that starts waits for the openings of its replicas, and the
// client library's forms that wait do the same for their answer. On one thread nobody would ever
// wake them. So the programs that link this replace std::condition_variable::wait, which both use
// and which may return without a reason by its contract: on the simulation's thread it runs what is
// waited for and returns. Everywhere else it waits as ever.
//
// That keeps a run on one thread, and so in one order, without a seam in production code that would
// exist for the simulator alone.
#ifndef RINGLEADER_TESTS_SIMULATION_BLOCKING_WAITS_H_
#define RINGLEADER_TESTS_SIMULATION_BLOCKING_WAITS_H_

#include "tests/simulation/simulation.h"

namespace ringleader::simulation {

// While it lives, a wait on this thread advances `simulation`: inside a process's code by one of
// that process's compactions or openings, otherwise by the next event. A wait that nothing can end
// is a deadlock of the code under test: the program stops and says so.
class BlockingWaits {
 public:
  explicit BlockingWaits(Simulation& simulation);
  ~BlockingWaits();
  BlockingWaits(const BlockingWaits&) = delete;
  BlockingWaits& operator=(const BlockingWaits&) = delete;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_BLOCKING_WAITS_H_
