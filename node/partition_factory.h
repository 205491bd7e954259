// Opens partitions for the replication runtime, and keeps what a new one needs to know.
//
// A replica that is made by a plan begins empty; which tokens are its own stands in a small file
// that is durable before replication is asked to make it: plans/<group>.<replica>. Every other
// replica gets its range with its state, and does not look at its plan. File, format 1, may not
// change: byte 1, fixed64 first token, fixed64 last token, fixed32 CRC-32C of what precedes it.
//
// Thread-safe.
#ifndef RINGLEADER_NODE_PARTITION_FACTORY_H_
#define RINGLEADER_NODE_PARTITION_FACTORY_H_

#include <memory>
#include <string>
#include <vector>

#include "node/partition.h"
#include "replication/state_machine.h"

namespace ringleader {

class PartitionFactory : public replication::StateMachineFactory {
 public:
  // Partitions take turns on `compactions`, which is not empty and runs until the last partition is
  // closed; place.store.compactions is replaced by one of them.
  PartitionFactory(const PartitionPlace& place, std::vector<Executor*> compactions,
                   std::string plans_directory)
      : place_(place),
        compactions_(std::move(compactions)),
        plans_directory_(std::move(plans_directory)) {}

  absl::StatusOr<std::unique_ptr<replication::StateMachine>> Open(
      replication::GroupId group, replication::ReplicaId replica, absl::string_view directory,
      const replication::AppliedState& initial) override;

  absl::Status CheckCaptured(absl::string_view path) override {
    return CheckStoreFile(place_.store, path);
  }

  // Durable when it returns OK; before Runtime::CreateGroup.
  absl::Status SavePlan(replication::GroupId group, replication::ReplicaId replica,
                        const model::TokenRange& range);
  // After Runtime::DestroyReplica.
  void RemovePlan(replication::GroupId group, replication::ReplicaId replica);

 private:
  std::string PlanPath(replication::GroupId group, replication::ReplicaId replica) const;
  absl::StatusOr<std::optional<model::TokenRange>> ReadPlan(replication::GroupId group,
                                                            replication::ReplicaId replica) const;

  const PartitionPlace place_;
  const std::vector<Executor*> compactions_;
  const std::string plans_directory_;
};

std::string EncodePlan(const model::TokenRange& range);
// DATA_LOSS: damaged. FAILED_PRECONDITION: of a newer format.
absl::StatusOr<model::TokenRange> DecodePlan(absl::string_view bytes);

}  // namespace ringleader

#endif  // RINGLEADER_NODE_PARTITION_FACTORY_H_
