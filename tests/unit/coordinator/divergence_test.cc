// Protects DESIGN section 11, rule 21, at the one place that sees all replicas: who is rebuilt when
// they hold different data, and that nobody is without a majority.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/balancer.h"
#include "coordinator/health.h"

namespace ringleader::coordinator {
namespace {

class DivergenceTest : public ::testing::Test {
 protected:
  void Form(uint64_t replicas) {
    v1::Command found;
    found.mutable_found_cluster()->set_formation(7);
    found.mutable_found_cluster()->add_incarnations(1);
    found.mutable_found_cluster()->set_partitions(1);
    found.mutable_found_cluster()->set_replicas(static_cast<uint32_t>(replicas));
    ASSERT_TRUE(metadata_.Apply(found).ok());
    for (uint64_t node = 1; node <= replicas; ++node) {
      v1::Command command;
      v1::RegisterRequest& request = *command.mutable_register_node();
      request.set_incarnation(1000 + node);
      request.set_address(absl::StrCat("node-", node, ":7100"));
      request.set_zone(absl::StrCat("zone-", node));
      const uint64_t id = metadata_.Apply(command).id;
      seen_[id].complete = true;
    }
    Decide();
    for (const v1::Replica& replica : metadata_.partitions().begin()->second.wish()) {
      v1::ReplicaReport& report = ReportOn(replica.node());
      report.set_partition(Partition());
      report.set_replica(replica.id());
    }
    Decide();
  }

  Decision Decide() {
    Decision decision = balancer_.Decide(metadata_, seen_, now_);
    for (const v1::Command& command : decision.commands) metadata_.Apply(command);
    return decision;
  }

  uint64_t Partition() const { return metadata_.partitions().begin()->first; }
  v1::ReplicaReport& ReportOn(uint64_t node) { return seen_[node].replicas[Partition()]; }
  void Holds(uint64_t node, uint64_t index, uint64_t hash) {
    v1::RangeHash* held = ReportOn(node).add_hashes();
    held->set_index(index);
    held->set_hash(hash);
  }

  // The nodes that are told to rebuild their replica.
  std::vector<uint64_t> Rebuilt() {
    std::vector<uint64_t> nodes;
    for (const auto& [node, orders] : Decide().orders) {
      if (orders.rebuild_size() > 0) nodes.push_back(node);
    }
    return nodes;
  }
  bool Alarm(const std::string& part) {
    const v1::StatusResponse status = DescribeHealth(metadata_, seen_, {}, 1, {1});
    for (const std::string& alarm : status.alarms()) {
      if (absl::StrContains(alarm, part)) return true;
    }
    return false;
  }

  Metadata metadata_;
  Observations seen_;
  Balancer balancer_{BalancerOptions()};
  Instant now_;
};

using Nodes = std::vector<uint64_t>;

TEST_F(DivergenceTest, TheOneThatDiffersFromTwoThatAgreeIsRebuilt) {
  Form(3);
  for (uint64_t node = 1; node <= 3; ++node) Holds(node, 10, 5);
  EXPECT_EQ(Rebuilt(), Nodes{});
  EXPECT_FALSE(Alarm("other data"));
  Holds(1, 20, 6);
  Holds(2, 20, 7);
  EXPECT_EQ(Rebuilt(), Nodes{}) << "who is right is not known before the third reports";
  EXPECT_TRUE(Alarm("no majority agrees"));
  Holds(3, 20, 6);
  EXPECT_EQ(Rebuilt(), Nodes{2});
  EXPECT_TRUE(Alarm("holds other data than most"));
  const Decision decision = Decide();
  const v1::RebuildReplica& order = decision.orders.at(2).rebuild(0);
  EXPECT_EQ(order.partition(), Partition());
  EXPECT_EQ(order.replica(), ReportOn(2).replica());
  EXPECT_EQ(order.hash().index(), 20u);
  EXPECT_EQ(order.hash().hash(), 7u);
}

TEST_F(DivergenceTest, ALeaderAloneAgainstItsFollowersIsTheOneThatIsRebuilt) {
  Form(3);
  ReportOn(1).set_leads(true);
  ReportOn(1).set_term(2);
  Holds(1, 20, 7);
  Holds(2, 20, 6);
  Holds(3, 20, 6);
  EXPECT_EQ(Rebuilt(), Nodes{1});
}

TEST_F(DivergenceTest, NobodyIsRebuiltWhileAnotherReplicaIsNotWell) {
  // The group would count on one replica of three.
  Form(3);
  Holds(1, 20, 7);
  Holds(2, 20, 6);
  Holds(3, 20, 6);
  ReportOn(3).set_failure("its state is being rebuilt from its peers");
  EXPECT_EQ(Rebuilt(), Nodes{});
  EXPECT_TRUE(Alarm("being rebuilt"));
}

// A file of its state that the scrub of this node can't read.
class BadFileTest : public DivergenceTest {
 protected:
  void Leads(uint64_t node) {
    for (uint64_t each = 1; each <= metadata_.nodes().size(); ++each) {
      ReportOn(each).set_leads(each == node);
      ReportOn(each).set_term(2);
    }
    ReportOn(node).clear_members();
    for (const v1::Replica& replica : metadata_.partitions().begin()->second.wish()) {
      v1::Replica& member = *ReportOn(node).add_members();
      member = replica;
      member.set_voter(true);
    }
  }
  bool IsTransferred(uint64_t from) {
    const Decision decision = Decide();
    const auto orders = decision.orders.find(from);
    return orders != decision.orders.end() && orders->second.transfer_size() > 0;
  }
};

TEST_F(BadFileTest, IsMendedWhileAllAreWell) {
  Form(3);
  Leads(1);
  ReportOn(2).set_bad_file("x.ldb");
  EXPECT_TRUE(Alarm("can't read x.ldb"));
  const Decision decision = Decide();
  ASSERT_EQ(decision.orders.at(2).rebuild_size(), 1);
  const v1::RebuildReplica& order = decision.orders.at(2).rebuild(0);
  EXPECT_EQ(order.replica(), ReportOn(2).replica());
  EXPECT_EQ(order.bad_file(), "x.ldb");
}

TEST_F(BadFileTest, IsLeftWhileAnotherReplicaIsNotWell) {
  // Protects what the replica still holds: its group would count on one of three.
  Form(3);
  Leads(1);
  ReportOn(2).set_bad_file("x.ldb");
  ReportOn(3).set_failure("not open");
  EXPECT_EQ(Rebuilt(), Nodes{});
  ReportOn(3).clear_failure();
  seen_.erase(3);
  EXPECT_EQ(Rebuilt(), Nodes{});
}

TEST_F(BadFileTest, ALeaderHandsOverToOneThatIsWholeBefore) {
  // Protects writes from an election, and the group from being filled out of a file that is bad.
  Form(3);
  Leads(1);
  ReportOn(1).set_bad_file("x.ldb");
  ReportOn(2).set_bad_file("y.ldb");
  EXPECT_TRUE(IsTransferred(1));
  EXPECT_EQ(Rebuilt(), Nodes{});
  Leads(3);
  EXPECT_EQ(Rebuilt().size(), 1u) << "one at a time";
}

TEST_F(BadFileTest, IsLeftWhereEveryReplicaHasOne) {
  Form(3);
  Leads(1);
  for (uint64_t node = 1; node <= 3; ++node) ReportOn(node).set_bad_file("x.ldb");
  EXPECT_EQ(Rebuilt(), Nodes{});
  EXPECT_FALSE(IsTransferred(1));
}

TEST_F(BadFileTest, TheOnlyCopyIsLeftAndNamed) {
  Form(1);
  Leads(1);
  ReportOn(1).set_bad_file("x.ldb");
  EXPECT_EQ(Rebuilt(), Nodes{});
  EXPECT_TRUE(Alarm("can't read x.ldb"));
}

TEST_F(DivergenceTest, WithoutAMajorityThereIsAnAlarmAndNothingElse) {
  Form(2);
  Holds(1, 20, 7);
  Holds(2, 20, 6);
  EXPECT_EQ(Rebuilt(), Nodes{});
  EXPECT_TRUE(Alarm("no majority agrees"));
}

TEST_F(DivergenceTest, DifferentIndexesAreNotCompared) {
  Form(3);
  Holds(1, 20, 7);
  Holds(2, 21, 6);
  Holds(3, 22, 5);
  EXPECT_EQ(Rebuilt(), Nodes{});
  EXPECT_FALSE(Alarm("different data"));
}

}  // namespace
}  // namespace ringleader::coordinator
