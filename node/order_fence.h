// Which orders of coordinators still fit (DESIGN section 11, rule 20). An order was made of a
// report that may be old by the time it arrives.
#ifndef RINGLEADER_NODE_ORDER_FENCE_H_
#define RINGLEADER_NODE_ORDER_FENCE_H_

#include "replication/replica.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"

namespace ringleader {

// A leader changes the members that the order was made for, if their own change is committed. What
// it shows here may be old as well: Replica::ChangeMembers compares the version where it counts.
bool MayChangeMembers(const replication::ReplicaView& leader,
                      const coordinator::v1::ChangeMembers& order);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_ORDER_FENCE_H_
