#include "coordinator/formation.h"

#include <gtest/gtest.h>

#include "tests/unit/coordinator/coordinator_world.h"

namespace ringleader::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Formation, OneFormsByItself) {
  // Protects: a cluster of one coordinator needs nobody, and is the same after a restart.
  CoordinatorWorld world(1, 1);
  world.Start(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  const auto before = world.Formations();
  world.CutPower(1);
  world.Start(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  EXPECT_EQ(world.Formations(), before);
}

TEST(Formation, WaitsForEveryCoordinator) {
  // Protects: two of three never form, as the third may have data of a cluster.
  CoordinatorWorld world(2, 3);
  world.Start(1);
  world.Start(2);
  world.RunFor(seconds(20));
  EXPECT_TRUE(world.Formations().empty());
  EXPECT_EQ(world.machine(1).coordinator->identity().plan().formation(), 0u);
  world.Start(3);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
  world.RunFor(seconds(3));
  EXPECT_EQ(world.Formations().size(), 1u);
  for (uint64_t number = 1; number <= 3; ++number) {
    EXPECT_TRUE(world.machine(number).coordinator->store().metadata().formed()) << number;
  }
}

// Runs formation with a power cut on machine `victim` at its operation `step`; false when formation
// needs fewer operations than that.
bool CrashAt(uint64_t victim, uint64_t step) {
  CoordinatorWorld world(100 + step, 3);
  world.machine(victim).disk->CrashAfter(step);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  const auto down = [&] { return world.machine(victim).disk->crashed(); };
  const auto formed = [&] {
    for (uint64_t number = 1; number <= 3; ++number) {
      const CoordinatorMachine& machine = world.machine(number);
      if (machine.coordinator == nullptr || machine.failed) return false;
      if (!machine.coordinator->store().metadata().formed()) return false;
    }
    return world.Leader() != 0;
  };
  const bool crashed = world.RunUntil([&] { return down() || formed(); }, seconds(30)) && down();
  if (crashed) {
    world.CutPower(victim);
    world.RunFor(milliseconds(static_cast<int64_t>(step * 37 % 3000)));
    world.Start(victim);
  }
  EXPECT_TRUE(world.RunUntil(formed, seconds(60)))
      << "coordinator " << victim << " cut at operation " << step;
  EXPECT_EQ(world.Formations().size(), 1u);
  return crashed;
}

TEST(Formation, SurvivesAPowerCutAtEveryStep) {
  // Protects: whatever was durable when the power went, the coordinators form one cluster, all of
  // them, and go on.
  for (const uint64_t victim : {1, 3}) {
    uint64_t step = 0;
    while (CrashAt(victim, step) && step < 200) ++step;
    EXPECT_GT(step, 10u);
  }
}

TEST(Formation, AWipedCoordinatorRejoinsUnderANewReplica) {
  // Protects: rule 11: who lost its votes never votes under its old id again, comes back as a voter
  // under a new one, and no second cluster is formed.
  for (uint64_t victim = 1; victim <= 3; ++victim) {
    CoordinatorWorld world(10 + victim, 3);
    for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
    ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
    world.RunFor(seconds(1));
    const auto formations = world.Formations();
    world.Wipe(victim);
    world.RunFor(milliseconds(100 * static_cast<int64_t>(victim)));
    world.Start(victim);
    const auto rejoined = [&] {
      const CoordinatorMachine& machine = world.machine(victim);
      const auto replica = machine.coordinator->store().replica();
      if (replica == nullptr || replica->id() != 4) return false;
      const auto configuration = replica->view().configuration;
      return !configuration.joint() && configuration.learners.empty() &&
             configuration.voters.size() == 3 && configuration.voters[2].replica == 4;
    };
    ASSERT_TRUE(world.RunUntil(rejoined, seconds(60))) << victim;
    EXPECT_EQ(world.Formations(), formations);
    // Its vote counts: the group goes on without one of the others.
    world.Kill(victim % 3 + 1);
    world.RunFor(seconds(5));
    EXPECT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20))) << victim;
  }
}

TEST(Formation, ALateRejoinOfALostDiskTakesNothingBack) {
  // Protects: the vote of a coordinator that came back, from what an earlier incarnation of it had
  // asked for.
  CoordinatorWorld world(24, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
  world.RunFor(seconds(1));
  const uint64_t leader = world.Leader(), victim = leader % 3 + 1;
  v1::RejoinRequest late;
  late.set_coordinator(victim);
  late.set_incarnation(world.machine(victim).coordinator->identity().incarnation());
  world.Wipe(victim);
  world.Start(victim);
  const auto record = [&] {
    return world.machine(leader).coordinator->store().metadata().coordinators().at(victim);
  };
  ASSERT_TRUE(world.RunUntil([&] { return record().replica() == 4; }, seconds(60)));
  ASSERT_EQ(world.Leader(), leader);
  const auto answer = world.Call(leader, std::string(kRejoinMethod), late.SerializeAsString());
  ASSERT_TRUE(answer.ok()) << answer.status();
  v1::RejoinResponse response;
  ASSERT_TRUE(response.ParseFromString(*answer));
  EXPECT_EQ(response.outcome().error(), v1::ERROR_CONFLICT);
  EXPECT_NE(record().incarnation(), late.incarnation());
  EXPECT_EQ(record().replica(), 4u);
}

TEST(Formation, TwoWipedOfThreeNeverFormAgain) {
  // Protects: a majority of empty disks does not make a second cluster beside the data of the
  // third.
  CoordinatorWorld world(20, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
  world.RunFor(seconds(1));
  const auto formations = world.Formations();
  world.Wipe(1);
  world.Wipe(2);
  world.Start(1);
  world.Start(2);
  world.RunFor(seconds(30));
  EXPECT_EQ(world.Formations(), formations);  // the third still has it
  EXPECT_EQ(world.machine(1).coordinator->identity().plan().formation(), 0u);
  EXPECT_EQ(world.Leader(), 0u);
}

// A network whose answers the test gives by hand.
class HandNetwork : public Network {
 public:
  class NoCall : public Call {
    bool Send(std::string) override { return true; }
    void Finish(absl::Status) override {}
    uint64_t queued_bytes() const override { return 0; }
  };
  std::shared_ptr<Call> Start(absl::string_view address, absl::string_view, const CallOptions&,
                              std::unique_ptr<CallHandler> handler) override {
    calls[std::string(address)] = std::move(handler);
    return std::make_shared<NoCall>();
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::string_view, Service*) override {
    return absl::UnimplementedError("nobody listens");
  }
  void Answer(const std::string& address, const v1::HelloResponse& response) {
    const auto handler = std::move(calls.at(address));
    calls.erase(address);
    handler->OnMessage(response.SerializeAsString());
    handler->OnEnd(absl::OkStatus());
  }
  std::map<std::string, std::unique_ptr<CallHandler>> calls;  // those under way, by address
};

TEST(Formation, APlanOfALostDiskIsNotTakenWhenItArrivesLate) {
  // Protects: number 1 formed, lost its disk, and asks anew; whoever answered the new one must not
  // take the old one's plan from an answer that was still on its way: both would form.
  for (const bool lost : {true, false}) {
    simulation::Simulation simulation(1);
    simulation::SimulatedThreads threads(simulation, milliseconds(1));
    const auto control = threads.Start("control");
    SimulatedFileSystem disk(1);
    Random random(1);
    auto identity = IdentityFile::Open(disk, "/d", "c", 2, random);
    ASSERT_TRUE(identity.ok());
    HandNetwork network;
    UnaryClient client(network, *control);
    FormationOptions options;
    options.addresses = {"one", "two", "three"};
    bool placed = false;
    Formation formation(
        options, **identity, client, *control, Random(2), [&] { placed = true; },
        [](const absl::Status&) {});
    control->Post([&] { formation.Start(); });
    simulation.RunFor(milliseconds(100));
    v1::HelloResponse late;
    late.set_coordinator(1);
    late.set_incarnation(71);
    late.set_formed(true);
    late.mutable_plan()->set_formation(5);
    for (const uint64_t incarnation :
         {uint64_t{71}, (*identity)->identity().incarnation(), uint64_t{73}}) {
      late.mutable_plan()->add_incarnations(incarnation);
    }
    late.mutable_plan()->set_partitions(4);
    late.mutable_plan()->set_replicas(1);
    v1::HelloRequest anew;
    anew.set_from(1);
    anew.set_incarnation(lost ? 72 : 71);
    EXPECT_FALSE(formation.Hello(anew).formed());
    network.Answer("one", late);
    simulation.RunFor(milliseconds(100));
    EXPECT_EQ(placed, !lost);
  }
}

TEST(Formation, RefusesWhatIsNotItsOwn) {
  // Protects: data of another coordinator or cluster, or in use, is left alone, and the message
  // says why.
  SimulatedFileSystem disk(1);
  Random random(1);
  auto file = IdentityFile::Open(disk, "/d", "blue", 2, random);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(absl::IsUnavailable(IdentityFile::Open(disk, "/d", "blue", 2, random).status()));
  const uint64_t incarnation = (*file)->identity().incarnation();
  file->reset();
  EXPECT_TRUE(
      absl::IsFailedPrecondition(IdentityFile::Open(disk, "/d", "red", 2, random).status()));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(IdentityFile::Open(disk, "/d", "blue", 3, random).status()));
  file = IdentityFile::Open(disk, "/d", "blue", 2, random);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->identity().incarnation(), incarnation);
  file->reset();
  disk.FlipBit("/d/coordinator.identity", 100);
  EXPECT_TRUE(absl::IsDataLoss(IdentityFile::Open(disk, "/d", "blue", 2, random).status()));
}

}  // namespace
}  // namespace ringleader::coordinator
