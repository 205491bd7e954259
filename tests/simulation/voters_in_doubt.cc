#include "tests/simulation/voters_in_doubt.h"

namespace ringleader::simulation {

void VotersInDoubt::Add(const replication::Runtime* runtime, replication::GroupId group,
                        replication::ReplicaId replica) {
  ++voters_;
  const auto found = runtime == nullptr ? nullptr : runtime->Find(group);
  if (found == nullptr || found->id() != replica || found->view().rebuilding) {
    ++lost_;
    without_state_ += found != nullptr && found->id() == replica;
    return;
  }
  const auto log = runtime->log().Group(group);
  if (!log.has_value()) return;
  for (const replication::Damage& damage : log->damage) {
    in_doubt_ |= damage.kind == replication::DamageKind::kInDoubt;
  }
}

}  // namespace ringleader::simulation
