// Figure 3 of the Raft paper among the replicas of each group (replication/core_invariants.h), as
// an observer sees them who looks into all processes at once: one leader a term, logs that match,
// leaders that have everything committed. It compares whenever it sees a new leader, and now and
// then.
//
// Not thread-safe: one simulation, one thread, and no look inside a task.
#ifndef RINGLEADER_TESTS_SIMULATION_GROUP_INVARIANTS_H_
#define RINGLEADER_TESTS_SIMULATION_GROUP_INVARIANTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "replication/core_invariants.h"
#include "replication/replica.h"

namespace ringleader::simulation {

class GroupInvariants {
 public:
  using Replicas = std::vector<std::shared_ptr<replication::Replica>>;

  // To be called often: a leader that comes and goes between two calls is not seen. `all`: the
  // replicas of all processes that run or stand still. An error names the group, the replica and
  // the property.
  absl::Status Look(Duration now, const Replicas& all);

  uint64_t comparisons() const { return comparisons_; }

 private:
  bool HasNewLeader(const Replicas& all);

  std::map<replication::GroupId, replication::CoreInvariants> groups_;
  std::set<std::tuple<replication::GroupId, replication::Term, replication::ReplicaId>> leaders_;
  Duration next_{0};
  uint64_t comparisons_ = 0;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_GROUP_INVARIANTS_H_
