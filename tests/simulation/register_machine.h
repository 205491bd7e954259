// The state machine that ring-sim replicates while it tests replication alone: 64-bit registers by
// number, with write, compare-and-set, add, and a hash over everything ever applied, so that two
// replicas at the same index can be compared. Deterministic; kept in memory, written to one file by
// Flush.
//
// File: "registers.1", fixed 64-bit numbers, and a CRC-32C at the end; replaced whole.
#ifndef RINGLEADER_TESTS_SIMULATION_REGISTER_MACHINE_H_
#define RINGLEADER_TESTS_SIMULATION_REGISTER_MACHINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/file_system.h"
#include "replication/state_machine.h"
#include "tests/simulation/linearizability.h"

namespace ringleader::simulation {

struct RegisterCommand {
  uint64_t id = 0;  // unique in a run
  uint64_t key = 0;
  RegisterOperation operation = RegisterOperation::kRead;
  int64_t input = 0;
  int64_t expected = 0;
  std::string padding;  // makes entries larger
};

std::string EncodeCommand(const RegisterCommand& command);

// What a run wants to know of its state machines.
struct RegisterObserver {
  // After an entry: the replica's hash over its whole history.
  std::function<void(replication::GroupId, replication::ReplicaId, const replication::Entry&,
                     uint64_t history_hash)>
      applied;
  // The outcome of command `id`, on the replica that applied it.
  std::function<void(replication::ReplicaId, uint64_t id, int64_t output)> outcome;
  std::function<void(replication::GroupId, replication::ReplicaId, replication::Term, bool began)>
      leadership;
};

class RegisterMachine;
// The open machine of each group on one node: for reads.
using OpenMachines = std::map<replication::GroupId, RegisterMachine*>;

class RegisterMachine : public replication::StateMachine {
 public:
  // The observer and `open` outlive it; it is in `open` while it lives.
  static absl::StatusOr<std::unique_ptr<RegisterMachine>> Open(
      FileSystem& file_system, replication::GroupId group, replication::ReplicaId replica,
      absl::string_view directory, const replication::AppliedState& initial,
      const RegisterObserver& observer, OpenMachines& open);
  ~RegisterMachine() override;

  replication::AppliedState applied() const override { return applied_; }
  absl::Status Apply(absl::Span<const replication::Entry> entries) override;
  replication::Index durable_applied() const override { return durable_; }
  absl::Status Flush() override;
  absl::StatusOr<replication::AppliedState> Capture(absl::string_view directory) override;
  void LeadershipBegan(replication::Term term) override;
  void LeadershipEnded(replication::Term term) override;

  int64_t Read(uint64_t key) const;

 private:
  RegisterMachine(FileSystem& file_system, replication::GroupId group,
                  replication::ReplicaId replica, absl::string_view directory,
                  const RegisterObserver& observer, OpenMachines& open)
      : file_system_(file_system),
        group_(group),
        replica_(replica),
        directory_(directory),
        observer_(observer),
        open_(open) {}

  absl::Status ApplyOne(const replication::Entry& entry);
  std::string Encode() const;
  absl::Status Decode(absl::string_view bytes);

  FileSystem& file_system_;
  const replication::GroupId group_;
  const replication::ReplicaId replica_;
  const std::string directory_;
  const RegisterObserver& observer_;
  OpenMachines& open_;
  replication::AppliedState applied_;
  replication::Index durable_ = 0;
  uint64_t history_hash_ = 0;
  std::map<uint64_t, int64_t> registers_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_REGISTER_MACHINE_H_
