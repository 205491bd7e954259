// Who calls a coordinator's services in tests: nodes that do as they are told, and watchers.
#ifndef RINGLEADER_TESTS_UNIT_COORDINATOR_SERVICE_CALLERS_H_
#define RINGLEADER_TESTS_UNIT_COORDINATOR_SERVICE_CALLERS_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace ringleader::coordinator {

inline constexpr char kCluster[] = "/ringleader.coordinator.v1.Cluster/";
inline constexpr char kMembership[] = "/ringleader.coordinator.v1.Membership/";

// What a stream brought.
struct Stream {
  std::vector<std::string> messages;
  bool ended = false;
  absl::Status status;
};

class StreamHandler : public CallHandler {
 public:
  explicit StreamHandler(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  void OnMessage(std::string message) override { stream_->messages.push_back(std::move(message)); }
  void OnEnd(const absl::Status& status) override {
    stream_->status = status;
    stream_->ended = true;
  }

 private:
  const std::shared_ptr<Stream> stream_;
};

template <typename Response, typename Request>
Response Ask(CoordinatorWorld& world, uint64_t number, const std::string& method,
             const Request& request) {
  const auto answer = world.Call(number, method, request.SerializeAsString());
  EXPECT_TRUE(answer.ok()) << answer.status();
  Response response;
  EXPECT_TRUE(answer.ok() && response.ParseFromString(*answer));
  return response;
}

// A node that carries out what it is ordered at once: makes replicas that lead, applies schemas.
class ScriptedNode {
 public:
  ScriptedNode(CoordinatorWorld& world, uint64_t incarnation, const std::string& address = "")
      : world_(world),
        incarnation_(incarnation),
        address_(address.empty() ? absl::StrCat("node-", incarnation, ":7100") : address) {}

  v1::RegisterRequest Introduction() const {
    v1::RegisterRequest request;
    request.set_incarnation(incarnation_);
    request.set_address(address_);
    *request.mutable_versions() = VersionsMessage({});
    return request;
  }
  v1::RegisterResponse Register(uint64_t coordinator) {
    const auto response = Ask<v1::RegisterResponse>(
        world_, coordinator, absl::StrCat(kMembership, "Register"), Introduction());
    id_ = response.node();
    return response;
  }

  void Attend(uint64_t coordinator) {
    stream_ = std::make_shared<Stream>();
    read_ = 0;
    call_ = world_.client().Start(CoordinatorWorld::Address(coordinator),
                                  absl::StrCat(kMembership, "Attend"), {},
                                  std::make_unique<StreamHandler>(stream_));
    Report();
  }

  void Report() {
    v1::NodeReport report;
    report.set_node(id_);
    report.set_complete(true);
    for (const auto& [partition, order] : replicas_) {
      v1::ReplicaReport& replica = *report.add_replicas();
      replica.set_partition(partition);
      replica.set_replica(order.replica());
      replica.set_leads(true);
      replica.set_term(1);
      replica.set_configuration_version(1);
      replica.set_configuration_committed(true);
      *replica.mutable_members() = order.voters();
      for (const uint64_t table : applied_) replica.add_applied_tables(table);
      for (const uint64_t table : retired_) replica.add_retired_tables(table);
    }
    call_->Send(report.SerializeAsString());
  }

  // Carries out new orders and reports, for `span`.
  void Live(Duration span) { LiveTogether(world_, {this}, span); }
  static void LiveTogether(CoordinatorWorld& world, const std::vector<ScriptedNode*>& nodes,
                           Duration span) {
    for (Duration passed{0}; passed < span; passed += std::chrono::milliseconds(100)) {
      world.RunFor(std::chrono::milliseconds(100));
      for (ScriptedNode* node : nodes) node->ReadAndReport();
    }
  }

  uint64_t id() const { return id_; }
  const std::map<uint64_t, v1::CreateReplica>& replicas() const { return replicas_; }
  const Stream& stream() const { return *stream_; }

 private:
  void ReadAndReport() {
    for (; read_ < stream_->messages.size(); ++read_) Carry(stream_->messages[read_]);
    Report();
  }
  void Carry(const std::string& bytes) {
    v1::NodeOrders orders;
    ASSERT_TRUE(orders.ParseFromString(bytes));
    for (const auto& order : orders.create()) replicas_.try_emplace(order.partition(), order);
    for (const auto& order : orders.schema()) {
      const bool retire = order.table().state() == v1::TABLE_STATE_DELETING;
      (retire ? retired_ : applied_).insert(order.table().id());
    }
  }

  CoordinatorWorld& world_;
  const uint64_t incarnation_;
  const std::string address_;
  uint64_t id_ = 0;
  std::shared_ptr<Stream> stream_;
  size_t read_ = 0;
  std::shared_ptr<Call> call_;
  std::map<uint64_t, v1::CreateReplica> replicas_;
  std::set<uint64_t> applied_, retired_;
};

class Watching {
 public:
  Watching(CoordinatorWorld& world, uint64_t coordinator, uint64_t formation = 0) {
    v1::WatchRequest request;
    request.set_formation(formation);
    call_ = world.client().Start(CoordinatorWorld::Address(coordinator),
                                 absl::StrCat(kCluster, "Watch"), {},
                                 std::make_unique<StreamHandler>(stream_));
    call_->Send(request.SerializeAsString());
  }
  // The map that the updates so far make.
  std::map<uint64_t, v1::Partition> Partitions() const {
    std::map<uint64_t, v1::Partition> partitions;
    for (const v1::MapUpdate& update : Updates()) {
      for (const auto& partition : update.partitions()) partitions[partition.id()] = partition;
    }
    return partitions;
  }
  std::vector<v1::MapUpdate> Updates() const {
    std::vector<v1::MapUpdate> updates;
    for (const std::string& bytes : stream_->messages) {
      EXPECT_TRUE(updates.emplace_back().ParseFromString(bytes));
    }
    return updates;
  }
  const Stream& stream() const { return *stream_; }

 private:
  const std::shared_ptr<Stream> stream_ = std::make_shared<Stream>();
  std::shared_ptr<Call> call_;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_TESTS_UNIT_COORDINATOR_SERVICE_CALLERS_H_
