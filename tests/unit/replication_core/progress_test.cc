// A leader's knowledge of one peer, and its window.
#include "replication/progress.h"

#include <gtest/gtest.h>

namespace ringleader::replication {
namespace {

// Protects rule 19: a window is full by messages or by bytes, and empties by acknowledgement.
TEST(InflightWindow, IsFullByMessagesOrBytes) {
  InflightWindow window(2, 100);
  window.Add(5, 10);
  EXPECT_FALSE(window.full());
  window.Add(6, 10);
  EXPECT_TRUE(window.full());
  window.FreeTo(4);
  EXPECT_TRUE(window.full());
  window.FreeTo(5);
  EXPECT_FALSE(window.full());
  EXPECT_EQ(window.bytes(), 10u);
  window.Add(9, 95);  // passes the byte bound by one message
  EXPECT_TRUE(window.full());
  window.FreeTo(100);
  EXPECT_EQ(window.messages(), 0u);
  EXPECT_EQ(window.bytes(), 0u);
}

// Protects the send states: each change empties the window and forgets what was under way.
TEST(Progress, StatesStartClean) {
  Progress progress;
  progress.match = 7;
  progress.inflight = InflightWindow(2, 100);
  progress.BecomeReplicate();
  EXPECT_EQ(progress.next, 8u);
  progress.inflight.Add(8, 1);
  progress.inflight.Add(9, 1);
  progress.next = 10;
  EXPECT_TRUE(progress.Paused());
  progress.fetching = true;
  progress.BecomeProbe();
  EXPECT_EQ(progress.next, 8u);
  EXPECT_FALSE(progress.Paused());
  progress.probe_sent = true;
  EXPECT_TRUE(progress.Paused());
  progress.BecomeSnapshot();
  EXPECT_TRUE(progress.Paused());
  EXPECT_TRUE(progress.snapshot_requested);
}

}  // namespace
}  // namespace ringleader::replication
