// A node's side of its talk with the coordinators (proto: ringleader.coordinator.v1.Membership and
// Cluster.Watch): who it is, what it has, what it is asked to do, where the others are.
//
//   Register   unary, at the coordinators in turn, following `leader_address`, until one knows us
//   Attend     a stream at the coordinator that answered: reports out, orders in
//   Watch      a stream at the same: the map
// When either stream ends, all of it begins again, after a pause that grows. A node that is
// registered serves what it has meanwhile: data does not wait for coordinators.
//
// Threads: everything is a task of `executor`, constructor and destructor included, unless the
// executor has been stopped before the destructor. Events of the network are posted to it.
#ifndef RINGLEADER_NODE_AGENT_H_
#define RINGLEADER_NODE_AGENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "common/network.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"

namespace ringleader {

struct AgentOptions {
  std::vector<std::string> coordinators;  // host:port; not empty
  Duration call_timeout = std::chrono::seconds(5);
  Duration retry_min = std::chrono::milliseconds(100);
  Duration retry_max = std::chrono::milliseconds(300);
  // A report of what changed is looked for this often, and everything is reported this often.
  Duration report_period = std::chrono::milliseconds(200);
  Duration complete_report_period = std::chrono::seconds(3);
};

// What the agent asks of its node; called on the executor.
struct AgentHost {
  std::function<coordinator::v1::RegisterRequest()> introduce;
  // The coordinators' answer; called again after each time the agent had to begin anew. False: it
  // can't be accepted (another cluster), and the agent stops.
  std::function<bool(const coordinator::v1::RegisterResponse&)> registered;
  // They answered that this build can't run the cluster's version; the agent has stopped.
  std::function<void(const std::string& why)> outdated;
  // They answered that this node was removed; the agent goes on asking.
  std::function<void()> removed;
  // Everything; the agent sends what differs from what it sent before.
  std::function<coordinator::v1::NodeReport()> report;
  std::function<void(const coordinator::v1::NodeOrders&)> carry_out;
  std::function<void(const coordinator::v1::MapUpdate&)> map;
};

class Agent {
 public:
  // Shared with the calls' handlers, which the network may keep longer than the agent lives.
  Agent(Network& network, std::shared_ptr<Executor> executor, const AgentOptions& options,
        AgentHost host);
  ~Agent();

  // Sends a complete report at once, if a coordinator listens.
  void ReportNow();

  // Why the coordinators don't take this node; empty: they do, or none has answered. On the
  // executor.
  const std::string& refused() const { return refused_; }

 private:
  class Handler;

  // What runs when something of a connection arrives; `generation` tells an old one's apart.
  struct Events {
    std::function<void(Agent&, const std::string&)> message;
    std::function<void(Agent&, const absl::Status&)> end;
  };

  std::shared_ptr<Call> Open(absl::string_view method, Duration timeout, Events events);
  void Connect();
  void TakeRegistration(const std::string& message);
  void Attend();
  void Watch();
  void Tick();
  void SendReport(bool complete);
  void BeginAgain(absl::string_view why);

  Network& network_;
  const std::shared_ptr<Executor> executor_;
  const AgentOptions options_;
  const AgentHost host_;
  // For posted events: they find null when the agent is gone.
  const std::shared_ptr<Agent*> self_;

  uint64_t generation_ = 0;  // of the connection under way
  size_t next_coordinator_ = 0;
  std::string address_;  // of the coordinator that is talked to
  bool stopped_ = false;
  std::string refused_;
  Duration retry_;
  std::shared_ptr<Call> registration_;
  std::shared_ptr<Call> attendance_;
  std::shared_ptr<Call> watch_;
  uint64_t formation_ = 0;
  uint64_t map_version_ = 0;
  uint64_t report_sequence_ = 0;
  int ticks_ = 0;
  coordinator::v1::NodeReport reported_;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_AGENT_H_
