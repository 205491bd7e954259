// All replicas of one process: the shared log, the lanes to the other nodes, the executors, and the
// life of groups on this node. A storage node has one, and so has a coordinator.
//
//   data directory
//     log/                         the shared log
//     groups/<group>.<replica>/    one directory a generation of state
//     promise-length               promise_length.h
//     outgoing/                    emptied at every start, before anything is said
//       promised-until             promise_record.h
//       <number>/                  snapshots on their way to others
//
// Executors: `workers` carry cores (a group stays on one), `appliers` state machines, `files` reads
// of old log entries and snapshot data, `promises` the record of them, the log writer has its own;
// while the process starts, `openers` open the replicas that are there.
// Nothing on a worker waits for a disk.
//
// How a replica comes to this node: by CreateGroup, a voter of a new group, with a plan that is
// durable before the replica does anything and can't be used twice; or because a leader talks to a
// replica that is unknown here, which makes a learner without state that can only wait for a
// snapshot. A tombstone in the log keeps a destroyed replica from coming back either way (DESIGN
// section 11, rules 11 and 15).
//
// Thread-safe, but for Open and the destructor.
#ifndef RINGLEADER_REPLICATION_RUNTIME_H_
#define RINGLEADER_REPLICATION_RUNTIME_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/file_system.h"
#include "common/mutex.h"
#include "common/network.h"
#include "common/random.h"
#include "replication/log.h"
#include "replication/log_writer.h"
#include "replication/promise_record.h"
#include "replication/replica.h"
#include "replication/replica_options.h"
#include "replication/snapshot_receiver.h"
#include "replication/snapshot_sender.h"
#include "replication/transport.h"

namespace ringleader::replication {

struct RuntimeOptions {
  uint64_t cluster = 0;
  NodeId node = 0;
  std::string directory;  // exists or is made; its log belongs to this cluster and node
  // Since when no other process has run on the directory: restarted voters keep silent from then on
  // at the latest (core.md). None: from when they are opened.
  std::optional<Instant> alone_since;
  int workers = 1;
  int appliers = 1;
  // So many replicas are opened at a time when the process starts: nearly all of an opening is
  // waiting for syncs.
  int openers = 1;
  // More replicas than this are not made for leaders that ask.
  size_t replicas_max = 4096;
  ReplicaOptions replica;
  LogOptions log;  // cluster and node are filled in
  LogWriterOptions writer;
  SnapshotSenderOptions snapshots;
  TransportOptions transport;  // cluster and node are filled in
  // A replica that stopped because of an error is opened again after this, from what its disk
  // holds; one that stops twice within `distrust_within` is rebuilt from its peers instead. A full
  // disk does not count.
  Duration reopen_after = std::chrono::seconds(1);
  Duration distrust_within = std::chrono::seconds(60);
  // One that waits to be rebuilt and for so long, and for four election timeouts, has had no
  // leader, or one who has nothing new enough to send, tries its state once more, also if it was
  // only distrusted: without what it has its group may never commit again. Then after twice as
  // long, and so on, until it has been whole for `distrust_within`.
  Duration take_back_after = std::chrono::seconds(10);
  Duration takes_back_after() const {
    return std::max<Duration>(take_back_after,
                              4 * replica.core.election_ticks * replica.tick_period);
  }
  // Told once, on a worker, when the log has failed for good: the process must end (what it has on
  // disk is unknown to it) and start again.
  std::function<void(const absl::Status&)> on_fatal;
};

// What a process runs on. Outlives the runtime.
struct RuntimeSeams {
  FileSystem& file_system;
  Network& network;
  Threads& threads;
  Clock& clock;
};

// A replica of a new group; every first voter gets the same configuration and first position.
struct NewGroup {
  GroupId group = 0;
  ReplicaId replica = 0;
  Configuration configuration;
  LogPosition first{.term = 1, .index = 1};  // above the parent's split index for a split's child
  std::string plan;                          // kept in the log: what made this replica
};

class Runtime : public TransportHandler {
 public:
  using Done = Replica::Done;

  // Opens the log and every replica in it. Errors as Log::Open; a replica that can't be opened is
  // reported by damaged() and keeps the others from nothing.
  static absl::StatusOr<std::unique_ptr<Runtime>> Open(const RuntimeOptions& options,
                                                       const RuntimeSeams& seams,
                                                       StateMachineFactory& factory, Random random);
  // Stops everything at once, as a crash would, but for what is durable. The Listener that serves
  // transport() is destroyed before.
  ~Runtime() override;

  Transport& transport() { return *transport_; }
  TransportStatistics transport_statistics() const { return transport_->statistics(); }

  // Makes the replica durable, then opens it; `done` runs on the files executor. If a leader talked
  // to it before, so that it is here as a learner that never had anything, it becomes what the plan
  // says (PromoteStub in the .cc says why that is safe).
  //   ALREADY_EXISTS       this very replica is here: the plan was carried out before
  //   FAILED_PRECONDITION  another replica of the group is here, or this one has a tombstone, or
  //   the
  //                        log has lost history and can't tell
  void CreateGroup(NewGroup group, Done done);
  // Ends a replica and removes its data; the tombstone stays. NOT_FOUND: it isn't here.
  // UNAVAILABLE: it is being changed, to be ordered again.
  void DestroyReplica(GroupId group, ReplicaId replica, Done done);

  // The state of this replica is not what it should be: it is closed, and opened again without it,
  // as if its disk had lost it. Its log, and with it what it has promised, stays. No effect if it
  // is not here or on its way already.
  void RebuildReplica(GroupId group, ReplicaId replica, const absl::Status& why);

  // The replica is closed and opened again, as a restart of the process would: what its log is
  // known to have lost since, it gets from its peers, or lets go if it is applied. No effect as
  // above.
  void ReopenReplica(GroupId group, ReplicaId replica, const absl::Status& why);
  // Log::Scrub; one thread at a time. What is found bad is written anew at once.
  absl::StatusOr<LogScrub> ScrubLog(uint64_t after);

  // The open replica of a group, or null.
  std::shared_ptr<Replica> Find(GroupId group) const;
  std::vector<std::shared_ptr<Replica>> Replicas() const;
  // Groups whose replica on this node is not open, and why. Those whose log forgot what it had
  // promised (DATA_LOSS, "has to be replaced") stay; the others are tried again.
  std::map<GroupId, absl::Status> damaged() const;

  const Log& log() const { return *log_; }
  LogProgress log_progress() const { return writer_->progress(); }
  const LogWriterMeters& log_meters() const { return writer_->meters(); }
  const ReplicationCounters& counters() const { return counters_; }
  // Those whose standstill is the process's, with their threads' names; not the log writer, whose
  // disk may stall.
  std::vector<std::pair<std::string, Executor*>> Executors() const;

  void OnFrame(const Sender& from, Lane lane,
               const std::vector<absl::string_view>& messages) override;
  void OnUnreachable(NodeId node, Lane lane) override;

 private:
  struct Worker {
    std::unique_ptr<Executor> executor;
    std::map<GroupId, std::shared_ptr<Replica>> replicas;  // the worker's own
    Instant last_tick;
    bool flush_posted = false;  // the worker's own
  };

  Runtime(const RuntimeOptions& options, const RuntimeSeams& seams, StateMachineFactory& factory,
          Random random);

  absl::Status OpenAll();
  void ForEach(size_t count, absl::FunctionRef<void(size_t)> run);
  absl::Status OpenReplicas(std::optional<Instant> away_since);
  void StartTicking();
  void Tick(size_t worker);
  void ExtendPromises();
  void SyncPromises();
  void ForgetPromises(const Instant& began);
  void WatchLog();
  void WatchRebuilding();
  void Deliver(size_t worker, NodeId from, std::vector<Message> messages);
  void FlushSoon(size_t worker);
  void ConsiderLearner(NodeId from, const Message& message);
  void ReplicaFailed(GroupId group, const absl::Status& why);
  void ReopenLater(GroupId group, const absl::Status& why);
  void Reopen(GroupId group, Replica::OpenMode mode);
  absl::Status CheckCreation(const NewGroup& group, bool* stub) const;
  void PromoteStub(NewGroup group, Done done);
  void PromoteDetached(const NewGroup& group, Done done);
  void SubmitCreation(GroupWrite write, Replica::OpenMode mode, Done done);
  void CreationFailed(GroupId group, const absl::Status& why);
  void OpenCreated(GroupId group, Replica::OpenMode mode, Done done);
  void OpenAnew(GroupId group, ReplicaId replica, const absl::Status& why, Replica::OpenMode mode);
  void Detach(GroupId group, const absl::Status& why, Task then);
  void FinishDestroy(GroupId group, ReplicaId replica, Done done);
  void SubmitTombstone(GroupId group, ReplicaId replica, const std::shared_ptr<Done>& done);
  bool DestroyUnopened(GroupId group);  // false: it was not ordered
  void RemoveDestroyed();
  void Register(const std::shared_ptr<Replica>& replica);
  ReplicaPlace PlaceOf(GroupId group);
  std::string DirectoryOf(GroupId group, ReplicaId replica) const;
  std::string promise_length_path() const { return JoinPath(options_.directory, "promise-length"); }
  size_t WorkerOf(GroupId group) const { return group % workers_.size(); }
  Random ForkRandom();

  const RuntimeOptions options_;
  const RuntimeSeams seams_;
  StateMachineFactory& factory_;
  ReplicationCounters counters_;

  std::unique_ptr<Log> log_;
  std::vector<Worker> workers_;
  std::vector<std::unique_ptr<Executor>> appliers_;
  std::unique_ptr<Executor> files_;
  PromiseLengths promise_lengths_;
  std::unique_ptr<PromiseRecord> promises_;
  std::unique_ptr<Executor> promises_executor_;
  bool told_withheld_ = false;  // that executor's
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<SnapshotSender> sender_;
  std::unique_ptr<SnapshotReceiver> receiver_;
  bool told_fatal_ = false;  // the first worker's, as is the next
  uint32_t watch_ticks_ = 0;
  struct Waiting {
    Instant since;  // nobody leads who could fill it; or it is whole again
    int tries = 0;
    bool is_whole = false;
  };
  std::map<GroupId, Waiting> waiting_;  // of replicas without state; the files executor's

  mutable Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  std::map<GroupId, std::shared_ptr<Replica>> replicas_ ABSL_GUARDED_BY(mutex_);
  std::set<GroupId> changing_ ABSL_GUARDED_BY(mutex_);  // being created, destroyed or opened again
  // Of them, those that wait to be opened again; and whose destruction was ordered meanwhile.
  std::map<GroupId, std::optional<Done>> reopening_ ABSL_GUARDED_BY(mutex_);
  std::map<GroupId, absl::Status> damaged_ ABSL_GUARDED_BY(mutex_);
  // Groups whose replica here was the only voter when it stopped last.
  std::set<GroupId> only_voters_ ABSL_GUARDED_BY(mutex_);
  std::map<GroupId, Instant> distrusted_since_ ABSL_GUARDED_BY(mutex_);  // of the last failure
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_REPLICATION_RUNTIME_H_
