// Protects linearizable reads where nodes run with other options than their peers, as all do for a
// while that are restarted one by one with new ones: no lease outlives what its voters promised.
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "replication/lease.h"
#include "replication/promise_length.h"
#include "tests/unit/replication/runtime_fixture.h"

namespace ringleader::replication {
namespace {

using simulation::WorldOptions;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint32_t kFewTicks = 10;
constexpr uint32_t kManyTicks = 30;
constexpr char kNote[] = "/data/promise-length";

WorldOptions WithTicks(uint32_t election_ticks) {
  WorldOptions options;
  options.runtime.replica.core.election_ticks = election_ticks;
  return options;
}

class MachinesOf : public StateMachineFactory {
 public:
  explicit MachinesOf(simulation::Machine& node) : node_(node) {}

  absl::StatusOr<std::unique_ptr<StateMachine>> Open(GroupId group, ReplicaId replica,
                                                     absl::string_view directory,
                                                     const AppliedState& initial) override {
    auto machine = simulation::RegisterMachine::Open(*node_.disk, group, replica, directory,
                                                     initial, observer_, node_.machines);
    if (!machine.ok()) return machine.status();
    return std::unique_ptr<StateMachine>(*std::move(machine));
  }

 private:
  simulation::Machine& node_;
  const simulation::RegisterObserver observer_;
};

class MixedOptionsTest : public RuntimeTest {
 protected:
  explicit MixedOptionsTest(uint32_t election_ticks) : RuntimeTest(WithTicks(election_ticks)) {
    Run(seconds(5));
    leader_ = world_.LeaderOf(1);
    first_ = leader_ % 3 + 1;
    second_ = first_ % 3 + 1;
  }

  // What World::Start does, but for the option.
  void StartWith(NodeId node, uint32_t election_ticks) {
    simulation::Machine& machine = world_.machine(node);
    machine.threads = std::make_unique<simulation::SimulatedThreads>(
        simulation_, world_.options().task_time_max, absl::StrCat("node-", node));
    machine.network = world_.network().NewEndpoint(node, [] { return false; });
    machine.factory = std::make_unique<MachinesOf>(machine);
    RuntimeOptions options = WithTicks(election_ticks).runtime;
    options.cluster = 77;
    options.node = node;
    options.directory = "/data";
    auto opened =
        Runtime::Open(options, {*machine.disk, *machine.network, *machine.threads, *machine.clock},
                      *machine.factory, Random(5));
    ASSERT_TRUE(opened.ok()) << opened.status();
    machine.runtime = *std::move(opened);
    const auto address = [](NodeId of) { return absl::StrCat("node-", of, ":7100"); };
    for (NodeId other = 1; other <= 3; ++other) {
      if (other != node) machine.runtime->transport().SetAddress(other, address(other));
    }
    machine.listener = *machine.network->Listen(address(node), &machine.runtime->transport());
  }

  void CutOff(NodeId one, NodeId other) {
    world_.network().Block(one, other);
    world_.network().Block(other, one);
  }
  std::shared_ptr<Replica> ReplicaOf(NodeId node) { return world_.machine(node).runtime->Find(1); }

  // Until some time after `old` has lost its lease; another has to lead by then.
  void ExpectOneLeaseAtATime(NodeId old) {
    const auto replica = ReplicaOf(old);
    const Duration end = simulation_.now() + seconds(6);
    bool was_leased = false;
    bool another = false;
    while (simulation_.now() < end) {
      ASSERT_TRUE(simulation_.Step());
      const bool is_leased = replica->LeaseRead().ok();
      was_leased |= is_leased;
      another = false;
      for (const NodeId node : {leader_, first_, second_}) {
        another |= node != old && ReplicaOf(node)->view().serving;
      }
      ASSERT_FALSE(another && is_leased) << "two leaders could answer reads";
    }
    EXPECT_TRUE(was_leased) << "nothing was to be outlived";
    EXPECT_TRUE(another);
  }

  NodeId leader_ = 0, first_ = 0, second_ = 0;
};

class LongerLeaseTest : public MixedOptionsTest {
 protected:
  LongerLeaseTest() : MixedOptionsTest(kFewTicks) {}
};

TEST_F(LongerLeaseTest, ALeaderCountsOnNoMoreThanItsVotersPromise) {
  world_.Kill(first_);
  StartWith(first_, kManyTicks);
  Run(seconds(5));
  ReplicaOf(leader_)->Transfer(ReplicaOf(first_)->id(), [](const absl::Status&) {});
  Run(seconds(5));
  ASSERT_EQ(world_.LeaderOf(1), first_);
  ASSERT_TRUE(ReplicaOf(first_)->LeaseRead().ok());
  EXPECT_EQ(ReplicaOf(first_)->view().lease_length,
            LeaseLength(kFewTicks, milliseconds(100), 0.01));
  CutOff(first_, leader_);
  CutOff(first_, second_);
  ExpectOneLeaseAtATime(first_);
}

// As before where all have the same, also if another's is longer.
TEST_F(LongerLeaseTest, ALeaderCountsOnNoMoreThanItPromisesItself) {
  for (const NodeId node : {first_, second_}) {
    world_.Kill(node);
    StartWith(node, kManyTicks);
    Run(seconds(5));
  }
  ASSERT_EQ(world_.LeaderOf(1), leader_);
  EXPECT_EQ(ReplicaOf(leader_)->view().lease_length,
            LeaseLength(kFewTicks, milliseconds(100), 0.01));
}

// Whether the machine started anew as well, so that its clocks say nothing of the time before.
class ShorterSilenceTest : public MixedOptionsTest, public testing::WithParamInterface<bool> {
 protected:
  ShorterSilenceTest() : MixedOptionsTest(kManyTicks) {}
};

INSTANTIATE_TEST_SUITE_P(Rebooted, ShorterSilenceTest, testing::Bool());

// Rule 6: what a voter promised as the process before is kept by the one that would promise less.
TEST_P(ShorterSilenceTest, ARestartedVoterKeepsWhatWasPromisedBefore) {
  CutOff(leader_, second_);  // it hears no leader, and stands
  Run(seconds(6));
  ASSERT_EQ(world_.LeaderOf(1), leader_);
  world_.Kill(first_);
  if (GetParam()) world_.machine(first_).clock->Reboot();
  StartWith(first_, kFewTicks);
  CutOff(leader_, first_);
  ExpectOneLeaseAtATime(leader_);
  // The next restart has nothing longer to wait for.
  EXPECT_EQ(LoadPromiseLength(*world_.machine(first_).disk, kNote),
            PromiseLength(kFewTicks, milliseconds(100)));
  EXPECT_EQ(LoadPromiseLength(*world_.machine(second_).disk, kNote),
            PromiseLength(kManyTicks, milliseconds(100)));
}

}  // namespace
}  // namespace ringleader::replication
