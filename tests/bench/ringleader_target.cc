#include <utility>

#include "common/status.h"
#include "ringleader/client.h"
#include "tests/bench/target.h"

namespace ringleader::bench {
namespace {

RoutePolicy PolicyOf(absl::string_view route) {
  if (route == "direct") return RoutePolicy::kDirect;
  return route == "coordinators" ? RoutePolicy::kCoordinators : RoutePolicy::kAuto;
}

// The public client library, as an application uses it.
class RingleaderTarget : public Target {
 public:
  RingleaderTarget(std::unique_ptr<Client> client, const TargetOptions& options)
      : client_(std::move(client)), table_(options.table) {
    if (options.eventual) read_.consistency = Consistency::kEventual;
    add_.values.Set(":one", AttributeValue::Number(*model::Decimal::Parse("1")));
  }

  void Start(const Operation& operation, Done done) override {
    Item item;
    item.Set("id", AttributeValue::String(std::string(operation.key)));
    switch (operation.kind) {
      case OperationKind::kPut:
        item.Set("value", AttributeValue::Binary(std::string(operation.value)));
        return client_->PutAsync(table_, item, {}, Written(std::move(done)));
      case OperationKind::kUpdate:
        return client_->UpdateAsync(table_, item, "ADD visits :one", add_,
                                    Written(std::move(done)));
      case OperationKind::kDelete:
        return client_->RemoveAsync(table_, item, {}, Written(std::move(done)));
      case OperationKind::kGet:
        return client_->GetAsync(
            table_, item, read_,
            [done = std::move(done)](absl::StatusOr<ReadResult> result) mutable {
              done(!result.ok()    ? result.status()
                   : result->found ? absl::OkStatus()
                                   : absl::NotFoundError("no such item"));
            });
    }
  }

  absl::Status Run(const Operation& operation) override {
    Item item;
    item.Set("id", AttributeValue::String(std::string(operation.key)));
    switch (operation.kind) {
      case OperationKind::kPut:
        item.Set("value", AttributeValue::Binary(std::string(operation.value)));
        return client_->Put(table_, item).status();
      case OperationKind::kUpdate:
        return client_->Update(table_, item, "ADD visits :one", add_).status();
      case OperationKind::kDelete:
        return client_->Remove(table_, item).status();
      case OperationKind::kGet:
        break;
    }
    const absl::StatusOr<ReadResult> read = client_->Get(table_, item, read_);
    if (!read.ok()) return read.status();
    return read->found ? absl::OkStatus() : absl::NotFoundError("no such item");
  }

  CacheCounts cache_counts() const override {
    const CacheStatistics now = client_->cache_statistics();
    return {now.hits,    now.misses,      now.joined,  now.expired, now.inserted,
            now.refused, now.invalidated, now.evicted, now.entries, now.bytes};
  }

 private:
  static Callback<WriteResult> Written(Done done) {
    return [done = std::move(done)](absl::StatusOr<WriteResult> result) mutable {
      done(result.status());
    };
  }

  const std::unique_ptr<Client> client_;
  const std::string table_;
  ReadOptions read_;
  WriteOptions add_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Target>> NewRingleaderTarget(const TargetOptions& options) {
  ASSIGN_OR_RETURN(auto client, Client::Connect({.coordinators = options.endpoints,
                                                 .route = PolicyOf(options.route),
                                                 .cache = {.bytes_max = options.cache_bytes}}));
  const auto known = client->DescribeTable(options.table);
  if (!known.ok()) {
    const KeySchema key{.partition = {"id", AttributeType::kString}};
    RETURN_IF_ERROR(client->CreateTable(options.table, key).status());
  }
  return std::make_unique<RingleaderTarget>(std::move(client), options);
}

}  // namespace ringleader::bench
