// Protects the admin pages: alive and ready are told apart, what is missing is said, and an
// executor that hangs is noticed.
#include "common/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "absl/strings/str_cat.h"
#include "common/address.h"

namespace ringleader {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ManualClock : public Clock {
 public:
  Instant Now() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  int64_t WallMicros() const override { return 0; }
  void Advance(Duration by) {
    MutexLock lock(mutex_);
    now_.raw += by;
    now_.boot += by;
  }

 private:
  mutable Mutex mutex_;
  Instant now_ ABSL_GUARDED_BY(mutex_);
};

std::string Get(int port, absl::string_view path, absl::string_view method = "GET") {
  boost::asio::io_context io;
  boost::asio::ip::tcp::socket socket(io);
  socket.connect({boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(port)});
  const std::string request =
      absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  boost::asio::write(socket, boost::asio::buffer(request));
  std::string answer;
  boost::system::error_code end;
  boost::asio::read(socket, boost::asio::dynamic_buffer(answer), end);
  return answer;
}

class AdminServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = AdminServer::Start("127.0.0.1:0", clock_);
    ASSERT_TRUE(started.ok()) << started.status();
    admin_ = *std::move(started);
  }
  void TearDown() override { admin_ = nullptr; }
  void Attach() {
    admin_->Attach({.executor = main_.get(),
                    .collect = [](MetricSink& sink) { sink.Gauge("ringleader_x", "X.", 7); },
                    .missing = [this] { return missing_; },
                    .executors = [this]() -> std::vector<std::pair<std::string, Executor*>> {
                      return {{"main", main_.get()}, {"worker", worker_.get()}};
                    }});
  }

  ManualClock clock_;
  std::vector<std::string> missing_;
  std::unique_ptr<Executor> main_ = SystemThreads().Start("main");
  std::unique_ptr<Executor> worker_ = SystemThreads().Start("worker");
  std::unique_ptr<AdminServer> admin_;
};

TEST_F(AdminServerTest, AStartingProcessIsAliveAndNotReady) {
  EXPECT_THAT(Get(admin_->port(), "/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get(admin_->port(), "/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get(admin_->port(), "/metrics"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get(admin_->port(), "/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get(admin_->port(), "/metrics", "DELETE"), StartsWith("HTTP/1.1 405 "));
}

TEST_F(AdminServerTest, SaysWhatIsMissing) {
  Attach();
  EXPECT_THAT(Get(admin_->port(), "/readyz"), StartsWith("HTTP/1.1 200 "));
  main_->Post([this] { missing_ = {"It hears no coordinator.", "Its disk is full."}; });
  const std::string answer = Get(admin_->port(), "/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("It hears no coordinator.\nIts disk is full.\n"));
  EXPECT_THAT(Get(admin_->port(), "/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, MetricsAreTheProcesssAndTheHosts) {
  Attach();
  const std::string answer = Get(admin_->port(), "/metrics");
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("\nringleader_x 7\n"));
  EXPECT_THAT(answer, HasSubstr("\nprocess_cpu_seconds_total "));
}

TEST_F(AdminServerTest, AStuckExecutorIsNotAlive) {
  Attach();
  Mutex mutex;
  Condition changed;
  bool go_on = false;
  worker_->Post([&] {
    MutexLock lock(mutex);
    while (!go_on) changed.Wait(lock);
  });
  EXPECT_THAT(Get(admin_->port(), "/healthz"), StartsWith("HTTP/1.1 200 "));  // asks it
  clock_.Advance(AdminServer::kStuckAfter + std::chrono::seconds(2));
  const std::string stuck = Get(admin_->port(), "/healthz");
  EXPECT_THAT(stuck, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(stuck, HasSubstr("'worker' has been busy with one task for 12 s"));
  {
    MutexLock lock(mutex);
    go_on = true;
    changed.NotifyAll();
  }
  worker_->Stop();
}

TEST(AddressTest, OnlyThisMachinesAddressesAreLoopback) {
  for (const char* address : {"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "127.0.0.1.example.org:1",
                              "localhost.example.org:1", "127.0.0.1", ":1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
  EXPECT_FALSE(ParseAddress("::1:80").ok());
  EXPECT_FALSE(ParseAddress("a:65536").ok());
}

TEST(AddressTest, WhatStandsForAllAddressesIsNone) {
  for (const char* address : {"0.0.0.0:7100", "[::]:7100", "[::0]:7100", ":7100"}) {
    EXPECT_TRUE(IsWildcard(address)) << address;
  }
  for (const char* address : {"127.0.0.1:1", "[::1]:1", "10.0.0.0:1", "node-0:7100", "node-0"}) {
    EXPECT_FALSE(IsWildcard(address)) << address;
  }
}

TEST(AddressTest, WhatListensEverywhereIsReachedAsTheProcessIs) {
  EXPECT_EQ(ReachableAddress("0.0.0.0:9100", "node-7:7100"), "node-7:9100");
  EXPECT_EQ(ReachableAddress("[::]:9100", "[2001:db8::7]:7100"), "[2001:db8::7]:9100");
  EXPECT_EQ(ReachableAddress("127.0.0.1:9100", "node-7:7100"), "127.0.0.1:9100");
}

}  // namespace
}  // namespace ringleader
