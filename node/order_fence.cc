#include "node/order_fence.h"

#include "common/mutants.h"

namespace ringleader {

bool MayChangeMembers(const replication::ReplicaView& leader,
                      const coordinator::v1::ChangeMembers& order) {
  if (!leader.serving || leader.configuration_index > leader.commit) return false;
  return leader.configuration.version == order.expected_version() || MUTANT("orders-unfenced");
}

}  // namespace ringleader
