// Keeps a router's map new: one Cluster.Watch stream to a coordinator, another coordinator when it
// breaks or is refused. Changes are asked for from the version that is held; a change that does not
// fit makes it ask for the whole map. All on the router's executor; owned by a shared_ptr.
#ifndef RINGLEADER_CLIENT_MAP_WATCHER_H_
#define RINGLEADER_CLIENT_MAP_WATCHER_H_

#include <memory>
#include <string>

#include "client/router.h"
#include "common/executor.h"
#include "common/network.h"
#include "common/random.h"

namespace ringleader::client {

class MapWatcher : public std::enable_shared_from_this<MapWatcher> {
 public:
  static constexpr Duration kRetryMin = std::chrono::milliseconds(50);
  static constexpr Duration kRetryMax = std::chrono::seconds(2);

  // `router` outlives this; `executor` is its own.
  MapWatcher(Router& router, Network& network, Executor& executor, Random random)
      : router_(router), network_(network), executor_(executor), random_(random) {}
  ~MapWatcher();

  // Once. On the executor.
  void Start();
  void Stop();

  // Why there is no map yet, for people; empty: nothing is wrong.
  const std::string& trouble() const { return trouble_; }

 private:
  class Handler;

  void Open();
  void Update(uint64_t stream, const coordinator::v1::MapUpdate& update);
  void Ended(uint64_t stream, const absl::Status& status);

  Router& router_;
  Network& network_;
  Executor& executor_;
  Random random_;
  std::shared_ptr<Call> call_;
  uint64_t stream_ = 0;
  size_t coordinator_ = 0;
  std::string address_;
  int failures_ = 0;  // streams in a row without an update
  bool wants_complete_ = false;
  bool is_stopped_ = false;
  std::string trouble_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_MAP_WATCHER_H_
