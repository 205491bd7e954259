#include "tests/unit/client/fake_cluster.h"

#include "absl/strings/str_cat.h"
#include "client/map.h"
#include "client/request_key.h"
#include "common/check.h"
#include "model/item_codec.h"

namespace ringleader::client {

using data::v1::Request;
using data::v1::Response;

// One process: its place in the network and its service.
class FakeNode : public Service {
 public:
  FakeNode(FakeCluster& cluster, uint64_t node, const std::string& address)
      : cluster_(cluster), node_(node) {
    endpoint_ = cluster.network_.NewEndpoint(node + 1, [] { return false; });
    auto listener = endpoint_->Listen(address, this);
    CHECK_OK(listener);
    listener_ = *std::move(listener);
  }

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    if (incoming.method == "/ringleader.coordinator.v1.Cluster/Watch" && node_ == 0) {
      ++cluster_.watches;
      return std::unique_ptr<CallHandler>(new WatchHandler(cluster_, incoming.call));
    }
    if (incoming.method == "/ringleader.coordinator.v1.Cluster/DescribeTable" && node_ == 0) {
      ++cluster_.descriptions;
      return std::unique_ptr<CallHandler>(new DescribeHandler(cluster_, incoming.call));
    }
    if (incoming.method == "/ringleader.data.v1.Data/Exchange") {
      return std::unique_ptr<CallHandler>(new ExchangeHandler(cluster_, node_, incoming.call));
    }
    if (cluster_.lanes != nullptr) return cluster_.lanes->Accept(incoming);
    return absl::UnimplementedError(incoming.method);
  }

 private:
  class WatchHandler : public CallHandler {
   public:
    WatchHandler(FakeCluster& cluster, std::shared_ptr<Call> call)
        : cluster_(cluster), call_(std::move(call)) {}
    void OnMessage(std::string message) override {
      coordinator::v1::WatchRequest request;
      CHECK(request.ParseFromString(message));
      call_->Send(cluster_.Map(true).SerializeAsString());
      cluster_.watchers_.push_back(call_);
    }
    void OnEnd(const absl::Status&) override {}

   private:
    FakeCluster& cluster_;
    std::shared_ptr<Call> call_;
  };

  class DescribeHandler : public CallHandler {
   public:
    DescribeHandler(FakeCluster& cluster, std::shared_ptr<Call> call)
        : cluster_(cluster), call_(std::move(call)) {}
    void OnMessage(std::string message) override {
      if (!cluster_.describe) return;
      coordinator::v1::TableRequest request;
      CHECK(request.ParseFromString(message));
      call_->Send(cluster_.describe(request.name()).SerializeAsString());
      call_->Finish(absl::OkStatus());
    }
    void OnEnd(const absl::Status&) override {}

   private:
    FakeCluster& cluster_;
    std::shared_ptr<Call> call_;
  };

  class ExchangeHandler : public CallHandler {
   public:
    ExchangeHandler(FakeCluster& cluster, uint64_t node, std::shared_ptr<Call> call)
        : cluster_(cluster), node_(node), call_(std::move(call)) {}

    void OnMessage(std::string message) override {
      data::v1::RequestFrame frame;
      CHECK(frame.ParseFromString(message));
      ++cluster_.frames;
      cluster_.largest_frame =
          std::max(cluster_.largest_frame, static_cast<size_t>(frame.requests_size()));
      data::v1::ResponseFrame answers;
      for (const Request& request : frame.requests()) {
        ++cluster_.requests[node_];
        const Treatment treatment =
            cluster_.treat ? cluster_.treat(node_, request) : Treatment::kServe;
        if (treatment == Treatment::kBreak) return Break();
        if (treatment == Treatment::kIgnore) continue;
        Response response;
        if (!cluster_.answer || !cluster_.answer(node_, request, &response)) {
          cluster_.Handle(node_, request, &response);
        }
        if (treatment == Treatment::kServeAndBreak) return Break();
        response.set_id(request.id());
        if (treatment == Treatment::kServe) *answers.add_responses() = std::move(response);
      }
      if (answers.responses_size() > 0) call_->Send(answers.SerializeAsString());
    }
    void OnEnd(const absl::Status&) override {}

   private:
    void Break() { call_->Finish(absl::UnavailableError("the stream broke")); }

    FakeCluster& cluster_;
    const uint64_t node_;
    std::shared_ptr<Call> call_;
  };

  FakeCluster& cluster_;
  const uint64_t node_;
  std::unique_ptr<Network> endpoint_;
  std::unique_ptr<Listener> listener_;
};

FakeCluster::FakeCluster(simulation::Simulation& simulation, simulation::SimulatedNetwork& network)
    : describe([](const std::string& name) {
        coordinator::v1::TableResponse response;
        if (name == "users") {
          response.mutable_table()->set_state(coordinator::v1::TABLE_STATE_ACTIVE);
        } else {
          response.mutable_outcome()->set_error(coordinator::v1::ERROR_NOT_FOUND);
        }
        return response;
      }),
      simulation_(simulation),
      network_(network) {
  constexpr uint64_t kSlice = (uint64_t{1} << 63) / (kPartitions / 2);
  for (uint64_t i = 0; i < kPartitions; ++i) {
    auto& partition = partitions_[i + 1].description;
    partition.set_id(i + 1);
    partition.set_first_token(i * kSlice);
    partition.set_last_token(i * kSlice + (kSlice - 1));
    partition.set_epoch(1);
    for (uint64_t node = 1; node <= kNodes; ++node) {
      auto* replica = partition.add_replicas();
      replica->set_id(10 * i + node);
      replica->set_node(node);
      replica->set_voter(true);
    }
    partition.set_leader_node(i % kNodes + 1);
    partition.set_leader_term(1);
  }
  nodes_[0] = std::make_unique<FakeNode>(*this, 0, CoordinatorAddress());
  for (uint64_t node = 1; node <= kNodes; ++node) StartNode(node);
}

FakeCluster::~FakeCluster() = default;

std::string FakeCluster::NodeAddress(uint64_t node) { return absl::StrCat("node-", node, ":7100"); }

void FakeCluster::StartNode(uint64_t node) {
  nodes_[node] = std::make_unique<FakeNode>(*this, node, NodeAddress(node));
}

void FakeCluster::StopNode(uint64_t node) { nodes_.erase(node); }

void FakeCluster::SetLeader(uint64_t partition, uint64_t node) {
  auto& description = partitions_.at(partition).description;
  description.set_leader_node(node);
  description.set_leader_term(description.leader_term() + 1);
}

void FakeCluster::Split(uint64_t partition) {
  Partition& parent = partitions_.at(partition);
  const uint64_t id = partitions_.rbegin()->first + 1;
  Partition child = parent;  // the records of its sessions too
  const uint64_t middle = parent.description.first_token() +
                          (parent.description.last_token() - parent.description.first_token()) / 2;
  parent.description.set_last_token(middle);
  parent.description.set_epoch(parent.description.epoch() + 1);
  child.description.set_id(id);
  child.description.set_first_token(middle + 1);
  child.description.set_epoch(parent.description.epoch());
  partitions_[id] = std::move(child);
}

coordinator::v1::MapUpdate FakeCluster::Map(bool complete) const {
  coordinator::v1::MapUpdate update;
  update.set_formation(99);
  update.set_version(version_);
  update.set_complete(complete);
  for (uint64_t node = 1; node <= kNodes; ++node) {
    auto* description = update.add_nodes();
    description->set_id(node);
    description->set_address(NodeAddress(node));
    description->set_alive(true);
  }
  for (const auto& [id, partition] : partitions_) *update.add_partitions() = partition.description;
  update.add_coordinators(CoordinatorAddress());
  if (hides_table) return update;
  auto* table = update.add_tables();
  table->set_id(table_id);
  table->set_name("users");
  table->set_state(coordinator::v1::TABLE_STATE_ACTIVE);
  table->set_schema_version(1);
  table->mutable_schema()->mutable_partition_key()->set_name("id");
  return update;
}

void FakeCluster::Publish(bool complete) {
  ++version_;
  const std::string update = Map(complete).SerializeAsString();
  for (const auto& weak : watchers_) {
    if (const auto call = weak.lock(); call != nullptr) call->Send(update);
  }
}

FakeCluster::Partition* FakeCluster::Owner(const Request& request) {
  const auto map = Map(true);
  const auto token = TokenOfRequest(request, SchemaOf(map.tables(0)));
  CHECK_OK(token);
  if (request.has_scan()) {
    const auto found = partitions_.find(request.route().partition());
    return found == partitions_.end() ? nullptr : &found->second;
  }
  for (auto& [id, partition] : partitions_) {
    if (partition.description.first_token() <= **token &&
        **token <= partition.description.last_token()) {
      return &partition;
    }
  }
  return nullptr;
}

void FakeCluster::Handle(uint64_t node, const Request& request, Response* response) {
  if (request.table_id() != table_id) {
    CHECK_EQ(request.table_id(), kTable) << "a request without its table's id";
    response->set_error(data::v1::ERROR_TABLE_NOT_FOUND);
    return;
  }
  CHECK_GT(request.timeout_ms(), 0u);
  Partition* partition = Owner(request);
  CHECK(partition != nullptr);
  const auto& truth = partition->description;
  const bool is_route_old = request.has_route() && (request.route().partition() != truth.id() ||
                                                    request.route().epoch() != truth.epoch());
  if (node != 0 && (truth.leader_node() != node || is_route_old)) {
    response->set_error(data::v1::ERROR_WRONG_ROUTE);
    auto* hint = response->mutable_route_hint();
    if (stale_hints.contains(node)) {
      *hint = stale_hints.at(node);
    } else if (gives_hints && !is_route_old) {
      hint->set_partition(truth.id());
      hint->set_epoch(truth.epoch());
      hint->set_term(truth.leader_term());
      hint->set_leader_node(truth.leader_node());
      hint->set_leader_address(NodeAddress(truth.leader_node()));
    }
    return;
  }
  if (request.has_scan()) return ScanPartition(*partition, request, response);
  Apply(*partition, request, response);
}

void FakeCluster::Apply(Partition& partition, const Request& request, Response* response) {
  if (request.has_get()) {
    const auto found = items.find(request.get().key());
    response->set_found(found != items.end());
    if (found != items.end()) response->set_item(found->second);
    return;
  }
  const auto& session = request.session();
  CHECK(session.session() != 0 && session.sequence() != 0) << "a write without a session";
  CHECK_LE(session.lowest_outstanding(), session.sequence());
  auto& records = partition.sessions[session.session()];
  uint64_t& lowest = partition.lowest[session.session()];
  lowest = std::max(lowest, session.lowest_outstanding());
  records.erase(records.begin(), records.lower_bound(lowest));
  if (session.sequence() < lowest) return response->set_error(data::v1::ERROR_SESSION_EXPIRED);
  if (const auto found = records.find(session.sequence()); found != records.end()) {
    *response = found->second;
    return;
  }
  ++applied[{session.session(), session.sequence()}];
  if (request.has_update()) ++counts[request.update().key()];
  if (request.has_put()) {
    items[request.put().item()] = request.put().item();  // items of only a key
    tokens[request.put().item()] = **TokenOfRequest(request, SchemaOf(Map(true).tables(0)));
  }
  records[session.sequence()] = *response;
}

void FakeCluster::ScanPartition(const Partition& partition, const Request& request,
                                Response* response) {
  std::map<uint64_t, std::string> ordered;
  for (const auto& [key, token] : tokens) ordered[token] = key;
  uint64_t from = partition.description.first_token();
  if (!request.scan().exclusive_start_key().empty()) {
    from = tokens.at(request.scan().exclusive_start_key()) + 1;
  }
  auto* page = response->mutable_page();
  for (auto i = ordered.lower_bound(from); i != ordered.end(); ++i) {
    if (i->first > partition.description.last_token()) break;
    page->add_items(i->second);
    page->set_scanned_count(page->scanned_count() + 1);
    page->set_scanned_bytes(page->scanned_bytes() + item_bytes);
    page->set_count(page->count() + 1);
    if (request.scan().limit() != 0 && page->scanned_count() >= request.scan().limit()) {
      page->set_last_evaluated_key(i->second);
      break;
    }
  }
}

}  // namespace ringleader::client
