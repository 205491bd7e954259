// Whether a group may stand still for good (fault-model.md, "What is not promised"):
//   - an entry of one voter is in doubt, and another one that may have acknowledged it has no log
//     or no state (any more), or can't show it as its log is corrupt there or before: nobody can
//     tell whether the entry counted;
//   - a majority waits for a snapshot to replace lost state: nobody can commit as far as their logs
//     go.
#ifndef RINGLEADER_TESTS_SIMULATION_VOTERS_IN_DOUBT_H_
#define RINGLEADER_TESTS_SIMULATION_VOTERS_IN_DOUBT_H_

#include <vector>

#include "replication/runtime.h"

namespace ringleader::simulation {

class VotersInDoubt {
 public:
  // For each voter; null: its process is down.
  void Add(const replication::Runtime* runtime, replication::GroupId group,
           replication::ReplicaId replica);
  // What the above finds out: a voter has this log and its state, or lacks one of them. `is_open`:
  // it is there all the same, and waits to be filled.
  void AddLog(const replication::GroupState& log);
  void AddLost(bool is_open);

  bool MayStandStill() const;

 private:
  std::vector<replication::GroupState> logs_;
  int lost_ = 0;
  int without_state_ = 0;
  int voters_ = 0;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_VOTERS_IN_DOUBT_H_
