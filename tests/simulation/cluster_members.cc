#include "tests/simulation/cluster_members.h"

#include <algorithm>
#include <vector>

namespace ringleader::simulation {
namespace {

bool Has(const std::vector<replication::Member>& members, replication::ReplicaId replica) {
  return std::any_of(members.begin(), members.end(),
                     [&](const replication::Member& member) { return member.replica == replica; });
}

}  // namespace

void ClusterMembers::Observe(HostId host, const Views& views) {
  Groups groups;
  for (const auto& [group, replica] : views) {
    const auto& [id, view] = replica;
    groups[group] = {
        .replica = id,
        .is_whole = !view.rebuilding && !view.unfillable && !view.configuration.voters.empty(),
        .configuration = view.configuration};
  }
  hosts_[host] = std::move(groups);
}

bool ClusterMembers::IsWhole(replication::GroupId group, replication::ReplicaId replica) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& host) {
    const auto seen = host.second.find(group);
    return seen != host.second.end() && seen->second.replica == replica && seen->second.is_whole;
  });
}

// By the newest members that any host knows.
bool ClusterMembers::OthersAreWhole(HostId host) const {
  std::map<replication::GroupId, const replication::Configuration*> newest;
  for (const auto& [each, groups] : hosts_) {
    for (const auto& [group, seen] : groups) {
      const replication::Configuration*& known = newest[group];
      if (known == nullptr || known->version < seen.configuration.version) {
        known = &seen.configuration;
      }
    }
  }
  const auto mine = hosts_.find(host);
  if (mine == hosts_.end()) return true;
  for (const auto& [group, seen] : mine->second) {
    const replication::Configuration& members = *newest.at(group);
    if (!Has(members.voters, seen.replica) && !Has(members.outgoing, seen.replica)) continue;
    for (const auto* voters : {&members.voters, &members.outgoing}) {
      for (const replication::Member& voter : *voters) {
        if (voter.replica != seen.replica && !IsWhole(group, voter.replica)) return false;
      }
    }
  }
  return true;
}

}  // namespace ringleader::simulation
