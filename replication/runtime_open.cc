// What a runtime does when its process starts: the log, the executors, the replicas.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/status.h"
#include "replication/runtime.h"

namespace ringleader::replication {
namespace {

int64_t Milliseconds(Instant from, Instant to) {
  return WaiterElapsed(from, to) / std::chrono::milliseconds(1);
}

// Since when certainly nobody acts as a replica here, by what is known from either.
std::optional<Instant> Earlier(const std::optional<Instant>& one,
                               const std::optional<Instant>& other) {
  if (!one.has_value() || !other.has_value()) return one.has_value() ? one : other;
  return WaiterElapsed(*one, *other) > Duration(0) ? one : other;
}

}  // namespace

absl::Status Runtime::OpenAll() {
  FileSystem& file_system = seams_.file_system;
  const std::string outgoing = JoinPath(options_.directory, "outgoing");
  RETURN_IF_ERROR(CreateDirectories(file_system, options_.directory));
  LogOptions log_options = options_.log;
  log_options.cluster = options_.cluster;
  log_options.node = options_.node;
  log_options.clock = &seams_.clock;
  const Instant began = seams_.clock.Now();
  ASSIGN_OR_RETURN(log_, Log::Open(file_system, JoinPath(options_.directory, "log"), log_options));
  const Instant read = seams_.clock.Now();
  const std::string record = JoinPath(outgoing, "promised-until");
  const std::optional<Instant> promised = PromiseRecord::Read(file_system, seams_.clock, record);
  const std::optional<Instant> away_since = Earlier(promised, options_.alone_since);
  promise_lengths_ = NotePromiseLength(
      file_system, promise_length_path(),
      PromiseLength(options_.replica.core.election_ticks, options_.replica.tick_period));
  RETURN_IF_ERROR(RemoveRecursively(file_system, outgoing));
  for (const std::string& note : log_->report().notes) LogWarning("log: ", note);

  for (int i = 0; i < options_.workers; ++i) {
    workers_.push_back({seams_.threads.Start(absl::StrCat("raft-", i)), {}, {}});
  }
  for (int i = 0; i < options_.appliers; ++i) {
    appliers_.push_back(seams_.threads.Start(absl::StrCat("apply-", i)));
  }
  files_ = seams_.threads.Start("files");
  file_system.CreateDirectory(outgoing).IgnoreError();  // without it there is no record
  promises_ = std::make_unique<PromiseRecord>(file_system, seams_.clock, record);
  promises_executor_ = seams_.threads.Start("promises");
  promises_executor_->Post([this] { ExtendPromises(); });
  files_->PostAfter(PromiseRecord::kSyncEvery, [this] { SyncPromises(); });
  if (promise_lengths_.before > promise_lengths_.own) {
    files_->PostAfter(promise_lengths_.before, [this, began] { ForgetPromises(began); });
  }
  TransportOptions transport_options = options_.transport;
  transport_options.cluster = options_.cluster;
  transport_options.node = options_.node;
  transport_options.promise_us =
      static_cast<uint64_t>(promise_lengths_.own / std::chrono::microseconds(1));
  transport_ = std::make_unique<Transport>(seams_.network, seams_.clock, *this, transport_options);
  writer_ = std::make_unique<LogWriter>(*log_, seams_.threads.Start("log"), seams_.clock,
                                        options_.writer);
  // Numbers of an earlier life of this process must not be taken for this one's.
  const uint64_t first_transfer = ForkRandom().Next() >> 16;
  sender_ =
      std::make_unique<SnapshotSender>(file_system, outgoing, *files_, *transport_, seams_.clock,
                                       counters_, first_transfer, options_.snapshots);
  receiver_ = std::make_unique<SnapshotReceiver>(
      file_system, *files_, *transport_, seams_.clock, counters_,
      [this](NodeId from, const Message& message) {
        std::shared_ptr<Replica> replica = Find(message.group);
        if (replica == nullptr) ConsiderLearner(from, message);
        return replica != nullptr && replica->id() == message.to ? replica : nullptr;
      });

  RETURN_IF_ERROR(OpenReplicas(away_since));
  LogInfo("log: ", log_->report().segments, " segments read in ", Milliseconds(began, read),
          " ms, replicas opened in ", Milliseconds(read, seams_.clock.Now()), " ms");
  files_->Post([this] { WatchRebuilding(); });
  files_->Post([this] { RemoveDestroyed(); });
  return absl::OkStatus();
}

// Data whose removal a crash interrupted, or brought back.
void Runtime::RemoveDestroyed() {
  for (const GroupState& state : log_->Groups()) {
    if (!state.destroyed) continue;
    const std::string directory = DirectoryOf(state.group, state.creation.replica);
    const auto exists = seams_.file_system.Exists(directory);
    if (!exists.ok() || !*exists) continue;
    LogInfo(directory, ": its replica was destroyed; removed");
    const absl::Status removed = RemoveRecursively(seams_.file_system, directory);
    if (!removed.ok()) LogWarning("removing ", directory, ": ", removed.ToString());
  }
}

// As many at a time as there are openers. Returns when all are done.
void Runtime::ForEach(size_t count, absl::FunctionRef<void(size_t)> run) {
  const size_t openers_count = std::min(count, static_cast<size_t>(options_.openers));
  if (openers_count <= 1) {
    for (size_t i = 0; i < count; ++i) run(i);
    return;
  }
  Mutex mutex;
  Condition ended;
  size_t left = count;
  std::vector<std::unique_ptr<Executor>> openers;
  for (size_t i = 0; i < openers_count; ++i) {
    openers.push_back(seams_.threads.Start(absl::StrCat("open-", i)));
  }
  for (size_t i = 0; i < count; ++i) {
    openers[i % openers_count]->Post([&, i] {
      run(i);
      MutexLock lock(mutex);
      --left;
      ended.NotifyAll();
    });
  }
  MutexLock lock(mutex);
  while (left > 0) ended.Wait(lock);
}

absl::Status Runtime::OpenReplicas(std::optional<Instant> away_since) {
  struct Opening {
    GroupState state;
    Random random;
    absl::StatusOr<std::shared_ptr<Replica>> replica = nullptr;
  };
  std::vector<Opening> openings;
  for (const GroupState& state : log_->Groups()) {
    if (!state.destroyed) openings.push_back({state, ForkRandom()});
  }
  const auto open = [this, away_since](Opening& opening) {
    const GroupId group = opening.state.group;
    opening.replica = Replica::Open(
        PlaceOf(group), opening.state, DirectoryOf(group, opening.state.creation.replica),
        {.restarted = true, .away_since = away_since}, std::move(opening.random));
  };
  ForEach(openings.size(), [&](size_t i) { open(openings[i]); });
  absl::Status refused;
  for (const Opening& opening : openings) {
    const GroupId group = opening.state.group;
    const absl::Status& status = opening.replica.status();
    if (status.ok()) {
      Register(*opening.replica);
    } else if (absl::IsFailedPrecondition(status)) {
      refused = Annotate(status, DirectoryOf(group, opening.state.creation.replica));
    } else {
      LogError("group ", group, ": ", status.ToString());
      ReopenLater(group, status);
    }
  }
  return refused;
}

}  // namespace ringleader::replication
