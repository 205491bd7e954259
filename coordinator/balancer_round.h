// One decision of a Balancer: what it looks at, and what it has found out so far.
#ifndef RINGLEADER_COORDINATOR_BALANCER_ROUND_H_
#define RINGLEADER_COORDINATOR_BALANCER_ROUND_H_

#include <map>
#include <set>

#include "coordinator/balancer.h"

namespace ringleader::coordinator {

struct Balancer::Round {
  const Metadata& metadata;
  const Observations& seen;
  const Instant now;
  Decision decision;
  std::set<uint64_t> alive;  // nodes
  std::set<uint64_t> dead;   // nodes whose replicas are to be replaced
  struct Led {
    uint64_t node = 0;
    const v1::ReplicaReport* report = nullptr;
  };
  std::map<uint64_t, Led> leaders;  // by partition; those that are known
  size_t moves = 0;                 // under way or begun now
  std::map<uint64_t, size_t> moves_into;
  std::set<uint64_t> planned;  // partitions whose move begins now

  const v1::ReplicaReport* Replica(uint64_t node, uint64_t partition) const {
    const auto found = seen.find(node);
    if (found == seen.end()) return nullptr;
    const auto replica = found->second.replicas.find(partition);
    return replica == found->second.replicas.end() ? nullptr : &replica->second;
  }
  v1::Command& NewCommand() { return decision.commands.emplace_back(); }
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_BALANCER_ROUND_H_
