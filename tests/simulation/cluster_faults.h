// What goes wrong in a run of the whole cluster (fault-model.md), drawn from the seed. Each run has
// a mixture of its own: some kinds often, some never, so that rare combinations are common
// somewhere. What may cost data (damaged files, misdirected writes, a wiped disk) happens to one
// node and a minority of the coordinators of a run at most; everything else may hit all.
//
// Called between events: an administrator's requests wait for their answer.
#ifndef RINGLEADER_TESTS_SIMULATION_CLUSTER_FAULTS_H_
#define RINGLEADER_TESTS_SIMULATION_CLUSTER_FAULTS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/cluster_passing_table.h"
#include "tests/simulation/cluster_world.h"
#include "tests/simulation/run_draws.h"

namespace ringleader::simulation {

class ClusterFaults {
 public:
  ClusterFaults(ClusterWorld& world, PassingTable& passing, const FaultPace& pace);

  // Runs the world for `span` and injects meanwhile.
  void RunFor(Duration span);
  // Mends everything: machines up and running, network clean, disks fine, nobody drains. A
  // coordinator whose log was damaged is emptied, as its error tells an operator to.
  void Heal();

  // An order to drain may have been on its way when healing took it back.
  void UndrainLate();
  // One that runs without its replica, whose log lost what it had promised: an operator empties its
  // disk, as health says.
  void EmptyLostCoordinators();

  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  enum class Kind {
    kKill,
    kPower,
    kPowerAll,
    kPause,
    kPartition,
    kIsolateLeader,
    kWeather,
    kDiskError,
    kDiskFull,
    kSlowDisk,
    kPowerInOperation,
    kDamage,
    kMisdirect,
    kWipe,
    kClock,
    kClockStep,
    kClientKill,
    kTransfer,
    kMove,
    kDrain,
    kJoin,
    kFlush,
    kLeases,
    kSlowLink,
    kStopLeader,
    kTable,
    kKinds,
  };

  void Inject(Kind kind);
  HostId Random(MachineKind kind);
  HostId RandomServer();
  HostId RandomClient();
  HostId RandomAny();
  void Down(HostId host, bool power);
  void PowerAll();
  void PauseOne();
  void KillClient();
  void JumpClock(HostId host);
  void StepClock();
  void FillDisk(HostId host);
  void SlowDisk(HostId host);
  void PowerInOperation(HostId host);
  void FlushOne();
  void Flush(HostId host);  // all its replicas
  void Partition();
  void IsolateLeader();
  void ShutIn(HostId server, std::vector<std::pair<HostId, HostId>>& links);
  void Block(const std::vector<std::pair<HostId, HostId>>& links, Duration span);
  void Weather();
  void SlowOneLink();
  void DiskError(HostId host);
  void Damage();
  void Misdirect();
  void WipeOne();
  void TransferLeader();
  void MovePartition();
  void SlowOrders(uint64_t partition);
  void DrainOne();
  void Drain(uint64_t node, bool back);
  bool Undrain(uint64_t node);
  void Join();
  bool MayDamage(HostId host);

  // cluster_faults_leases.cc
  void StrikeLeases();
  HostId RandomHolder();
  void SlowDown(HostId leader, HostId holder);
  void Silence(uint64_t partition, HostId holder);
  void StopLeader(uint64_t partition);
  // 0 for the client: none stands still beside it.
  void AwaitSuccessor(uint64_t partition, HostId stopped, HostId client, Duration until);
  void PauseFor(HostId host, Duration span);
  // Unless everything is mended by then.
  void After(Duration delay, Task task);

  Duration Some(Duration max) { return Duration(random_.Between(1, max.count())); }
  void Count(const std::string& what);

  ClusterWorld& world_;
  PassingTable& passing_;
  const FaultPace pace_;
  ringleader::Random random_;
  std::vector<uint64_t> weights_;  // by kind
  std::map<std::string, uint64_t> counts_;
  bool cuts_syncs_ = false;
  bool is_healed_ = false;
  std::set<HostId> damaged_;  // may have lost data in this run
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_CLUSTER_FAULTS_H_
