#include "coordinator/director.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "coordinator/health.h"
#include "coordinator/metadata_members.h"

namespace ringleader::coordinator {
namespace {

// A node hosts at most one replica of each partition; removed ones may still be reported.
constexpr int kReplicasReportedMax = 2 * static_cast<int>(kPartitionsMax);
// The members of the metadata group are looked at this often, in ticks.
constexpr uint64_t kMembersTicks = 5;
// So are the voters: do they get on?
constexpr uint64_t kStillTicks = 10;

}  // namespace

Director::Director(const DirectorOptions& options, MetadataStore& store, Executor& control,
                   Clock& clock)
    : options_(options),
      store_(store),
      control_(control),
      clock_(clock),
      balancer_(options.balancer),
      followed_(clock.Now()) {
  store_.OnLeadership([this](bool leads) { LeadershipChanged(leads); });
}

void Director::Start() {
  control_.PostAfter(options_.tick_period, [this] { Tick(); });
}

std::string Director::leader_address() const {
  const uint64_t leader = store_.leader();
  return leader == 0 || leader > options_.addresses.size() ? "" : options_.addresses[leader - 1];
}

void Director::LeadershipChanged(bool leads) {
  // What was reported to an earlier leadership is old: nodes attend anew.
  observations_.clear();
  still_voters_.Clear();
  lagging_.Clear();
  registering_.clear();
  for (auto& [node, attendance] : std::exchange(attendances_, {})) {
    attendance.call->Finish(absl::UnavailableError("the metadata's leadership has changed"));
  }
  commands_under_way_ = 0;
  if (leads) balancer_.Reset(clock_.Now());
}

void Director::Tick() {
  ++ticks_;
  if (store_.leads()) {
    Decide();
    if (ticks_ % kMembersTicks == 0) KeepMembers();
    if (ticks_ % kStillTicks == 0) {
      still_voters_.Update(store_.metadata(), observations_, clock_.Now());
      FindLagging(clock_.Now());
    }
  }
  TellFollower();
  TellWatchers();
  control_.PostAfter(options_.tick_period, [this] { Tick(); });
}

// --- Deciding -----------------------------------------------------------------------------------

void Director::Decide() {
  if (commands_under_way_ > 0) return;  // it would decide the same again
  const Instant now = clock_.Now();
  if (!store_.metadata().formed()) return;
  Decision decision = balancer_.Decide(store_.metadata(), observations_, now);
  size_t proposed = 0;
  for (v1::Command& command : decision.commands) {
    if (++proposed > options_.commands_per_tick_max) break;
    ++commands_under_way_;
    store_.Propose(std::move(command), [this](const CommandOutcome&) {
      // A refused one was decided on something older; the next tick decides anew.
      if (commands_under_way_ > 0) --commands_under_way_;
    });
  }
  SendOrders(std::move(decision.orders), now);
}

void Director::SendOrders(std::map<uint64_t, v1::NodeOrders> orders, const Instant& now) {
  for (auto& [node, order] : orders) {
    const auto found = attendances_.find(node);
    if (found == attendances_.end() || found->second.call->queued_bytes() > 0) continue;
    Attendance& attendance = found->second;
    std::string bytes = order.SerializeAsString();
    if (bytes == attendance.last_orders &&
        WaiterElapsed(attendance.last_sent, now) < options_.order_repeat) {
      continue;
    }
    attendance.last_orders = bytes;
    attendance.last_sent = now;
    attendance.call->Send(std::move(bytes));
  }
}

// Coordinators that lost their data get their vote back under a new replica id.
void Director::KeepMembers() {
  const auto replica = store_.replica();
  if (replica == nullptr) return;
  const replication::Configuration members = replica->view().configuration;
  const auto change = NextMembersChange(store_.metadata(), members);
  if (!change.has_value()) return;
  replica->ChangeMembers(
      change->voters, change->learners,
      [](const absl::StatusOr<replication::LogPosition>& begun) {
        if (begun.ok()) LogInfo("the coordinators' members change");
      },
      members.version);
}

bool Director::IsHeard(const CoordinatorSeen& seen, const Instant& now) const {
  return WaiterElapsed(seen.heard, now) < options_.balancer.alive_timeout;
}

// Of those that answer; one that does not is told as that.
void Director::FindLagging(const Instant& now) {
  const auto replica = store_.replica();
  if (replica == nullptr) return;
  const replication::ReplicaView view = replica->view();
  std::map<uint64_t, std::string> why;
  for (const replication::Member& voter : view.configuration.voters) {
    const auto& near = view.caught_up;
    if (std::find(near.begin(), near.end(), voter.replica) != near.end()) continue;
    why[voter.node] = "Its copy is behind the leader's, or does not answer.";
  }
  for (const auto& [number, seen] : coordinators_heard_) {
    if (!seen.missing.empty()) why[number] = seen.missing;
  }
  std::erase_if(why, [&](const auto& each) {
    const auto seen = coordinators_heard_.find(each.first);
    return seen == coordinators_heard_.end() || !IsHeard(seen->second, now);
  });
  lagging_.Update(why, now);
}

// --- Nodes --------------------------------------------------------------------------------------

void Director::Registered(uint64_t node) { observations_[node].heard = clock_.Now(); }

void Director::Reported(uint64_t number, const std::shared_ptr<Call>& call, v1::NodeReport report) {
  if (!store_.leads()) {
    call->Finish(absl::UnavailableError(
        absl::StrCat("not the metadata leader; it is at '", leader_address(), "'")));
    return;
  }
  if (report.replicas_size() > kReplicasReportedMax) {
    call->Finish(absl::InvalidArgumentError("a report of too many replicas"));
    return;
  }
  if (store_.metadata().FindNode(report.node()) == nullptr) {
    call->Finish(absl::NotFoundError(absl::StrCat("there is no node ", report.node())));
    return;
  }
  Attendance& attendance = attendances_[report.node()];
  if (attendance.number > number) {
    call->Finish(absl::AbortedError("this node attends by a newer stream"));
    return;
  }
  NodeSeen& seen = observations_[report.node()];
  if (attendance.number != number) {
    if (attendance.call != nullptr) {
      attendance.call->Finish(absl::AbortedError("this node attends by a newer stream"));
    }
    attendance = {.number = number, .call = call};
    seen = {};
  }
  seen.heard = clock_.Now();
  seen.draining = report.draining();
  seen.disk_stalled = report.disk_stalled();
  seen.disk_full = report.disk_full();
  seen.free_bytes = report.free_bytes();
  if (report.complete()) {
    seen.complete = true;
    seen.replicas.clear();
  }
  for (v1::ReplicaReport& replica : *report.mutable_replicas()) {
    seen.replicas[replica.partition()].Swap(&replica);
  }
}

void Director::AttendanceEnded(uint64_t number) {
  for (auto found = attendances_.begin(); found != attendances_.end(); ++found) {
    if (found->second.number != number) continue;
    attendances_.erase(found);
    return;
  }
}

absl::Status Director::OrderTransfer(uint64_t partition, uint64_t to_node) {
  if (!store_.metadata().partitions().contains(partition)) {
    return absl::NotFoundError(absl::StrCat("there is no partition ", partition));
  }
  uint64_t leader = 0;
  const v1::ReplicaReport* report =
      Balancer::LeaderReport(store_.metadata(), observations_, partition, &leader);
  const auto attendance = attendances_.find(leader);
  if (report == nullptr || attendance == attendances_.end()) {
    return absl::UnavailableError("the partition's leader is not known");
  }
  for (const v1::Replica& member : report->members()) {
    if (!member.voter() || member.node() != to_node) continue;
    v1::NodeOrders orders;
    v1::TransferLeadership& order = *orders.add_transfer();
    order.set_partition(partition);
    order.set_to_replica(member.id());
    if (attendance->second.call->Send(orders.SerializeAsString())) return absl::OkStatus();
    return absl::UnavailableError("the leader's node does not take orders at this moment");
  }
  return absl::NotFoundError(absl::StrCat("no voter on node ", to_node));
}

v1::StatusResponse Director::DescribeHealth() const {
  const Instant now = clock_.Now();
  std::set<uint64_t> coordinators_alive = {store_.leader()};
  for (const auto& [number, seen] : coordinators_heard_) {
    if (IsHeard(seen, now)) coordinators_alive.insert(number);
  }
  v1::StatusResponse health = coordinator::DescribeHealth(
      store_.metadata(), observations_, options_.addresses, store_.leader(), coordinators_alive);
  for (std::string& alarm : lagging_.Alarms(now)) health.add_alarms(std::move(alarm));
  for (std::string& alarm : still_voters_.Alarms(now)) health.add_alarms(std::move(alarm));
  return health;
}

// --- Watchers -----------------------------------------------------------------------------------

void Director::Watch(uint64_t watcher, std::shared_ptr<Call> call,
                     const v1::WatchRequest& request) {
  const Metadata& metadata = store_.metadata();
  if (!metadata.formed()) {
    call->Finish(absl::UnavailableError("this coordinator does not know the cluster yet"));
    return;
  }
  if (request.formation() != 0 && request.formation() != metadata.plan().formation()) {
    call->Finish(absl::FailedPreconditionError("this is another cluster"));
    return;
  }
  if (watchers_.size() >= options_.watchers_max) {
    call->Finish(absl::ResourceExhaustedError("as many watchers as this coordinator takes"));
    return;
  }
  const Instant now = clock_.Now();
  watchers_[watcher] = {.call = std::move(call),
                        .sent_version = request.have_version(),
                        .since = now,
                        .last_sent = now};
}

v1::MapUpdate Director::MapSince(uint64_t version) const {
  v1::MapUpdate update = store_.metadata().MapSince(version);
  for (const std::string& address : options_.addresses) update.add_coordinators(address);
  return update;
}

void Director::TellFollower() {
  const Metadata& metadata = store_.metadata();
  if (!follow_map_ || !metadata.formed() || metadata.version() <= followed_version_) return;
  follow_map_(MapSince(followed_version_));
  followed_version_ = metadata.version();
}

// What this coordinator knows may be old, and its keepalives would hide that for ever. Whoever
// comes anew gets what there is, as it may be all that anybody has, and looks elsewhere after a
// while too.
void Director::EndStaleWatches(const Instant& now) {
  if (store_.follows()) followed_ = now;
  if (WaiterElapsed(followed_, now) < options_.watch_stale_max) return;
  std::erase_if(watchers_, [&](const auto& each) {
    if (WaiterElapsed(each.second.since, now) < options_.watch_stale_max) return false;
    each.second.call->Finish(
        absl::UnavailableError("this coordinator does not follow the metadata any more"));
    return true;
  });
}

// Watchers that are equally far share one update.
void Director::TellWatchers() {
  const Instant now = clock_.Now();
  EndStaleWatches(now);
  if (watchers_.empty()) return;
  const Metadata& metadata = store_.metadata();
  std::map<uint64_t, std::string> updates;  // by the version that it starts from
  for (auto& [number, watcher] : watchers_) {
    const bool due = WaiterElapsed(watcher.last_sent, now) >= options_.watch_keepalive;
    if (watcher.greeted && watcher.sent_version == metadata.version() && !due) continue;
    // One that reads slowly gets everything in between at once, later. One that knows more than
    // this coordinator has seen waits for it to follow.
    if (watcher.call->queued_bytes() > 0 || watcher.sent_version > metadata.version()) continue;
    std::string& bytes = updates[watcher.sent_version];
    if (bytes.empty()) bytes = MapSince(watcher.sent_version).SerializeAsString();
    if (!watcher.call->Send(bytes)) continue;
    watcher.sent_version = metadata.version();
    watcher.greeted = true;
    watcher.last_sent = now;
  }
}

}  // namespace ringleader::coordinator
