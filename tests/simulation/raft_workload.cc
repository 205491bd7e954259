#include "tests/simulation/raft_workload.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader::simulation {
namespace {

using replication::Index;
using replication::LogPosition;
using replication::Replica;
using replication::ReplicaView;

constexpr uint64_t kCheckStepsMax = 3'000'000;
constexpr Duration kRetryAfter = std::chrono::milliseconds(20);

}  // namespace

Workload::Workload(World& world, const WorkloadOptions& options)
    : world_(world), options_(options) {
  for (int i = 0; i < options.clients; ++i) {
    clients_.push_back({.random = world.simulation().random().Fork()});
  }
  world.OnOutcome([this](ReplicaId replica, uint64_t id, int64_t output) {
    outcomes_.try_emplace(id, output);
    const auto found = commands_.find(id);
    if (found == commands_.end() || found->second.second != replica) return;
    const size_t client = found->second.first;
    commands_.erase(found);
    Succeeded(client, id, output);
  });
}

void Workload::Start() {
  for (size_t i = 0; i < clients_.size(); ++i) Next(i);
}

void Workload::Next(size_t number) {
  Client& client = clients_[number];
  const auto think = Duration(client.random.Between(0, options_.think_max.count()));
  world_.simulation().At(think, [this, number] {
    if (stopped_) return;
    Client& mine = clients_[number];
    mine.attempt = ++last_attempt_;
    mine.sent = false;
    const auto groups = world_.groups();
    mine.key = {groups[mine.random.Below(groups.size())],
                mine.random.Below(static_cast<uint64_t>(options_.keys))};
    mine.event = RegisterEvent{};
    // Some look elsewhere than where the leader was last: a deposed one may still be there.
    if (mine.random.Chance(options_.wander)) {
      mine.target = 1 + mine.random.Below(world_.machines().size());
    }
    const uint64_t draw = mine.random.Below(10);
    mine.event.operation = draw < 4   ? RegisterOperation::kRead
                           : draw < 7 ? RegisterOperation::kWrite
                           : draw < 9 ? RegisterOperation::kAdd
                                      : RegisterOperation::kCompareAndSet;
    mine.event.input = mine.event.operation == RegisterOperation::kAdd ? 1 : ++last_value_ * 1000;
    // Sometimes the value that may be there: the last written; mostly it isn't any more.
    mine.event.expected = (last_value_ - 1) * 1000;
    mine.event.call = Now();
    const uint64_t attempt = mine.attempt;
    mine.timer = world_.simulation().At(options_.timeout,
                                        [this, number, attempt] { TimedOut(number, attempt); });
    Attempt(number);
  });
}

void Workload::Attempt(size_t number) {
  Client& client = clients_[number];
  Machine& machine = world_.machine(client.target);
  const std::shared_ptr<Replica> replica = machine.up() && !machine.threads->paused()
                                               ? machine.runtime->Find(client.key.first)
                                               : nullptr;
  if (replica == nullptr || !replica->view().serving) return Refused(number, client.attempt);
  if (client.event.operation == RegisterOperation::kRead) {
    SendRead(number, replica);
  } else {
    SendCommand(number, replica);
  }
}

void Workload::SendCommand(size_t number, const std::shared_ptr<Replica>& replica) {
  Client& client = clients_[number];
  client.sent = true;
  commands_[client.attempt] = {number, replica->id()};
  RegisterCommand command{.id = client.attempt,
                          .key = client.key.second,
                          .operation = client.event.operation,
                          .input = client.event.input,
                          .expected = client.event.expected};
  command.padding.assign(client.random.Below(options_.padding_bytes_max + 1), 'p');
  auto payload = std::make_shared<const std::string>(EncodeCommand(command));
  replica->Propose(replica->view().term, {std::move(payload)},
                   [this, number, attempt = client.attempt](absl::StatusOr<LogPosition> position) {
                     if (position.ok()) return;  // the outcome comes with its application
                     commands_.erase(attempt);
                     if (clients_[number].attempt == attempt) clients_[number].sent = false;
                     Refused(number, attempt);
                   });
}

void Workload::SendRead(size_t number, const std::shared_ptr<Replica>& replica) {
  Client& client = clients_[number];
  Machine& machine = world_.machine(client.target);
  const uint64_t attempt = client.attempt;
  const uint64_t starts = machine.starts;
  if (client.random.Chance(0.6)) {
    const auto index = replica->LeaseRead();
    leases_lapsed_ += absl::IsUnavailable(index.status());
    if (!index.ok()) return Refused(number, attempt);
    ++lease_reads_;
    return FinishRead(number, attempt, machine, starts, replica, index);
  }
  ++quorum_reads_;
  replica->QuorumRead([=, this, &machine](absl::StatusOr<Index> index) {
    FinishRead(number, attempt, machine, starts, replica, index);
  });
}

void Workload::FinishRead(size_t number, uint64_t attempt, Machine& machine, uint64_t starts,
                          const std::shared_ptr<Replica>& replica, absl::StatusOr<Index> index) {
  if (!index.ok()) return Refused(number, attempt);
  const GroupId group = replica->group();
  const uint64_t key = clients_[number].key.second;
  replica->WhenApplied(*index, [=, this, &machine](const absl::Status& status) {
    if (clients_[number].attempt != attempt || machine.starts != starts) return;
    const auto found = machine.machines.find(group);
    if (!status.ok() || found == machine.machines.end()) return Refused(number, attempt);
    Succeeded(number, attempt, found->second->Read(key));
  });
}

// It certainly has not happened and won't: another node, a little later.
void Workload::Refused(size_t number, uint64_t attempt) {
  Client& client = clients_[number];
  if (client.attempt != attempt || client.sent) return;
  client.target = client.target % world_.machines().size() + 1;
  world_.simulation().At(kRetryAfter, [this, number, attempt] {
    if (clients_[number].attempt == attempt && !clients_[number].sent) Attempt(number);
  });
}

void Workload::Succeeded(size_t number, uint64_t attempt, int64_t output) {
  Client& client = clients_[number];
  if (client.attempt != attempt) return;  // timed out before
  client.event.output = output;
  client.event.returned = Now();
  ++succeeded_;
  Record(client);
  Next(number);
}

void Workload::TimedOut(size_t number, uint64_t attempt) {
  Client& client = clients_[number];
  if (client.attempt != attempt) return;
  commands_.erase(attempt);
  if (client.sent) {
    client.event.known = false;
    ++unknown_;
    Record(client);
  } else {
    client.attempt = 0;
  }
  Next(number);
}

void Workload::Record(Client& client) {
  world_.simulation().Cancel(client.timer);
  world_.simulation().Trace(static_cast<uint64_t>(client.event.output));
  histories_[client.key].push_back({client.event, client.attempt});
  client.attempt = 0;
}

// The run is over and every replica has applied all there is: a command that no replica has applied
// never happened, and one that some replica has applied happened at an unknown time after its call.
bool Workload::Resolve(uint64_t id, RegisterEvent& event) const {
  const auto found = outcomes_.find(id);
  if (found == outcomes_.end()) return false;
  event.output = found->second;
  event.output_known = true;
  // A compare-and-set that failed changed nothing, and nobody was told.
  return event.operation != RegisterOperation::kCompareAndSet || event.output == 1;
}

void Workload::Check() {
  for (const auto& [key, recorded] : histories_) {
    std::vector<RegisterEvent> history;
    for (auto [event, id] : recorded) {
      if (event.known || Resolve(id, event)) history.push_back(event);
    }
    const LinearizabilityResult result = CheckRegister(std::move(history), 0, kCheckStepsMax);
    if (result.verdict == LinearizabilityResult::kLinearizable) continue;
    world_.Violation(absl::StrCat("group ", key.first, " register ", key.second, ": ",
                                  result.verdict == LinearizabilityResult::kUndecided
                                      ? "the history could not be decided: "
                                      : "not linearizable: ",
                                  result.explanation));
  }
}

}  // namespace ringleader::simulation
