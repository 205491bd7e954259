#include "tests/simulation/voters_in_doubt.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringleader::simulation {
namespace {

using replication::Damage;
using replication::DamageKind;
using replication::GroupState;

constexpr replication::Term kTerm = 8;

GroupState WholeLog() {
  GroupState log;
  log.promised = {kTerm, 230};
  log.intact_last = 230;
  return log;
}

// Its last entry may have been acknowledged, or never been written.
GroupState LogInDoubt() {
  GroupState log = WholeLog();
  log.promised.index = 232;
  log.intact_last = 231;
  log.damage = {{232, 232, kTerm, DamageKind::kInDoubt}};
  return log;
}

// Certain of having acknowledged up to `promised`, of which it can show what is before 200.
GroupState CorruptLog(replication::Index promised) {
  GroupState log;
  log.promised = {kTerm, promised};
  log.intact_last = 199;
  log.damage = {{200, 201, 6, DamageKind::kCorrupt}};
  return log;
}

bool MayStandStill(const std::vector<GroupState>& logs) {
  VotersInDoubt voters;
  for (const GroupState& log : logs) voters.AddLog(log);
  return voters.MayStandStill();
}

TEST(VotersInDoubt, OneInDoubtAsksTheOthers) {
  EXPECT_FALSE(MayStandStill({LogInDoubt(), WholeLog(), WholeLog()}));
  EXPECT_FALSE(MayStandStill({LogInDoubt(), LogInDoubt(), WholeLog()}));
}

TEST(VotersInDoubt, ADamagedLogWithoutDoubtIsFilled) {
  EXPECT_FALSE(MayStandStill({CorruptLog(232), WholeLog(), WholeLog()}));
  EXPECT_FALSE(MayStandStill({CorruptLog(232), CorruptLog(232), WholeLog()}));
}

TEST(VotersInDoubt, ALogThatLostTheSameEntryCanNotAnswer) {
  EXPECT_TRUE(MayStandStill({LogInDoubt(), CorruptLog(232), WholeLog()}));
  EXPECT_TRUE(MayStandStill({WholeLog(), CorruptLog(240), LogInDoubt()}));
  // It shows that entry: what is corrupt came later.
  GroupState later = CorruptLog(240);
  later.intact_last = 238;
  later.damage = {{239, 239, kTerm, DamageKind::kCorrupt}};
  EXPECT_FALSE(MayStandStill({LogInDoubt(), later, WholeLog()}));
  // It never had that entry, and says so.
  EXPECT_FALSE(MayStandStill({LogInDoubt(), CorruptLog(231), WholeLog()}));
}

TEST(VotersInDoubt, AVoterThatLostItsLogOrItsStateCanNotAnswer) {
  for (const bool is_open : {false, true}) {
    VotersInDoubt voters;
    voters.AddLog(LogInDoubt());
    voters.AddLog(WholeLog());
    EXPECT_FALSE(voters.MayStandStill());
    voters.AddLost(is_open);
    EXPECT_TRUE(voters.MayStandStill());
  }
}

TEST(VotersInDoubt, AMajorityWithoutStateCommitsNothing) {
  VotersInDoubt voters;
  voters.AddLog(WholeLog());
  voters.AddLost(/*is_open=*/true);
  EXPECT_FALSE(voters.MayStandStill());
  voters.AddLost(/*is_open=*/true);
  EXPECT_TRUE(voters.MayStandStill());
}

}  // namespace
}  // namespace ringleader::simulation
