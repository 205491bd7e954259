// A client process's whole machinery: the router with its map, channels and administration, on one
// executor. Client::Connect makes one over gRPC; ringctl and tests use it as it is.
//
// Threads: every method from any thread; callbacks on the executor.
#ifndef RINGLEADER_CLIENT_CONNECTION_H_
#define RINGLEADER_CLIENT_CONNECTION_H_

#include <memory>
#include <string>

#include "client/admin.h"
#include "client/await.h"
#include "client/cached_reads.h"
#include "client/map_watcher.h"
#include "client/router.h"
#include "ringleader/client.h"

namespace ringleader::client {

RouterOptions RouterOptionsOf(const ClientOptions& options);

class Connection : public Client {
 public:
  // Seams outlive the connection; the network is its own.
  Connection(const RouterOptions& options, std::unique_ptr<Network> network, Threads& threads,
             Clock& clock, Random random, const CacheOptions& cache = {});
  ~Connection() override;

  // Waits for the map. An error says what the coordinators answered.
  absl::Status AwaitMap(Duration timeout);
  // Until the map is as wanted. False: it was not within `timeout`.
  bool AwaitMapWhere(Duration timeout, absl::AnyInvocable<bool(const ClusterMap&)> is_wanted);

  void GetAsync(absl::string_view table, const Item& key, const ReadOptions& options,
                Callback<ReadResult> done) override;
  void PutAsync(absl::string_view table, const Item& item, const WriteOptions& options,
                Callback<WriteResult> done) override;
  void UpdateAsync(absl::string_view table, const Item& key, absl::string_view update,
                   const WriteOptions& options, Callback<WriteResult> done) override;
  void RemoveAsync(absl::string_view table, const Item& key, const WriteOptions& options,
                   Callback<WriteResult> done) override;
  void QueryAsync(absl::string_view table, const QueryOptions& options,
                  Callback<QueryPage> done) override;
  void ScanAsync(absl::string_view table, const QueryOptions& options,
                 Callback<QueryPage> done) override;
  absl::StatusOr<TableDescription> CreateTable(absl::string_view name,
                                               const KeySchema& key) override;
  absl::StatusOr<TableDescription> DescribeTable(absl::string_view name) override;
  absl::Status DeleteTable(absl::string_view name) override;
  absl::StatusOr<std::vector<std::string>> ListTables() override;
  CacheStatistics cache_statistics() const override;
  std::optional<ReadResult> GetFromMemory(absl::string_view table, const Item& key,
                                          const ReadOptions& options) override;
  // What is cached here, for observers in tests; null: nothing is kept.
  const ItemCache* memory() const { return cached_ == nullptr ? nullptr : &cached_->memory(); }

  // One call of the Cluster service, and its answer. Waits.
  template <typename Response>
  absl::StatusOr<Response> Administer(absl::string_view name,
                                      const google::protobuf::MessageLite& request);

  // One unary call of a node, by its address: bytes in, bytes out. Waits.
  absl::StatusOr<std::string> CallNode(const std::string& address, absl::string_view method,
                                       std::string request);

  // Runs `task` on the executor and waits until it has run.
  void RunAndWait(absl::AnyInvocable<void(Router&)> task);

 private:
  void CheckMayWait() const override;
  void CloseRouter(absl::AnyInvocable<void(bool)> done);

  std::unique_ptr<Network> network_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Executor> notices_;  // where on_invalidated runs; null: there is none
  std::unique_ptr<Router> router_;
  std::unique_ptr<Admin> admin_;
  std::shared_ptr<MapWatcher> watcher_;
  std::unique_ptr<CachedReads> cached_;  // null: nothing is kept
};

template <typename Response>
absl::StatusOr<Response> Connection::Administer(absl::string_view name,
                                                const google::protobuf::MessageLite& request) {
  CheckMayWait();
  Awaited<absl::StatusOr<Response>> awaited;
  executor_->Post(
      [&] { admin_->Call<Response>(name, request, router_->options().timeout, awaited.Done()); });
  return awaited.Wait();
}

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_CONNECTION_H_
