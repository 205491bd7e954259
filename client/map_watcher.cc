#include "client/map_watcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace ringleader::client {

class MapWatcher::Handler : public CallHandler {
 public:
  Handler(std::weak_ptr<MapWatcher> watcher, Executor& executor, uint64_t stream)
      : watcher_(std::move(watcher)), executor_(executor), stream_(stream) {}

  void OnMessage(std::string message) override {
    coordinator::v1::MapUpdate update;
    if (!update.ParseFromString(message))
      return;  // the next one will not fit: a whole map is asked
    executor_.Post([weak = watcher_, stream = stream_, update = std::move(update)] {
      if (const auto watcher = weak.lock(); watcher != nullptr) watcher->Update(stream, update);
    });
  }

  void OnEnd(const absl::Status& status) override {
    executor_.Post([weak = watcher_, stream = stream_, status] {
      if (const auto watcher = weak.lock(); watcher != nullptr) watcher->Ended(stream, status);
    });
  }

 private:
  const std::weak_ptr<MapWatcher> watcher_;
  Executor& executor_;
  const uint64_t stream_;
};

MapWatcher::~MapWatcher() { Stop(); }

void MapWatcher::Start() { Open(); }

void MapWatcher::Stop() {
  is_stopped_ = true;
  ++stream_;
  if (call_ != nullptr) call_->Finish(absl::CancelledError("the client is closing"));
  call_ = nullptr;
}

void MapWatcher::Open() {
  if (is_stopped_) return;
  const auto& named = router_.options().coordinators;
  const auto& known = router_.map().coordinators();
  CHECK(!named.empty()) << "a watcher without coordinators";
  const size_t which = coordinator_ % (named.size() + known.size());
  address_ = which < named.size() ? named[which] : known[which - named.size()];
  coordinator::v1::WatchRequest request;
  request.set_formation(router_.map().formation());
  request.set_have_version(wants_complete_ ? 0 : router_.map().version());
  ++stream_;
  CallOptions options;
  options.connection = "map";
  call_ = network_.Start(address_, "/ringleader.coordinator.v1.Cluster/Watch", options,
                         std::make_unique<Handler>(weak_from_this(), executor_, stream_));
  call_->Send(request.SerializeAsString());
  call_->Finish(absl::OkStatus());
}

void MapWatcher::Update(uint64_t stream, const coordinator::v1::MapUpdate& update) {
  if (stream != stream_) return;
  const auto applied = router_.ApplyMapNow(update);
  if (applied.ok()) {
    failures_ = 0;
    wants_complete_ = false;
    trouble_.clear();
    return;
  }
  wants_complete_ = !update.complete();
  call_->Finish(absl::CancelledError("the map does not fit"));
  Ended(stream, applied.status());
}

void MapWatcher::Ended(uint64_t stream, const absl::Status& status) {
  if (stream != stream_) return;
  ++stream_;
  call_ = nullptr;
  trouble_ = absl::StrCat("coordinator ", address_, ": ", status.ToString());
  ++coordinator_;
  Duration ceiling = kRetryMin * (1 << std::min(failures_, 10));
  ceiling = std::min(ceiling, kRetryMax);
  ++failures_;
  const auto delay = Duration(random_.Between(ceiling.count() / 2, ceiling.count()));
  executor_.PostAfter(delay, [weak = weak_from_this()] {
    if (const auto watcher = weak.lock(); watcher != nullptr) watcher->Open();
  });
}

}  // namespace ringleader::client
