#include "tests/simulation/cluster_members.h"

#include <set>
#include <utility>

namespace ringleader::simulation {

void ClusterMembers::Observe(HostId host, const Views& views) {
  Groups groups;
  for (const auto& [group, replica] : views) {
    const auto& [id, view] = replica;
    const bool has_members = !view.configuration.voters.empty();
    groups[group] = {.replica = id,
                     .is_whole = has_members && !view.rebuilding && !view.unfillable};
    replication::Configuration& newest = members_[group];
    if (has_members && view.configuration.version >= newest.version) newest = view.configuration;
  }
  hosts_[host] = std::move(groups);
}

bool ClusterMembers::OthersAreWhole(HostId host) const {
  std::set<std::pair<replication::GroupId, replication::ReplicaId>> fine;
  for (const auto& [each, groups] : hosts_) {
    for (const auto& [group, seen] : groups) {
      if (seen.is_whole || each == host) fine.insert({group, seen.replica});
    }
  }
  for (const auto& [group, members] : members_) {
    for (const auto* voters : {&members.voters, &members.outgoing}) {
      for (const replication::Member& voter : *voters) {
        if (!fine.contains({group, voter.replica})) return false;
      }
    }
  }
  return true;
}

}  // namespace ringleader::simulation
