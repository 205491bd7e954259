#include "coordinator/formation.h"

#include <algorithm>
#include <utility>

#include "common/build_info.h"
#include "common/check.h"
#include "common/logging.h"
#include "coordinator/metadata.h"

namespace ringleader::coordinator {

Formation::Formation(const FormationOptions& options, IdentityFile& identity, UnaryClient& client,
                     Executor& control, Random random, std::function<void()> placed,
                     std::function<void(const absl::Status&)> failed)
    : options_(options),
      identity_(identity),
      client_(client),
      control_(control),
      random_(random),
      placed_(std::move(placed)),
      failed_(std::move(failed)) {
  CHECK_LE(self(), options_.addresses.size());
  for (uint64_t id = 1; id <= options_.addresses.size(); ++id) {
    if (id != self()) peers_[id];
  }
}

void Formation::Start() {
  if (placed()) {
    placed_();
    return;
  }
  LogInfo("coordinator ", self() - 1, " has no data: it looks for the others");
  Round();
}

void Formation::Round() {
  if (placed()) return;
  FormIfAllAgree();
  if (placed()) return;
  for (const auto& [id, peer] : peers_) {
    if (!peer.asked) Ask(id);
  }
  if (foreign_plan_.formation() != 0 && !rejoining_) {
    do {
      rejoin_at_ = rejoin_at_ % options_.addresses.size() + 1;
    } while (rejoin_at_ == self());
    Rejoin(options_.addresses[rejoin_at_ - 1]);
  }
  control_.PostAfter(options_.retry_period, [this] { Round(); });
}

// --- Hello --------------------------------------------------------------------------------------

v1::HelloResponse Formation::Hello(const v1::HelloRequest& request) {
  const v1::CoordinatorIdentity& identity = identity_.identity();
  if (request.from() == 1 && !placed()) first_incarnation_ = request.incarnation();
  v1::HelloResponse response;
  response.set_coordinator(self());
  response.set_incarnation(identity.incarnation());
  response.set_version(std::string(BuildVersion()));
  *response.mutable_versions() = VersionsMessage(options_.versions);
  response.set_formed(identity.plan().formation() != 0);
  if (response.formed()) *response.mutable_plan() = identity.plan();
  return response;
}

v1::HelloRequest Formation::Greeting() const {
  v1::HelloRequest request;
  request.set_from(self());
  request.set_incarnation(identity_.identity().incarnation());
  return request;
}

// Within the time of whoever asked because of it.
void Formation::AskIncarnation(uint64_t coordinator,
                               std::function<void(uint64_t incarnation)> told) {
  client_.Call(options_.addresses.at(coordinator - 1), kHelloMethod, Greeting().SerializeAsString(),
               {.timeout = options_.call_timeout / 2},
               [coordinator, told = std::move(told)](const absl::StatusOr<std::string>& answer) {
                 v1::HelloResponse said;
                 const bool is_it = answer.ok() && said.ParseFromString(*answer) &&
                                    said.coordinator() == coordinator;
                 told(is_it ? said.incarnation() : 0);
               });
}

void Formation::Ask(uint64_t coordinator) {
  peers_.at(coordinator).asked = true;
  client_.Call(options_.addresses[coordinator - 1], kHelloMethod, Greeting().SerializeAsString(),
               {.timeout = options_.call_timeout},
               [this, coordinator](absl::StatusOr<std::string> answer) {
                 Peer& peer = peers_.at(coordinator);
                 peer.asked = peer.unformed = false;
                 v1::HelloResponse response;
                 if (!answer.ok() || !response.ParseFromString(*answer)) return;
                 Answered(coordinator, response);
               });
}

void Formation::Answered(uint64_t coordinator, const v1::HelloResponse& response) {
  if (placed()) return;
  if (response.coordinator() != coordinator) {
    LogError(options_.addresses[coordinator - 1], " is coordinator ", response.coordinator() - 1,
             ", not ", coordinator - 1, ": --coordinators must list the same addresses everywhere");
    return;
  }
  if (!response.formed()) {
    Peer& peer = peers_.at(coordinator);
    peer.unformed = true;
    peer.incarnation = response.incarnation();
    peer.versions = VersionsOf(response.versions());
    FormIfAllAgree();
    return;
  }
  if (const absl::Status status = ValidatePlan(response.plan()); !status.ok()) {
    LogError("coordinator ", coordinator - 1, " tells a plan that is none: ", status.ToString());
    return;
  }
  // An answer from before the first coordinator lost its disk: what it formed is gone with it.
  if (coordinator == 1 && first_incarnation_ != 0 && first_incarnation_ != response.incarnation()) {
    return;
  }
  Adopt(response.plan());
}

void Formation::FormIfAllAgree() {
  if (self() != 1) return;
  for (const auto& [id, peer] : peers_) {
    if (!peer.unformed) return;
  }
  VersionRange versions = options_.versions;  // that all can run
  for (const auto& [id, peer] : peers_) {
    versions.oldest = std::max(versions.oldest, peer.versions.oldest);
    versions.newest = std::min(versions.newest, peer.versions.newest);
  }
  if (versions.oldest > versions.newest) {
    LogError("no cluster is formed: there is no cluster version that all coordinators can run");
    return;
  }
  v1::FormationPlan plan;
  plan.set_formation(random_.Next() | 1);
  plan.add_incarnations(identity_.identity().incarnation());
  for (const auto& [id, peer] : peers_) plan.add_incarnations(peer.incarnation);
  plan.set_partitions(options_.partitions);
  plan.set_replicas(options_.replicas);
  plan.set_cluster_version(versions.newest);
  CHECK_OK(ValidatePlan(plan));
  LogInfo("all ", options_.addresses.size(), " coordinators are here: forming cluster ",
          plan.formation(), " at version ", plan.cluster_version());
  Place(plan, self(), false);
}

void Formation::Adopt(const v1::FormationPlan& plan) {
  if (plan.incarnations_size() != static_cast<int>(options_.addresses.size())) {
    LogError("the cluster was formed by ", plan.incarnations_size(),
             " coordinators; --coordinators lists ", options_.addresses.size());
    return;
  }
  if (plan.incarnations(static_cast<int>(self()) - 1) == identity_.identity().incarnation()) {
    Place(plan, self(), false);
    return;
  }
  if (foreign_plan_.formation() == 0) {
    LogInfo("cluster ", plan.formation(),
            " is formed; this coordinator has lost its data and "
            "asks for a new replica");
  }
  foreign_plan_ = plan;
}

// --- Rejoin -------------------------------------------------------------------------------------

void Formation::Rejoin(const std::string& address) {
  rejoining_ = true;
  v1::RejoinRequest request;
  request.set_coordinator(self());
  request.set_incarnation(identity_.identity().incarnation());
  client_.Call(address, kRejoinMethod, request.SerializeAsString(),
               {.timeout = options_.call_timeout}, [this](absl::StatusOr<std::string> answer) {
                 rejoining_ = false;
                 v1::RejoinResponse response;
                 if (answer.ok() && response.ParseFromString(*answer)) Rejoined(response);
               });
}

void Formation::Rejoined(const v1::RejoinResponse& response) {
  if (placed()) return;
  if (response.outcome().error() == v1::ERROR_NONE && response.replica() != 0) {
    Place(foreign_plan_, response.replica(), true);
  }
}

void Formation::Place(const v1::FormationPlan& plan, uint64_t replica, bool made) {
  CHECK(!placed());
  v1::CoordinatorIdentity identity = identity_.identity();
  *identity.mutable_plan() = plan;
  identity.set_replica(replica);
  identity.set_replica_made(made);
  if (const absl::Status status = identity_.Replace(std::move(identity)); !status.ok()) {
    failed_(status);
    return;
  }
  placed_();
}

}  // namespace ringleader::coordinator
