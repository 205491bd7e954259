#include "node/node.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/build_info.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/mutex.h"
#include "common/status.h"

namespace ringleader {
namespace {

constexpr absl::string_view kReplicationPrefix = "/ringleader.replication.";
constexpr uint64_t kWriteBufferMax = 16 << 20;

// LevelDB holds two memtables of a partition: one that fills and one that is written out.
size_t WriteBufferBytes(const NodeOptions& options) {
  const uint64_t share =
      options.memtable_bytes / (2 * std::max<uint64_t>(1, options.partitions_expected));
  return std::clamp(share, options.partition_memtable_min, kWriteBufferMax);
}

// A client that holds something is heard of several times in this.
CacheSessionsOptions SessionsOptions(const NodeOptions& options) {
  CacheSessionsOptions sessions = options.cache_sessions;
  sessions.silent_max = std::max(sessions.silent_max, 3 * options.partition.lease.lease_term);
  return sessions;
}

}  // namespace

class Node::Gate : public Service {
 public:
  void Open(DataService* data, CacheService* cache, replication::Transport* transport) {
    auto router = std::make_unique<ServiceRouter>();
    router->Add(kDataServicePrefix, data);
    router->Add(kCacheServicePrefix, cache);
    router->Add(kReplicationPrefix, transport);
    MutexLock lock(mutex_);
    router_ = std::move(router);
  }

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    ServiceRouter* router = nullptr;
    {
      MutexLock lock(mutex_);
      router = router_.get();
    }
    if (router == nullptr) return absl::UnavailableError("this node is not in a cluster yet");
    return router->Accept(incoming);
  }

 private:
  Mutex mutex_;
  std::unique_ptr<ServiceRouter> router_ ABSL_GUARDED_BY(mutex_);  // set once
};

Node::Node(const NodeOptions& options, const replication::RuntimeSeams& seams, Random random)
    : options_(options),
      seams_(seams),
      random_(std::move(random)),
      admission_(options.admission),
      cache_sessions_(SessionsOptions(options), seams.clock),
      block_cache_(leveldb::NewLRUCache(options.block_cache_bytes)),
      started_(seams.clock.Now()) {
  CHECK(options_.on_fatal) << "somebody has to end the process";
  CHECK_GE(options_.compactors, 1);
}

absl::StatusOr<std::unique_ptr<Node>> Node::Start(const NodeOptions& options,
                                                  const replication::RuntimeSeams& seams,
                                                  Random random) {
  std::unique_ptr<Node> node(new Node(options, seams, std::move(random)));
  RETURN_IF_ERROR(node->Open());
  return node;
}

absl::Status Node::Open() {
  FileSystem& files = seams_.file_system;
  RETURN_IF_ERROR(CreateDirectories(files, options_.data));
  auto lock = files.Lock(JoinPath(options_.data, "lock"));
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(
        absl::StrCat("the data directory ", options_.data, " is in use by another process"));
  }
  RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  alone_since_ = seams_.clock.Now();
  ASSIGN_OR_RETURN(identity_, LoadIdentity(files, options_.data, random_));
  if (options_.formation != 0 && identity_.formation != 0 &&
      options_.formation != identity_.formation) {
    return absl::FailedPreconditionError(absl::StrCat(options_.data, " belongs to cluster ",
                                                      identity_.formation, ", not to ",
                                                      options_.formation));
  }
  const uint32_t version = LoadClusterVersion(files, options_.data);
  // One that is too low may have been raised while this node was away: registration tells.
  if (version > options_.versions.newest) {
    return absl::FailedPreconditionError(absl::StrCat(
        options_.data, " was run at cluster version ", version, ", and this build runs ",
        options_.versions.Text(), ": another build has to be installed"));
  }
  registry_.SetClusterVersion(version);
  gate_ = std::make_unique<Gate>();
  ASSIGN_OR_RETURN(listener_, seams_.network.Listen(options_.listen, gate_.get()));
  executor_ = seams_.threads.Start("node");
  for (int i = 0; i < options_.compactors; ++i) {
    compactors_.push_back(seams_.threads.Start(absl::StrCat("compact-", i)));
  }
  flusher_ = seams_.threads.Start("flush");
  if (identity_.node != 0) RETURN_IF_ERROR(OpenRuntime());
  executor_->Post([this] {
    agent_ = std::make_unique<Agent>(seams_.network, executor_, options_.agent, MakeHost());
  });
  return absl::OkStatus();
}

Node::~Node() {
  // From what is called to what is called upon; compactions run until the last database is closed.
  if (executor_ != nullptr) executor_->Stop();
  if (scrubber_ != nullptr) scrubber_->Stop();
  agent_ = nullptr;
  listener_ = nullptr;
  runtime_ = nullptr;
  scrub_ = nullptr;
  data_ = nullptr;
  cache_ = nullptr;
  factory_ = nullptr;
  compactors_.clear();
  flusher_ = nullptr;
}

absl::Status Node::OpenRuntime() {
  std::vector<Executor*> compactors;
  for (const auto& compactor : compactors_) compactors.push_back(compactor.get());
  const PartitionPlace place{{.file_system = seams_.file_system,
                              .clock = seams_.clock,
                              .compactions = *compactors.front(),
                              .flushes = *flusher_,
                              .block_cache = block_cache_.get(),
                              .write_buffer_bytes = WriteBufferBytes(options_),
                              .metrics = &storage_metrics_},
                             registry_,
                             admission_,
                             options_.partition,
                             &cache_sessions_};
  factory_ = std::make_unique<PartitionFactory>(place, std::move(compactors),
                                                JoinPath(options_.data, "plans"));
  replication::RuntimeOptions options = options_.runtime;
  options.cluster = identity_.formation;
  options.node = identity_.node;
  options.directory = options_.data;
  options.alone_since = alone_since_;
  options.on_fatal = options_.on_fatal;
  ASSIGN_OR_RETURN(runtime_,
                   replication::Runtime::Open(options, seams_, *factory_, random_.Fork()));
  peers_ = saved_peers_ = LoadPeers(seams_.file_system, options_.data);
  FindPeers();
  const auto find = [runtime = runtime_.get()](replication::GroupId group) {
    return runtime->Find(group);
  };
  data_ = std::make_unique<DataService>(find, registry_, seams_.clock, options_.service);
  cache_ = std::make_unique<CacheService>(find, registry_, cache_sessions_, seams_.clock,
                                          options_.cache_service);
  gate_->Open(data_.get(), cache_.get(), &runtime_->transport());
  LogInfo("node ", identity_.node, " serves ", runtime_->Replicas().size(), " replicas");
  executor_->Post([this] { Maintain(); });
  scrubber_ = seams_.threads.Start("scrub");
  scrub_ = std::make_unique<Scrub>(options_.scrub, place.store, *runtime_, registry_, *scrubber_);
  scrub_->Start();
  return absl::OkStatus();
}

AgentHost Node::MakeHost() {
  const auto heard = [this] {
    ever_heard_ = true;
    coordinators_heard_ = seams_.clock.Now();
  };
  return {.introduce = [this] { return Introduce(); },
          .registered =
              [this, heard](const coordinator::v1::RegisterResponse& response) {
                heard();
                return Registered(response);
              },
          .outdated = [this](const std::string& why) { Outdated(why); },
          .removed = [this] { removed_ = true; },
          .report = [this] { return Report(); },
          .carry_out =
              [this, heard](const coordinator::v1::NodeOrders& orders) {
                heard();
                CarryOut(orders);
              },
          .map =
              [this, heard](const coordinator::v1::MapUpdate& update) {
                heard();
                map_version_ = update.version();
                TakeMap(update);
              }};
}

void Node::Maintain() {
  const replication::LogProgress progress = runtime_->log_progress();
  const bool measured = MeasureFree();
  const bool stalled =
      progress.Stalled(seams_.clock.Now()) >= options_.runtime.replica.disk_stall_max;
  const bool room = !progress.out_of_space && admission_.without_space() == 0 &&
                    (!measured || free_bytes_ >= options_.free_bytes_min);
  if (disk_full_ != !room) {
    LogWarning(room ? "there is room on the disk again: " : "the disk is full: ", SpaceText(),
               room ? "" : "; they are refused until there is room");
  }
  disk_stalled_ = stalled && room;
  disk_full_ = !room;
  admission_.SetDiskFit(!stalled && room);
  cache_->Maintain();
  // It can't report any more: what it led nobody could change or move. Again and again, as others
  // may elect it until its replicas are replaced.
  if (removed_) HandOverAll();
  for (const auto& replica : runtime_->Replicas()) {
    replica->applier().Post([this, replica] {
      if (Partition* partition = registry_.Open(replica->group())) partition->Maintain(replica);
    });
  }
  executor_->PostAfter(options_.maintain_period, [this] { Maintain(); });
}

std::string Node::SpaceText() const {
  std::string text = absl::StrCat(free_bytes_, " bytes are free in ", free_least_);
  if (const int databases = admission_.without_space(); databases > 0) {
    absl::StrAppend(&text, ", ", databases, " databases have found none");
  }
  return absl::StrCat(text, ", and writes need ", options_.free_bytes_min);
}

// The log and the databases may be on file systems of their own: what counts is the fullest.
bool Node::MeasureFree() {
  uint64_t least = UINT64_MAX;
  for (const absl::string_view part : {"", "log", "groups"}) {
    const std::string path = part.empty() ? options_.data : JoinPath(options_.data, part);
    const auto free = seams_.file_system.FreeBytes(path);
    if (!free.ok() || *free >= least) continue;  // not made yet: on the same disk as its parent
    least = *free;
    free_least_ = path;
  }
  if (least != UINT64_MAX) free_bytes_ = least;
  return least != UINT64_MAX;
}

void Node::Drain(Duration timeout, std::function<void(size_t)> done) {
  executor_->Post([this, timeout, done = std::move(done)]() mutable {
    draining_ = true;
    if (agent_ != nullptr) agent_->ReportNow();
    Instant deadline = seams_.clock.Now();
    deadline.raw += timeout;
    deadline.boot += timeout;
    DrainStep(deadline, std::make_shared<std::function<void(size_t)>>(std::move(done)));
  });
}

// The partition takes back what it has leased, and then lets go.
void Node::HandOver(const std::shared_ptr<replication::Replica>& replica,
                    replication::ReplicaId to) {
  replica->applier().Post([this, replica, to] {
    if (Partition* partition = registry_.Open(replica->group())) partition->HandOver(replica, to);
  });
}

size_t Node::HandOverAll() {
  size_t led = 0;
  if (runtime_ == nullptr) return led;
  for (const auto& replica : runtime_->Replicas()) {
    const replication::ReplicaView view = replica->view();
    if (view.role != replication::Role::kLeader) continue;
    // Nobody else can take over what has one voter.
    if (view.configuration.voters.size() < 2) continue;
    ++led;
    if (view.transferee != 0) continue;
    for (const replication::Member& voter : view.configuration.voters) {
      const auto& near = view.caught_up;
      const bool fit = std::find(near.begin(), near.end(), voter.replica) != near.end();
      if (voter.replica == replica->id() || !fit) continue;
      HandOver(replica, voter.replica);
      break;
    }
  }
  return led;
}

void Node::DrainStep(Instant deadline, std::shared_ptr<std::function<void(size_t)>> done) {
  constexpr Duration kStep = std::chrono::milliseconds(100);
  const size_t led = HandOverAll();
  const Instant now = seams_.clock.Now();
  if (led == 0 || HolderElapsed(deadline, now) >= Duration(0)) return (*done)(led);
  executor_->PostAfter(kStep, [this, deadline, done] { DrainStep(deadline, done); });
}

}  // namespace ringleader
