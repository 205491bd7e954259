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
  const auto found = runtime == nullptr ? nullptr : runtime->Find(group);
  if (found == nullptr || found->id() != replica) return AddLost(/*is_open=*/false);
  // Who knows no members never had a log: a first voter whose leader came before its plan. To the
  // others it looks like one that lost it.
  const replication::ReplicaView view = found->view();
  if (view.rebuilding || view.configuration.voters.empty()) return AddLost(/*is_open=*/true);
  AddLog(runtime->log().Group(group).value_or(replication::GroupState()));
}

void VotersInDoubt::AddLog(const replication::GroupState& log) {
  ++voters_;
  logs_.push_back(log);
}

void VotersInDoubt::AddLost(bool is_open) {
  ++voters_;
  ++lost_;
  if (is_open) ++without_state_;
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
