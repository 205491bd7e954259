// The network between simulated processes, behind the same seam as gRPC (common/network.h): delay,
// loss, duplication and reordering on the lanes that must bear it, breaks on all others, partitions
// and slow links in either direction.
//
// A call whose method is one of the lossy ones loses, doubles and reorders messages (as a lane that
// was reconnected does); every other call is in order or ends. A blocked direction loses messages
// on lossy calls and breaks the others. A caller that gives up hears no answer, and what it has
// sent arrives all the same, however late; of calls that break that is so for half.
//
// Not thread-safe: everything happens on the simulation's thread. Events are delivered as turns of
// the simulation, never from inside a method.
#ifndef RINGLEADER_TESTS_SIMULATION_SIMULATED_NETWORK_H_
#define RINGLEADER_TESTS_SIMULATION_SIMULATED_NETWORK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/network.h"
#include "tests/simulation/simulation.h"

namespace ringleader::simulation {

struct NetworkFaults {
  Duration delay_min = std::chrono::microseconds(50);
  Duration delay_max = std::chrono::milliseconds(2);
  // Of the messages on lossy calls.
  double loss = 0;
  double duplication = 0;
  double reordering = 0;  // delayed by up to reordering_delay_max more
  Duration reordering_delay_max = std::chrono::milliseconds(200);
  // Chance that a message breaks its call, on any call.
  double breaks = 0;
};

// Any of it may be absent.
NetworkFaults DrawWeather(Random& random);

struct NetworkCounts {
  uint64_t messages = 0;
  uint64_t lost = 0;
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t broken = 0;
  uint64_t blocked = 0;
};

// A process's place in the network. Numbers are the caller's.
using HostId = uint64_t;

class SimulatedNetwork {
 public:
  explicit SimulatedNetwork(Simulation& simulation)
      : simulation_(simulation), random_(simulation.random().Fork()) {}

  // A process's own Network; at most one a host at a time. Destroying it is the process's end: its
  // calls end, its listeners close, without a word to its own handlers but OnEnd. `is_paused`:
  // events wait.
  std::unique_ptr<Network> NewEndpoint(HostId host, std::function<bool()> is_paused);

  void SetFaults(const NetworkFaults& faults) { faults_ = faults; }
  // Calls of methods that start with this may lose, double and reorder messages.
  void AddLossyMethods(absl::string_view prefix) { lossy_.insert(std::string(prefix)); }

  // The process there is killed: nothing that it says from now on leaves, and its peers' calls end.
  // The endpoint itself is destroyed when its owner has put the process away.
  void Silence(HostId host);

  void Block(HostId from, HostId to) { blocked_.insert({from, to}); }
  void Unblock(HostId from, HostId to) { blocked_.erase({from, to}); }
  void UnblockAll() { blocked_.clear(); }
  bool IsBlocked(HostId from, HostId to) const { return blocked_.contains({from, to}); }

  // For faults of several steps, which blocks that begin and end meanwhile must not undo: until
  // MendLinks, messages of calls whose method starts with `method` are lost as if blocked ...
  void Cut(HostId from, HostId to, absl::string_view method = "");
  // ... or take so much longer to arrive, and as long to leave the sender's queue, as on a link
  // with little room. What is under way stays so, as long as both processes live.
  void SlowLink(HostId from, HostId to, Duration longer) { delays_[{from, to}] = longer; }
  void MendLinks();

  const NetworkCounts& counts() const { return counts_; }

 private:
  friend class SimulatedEndpoint;
  friend class SimulatedCall;
  struct Connection;

  Duration Delay() {
    return Duration(random_.Between(faults_.delay_min.count(), faults_.delay_max.count()));
  }
  Duration SlownessOf(HostId from, HostId to) const {
    const auto found = delays_.find({from, to});
    return found == delays_.end() ? Duration(0) : found->second;
  }
  bool IsLossy(absl::string_view method) const;
  bool IsCut(HostId from, HostId to, absl::string_view method) const;
  void Transmit(const std::shared_ptr<Connection>& connection, int from_side, std::string message);
  void Deliver(const std::shared_ptr<Connection>& connection, int to_side, Task event);
  void DeliverHeld(const std::shared_ptr<Connection>& connection, int to_side);
  void AfterMessages(const std::shared_ptr<Connection>& connection, int to_side, Task event);
  void End(const std::shared_ptr<Connection>& connection, int side, const absl::Status& status);
  void EndServer(const std::shared_ptr<Connection>& connection, const absl::Status& status);
  void Break(const std::shared_ptr<Connection>& connection, const absl::Status& status);

  Simulation& simulation_;
  Random random_;
  NetworkFaults faults_;
  NetworkCounts counts_;
  std::set<std::string> lossy_;
  std::set<std::pair<HostId, HostId>> blocked_;
  std::map<std::pair<HostId, HostId>, std::set<std::string>> cuts_;  // prefixes of methods
  std::map<std::pair<HostId, HostId>, Duration> delays_;
  std::map<HostId, class SimulatedEndpoint*> endpoints_;
  std::map<std::string, std::pair<class SimulatedEndpoint*, Service*>> listeners_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_SIMULATED_NETWORK_H_
