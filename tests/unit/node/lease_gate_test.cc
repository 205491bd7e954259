// The gate: a change of a key waits for who holds it, and for nobody else.
#include "node/lease_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "common/random.h"

namespace ringleader {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Refusal = LeaseGate::Refusal;
using std::chrono::milliseconds;

constexpr replication::Term kGateTerm = 5;

Instant At(int64_t ms) { return {milliseconds(ms), milliseconds(ms)}; }

class LeaseGateTest : public testing::Test {
 protected:
  // A term of 100 ms; grants of 90 at most.
  LeaseGateTest() : gate_(Options(), kGateTerm, At(0), Eras()) { Cover({"a", "b", "c"}); }

  static LeaseOptions Options() {
    return {.lease_term = milliseconds(100), .drift = 0, .margin = milliseconds(10)};
  }
  void Cover(const std::vector<std::string>& keys) {
    std::set<uint16_t> buckets;
    for (const std::string& key : keys) buckets.insert(EraBucketOf(key));
    eras_.Apply({EraChange::kOpen, {buckets.begin(), buckets.end()}, 100}, kGateTerm);
  }
  static Eras Earlier(absl::string_view key, uint32_t lease_term_ms) {
    Eras eras;
    eras.Apply({EraChange::kOpen, {EraBucketOf(key)}, lease_term_ms}, kGateTerm - 1);
    return eras;
  }
  // Its fill has the number `last_fill_`.
  LeaseGate::Answer Grant(CacheSessionId session, absl::string_view key, int64_t now_ms,
                          bool pending = false) {
    return gate_.Grant(session, key, ++last_fill_, At(now_ms), At(now_ms), pending, eras_);
  }
  bool Enter(absl::string_view key, int64_t now_ms) {
    sent_.clear();
    return gate_.Enter(key, At(now_ms), &sent_);
  }
  std::vector<std::string> Opened(const Instant& now) {
    std::vector<std::string> opened;
    std::string after;
    while (auto key = gate_.NextOpened(now, &after)) opened.push_back(*std::move(key));
    return opened;
  }

  Eras eras_;
  uint64_t last_fill_ = 0;
  LeaseGate gate_;
  std::vector<Invalidation> sent_;
};

// Protects writes that nobody's cache is concerned by: they pass at once and send nothing.
TEST_F(LeaseGateTest, AKeyThatNobodyHoldsPasses) {
  EXPECT_TRUE(Enter("a", 0));
  EXPECT_EQ(Grant(1, "b", 0).refusal, Refusal::kNone);
  EXPECT_TRUE(Enter("a", 1));
  EXPECT_THAT(sent_, IsEmpty());
}

// Protects readers from memory: a held key changes only when its holders have let go.
TEST_F(LeaseGateTest, AWriteWaitsForEveryHolder) {
  Grant(1, "a", 0);
  Grant(2, "a", 0);
  EXPECT_FALSE(Enter("a", 1));
  ASSERT_THAT(sent_, SizeIs(2));
  gate_.Acknowledged(sent_[0].session, sent_[0].number);
  EXPECT_THAT(Opened(At(2)), IsEmpty());
  // Another's number is nothing.
  gate_.Acknowledged(sent_[0].session, sent_[1].number);
  EXPECT_THAT(Opened(At(2)), IsEmpty());
  gate_.Acknowledged(sent_[1].session, sent_[1].number);
  EXPECT_FALSE(Enter("a", 2)) << "behind the one that waits";
  EXPECT_THAT(sent_, IsEmpty());
  EXPECT_THAT(Opened(At(2)), ElementsAre("a"));
  EXPECT_THAT(Opened(At(2)), IsEmpty());
  EXPECT_TRUE(Enter("a", 2));
  EXPECT_EQ(gate_.counts().holders, 0u);
}

// Protects against starvation and against a stale grant: a parked key is granted to nobody.
TEST_F(LeaseGateTest, NothingIsGrantedWhileAWriteWaitsOrIsPending) {
  Grant(1, "a", 0);
  EXPECT_FALSE(Enter("a", 1));
  EXPECT_EQ(Grant(2, "a", 1).refusal, Refusal::kPending);
  EXPECT_EQ(Grant(2, "b", 1).refusal, Refusal::kNone);
  EXPECT_EQ(Grant(2, "c", 1, /*pending=*/true).refusal, Refusal::kPending);
}

// Protects a write that could not have its turn when its key opened: nobody gets the key before.
TEST_F(LeaseGateTest, AKeyIsBlockedAgainInTheTurnInWhichItOpened) {
  Grant(1, "a", 0);
  EXPECT_FALSE(Enter("a", 1));
  gate_.Acknowledged(sent_[0].session, sent_[0].number);
  EXPECT_THAT(Opened(At(2)), ElementsAre("a"));
  gate_.Block("a");
  EXPECT_EQ(Grant(2, "a", 2).refusal, Refusal::kPending);
  EXPECT_THAT(Opened(At(3)), ElementsAre("a"));
  EXPECT_EQ(Grant(2, "a", 3).refusal, Refusal::kNone);
}

// Protects successors from grants that no era covers: while eras are being closed, nothing is
// granted in what goes, and what is held or waited for does not go.
TEST_F(LeaseGateTest, WhileErasAreClosedNothingIsGrantedThere) {
  Grant(1, "a", 0);
  Grant(1, "b", 0);
  EXPECT_FALSE(Enter("b", 1)) << "waited for";
  const EraBuckets held = gate_.HeldBuckets();
  EXPECT_EQ(held, EraBuckets().set(EraBucketOf("a")).set(EraBucketOf("b")));
  gate_.Shrink(held);
  EXPECT_EQ(Grant(2, "c", 2).refusal, Refusal::kNoEra);
  EXPECT_EQ(Grant(2, "a", 2).refusal, Refusal::kNone);
  gate_.Shrunk();
  EXPECT_EQ(Grant(2, "c", 2).refusal, Refusal::kNone);
  gate_.Acknowledged(sent_[0].session, sent_[0].number);
  EXPECT_THAT(Opened(At(3)), ElementsAre("b"));
  EXPECT_EQ(gate_.HeldBuckets(), EraBuckets().set(EraBucketOf("a")).set(EraBucketOf("c")));
}

// Protects writers from dead clients, for one term at most.
TEST_F(LeaseGateTest, AHolderThatDoesNotAnswerIsWaitedOut) {
  Grant(1, "a", 0);
  EXPECT_FALSE(Enter("a", 50));
  EXPECT_THAT(Opened(At(99)), IsEmpty());
  EXPECT_THAT(Opened(At(100)), ElementsAre("a"));
}

// Protects the bound on that wait: renewals behind the invalidation don't count for it.
TEST_F(LeaseGateTest, LaterRenewalsDoNotProlongTheWait) {
  Grant(1, "a", 0);
  Grant(1, "b", 0);
  EXPECT_FALSE(Enter("a", 50));
  EXPECT_EQ(gate_.Renew(1, At(60), At(60)).refusal, Refusal::kNone);
  EXPECT_THAT(Opened(At(100)), ElementsAre("a"));
  // They do for what is still held.
  EXPECT_FALSE(Enter("b", 100));
  EXPECT_THAT(Opened(At(159)), IsEmpty());
  EXPECT_THAT(Opened(At(160)), ElementsAre("b"));
}

// Protects from a holder that comes back to life: even one whose grants have run out is told, as a
// renewal may follow.
TEST_F(LeaseGateTest, AHolderWithoutTimeLeftIsToldAllTheSame) {
  Grant(1, "a", 0);
  EXPECT_TRUE(Enter("a", 200));
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_EQ(gate_.Renew(1, At(200), At(200)).refusal, Refusal::kStale) << "it holds nothing";
}

// Protects against forgetting: a session that ended still reads until its deadline.
TEST_F(LeaseGateTest, AnEndedSessionIsWaitedOut) {
  Grant(1, "a", 0);
  Grant(1, "b", 40);
  EXPECT_FALSE(Enter("a", 50));
  gate_.Ended(1);
  gate_.Acknowledged(1, sent_[0].number);
  EXPECT_THAT(Opened(At(139)), IsEmpty());
  EXPECT_FALSE(Enter("b", 139));
  EXPECT_THAT(sent_, IsEmpty()) << "there is nobody to tell";
  EXPECT_THAT(Opened(At(140)), ElementsAre("a", "b"));
}

// Protects memory from clients that come and go: of all that held a key and ended, the gate keeps
// one wait, for the latest of them.
TEST_F(LeaseGateTest, SessionsThatEndedLeaveOneWaitOfAKey) {
  for (const int64_t ms : {0, 40, 20}) {
    gate_.Grant(static_cast<CacheSessionId>(ms + 1), "a", 1, At(ms), At(41), false, eras_);
  }
  for (const CacheSessionId session : {1, 41, 21}) gate_.Ended(session);
  EXPECT_EQ(gate_.counts().waits, 1u);
  EXPECT_FALSE(Enter("a", 50));
  EXPECT_THAT(Opened(At(139)), IsEmpty());
  EXPECT_THAT(Opened(At(140)), ElementsAre("a"));
}

// Protects against a deposed leader's grants: they count from a confirmed round, not from now.
TEST_F(LeaseGateTest, GrantsCountFromTheConfirmedRound) {
  EXPECT_EQ(gate_.Grant(1, "a", 1, At(0), At(0), false, eras_).life, milliseconds(90));
  EXPECT_EQ(gate_.Grant(1, "a", 1, At(0), At(60), false, eras_).life, milliseconds(30));
  EXPECT_EQ(gate_.Grant(1, "a", 1, At(0), At(90), false, eras_).refusal, Refusal::kStale);
  EXPECT_EQ(gate_.Renew(1, At(0), At(90)).refusal, Refusal::kStale);
}

// Protects both sides from their clocks: the holder takes the larger reading, who waits the
// smaller.
TEST_F(LeaseGateTest, EachSideTakesTheSafeClock) {
  const Instant slept{milliseconds(20), milliseconds(70)};
  EXPECT_EQ(gate_.Grant(1, "a", 1, At(0), slept, false, eras_).life, milliseconds(20));
  EXPECT_FALSE(Enter("a", 60));
  EXPECT_THAT(Opened({milliseconds(99), milliseconds(500)}), IsEmpty());
}

// Protects the arithmetic of drift: a slow holder ends before a fast waiter.
TEST_F(LeaseGateTest, TheLongestLifeEndsBeforeTheShortestWait) {
  for (const double drift : {0.0, 0.001, 0.01, 0.1}) {
    const LeaseOptions options{.lease_term = std::chrono::seconds(2), .drift = drift};
    const double life = static_cast<double>(GrantLifeMax(options).count());
    const double wait = static_cast<double>(Duration(options.lease_term).count());
    EXPECT_LT(life * (1 + drift), wait) << drift;
  }
}

// Protects grants of the term before: what its eras cover waits a full term; the rest does not.
TEST_F(LeaseGateTest, EarlierErasDelayWhatTheyCover) {
  gate_ = LeaseGate(Options(), kGateTerm, At(1000), Earlier("a", 100));
  EXPECT_TRUE(Enter("b", 1000));
  EXPECT_FALSE(Enter("a", 1000));
  EXPECT_THAT(sent_, IsEmpty());
  EXPECT_FALSE(gate_.EarlierAreOver(At(1099)));
  EXPECT_THAT(Opened(At(1099)), IsEmpty());
  EXPECT_TRUE(gate_.EarlierAreOver(At(1100)));
  EXPECT_THAT(Opened(At(1100)), ElementsAre("a"));
  EXPECT_TRUE(Enter("a", 1100));
  gate_.EarlierClosed();
  EXPECT_FALSE(gate_.HasEarlier());
}

// Protects grants of a leader with another lease term: its successor waits for that, a longer or a
// shorter one than its own.
TEST_F(LeaseGateTest, WhatEarlierErasNameIsWaitedFor) {
  for (const int64_t ms : {50, 300}) {
    gate_ = LeaseGate(Options(), kGateTerm, At(1000), Earlier("a", static_cast<uint32_t>(ms)));
    EXPECT_FALSE(Enter("a", 1000));
    EXPECT_EQ(gate_.UntilOpening(At(1010)), milliseconds(ms - 10));
    EXPECT_FALSE(gate_.EnterRange("a", "b", At(1000 + ms - 1), &sent_));
    EXPECT_TRUE(gate_.WaitsForEarlier("a", At(1000 + ms - 1)));
    EXPECT_FALSE(gate_.EarlierAreOver(At(1000 + ms - 1)));
    EXPECT_THAT(Opened(At(1000 + ms - 1)), IsEmpty());
    EXPECT_TRUE(gate_.EarlierAreOver(At(1000 + ms)));
    EXPECT_THAT(Opened(At(1000 + ms)), ElementsAre("a"));
  }
}

// Protects grants on their way: what a client gives back is what it had taken, and not what it was
// granted since. What it gives back costs writes nothing.
TEST_F(LeaseGateTest, GivingBackUndoesTheNewestGrantOnly) {
  Grant(1, "a", 0);
  const uint64_t first = last_fill_;
  Grant(1, "a", 10);
  EXPECT_FALSE(gate_.Returned(1, "a", first));
  EXPECT_FALSE(gate_.Returned(2, "a", last_fill_));
  EXPECT_FALSE(gate_.Returned(1, "b", last_fill_));
  EXPECT_THAT(gate_.HoldersOf("a"), ElementsAre(1u));
  EXPECT_TRUE(gate_.Returned(1, "a", last_fill_));
  EXPECT_FALSE(gate_.Returned(1, "a", last_fill_));
  EXPECT_EQ(gate_.counts().keys, 0u);
  EXPECT_EQ(gate_.counts().sessions, 0u);
  EXPECT_TRUE(Enter("a", 11));
  EXPECT_THAT(sent_, IsEmpty());
  // One that is called back is waited for, whatever is given back.
  Grant(1, "a", 12);
  EXPECT_FALSE(Enter("a", 13));
  EXPECT_FALSE(gate_.Returned(1, "a", last_fill_));
  EXPECT_THAT(Opened(At(13)), IsEmpty());
}

// Protects successors: without a committed era nothing is granted.
TEST_F(LeaseGateTest, WithoutAnEraNothingIsGranted) {
  EXPECT_EQ(Grant(1, "unknown", 0).refusal, Refusal::kNoEra);
  EXPECT_EQ(gate_.counts().sessions, 0u);
}

// Protects a planned transfer: its closing entry goes out when nothing is held any more.
TEST_F(LeaseGateTest, RevokingCallsEverythingBack) {
  Grant(1, "a", 0);
  Grant(2, "b", 0);
  gate_.Revoke(&sent_);
  ASSERT_THAT(sent_, SizeIs(2));
  EXPECT_EQ(Grant(1, "c", 1).refusal, Refusal::kRevoking);
  EXPECT_EQ(gate_.Renew(1, At(1), At(1)).refusal, Refusal::kRevoking);
  EXPECT_FALSE(gate_.IsRevoked(At(1)));
  gate_.Acknowledged(sent_[0].session, sent_[0].number);
  EXPECT_FALSE(gate_.IsRevoked(At(1)));
  EXPECT_TRUE(gate_.IsRevoked(At(100)));
  gate_.Resume();
  EXPECT_EQ(Grant(1, "c", 101).refusal, Refusal::kNone);
}

// Protects a table's end: all of its keys are called back, and none is granted meanwhile.
TEST_F(LeaseGateTest, ARangeIsClosedAsAWhole) {
  Grant(1, "a", 0);
  Grant(1, "b", 0);
  Grant(1, "c", 0);
  EXPECT_FALSE(gate_.EnterRange("a", "c", At(1), &sent_));
  ASSERT_THAT(sent_, SizeIs(2));
  EXPECT_EQ(Grant(2, "b", 1).refusal, Refusal::kPending);
  EXPECT_EQ(Grant(2, "c", 1).refusal, Refusal::kNone);
  for (const Invalidation& sent : sent_) gate_.Acknowledged(sent.session, sent.number);
  EXPECT_TRUE(gate_.EnterRange("a", "c", At(2), &sent_));
  EXPECT_EQ(Grant(2, "b", 2).refusal, Refusal::kPending) << "until the change is applied";
  gate_.LeaveRange("a");
  EXPECT_EQ(Grant(2, "b", 3).refusal, Refusal::kNone);
}

// Protects memory: what is beyond a bound is refused, and what was given back makes room.
// Protects operators, and what a gate costs: counts are kept, not counted, and fit what is held
// whatever came before; nothing waits for ever.
TEST_F(LeaseGateTest, CountsFitWhatIsHeld) {
  Random random(5);
  const std::vector<std::string> keys = {"a", "b", "c"};
  std::map<uint64_t, CacheSessionId> owed;  // invalidations
  int64_t now = 0;
  for (int step = 0; step < 5000; ++step, ++now) {
    const std::string& key = keys[random.Below(keys.size())];
    const CacheSessionId session = 1 + random.Below(4);
    const uint64_t what = random.Below(10);
    if (what < 5) {
      Grant(session, key, now);
    } else if (what < 7) {
      Enter(key, now);
      for (const Invalidation& one : sent_) owed[one.number] = one.session;
    } else if (what == 7 && !owed.empty()) {
      gate_.Acknowledged(owed.begin()->second, owed.begin()->first);
      owed.erase(owed.begin());
    } else if (what == 8 && random.Chance(0.1)) {
      gate_.Ended(session);
    } else {
      gate_.Returned(session, key, last_fill_ - random.Below(3));
      if (random.Chance(0.2)) gate_.Maintain(At(now));
      Opened(At(now));
    }
    size_t held = 0, holders = 0;
    for (const std::string& each : keys) {
      const size_t count = gate_.HoldersOf(each).size();
      held += count > 0;
      holders += count;
    }
    ASSERT_EQ(gate_.counts().keys, held);
    ASSERT_EQ(gate_.counts().holders, holders);
  }
  for (CacheSessionId session = 1; session <= 4; ++session) gate_.Ended(session);
  EXPECT_GT(gate_.counts().waits, 0u);
  gate_.Maintain(At(now + 100));
  EXPECT_EQ(gate_.counts().waits, 0u);
  EXPECT_EQ(gate_.counts().keys, 0u);
}

TEST_F(LeaseGateTest, EverythingIsBounded) {
  LeaseOptions options = Options();
  options.sessions_max = 2;
  options.session_keys_max = 1;
  options.key_holders_max = 1;
  options.keys_max = 2;
  gate_ = LeaseGate(options, kGateTerm, At(0), Eras());
  EXPECT_EQ(Grant(1, "a", 0).refusal, Refusal::kNone);
  EXPECT_EQ(Grant(1, "a", 0).refusal, Refusal::kNone) << "again is nothing new";
  EXPECT_EQ(Grant(1, "b", 0).refusal, Refusal::kKeys) << "keys of a session";
  EXPECT_EQ(Grant(2, "a", 0).refusal, Refusal::kHolders) << "holders of a key";
  EXPECT_EQ(Grant(2, "b", 0).refusal, Refusal::kNone);
  EXPECT_EQ(Grant(3, "c", 0).refusal, Refusal::kSessions) << "sessions";
  EXPECT_TRUE(gate_.Returned(2, "b", last_fill_ - 1));
  EXPECT_EQ(gate_.counts().sessions, 1u);
  EXPECT_EQ(Grant(3, "c", 0).refusal, Refusal::kNone);
  EXPECT_THAT(gate_.HoldersOf("c"), ElementsAre(3u));
}

}  // namespace
}  // namespace ringleader
