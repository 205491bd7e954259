// Whether a group may stand still for good: an entry of one voter is in doubt, and another voter
// that may have acknowledged it has lost its log or its state. Nobody can tell then whether the
// entry counted, and service is not promised (fault-model.md, "What is not promised").
#ifndef RINGLEADER_TESTS_SIMULATION_VOTERS_IN_DOUBT_H_
#define RINGLEADER_TESTS_SIMULATION_VOTERS_IN_DOUBT_H_

#include "replication/runtime.h"

namespace ringleader::simulation {

class VotersInDoubt {
 public:
  // For each voter; null: its process is down.
  void Add(const replication::Runtime* runtime, replication::GroupId group,
           replication::ReplicaId replica);
  bool MayStandStill() const { return in_doubt_ && lost_; }

 private:
  bool in_doubt_ = false;
  bool lost_ = false;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_VOTERS_IN_DOUBT_H_
