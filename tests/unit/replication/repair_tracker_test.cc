// Protects acknowledged entries while a damaged log is being repaired: what is on disk may not get
// shorter.
#include "replication/repair_tracker.h"

#include <gtest/gtest.h>

namespace ringleader::replication {
namespace {

// A log of entries 1..20 (term 2 up to 10, then 4) in which 11 is unreadable.
GroupState Damaged() {
  GroupState state;
  state.runs = {{.first = 1, .term = 2}, {.first = 11, .term = 4}};
  state.intact_last = 10;
  state.promised = {.term = 4, .index = 20};
  state.damage = {{.first = 11, .last = 11, .term = 4}};
  return state;
}

Entry At(Index index, Term term) { return Entry{.term = term, .index = index}; }

TEST(RepairTrackerTest, WhatTheLogHoldsIsRepairedAndTruncatesNothing) {
  RepairTracker tracker(Damaged());
  GroupWrite write;
  tracker.Split({At(11, 4), At(12, 4)}, write);
  EXPECT_EQ(write.repairs.size(), 2u);
  EXPECT_TRUE(write.entries.empty());
  EXPECT_TRUE(tracker.active());
}

TEST(RepairTrackerTest, TheFirstEntryThatDiffersEndsTheRepair) {
  RepairTracker tracker(Damaged());
  GroupWrite write;
  tracker.Split({At(11, 4), At(12, 5), At(13, 5)}, write);
  EXPECT_EQ(write.repairs.size(), 1u);
  EXPECT_EQ(write.entries.size(), 2u);
  EXPECT_FALSE(tracker.active());
  GroupWrite next;
  tracker.Split({At(14, 4)}, next);  // what the log held there is gone with the truncation
  EXPECT_EQ(next.entries.size(), 1u);
}

TEST(RepairTrackerTest, BehindThePromiseEntriesAreNew) {
  RepairTracker tracker(Damaged());
  GroupWrite write;
  tracker.Split({At(20, 4), At(21, 4)}, write);
  EXPECT_EQ(write.repairs.size(), 1u);
  EXPECT_EQ(write.entries.size(), 1u);
}

TEST(RepairTrackerTest, AnIntactLogIsWrittenAsUsual) {
  GroupState intact = Damaged();
  intact.damage.clear();
  RepairTracker tracker(intact);
  GroupWrite write;
  tracker.Split({At(11, 4)}, write);
  EXPECT_EQ(write.entries.size(), 1u);
  EXPECT_FALSE(tracker.Settle());
}

TEST(RepairTrackerTest, SettlesOnce) {
  RepairTracker tracker(Damaged());
  EXPECT_TRUE(tracker.Settle());
  EXPECT_FALSE(tracker.Settle());
}

}  // namespace
}  // namespace ringleader::replication
