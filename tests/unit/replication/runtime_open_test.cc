// Opening replicas on real threads, several at a time: what the simulation, on its one, can't show.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <memory>

#include "common/mutex.h"
#include "replication/runtime.h"
#include "tests/simulation/register_machine.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"

namespace ringleader::replication {
namespace {

constexpr GroupId kGroups = 6;

// Counts how many are being opened at the same time. With `gathers` an opening waits for a second
// one.
class Registers : public StateMachineFactory {
 public:
  explicit Registers(FileSystem& file_system, bool gathers)
      : file_system_(file_system), gathers_(gathers) {}

  absl::StatusOr<std::unique_ptr<StateMachine>> Open(GroupId group, ReplicaId replica,
                                                     absl::string_view directory,
                                                     const AppliedState& initial) override {
    simulation::OpenMachines* open = nullptr;
    {
      MutexLock lock(mutex_);
      open = &open_.emplace_back();
      most_ = std::max(most_, ++opening_);
      changed_.NotifyAll();
      while (gathers_ && most_ < 2) {
        if (!changed_.WaitFor(lock, std::chrono::seconds(60))) gathers_ = false;
      }
    }
    auto machine = simulation::RegisterMachine::Open(file_system_, group, replica, directory,
                                                     initial, observer_, *open);
    MutexLock lock(mutex_);
    --opening_;
    if (!machine.ok()) return machine.status();
    return std::unique_ptr<StateMachine>(*std::move(machine));
  }

  int most() {
    MutexLock lock(mutex_);
    return most_;
  }

 private:
  FileSystem& file_system_;
  const simulation::RegisterObserver observer_;
  Mutex mutex_;
  Condition changed_;
  std::list<simulation::OpenMachines> open_ ABSL_GUARDED_BY(mutex_);
  bool gathers_ ABSL_GUARDED_BY(mutex_);  // until one has waited in vain
  int opening_ ABSL_GUARDED_BY(mutex_) = 0;
  int most_ ABSL_GUARDED_BY(mutex_) = 0;
};

class RuntimeOpenTest : public testing::Test {
 protected:
  std::unique_ptr<Runtime> OpenRuntime(Registers& registers, int openers) {
    RuntimeOptions options;
    options.cluster = 77;
    options.node = 1;
    options.directory = "data";
    options.openers = openers;
    options.log.segment_bytes = 256 << 10;
    options.log.reserve_bytes = 32 << 10;
    options.log.log_bytes_target = 1 << 20;
    auto runtime = Runtime::Open(options, {disk_, *network_, SystemThreads(), SystemClock()},
                                 registers, Random(5));
    EXPECT_TRUE(runtime.ok()) << runtime.status();
    return runtime.ok() ? *std::move(runtime) : nullptr;
  }

  // With one voter each, so that nothing is sent.
  void CreateGroups(Runtime& runtime) {
    Mutex mutex;
    Condition changed;
    GroupId created = 0;
    for (GroupId group = 1; group <= kGroups; ++group) {
      NewGroup fresh{.group = group, .replica = 10 + group};
      fresh.configuration.voters = {{10 + group, 1}};
      runtime.CreateGroup(fresh, [&](const absl::Status& status) {
        EXPECT_TRUE(status.ok()) << status;
        MutexLock lock(mutex);
        ++created;
        changed.NotifyAll();
      });
    }
    MutexLock lock(mutex);
    while (created < kGroups) changed.Wait(lock);
  }

  simulation::Simulation simulation_{7};
  simulation::SimulatedNetwork simulated_network_{simulation_};
  std::unique_ptr<Network> network_ = simulated_network_.NewEndpoint(1, [] { return false; });
  SimulatedFileSystem disk_{1};
};

// Protects a start that is soon over: a replica does not wait for the syncs of all before it.
TEST_F(RuntimeOpenTest, ReplicasAreOpenedSeveralAtATime) {
  {
    Registers registers(disk_, /*gathers=*/false);
    const std::unique_ptr<Runtime> runtime = OpenRuntime(registers, 1);
    ASSERT_NE(runtime, nullptr);
    CreateGroups(*runtime);
  }
  for (const int openers : {1, 4}) {
    disk_.RestartProcess();
    Registers registers(disk_, /*gathers=*/openers > 1);
    const std::unique_ptr<Runtime> runtime = OpenRuntime(registers, openers);
    ASSERT_NE(runtime, nullptr);
    EXPECT_EQ(runtime->Replicas().size(), kGroups);
    for (const auto& replica : runtime->Replicas()) EXPECT_EQ(replica->id(), 10 + replica->group());
    EXPECT_EQ(registers.most() > 1, openers > 1);
  }
}

}  // namespace
}  // namespace ringleader::replication
