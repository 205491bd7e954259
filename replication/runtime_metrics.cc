#include "replication/runtime_metrics.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace ringleader::replication {
namespace {

constexpr const char* kLaneNames[kLanes] = {"control", "append", "snapshot"};

double Number(uint64_t value) { return static_cast<double>(value); }

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

void CollectReplicas(const Runtime& runtime, MetricSink& sink) {
  std::array<uint64_t, 3> roles{};  // follower, candidate, leader
  Index commit_lag = 0, apply_lag = 0;
  Term term = 0;
  uint64_t rebuilding = 0, learners = 0, without_leader = 0;
  for (const auto& replica : runtime.Replicas()) {
    const ReplicaView view = replica->view();
    ++roles[view.role == Role::kFollower ? 0 : view.role == Role::kLeader ? 2 : 1];
    // Only a leader knows what is to be committed.
    if (view.role == Role::kLeader) commit_lag = std::max(commit_lag, view.last - view.commit);
    apply_lag = std::max(apply_lag, view.commit - std::min(view.commit, view.applied));
    term = std::max(term, view.term);
    rebuilding += view.rebuilding;
    without_leader += view.leader.replica == 0;
    for (const Member& learner : view.configuration.learners) {
      learners += learner.replica == replica->id();
    }
  }
  const char* const names[] = {"follower", "candidate", "leader"};
  for (size_t i = 0; i < roles.size(); ++i) {
    sink.Gauge("ringleader_raft_replicas", "Replicas open on this process, by role.",
               Number(roles[i]), {{"role", names[i]}});
  }
  sink.Gauge("ringleader_raft_replicas_learning",
             "Replicas that do not vote: on their way here, or away.", Number(learners));
  sink.Gauge("ringleader_raft_replicas_without_leader",
             "Replicas that know of no leader at this moment.", Number(without_leader));
  sink.Gauge("ringleader_raft_replicas_rebuilding",
             "Replicas that lost their state and wait for a snapshot of it.", Number(rebuilding));
  sink.Gauge("ringleader_raft_replicas_damaged",
             "Replicas that are not open because of an error; the process's log names it.",
             Number(runtime.damaged().size()));
  sink.Gauge("ringleader_raft_commit_lag_entries_max",
             "Entries that a leader here has and that are not committed, of the worst partition.",
             Number(commit_lag));
  sink.Gauge("ringleader_raft_apply_lag_entries_max",
             "Entries committed and not applied, of the worst partition.", Number(apply_lag));
  sink.Gauge("ringleader_raft_term_max", "The highest term of any replica here.", Number(term));
}

void CollectCounters(const ReplicationCounters& counters, MetricSink& sink) {
  sink.Counter("ringleader_raft_elections_started_total", "Elections that replicas here began.",
               counters.elections_started);
  sink.Counter("ringleader_raft_elections_won_total", "Elections that replicas here won.",
               counters.elections_won);
  sink.Counter("ringleader_raft_leaderships_lost_total",
               "Leaderships that ended, transfers included.", counters.leaderships_lost);
  sink.Counter("ringleader_raft_proposals_total", "Payloads that got a place in a leader's log.",
               counters.proposals);
  sink.Counter("ringleader_raft_proposals_refused_total",
               "Proposals refused: not the leader any more, or too much in flight.",
               counters.proposals_refused);
  sink.Counter("ringleader_raft_replicas_failed_total", "Replicas stopped because of an error.",
               counters.replicas_failed);
  sink.Counter("ringleader_raft_replicas_rebuilt_total",
               "Replicas whose state was given up, to be fetched from their peers.",
               counters.replicas_rebuilt);
  sink.Counter("ringleader_raft_promises_withheld_total",
               "Heartbeats answered without a promise, as the disk took too long to note it.",
               counters.promises_withheld);
  const char* const snapshots = "ringleader_snapshots_total";
  const char* const help = "Snapshots that ended, by direction and result.";
  sink.Counter(snapshots, help, counters.snapshots_sent, {{"direction", "sent"}, {"result", "ok"}});
  sink.Counter(snapshots, help, counters.snapshots_not_sent,
               {{"direction", "sent"}, {"result", "failed"}});
  sink.Counter(snapshots, help, counters.snapshots_received,
               {{"direction", "received"}, {"result", "ok"}});
  sink.Counter(snapshots, help, counters.snapshots_not_received,
               {{"direction", "received"}, {"result", "failed"}});
  sink.Counter("ringleader_snapshot_bytes_total", "Bytes of snapshots' files, by direction.",
               counters.snapshot_bytes_sent, {{"direction", "sent"}});
  sink.Counter("ringleader_snapshot_bytes_total", "", counters.snapshot_bytes_received,
               {{"direction", "received"}});
  sink.Gauge("ringleader_snapshots_under_way", "Snapshots being moved now, by direction.",
             static_cast<double>(counters.snapshots_sending), {{"direction", "sent"}});
  sink.Gauge("ringleader_snapshots_under_way", "",
             static_cast<double>(counters.snapshots_receiving), {{"direction", "received"}});
}

void CollectLogWriter(const Runtime& runtime, const Instant& now, MetricSink& sink) {
  const LogProgress progress = runtime.log_progress();
  const LogWriterMeters& meters = runtime.log_meters();
  sink.Histogram("ringleader_log_sync_duration_seconds",
                 "Time to write one batch of the log and to sync it.", meters.write_time,
                 kNanoseconds);
  sink.Histogram("ringleader_log_batch_entries", "Entries in one synced batch.",
                 meters.batch_entries);
  sink.Histogram("ringleader_log_batch_bytes", "Payload bytes in one synced batch.",
                 meters.batch_bytes);
  sink.Gauge("ringleader_log_stalled_seconds",
             "For how long the log's disk has owed an answer; 0 while it owes none.",
             Seconds(progress.Stalled(now)));
  sink.Gauge("ringleader_log_out_of_space", "1 while the log's disk is full.",
             progress.out_of_space);
}

void CollectLog(const Runtime& runtime, MetricSink& sink) {
  const LogStatistics log = runtime.log().statistics();
  const LogReport& report = runtime.log().report();
  sink.Gauge("ringleader_log_size_bytes", "Length of the log's files.", Number(log.bytes));
  sink.Gauge("ringleader_log_live_bytes", "Payload bytes of entries that are still needed.",
             Number(log.live_bytes));
  sink.Gauge("ringleader_log_live_entries", "Entries that are still needed.",
             Number(log.live_entries));
  sink.Gauge("ringleader_log_segments", "Files of the log.", Number(log.segments));
  sink.Counter("ringleader_log_syncs_total", "Syncs of the log.", Number(log.syncs));
  sink.Counter("ringleader_log_entries_total", "Entries written to the log.", Number(log.entries));
  sink.Counter("ringleader_log_payload_bytes_total", "Payload bytes written to the log.",
               Number(log.payload_bytes));
  sink.Counter("ringleader_log_written_bytes_total", "Bytes that the log wrote to its disk.",
               Number(log.written_bytes));
  sink.Counter("ringleader_log_zeroed_bytes_total",
               "Zeros that the log wrote ahead of its batches, so that their syncs are short.",
               Number(log.zeroed_bytes));
  sink.Counter("ringleader_log_reclaimed_bytes_total",
               "Payload bytes copied forward to free old files.", Number(log.reclaimed_bytes));
  sink.Counter("ringleader_log_segments_removed_total", "Files of the log that were freed.",
               Number(log.segments_removed));
  sink.Counter("ringleader_log_read_errors_total",
               "Entries that failed their checksum or could not be read.", Number(log.read_errors));
  sink.Counter("ringleader_log_out_of_space_total", "Batches that found the disk full.",
               Number(log.out_of_space));
  const char* const recovered = "ringleader_log_recovered_entries";
  const char* const help = "Entries that were damaged when the process opened its log, by kind.";
  sink.Gauge(recovered, help, Number(report.corrupt_entries), {{"kind", "corrupt"}});
  sink.Gauge(recovered, help, Number(report.entries_in_doubt), {{"kind", "in_doubt"}});
  sink.Gauge("ringleader_log_lost_history",
             "1 if blocks of this log were lost that named what happened: wipe the node.",
             report.lost_history);
}

void CollectTransport(const TransportStatistics& transport, MetricSink& sink) {
  for (size_t i = 0; i < kLanes; ++i) {
    const TransportStatistics::PerLane& lane = transport.lanes[i];
    const MetricLabels labels = {{"lane", kLaneNames[i]}};
    sink.Counter("ringleader_transport_messages_sent_total", "Messages sent to peers, by lane.",
                 Number(lane.messages_sent), labels);
    sink.Counter("ringleader_transport_messages_received_total",
                 "Messages received from peers, by lane.", Number(lane.messages_received), labels);
    sink.Counter("ringleader_transport_messages_dropped_total",
                 "Messages dropped: full queue, or no connection. Raft sends again.",
                 Number(lane.messages_dropped), labels);
    sink.Counter("ringleader_transport_frames_sent_total", "Frames sent to peers, by lane.",
                 Number(lane.frames_sent), labels);
    sink.Counter("ringleader_transport_bytes_sent_total", "Bytes sent to peers, by lane.",
                 Number(lane.bytes_sent), labels);
    sink.Counter("ringleader_transport_bytes_received_total", "Bytes received from peers, by lane.",
                 Number(lane.bytes_received), labels);
    sink.Counter("ringleader_transport_breaks_total",
                 "Connections to peers that broke or could not be made, by lane.",
                 Number(lane.breaks), labels);
    sink.Gauge("ringleader_transport_connected_peers",
               "Peers that this process has a lane to now, by lane.", Number(lane.connected),
               labels);
  }
}

}  // namespace

void CollectRuntime(const Runtime& runtime, const Instant& now, MetricSink& sink) {
  CollectReplicas(runtime, sink);
  CollectCounters(runtime.counters(), sink);
  CollectLogWriter(runtime, now, sink);
  CollectLog(runtime, sink);
  CollectTransport(runtime.transport_statistics(), sink);
}

}  // namespace ringleader::replication
