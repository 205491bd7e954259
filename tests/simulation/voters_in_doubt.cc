#include "tests/simulation/voters_in_doubt.h"

#include <algorithm>

namespace ringleader::simulation {
namespace {

// It had acknowledged some of these entries for certain, and can't show all of them.
bool HasLost(const replication::GroupState& log, const replication::Damage& entries) {
  const bool is_corrupt =
      std::any_of(log.damage.begin(), log.damage.end(), [](const replication::Damage& damage) {
        return damage.kind == replication::DamageKind::kCorrupt;
      });
  const replication::LogPosition first{entries.term, entries.first};
  return is_corrupt && log.intact_last < entries.last && !(log.promised < first);
}

}  // namespace

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
  if (log.has_value()) logs_.push_back(*log);
}

bool VotersInDoubt::MayStandStill() const {
  if (2 * without_state_ > voters_) return true;
  for (const replication::GroupState& log : logs_) {
    for (const replication::Damage& doubt : log.damage) {
      if (doubt.kind != replication::DamageKind::kInDoubt) continue;
      if (lost_ > 0) return true;
      for (const replication::GroupState& other : logs_) {
        if (&other != &log && HasLost(other, doubt)) return true;
      }
    }
  }
  return false;
}

}  // namespace ringleader::simulation
