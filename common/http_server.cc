// Threads: `threads` threads run one io_context. A connection lives on its strand: its fields need
// no lock. Core's registry of connections has one.
//
// Invariants of a connection
//   1. `open_` are the requests without a complete answer on its way, in the order they came; bytes
//      leave from its front only.
//   2. At most one read and one write are under way, each with a deadline while it awaits the peer.
//   3. It is in the registry from Start to Close, and Close runs on the strand.
#include "common/http_server.h"

#include <pthread.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/address.h"
#include "common/check.h"
#include "common/mutex.h"
#include "common/status.h"

namespace ringleader {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using Strand = asio::strand<asio::io_context::executor_type>;
using Socket = asio::basic_stream_socket<Tcp, Strand>;
using Error = boost::system::error_code;

constexpr size_t kReadBytes = 16 << 10;
// What a peer still sends after its last answer is read and dropped for so long: closing at once
// would make the system throw the answer away.
constexpr std::chrono::seconds kLinger{2};
constexpr std::chrono::milliseconds kAcceptRetry{100};

}  // namespace

class HttpServer::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(const HttpServerOptions& options, HttpHandler handler)
      : options_(options), handler_(std::move(handler)) {
    CHECK_GE(options.threads, 1);
    CHECK_GE(options.connections_max, 1u);
    CHECK_GE(options.pipeline_max, 1u);
    CHECK_GE(options.memory_bytes_max, options.body_bytes_max);
  }

  absl::Status Listen(absl::string_view address);
  void Stop();

  int port() const { return port_; }
  HttpServerStatistics statistics() const;

  // The rest is for connections.
  const HttpServerOptions& options() const { return options_; }
  const HttpHandler& handler() const { return handler_; }

  // False, and nothing was taken: the bodies of all connections would be too much.
  bool TakeMemory(uint64_t bytes);
  void GiveMemory(uint64_t bytes) { memory_bytes_ -= bytes; }
  // For telling who has been quiet the longest; never 0.
  uint64_t NextTurn() { return ++turn_; }
  void Closed(Connection* connection);
  // Runs `task` on the connection's strand, unless the server has stopped: then it is dropped.
  void Post(const Strand& strand, absl::AnyInvocable<void()> task);

  std::atomic<uint64_t> requests{0}, refused{0}, timed_out{0};

 private:
  void Accept();
  void Accepted(Socket socket);
  std::shared_ptr<Connection> QuietestLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForAll(void (Connection::*act)());

  const HttpServerOptions options_;
  HttpHandler handler_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  Strand strand_{asio::make_strand(io_)};  // of the acceptor and its timer
  std::optional<asio::basic_socket_acceptor<Tcp, Strand>> acceptor_;
  asio::steady_timer accept_retry_{strand_};
  int port_ = 0;
  std::atomic<uint64_t> memory_bytes_{0};
  std::atomic<uint64_t> turn_{0};
  std::vector<std::thread> threads_;

  mutable Mutex mutex_;
  Condition changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;  // nothing may be posted any more
  std::map<Connection*, std::shared_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
  uint64_t accepted_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t turned_away_ ABSL_GUARDED_BY(mutex_) = 0;
};

class HttpServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Core> core, Socket socket)
      : core_(std::move(core)),
        socket_(std::move(socket)),
        buffer_(core_->options().header_bytes_max + 2 * kReadBytes),
        read_deadline_(socket_.get_executor()),
        write_deadline_(socket_.get_executor()),
        quiet_since_(core_->NextTurn()) {}

  Strand strand() { return socket_.get_executor(); }
  // 0: a request of it is at the handler.
  uint64_t quiet_since() const { return quiet_since_; }

  // --- On the strand ----------------------------------------------------------------------------

  void Start();
  // Lets open requests be answered, then closes.
  void Finish();
  void Close();
  void Answer(uint64_t id, HttpResponse response);

 private:
  class Responder;
  struct Open {
    uint64_t id = 0;
    uint64_t memory_bytes = 0;
    bool head_only = false;
    bool close_after = false;
    bool answered = false;
    std::vector<std::string> out;  // not yet handed to the write under way
  };

  void Read();
  void ReadHeader();
  void HeaderRead(const Error& error);
  void BodyRead(const Error& error);
  void Dispatch(Open& open);
  void ReadFailed(const Error& error);
  void Refuse(int status, absl::string_view why);
  void Write();
  void Written(const Error& error);
  void Linger();
  void Discard();
  void Expect(asio::steady_timer& deadline, Duration after);
  Open& AddOpen(uint64_t memory_bytes);

  const std::shared_ptr<Core> core_;
  Socket socket_;
  std::string peer_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  asio::steady_timer read_deadline_;
  asio::steady_timer write_deadline_;
  std::atomic<uint64_t> quiet_since_;

  std::deque<Open> open_;
  uint64_t next_id_ = 0;
  uint64_t open_bytes_ = 0;
  std::vector<std::string> writing_;
  bool reading_ = false;
  bool receiving_ = false;  // the first byte of a request is here and the last is not
  bool body_open_ = false;  // that request is the last of `open_`: its header is complete
  bool no_more_reads_ = false;
  bool write_under_way_ = false;
  bool close_after_write_ = false;
  bool finishing_ = false;  // the server is being stopped
  bool lingering_ = false;
  bool closed_ = false;
};

// The callback that a handler gets.
class HttpServer::Connection::Responder {
 public:
  Responder(std::shared_ptr<Connection> connection, uint64_t id)
      : connection_(std::move(connection)), id_(id) {}
  Responder(Responder&&) = default;  // leaves null behind
  Responder& operator=(Responder&&) = delete;
  ~Responder() {
    if (connection_ != nullptr) (*this)({.status = 500, .body = "no answer was given\n"});
  }

  void operator()(HttpResponse response) {
    CHECK(connection_ != nullptr) << "a request is answered once";
    // Outlive the task, if that is dropped and was the last that had the connection.
    const std::shared_ptr<Core> core = connection_->core_;
    const Strand strand = connection_->strand();
    core->Post(strand, [connection = std::move(connection_), id = id_,
                        response = std::move(response)]() mutable {
      connection->Answer(id, std::move(response));
    });
  }

 private:
  std::shared_ptr<Connection> connection_;
  uint64_t id_;
};

void HttpServer::Connection::Start() {
  Error ignored;
  const Tcp::endpoint peer = socket_.remote_endpoint(ignored);
  if (!ignored) peer_ = absl::StrCat(peer.address().to_string(), ":", peer.port());
  socket_.set_option(Tcp::no_delay(true), ignored);
  Read();
}

// Whatever waits for the peer ends with the connection when the deadline passes.
void HttpServer::Connection::Expect(asio::steady_timer& deadline, Duration after) {
  deadline.expires_after(after);
  deadline.async_wait([self = shared_from_this(), &deadline, after](const Error& error) {
    if (error || self->closed_) return;
    // Set anew after it had fired.
    if (deadline.expiry() > asio::steady_timer::clock_type::now()) return;
    // A connection that waits for its answers is not idle.
    const bool waits = &deadline == &self->read_deadline_ && !self->receiving_ &&
                       !self->lingering_ && !self->open_.empty();
    if (waits) return self->Expect(deadline, after);
    if (!self->lingering_) ++self->core_->timed_out;
    self->Close();
  });
}

void HttpServer::Connection::Read() {
  const HttpServerOptions& options = core_->options();
  if (closed_ || reading_ || no_more_reads_) return;
  if (open_.size() >= options.pipeline_max) return;
  if (!open_.empty() && open_bytes_ >= options.body_bytes_max) return;
  reading_ = true;
  if (buffer_.size() > 0) return ReadHeader();
  Expect(read_deadline_, options.idle_max);
  socket_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](const Error& error, size_t bytes) {
                            if (self->lingering_) return error ? self->Close() : self->Discard();
                            self->buffer_.commit(bytes);
                            if (error) return self->ReadFailed(error);
                            self->ReadHeader();
                          });
}

void HttpServer::Connection::ReadHeader() {
  if (closed_) return;
  receiving_ = true;
  parser_.emplace();
  parser_->header_limit(core_->options().header_bytes_max);
  parser_->body_limit(core_->options().body_bytes_max);
  Expect(read_deadline_, core_->options().request_max);
  http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](const Error& error, size_t) { self->HeaderRead(error); });
}

HttpServer::Connection::Open& HttpServer::Connection::AddOpen(uint64_t memory_bytes) {
  Open& open = open_.emplace_back();
  open.id = next_id_++;
  open.memory_bytes = memory_bytes;
  open_bytes_ += memory_bytes;
  return open;
}

void HttpServer::Connection::HeaderRead(const Error& error) {
  if (closed_ || finishing_) return;
  if (lingering_) return Close();
  if (error) return ReadFailed(error);
  const auto length = parser_->content_length();
  const uint64_t bytes =
      length ? *length : (parser_->chunked() ? core_->options().body_bytes_max : 0);
  if (!core_->TakeMemory(bytes)) return Refuse(503, "the server has too much to do");
  Open& open = AddOpen(bytes);
  body_open_ = true;
  open.head_only = parser_->get().method() == http::verb::head;
  const auto expect = parser_->get()[http::field::expect];
  if (absl::EqualsIgnoreCase(absl::string_view(expect.data(), expect.size()), "100-continue")) {
    open.out.push_back("HTTP/1.1 100 Continue\r\n\r\n");
    Write();
  }
  http::async_read(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](const Error& failed, size_t) { self->BodyRead(failed); });
}

void HttpServer::Connection::BodyRead(const Error& error) {
  if (closed_ || finishing_) return;
  if (lingering_) return Close();
  if (error) return ReadFailed(error);
  reading_ = receiving_ = body_open_ = false;
  read_deadline_.cancel();
  Dispatch(open_.back());
  Read();
}

void HttpServer::Connection::Dispatch(Open& open) {
  const bool keep_alive = parser_->keep_alive();
  auto message = parser_->release();
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    const auto name = field.name_string();
    const auto value = field.value();
    request.headers.emplace_back(absl::AsciiStrToLower(absl::string_view(name.data(), name.size())),
                                 std::string(value.data(), value.size()));
  }
  request.body = std::move(message.body());
  request.peer = peer_;
  open.close_after = !keep_alive;
  if (!keep_alive) no_more_reads_ = true;
  quiet_since_ = 0;
  ++core_->requests;
  core_->handler()(std::move(request), Responder(shared_from_this(), open.id));
}

void HttpServer::Connection::ReadFailed(const Error& error) {
  if (closed_) return;
  if (error == http::error::end_of_stream || error == asio::error::eof) {
    // It may have closed its side and still wait for what it asked before.
    reading_ = receiving_ = false;
    no_more_reads_ = true;
    read_deadline_.cancel();
    if (open_.empty() && !write_under_way_) Close();
    return;
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return Refuse(431, "the request's header is too long");
  }
  if (error == http::error::body_limit) {
    return Refuse(413, absl::StrCat("the request's body is longer than ",
                                    core_->options().body_bytes_max, " bytes"));
  }
  const bool broken = error == http::error::partial_message ||
                      error.category() != Error(http::error::bad_target).category();
  if (broken) return Close();
  Refuse(400, absl::StrCat("malformed request: ", error.message()));
}

// The last answer of this connection: where the next request would begin is unknown.
void HttpServer::Connection::Refuse(int status, absl::string_view why) {
  ++core_->refused;
  const uint64_t id = body_open_ ? open_.back().id : AddOpen(0).id;
  reading_ = receiving_ = body_open_ = false;
  no_more_reads_ = true;
  read_deadline_.cancel();
  Answer(id, {.status = status, .body = absl::StrCat(why, "\n"), .close = true});
}

void HttpServer::Connection::Answer(uint64_t id, HttpResponse response) {
  if (closed_ || open_.empty() || id < open_.front().id) return;
  Open& open = open_[id - open_.front().id];
  CHECK(!open.answered);
  open.answered = true;
  open.close_after |= response.close;
  open.out.push_back(EncodeHead(response, open.close_after, SystemClock().WallMicros()));
  if (!open.head_only && !response.body.empty()) open.out.push_back(std::move(response.body));
  Write();
}

void HttpServer::Connection::Write() {
  if (closed_ || write_under_way_) return;
  writing_.clear();
  while (!open_.empty() && !close_after_write_) {
    Open& front = open_.front();
    for (std::string& piece : front.out) writing_.push_back(std::move(piece));
    front.out.clear();
    if (!front.answered) break;
    close_after_write_ = front.close_after;
    open_bytes_ -= front.memory_bytes;
    core_->GiveMemory(front.memory_bytes);
    open_.pop_front();
  }
  // A peer that does not take its answer counts as quiet.
  if (open_.empty()) quiet_since_ = core_->NextTurn();
  if (writing_.empty()) {
    if (no_more_reads_ && open_.empty()) Linger();
    return;
  }
  write_under_way_ = true;
  Expect(write_deadline_, core_->options().write_max);
  std::vector<asio::const_buffer> pieces;
  for (const std::string& piece : writing_) pieces.push_back(asio::buffer(piece));
  asio::async_write(socket_, pieces, [self = shared_from_this()](const Error& error, size_t) {
    self->Written(error);
  });
}

void HttpServer::Connection::Written(const Error& error) {
  if (closed_) return;
  write_under_way_ = false;
  write_deadline_.cancel();
  if (error) return Close();
  if (close_after_write_) return Linger();
  if (open_.empty() && reading_ && !receiving_) Expect(read_deadline_, core_->options().idle_max);
  Write();
  Read();
}

void HttpServer::Connection::Linger() {
  if (closed_ || std::exchange(lingering_, true)) return;
  Error error;
  socket_.shutdown(Tcp::socket::shutdown_send, error);
  if (error || finishing_) return Close();
  no_more_reads_ = true;
  Expect(read_deadline_, kLinger);
  if (!reading_) Discard();  // otherwise the read under way goes on with it
}

void HttpServer::Connection::Discard() {
  if (closed_) return;
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](const Error& error, size_t) {
                            if (error) return self->Close();
                            self->Discard();
                          });
}

void HttpServer::Connection::Finish() {
  if (closed_) return;
  finishing_ = no_more_reads_ = true;
  if (std::exchange(body_open_, false)) {  // never complete, never answered
    open_bytes_ -= open_.back().memory_bytes;
    core_->GiveMemory(open_.back().memory_bytes);
    open_.pop_back();
  }
  if (lingering_ || (open_.empty() && !write_under_way_)) return Close();
  if (!open_.empty()) open_.back().close_after = true;
}

void HttpServer::Connection::Close() {
  if (std::exchange(closed_, true)) return;
  for (const Open& open : open_) core_->GiveMemory(open.memory_bytes);
  open_.clear();
  read_deadline_.cancel();
  write_deadline_.cancel();
  Error ignored;
  socket_.close(ignored);
  core_->Closed(this);
}

// --- The server
// -----------------------------------------------------------------------------------

absl::Status HttpServer::Core::Listen(absl::string_view address) {
  ASSIGN_OR_RETURN(const HostPort parsed, ParseAddress(address));
  const auto failed = [&](const Error& error) {
    return absl::FailedPreconditionError(
        absl::StrCat(address, " can't be listened on: ", error.message()));
  };
  Error error;
  Tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(parsed.host, absl::StrCat(parsed.port),
                       Tcp::resolver::passive | Tcp::resolver::numeric_service, error);
  if (error || found.empty()) return failed(error);
  const Tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.emplace(strand_);
  acceptor_->open(endpoint.protocol(), error);
  if (!error) acceptor_->set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_->bind(endpoint, error);
  if (!error) acceptor_->listen(asio::socket_base::max_listen_connections, error);
  if (error) return failed(error);
  port_ = acceptor_->local_endpoint().port();
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { io_.run(); });
    pthread_setname_np(threads_.back().native_handle(), "http");
  }
  asio::post(strand_, [this] { Accept(); });
  return absl::OkStatus();
}

void HttpServer::Core::Accept() {
  if (!acceptor_->is_open()) return;
  acceptor_->async_accept(asio::make_strand(io_), [this](const Error& error, Socket socket) {
    if (!acceptor_->is_open()) return;
    if (!error) {
      Accepted(std::move(socket));
      return Accept();
    }
    // Out of descriptors, usually: what is open has to end first.
    accept_retry_.expires_after(kAcceptRetry);
    accept_retry_.async_wait([this](const Error& cancelled) {
      if (!cancelled) Accept();
    });
  });
}

std::shared_ptr<HttpServer::Connection> HttpServer::Core::QuietestLocked() const {
  std::shared_ptr<Connection> quietest;
  for (const auto& [key, connection] : connections_) {
    const uint64_t since = connection->quiet_since();
    if (since == 0) continue;
    if (quietest == nullptr || since < quietest->quiet_since()) quietest = connection;
  }
  return quietest;
}

void HttpServer::Core::Accepted(Socket socket) {
  std::shared_ptr<Connection> replaced;
  std::shared_ptr<Connection> connection;
  {
    MutexLock lock(mutex_);
    ++accepted_;
    if (stopping_) return;
    if (connections_.size() >= options_.connections_max) {
      ++turned_away_;
      replaced = QuietestLocked();
      if (replaced == nullptr) return;
      // Gone from the registry now, so that the next newcomer finds another.
      connections_.erase(replaced.get());
    }
    connection = std::make_shared<Connection>(shared_from_this(), std::move(socket));
    connections_[connection.get()] = connection;
  }
  if (replaced != nullptr) asio::post(replaced->strand(), [replaced] { replaced->Close(); });
  asio::post(connection->strand(), [connection] { connection->Start(); });
}

bool HttpServer::Core::TakeMemory(uint64_t bytes) {
  if (memory_bytes_.fetch_add(bytes) + bytes <= options_.memory_bytes_max) return true;
  memory_bytes_ -= bytes;
  return false;
}

void HttpServer::Core::Closed(Connection* connection) {
  MutexLock lock(mutex_);
  connections_.erase(connection);
  changed_.NotifyAll();
}

void HttpServer::Core::Post(const Strand& strand, absl::AnyInvocable<void()> task) {
  MutexLock lock(mutex_);
  if (!stopped_) asio::post(strand, std::move(task));
}

void HttpServer::Core::ForAll(void (Connection::*act)()) {
  MutexLock lock(mutex_);
  for (const auto& [key, connection] : connections_) {
    asio::post(connection->strand(), [connection = connection, act] { ((*connection).*act)(); });
  }
}

void HttpServer::Core::Stop() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(stopping_, true)) return;
  }
  asio::post(strand_, [this] {
    Error ignored;
    if (acceptor_.has_value()) acceptor_->close(ignored);
    accept_retry_.cancel();
  });
  ForAll(&Connection::Finish);
  {
    const Instant begun = SystemClock().Now();
    MutexLock lock(mutex_);
    while (!connections_.empty()) {
      const Duration left = options_.drain_max - HolderElapsed(begun, SystemClock().Now());
      if (left <= Duration(0)) break;
      changed_.WaitFor(lock, left);
    }
  }
  ForAll(&Connection::Close);
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  work_.reset();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  handler_ = nullptr;
}

HttpServerStatistics HttpServer::Core::statistics() const {
  MutexLock lock(mutex_);
  return {.connections = connections_.size(),
          .accepted = accepted_,
          .turned_away = turned_away_,
          .requests = requests,
          .refused = refused,
          .timed_out = timed_out};
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(absl::string_view address,
                                                              const HttpServerOptions& options,
                                                              HttpHandler handler) {
  auto core = std::make_shared<Core>(options, std::move(handler));
  RETURN_IF_ERROR(core->Listen(address));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

HttpServer::~HttpServer() { Stop(); }
void HttpServer::Stop() { core_->Stop(); }
int HttpServer::port() const { return core_->port(); }
HttpServerStatistics HttpServer::statistics() const { return core_->statistics(); }

}  // namespace ringleader
