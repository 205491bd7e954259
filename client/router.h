// Takes requests to where they can be carried out, and again until they are or their time is over:
// the client library's core, and the coordinators' way to the nodes for their own doors.
//
// For coordinators (an internal entry point, not installed): Execute takes any request of
// data.proto as it came from a caller. A WriteSession in it is the originator's and passes through
// unchanged; a write without one gets one of the router's. A Scan without a route goes over all
// partitions; one of a single partition, as of an epoch, is refused with UNAVAILABLE once that is
// past, as its range may have changed. The map may be fed by ApplyMap instead of, or besides, a
// MapWatcher.
//
// Outcomes (README "Retries"): the response's error is final. ERROR_UNKNOWN_OUTCOME: the write may
// have been carried out, once at most. Every other error: it was not.
//
// Invariants:
//   1. Every request gets exactly one callback, by its deadline or at Shutdown at the latest.
//   2. All attempts of a write carry one session and sequence, which stays open until the last.
//   3. A write that was sent and not answered definitely never ends with an error that says "not
//      carried out".
//   4. Requests and bytes inside are bounded.
//
// Threads: Execute and ApplyMap from any thread; everything else, and every callback, on the
// executor. A callback must not block. The executor is stopped before the router is destroyed and
// outlives it.
#ifndef RINGLEADER_CLIENT_ROUTER_H_
#define RINGLEADER_CLIENT_ROUTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "client/channel.h"
#include "client/map.h"
#include "client/retry.h"
#include "client/write_sessions.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "common/network.h"
#include "common/random.h"

namespace ringleader::client {

enum class RouteMode {
  kAuto,          // to leaders; through a coordinator where a node can't be reached
  kDirect,        // to nodes only
  kCoordinators,  // to coordinators only: nodes are on a private network
};

struct RouterOptions {
  std::vector<std::string> coordinators;  // host:port; may be empty with kDirect
  RouteMode route = RouteMode::kAuto;
  Duration timeout = std::chrono::seconds(10);  // of a request that names none
  Duration timeout_max = std::chrono::seconds(60);
  Duration attempt_timeout = std::chrono::seconds(3);
  // How long a table that the map does not have may be one that it does not have yet.
  Duration unknown_table_wait = std::chrono::milliseconds(300);
  // The metadata leader is asked whether it is, where it can be (AskForTablesBy).
  Duration table_question_timeout = std::chrono::seconds(2);
  size_t table_questions_max = 16;  // at a time
  // A node that could not be reached is left alone for this, doubling.
  Duration unreachable_min = std::chrono::seconds(1);
  Duration unreachable_max = std::chrono::seconds(60);
  // Whether RESOURCE_EXHAUSTED is the caller's to wait out: coordinators hold nothing back for
  // callers who can.
  bool passes_throttling = false;
  size_t requests_max = 65536;
  uint64_t bytes_max = 256 << 20;
  ChannelOptions channel;
  RetryOptions retry;
};

using ResponseCallback = absl::AnyInvocable<void(data::v1::Response)>;

// Asks the metadata leader what is to be said of a table: ERROR_NONE, it can be used;
// TABLE_NOT_FOUND or TABLE_IN_USE. A status: nobody could say.
using TableAnswer = absl::AnyInvocable<void(absl::StatusOr<data::v1::Error>)>;
using TableQuestion =
    absl::AnyInvocable<void(const std::string& name, Duration timeout, TableAnswer answer)>;

// One partition's part of a scan over all of them.
struct ScanStep {
  // In: the first and last token to read; a start key in the request replaces the first, which says
  // the partition. Out, with the answer: the last token of that partition, and the table's id.
  model::Token from = 0;
  model::Token last = UINT64_MAX;
  model::TableId table = 0;
};

class Router {
 public:
  struct Counts {
    uint64_t attempts = 0;
    uint64_t retries = 0;
    uint64_t refused = 0;  // over a bound
  };

  Router(const RouterOptions& options, Network& network, Executor& executor, Clock& clock,
         Random random);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // By whom a table that the map does not have, or not as one that can be used, is asked for: a map
  // may be old, and what was created since exists. Without, the map decides. Before Execute.
  void AskForTablesBy(TableQuestion question) { table_question_ = std::move(question); }

  // Carries the request out within its timeout_ms. `id` is not looked at and comes back.
  void Execute(data::v1::Request request, ResponseCallback done);

  // A newer map, from wherever it came. Wakes who waited for one.
  void ApplyMap(coordinator::v1::MapUpdate update);

  // ---- On the executor ----

  const ClusterMap& map() const { return map_; }
  // As ApplyMap, at once; the map's own answer.
  absl::StatusOr<bool> ApplyMapNow(const coordinator::v1::MapUpdate& update);
  // Runs `task` when the map changed, or after `timeout`.
  void WhenMapChanges(Duration timeout, Task task);
  // A Scan of the partition that `step` says; `step` is filled in when `done` runs.
  void ExecuteStep(data::v1::Request request, std::shared_ptr<ScanStep> step,
                   ResponseCallback done);
  // Ends every request: unknown outcome for what was sent and not answered, unavailable otherwise.
  // Later ones are refused.
  void Shutdown();

  // A node that could not be reached is asked for nothing for a while.
  bool IsLeftAlone(const std::string& address) const;

  const RouterOptions& options() const { return options_; }
  const Counts& counts() const { return counts_; }
  size_t outstanding() const { return operations_.size(); }
  Duration Now() const { return clock_.Now().raw; }

 private:
  struct Target {
    std::string address;
    bool is_coordinator = false;
    Leader leader;  // whom it was taken for
  };
  struct Operation;
  struct Destination {
    std::shared_ptr<Channel> channel;
    Duration left_alone_until{0};
    Duration left_alone_for{0};
  };
  struct MapWaiter {
    Task task;
    TimerId timer = 0;
  };

  // router.cc: the life of a request.
  void TakeIncoming();
  void Begin(data::v1::Request request, std::shared_ptr<ScanStep> step, ResponseCallback done);
  void Release(uint64_t bytes);
  void Finish(Operation& operation, data::v1::Response response);
  void FinishWith(Operation& operation, data::v1::Error error, absl::string_view message);
  void GiveUp(Operation& operation, absl::string_view why);
  void RetryAfter(Operation& operation, Duration delay, bool also_when_map_changes);
  // Attempts what waits for news of the map and is concerned by those that came.
  void Wake(absl::FunctionRef<bool(const Operation&)> concerns);
  void SetExpiry(Operation& operation, Duration at);
  void ArmExpiry();
  void Expire();
  Operation* Find(uint64_t number);

  // router_attempt.cc: one attempt and what follows from its answer.
  void Attempt(Operation& operation);
  bool Resolve(Operation& operation);
  bool ResolveTable(Operation& operation);
  void TableIsGone(Operation& operation, data::v1::Response response);
  void TableUnusable(Operation& operation, data::v1::Error error, absl::string_view name);
  void AskForTable(const std::string& name);
  bool PrepareWrite(Operation& operation);
  std::optional<Target> PickTarget(Operation& operation);
  std::string PickReplica(const coordinator::v1::Partition& partition, size_t which) const;
  std::string PickCoordinator() const;
  void Send(Operation& operation);
  void Completed(uint64_t number, int attempt, Completion completion);
  void Answered(Operation& operation, data::v1::Response response);
  void NoAnswer(Operation& operation, bool may_have_arrived, absl::string_view why);
  void WrongRoute(Operation& operation, const data::v1::Response& response);
  void SessionExpired(Operation& operation, data::v1::Response response);
  void RetryElsewhere(Operation& operation, uint32_t retry_after_ms);
  void RetryLater(Operation& operation, uint32_t retry_after_ms);
  void WaitForMap(Operation& operation, absl::string_view why);
  Destination& DestinationOf(const std::string& address);
  void NoteReachability(const std::string& address, bool is_reachable);

  const RouterOptions options_;
  Network& network_;
  Executor& executor_;
  Clock& clock_;
  Random random_;
  RetryPolicy retry_;
  WriteSessions sessions_;

  Mutex mutex_;
  std::vector<std::pair<data::v1::Request, ResponseCallback>> incoming_ ABSL_GUARDED_BY(mutex_);
  size_t accepted_ ABSL_GUARDED_BY(mutex_) = 0;          // incoming and in operations_
  uint64_t accepted_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of their requests as they came

  TableQuestion table_question_;
  // By name: since when the metadata leader is being asked, for all that began before.
  std::map<std::string, Duration> tables_asked_for_;

  ClusterMap map_;
  std::vector<std::pair<uint64_t, MapWaiter>> map_waiters_;
  uint64_t last_map_waiter_ = 0;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Operation>> operations_;
  uint64_t last_operation_ = 0;
  std::set<std::pair<Duration, uint64_t>> expiries_;  // when to look at which operation
  TimerId expiry_timer_ = 0;
  Duration expiry_armed_for_{0};
  std::map<std::string, Destination> destinations_;  // ordered: that is how their calls are ended
  size_t coordinator_ = 0;                           // which of them is in use
  bool is_shut_down_ = false;
  Counts counts_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_ROUTER_H_
