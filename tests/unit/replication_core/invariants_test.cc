// Protects the checks themselves: what must not be among the cores of a group is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "replication/core_invariants.h"

namespace ringleader::replication {
namespace {

using testing::HasSubstr;

// A follower of a group of three whose log has these terms, the first as its base, and the first
// `committed` of them applied.
Core CoreWith(ReplicaId replica, Term term, const std::vector<Term>& terms, Index committed) {
  RecoveredState state;
  state.group = 1;
  state.replica = replica;
  state.hard_state.term = term;
  state.base = {terms.front(), 1};
  for (Index index = 2; index <= terms.size(); ++index) {
    const Term entry = terms[index - 1];
    if (state.term_runs.empty() || state.term_runs.back().term != entry) {
      state.term_runs.push_back({index, entry});
    }
  }
  state.last_index = terms.size();
  state.applied = committed;
  state.configuration_index = 1;
  state.configuration.voters = {{1, 1}, {2, 2}, {3, 3}};
  state.restarted = false;
  return Core({}, std::move(state), Random(replica));
}

// Stands, and is elected by replica 2: with its pre-vote, then with its vote.
void Elect(Core& core) {
  core.Campaign();
  for (int votes = 0; votes < 2; ++votes) {
    const bool preliminary = core.role() == Role::kPreCandidate;
    core.Persisted(core.TakeEffects().persist_batch);
    Message answer;
    answer.kind = preliminary ? MessageKind::kPreVoteAnswer : MessageKind::kVoteAnswer;
    answer.group = core.group();
    answer.from = 2;
    answer.to = core.replica();
    answer.term = core.term() + (preliminary ? 1 : 0);
    core.Step(answer);
  }
  ASSERT_EQ(core.role(), Role::kLeader);
}

TEST(CoreInvariantsTest, LogsThatDifferOnlyAtTheirEndsAreWell) {
  const Core a = CoreWith(1, 5, {1, 1, 2, 3}, 3), b = CoreWith(2, 5, {1, 1, 2, 4}, 2);
  CoreInvariants invariants;
  EXPECT_EQ(invariants.CheckGroup({&a, &b}), absl::OkStatus());
}

TEST(CoreInvariantsTest, LogsThatDifferBelowAnEqualEntryAreNamed) {
  const Core a = CoreWith(1, 5, {1, 2, 4}, 1), b = CoreWith(2, 5, {1, 3, 4}, 1);
  CoreInvariants invariants;
  EXPECT_THAT(invariants.CheckGroup({&a, &b}).message(), HasSubstr("log matching: differs"));
}

TEST(CoreInvariantsTest, AnEntryCommittedWithTwoTermsIsNamed) {
  const Core a = CoreWith(1, 5, {1, 2}, 2), b = CoreWith(2, 5, {1, 3}, 2);
  CoreInvariants invariants;
  EXPECT_THAT(invariants.CheckGroup({&a, &b}).message(), HasSubstr("committed entry 2 has term"));
}

// Whoever voted is in the leader's term already: what it knows must be there too.
TEST(CoreInvariantsTest, ALeaderWithoutACommittedEntryIsNamed) {
  Core leader = CoreWith(1, 5, {1}, 1);
  Elect(leader);
  const Core voter = CoreWith(3, leader.term(), {1, 3, 3}, 3);
  CoreInvariants invariants;
  EXPECT_THAT(invariants.CheckGroup({&leader, &voter}).message(), HasSubstr("leader completeness"));
  // One of a later term may have more than a leader that does not know of its end.
  const Core later = CoreWith(3, leader.term() + 1, {1, 3, 3}, 3);
  CoreInvariants others;
  EXPECT_EQ(others.CheckGroup({&leader, &later}), absl::OkStatus());
}

TEST(CoreInvariantsTest, TwoLeadersOfATermAreNamed) {
  Core a = CoreWith(1, 5, {1}, 1), b = CoreWith(3, 5, {1}, 1);
  Elect(a);
  Elect(b);
  CoreInvariants invariants;
  EXPECT_THAT(invariants.CheckGroup({&a, &b}).message(),
              HasSubstr("election safety: 1 led this term"));
}

}  // namespace
}  // namespace ringleader::replication
