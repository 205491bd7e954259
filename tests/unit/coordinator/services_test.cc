#include "coordinator/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/admin.h"
#include "client/data_server.h"
#include "model/item_codec.h"
#include "tests/unit/coordinator/coordinator_world.h"
#include "tests/unit/coordinator/service_callers.h"

namespace ringleader::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

v1::CreateTableRequest TableNamed(const std::string& name) {
  v1::CreateTableRequest request;
  request.set_name(name);
  request.mutable_schema()->mutable_partition_key()->set_name("id");
  return request;
}

v1::TableRequest Named(const std::string& name) {
  v1::TableRequest request;
  request.set_name(name);
  return request;
}

TEST(Services, ANodeJoinsAndATableLives) {
  // Protects: the whole way of a small cluster: registration, partitions, the map, and a table from
  // CREATING over ACTIVE until it is gone.
  CoordinatorWorld world(1, 1);
  world.Start(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  Watching watching(world, 1);
  ScriptedNode node(world, 42);
  const auto registered = node.Register(1);
  EXPECT_EQ(registered.outcome().error(), v1::ERROR_NONE);
  EXPECT_EQ(registered.node(), 1u);
  EXPECT_EQ(registered.formation(), world.Formations()[0]);
  EXPECT_EQ(node.Register(1).node(), 1u);
  node.Attend(1);
  node.Live(seconds(3));
  EXPECT_EQ(node.replicas().size(), 4u);
  const auto map = watching.Partitions();
  ASSERT_EQ(map.size(), 4u);
  for (const auto& [id, partition] : map) EXPECT_EQ(partition.leader_node(), 1u);
  EXPECT_TRUE(watching.Updates()[0].complete());
  EXPECT_FALSE(watching.Updates().back().complete());

  const std::string cluster = kCluster;
  auto table = Ask<v1::TableResponse>(world, 1, cluster + "CreateTable", TableNamed("users"));
  EXPECT_EQ(table.outcome().error(), v1::ERROR_NONE);
  EXPECT_EQ(table.table().state(), v1::TABLE_STATE_CREATING);
  EXPECT_EQ(Ask<v1::TableResponse>(world, 1, cluster + "CreateTable", TableNamed("users"))
                .outcome()
                .error(),
            v1::ERROR_EXISTS);
  EXPECT_EQ(
      Ask<v1::TableResponse>(world, 1, cluster + "CreateTable", TableNamed("u")).outcome().error(),
      v1::ERROR_INVALID);
  node.Live(seconds(3));
  table = Ask<v1::TableResponse>(world, 1, cluster + "DescribeTable", Named("users"));
  EXPECT_EQ(table.table().state(), v1::TABLE_STATE_ACTIVE);
  const auto list =
      Ask<v1::ListTablesResponse>(world, 1, cluster + "ListTables", v1::ListTablesRequest());
  EXPECT_THAT(list.names(), testing::ElementsAre("users"));
  table = Ask<v1::TableResponse>(world, 1, cluster + "DeleteTable", Named("users"));
  EXPECT_EQ(table.table().state(), v1::TABLE_STATE_DELETING);
  node.Live(seconds(3));
  table = Ask<v1::TableResponse>(world, 1, cluster + "DescribeTable", Named("users"));
  EXPECT_EQ(table.outcome().error(), v1::ERROR_NOT_FOUND);
  EXPECT_THAT(watching.Updates().back().deleted_tables(), testing::ElementsAre(1u));

  // A delete that comes late leaves the next table of that name alone.
  Ask<v1::TableResponse>(world, 1, cluster + "CreateTable", TableNamed("users"));
  node.Live(seconds(3));
  v1::TableRequest late = Named("users");
  late.set_id(1);
  table = Ask<v1::TableResponse>(world, 1, cluster + "DeleteTable", late);
  EXPECT_EQ(table.outcome().error(), v1::ERROR_NONE);
  EXPECT_GT(table.version(), 0u);
  table = Ask<v1::TableResponse>(world, 1, cluster + "DescribeTable", Named("users"));
  EXPECT_EQ(table.table().id(), 2u);
  EXPECT_EQ(table.table().state(), v1::TABLE_STATE_ACTIVE);
}

TEST(Services, StatusTellsWhatIsWrong) {
  // Protects: an operator hears of missing nodes in words, and of silence.
  CoordinatorWorld world(2, 1);
  world.balancer.alive_timeout = seconds(2);
  world.Start(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  const std::string method = absl::StrCat(kCluster, "Status");
  auto status = Ask<v1::StatusResponse>(world, 1, method, v1::StatusRequest());
  ASSERT_EQ(status.alarms_size(), 1);
  EXPECT_TRUE(absl::StrContains(status.alarms(0), "1 nodes are needed, 0 have registered"));
  ScriptedNode node(world, 42);
  node.Register(1);
  node.Attend(1);
  node.Live(seconds(3));
  status = Ask<v1::StatusResponse>(world, 1, method, v1::StatusRequest());
  EXPECT_EQ(status.alarms_size(), 0) << status.alarms(0);
  EXPECT_EQ(status.partitions_size(), 4);
  EXPECT_TRUE(status.partitions(0).has_quorum());
  world.RunFor(seconds(5));
  status = Ask<v1::StatusResponse>(world, 1, method, v1::StatusRequest());
  EXPECT_FALSE(status.nodes(0).alive());
  EXPECT_FALSE(status.partitions(0).has_quorum());
  EXPECT_GE(status.alarms_size(), 2);
}

TEST(Services, OnlyTheLeaderDecidesAndOthersSayWhoItIs) {
  // Protects: a coordinator that does not lead sends nodes to the one that does, passes calls on to
  // it, serves the map all the same, and a new leader goes on where the old one was.
  CoordinatorWorld world(3, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
  world.RunFor(seconds(2));
  const uint64_t leader = world.Leader();
  const uint64_t follower = leader % 3 + 1;
  ScriptedNode node(world, 42);
  const auto refused = node.Register(follower);
  EXPECT_EQ(refused.outcome().error(), v1::ERROR_NOT_LEADER);
  EXPECT_EQ(refused.outcome().leader_address(), CoordinatorWorld::Address(leader));
  EXPECT_EQ(node.Register(leader).node(), 1u);
  node.Attend(follower);
  world.RunFor(seconds(1));
  EXPECT_TRUE(node.stream().ended);
  node.Attend(leader);
  node.Live(seconds(3));
  Watching watching(world, follower);
  world.RunFor(seconds(1));
  EXPECT_EQ(watching.Partitions().size(), 4u);
  Watching foreign(world, follower, 12345);
  world.RunFor(seconds(1));
  EXPECT_TRUE(foreign.stream().ended);

  const std::string method = absl::StrCat(kCluster, "Status");
  auto status = Ask<v1::StatusResponse>(world, follower, method, v1::StatusRequest());
  EXPECT_EQ(status.outcome().error(), v1::ERROR_NONE);
  EXPECT_EQ(status.coordinator_leader(), leader);
  EXPECT_EQ(status.nodes_size(), 1);
  // Once only: two that take each other for the leader don't send a call round in circles.
  const auto answer = world.Call(follower, method, "", {{std::string(kPassedOnKey), "1"}});
  ASSERT_TRUE(answer.ok() && status.ParseFromString(*answer));
  EXPECT_EQ(status.outcome().error(), v1::ERROR_NOT_LEADER);
  EXPECT_EQ(status.outcome().leader_address(), CoordinatorWorld::Address(leader));

  world.CutPower(leader);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
  world.RunFor(seconds(5));
  const auto after = Ask<v1::StatusResponse>(world, world.Leader(),
                                             absl::StrCat(kCluster, "Status"), v1::StatusRequest());
  for (const auto& coordinator : after.coordinators()) {
    EXPECT_EQ(coordinator.alive(), coordinator.id() != leader);
  }
  const uint64_t next = world.Leader();
  EXPECT_EQ(node.Register(next).node(), 1u);
  node.Attend(next);
  const auto table = Ask<v1::TableResponse>(world, next, absl::StrCat(kCluster, "CreateTable"),
                                            TableNamed("users"));
  EXPECT_EQ(table.table().id(), 1u);
  node.Live(seconds(3));
  const auto& tables = world.machine(next).coordinator->store().metadata().tables();
  EXPECT_EQ(tables.at(1).table().state(), v1::TABLE_STATE_ACTIVE);
}

TEST(Services, ACallThatIsPassedOnEndsInItsTimeAndChangesThingsOnce) {
  // Protects: clients that reach one coordinator only; and who hears of no answer, does not wait
  // longer than it said, nor is told that nothing happened.
  CoordinatorWorld world(9, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
  world.RunFor(seconds(2));
  const uint64_t leader = world.Leader();
  const uint64_t follower = leader % 3 + 1;
  const std::string create = absl::StrCat(kCluster, "CreateTable");
  const auto table = Ask<v1::TableResponse>(world, follower, create, TableNamed("users"));
  EXPECT_EQ(table.outcome().error(), v1::ERROR_NONE) << table.outcome().message();
  EXPECT_EQ(table.table().name(), "users");
  const auto& tables = world.machine(leader).coordinator->store().metadata().tables();
  EXPECT_EQ(tables.size(), 1u);
  // The leader's process stands still; the follower has not noticed yet.
  world.machine(leader).threads->Pause();
  const auto before = world.simulation().now();
  const auto none = world.Call(follower, create, TableNamed("others").SerializeAsString(),
                               {{std::string(client::kCallTimeoutKey), "700"}});
  EXPECT_TRUE(absl::IsUnavailable(none.status())) << none.status();
  EXPECT_LE(world.simulation().now() - before, milliseconds(1000));
  world.machine(leader).threads->Resume();
}

// The data service of ScriptedNode 42: remembers what comes, and finds nothing.
class DataNode {
 public:
  explicit DataNode(CoordinatorWorld& world)
      : server_(clock_of(world), {}, [this](std::vector<client::DataRequest> requests) {
          for (client::DataRequest& each : requests) {
            received_.push_back(each.request);
            data::v1::Response response;
            response.set_id(each.request.id());
            each.respond(std::move(response));
          }
        }) {
    auto listener = world.client().Listen("node-42:7100", &server_);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  const std::vector<data::v1::Request>& received() const { return received_; }

 private:
  static Clock& clock_of(CoordinatorWorld& world) { return *world.machine(1).clock; }

  client::DataServer server_;
  std::unique_ptr<Listener> listener_;
  std::vector<data::v1::Request> received_;
};

TEST(Services, DataGoesToTheNodeByTheCoordinatorsOwnMap) {
  // Protects: the way from a caller over a coordinator's metadata to a node, and UNAVAILABLE while
  // there is no cluster to route in.
  CoordinatorWorld world(6, 1);
  world.Start(1);
  DataNode data_node(world);
  model::Item item;
  item.Set("id", model::AttributeValue::String("ada"));
  data::v1::Request put;
  put.set_id(9);
  put.set_table_name("users");
  put.mutable_put()->set_item(model::EncodeItem(item));
  const std::string execute = "/ringleader.data.v1.Data/Execute";
  auto answer = Ask<data::v1::Response>(world, 1, execute, put);
  EXPECT_EQ(answer.error(), data::v1::ERROR_UNAVAILABLE);
  EXPECT_EQ(answer.id(), 9u);

  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  ScriptedNode node(world, 42);
  node.Register(1);
  node.Attend(1);
  node.Live(seconds(3));
  EXPECT_EQ(Ask<data::v1::Response>(world, 1, execute, put).error(),
            data::v1::ERROR_TABLE_NOT_FOUND);
  Ask<v1::TableResponse>(world, 1, absl::StrCat(kCluster, "CreateTable"), TableNamed("users"));
  node.Live(seconds(3));
  answer = Ask<data::v1::Response>(world, 1, execute, put);
  EXPECT_EQ(answer.error(), data::v1::ERROR_NONE) << answer.message();
  EXPECT_EQ(answer.id(), 9u);
  ASSERT_EQ(data_node.received().size(), 1u);
  EXPECT_EQ(data_node.received()[0].table_id(), 1u);
  EXPECT_NE(data_node.received()[0].route().partition(), 0u);
  EXPECT_NE(data_node.received()[0].session().session(), 0u);
}

TEST(Services, HandingOverLeavesNoGap) {
  // Protects: a coordinator that is asked to stop gives leadership away first.
  CoordinatorWorld world(4, 3);
  for (uint64_t number = 1; number <= 3; ++number) world.Start(number);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() != 0; }, seconds(20)));
  world.RunFor(seconds(2));
  const uint64_t leader = world.Leader();
  bool done = false;
  world.machine(leader).coordinator->HandOver([&] { done = true; });
  ASSERT_TRUE(world.RunUntil([&] { return done; }, seconds(5)));
  EXPECT_TRUE(world.RunUntil([&] { return world.Leader() != 0 && world.Leader() != leader; },
                             milliseconds(500)));
}

TEST(Services, MalformedCallsEnd) {
  // Protects: bytes that are no request, and methods that are none, are refused and hurt nothing.
  CoordinatorWorld world(5, 1);
  world.Start(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.Leader() == 1; }, seconds(5)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      world.Call(1, absl::StrCat(kCluster, "CreateTable"), "\xff\xff").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      world.Call(1, absl::StrCat(kMembership, "Attend"), "\xff\xff").status()));
  EXPECT_TRUE(absl::IsUnimplemented(world.Call(1, absl::StrCat(kCluster, "No"), "").status()));
  EXPECT_TRUE(absl::IsUnimplemented(world.Call(1, "/no.Service/No", "").status()));
  v1::NodeRequest nobody;
  nobody.set_node(9);
  EXPECT_EQ(Ask<v1::AdminResponse>(world, 1, absl::StrCat(kCluster, "DrainNode"), nobody)
                .outcome()
                .error(),
            v1::ERROR_NOT_FOUND);
}

}  // namespace
}  // namespace ringleader::coordinator
