// What is asked of a cluster when its faults are over.
#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/status.h"
#include "coordinator/placement.h"
#include "tests/simulation/cluster_world.h"
#include "tests/simulation/voters_in_doubt.h"

namespace ringleader::simulation {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds(5);

class OneAnswer : public CallHandler {
 public:
  struct Answer {
    std::string message;
    std::optional<absl::Status> end;
  };
  explicit OneAnswer(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
  void OnMessage(std::string message) override { answer_->message = std::move(message); }
  void OnEnd(const absl::Status& status) override { answer_->end = status; }

 private:
  const std::shared_ptr<Answer> answer_;
};

}  // namespace

bool ClusterWorld::StandsStillInDoubt() {
  for (const auto& [id, record] : Partitions()) {
    if (LeaderOf(id) != 0) continue;
    VotersInDoubt voters;
    for (const auto& voter : record.partition().replicas()) {
      const HostId host = HostOf(voter.node());
      voters.Add(host == 0 ? nullptr : machine(host).runtime(), id, voter.id());
    }
    if (!voters.MayStandStill()) continue;
    ++happened_["stands still: voters in doubt or lost"];
    return true;
  }
  return false;
}

bool ClusterWorld::Healthy(std::string* why_not) {
  if (!invariants_.IsNewest(MetadataTerm())) {
    *why_not = "nobody leads the metadata in the newest term that was seen";
    return false;
  }
  for (const auto& [host, machine] : machines_) {
    if (machine->starts > 0 && !machine->up()) {
      *why_not = absl::StrCat("host ", host, " is down: ", machine->refused.ToString());
      return false;
    }
  }
  const auto status = administration().Administer<coordinator::v1::StatusResponse>(
      "Status", coordinator::v1::StatusRequest());
  if (!status.ok()) {
    *why_not = absl::StrCat("no health: ", status.status().ToString());
    return false;
  }
  if (status->alarms_size() > 0) {
    *why_not = absl::StrJoin(status->alarms(), " ");
    return false;
  }
  for (const auto& partition : status->partitions()) {
    if (partition.moving().empty()) continue;
    *why_not = absl::StrCat("partition ", partition.partition(), " moves ", partition.moving());
    return false;
  }
  return true;
}

// By the word of who leads it, not of the coordinators.
bool ClusterWorld::HasItsMembers(const coordinator::v1::Partition& planned, size_t nodes_alive,
                                 std::string* why_not) const {
  const HostId leader = LeaderOf(planned.id());
  const auto replica = leader == 0 ? nullptr : machines_.at(leader)->runtime()->Find(planned.id());
  if (replica == nullptr) {
    *why_not = absl::StrCat("nobody leads partition ", planned.id());
    return false;
  }
  std::set<std::pair<uint64_t, uint64_t>> plan, members;
  std::set<uint64_t> on;
  for (const auto& each : planned.replicas()) plan.insert({each.id(), each.node()});
  const replication::Configuration configuration = replica->view().configuration;
  for (const replication::Member& voter : configuration.voters) {
    members.insert({voter.replica, voter.node});
    on.insert(voter.node);
  }
  const size_t wanted = std::min<size_t>(options_.replicas, nodes_alive);
  if (plan == members && on.size() == wanted && configuration.voters.size() == wanted &&
      configuration.outgoing.empty() && configuration.learners.empty()) {
    return true;
  }
  *why_not = absl::StrCat("partition ", planned.id(), " has the members ",
                          MembersText(configuration), ", planned ", planned.ShortDebugString());
  return false;
}

bool ClusterWorld::Placed(std::string* why_not) const {
  const HostId leader = MetadataLeader();
  if (leader == 0) {
    *why_not = "nobody leads the metadata";
    return false;
  }
  const coordinator::Metadata& metadata = machines_.at(leader)->coordinator->store().metadata();
  std::vector<coordinator::PlacementNode> nodes;
  std::map<uint64_t, std::string> zone_of;
  for (const auto& [id, record] : metadata.nodes()) {
    zone_of[id] = record.node().zone();
    if (record.node().alive()) nodes.push_back({id, record.node().zone()});
  }
  const size_t cap = coordinator::ZoneCap(nodes, options_.replicas);
  for (const auto& [id, record] : metadata.partitions()) {
    if (!HasItsMembers(record.partition(), nodes.size(), why_not)) return false;
    std::map<std::string, size_t> in_zone;
    for (const auto& replica : record.partition().replicas()) ++in_zone[zone_of[replica.node()]];
    for (const auto& [zone, count] : in_zone) {
      if (count <= cap) continue;
      *why_not = absl::StrCat("partition ", id, " has ", count, " replicas in ", zone, " of zones ",
                              "that need hold no more than ", cap);
      return false;
    }
  }
  return true;
}

absl::StatusOr<data::v1::Response> ClusterWorld::Ask(HostId host,
                                                     const data::v1::Request& request) {
  auto answer = std::make_shared<OneAnswer::Answer>();
  const auto call =
      observer_->Start(machine(host).address, absl::StrCat(kDataServicePrefix, "Execute"),
                       {.timeout = kAnswerWithin}, std::make_unique<OneAnswer>(answer));
  call->Send(request.SerializeAsString());
  call->Finish(absl::OkStatus());
  while (!answer->end.has_value()) CHECK(simulation_.Step());
  RETURN_IF_ERROR(*answer->end);
  data::v1::Response response;
  if (!response.ParseFromString(answer->message)) return absl::DataLossError("a broken answer");
  if (response.error() == data::v1::ERROR_NONE) return response;
  return absl::UnavailableError(response.message());
}

absl::StatusOr<std::string> ClusterWorld::Dump(HostId host, uint64_t partition) {
  data::v1::Request request;
  request.mutable_route()->set_partition(partition);
  request.set_table_name("things");
  request.mutable_scan()->set_consistency(data::v1::CONSISTENCY_EVENTUAL);
  std::string dump;
  while (true) {
    ASSIGN_OR_RETURN(const data::v1::Response response, Ask(host, request));
    for (const std::string& item : response.page().items()) absl::StrAppend(&dump, item, "\n");
    if (response.page().last_evaluated_key().empty()) return dump;
    request.mutable_scan()->set_exclusive_start_key(response.page().last_evaluated_key());
  }
}

bool ClusterWorld::ReplicasAgree(std::string* why_not) {
  for (const auto& [id, record] : Partitions()) {
    std::set<std::string> dumps;
    std::string found;
    for (const auto& replica : record.partition().replicas()) {
      const HostId host = HostOf(replica.node());
      if (host == 0) {
        *why_not = absl::StrCat("partition ", id, ": node ", replica.node(), " is not known");
        return false;
      }
      const auto dump = Dump(host, id);
      const auto open = machine(host).runtime() ? machine(host).runtime()->Find(id) : nullptr;
      absl::StrAppend(&found, " replica ", replica.id(), " on host ", host,
                      open == nullptr ? "" : absl::StrCat(", applied ", open->view().applied), ": ",
                      dump.ok() ? absl::StrCat(dump->size(), " bytes of items, CRC-32C ",
                                               absl::Hex(crc32c::Value(*dump)))
                                : dump.status().ToString(),
                      ";");
      dumps.insert(dump.ok() ? *dump : absl::StrCat("host ", host));
    }
    if (dumps.size() == 1) continue;
    *why_not = absl::StrCat("partition ", id, ":", found);
    return false;
  }
  return true;
}

bool ClusterWorld::CoordinatorsAgree(std::string* why_not) const {
  std::map<std::string, std::vector<HostId>> copies;
  std::map<HostId, uint64_t> versions;
  for (const auto& [host, machine] : machines_) {
    if (machine->coordinator == nullptr) continue;
    const coordinator::Metadata& metadata = machine->coordinator->store().metadata();
    copies[metadata.Image().SerializeAsString()].push_back(host);
    versions[host] = metadata.version();
  }
  if (copies.size() <= 1) return true;
  *why_not = "versions of their metadata:";
  for (const auto& [host, version] : versions) absl::StrAppend(why_not, " ", host, ": ", version);
  return false;
}

}  // namespace ringleader::simulation
