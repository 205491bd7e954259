#include "coordinator/data_door.h"

#include <utility>

#include "common/logging.h"

namespace ringleader::coordinator {
namespace {

using data::v1::Response;

constexpr uint32_t kThrottledRetryMs = 20;
constexpr uint32_t kNoMapRetryMs = 100;

client::RouterOptions RouterOptionsOf(const DataDoorOptions& options) {
  client::RouterOptions router;
  router.route = client::RouteMode::kDirect;
  router.attempt_timeout = options.attempt_timeout;
  router.passes_throttling = true;
  return router;
}

// What a caller of a coordinator is told. It does not route, so it can do nothing with a route or a
// schema that was wrong inside.
Response Outward(Response response) {
  response.clear_route_hint();
  if (response.error() == data::v1::ERROR_WRONG_ROUTE ||
      response.error() == data::v1::ERROR_WRONG_SCHEMA) {
    response.set_error(data::v1::ERROR_UNAVAILABLE);
  }
  if (response.error() == data::v1::ERROR_RESOURCE_EXHAUSTED && response.retry_after_ms() == 0) {
    response.set_retry_after_ms(kThrottledRetryMs);
  }
  return response;
}

Response NoMap(uint64_t id) {
  Response response;
  response.set_id(id);
  response.set_error(data::v1::ERROR_UNAVAILABLE);
  response.set_message("this coordinator does not know the cluster yet");
  response.set_retry_after_ms(kNoMapRetryMs);
  return response;
}

}  // namespace

DataDoor::DataDoor(const DataDoorOptions& options, Network& network, Threads& threads, Clock& clock,
                   Random random)
    : executor_(threads.Start("data-door")),
      router_(RouterOptionsOf(options), network, *executor_, clock, random.Fork()),
      admin_(router_, network, *executor_, random.Fork()),
      server_(clock, options.server,
              [this](std::vector<client::DataRequest> requests) { Take(std::move(requests)); }) {
  router_.AskForTablesBy(client::AskMetadataLeader(admin_));
  if (options.cache.bytes_max == 0) return;
  client::CacheLaneOptions lane;
  lane.fill_wait_max = options.fill_wait_max;
  cached_ = std::make_unique<client::CachedReads>(options.cache, router_, network, *executor_,
                                                  clock, random.Fork(), lane);
  executor_->Post([this] { cached_->Start(); });
}

// Nobody waits any more: the listener has ended every call.
DataDoor::~DataDoor() { executor_->Stop(); }

void DataDoor::ApplyMap(v1::MapUpdate update, std::function<void()> on_misfit) {
  executor_->Post([this, update = std::move(update), on_misfit = std::move(on_misfit)] {
    if (const auto applied = router_.ApplyMapNow(update); !applied.ok()) {
      LogError("the map of this coordinator: ", applied.status().ToString());
      if (!update.complete()) on_misfit();
    }
    has_map_ = router_.map().routable();
  });
}

void DataDoor::Leave(Task done) {
  executor_->Post([this, done = std::move(done)]() mutable {
    if (cached_ == nullptr) return done();
    cached_->Leave(std::move(done));
  });
}

CacheStatistics DataDoor::cache_statistics() const {
  return cached_ == nullptr ? CacheStatistics() : cached_->statistics();
}

void DataDoor::Take(std::vector<client::DataRequest> requests) {
  for (client::DataRequest& each : requests) {
    if (!has_map_) {
      each.respond(NoMap(each.request.id()));
      continue;
    }
    auto done = [respond = std::move(each.respond)](Response response) mutable {
      respond(Outward(std::move(response)));
    };
    if (cached_ != nullptr) {
      cached_->Execute(std::move(each.request), std::move(done));
    } else {
      router_.Execute(std::move(each.request), std::move(done));
    }
  }
}

}  // namespace ringleader::coordinator
