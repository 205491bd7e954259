#include "tests/unit/coordinator/coordinator_world.h"

#include <cstdlib>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"

namespace ringleader::coordinator {
namespace {

constexpr simulation::HostId kClientHost = 1000;
constexpr Duration kStep = std::chrono::milliseconds(1);

class Caller : public CallHandler {
 public:
  struct Answer {
    std::string message;
    bool ended = false;
    absl::Status status;
  };
  explicit Caller(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
  void OnMessage(std::string message) override { answer_->message = std::move(message); }
  void OnEnd(const absl::Status& status) override {
    answer_->status = status;
    answer_->ended = true;
  }

 private:
  const std::shared_ptr<Answer> answer_;
};

}  // namespace

CoordinatorWorld::CoordinatorWorld(uint64_t seed, size_t coordinators)
    : simulation_(seed), random_(simulation_.random().Fork()), network_(simulation_) {
  SetLogLevel(std::getenv("RING_TEST_LOG") ? LogLevel::kInfo : LogLevel::kOff);
  network_.AddLossyMethods("/ringleader.replication.");
  for (uint64_t number = 1; number <= coordinators; ++number) {
    CoordinatorMachine& machine = machines_[number];
    machine.disk = std::make_unique<SimulatedFileSystem>(random_.Next());
    machine.clock = std::make_unique<simulation::SimulatedClock>(simulation_, 1.0);
  }
  client_ = network_.NewEndpoint(kClientHost, nullptr);
}

CoordinatorWorld::~CoordinatorWorld() {
  for (auto& [number, machine] : machines_) Kill(number);
}

std::string CoordinatorWorld::Address(uint64_t number) {
  return absl::StrCat("coordinator-", number, ":7000");
}

CoordinatorOptions CoordinatorWorld::OptionsOf(uint64_t number) const {
  CoordinatorOptions options;
  options.number = number;
  for (uint64_t each = 1; each <= machines_.size(); ++each) {
    options.addresses.push_back(Address(each));
  }
  options.directory = "/data";
  options.partitions = partitions;
  options.replicas = replicas;
  options.balancer = balancer;
  if (const auto found = versions.find(number); found != versions.end()) {
    options.versions = found->second;
  }
  // A simulated disk holds its files in memory.
  options.runtime.log.segment_bytes = 128 << 10;
  options.runtime.log.reserve_bytes = 16 << 10;
  options.runtime.log.log_bytes_target = 4 * options.runtime.log.segment_bytes;
  return options;
}

void CoordinatorWorld::Start(uint64_t number) {
  CoordinatorMachine& machine = machines_.at(number);
  CHECK(machine.coordinator == nullptr);
  machine.failed = false;
  machine.threads = std::make_unique<simulation::SimulatedThreads>(
      simulation_, std::chrono::microseconds(100), "coordinator");
  machine.network =
      network_.NewEndpoint(number, [threads = machine.threads.get()] { return threads->paused(); });
  CoordinatorOptions options = OptionsOf(number);
  options.on_fatal = [&machine](const absl::Status& why) {
    machine.failed = true;
    machine.failure = why;
  };
  auto coordinator = Coordinator::Start(
      options, {*machine.disk, *machine.network, *machine.threads, *machine.clock}, random_.Fork());
  if (coordinator.ok()) {
    machine.coordinator = *std::move(coordinator);
  } else {
    machine.failed = true;  // a broken disk
  }
}

void CoordinatorWorld::Kill(uint64_t number) {
  CoordinatorMachine& machine = machines_.at(number);
  machine.coordinator = nullptr;
  machine.network = nullptr;
  machine.threads = nullptr;
  machine.disk->RestartProcess();
}

void CoordinatorWorld::CutPower(uint64_t number) {
  machines_.at(number).disk->CrashNow();
  Kill(number);
  machines_.at(number).disk->Restart();
}

void CoordinatorWorld::Wipe(uint64_t number) {
  Kill(number);
  machines_.at(number).disk = std::make_unique<SimulatedFileSystem>(random_.Next());
}

void CoordinatorWorld::RunFor(Duration span) { simulation_.RunFor(span); }

bool CoordinatorWorld::RunUntil(const std::function<bool()>& condition, Duration limit) {
  for (Duration waited{0}; waited < limit; waited += kStep) {
    if (condition()) return true;
    RunFor(kStep);
  }
  return condition();
}

uint64_t CoordinatorWorld::Leader() {
  for (auto& [number, machine] : machines_) {
    if (machine.coordinator == nullptr || machine.failed) continue;
    const MetadataStore& store = machine.coordinator->store();
    if (store.leads() && store.metadata().formed()) return number;
  }
  return 0;
}

std::vector<uint64_t> CoordinatorWorld::Formations() {
  std::set<uint64_t> formations;
  for (auto& [number, machine] : machines_) {
    if (machine.coordinator == nullptr) continue;
    const Metadata& metadata = machine.coordinator->store().metadata();
    if (metadata.formed()) formations.insert(metadata.plan().formation());
  }
  return {formations.begin(), formations.end()};
}

absl::StatusOr<std::string> CoordinatorWorld::Call(uint64_t number, const std::string& method,
                                                   const std::string& request,
                                                   const CallMetadata& metadata) {
  auto answer = std::make_shared<Caller::Answer>();
  CallOptions options;
  options.timeout = std::chrono::seconds(5);
  options.metadata = metadata;
  const auto call =
      client_->Start(Address(number), method, options, std::make_unique<Caller>(answer));
  call->Send(request);
  call->Finish(absl::OkStatus());
  if (!RunUntil([&] { return answer->ended; }, std::chrono::seconds(10))) {
    return absl::DeadlineExceededError("the call did not end");
  }
  if (!answer->status.ok()) return answer->status;
  return answer->message;
}

}  // namespace ringleader::coordinator
