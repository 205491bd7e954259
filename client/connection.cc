#include "client/connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/client_request.h"
#include "common/check.h"
#include "common/grpc_network.h"
#include "common/status.h"

namespace ringleader {
namespace client {
namespace {

RouteMode ModeOf(RoutePolicy policy) {
  switch (policy) {
    case RoutePolicy::kAuto:
      return RouteMode::kAuto;
    case RoutePolicy::kDirect:
      return RouteMode::kDirect;
    case RoutePolicy::kCoordinators:
      return RouteMode::kCoordinators;
  }
  return RouteMode::kAuto;
}

// Checks the map each time it changes, until `deadline`.
void PollMap(Router& router, Duration deadline,
             std::shared_ptr<absl::AnyInvocable<bool(const ClusterMap&)>> is_wanted,
             std::shared_ptr<absl::AnyInvocable<void(bool)>> done) {
  if ((*is_wanted)(router.map())) return (*done)(true);
  const Duration left = deadline - router.Now();
  if (left <= Duration(0)) return (*done)(false);
  router.WhenMapChanges(
      left, [&router, deadline, is_wanted, done] { PollMap(router, deadline, is_wanted, done); });
}

}  // namespace

RouterOptions RouterOptionsOf(const ClientOptions& options) {
  RouterOptions router;
  router.coordinators = options.coordinators;
  router.route = ModeOf(options.route);
  router.timeout = std::min<Duration>(options.timeout, router.timeout_max);
  router.requests_max = options.requests_max;
  router.bytes_max = options.bytes_max;
  return router;
}

Connection::Connection(const RouterOptions& options, std::unique_ptr<Network> network,
                       Threads& threads, Clock& clock, Random random, const CacheOptions& cache)
    : network_(std::move(network)), executor_(threads.Start("ring-client")) {
  router_ = std::make_unique<Router>(options, *network_, *executor_, clock, random.Fork());
  admin_ = std::make_unique<Admin>(*router_, *network_, *executor_, random.Fork());
  router_->AskForTablesBy(AskMetadataLeader(*admin_));
  watcher_ = std::make_shared<MapWatcher>(*router_, *network_, *executor_, random.Fork());
  executor_->Post([watcher = watcher_] { watcher->Start(); });
  if (cache.bytes_max == 0) return;
  if (cache.on_invalidated) notices_ = threads.Start("ring-notices");
  cached_ = std::make_unique<CachedReads>(cache, *router_, *network_, *executor_, clock,
                                          random.Fork(), CacheLaneOptions(), notices_.get());
  executor_->Post([this] { cached_->Start(); });
}

Connection::~Connection() {
  CheckMayWait();
  if (notices_ != nullptr) {
    CHECK(!notices_->IsCurrent()) << "on_invalidated destroys its client";
    notices_->Stop();  // first: what runs there may wait for this client
  }
  Awaited<bool> closed;
  executor_->Post([this, done = closed.Done()]() mutable {
    watcher_->Stop();
    if (cached_ == nullptr) return CloseRouter(std::move(done));
    cached_->Leave([this, done = std::move(done)]() mutable {
      cached_->Shutdown();
      CloseRouter(std::move(done));
    });
  });
  closed.Wait();
  executor_->Stop();
  cached_.reset();
  watcher_.reset();
  admin_.reset();
  router_.reset();   // cancels its calls
  network_.reset();  // waits for their ends, which post to the stopped executor
}

void Connection::CloseRouter(absl::AnyInvocable<void(bool)> done) {
  router_->Shutdown();
  done(true);
}

void Connection::CheckMayWait() const {
  CHECK(!executor_->IsCurrent()) << "a callback of the client waits for the client";
}

absl::StatusOr<std::string> Connection::CallNode(const std::string& address,
                                                 absl::string_view method, std::string request) {
  CheckMayWait();
  Awaited<absl::StatusOr<std::string>> awaited;
  executor_->Post([&] {
    admin_->CallUnary(address, method, std::move(request), router_->options().timeout,
                      awaited.Done());
  });
  return awaited.Wait();
}

void Connection::RunAndWait(absl::AnyInvocable<void(Router&)> task) {
  CheckMayWait();
  Awaited<bool> ran;
  executor_->Post([this, &task, done = ran.Done()]() mutable {
    task(*router_);
    done(true);
  });
  ran.Wait();
}

bool Connection::AwaitMapWhere(Duration timeout,
                               absl::AnyInvocable<bool(const ClusterMap&)> is_wanted) {
  CheckMayWait();
  Awaited<bool> awaited;
  executor_->Post([this, timeout, &awaited, &is_wanted] {
    PollMap(*router_, router_->Now() + timeout,
            std::make_shared<absl::AnyInvocable<bool(const ClusterMap&)>>(std::move(is_wanted)),
            std::make_shared<absl::AnyInvocable<void(bool)>>(awaited.Done()));
  });
  return awaited.Wait();
}

absl::Status Connection::AwaitMap(Duration timeout) {
  if (AwaitMapWhere(timeout, [](const ClusterMap& map) { return map.routable(); })) {
    return absl::OkStatus();
  }
  std::string trouble;
  RunAndWait([&](Router&) { trouble = watcher_->trouble(); });
  return MakeError(ErrorKind::kUnavailable,
                   absl::StrCat("no coordinator gave the cluster's map (asked ",
                                absl::StrJoin(router_->options().coordinators, ", "), "); ",
                                trouble.empty() ? "the cluster has no partitions yet" : trouble));
}

void Connection::GetAsync(absl::string_view table, const Item& key, const ReadOptions& options,
                          Callback<ReadResult> done) {
  auto respond = [done = std::move(done)](data::v1::Response response, bool is_watched) mutable {
    absl::StatusOr<ReadResult> result = ReadResultOf(response);
    if (result.ok()) result->watched = is_watched;
    done(std::move(result));
  };
  data::v1::Request request = GetRequest(table, key, options);
  std::optional<std::string> cached_key;
  if (cached_ != nullptr) cached_key = cached_->KeyOf(table, key, options);
  if (!cached_key.has_value()) {
    return router_->Execute(std::move(request),
                            [respond = std::move(respond)](data::v1::Response response) mutable {
                              respond(std::move(response), false);
                            });
  }
  cached_->Read(*std::move(cached_key), options, std::move(request), std::move(respond));
}

std::optional<ReadResult> Connection::GetFromMemory(absl::string_view table, const Item& key,
                                                    const ReadOptions& options) {
  if (cached_ == nullptr) return std::nullopt;
  return cached_->Find(table, key, options);
}

CacheStatistics Connection::cache_statistics() const {
  if (cached_ == nullptr) return {};
  return cached_->statistics();
}

void Connection::PutAsync(absl::string_view table, const Item& item, const WriteOptions& options,
                          Callback<WriteResult> done) {
  router_->Execute(PutRequest(table, item, options),
                   [done = std::move(done)](data::v1::Response response) mutable {
                     done(WriteResultOf(response));
                   });
}

void Connection::UpdateAsync(absl::string_view table, const Item& key, absl::string_view update,
                             const WriteOptions& options, Callback<WriteResult> done) {
  router_->Execute(UpdateRequest(table, key, update, options),
                   [done = std::move(done)](data::v1::Response response) mutable {
                     done(WriteResultOf(response));
                   });
}

void Connection::RemoveAsync(absl::string_view table, const Item& key, const WriteOptions& options,
                             Callback<WriteResult> done) {
  router_->Execute(DeleteRequest(table, key, options),
                   [done = std::move(done)](data::v1::Response response) mutable {
                     done(WriteResultOf(response));
                   });
}

void Connection::QueryAsync(absl::string_view table, const QueryOptions& options,
                            Callback<QueryPage> done) {
  router_->Execute(QueryRequest(table, options),
                   [done = std::move(done)](data::v1::Response response) mutable {
                     done(QueryPageOf(response));
                   });
}

void Connection::ScanAsync(absl::string_view table, const QueryOptions& options,
                           Callback<QueryPage> done) {
  router_->Execute(ScanRequest(table, options),
                   [done = std::move(done)](data::v1::Response response) mutable {
                     done(QueryPageOf(response));
                   });
}

}  // namespace client

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ClientOptions options) {
  if (options.coordinators.empty()) {
    return MakeError(ErrorKind::kValidation, "name at least one coordinator, as host:port");
  }
  auto connection = std::make_unique<client::Connection>(
      client::RouterOptionsOf(options), NewGrpcNetwork({}), SystemThreads(), SystemClock(),
      Random(SystemEntropy()), options.cache);
  RETURN_IF_ERROR(connection->AwaitMap(options.connect_timeout));
  return std::unique_ptr<Client>(std::move(connection));
}

}  // namespace ringleader
