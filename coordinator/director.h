// What a coordinator does with the metadata: keeps the nodes' attendances, lets the balancer decide
// and carries it out while this coordinator leads, and tells watchers the map at all times.
//
//   node reports -> observations -> Balancer -> commands -> MetadataStore -> watchers
//                                            -> orders   -> nodes
//
// Ticks, not events, drive it: the work of a second is bounded whatever the nodes send. Orders that
// are the same as the last ones to a node are repeated only after order_repeat.
//
// Everything happens on the control executor.
#ifndef RINGLEADER_COORDINATOR_DIRECTOR_H_
#define RINGLEADER_COORDINATOR_DIRECTOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "common/metrics.h"
#include "common/network.h"
#include "coordinator/balancer.h"
#include "coordinator/lagging_coordinators.h"
#include "coordinator/metadata_store.h"
#include "coordinator/still_voters.h"

namespace ringleader::coordinator {

struct DirectorOptions {
  BalancerOptions balancer;
  Duration tick_period = std::chrono::milliseconds(100);
  Duration order_repeat = std::chrono::seconds(1);
  // A watcher hears at least this often, so that silence means a broken connection.
  Duration watch_keepalive = std::chrono::seconds(5);
  // A coordinator that has not followed the metadata for this long ends what watches it: another
  // may know more.
  Duration watch_stale_max = std::chrono::seconds(10);
  size_t watchers_max = 10000;
  size_t commands_per_tick_max = 256;
  std::vector<std::string> addresses;  // of the coordinators, for the map
};

class Director {
 public:
  // All outlive it.
  Director(const DirectorOptions& options, MetadataStore& store, Executor& control, Clock& clock);

  void Start();  // ticking
  void LeadershipChanged(bool leads);

  // --- Nodes. `attendance` names a stream; numbers are never reused.
  uint64_t NewAttendance() { return ++last_attendance_; }
  void Reported(uint64_t attendance, const std::shared_ptr<Call>& call, v1::NodeReport report);
  void AttendanceEnded(uint64_t attendance);
  // Addresses whose registration is under way: what is proposed for them is not applied yet.
  void BeginRegistration(const std::string& address) { registering_.insert(address); }
  void EndRegistration(const std::string& address) { registering_.erase(address); }
  bool IsRegistering(const std::string& address) const { return registering_.contains(address); }
  // A node has registered here: it is alive, though it has not reported yet.
  void Registered(uint64_t node);

  // --- Watchers.
  void Watch(uint64_t watcher, std::shared_ptr<Call> call, const v1::WatchRequest& request);
  void WatchEnded(uint64_t watcher) { watchers_.erase(watcher); }
  // Somebody in this process is told as a watcher is: the whole map once it is known, then what
  // changed. Before Start.
  void FollowMap(std::function<void(v1::MapUpdate)> follow) { follow_map_ = std::move(follow); }
  // The follower needs the whole map again.
  void FollowFromStart() { followed_version_ = 0; }

  // Asks a partition's leader to hand over, once. NOT_FOUND: no such partition or replica;
  // UNAVAILABLE: its leader is not known or not attending.
  absl::Status OrderTransfer(uint64_t partition, uint64_t to_node);

  // A coordinator, maybe this one, has answered; `missing`: why it does not serve, in words.
  void CoordinatorHeard(uint64_t number, const std::string& missing) {
    coordinators_heard_[number] = {clock_.Now(), missing};
  }
  v1::StatusResponse DescribeHealth() const;
  // Who listens and reports here; and while this coordinator leads, the cluster as it sees it.
  void Collect(MetricSink& sink) const;

  const Observations& observations() const { return observations_; }
  MetadataStore& store() { return store_; }
  const std::vector<std::string>& addresses() const { return options_.addresses; }
  // Where what only the leader does is to be asked; empty: unknown.
  std::string leader_address() const;

 private:
  struct Attendance {
    uint64_t number = 0;
    std::shared_ptr<Call> call;
    std::string last_orders;
    Instant last_sent;
  };
  struct Watcher {
    std::shared_ptr<Call> call;
    uint64_t sent_version = 0;
    bool greeted = false;
    Instant since;
    Instant last_sent;
  };
  struct CoordinatorSeen {
    Instant heard;
    std::string missing;
  };

  void Tick();
  void Decide();
  void SendOrders(std::map<uint64_t, v1::NodeOrders> orders, const Instant& now);
  void TellFollower();
  void EndStaleWatches(const Instant& now);
  void TellWatchers();
  v1::MapUpdate MapSince(uint64_t version) const;
  void KeepMembers();
  bool IsHeard(const CoordinatorSeen& seen, const Instant& now) const;
  void FindLagging(const Instant& now);

  const DirectorOptions options_;
  MetadataStore& store_;
  Executor& control_;
  Clock& clock_;
  Balancer balancer_;
  Observations observations_;
  StillVoters still_voters_;
  std::map<uint64_t, Attendance> attendances_;  // by node
  std::map<uint64_t, Watcher> watchers_;
  std::function<void(v1::MapUpdate)> follow_map_;
  uint64_t followed_version_ = 0;
  Instant followed_;  // when the metadata was last seen to be kept up
  std::map<uint64_t, CoordinatorSeen> coordinators_heard_;
  LaggingCoordinators lagging_;
  uint64_t last_attendance_ = 0;
  std::set<std::string> registering_;
  size_t commands_under_way_ = 0;
  uint64_t ticks_ = 0;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_DIRECTOR_H_
