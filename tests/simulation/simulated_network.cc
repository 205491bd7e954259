#include "tests/simulation/simulated_network.h"

#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader::simulation {
namespace {

constexpr int kClient = 0;
constexpr int kServer = 1;
// How long a silent connection lives: what gRPC's keepalive would notice.
constexpr Duration kBlockedBreakAfter = std::chrono::seconds(2);
// How soon after a pause its process hears what has arrived, at most: other threads go on
// meanwhile.
constexpr Duration kHeardAfterMax = std::chrono::milliseconds(10);
constexpr Duration kHeardAfterMin = std::chrono::microseconds(200);

}  // namespace

// Both sides of one call. A side is over when its handler is gone.
struct SimulatedNetwork::Connection {
  struct Side {
    HostId host = 0;
    SimulatedEndpoint* endpoint = nullptr;  // null once that process is gone
    std::unique_ptr<CallHandler> handler;
    bool ended = false;
    bool finished = false;  // Finish was called here
    uint64_t queued_bytes = 0;
    std::deque<Task> held;      // arrived while the process stood still
    Duration arrives_after{0};  // the other side's messages keep their order
  };
  std::array<Side, 2> sides;
  std::string method;
  bool lossy = false;
  bool breaking = false;
  bool silenced = false;  // one of its processes was killed
};

class SimulatedEndpoint : public Network {
 public:
  SimulatedEndpoint(SimulatedNetwork& world, HostId host, std::function<bool()> is_paused)
      : world_(world), host_(host), is_paused_(std::move(is_paused)) {
    CHECK(world_.endpoints_.emplace(host, this).second) << "host " << host << " is up already";
  }

  ~SimulatedEndpoint() override;

  std::shared_ptr<Call> Start(absl::string_view address, absl::string_view method,
                              const CallOptions& options,
                              std::unique_ptr<CallHandler> handler) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::string_view address,
                                                   Service* service) override;

  bool paused() const { return is_paused_ && is_paused_(); }
  HostId host() const { return host_; }
  void Adopt(const std::shared_ptr<SimulatedNetwork::Connection>& connection);
  // Ends the calls that this process serves: their handlers hear of it now and are gone.
  void EndServed();
  void Silence();

 private:
  friend class SimulatedListener;
  SimulatedNetwork& world_;
  const HostId host_;
  const std::function<bool()> is_paused_;
  bool is_silent_ = false;
  std::vector<std::weak_ptr<SimulatedNetwork::Connection>> connections_;
};

class SimulatedCall : public Call {
 public:
  SimulatedCall(SimulatedNetwork& world, std::shared_ptr<SimulatedNetwork::Connection> connection,
                int side, uint64_t queue_bytes_max)
      : world_(world), connection_(std::move(connection)), side_(side), max_(queue_bytes_max) {}

  bool Send(std::string message) override {
    auto& side = connection_->sides[side_];
    if (side.ended || side.finished) return false;
    if (side.queued_bytes > 0 && side.queued_bytes + message.size() > max_) return false;
    const uint64_t bytes = message.size();
    side.queued_bytes += bytes;
    world_.Transmit(connection_, side_, std::move(message));
    // The message leaves the queue a little later; when it runs empty the owner hears of it.
    const HostId to = connection_->sides[1 - side_].host;
    world_.simulation_.At(world_.faults_.delay_min + world_.SlownessOf(side.host, to),
                          [connection = connection_, side = side_, bytes] {
                            auto& mine = connection->sides[side];
                            mine.queued_bytes -= bytes;
                            if (mine.queued_bytes == 0 && mine.handler != nullptr && !mine.ended) {
                              mine.handler->OnSendIdle();
                            }
                          });
    return true;
  }

  void Finish(absl::Status status) override {
    auto& side = connection_->sides[side_];
    if (side.ended || side.finished) return;
    side.finished = true;
    if (side_ == kClient && !status.ok()) {
      world_.End(connection_, kClient, status);
      world_.EndServer(connection_, absl::CancelledError("the caller cancelled"));
    } else if (side_ == kClient) {
      world_.AfterMessages(connection_, kServer, [&world = world_, connection = connection_] {
        world.Deliver(connection, kServer,
                      [connection] { connection->sides[kServer].handler->OnPeerFinished(); });
      });
    } else {
      // Behind what was sent before it: the client hears all of that first.
      world_.AfterMessages(connection_, kClient,
                           [&world = world_, connection = connection_, status] {
                             world.End(connection, kClient, status);
                           });
      world_.End(connection_, kServer, status);
    }
  }

  uint64_t queued_bytes() const override { return connection_->sides[side_].queued_bytes; }

 private:
  SimulatedNetwork& world_;
  const std::shared_ptr<SimulatedNetwork::Connection> connection_;
  const int side_;
  const uint64_t max_;
};

class SimulatedListener : public Listener {
 public:
  explicit SimulatedListener(std::function<void()> close) : close_(std::move(close)) {}
  ~SimulatedListener() override { close_(); }
  int port() const override { return 0; }  // addresses are names here

 private:
  const std::function<void()> close_;
};

std::unique_ptr<Network> SimulatedNetwork::NewEndpoint(HostId host,
                                                       std::function<bool()> is_paused) {
  return std::make_unique<SimulatedEndpoint>(*this, host, std::move(is_paused));
}

bool SimulatedNetwork::IsLossy(absl::string_view method) const {
  for (const std::string& prefix : lossy_) {
    if (absl::StartsWith(method, prefix)) return true;
  }
  return false;
}

void SimulatedNetwork::Cut(HostId from, HostId to, absl::string_view method) {
  cuts_[{from, to}].insert(std::string(method));
}

void SimulatedNetwork::MendLinks() {
  cuts_.clear();
  delays_.clear();
}

bool SimulatedNetwork::IsCut(HostId from, HostId to, absl::string_view method) const {
  if (IsBlocked(from, to)) return true;
  const auto found = cuts_.find({from, to});
  if (found == cuts_.end()) return false;
  for (const std::string& prefix : found->second) {
    if (absl::StartsWith(method, prefix)) return true;
  }
  return false;
}

// Runs `event` on the side's process when it is there, not paused, and its call goes on. What
// arrives just after a pause does not overtake what arrived in it.
void SimulatedNetwork::Deliver(const std::shared_ptr<Connection>& connection, int to_side,
                               Task event) {
  auto& to = connection->sides[to_side];
  if (to.ended || to.endpoint == nullptr || to.handler == nullptr) return;
  if (to.held.empty() && !to.endpoint->paused()) return event();
  to.held.push_back(std::move(event));
  if (to.held.size() == 1) DeliverHeld(connection, to_side);
}

void SimulatedNetwork::DeliverHeld(const std::shared_ptr<Connection>& connection, int to_side) {
  const auto after = random_.Between(kHeardAfterMin.count(), kHeardAfterMax.count());
  simulation_.At(Duration(after), [this, connection, to_side] {
    auto& to = connection->sides[to_side];
    if (to.endpoint != nullptr && to.endpoint->paused()) return DeliverHeld(connection, to_side);
    for (Task& event : std::exchange(to.held, {})) {
      if (to.ended || to.endpoint == nullptr || to.handler == nullptr) return;
      event();
    }
  });
}

void SimulatedNetwork::Transmit(const std::shared_ptr<Connection>& connection, int from_side,
                                std::string message) {
  const int to_side = 1 - from_side;
  auto& from = connection->sides[from_side];
  auto& to = connection->sides[to_side];
  if (connection->silenced) return;
  ++counts_.messages;
  if (faults_.breaks > 0 && random_.Chance(faults_.breaks)) {
    ++counts_.broken;
    return Break(connection, absl::UnavailableError("the connection broke"));
  }
  if (IsCut(from.host, to.host, connection->method)) {
    ++counts_.blocked;
    if (connection->lossy || connection->breaking) return;
    connection->breaking = true;
    simulation_.At(kBlockedBreakAfter, [this, connection] {
      Break(connection, absl::UnavailableError("the peer does not answer"));
    });
    return;
  }
  int copies = 1;
  Duration extra{0};
  if (connection->lossy) {
    if (random_.Chance(faults_.loss)) {
      ++counts_.lost;
      return;
    }
    if (random_.Chance(faults_.duplication)) {
      ++counts_.duplicated;
      copies = 2;
    }
    if (random_.Chance(faults_.reordering)) {
      ++counts_.reordered;
      extra = Duration(random_.Between(0, faults_.reordering_delay_max.count()));
    }
  } else if (connection->breaking) {
    return;  // in order or not at all
  }
  for (int copy = 0; copy < copies; ++copy) {
    Duration at = simulation_.now() + Delay() + SlownessOf(from.host, to.host) + extra;
    if (!connection->lossy) at = std::max(at, to.arrives_after);
    if (extra == Duration(0)) to.arrives_after = std::max(to.arrives_after, at);
    simulation_.At(at - simulation_.now(), [this, connection, to_side, message] {
      simulation_.Trace(message.size());
      Deliver(connection, to_side, [connection, to_side, message] {
        connection->sides[to_side].handler->OnMessage(message);
      });
    });
  }
}

// Runs `event` when everything that was sent to this side before has arrived.
void SimulatedNetwork::AfterMessages(const std::shared_ptr<Connection>& connection, int to_side,
                                     Task event) {
  const Duration at =
      std::max(simulation_.now(), connection->sides[to_side].arrives_after) + Duration(1);
  simulation_.At(at - simulation_.now(), std::move(event));
}

void SimulatedNetwork::End(const std::shared_ptr<Connection>& connection, int side,
                           const absl::Status& status) {
  simulation_.At(Delay(), [this, connection, side, status] {
    auto& mine = connection->sides[side];
    if (mine.ended) return;
    // A server hears what had arrived before.
    const bool waits = side == kServer && !mine.held.empty();
    if (mine.endpoint != nullptr && (waits || mine.endpoint->paused())) {
      return End(connection, side, status);
    }
    mine.ended = true;
    if (mine.handler == nullptr) return;
    mine.handler->OnEnd(status);
    mine.handler = nullptr;
  });
}

void SimulatedNetwork::Break(const std::shared_ptr<Connection>& connection,
                             const absl::Status& status) {
  connection->breaking = true;
  End(connection, kClient, status);
  random_.Chance(0.5) ? EndServer(connection, status) : End(connection, kServer, status);
}

// The client is gone, and what it has sent is under way.
void SimulatedNetwork::EndServer(const std::shared_ptr<Connection>& connection,
                                 const absl::Status& status) {
  AfterMessages(connection, kServer,
                [this, connection, status] { End(connection, kServer, status); });
}

void SimulatedEndpoint::Adopt(const std::shared_ptr<SimulatedNetwork::Connection>& connection) {
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  connections_.push_back(connection);
}

void SimulatedEndpoint::EndServed() {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr || connection->sides[kServer].endpoint != this) continue;
    auto& side = connection->sides[kServer];
    side.endpoint = nullptr;
    side.held.clear();  // each holds the connection
    if (!std::exchange(side.ended, true) && side.handler != nullptr) {
      side.handler->OnEnd(absl::UnavailableError("the listener is closed"));
    }
    side.handler = nullptr;
    world_.End(connection, kClient, absl::UnavailableError("the peer went away"));
  }
}

void SimulatedNetwork::Silence(HostId host) {
  const auto found = endpoints_.find(host);
  if (found != endpoints_.end()) found->second->Silence();
}

void SimulatedEndpoint::Silence() {
  is_silent_ = true;
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr) continue;
    connection->silenced = true;
    for (int side = 0; side < 2; ++side) {
      if (connection->sides[side].endpoint != this) continue;
      world_.End(connection, 1 - side, absl::UnavailableError("the peer went away"));
    }
  }
}

SimulatedEndpoint::~SimulatedEndpoint() {
  world_.endpoints_.erase(host_);
  std::erase_if(world_.listeners_,
                [this](const auto& entry) { return entry.second.first == this; });
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr) continue;
    for (int i = 0; i < 2; ++i) {
      auto& side = connection->sides[i];
      if (side.endpoint != this) continue;
      side.endpoint = nullptr;
      side.held.clear();  // each holds the connection
      if (!side.ended && side.handler != nullptr) {
        side.ended = true;
        side.handler->OnEnd(absl::CancelledError("the process is stopping"));
      }
      side.handler = nullptr;
      world_.End(connection, 1 - i, absl::UnavailableError("the peer went away"));
    }
  }
}

std::shared_ptr<Call> SimulatedEndpoint::Start(absl::string_view address, absl::string_view method,
                                               const CallOptions& options,
                                               std::unique_ptr<CallHandler> handler) {
  auto connection = std::make_shared<SimulatedNetwork::Connection>();
  connection->method = std::string(method);
  connection->lossy = world_.IsLossy(method);
  auto& client = connection->sides[kClient];
  client.host = host_;
  client.endpoint = this;
  client.handler = std::move(handler);
  Adopt(connection);
  auto call =
      std::make_shared<SimulatedCall>(world_, connection, kClient, options.send_queue_bytes_max);
  const auto listening = world_.listeners_.find(std::string(address));
  if (is_silent_ || listening == world_.listeners_.end()) {
    world_.End(connection, kClient, absl::UnavailableError("connection refused"));
    connection->breaking = true;
    return call;
  }
  const auto [endpoint, service] = listening->second;
  auto& server = connection->sides[kServer];
  server.host = endpoint->host();
  if (world_.IsCut(host_, server.host, method) || world_.IsCut(server.host, host_, method)) {
    world_.Break(connection, absl::UnavailableError("connection timed out"));
    return call;
  }
  server.endpoint = endpoint;
  endpoint->Adopt(connection);
  auto accepted = service->Accept(
      IncomingCall{.method = method,
                   .metadata = options.metadata,
                   .peer = absl::StrCat("host ", host_),
                   .call = std::make_shared<SimulatedCall>(world_, connection, kServer, 64 << 20)});
  if (accepted.ok()) {
    server.handler = *std::move(accepted);
  } else {
    server.ended = true;
    world_.End(connection, kClient, accepted.status());
  }
  if (options.timeout > Duration(0)) {
    world_.simulation_.At(options.timeout, [this_world = &world_, connection] {
      this_world->End(connection, kClient, absl::DeadlineExceededError("no answer in time"));
      this_world->EndServer(connection, absl::CancelledError("the caller's deadline passed"));
    });
  }
  return call;
}

absl::StatusOr<std::unique_ptr<Listener>> SimulatedEndpoint::Listen(absl::string_view address,
                                                                    Service* service) {
  const std::string name(address);
  if (!world_.listeners_.emplace(name, std::make_pair(this, service)).second) {
    return absl::FailedPreconditionError(absl::StrCat("can't listen on ", name, ": in use"));
  }
  return std::make_unique<SimulatedListener>([world = &world_, name] {
    const auto found = world->listeners_.find(name);
    if (found == world->listeners_.end()) return;  // its process is gone
    SimulatedEndpoint* const endpoint = found->second.first;
    world->listeners_.erase(found);
    endpoint->EndServed();
  });
}

NetworkFaults DrawWeather(Random& random) {
  NetworkFaults faults;
  faults.delay_max = std::chrono::microseconds(random.Between(200, 50'000));
  faults.loss = random.Chance(0.5) ? 0.3 * random.Fraction() : 0;
  faults.duplication = random.Chance(0.5) ? 0.2 * random.Fraction() : 0;
  faults.reordering = random.Chance(0.5) ? 0.2 * random.Fraction() : 0;
  faults.breaks = random.Chance(0.3) ? 0.01 * random.Fraction() : 0;
  return faults;
}

}  // namespace ringleader::simulation
