#include "replication/runtime.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/rare_branches.h"
#include "common/status.h"
#include "replication/message_codec.h"
#include "replication/snapshot_chunk.h"

namespace ringleader::replication {
namespace {

// How often the log's length is looked at, in ticks.
constexpr int kLogWatchTicks = 50;

// A leader's messages; anything else for an unknown replica says nothing about what should be here.
bool ComesFromLeader(MessageKind kind) {
  return kind == MessageKind::kAppend || kind == MessageKind::kHeartbeat ||
         kind == MessageKind::kSnapshot;
}

// What every first voter of a group begins with.
GroupWrite FirstState(const NewGroup& group) {
  GroupWrite write{.group = group.group};
  write.hard_state = HardState{.term = group.first.term, .vote = 0};
  write.snapshot = SnapshotMeta{.last = group.first, .configuration = group.configuration};
  return write;
}

}  // namespace

Runtime::Runtime(const RuntimeOptions& options, const RuntimeSeams& seams,
                 StateMachineFactory& factory, Random random)
    : options_(options), seams_(seams), factory_(factory), random_(std::move(random)) {
  CHECK_GE(options.workers, 1);
  CHECK_GE(options.appliers, 1);
  CHECK_GE(options.openers, 1);
}

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Open(const RuntimeOptions& options,
                                                       const RuntimeSeams& seams,
                                                       StateMachineFactory& factory,
                                                       Random random) {
  std::unique_ptr<Runtime> runtime(new Runtime(options, seams, factory, std::move(random)));
  RETURN_IF_ERROR(runtime->OpenAll());
  runtime->StartTicking();
  return runtime;
}

Runtime::~Runtime() {
  // Stopped all before any is freed: their tasks post to each other.
  for (Worker& worker : workers_) worker.executor->Stop();
  for (const auto& applier : appliers_) applier->Stop();
  if (files_ != nullptr) files_->Stop();
  if (promises_executor_ != nullptr) promises_executor_->Stop();
  for (const auto& replica : Replicas()) replica->Discard();
  writer_ = nullptr;
  transport_ = nullptr;
}

Random Runtime::ForkRandom() {
  MutexLock lock(mutex_);
  return random_.Fork();
}

ReplicaPlace Runtime::PlaceOf(GroupId group) {
  return {
      .worker = *workers_[WorkerOf(group)].executor,
      .applier = *appliers_[group % appliers_.size()],
      .files = *files_,
      .log = *log_,
      .writer = *writer_,
      .transport = *transport_,
      .file_system = seams_.file_system,
      .clock = seams_.clock,
      .promises = *promises_,
      .promise_lengths = promise_lengths_,
      .factory = factory_,
      .snapshots = *sender_,
      .counters = counters_,
      .options = options_.replica,
      .flush_soon = [this, worker = WorkerOf(group)] { FlushSoon(worker); },
      .on_failed = [this](GroupId failed, const absl::Status& why) { ReplicaFailed(failed, why); }};
}

std::string Runtime::DirectoryOf(GroupId group, ReplicaId replica) const {
  return JoinPath(JoinPath(options_.directory, "groups"), absl::StrCat(group, ".", replica));
}

std::shared_ptr<Replica> Runtime::Find(GroupId group) const {
  MutexLock lock(mutex_);
  const auto found = replicas_.find(group);
  return found == replicas_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Replica>> Runtime::Replicas() const {
  std::vector<std::shared_ptr<Replica>> all;
  MutexLock lock(mutex_);
  for (const auto& [group, replica] : replicas_) all.push_back(replica);
  return all;
}

std::vector<std::pair<std::string, Executor*>> Runtime::Executors() const {
  std::vector<std::pair<std::string, Executor*>> all;
  for (size_t i = 0; i < workers_.size(); ++i) {
    all.emplace_back(absl::StrCat("raft-", i), workers_[i].executor.get());
  }
  for (size_t i = 0; i < appliers_.size(); ++i) {
    all.emplace_back(absl::StrCat("apply-", i), appliers_[i].get());
  }
  all.emplace_back("files", files_.get());
  return all;
}

std::map<GroupId, absl::Status> Runtime::damaged() const {
  MutexLock lock(mutex_);
  return damaged_;
}

// --- Time ---------------------------------------------------------------------------------------

void Runtime::StartTicking() {
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].executor->Post([this, i] {
      workers_[i].last_tick = seams_.clock.Now();
      workers_[i].executor->PostAfter(options_.replica.tick_period, [this, i] { Tick(i); });
    });
  }
}

// At most one tick in each tick_period of the clock that is slower: what a lease is derived from
// (lease.h). A process that was paused ticks once, and so hears its peers before it campaigns.
void Runtime::Tick(size_t number) {
  Worker& worker = workers_[number];
  const Instant now = seams_.clock.Now();
  const Duration elapsed = WaiterElapsed(worker.last_tick, now);
  const Duration period = options_.replica.tick_period;
  if (elapsed < period) {
    worker.executor->PostAfter(period - elapsed, [this, number] { Tick(number); });
    return;
  }
  worker.last_tick = now;
  for (const auto& [group, replica] : worker.replicas) replica->Tick(now);
  transport_->Flush();
  if (number == 0) WatchLog();
  worker.executor->PostAfter(period, [this, number] { Tick(number); });
}

void Runtime::ExtendPromises() {
  if (counters_.promises_withheld.value() > 0 && !std::exchange(told_withheld_, true)) {
    LogWarning("heartbeats were answered without a promise, as the disk took too long to note it: ",
               "leaders elsewhere may be without a lease (said once)");
  }
  promises_->Extend();
  promises_executor_->PostAfter(PromiseRecord::kExtendEvery, [this] { ExtendPromises(); });
}

void Runtime::SyncPromises() {
  promises_->Sync();
  files_->PostAfter(PromiseRecord::kSyncEvery, [this] { SyncPromises(); });
}

// The processes before were gone when this one began: what they promised is over, and the next
// process need not wait for it.
void Runtime::ForgetPromises(const Instant& began) {
  const Duration before = promise_lengths_.before;
  if (WaiterElapsed(began, seams_.clock.Now()) >= before) {
    const absl::Status saved =
        SavePromiseLength(seams_.file_system, promise_length_path(), promise_lengths_.own);
    if (saved.ok()) return;
    LogWarning("the next start waits for longer than it has to: ", saved.ToString());
  }
  files_->PostAfter(before, [this, began] { ForgetPromises(began); });
}

void Runtime::WatchLog() {
  const LogProgress progress = writer_->progress();
  if (!progress.failure.ok() && !std::exchange(told_fatal_, true)) {
    LogError("the log has failed for good: ", progress.failure.ToString());
    if (options_.on_fatal) options_.on_fatal(progress.failure);
  }
  if (++watch_ticks_ % kLogWatchTicks != 0) return;
  if (!log_->statistics().is_long) return;
  for (const LogPin& pin : log_->Pins()) {
    if (const auto replica = Find(pin.group)) replica->FlushAndCompact();
  }
}

// --- Messages -----------------------------------------------------------------------------------

void Runtime::OnFrame(const Sender& sender, Lane lane,
                      const std::vector<absl::string_view>& frame) {
  const NodeId from = sender.node;
  if (lane == Lane::kSnapshot) {
    for (const absl::string_view bytes : frame) {
      auto chunk = DecodeSnapshotChunk(bytes);
      if (!chunk.ok()) continue;  // counted as nothing: the transfer stalls and comes again
      if (chunk->kind == SnapshotChunkKind::kAck || chunk->kind == SnapshotChunkKind::kDone) {
        sender_->OnChunk(from, *std::move(chunk));
      } else {
        receiver_->OnChunk(from, *std::move(chunk));
      }
    }
    return;
  }
  std::vector<std::vector<Message>> by_worker(workers_.size());
  for (const absl::string_view bytes : frame) {
    auto message = DecodeMessage(bytes);
    // A snapshot is announced by its data only, never as a bare message.
    if (!message.ok() || message->kind == MessageKind::kSnapshot) continue;
    message->promised_us = sender.promised_us;
    by_worker[WorkerOf(message->group)].push_back(*std::move(message));
  }
  for (size_t i = 0; i < by_worker.size(); ++i) {
    if (by_worker[i].empty()) continue;
    workers_[i].executor->Post([this, i, from, messages = std::move(by_worker[i])]() mutable {
      Deliver(i, from, std::move(messages));
    });
  }
}

void Runtime::Deliver(size_t worker, NodeId from, std::vector<Message> messages) {
  for (Message& message : messages) {
    const auto found = workers_[worker].replicas.find(message.group);
    if (found != workers_[worker].replicas.end() && found->second->id() == message.to) {
      found->second->Step(from, std::move(message));
    } else if (found == workers_[worker].replicas.end()) {
      ConsiderLearner(from, message);
    }
  }
  FlushSoon(worker);
}

void Runtime::FlushSoon(size_t worker) {
  if (std::exchange(workers_[worker].flush_posted, true)) return;
  workers_[worker].executor->Post([this, worker] {
    workers_[worker].flush_posted = false;
    transport_->Flush();
  });
}

void Runtime::OnUnreachable(NodeId node, Lane lane) {
  if (lane == Lane::kSnapshot) {
    sender_->OnUnreachable(node);
    receiver_->OnUnreachable(node);
    return;
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].executor->Post([this, i, node] {
      for (const auto& [group, replica] : workers_[i].replicas) replica->Unreachable(node);
      transport_->Flush();
    });
  }
}

// --- The life of groups -------------------------------------------------------------------------

void Runtime::Register(const std::shared_ptr<Replica>& replica) {
  const GroupId group = replica->group();
  const size_t worker = WorkerOf(group);
  {
    MutexLock lock(mutex_);
    replicas_[group] = replica;
    changing_.erase(group);
    damaged_.erase(group);
  }
  workers_[worker].executor->Post([this, worker, replica] {
    workers_[worker].replicas[replica->group()] = replica;
    replica->CampaignIfAlone();
  });
}

void Runtime::ReplicaFailed(GroupId group, const absl::Status& why) {
  counters_.replicas_failed.Add();
  workers_[WorkerOf(group)].replicas.erase(group);
  {
    MutexLock lock(mutex_);
    // Whoever is taking it out of every hand goes on with it.
    if (!changing_.insert(group).second) return;
    const auto found = replicas_.find(group);
    if (found != replicas_.end()) {
      const Configuration members = found->second->view().configuration;
      only_voters_.erase(group);
      if (members.voters.size() == 1 && !members.joint()) only_voters_.insert(group);
      replicas_.erase(found);
    }
  }
  ReopenLater(group, why);
}

// Whether the plan may be carried out, and whether over a stub.
absl::Status Runtime::CheckCreation(const NewGroup& group, bool* stub) const {
  const auto known = log_->Group(group.group);
  const bool same =
      known.has_value() && !known->destroyed && known->creation.replica == group.replica;
  *stub = same && known->is_stub();
  if (same && !*stub) return absl::AlreadyExistsError("this replica is here already");
  if (!same && known.has_value() &&
      (!known->destroyed || known->creation.replica >= group.replica)) {
    return absl::FailedPreconditionError(
        absl::StrCat("group ", group.group, " has or had replica ", known->creation.replica,
                     " on this node; replica ", group.replica, " can't be made"));
  }
  if (log_->report().lost_history) {
    return absl::FailedPreconditionError(
        "this node's log has lost history: it takes no voters of new groups any more");
  }
  return absl::OkStatus();
}

void Runtime::CreateGroup(NewGroup group, Done done) {
  files_->Post([this, group = std::move(group), done = std::move(done)]() mutable {
    bool stub = false;
    if (absl::Status status = CheckCreation(group, &stub); !status.ok()) return done(status);
    {
      MutexLock lock(mutex_);
      if (!changing_.insert(group.group).second) {
        return done(absl::UnavailableError("the group is being created or destroyed"));
      }
    }
    if (stub) return PromoteStub(std::move(group), std::move(done));
    GroupWrite write = FirstState(group);
    write.create = GroupCreation{group.replica, group.plan};
    SubmitCreation(std::move(write), {.restarted = false}, std::move(done));
  });
}

// A first voter's leader may be faster than its own plan: what its message made is a learner that
// no snapshot may fill, as the group counts it as a voter. The plan fills it, and that breaks no
// promise (DESIGN section 11, rule 11). Whatever a group counts on a replica for - a vote, an
// acknowledged entry, a confirmed round, a testimony - a replica without configuration refuses, and
// says nothing else before the log holds it (rule 7). So with the replica closed, and everything it
// submitted in the log, a stub there is worth exactly what no record at all is worth: the plan
// carried out over either makes the same voter. Whether the plan itself is the first and only one
// is its fence, as ever, and not for the stub to say; a log that has lost history was refused.
void Runtime::PromoteStub(NewGroup group, Done done) {
  const GroupId id = group.group;
  Detach(id, absl::UnavailableError("it becomes a voter of a new group"),
         [this, group = std::move(group), done = std::move(done)]() mutable {
           auto shared =
               std::make_shared<std::pair<NewGroup, Done>>(std::move(group), std::move(done));
           // Empty, behind everything that the closed replica has submitted.
           const absl::Status submitted =
               writer_->Submit({GroupWrite{.group = shared->first.group}}, *files_,
                               [this, shared](const absl::Status& status) {
                                 if (status.ok())
                                   return PromoteDetached(shared->first, std::move(shared->second));
                                 CreationFailed(shared->first.group, status);
                                 shared->second(status);
                               });
           if (submitted.ok()) return;
           CreationFailed(shared->first.group, submitted);
           files_->Post([shared, submitted] { shared->second(submitted); });
         });
}

void Runtime::PromoteDetached(const NewGroup& group, Done done) {
  const GroupState now = *log_->Group(group.group);
  if (!now.is_stub()) {  // a snapshot that names it a learner came first
    return OpenCreated(group.group, {.restarted = true}, std::move(done));
  }
  RARE_BRANCH("replica: a stub becomes a voter");
  LogInfo("group ", group.group, ": replica ", group.replica, " becomes the voter it was meant as");
  // A first voter begins with an empty directory, not with what a learner's machine left in it.
  const absl::Status emptied =
      RemoveRecursively(seams_.file_system, DirectoryOf(group.group, group.replica));
  if (!emptied.ok()) {
    CreationFailed(group.group, emptied);
    return done(emptied);
  }
  GroupWrite write = FirstState(group);
  write.hard_state->term = std::max(write.hard_state->term, now.hard_state.term);
  SubmitCreation(std::move(write), {.restarted = true}, std::move(done));
}

void Runtime::ConsiderLearner(NodeId from, const Message& message) {
  if (!ComesFromLeader(message.kind)) return;
  files_->Post([this, from, group = message.group, replica = message.to] {
    const auto known = log_->Group(group);
    if (known.has_value() && (!known->destroyed || known->creation.replica >= replica)) {
      if (known->destroyed) RARE_BRANCH("replica: a tombstone refuses a message");
      return;
    }
    {
      MutexLock lock(mutex_);
      if (replicas_.size() + changing_.size() >= options_.replicas_max) return;
      if (!changing_.insert(group).second) return;
    }
    LogInfo("group ", group, ": node ", from, " leads replica ", replica,
            " here; it starts as a learner without state");
    RARE_BRANCH("replica: a message makes a learner");
    GroupWrite write{.group = group};
    write.create = GroupCreation{replica, ""};
    SubmitCreation(std::move(write), {.restarted = false}, [](const absl::Status&) {});
  });
}

void Runtime::SubmitCreation(GroupWrite write, Replica::OpenMode mode, Done done) {
  const GroupId group = write.group;
  auto shared_done = std::make_shared<Done>(std::move(done));
  const absl::Status submitted = writer_->Submit(
      {std::move(write)}, *files_, [this, group, mode, shared_done](const absl::Status& status) {
        if (status.ok()) return OpenCreated(group, mode, std::move(*shared_done));
        CreationFailed(group, status);
        (*shared_done)(status);
      });
  if (submitted.ok()) return;
  CreationFailed(group, submitted);
  (*shared_done)(submitted);
}

void Runtime::CreationFailed(GroupId group, const absl::Status& why) {
  const auto known = log_->Group(group);
  // A stub was closed to be promoted: it opens as what it is.
  if (known.has_value() && !known->destroyed) return ReopenLater(group, why);
  MutexLock lock(mutex_);
  changing_.erase(group);
}

void Runtime::OpenCreated(GroupId group, Replica::OpenMode mode, Done done) {
  const GroupState state = *log_->Group(group);
  appliers_[group % appliers_.size()]->Post([this, state, mode, done = std::move(done)]() mutable {
    auto replica =
        Replica::Open(PlaceOf(state.group), state, DirectoryOf(state.group, state.creation.replica),
                      mode, ForkRandom());
    if (replica.ok()) {
      Register(*replica);
    } else {
      ReopenLater(state.group, replica.status());
    }
    files_->Post([done = std::move(done), status = replica.status()]() mutable { done(status); });
  });
}

void Runtime::DestroyReplica(GroupId group, ReplicaId replica, Done done) {
  files_->Post([this, group, replica, done = std::move(done)]() mutable {
    const auto known = log_->Group(group);
    if (!known.has_value() || known->destroyed || known->creation.replica != replica) {
      return done(absl::NotFoundError("this replica is not here"));
    }
    {
      MutexLock lock(mutex_);
      if (!changing_.insert(group).second) {
        const auto waiting = reopening_.find(group);
        if (waiting == reopening_.end() || waiting->second.has_value()) {
          return done(absl::UnavailableError("the group is being created, destroyed or opened"));
        }
        waiting->second = std::move(done);
        return;
      }
      damaged_.erase(group);
    }
    Detach(group, absl::CancelledError("the replica was removed"),
           [this, group, replica, done = std::move(done)]() mutable {
             FinishDestroy(group, replica, std::move(done));
           });
  });
}

absl::StatusOr<LogScrub> Runtime::ScrubLog(uint64_t after) {
  absl::StatusOr<LogScrub> scrub = log_->Scrub(after);
  if (log_->RewriteIsDue()) writer_->Rewrite();
  return scrub;
}

// Takes the group's replica, if one is open, out of every hand and closes it; `then` runs on its
// applier behind the end of its state machine, and nothing is submitted for it any more.
void Runtime::Detach(GroupId group, const absl::Status& why, Task then) {
  std::shared_ptr<Replica> open;
  {
    MutexLock lock(mutex_);
    const auto found = replicas_.find(group);
    if (found != replicas_.end()) {
      open = std::move(found->second);
      replicas_.erase(found);
    }
  }
  const size_t worker = WorkerOf(group);
  workers_[worker].executor->Post(
      [this, worker, group, why, open, then = std::move(then)]() mutable {
        workers_[worker].replicas.erase(group);
        if (open != nullptr) open->Close(why);
        appliers_[group % appliers_.size()]->Post(std::move(then));
      });
}

void Runtime::FinishDestroy(GroupId group, ReplicaId replica, Done done) {
  SubmitTombstone(group, replica, std::make_shared<Done>(std::move(done)));
}

// The replica is closed: it has to be destroyed, or nobody would know of it any more.
void Runtime::SubmitTombstone(GroupId group, ReplicaId replica,
                              const std::shared_ptr<Done>& shared_done) {
  const auto finished = [this, group, replica, shared_done](const absl::Status& status) {
    if (status.ok()) {
      RemoveRecursively(seams_.file_system, DirectoryOf(group, replica)).IgnoreError();
    }
    {
      MutexLock lock(mutex_);
      changing_.erase(group);
    }
    (*shared_done)(status);
  };
  GroupWrite write{.group = group};
  write.destroy = true;
  RARE_BRANCH("replica: a tombstone is written");
  const absl::Status submitted = writer_->Submit({std::move(write)}, *files_, finished);
  if (absl::IsResourceExhausted(submitted)) {
    files_->PostAfter(options_.reopen_after, [this, group, replica, shared_done] {
      SubmitTombstone(group, replica, shared_done);
    });
  } else if (!submitted.ok()) {
    files_->Post([finished, submitted] { finished(submitted); });
  }
}

}  // namespace ringleader::replication
