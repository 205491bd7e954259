// Protects the contract of common/http_server.h over real sockets: order, bounds, and that slow,
// silent or malformed peers hurt nobody.
#include "common/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/mutex.h"

namespace ringleader {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A client's socket, blocking, with a bound on every wait.
class Peer {
 public:
  explicit Peer(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Peer() { close(socket_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool connected() const { return connected_; }
  void Send(absl::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void EndSending() { shutdown(socket_, SHUT_WR); }
  // Until `end` has come, the peer has closed, or `wait` has passed without anything.
  std::string Receive(absl::string_view end, milliseconds wait = seconds(10)) {
    std::string text;
    while (end.empty() || !absl::StrContains(text, end)) {
      pollfd ready{socket_, POLLIN, 0};
      if (poll(&ready, 1, static_cast<int>(wait.count())) <= 0) break;
      char bytes[65536];
      const ssize_t got = recv(socket_, bytes, sizeof(bytes), 0);
      if (got <= 0) break;
      text.append(bytes, static_cast<size_t>(got));
    }
    return text;
  }
  std::string ReceiveAll() { return Receive(""); }
  // Whether the server has closed, within `wait`.
  bool ClosedWithin(milliseconds wait) {
    pollfd ready{socket_, POLLIN, 0};
    char byte;
    return poll(&ready, 1, static_cast<int>(wait.count())) > 0 && recv(socket_, &byte, 1, 0) <= 0;
  }

 private:
  const int socket_;
  bool connected_ = false;
};

constexpr absl::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

// Answers with method, target and body; "/later" is kept for the test to answer, "/drop" dropped.
class HttpServerTest : public ::testing::Test {
 protected:
  void Start(const HttpServerOptions& options = {}) {
    auto started =
        HttpServer::Start("127.0.0.1:0", options, [this](HttpRequest request, HttpRespond respond) {
          if (request.path() == "/drop") return;
          if (request.path() == "/later") {
            MutexLock lock(mutex_);
            later_.push_back(std::move(respond));
            changed_.NotifyAll();
            return;
          }
          if (request.path() == "/big") return respond({.body = std::string(8 << 20, 'b')});
          respond(
              {.headers = {{"X-Peer", std::string(request.Header("x-test"))}},
               .body = absl::StrCat(request.method, " ", request.target, " ", request.body, ".")});
        });
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  std::vector<HttpRespond> TakeLater(size_t count) {
    MutexLock lock(mutex_);
    while (later_.size() < count) changed_.Wait(lock);
    return std::exchange(later_, {});
  }
  std::string Ask(absl::string_view text) {
    Peer peer(server_->port());
    peer.Send(text);
    peer.EndSending();
    return peer.ReceiveAll();
  }
  // Whatever else goes on, somebody new gets an answer.
  void ExpectServes() { EXPECT_THAT(Ask(kGet), HasSubstr("GET /x .")); }

  Mutex mutex_;
  Condition changed_;
  std::vector<HttpRespond> later_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  Start();
  Peer peer(server_->port());
  for (int i = 0; i < 3; ++i) {
    peer.Send("POST /a?b=c HTTP/1.1\r\nHost: a\r\nX-Test: yes\r\nContent-Length: 4\r\n\r\nbody");
    const std::string answer = peer.Receive("POST /a?b=c body.");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nDate: "));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 17\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nX-Peer: yes\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: keep-alive\r\n\r\n"));
  }
  EXPECT_EQ(server_->statistics().accepted, 1u);
  EXPECT_EQ(server_->statistics().requests, 3u);
}

TEST_F(HttpServerTest, ClosesWhenAskedTo) {
  Start();
  EXPECT_THAT(Ask("GET /x HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close"));
  Peer peer(server_->port());
  peer.Send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(peer.ReceiveAll(), EndsWith("GET /x ."));
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  Start();
  Peer peer(server_->port());
  peer.Send("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answer = peer.ReceiveAll();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, TakesChunkedBodiesAndExpectations) {
  Start();
  EXPECT_THAT(Ask("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
              HasSubstr("POST /x abcde."));
  Peer peer(server_->port());
  peer.Send("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_THAT(peer.Receive("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
  peer.Send("ok");
  EXPECT_THAT(peer.Receive("POST /x ok."), HasSubstr("POST /x ok."));
}

// Answers of one connection come in the order of its requests, whoever is ready first.
TEST_F(HttpServerTest, PipelinedAnswersKeepTheirOrder) {
  Start();
  Peer peer(server_->port());
  peer.Send(
      "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  std::vector<HttpRespond> later = TakeLater(2);
  std::thread([&] { later[1]({.body = "second"}); }).join();
  EXPECT_EQ(peer.Receive("GET", milliseconds(100)), "");
  std::thread([&] { later[0]({.body = "first"}); }).join();
  const std::string all = peer.Receive("GET /2 .");
  const size_t first = all.find("first"), one = all.find("GET /1"), second = all.find("second"),
               two = all.find("GET /2");
  EXPECT_LT(first, one);
  EXPECT_LT(one, second);
  EXPECT_LT(second, two);
  EXPECT_NE(two, std::string::npos);
}

// A peer that sends requests without end and reads nothing is not read either.
TEST_F(HttpServerTest, PipelineIsBounded) {
  Start({.pipeline_max = 4});
  Peer peer(server_->port());
  std::string many;
  for (int i = 0; i < 50; ++i) absl::StrAppend(&many, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  peer.Send(many);
  std::vector<HttpRespond> later = TakeLater(4);
  EXPECT_EQ(peer.Receive("x", milliseconds(100)), "");
  EXPECT_EQ(server_->statistics().requests, 4u);
  for (HttpRespond& respond : later) respond({});
  TakeLater(4);
}

TEST_F(HttpServerTest, ADroppedRequestIsAnswered) {
  Start();
  EXPECT_THAT(Ask("GET /drop HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 500 "));
}

TEST_F(HttpServerTest, MalformedRequestsAreRefused) {
  Start();
  for (const absl::string_view text :
       {"nonsense\r\n\r\n", "GET\r\n\r\n", "GET /x HTTP/9.9\r\n\r\n",
        "GET /x HTTP/1.1\r\na b\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    EXPECT_THAT(Ask(text), StartsWith("HTTP/1.1 400 ")) << text;
  }
  EXPECT_EQ(server_->statistics().requests, 0u);
  EXPECT_EQ(Ask("GET /x HTTP/1.1\r\nHost"), "");  // gone in the middle
  ExpectServes();
}

TEST_F(HttpServerTest, WhatIsTooLargeIsRefused) {
  Start({.header_bytes_max = 4096, .body_bytes_max = 1000, .memory_bytes_max = 1500});
  const std::string large(200000, 'h');
  EXPECT_THAT(Ask(absl::StrCat("GET /x HTTP/1.1\r\nA: ", large, "\r\n\r\n")),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask(absl::StrCat("GET /", large, " HTTP/1.1\r\n\r\n")), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask("POST /x HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask(absl::StrCat("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "600\r\n",
                               std::string(0x600, 'x'), "\r\n0\r\n\r\n")),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(server_->statistics().refused, 4u);
  // The server's memory: what one peer's open request holds, another can't have.
  Peer holder(server_->port());
  holder.Send("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n" +
              std::string(900, 'x'));
  std::vector<HttpRespond> later = TakeLater(1);
  const std::string second = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n";
  EXPECT_THAT(Ask(second + std::string(900, 'y')), StartsWith("HTTP/1.1 503 "));
  later[0]({.body = "done"});
  holder.Receive("done");
  EXPECT_THAT(Ask(second + std::string(900, 'y')), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, AThousandIdleConnectionsKeepNobodyOut) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192);
  setrlimit(RLIMIT_NOFILE, &limit);
  Start({.connections_max = 200});
  std::vector<std::unique_ptr<Peer>> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(std::make_unique<Peer>(server_->port()));
    ASSERT_TRUE(idle.back()->connected()) << i;
  }
  ExpectServes();
  EXPECT_LE(server_->statistics().connections, 200u);
  EXPECT_GE(server_->statistics().turned_away, 800u);
  EXPECT_TRUE(idle.front()->ClosedWithin(seconds(5)));
}

// Slowloris: half-sent requests neither stay for ever nor keep others out.
TEST_F(HttpServerTest, HalfSentRequestsAreGivenUp) {
  Start({.connections_max = 20, .idle_max = seconds(30), .request_max = milliseconds(300)});
  std::vector<std::unique_ptr<Peer>> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(std::make_unique<Peer>(server_->port()));
    slow.back()->Send("GET /x HTTP/1.1\r\nHost: a\r\n");
  }
  ExpectServes();
  for (const auto& peer : slow) peer->Send("X: y\r\n");  // a little more is not enough
  for (const auto& peer : slow) EXPECT_TRUE(peer->ClosedWithin(seconds(5)));
}

TEST_F(HttpServerTest, IdleConnectionsEndAndWorkingOnesDoNot) {
  Start({.idle_max = milliseconds(200)});
  Peer idle(server_->port()), working(server_->port());
  working.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  std::vector<HttpRespond> later = TakeLater(1);
  EXPECT_TRUE(idle.ClosedWithin(seconds(5)));
  EXPECT_FALSE(working.ClosedWithin(milliseconds(500)));
  later[0]({.body = "at last"});
  EXPECT_THAT(working.Receive("at last"), EndsWith("at last"));
}

TEST_F(HttpServerTest, WhoDoesNotReadIsGivenUp) {
  Start({.write_max = milliseconds(300)});
  Peer peer(server_->port());
  peer.Send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 100 && server_->statistics().timed_out == 0; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(server_->statistics().timed_out, 1u);
  EXPECT_EQ(server_->statistics().connections, 0u);
}

TEST_F(HttpServerTest, LargeAnswersArriveWholeAtWhoHasClosedHisSide) {
  Start();
  EXPECT_THAT(Ask("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").size(), ::testing::Gt(8u << 20));
}

TEST_F(HttpServerTest, StoppingLetsOpenRequestsEnd) {
  Start({.drain_max = seconds(10)});
  Peer open(server_->port()), idle(server_->port()), half(server_->port());
  half.Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  open.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  std::vector<HttpRespond> later = TakeLater(1);
  const int port = server_->port();
  std::thread stopping([&] { server_->Stop(); });
  EXPECT_TRUE(idle.ClosedWithin(seconds(5)));
  EXPECT_TRUE(half.ClosedWithin(seconds(5)));
  EXPECT_FALSE(Peer(port).connected());
  later[0]({.body = "in time"});
  EXPECT_THAT(open.ReceiveAll(), EndsWith("in time"));
  stopping.join();
}

TEST_F(HttpServerTest, StoppingDoesNotWaitForEver) {
  Start({.drain_max = milliseconds(100)});
  Peer open(server_->port());
  open.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  std::vector<HttpRespond> later = TakeLater(1);
  server_ = nullptr;
  EXPECT_TRUE(open.ClosedWithin(seconds(5)));
  later[0]({.body = "nobody is there any more"});
}

TEST_F(HttpServerTest, ATakenPortIsNamed) {
  Start();
  const std::string address = absl::StrCat("127.0.0.1:", server_->port());
  const auto second = HttpServer::Start(address, {}, [](HttpRequest, HttpRespond) {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
  EXPECT_EQ(HttpServer::Start("nowhere", {}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Many connections, threads and answers from elsewhere at once: for the thread sanitizer too.
TEST_F(HttpServerTest, ManyAtOnce) {
  Start({.threads = 3});
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      Peer peer(server_->port());
      for (int request = 0; request < 50; ++request) {
        peer.Send(kGet);
        answered += absl::StrContains(peer.Receive("GET /x ."), "GET /x .");
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 400);
}

}  // namespace
}  // namespace ringleader
