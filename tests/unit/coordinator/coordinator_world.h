// Coordinators on simulated machines, whole: disk, clock, threads and network of their own; only
// the seams are simulated. And a client to call them with.
#ifndef RINGLEADER_TESTS_UNIT_COORDINATOR_COORDINATOR_WORLD_H_
#define RINGLEADER_TESTS_UNIT_COORDINATOR_COORDINATOR_WORLD_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/coordinator.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"

namespace ringleader::coordinator {

struct CoordinatorMachine {
  std::unique_ptr<SimulatedFileSystem> disk;
  std::unique_ptr<simulation::SimulatedClock> clock;
  // The process; null while it is down.
  std::unique_ptr<simulation::SimulatedThreads> threads;
  std::unique_ptr<Network> network;
  std::unique_ptr<Coordinator> coordinator;
  bool failed = false;
  absl::Status failure;
};

class CoordinatorWorld {
 public:
  CoordinatorWorld(uint64_t seed, size_t coordinators);
  ~CoordinatorWorld();

  static std::string Address(uint64_t number);
  CoordinatorOptions OptionsOf(uint64_t number) const;

  // What all coordinators start with; the defaults but for shorter times.
  uint32_t partitions = 4;
  uint32_t replicas = 1;
  BalancerOptions balancer;
  // What the build of each can run, by number; the others are this one.
  std::map<uint64_t, VersionRange> versions;

  void Start(uint64_t number);
  void Kill(uint64_t number);
  void CutPower(uint64_t number);
  void Wipe(uint64_t number);  // a new, empty disk
  CoordinatorMachine& machine(uint64_t number) { return machines_.at(number); }
  size_t size() const { return machines_.size(); }

  void RunFor(Duration span);
  // False: not within `limit`.
  bool RunUntil(const std::function<bool()>& condition, Duration limit);
  // The coordinator whose store leads and knows the cluster; 0: none.
  uint64_t Leader();
  // Formation ids that any coordinator's metadata has.
  std::vector<uint64_t> Formations();

  // A unary call from a client's place; UNAVAILABLE and others as the call ended.
  absl::StatusOr<std::string> Call(uint64_t number, const std::string& method,
                                   const std::string& request, const CallMetadata& metadata = {});
  Network& client() { return *client_; }
  simulation::Simulation& simulation() { return simulation_; }

 private:
  simulation::Simulation simulation_;
  Random random_;
  simulation::SimulatedNetwork network_;
  std::map<uint64_t, CoordinatorMachine> machines_;
  std::unique_ptr<Network> client_;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_TESTS_UNIT_COORDINATOR_COORDINATOR_WORLD_H_
