#include "coordinator/coordinator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/logging.h"
#include "common/status.h"

namespace ringleader::coordinator {
namespace {

using replication::Configuration;
using replication::NewGroup;
using replication::Runtime;

constexpr Duration kTickPeriod = std::chrono::milliseconds(200);
constexpr uint64_t kPingTicks = 10;
constexpr Duration kPingTimeout = std::chrono::seconds(1);
constexpr int kHandOverTicks = 20;
// "/ringleader.replication.v1.Lanes/" of a lane's method.
std::string LanePrefix() {
  const absl::string_view method = replication::LaneMethod(replication::Lane::kControl);
  return std::string(method.substr(0, method.rfind('/') + 1));
}

absl::Status CheckOptions(const CoordinatorOptions& options) {
  if (options.number == 0 || options.number > options.addresses.size()) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", options.addresses.size(),
                                                   " coordinators; this can't be number ",
                                                   static_cast<int64_t>(options.number) - 1));
  }
  if (options.addresses.size() > kCoordinatorsMax) {
    return absl::InvalidArgumentError(absl::StrCat("at most ", kCoordinatorsMax, " coordinators"));
  }
  v1::FormationPlan plan;
  plan.set_formation(1);
  plan.add_incarnations(1);
  plan.set_partitions(options.partitions);
  plan.set_replicas(options.replicas);
  return ValidatePlan(plan);
}

}  // namespace

Coordinator::Coordinator(const CoordinatorOptions& options, const replication::RuntimeSeams& seams,
                         Random random)
    : options_(options), seams_(seams), random_(random) {}

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(
    const CoordinatorOptions& options, const replication::RuntimeSeams& seams, Random random) {
  RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<Coordinator> coordinator(new Coordinator(options, seams, random));
  RETURN_IF_ERROR(coordinator->Open());
  return coordinator;
}

absl::Status Coordinator::Open() {
  ASSIGN_OR_RETURN(identity_, IdentityFile::Open(seams_.file_system, options_.directory,
                                                 options_.cluster, options_.number, random_));
  control_ = seams_.threads.Start("control");
  store_ = std::make_unique<MetadataStore>(*control_);
  DirectorOptions director;
  director.balancer = options_.balancer;
  director.addresses = options_.addresses;
  director_ = std::make_unique<Director>(director, *store_, *control_, seams_.clock);
  client_ = std::make_unique<UnaryClient>(seams_.network, *control_);
  FormationOptions formation;
  formation.addresses = options_.addresses;
  formation.partitions = options_.partitions;
  formation.replicas = options_.replicas;
  formation.versions = options_.versions;
  formation_ = std::make_unique<Formation>(
      formation, *identity_, *client_, *control_, random_.Fork(), [this] { Placed(); },
      [this](const absl::Status& status) { Fail(status); });
  factory_ =
      std::make_unique<MetadataMachineFactory>(seams_.file_system, *store_, options_.versions);

  formation_service_ = std::make_unique<FormationService>(*control_, *formation_, *director_,
                                                          [this] { return Missing(); });
  membership_service_ = std::make_unique<MembershipService>(*control_, *director_);
  cluster_service_ = std::make_unique<ClusterService>(*control_, *director_, seams_.clock, *client_,
                                                      options_.addresses[options_.number - 1]);
  dispatch_.Add("/ringleader.coordinator.v1.Formation/", formation_service_.get());
  dispatch_.Add("/ringleader.coordinator.v1.Membership/", membership_service_.get());
  dispatch_.Add("/ringleader.coordinator.v1.Cluster/", cluster_service_.get());
  data_door_ = std::make_unique<DataDoor>(options_.data, seams_.network, seams_.threads,
                                          seams_.clock, random_.Fork());
  director_->FollowMap([this](v1::MapUpdate map) {
    data_door_->ApplyMap(std::move(map),
                         [this] { control_->Post([this] { director_->FollowFromStart(); }); });
  });
  dispatch_.Add(std::string(client::kDataServicePrefix), data_door_.get());
  dispatch_.Add(LanePrefix(), &lanes_);
  const std::string listen =
      options_.listen.empty() ? options_.addresses[options_.number - 1] : options_.listen;
  ASSIGN_OR_RETURN(listener_, seams_.network.Listen(listen, &dispatch_));
  control_->Post([this] {
    formation_->Start();
    director_->Start();
  });
  return absl::OkStatus();
}

Coordinator::~Coordinator() {
  listener_ = nullptr;
  client_ = nullptr;
  if (control_ != nullptr) control_->Stop();
  data_door_ = nullptr;
  runtime_ = nullptr;
}

void Coordinator::Fail(const absl::Status& status) {
  if (std::exchange(failed_, true)) return;
  LogError("this coordinator can't go on: ", status.ToString());
  if (options_.on_fatal) options_.on_fatal(status);
}

// --- The log ------------------------------------------------------------------------------------

void Coordinator::Placed() {
  if (const absl::Status status = OpenRuntime(); !status.ok()) return Fail(status);
  if (!identity().replica_made()) MakeReplica();
  Tick();
}

absl::Status Coordinator::OpenRuntime() {
  replication::RuntimeOptions options = options_.runtime;
  options.cluster = identity().plan().formation();
  options.node = options_.number;
  options.directory = options_.directory;
  options.log.entropy = random_.Next() | 1;
  options.on_fatal = [this](const absl::Status& status) {
    control_->Post([this, status] { Fail(status); });
  };
  ASSIGN_OR_RETURN(runtime_, Runtime::Open(options, seams_, *factory_, random_.Fork()));
  RETURN_IF_ERROR(CheckOldLog());
  for (uint64_t id = 1; id <= options_.addresses.size(); ++id) {
    if (id != options_.number) runtime_->transport().SetAddress(id, options_.addresses[id - 1]);
  }
  store_->Attach(runtime_.get());
  lanes_.Set(&runtime_->transport());
  return absl::OkStatus();
}

// A log that was there and is gone held this replica's votes.
absl::Status Coordinator::CheckOldLog() const {
  const bool founder = identity().replica() == options_.number;
  if (!founder || !identity().replica_made() || runtime_->log().Group(kMetadataGroup).has_value()) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      options_.directory, " has lost its log; empty the directory to rejoin the cluster"));
}

// From the durable plan, as often as it takes; never again once it is known to be made.
void Coordinator::MakeReplica() {
  NewGroup group{.group = kMetadataGroup, .replica = identity().replica()};
  for (uint64_t id = 1; id <= options_.addresses.size(); ++id) {
    group.configuration.voters.push_back({.replica = id, .node = id});
  }
  group.plan = identity().plan().SerializeAsString();
  runtime_->CreateGroup(std::move(group), [this](const absl::Status& status) {
    control_->Post([this, status] { ReplicaMade(status); });
  });
}

void Coordinator::ReplicaMade(const absl::Status& status) {
  if (absl::IsResourceExhausted(status) || absl::IsUnavailable(status)) {
    control_->PostAfter(kTickPeriod, [this] { MakeReplica(); });
    return;
  }
  // The leader may have been quicker: what it made here is an empty replica that never votes before
  // it has the log.
  if (!status.ok() && !absl::IsAlreadyExists(status)) return Fail(status);
  v1::CoordinatorIdentity made = identity();
  made.set_replica_made(true);
  if (const absl::Status written = identity_->Replace(std::move(made)); !written.ok()) {
    Fail(written);
  }
}

void Coordinator::Tick() {
  if (failed_) return;
  // Nothing but another build helps.
  const auto damaged = runtime_->damaged();
  if (const auto found = damaged.find(kMetadataGroup);
      found != damaged.end() && absl::IsFailedPrecondition(found->second)) {
    return Fail(found->second);
  }
  // What leads has applied everything.
  if (store_->leads() && store_->metadata().formed() &&
      store_->metadata().cluster_version() < options_.versions.oldest) {
    return Fail(absl::FailedPreconditionError(
        absl::StrCat("the cluster is at version ", store_->metadata().cluster_version(),
                     ", and this build runs ", options_.versions.Text(),
                     ": it has to be raised by an older build first")));
  }
  // A leader that does not know yet that this coordinator lost its data talks to its old replica,
  // which stands in the new one's place: it has to go.
  const auto replica = store_->replica();
  if (replica != nullptr && replica->id() < identity().replica()) {
    runtime_->DestroyReplica(kMetadataGroup, replica->id(), [](const absl::Status&) {});
  }
  if (store_->leads() && !store_->metadata().formed() && !std::exchange(founding_, true)) {
    v1::Command command;
    *command.mutable_found_cluster() = identity().plan();
    store_->Propose(std::move(command), [this](const CommandOutcome&) { founding_ = false; });
  }
  if (store_->leads() && store_->metadata().formed() && ++ticks_ % kPingTicks == 0) {
    PingCoordinators();
  }
  control_->PostAfter(kTickPeriod, [this] { Tick(); });
}

// For Status, who of the others is there; for the cluster's version, which builds they all are.
void Coordinator::PingCoordinators() {
  v1::HelloRequest request;
  request.set_from(options_.number);
  request.set_incarnation(identity().incarnation());
  director_->CoordinatorHeard(options_.number, absl::StrJoin(Missing(), " "));
  RecordBuild(formation_->Hello(request));
  for (uint64_t id = 1; id <= options_.addresses.size(); ++id) {
    if (id == options_.number) continue;
    client_->Call(options_.addresses[id - 1], kHelloMethod, request.SerializeAsString(),
                  {.timeout = kPingTimeout}, [this, id](const absl::StatusOr<std::string>& answer) {
                    v1::HelloResponse said;
                    if (!answer.ok() || !said.ParseFromString(*answer)) return;
                    director_->CoordinatorHeard(id, absl::StrJoin(said.missing(), " "));
                    if (said.coordinator() == id) RecordBuild(said);
                  });
  }
}

// One at a time; the others come with their next answers.
void Coordinator::RecordBuild(const v1::HelloResponse& said) {
  const auto& coordinators = store_->metadata().coordinators();
  const auto found = coordinators.find(said.coordinator());
  if (recording_ || !store_->leads() || found == coordinators.end()) return;
  const v1::CoordinatorRecord& known = found->second;
  if (known.incarnation() != said.incarnation()) return;  // it has not rejoined yet
  v1::Command command;
  v1::DescribeCoordinator& describe = *command.mutable_describe_coordinator();
  describe.set_coordinator(said.coordinator());
  describe.set_incarnation(said.incarnation());
  describe.set_version(said.version());
  *describe.mutable_versions() = VersionsMessage(VersionsOf(said.versions()));
  if (known.has_versions() && known.version() == describe.version() &&
      known.versions().SerializeAsString() == describe.versions().SerializeAsString()) {
    return;
  }
  recording_ = true;
  store_->Propose(std::move(command), [this](const CommandOutcome&) { recording_ = false; });
}

// --- The end ------------------------------------------------------------------------------------

void Coordinator::HandOver(Task done) {
  data_door_->Leave([this, done = std::move(done)]() mutable {
    control_->Post(
        [this, done = std::move(done)]() mutable { HandLeadershipOver(std::move(done)); });
  });
}

void Coordinator::HandLeadershipOver(Task done) {
  const auto replica = store_->replica();
  if (!store_->leads() || replica == nullptr) return done();
  replication::ReplicaId target = 0;
  for (const auto& voter : replica->view().configuration.voters) {
    if (voter.replica != replica->id()) target = voter.replica;
  }
  if (target == 0) return done();
  replica->Transfer(target, [](const absl::Status& status) {
    if (!status.ok()) LogInfo("handing leadership over: ", status.ToString());
  });
  WaitHandedOver(kHandOverTicks, std::move(done));
}

void Coordinator::WaitHandedOver(int ticks_left, Task done) {
  if (!store_->leads() || ticks_left == 0) return done();
  control_->PostAfter(std::chrono::milliseconds(100),
                      [this, ticks_left, done = std::move(done)]() mutable {
                        WaitHandedOver(ticks_left - 1, std::move(done));
                      });
}

}  // namespace ringleader::coordinator
