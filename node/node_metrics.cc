// What a node shows of itself: metrics, and what it lacks for serving.
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "node/node.h"
#include "replication/runtime_metrics.h"

namespace ringleader {
namespace {

// Coordinators say something every 5 s (coordinator/director.h, watch_keepalive).
constexpr Duration kCoordinatorsSilentMax = std::chrono::seconds(15);

using Refusal = LeaseGate::Refusal;
constexpr std::pair<Refusal, absl::string_view> kRefusalCauses[] = {
    {Refusal::kPending, "pending"},    {Refusal::kNoEra, "no_era"},
    {Refusal::kStale, "no_round"},     {Refusal::kRevoking, "handing_over"},
    {Refusal::kSessions, "sessions"},  {Refusal::kKeys, "keys"},
    {Refusal::kHolders, "holders"},    {Refusal::kOff, "off"},
    {Refusal::kLaneFull, "lane_full"},
};
static_assert(std::size(kRefusalCauses) + 1 == LeaseGate::kRefusals);

int64_t WholeSeconds(Duration duration) { return duration / std::chrono::seconds(1); }

void CollectAdmission(const Admission& admission, MetricSink& sink) {
  sink.Gauge("ringleader_admission_waiting_requests", "Requests admitted and not yet answered.",
             static_cast<double>(admission.requests()));
  sink.Gauge("ringleader_admission_waiting_bytes", "Bytes of those requests.",
             static_cast<double>(admission.bytes()));
  for (size_t i = 0; i < std::size(Admission::kRefusalNames); ++i) {
    sink.Counter("ringleader_admission_refused_total",
                 "Requests refused because too much waits (partition, node) or the log's disk "
                 "stalls or is full (disk).",
                 admission.refused(i), {{"reason", Admission::kRefusalNames[i]}});
  }
}

void CollectCache(const CacheSessions& sessions, MetricSink& sink) {
  const CacheMeters& meters = sessions.meters();
  sink.Gauge("ringleader_cache_sessions", "Clients that have a cache session with this node.",
             static_cast<double>(sessions.size()));
  const LeaseGate::Counts held = sessions.held();
  sink.Gauge("ringleader_cache_held_items", "Items that some client may serve from its memory.",
             static_cast<double>(held.keys));
  sink.Gauge("ringleader_cache_held_grants", "Of each such item, how many clients, in all.",
             static_cast<double>(held.holders));
  sink.Counter("ringleader_cache_sessions_refused_total",
               "Cache sessions refused because there were too many.", sessions.refused());
  sink.Counter("ringleader_cache_sessions_overflowed_total",
               "Cache sessions ended because their client did not read what it was sent.",
               sessions.overflowed());
  sink.Counter("ringleader_cache_sessions_silent_total",
               "Cache sessions ended because nothing was heard of their client for too long.",
               sessions.silent());
  const absl::string_view fills =
      "Reads by clients that cache and asked for a lease, answered with one or without, and why.";
  sink.Counter("ringleader_cache_fills_total", fills, meters.grants, {{"granted", "true"}});
  for (const auto& [refusal, cause] : kRefusalCauses) {
    sink.Counter("ringleader_cache_fills_total", fills,
                 meters.refusals[static_cast<size_t>(refusal)],
                 {{"granted", "false"}, {"cause", std::string(cause)}});
  }
  sink.Counter("ringleader_cache_renewals_total", "Leases renewed, one for all of a partition.",
               meters.renewals);
  sink.Counter("ringleader_cache_invalidations_total", "Items taken back from a client.",
               meters.invalidations);
  sink.Counter("ringleader_cache_releases_total",
               "Items that clients gave back because they had no room for them any more.",
               meters.releases);
  const absl::string_view stall =
      "How long writes waited until a client had given an item back or its lease was over "
      "(holder), or until all that an earlier leader may have leased was over (failover).";
  sink.Histogram("ringleader_cache_write_stall_seconds", stall, meters.stall_by_holder,
                 kNanoseconds, {{"cause", "holder"}});
  sink.Histogram("ringleader_cache_write_stall_seconds", stall, meters.stall_by_failover,
                 kNanoseconds, {{"cause", "failover"}});
}

}  // namespace

AdminHost Node::Admin() {
  return {.executor = executor_.get(),
          .collect = [this](MetricSink& sink) { Collect(sink); },
          .missing = [this] { return Missing(); },
          .executors =
              [this] {
                std::vector<std::pair<std::string, Executor*>> all = {{"node", executor_.get()}};
                if (runtime_ == nullptr) return all;
                for (auto& one : runtime_->Executors()) all.push_back(std::move(one));
                return all;
              }};
}

void Node::Collect(MetricSink& sink) const {
  const Instant now = seams_.clock.Now();
  sink.Gauge("ringleader_node_ready", "1 if the node serves: what /readyz answers.",
             Missing().empty());
  sink.Gauge("ringleader_node_registered", "1 if the node has its place in a cluster.",
             identity_.node != 0);
  sink.Gauge("ringleader_node_draining", "1 while the node hands its leaderships over to stop.",
             draining_);
  sink.Gauge("ringleader_node_coordinators_silent_seconds",
             "Time since a coordinator was heard, or since the start.",
             std::chrono::duration<double>(
                 HolderElapsed(ever_heard_ ? coordinators_heard_ : started_, now))
                 .count());
  sink.Gauge("ringleader_node_map_version", "Version of the cluster's map that the node has.",
             static_cast<double>(map_version_));
  sink.Gauge("ringleader_node_disk_free_bytes", "Free space where the node keeps its data.",
             static_cast<double>(free_bytes_));
  sink.Gauge("ringleader_node_disk_free_min_bytes", "Writes are refused with less space free.",
             static_cast<double>(options_.free_bytes_min));
  sink.Gauge("ringleader_node_disk_fit",
             "1 if the disk makes progress and has room; writes are refused otherwise.",
             admission_.disk_fit());
  CollectAdmission(admission_, sink);
  CollectCache(cache_sessions_, sink);
  storage_metrics_.Collect(sink);
  sink.Gauge("ringleader_storage_block_cache_bytes", "Memory in use by the cache of blocks.",
             static_cast<double>(block_cache_->TotalCharge()));
  sink.Gauge("ringleader_storage_block_cache_limit_bytes", "Most that the cache may use.",
             static_cast<double>(options_.block_cache_bytes));
  if (runtime_ == nullptr) return;
  data_->metrics().Collect(sink);
  scrub_->Collect(sink);
  replication::CollectRuntime(*runtime_, now, sink);
}

std::vector<std::string> Node::Missing() const {
  std::vector<std::string> missing;
  const std::string coordinators = absl::StrJoin(options_.agent.coordinators, ", ");
  if (agent_ != nullptr && !agent_->refused().empty()) {
    missing.push_back(
        absl::StrCat("The coordinators (", coordinators, ") refuse it: ", agent_->refused(), "."));
  }
  if (identity_.node == 0 || runtime_ == nullptr) {
    missing.push_back(absl::StrCat(
        "The node is in no cluster yet: no coordinator has registered it (", coordinators, ")."));
    return missing;
  }
  const Instant now = seams_.clock.Now();
  const Duration silent = HolderElapsed(ever_heard_ ? coordinators_heard_ : started_, now);
  if (!ever_heard_ || silent >= kCoordinatorsSilentMax) {
    missing.push_back(absl::StrCat("No coordinator has been heard for ", WholeSeconds(silent),
                                   " s (", coordinators,
                                   "): the node serves what it has and learns of no change."));
  }
  if (disk_stalled_) {
    missing.push_back(absl::StrCat("The log's disk has not answered for ",
                                   WholeSeconds(runtime_->log_progress().Stalled(now)),
                                   " s: writes are refused."));
  }
  if (disk_full_) {
    missing.push_back(
        absl::StrCat("The disk is full: ", SpaceText(), ". They are refused until there is room."));
  }
  if (draining_) missing.push_back("The node is being stopped: it hands its leaderships over.");
  return missing;
}

}  // namespace ringleader
