#include "node/agent.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"

namespace ringleader {
namespace {

constexpr absl::string_view kRegister = "/ringleader.coordinator.v1.Membership/Register";
constexpr absl::string_view kAttend = "/ringleader.coordinator.v1.Membership/Attend";
constexpr absl::string_view kWatch = "/ringleader.coordinator.v1.Cluster/Watch";

}  // namespace

// Posts what the network says to the agent's executor, if the agent still talks on that connection.
class Agent::Handler : public CallHandler {
 public:
  Handler(std::shared_ptr<Agent*> agent, std::shared_ptr<Executor> executor, uint64_t generation,
          Events events)
      : agent_(std::move(agent)),
        executor_(std::move(executor)),
        generation_(generation),
        events_(std::make_shared<const Events>(std::move(events))) {}

  void OnMessage(std::string message) override {
    executor_->Post(
        [agent = agent_, generation = generation_, events = events_, message = std::move(message)] {
          if (*agent != nullptr && (*agent)->generation_ == generation) {
            events->message(**agent, message);
          }
        });
  }
  void OnEnd(const absl::Status& status) override {
    executor_->Post([agent = agent_, generation = generation_, events = events_, status] {
      if (*agent != nullptr && (*agent)->generation_ == generation) events->end(**agent, status);
    });
  }

 private:
  const std::shared_ptr<Agent*> agent_;
  const std::shared_ptr<Executor> executor_;
  const uint64_t generation_;
  const std::shared_ptr<const Events> events_;
};

Agent::Agent(Network& network, std::shared_ptr<Executor> executor, const AgentOptions& options,
             AgentHost host)
    : network_(network),
      executor_(std::move(executor)),
      options_(options),
      host_(std::move(host)),
      self_(std::make_shared<Agent*>(this)),
      retry_(options.retry_min) {
  CHECK(!options_.coordinators.empty());
  executor_->PostAfter(options_.report_period, [self = self_] {
    if (*self != nullptr) (*self)->Tick();
  });
  Connect();
}

Agent::~Agent() {
  *self_ = nullptr;
  for (const auto& call : {registration_, attendance_, watch_}) {
    if (call != nullptr) call->Finish(absl::CancelledError("the node stops"));
  }
}

std::shared_ptr<Call> Agent::Open(absl::string_view method, Duration timeout, Events events) {
  return network_.Start(
      address_, method, {.timeout = timeout, .connection = "membership"},
      std::make_unique<Handler>(self_, executor_, generation_, std::move(events)));
}

void Agent::Connect() {
  if (address_.empty()) {
    address_ = options_.coordinators[next_coordinator_++ % options_.coordinators.size()];
  }
  registration_ = Open(
      kRegister, options_.call_timeout,
      {.message = [](Agent& agent, const std::string& message) { agent.TakeRegistration(message); },
       .end =
           [](Agent& agent, const absl::Status& status) {
             if (agent.attendance_ == nullptr) agent.BeginAgain(status.ToString());
           }});
  registration_->Send(host_.introduce().SerializeAsString());
  registration_->Finish(absl::OkStatus());
}

void Agent::TakeRegistration(const std::string& message) {
  coordinator::v1::RegisterResponse response;
  if (!response.ParseFromString(message)) return BeginAgain("an answer that can't be read");
  const coordinator::v1::Outcome& outcome = response.outcome();
  if (outcome.error() != coordinator::v1::ERROR_NONE) {
    if (outcome.error() == coordinator::v1::ERROR_CONFLICT && refused_ != outcome.message()) {
      refused_ = outcome.message();
      LogError("coordinator ", address_, " refuses this node: ", refused_);
    }
    if (response.removed()) host_.removed();
    if (outcome.error() == coordinator::v1::ERROR_VERSION) {
      stopped_ = true;
      refused_ = outcome.message();
      return host_.outdated(refused_);
    }
    BeginAgain(outcome.message());
    address_ = outcome.leader_address();  // empty: the next of the list
    return;
  }
  if (!host_.registered(response)) {
    stopped_ = true;
    return;
  }
  refused_.clear();
  formation_ = response.formation();
  Attend();
  Watch();
}

void Agent::Attend() {
  reported_.Clear();
  attendance_ = Open(kAttend, Duration(0),
                     {.message =
                          [](Agent& agent, const std::string& message) {
                            coordinator::v1::NodeOrders orders;
                            if (!orders.ParseFromString(message)) return;
                            agent.retry_ = agent.options_.retry_min;
                            agent.host_.carry_out(orders);
                          },
                      .end =
                          [](Agent& agent, const absl::Status& status) {
                            agent.BeginAgain(absl::StrCat("attendance ended: ", status.ToString()));
                          }});
  SendReport(true);
}

void Agent::Watch() {
  watch_ = Open(kWatch, Duration(0),
                {.message =
                     [](Agent& agent, const std::string& message) {
                       coordinator::v1::MapUpdate update;
                       if (!update.ParseFromString(message)) return;
                       if (update.formation() != agent.formation_) return;
                       agent.map_version_ = update.version();
                       agent.retry_ = agent.options_.retry_min;
                       agent.host_.map(update);
                     },
                 .end =
                     [](Agent& agent, const absl::Status& status) {
                       agent.BeginAgain(absl::StrCat("the map ended: ", status.ToString()));
                     }});
  coordinator::v1::WatchRequest request;
  request.set_formation(formation_);
  request.set_have_version(map_version_);
  watch_->Send(request.SerializeAsString());
  watch_->Finish(absl::OkStatus());
}

void Agent::BeginAgain(absl::string_view why) {
  if (stopped_) return;
  LogInfo("coordinator ", address_, ": ", why, "; again in ", retry_ / std::chrono::milliseconds(1),
          " ms");
  const uint64_t generation = ++generation_;  // whatever comes from the old calls is nobody's
  address_.clear();
  for (auto* call : {&registration_, &attendance_, &watch_}) {
    if (*call != nullptr) (*call)->Finish(absl::CancelledError("beginning again"));
    *call = nullptr;
  }
  executor_->PostAfter(retry_, [self = self_, generation] {
    if (*self != nullptr && (*self)->generation_ == generation) (*self)->Connect();
  });
  retry_ = std::min(2 * retry_, options_.retry_max);
}

void Agent::Tick() {
  const int complete_every = static_cast<int>(
      std::max<int64_t>(1, options_.complete_report_period / options_.report_period));
  if (attendance_ != nullptr) SendReport(++ticks_ % complete_every == 0);
  executor_->PostAfter(options_.report_period, [self = self_] {
    if (*self != nullptr) (*self)->Tick();
  });
}

void Agent::ReportNow() {
  if (attendance_ != nullptr) SendReport(true);
}

void Agent::SendReport(bool complete) {
  coordinator::v1::NodeReport now = host_.report();
  coordinator::v1::NodeReport out = now;
  out.set_complete(complete);
  if (!complete) {
    std::map<uint64_t, std::string> before;
    for (const auto& replica : reported_.replicas()) {
      before[replica.partition()] = replica.SerializeAsString();
    }
    out.clear_replicas();
    for (const auto& replica : now.replicas()) {
      const auto known = before.find(replica.partition());
      if (known != before.end() && known->second == replica.SerializeAsString()) continue;
      *out.add_replicas() = replica;
    }
    const bool gone = now.replicas_size() < reported_.replicas_size();
    if (gone) return SendReport(true);
    if (out.replicas_size() == 0 && now.draining() == reported_.draining() &&
        now.disk_stalled() == reported_.disk_stalled() &&
        now.disk_full() == reported_.disk_full()) {
      return;
    }
  }
  out.set_sequence(++report_sequence_);
  reported_ = std::move(now);
  attendance_->Send(out.SerializeAsString());  // refused only when the stream has ended: OnEnd
}

}  // namespace ringleader
