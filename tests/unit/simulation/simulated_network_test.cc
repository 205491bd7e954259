// The network between simulated processes: what slow links and pauses do to a call.
#include "tests/simulation/simulated_network.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringleader::simulation {
namespace {

using std::chrono::milliseconds;

// What one side of a call heard, and when.
struct Heard {
  std::vector<Duration> messages;
  std::optional<Duration> idle;
  std::optional<Duration> end;
  std::string text;
};

class Ear : public CallHandler {
 public:
  Ear(Simulation& simulation, Heard& heard) : simulation_(simulation), heard_(heard) {}
  void OnMessage(std::string text) override {
    heard_.messages.push_back(simulation_.now());
    heard_.text += text;
  }
  void OnSendIdle() override { heard_.idle = simulation_.now(); }
  void OnEnd(const absl::Status&) override { heard_.end = simulation_.now(); }

 private:
  Simulation& simulation_;
  Heard& heard_;
};

class SimulatedNetworkTest : public testing::Test, public Service {
 protected:
  SimulatedNetworkTest() {
    listener_ = *server_->Listen("server:1", this);
    call_ = client_->Start("server:1", "/a/b", {}, std::make_unique<Ear>(simulation_, client_ear_));
  }
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    answers_ = incoming.call;
    return std::make_unique<Ear>(simulation_, server_ear_);
  }

  // Of "late" on a link that is slow by 300 ms, behind the end that its caller hears of.
  void ExpectALateArrival() {
    simulation_.RunFor(milliseconds(100));
    EXPECT_TRUE(client_ear_.end.has_value());
    EXPECT_FALSE(server_ear_.end.has_value());
    simulation_.RunFor(milliseconds(300));
    ASSERT_EQ(server_ear_.text, "late");
    ASSERT_TRUE(server_ear_.end.has_value());
    EXPECT_LE(server_ear_.messages[0], *server_ear_.end);
  }

  bool is_paused_ = false;  // the client
  bool is_server_paused_ = false;
  static constexpr HostId kClient = 1, kServer = 2;
  Simulation simulation_{1};
  SimulatedNetwork network_{simulation_};
  Heard client_ear_, server_ear_;
  std::unique_ptr<Network> client_ = network_.NewEndpoint(kClient, [this] { return is_paused_; });
  std::unique_ptr<Network> server_ =
      network_.NewEndpoint(kServer, [this] { return is_server_paused_; });
  std::shared_ptr<Call> answers_;
  std::unique_ptr<Listener> listener_;
  std::shared_ptr<Call> call_;
};

// Protects faults that need a lane to be full: a slow link holds up what is sent there, and its
// sender's queue, in one direction only; and mending all links ends it.
TEST_F(SimulatedNetworkTest, HoldsUpWhatIsSentAndTheQueue) {
  network_.SlowLink(kServer, kClient, milliseconds(300));
  ASSERT_TRUE(call_->Send("asked"));
  simulation_.RunFor(milliseconds(10));
  EXPECT_EQ(server_ear_.messages.size(), 1u);
  EXPECT_TRUE(client_ear_.idle.has_value());
  ASSERT_TRUE(answers_->Send("late"));
  simulation_.RunFor(milliseconds(299));
  EXPECT_TRUE(client_ear_.messages.empty());
  EXPECT_FALSE(server_ear_.idle.has_value());
  EXPECT_EQ(answers_->queued_bytes(), 4u);
  simulation_.RunFor(milliseconds(10));
  EXPECT_EQ(client_ear_.messages.size(), 1u);
  EXPECT_TRUE(server_ear_.idle.has_value());
  network_.MendLinks();
  ASSERT_TRUE(answers_->Send("soon"));
  simulation_.RunFor(milliseconds(10));
  EXPECT_EQ(client_ear_.messages.size(), 2u);
}

// Protects what callers rely on: messages keep their order also around a pause of who gets them.
// One that arrives when the process goes on again waits behind those that it has not taken yet.
TEST_F(SimulatedNetworkTest, APauseKeepsTheOrder) {
  is_paused_ = true;
  ASSERT_TRUE(answers_->Send("1"));
  ASSERT_TRUE(answers_->Send("2"));
  simulation_.RunFor(milliseconds(12));
  EXPECT_EQ(client_ear_.text, "");
  is_paused_ = false;
  for (const char* const text : {"3", "4", "5"}) {
    ASSERT_TRUE(answers_->Send(text));
    simulation_.RunFor(milliseconds(2));
  }
  simulation_.RunFor(milliseconds(10));
  EXPECT_EQ(client_ear_.text, "12345");
}

// Protects what tries exactly once: a request is under way although its caller gave it up, and is
// heard before the end of its call.
TEST_F(SimulatedNetworkTest, WhatWasSentArrivesAfterItsCallerGaveUp) {
  network_.SlowLink(kClient, kServer, milliseconds(300));
  ASSERT_TRUE(call_->Send("late"));
  call_->Finish(absl::CancelledError("no answer in time"));
  ExpectALateArrival();
}

// The same where its time was over: gRPC ends the call, and the request is on the wire.
TEST_F(SimulatedNetworkTest, WhatWasSentArrivesAfterItsTimeIsOver) {
  network_.SlowLink(kClient, kServer, milliseconds(300));
  const auto timed = client_->Start("server:1", "/a/b", {.timeout = milliseconds(50)},
                                    std::make_unique<Ear>(simulation_, client_ear_));
  ASSERT_TRUE(timed->Send("late"));
  ExpectALateArrival();
}

// Of calls that break some lose what is under way, and some don't.
TEST_F(SimulatedNetworkTest, OfBrokenCallsSomeHaveArrived) {
  network_.SlowLink(kClient, kServer, milliseconds(10));
  const int calls = 40;
  for (int i = 0; i < calls; ++i) {
    const auto broken =
        client_->Start("server:1", "/a/b", {}, std::make_unique<Ear>(simulation_, client_ear_));
    ASSERT_TRUE(broken->Send("x"));
    NetworkFaults faults;
    faults.breaks = 1;
    network_.SetFaults(faults);
    broken->Send("y");
    network_.SetFaults({});
    simulation_.RunFor(milliseconds(50));
  }
  EXPECT_GT(server_ear_.text.size(), 5u);
  EXPECT_LT(server_ear_.text.size(), 35u);
}

// A server that stands still hears what had arrived before it hears that the call is over.
TEST_F(SimulatedNetworkTest, AServerHearsWhatArrivedInAPauseBeforeTheEnd) {
  is_server_paused_ = true;
  ASSERT_TRUE(call_->Send("asked"));
  simulation_.RunFor(milliseconds(20));
  call_->Finish(absl::CancelledError("no answer in time"));
  simulation_.RunFor(milliseconds(20));
  EXPECT_EQ(server_ear_.text, "");
  EXPECT_FALSE(server_ear_.end.has_value());
  is_server_paused_ = false;
  simulation_.RunFor(milliseconds(50));
  EXPECT_EQ(server_ear_.text, "asked");
  EXPECT_TRUE(server_ear_.end.has_value());
}

}  // namespace
}  // namespace ringleader::simulation
