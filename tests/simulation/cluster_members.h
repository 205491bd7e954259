// Which members of each group are whole, as an observer sees their machines from time to time.
//
// What is harmed for good adds up over all members of a group until its health is clean again
// (fault-model.md): a disk is only lost or damaged where the other voters of all its groups have
// everything; and as damage that nobody has met yet does not show, of one host a run. A voter that
// never received its state, or that is rebuilt, is as good as lost.
//
// Not thread-safe: one simulation, one thread.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_MEMBERS_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_MEMBERS_H_

#include <map>
#include <utility>

#include "replication/replica.h"
#include "tests/simulation/simulated_network.h"

namespace ringleader::simulation {

class ClusterMembers {
 public:
  using Views =
      std::map<replication::GroupId, std::pair<replication::ReplicaId, replication::ReplicaView>>;

  // A machine that runs, and the replicas that are open there. One that does not run is what it was
  // when it was seen last.
  void Observe(HostId host, const Views& views);
  // Its disk is another one.
  void Forget(HostId host) { hosts_.erase(host); }
  // Of all voters of all groups, only what is seen on this host lacks anything.
  bool OthersAreWhole(HostId host) const;

 private:
  struct Seen {
    replication::ReplicaId replica = 0;
    bool is_whole = false;
  };
  using Groups = std::map<replication::GroupId, Seen>;

  std::map<HostId, Groups> hosts_;
  // The newest that any host knew. One that has just started knows none for a moment.
  std::map<replication::GroupId, replication::Configuration> members_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_MEMBERS_H_
