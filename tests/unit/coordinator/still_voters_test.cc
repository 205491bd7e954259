// Protects operators from a group that is one failure from standing still while health is clean.
#include "coordinator/still_voters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/coordinator/three_nodes.h"

namespace ringleader::coordinator {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StillVotersTest : public testing::Test {
 protected:
  StillVotersTest() {
    FormThreeNodes(metadata_);
    for (uint64_t node = 1; node <= 3; ++node) {
      v1::ReplicaReport& report = seen_[node].replicas[1];
      report.set_partition(1);
      report.set_replica(node);
      report.set_applied(100);
      report.set_term(3);
    }
    v1::ReplicaReport& leader = seen_[1].replicas[1];
    leader.set_leads(true);
    for (uint64_t node = 1; node <= 3; ++node) {
      v1::Replica& member = *leader.add_members();
      member.set_id(node);
      member.set_node(node);
      member.set_voter(true);
      leader.add_caught_up(node);
    }
  }
  void SetNear(const std::vector<uint64_t>& near) {
    seen_[1].replicas[1].clear_caught_up();
    for (const uint64_t replica : near) seen_[1].replicas[1].add_caught_up(replica);
  }
  // Looks once a second for so long; what is to be told at the end.
  std::vector<std::string> After(int so_long) {
    for (int i = 0; i < so_long; ++i) {
      now_.raw += seconds(1);
      now_.boot += seconds(1);
      voters_.Update(metadata_, seen_, now_);
    }
    return voters_.Alarms(now_);
  }

  Metadata metadata_;
  Observations seen_;
  StillVoters voters_;
  Instant now_;
};

TEST_F(StillVotersTest, AVoterThatStandsStillIsNamedAfterSomeSeconds) {
  EXPECT_THAT(After(30), IsEmpty());
  SetNear({1, 2});
  EXPECT_THAT(After(5), IsEmpty());
  EXPECT_THAT(After(10), ElementsAre(HasSubstr("Replica 3 of partition 1 on node 3 votes and "
                                               "stands still")));
  SetNear({1, 2, 3});
  EXPECT_THAT(After(1), IsEmpty());
}

TEST_F(StillVotersTest, OneThatIsOnlySlowIsNot) {
  SetNear({1, 2});
  for (int i = 0; i < 20; ++i) {
    seen_[3].replicas[1].set_applied(101 + static_cast<uint64_t>(i));
    EXPECT_THAT(After(5), IsEmpty());
  }
}

TEST_F(StillVotersTest, WhatIsToldOtherwiseIsNotToldTwice) {
  SetNear({1});
  seen_[2].replicas[1].set_failure("its state is being rebuilt from its peers");
  v1::Command away;
  away.mutable_set_node_alive()->set_node(3);
  metadata_.Apply(away);
  EXPECT_THAT(After(30), IsEmpty());
}

TEST_F(StillVotersTest, ALearnerIsNot) {
  SetNear({1, 2});
  seen_[1].replicas[1].mutable_members(2)->set_voter(false);
  EXPECT_THAT(After(30), IsEmpty());
}

}  // namespace
}  // namespace ringleader::coordinator
