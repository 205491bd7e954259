// What a node says to the coordinators, and what it does at their orders. Each order names what it
// expects to find; what does not fit any more is dropped, and the next report shows the outcome.
#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/build_info.h"
#include "common/check.h"
#include "common/logging.h"
#include "node/node.h"
#include "node/order_fence.h"
#include "replication/configuration.h"

namespace ringleader {

using replication::Member;

coordinator::v1::RegisterRequest Node::Introduce() const {
  coordinator::v1::RegisterRequest request;
  request.set_incarnation(identity_.incarnation);
  request.set_formation(identity_.formation);
  request.set_address(options_.advertise);
  request.set_zone(options_.zone);
  request.set_admin_address(options_.admin_address);
  request.set_version(std::string(BuildVersion()));
  request.mutable_versions()->set_oldest(options_.versions.oldest);
  request.mutable_versions()->set_newest(options_.versions.newest);
  return request;
}

void Node::Outdated(const std::string& why) {
  options_.on_fatal(absl::FailedPreconditionError(why));
}

// Durable before it changes what this node does: an older build must not start from what follows.
void Node::TakeClusterVersion(uint32_t version) {
  if (version <= registry_.cluster_version()) return;
  if (version > options_.versions.newest) {
    return Outdated(absl::StrCat("the cluster is at version ", version, ", and this build runs ",
                                 options_.versions.Text(), ": another build has to be installed"));
  }
  const absl::Status saved = SaveClusterVersion(seams_.file_system, options_.data, version);
  if (!saved.ok()) {
    LogWarning("cluster version ", version, " can't be stored yet: ", saved.ToString());
    return;  // the next update of the map tells it again
  }
  LogInfo("the cluster is at version ", version);
  registry_.SetClusterVersion(version);
}

bool Node::Registered(const coordinator::v1::RegisterResponse& response) {
  if (identity_.node != 0) {
    if (response.node() == identity_.node && response.formation() == identity_.formation) {
      TakeClusterVersion(response.cluster_version());
      return true;
    }
    options_.on_fatal(absl::FailedPreconditionError(
        absl::StrCat(options_.data, " is node ", identity_.node, " of cluster ",
                     identity_.formation, "; the coordinators take it for node ", response.node(),
                     " of cluster ", response.formation())));
    return false;
  }
  NodeIdentity identity = identity_;
  identity.node = response.node();
  identity.formation = response.formation();
  if (identity.node == 0 || identity.formation == 0 ||
      (options_.formation != 0 && options_.formation != identity.formation)) {
    options_.on_fatal(absl::FailedPreconditionError("the coordinators are another cluster's"));
    return false;
  }
  absl::Status opened = SaveIdentity(seams_.file_system, options_.data, identity);
  identity_ = identity;
  TakeClusterVersion(response.cluster_version());
  if (opened.ok()) opened = OpenRuntime();
  if (opened.ok()) return true;
  options_.on_fatal(opened);
  return false;
}

void Node::ReportReplica(replication::Replica& replica,
                         coordinator::v1::ReplicaReport* report) const {
  const replication::ReplicaView view = replica.view();
  report->set_partition(replica.group());
  report->set_replica(replica.id());
  report->set_leads(view.serving);
  report->set_term(view.term);
  report->set_applied(view.applied);
  report->set_commit(view.commit);
  report->set_configuration_version(view.configuration.version);
  report->set_configuration_committed(view.configuration_index <= view.commit);
  report->set_joint(view.configuration.joint());
  if (!view.failure.ok()) report->set_failure(view.failure.ToString());
  if (view.rebuilding) report->set_failure("its state is being rebuilt from its peers");
  for (const Registry::RangeHash& hash : registry_.HashesOf(replica.group())) {
    coordinator::v1::RangeHash* out = report->add_hashes();
    out->set_index(hash.index);
    out->set_hash(hash.hash);
  }
  report->set_bad_file(registry_.BadFileOf(replica.group()));
  if (view.unfillable) {
    report->set_needs_replacement(true);
    report->set_failure("its group counts on it as a voter, and it has no log");
  }
  if (!view.serving) return;
  const auto add = [report](const Member& member, bool voter) {
    coordinator::v1::Replica* out = report->add_members();
    out->set_id(member.replica);
    out->set_node(member.node);
    out->set_voter(voter);
  };
  for (const Member& member : view.configuration.voters) add(member, true);
  for (const Member& member : view.configuration.learners) add(member, false);
  for (const replication::ReplicaId near : view.caught_up) report->add_caught_up(near);
  const Registry::AppliedTables tables =
      registry_.TablesOf(replica.group(), changing_tables_.ids());
  for (const uint64_t table : tables.live) report->add_applied_tables(table);
  for (const uint64_t table : tables.retired) report->add_retired_tables(table);
}

coordinator::v1::NodeReport Node::Report() {
  coordinator::v1::NodeReport report;
  report.set_node(identity_.node);
  report.set_draining(draining_);
  report.set_disk_stalled(!admission_.disk_fit());
  report.set_disk_full(disk_full_);
  report.set_free_bytes(free_bytes_);
  report.set_used_bytes(runtime_->log().statistics().bytes);
  for (const auto& replica : runtime_->Replicas()) {
    ReportReplica(*replica, report.add_replicas());
  }
  for (const auto& [group, why] : runtime_->damaged()) {
    coordinator::v1::ReplicaReport* damaged = report.add_replicas();
    damaged->set_partition(group);
    const auto state = runtime_->log().Group(group);
    if (state.has_value()) {
      damaged->set_replica(state->creation.replica);
      damaged->set_needs_replacement(state->suspect);
    }
    damaged->set_failure(why.ToString());
  }
  return report;
}

void Node::CarryOut(const coordinator::v1::NodeOrders& orders) {
  for (const auto& order : orders.create()) Create(order);
  for (const auto& order : orders.change()) Change(order);
  for (const auto& order : orders.destroy()) Destroy(order);
  for (const auto& order : orders.transfer()) {
    const auto replica = runtime_->Find(order.partition());
    if (replica == nullptr || !replica->view().serving) continue;
    HandOver(replica, order.to_replica());
  }
  for (const auto& order : orders.schema()) ApplySchema(order);
  for (const auto& order : orders.rebuild()) Rebuild(order);
}

void Node::Create(const coordinator::v1::CreateReplica& order) {
  replication::NewGroup group{.group = order.partition(), .replica = order.replica()};
  for (const coordinator::v1::Replica& voter : order.voters()) {
    group.configuration.voters.push_back({voter.id(), voter.node()});
  }
  std::sort(group.configuration.voters.begin(), group.configuration.voters.end());
  group.plan = order.plan();
  if (absl::Status valid = replication::ValidateConfiguration(group.configuration);
      !valid.ok() || group.group == 0 || order.first_token() > order.last_token()) {
    LogWarning("an order to create a replica of partition ", order.partition(), " makes no sense");
    return;
  }
  const auto known = runtime_->log().Group(group.group);
  // Unless a leader's message was faster than this order, and made what only the order can fill.
  const bool stub =
      known.has_value() && known->creation.replica == group.replica && known->is_stub();
  if (known.has_value() && !known->destroyed && !stub) return;
  const absl::Status saved =
      factory_->SavePlan(group.group, group.replica, {order.first_token(), order.last_token()});
  if (!saved.ok()) {
    LogWarning("partition ", group.group, ": its plan can't be stored: ", saved.ToString());
    return;
  }
  runtime_->CreateGroup(std::move(group), [id = order.partition()](const absl::Status& created) {
    if (!created.ok() && !absl::IsAlreadyExists(created)) {
      LogWarning("partition ", id, ": not created: ", created.ToString());
    }
  });
}

void Node::Change(const coordinator::v1::ChangeMembers& order) {
  const auto replica = runtime_->Find(order.partition());
  if (replica == nullptr) return;
  if (!MayChangeMembers(replica->view(), order)) return;
  std::vector<Member> voters;
  std::vector<Member> learners;
  for (const coordinator::v1::Replica& member : order.members()) {
    (member.voter() ? voters : learners).push_back({member.id(), member.node()});
  }
  std::sort(voters.begin(), voters.end());
  std::sort(learners.begin(), learners.end());
  replica->ChangeMembers(
      std::move(voters), std::move(learners),
      [id = order.partition()](const auto& begun) {
        if (begun.ok()) LogInfo("partition ", id, ": its members change");
      },
      order.expected_version());
}

void Node::Destroy(const coordinator::v1::DestroyReplica& order) {
  const replication::GroupId group = order.partition();
  const replication::ReplicaId replica = order.replica();
  runtime_->DestroyReplica(group, replica, [this, group, replica](const absl::Status& status) {
    if (status.ok()) factory_->RemovePlan(group, replica);
  });
}

void Node::Rebuild(const coordinator::v1::RebuildReplica& order) {
  if (!order.bad_file().empty()) {
    return scrub_->Rebuild(order.partition(), order.replica(), order.bad_file());
  }
  const Registry::RangeHash odd{order.hash().index(), order.hash().hash()};
  const std::deque<Registry::RangeHash> hashes = registry_.HashesOf(order.partition());
  if (std::find(hashes.begin(), hashes.end(), odd) == hashes.end()) return;
  runtime_->RebuildReplica(
      order.partition(), order.replica(),
      absl::DataLossError(absl::StrCat("its state is not its peers' at index ", odd.index)));
}

void Node::ApplySchema(const coordinator::v1::ApplySchema& order) {
  const auto replica = runtime_->Find(order.partition());
  if (replica == nullptr) return;
  auto record = MakeTableRecord(order.table());
  if (!record.ok()) {
    LogWarning("table ", order.table().id(), ": ", record.status().ToString());
    return;
  }
  replica->applier().Post([this, replica, record = *std::move(record)] {
    if (Partition* partition = registry_.Open(replica->group())) {
      partition->ProposeTable(replica, record);
    }
  });
}

void Node::TakeMap(const coordinator::v1::MapUpdate& update) {
  TakeClusterVersion(update.cluster_version());
  changing_tables_.Take(update);
  if (update.complete()) peers_.clear();
  for (const coordinator::v1::Node& node : update.nodes()) {
    if (node.id() == identity_.node || node.address().empty()) continue;
    peers_[node.id()] = node.address();
  }
  FindPeers();
  if (peers_ == saved_peers_) return;
  const absl::Status saved = SavePeers(seams_.file_system, options_.data, peers_);
  if (saved.ok()) {
    saved_peers_ = peers_;
  } else {  // with the next update again
    LogWarning("the next start won't know its peers: ", saved.ToString());
  }
}

void Node::FindPeers() {
  for (const auto& [node, address] : peers_) {
    registry_.SetAddress(node, address);
    runtime_->transport().SetAddress(node, address);
  }
}

}  // namespace ringleader
