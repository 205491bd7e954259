// The cluster's state for people.
#ifndef RINGLEADER_COORDINATOR_HEALTH_H_
#define RINGLEADER_COORDINATOR_HEALTH_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "coordinator/balancer.h"
#include "coordinator/metadata.h"

namespace ringleader::coordinator {

// What Status answers, from the metadata leader's view: who is there, which partitions are well,
// and a sentence for whatever an operator has to know.
v1::StatusResponse DescribeHealth(const Metadata& metadata, const Observations& seen,
                                  const std::vector<std::string>& coordinator_addresses,
                                  uint64_t coordinator_leader,
                                  const std::set<uint64_t>& coordinators_alive);

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_HEALTH_H_
