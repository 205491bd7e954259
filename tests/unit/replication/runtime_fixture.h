// Whole runtimes in virtual time, with one group of registers.
#ifndef RINGLEADER_TESTS_UNIT_REPLICATION_RUNTIME_FIXTURE_H_
#define RINGLEADER_TESTS_UNIT_REPLICATION_RUNTIME_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "replication/runtime.h"
#include "tests/simulation/raft_world.h"
#include "tests/simulation/simulation.h"

namespace ringleader::replication {

class RuntimeTest : public ::testing::Test {
 protected:
  explicit RuntimeTest(const simulation::WorldOptions& options = {})
      : world_(simulation_, options) {
    world_.Create();
    Run(std::chrono::seconds(5));
  }

  void Run(Duration span) { simulation_.RunFor(span); }

  std::shared_ptr<Replica> LeaderReplica() {
    const NodeId leader = world_.LeaderOf(1);
    return leader == 0 ? nullptr : world_.machine(leader).runtime->Find(1);
  }

  // Adds 1 to register 0 and waits until some replica applied it; false if nobody took it.
  bool AddOne() {
    const auto replica = LeaderReplica();
    if (replica == nullptr) return false;
    bool done = false;
    const uint64_t id = ++last_id_;
    world_.OnOutcome([&done, id](ReplicaId, uint64_t outcome, int64_t) { done |= outcome == id; });
    const simulation::RegisterCommand command{
        .id = id, .operation = simulation::RegisterOperation::kAdd, .input = 1};
    replica->Propose(replica->view().term,
                     {std::make_shared<const std::string>(simulation::EncodeCommand(command))},
                     [](const absl::StatusOr<LogPosition>&) {});
    Run(std::chrono::seconds(1));
    world_.OnOutcome(nullptr);  // replays tell of it again
    return done;
  }

  int64_t ValueOn(NodeId node) { return world_.machine(node).machines.at(1)->Read(0); }

  NodeId Follower() {
    for (const auto& [node, machine] : world_.machines()) {
      if (node != world_.LeaderOf(1)) return node;
    }
    return 0;
  }

  // Flushes everywhere, so that logs are compacted and who is behind needs a snapshot.
  void FlushAll() {
    for (auto& [node, machine] : world_.machines()) {
      if (machine.up()) machine.runtime->Find(1)->FlushAndCompact();
    }
    Run(std::chrono::seconds(2));
  }

  simulation::Simulation simulation_{7};
  simulation::World world_;
  uint64_t last_id_ = 0;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_TESTS_UNIT_REPLICATION_RUNTIME_FIXTURE_H_
