#include "tests/simulation/voters_in_doubt.h"

namespace ringleader::simulation {

void VotersInDoubt::Add(const replication::Runtime* runtime, replication::GroupId group,
                        replication::ReplicaId replica) {
  ++voters_;
  const auto found = runtime == nullptr ? nullptr : runtime->Find(group);
  // Who knows no members never had a log: a first voter whose leader came before its plan. To the
  // others it looks like one that lost it.
  const auto has_state = [&] {
    const replication::ReplicaView view = found->view();
    return !view.rebuilding && !view.configuration.voters.empty();
  };
  if (found == nullptr || found->id() != replica || !has_state()) {
    ++lost_;
    without_state_ += found != nullptr && found->id() == replica;
    return;
  }
  const auto log = runtime->log().Group(group);
  if (!log.has_value()) return;
  for (const replication::Damage& damage : log->damage) damage_.push_back({voters_, damage});
}

bool VotersInDoubt::MayStandStill() const {
  if (2 * without_state_ > voters_) return true;
  for (const auto& [voter, doubt] : damage_) {
    if (doubt.kind != replication::DamageKind::kInDoubt) continue;
    if (lost_ > 0) return true;
    for (const auto& [other, damage] : damage_) {
      if (other != voter && damage.kind != replication::DamageKind::kInDoubt &&
          damage.term == doubt.term && damage.first <= doubt.last && doubt.first <= damage.last) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace ringleader::simulation
