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

constexpr Duration kRetryAfter = std::chrono::milliseconds(20);
constexpr Duration kBesiegeThinkMax = std::chrono::milliseconds(10);
constexpr Duration kBesiegeRetryAfter = std::chrono::milliseconds(4);

}  // namespace

Workload::Workload(World& world, const WorkloadOptions& options)
    : world_(world), options_(options) {
  for (int i = 0; i < options.clients; ++i) {
    clients_.push_back({.random = world.simulation().random().Fork()});
  }
  for (const Duty duty : {Duty::kLeaseReads, Duty::kQuorumReads, Duty::kWrites}) {
    clients_.push_back({.random = world.simulation().random().Fork(), .duty = duty});
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

void Workload::Besiege(GroupId group, NodeId node) {
  besieged_ = group;
  besieged_node_ = node;
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].duty != Duty::kOwn && !clients_[i].at_work) Next(i);
  }
}

void Workload::Release() { besieged_ = hushed_ = 0; }

void Workload::Flood(GroupId group, NodeId leader, size_t entries) {
  const Machine& machine = world_.machine(leader);
  const auto replica = machine.up() ? machine.runtime->Find(group) : nullptr;
  if (replica == nullptr) return;
  std::vector<replication::Payload> payloads;
  for (size_t i = 0; i < entries; ++i) {
    const RegisterCommand command{.id = ++last_attempt_,
                                  .key = static_cast<uint64_t>(options_.keys),
                                  .operation = RegisterOperation::kAdd,
                                  .input = 1};
    payloads.push_back(std::make_shared<const std::string>(EncodeCommand(command)));
  }
  replica->Propose(replica->view().term, std::move(payloads),
                   [](const absl::StatusOr<LogPosition>&) {});
}

void Workload::Next(size_t number) {
  Client& client = clients_[number];
  client.at_work = client.duty == Duty::kOwn || besieged_ != 0;
  if (!client.at_work) return;
  const Duration think_max = client.duty == Duty::kOwn ? options_.think_max : kBesiegeThinkMax;
  const auto think = Duration(client.random.Between(0, think_max.count()));
  world_.simulation().At(think, [this, number] { Begin(number); });
}

void Workload::Begin(size_t number) {
  Client& client = clients_[number];
  if (stopped_) return;
  if (client.duty != Duty::kOwn && besieged_ == 0) {
    client.at_work = false;
    return;
  }
  client.attempt = ++last_attempt_;
  client.sent = false;
  client.event = RegisterEvent{};
  Draw(client);
  client.event.call = Now();
  const uint64_t attempt = client.attempt;
  client.timer = world_.simulation().At(options_.timeout,
                                        [this, number, attempt] { TimedOut(number, attempt); });
  Attempt(number);
}

// What it does next.
void Workload::Draw(Client& client) {
  Random& random = client.random;
  const auto groups = world_.groups();
  client.key = {client.duty == Duty::kOwn ? groups[random.Below(groups.size())] : besieged_,
                random.Below(static_cast<uint64_t>(options_.keys))};
  RegisterEvent& event = client.event;
  if (client.duty == Duty::kLeaseReads || client.duty == Duty::kQuorumReads) {
    client.target = besieged_node_;
    event.operation = RegisterOperation::kRead;
    return;
  }
  // Some look elsewhere than where the leader was last: a deposed one may still be there.
  if (client.duty == Duty::kOwn && random.Chance(options_.wander)) {
    client.target = 1 + random.Below(world_.machines().size());
  }
  const uint64_t draw = random.Below(10);
  const bool reads = client.duty == Duty::kOwn && (draw < 4 || client.key.first == hushed_);
  event.operation = reads      ? RegisterOperation::kRead
                    : draw < 7 ? RegisterOperation::kWrite
                    : draw < 9 ? RegisterOperation::kAdd
                               : RegisterOperation::kCompareAndSet;
  event.input = event.operation == RegisterOperation::kAdd ? 1 : ++last_value_ * 1000;
  // Sometimes the value that may be there: the last written; mostly it isn't any more.
  event.expected = (last_value_ - 1) * 1000;
}

void Workload::Attempt(size_t number) {
  Client& client = clients_[number];
  if (client.duty == Duty::kWrites) {
    const NodeId leader = world_.LeaderOf(client.key.first);
    if (leader == 0 || leader == besieged_node_) return Refused(number, client.attempt);
    client.target = leader;
  }
  const bool reads = client.event.operation == RegisterOperation::kRead;
  if (!reads && client.key.first == hushed_) return Refused(number, client.attempt);
  Machine& machine = world_.machine(client.target);
  const std::shared_ptr<Replica> replica = machine.up() && !machine.threads->paused()
                                               ? machine.runtime->Find(client.key.first)
                                               : nullptr;
  if (replica == nullptr || !replica->view().serving) return Refused(number, client.attempt);
  reads ? SendRead(number, replica) : SendCommand(number, replica);
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
  const bool by_lease =
      client.duty == Duty::kOwn ? client.random.Chance(0.6) : client.duty == Duty::kLeaseReads;
  if (by_lease) {
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
  const bool roams = client.duty == Duty::kOwn;
  if (roams) client.target = client.target % world_.machines().size() + 1;
  world_.simulation().At(roams ? kRetryAfter : kBesiegeRetryAfter, [this, number, attempt] {
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
    const std::string wrong = CheckRegister(std::move(history), 0, kCheckStepsMax).Complaint();
    if (wrong.empty()) continue;
    world_.Violation(absl::StrCat("group ", key.first, " register ", key.second, ": ", wrong));
  }
}

}  // namespace ringleader::simulation
