// Protects the contract of common/network.h as gRPC keeps it: order, ends, refusals, bounds.
#include "common/grpc_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/match.h"
#include "common/mutex.h"

namespace ringleader {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a client's handler saw, for the test's thread to wait on.
class Seen {
 public:
  void Message(std::string message) {
    MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
    changed_.NotifyAll();
  }
  void End(const absl::Status& status) {
    MutexLock lock(mutex_);
    end_ = status;
    ended_ = true;
    changed_.NotifyAll();
  }
  absl::Status AwaitEnd() {
    MutexLock lock(mutex_);
    while (!ended_) changed_.Wait(lock);
    return end_;
  }
  std::vector<std::string> AwaitMessages(size_t count) {
    MutexLock lock(mutex_);
    while (messages_.size() < count && !ended_) changed_.Wait(lock);
    return messages_;
  }

 private:
  Mutex mutex_;
  Condition changed_;
  std::vector<std::string> messages_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
};

class Recorder : public CallHandler {
 public:
  explicit Recorder(std::shared_ptr<Seen> seen) : seen_(std::move(seen)) {}
  void OnMessage(std::string message) override { seen_->Message(std::move(message)); }
  void OnEnd(const absl::Status& status) override { seen_->End(status); }

 private:
  std::shared_ptr<Seen> seen_;
};

// Echoes each message; "fail" ends the call with an error; a finished client ends it well.
class EchoHandler : public CallHandler {
 public:
  EchoHandler(std::shared_ptr<Call> call, std::shared_ptr<Seen> seen)
      : call_(std::move(call)), seen_(std::move(seen)) {}
  void OnMessage(std::string message) override {
    if (message == "fail") {
      call_->Finish(absl::ResourceExhaustedError("no room"));
    } else {
      call_->Send(std::move(message));
    }
  }
  void OnPeerFinished() override { call_->Finish(absl::OkStatus()); }
  void OnEnd(const absl::Status& status) override { seen_->End(status); }

 private:
  std::shared_ptr<Call> call_;
  std::shared_ptr<Seen> seen_;
};

class EchoService : public Service {
 public:
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    if (incoming.method != "/test.Echo/Echo") {
      return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
    }
    last_call = incoming.call;
    for (const auto& [key, value] : incoming.metadata) {
      if (key == "greeting") incoming.call->Send(value);
    }
    return std::make_unique<EchoHandler>(incoming.call, server_seen);
  }
  std::shared_ptr<Seen> server_seen = std::make_shared<Seen>();
  std::weak_ptr<Call> last_call;
};

// Says that it was called, and stands still until it is let go.
class Stuck : public CallHandler {
 public:
  Stuck(std::shared_ptr<Seen> seen, std::shared_ptr<Seen> released)
      : seen_(std::move(seen)), released_(std::move(released)) {}
  void OnMessage(std::string message) override {
    seen_->Message(std::move(message));
    released_->AwaitMessages(1);
  }
  void OnEnd(const absl::Status& status) override { seen_->End(status); }

 private:
  std::shared_ptr<Seen> seen_;
  std::shared_ptr<Seen> released_;
};

class GrpcNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto listener = network_->Listen("127.0.0.1:0", &service_);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    address_ = absl::StrCat("127.0.0.1:", listener_->port());
  }

  std::shared_ptr<Call> Start(const CallOptions& options = {},
                              absl::string_view method = "/test.Echo/Echo") {
    return network_->Start(address_, method, options, std::make_unique<Recorder>(seen_));
  }

  EchoService service_;
  std::unique_ptr<Network> network_ = NewGrpcNetwork({});
  std::unique_ptr<Listener> listener_;
  std::string address_;
  std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
};

TEST_F(GrpcNetworkTest, MessagesArriveInOrderAndTheServersStatusEndsTheCall) {
  auto call = Start({.metadata = {{"greeting", "hello"}}});
  std::vector<std::string> expected = {"hello"};
  for (int i = 0; i < 2000; ++i) {
    expected.push_back(absl::StrCat(i));
    ASSERT_TRUE(call->Send(expected.back()));
  }
  call->Finish(absl::OkStatus());
  EXPECT_EQ(seen_->AwaitEnd(), absl::OkStatus());
  EXPECT_EQ(seen_->AwaitMessages(0), expected);
  EXPECT_EQ(service_.server_seen->AwaitEnd(), absl::OkStatus());
  EXPECT_FALSE(call->Send("late"));
}

// Protects servers from clients that do not read: such a call does not end by Finish, and ends by
// Cancel.
TEST_F(GrpcNetworkTest, CancelEndsACallThatIsNotRead) {
  const auto released = std::make_shared<Seen>();
  const auto client = NewGrpcNetwork({});  // a thread of its own
  client->Start(address_, "/test.Echo/Echo", {.metadata = {{"greeting", "hello"}}},
                std::make_unique<Stuck>(seen_, released));
  seen_->AwaitMessages(1);
  const std::shared_ptr<Call> served = service_.last_call.lock();
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(served->Send(std::string(1 << 20, 'x')));
  served->Finish(absl::OkStatus());
  EXPECT_GT(served->queued_bytes(), 0u);
  served->Cancel();
  EXPECT_EQ(service_.server_seen->AwaitEnd().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(served->queued_bytes(), 0u);
  released->Message("go on");
}

TEST_F(GrpcNetworkTest, AnErrorOfTheServerReachesTheClientWhole) {
  auto call = Start();
  call->Send("fail");
  EXPECT_EQ(seen_->AwaitEnd(), absl::ResourceExhaustedError("no room"));
}

TEST_F(GrpcNetworkTest, AnUnknownMethodIsRefusedByName) {
  Start({}, "/test.Echo/Nothing");
  const absl::Status end = seen_->AwaitEnd();
  EXPECT_EQ(end.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(end.message()), HasSubstr("/test.Echo/Nothing"));
}

TEST_F(GrpcNetworkTest, NobodyListeningIsUnavailable) {
  network_->Start("127.0.0.1:1", "/test.Echo/Echo", {}, std::make_unique<Recorder>(seen_));
  EXPECT_EQ(seen_->AwaitEnd().code(), absl::StatusCode::kUnavailable);
}

TEST_F(GrpcNetworkTest, ACancelledCallEndsOnBothSides) {
  auto call = Start();
  call->Send("one");
  EXPECT_THAT(seen_->AwaitMessages(1), ElementsAre("one"));
  call->Finish(absl::CancelledError("enough"));
  EXPECT_EQ(seen_->AwaitEnd().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(service_.server_seen->AwaitEnd().code(), absl::StatusCode::kCancelled);
}

TEST_F(GrpcNetworkTest, ATimeoutEndsACallThatNobodyAnswers) {
  Start({.timeout = std::chrono::milliseconds(30)});
  EXPECT_EQ(seen_->AwaitEnd().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(GrpcNetworkTest, AFullSendQueueRefusesAndStaysBounded) {
  auto call = Start({.send_queue_bytes_max = 1 << 20});
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    if (!call->Send(std::string(1 << 18, 'x'))) ++refused;
    EXPECT_LE(call->queued_bytes(), (1u << 20) + (1u << 18));
  }
  EXPECT_GT(refused, 0);
}

TEST_F(GrpcNetworkTest, AMessagePastGrpcsDefaultLimitArrives) {
  auto call = Start();
  const std::string large(10 << 20, 'x');
  ASSERT_TRUE(call->Send(large));
  EXPECT_TRUE(seen_->AwaitMessages(1).at(0) == large);
}

TEST_F(GrpcNetworkTest, ATakenPortIsAnErrorThatNamesIt) {
  const auto second = network_->Listen(address_, &service_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address_));
}

TEST_F(GrpcNetworkTest, StoppingTheListenerEndsItsCalls) {
  auto call = Start();
  call->Send("one");
  seen_->AwaitMessages(1);
  listener_.reset();
  EXPECT_FALSE(seen_->AwaitEnd().ok());
  EXPECT_FALSE(service_.server_seen->AwaitEnd().ok());
}

TEST_F(GrpcNetworkTest, DestroyingTheNetworkEndsItsCalls) {
  auto call = Start();
  call->Send("one");
  seen_->AwaitMessages(1);
  listener_.reset();
  network_.reset();
  EXPECT_FALSE(seen_->AwaitEnd().ok());
  EXPECT_FALSE(call->Send("late"));
}

}  // namespace
}  // namespace ringleader
