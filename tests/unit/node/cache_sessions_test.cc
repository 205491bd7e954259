// The ends of the cache's lanes at a node: what is sent keeps its order and comes in frames, and no
// session keeps its place because its client says or reads nothing.
#include "node/cache_sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringleader {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class ManualClock : public Clock {
 public:
  Instant Now() const override { return {now, now}; }
  int64_t WallMicros() const override { return 0; }
  Duration now = seconds(100);
};

// What a client would have got.
class Stream : public Call {
 public:
  bool Send(std::string message) override {
    frames.push_back(std::move(message));
    return true;
  }
  void Finish(absl::Status status) override { finished = std::move(status); }
  void Cancel() override { is_cancelled = true; }
  uint64_t queued_bytes() const override { return 0; }

  std::vector<std::string> frames;
  absl::Status finished;
  bool is_cancelled = false;
};

class CacheSessionsTest : public ::testing::Test {
 protected:
  CacheSessionsTest() : session_(sessions_.Open(stream_)) {}

  bool Send(size_t bytes = 10) {
    cache::v1::Event event;
    event.mutable_invalidate()->set_number(++last_number_);
    event.mutable_invalidate()->set_key(std::string(bytes, 'k'));
    return sessions_.Send(session_, 1, std::move(event));
  }
  void End() { sessions_.End(session_, absl::CancelledError("over")); }

  ManualClock clock_;
  CacheSessionsOptions options_;
  CacheSessions sessions_{options_, clock_};
  const std::shared_ptr<Stream> stream_ = std::make_shared<Stream>();
  const CacheSessionId session_;
  uint64_t last_number_ = 0;
};

// Protects nodes from clients that stand still or are gone: they keep no place. Who says something
// keeps it.
TEST_F(CacheSessionsTest, ASessionOfWhichNothingIsHeardIsOverdue) {
  clock_.now += options_.silent_max - milliseconds(1);
  EXPECT_THAT(sessions_.Overdue(), IsEmpty());
  EXPECT_TRUE(sessions_.Heard(session_));
  clock_.now += options_.silent_max - milliseconds(1);
  EXPECT_THAT(sessions_.Overdue(), IsEmpty());
  clock_.now += milliseconds(1);
  EXPECT_THAT(sessions_.Overdue(), ElementsAre(session_));
  EXPECT_EQ(stream_->finished.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(stream_->is_cancelled) << "nothing holds its end up";
  EXPECT_FALSE(sessions_.Heard(session_));
  EXPECT_FALSE(Send());
  EXPECT_EQ(sessions_.silent().value(), 1u);
  End();
  EXPECT_EQ(sessions_.size(), 0u);
}

// Protects nodes from clients that say much and read nothing: a frame that does not go out ends the
// session, and does not hold its end up.
TEST_F(CacheSessionsTest, AFrameThatIsNotReadEndsTheSession) {
  EXPECT_TRUE(Send());
  for (Duration waited(0); waited < options_.silent_max; waited += seconds(1)) {
    EXPECT_THAT(sessions_.Overdue(), IsEmpty());
    clock_.now += seconds(1);
    EXPECT_TRUE(sessions_.Heard(session_));
  }
  EXPECT_THAT(sessions_.Overdue(), ElementsAre(session_));
  EXPECT_TRUE(stream_->is_cancelled);
}

// Protects nodes from clients that do not read at all: what overflowed is cancelled when its last
// words do not go out in time.
TEST_F(CacheSessionsTest, AnOverflowedLaneIsCancelledWhenItsLastWordsDoNotGoOut) {
  EXPECT_TRUE(Send());
  bool is_sent = true;
  while (sessions_.IsOpen(session_)) is_sent = Send(100 << 10);
  EXPECT_FALSE(is_sent) << "who sent what did not fit is told so";
  EXPECT_EQ(stream_->finished.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(sessions_.overflowed().value(), 1u);
  clock_.now += options_.linger_max - milliseconds(1);
  EXPECT_THAT(sessions_.Overdue(), IsEmpty());
  EXPECT_FALSE(stream_->is_cancelled);
  clock_.now += milliseconds(1);
  EXPECT_THAT(sessions_.Overdue(), ElementsAre(session_));
  EXPECT_TRUE(stream_->is_cancelled);
  End();
  EXPECT_EQ(sessions_.size(), 0u);
}

// Protects the cost of a miss: the answers of one turn go out in one frame, behind none of them.
TEST_F(CacheSessionsTest, WhatIsSentInOneTurnGoesOutInOneFrame) {
  {
    const CacheSessions::Gathering outer(sessions_, session_);
    const CacheSessions::Gathering inner(sessions_, session_);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(Send());
    EXPECT_THAT(stream_->frames, IsEmpty());
  }
  ASSERT_THAT(stream_->frames, SizeIs(1));
  cache::v1::ToClient message;
  ASSERT_TRUE(message.ParseFromString(stream_->frames[0]));
  EXPECT_EQ(message.events_size(), 3);
  sessions_.Idle(session_);
  EXPECT_TRUE(Send());
  EXPECT_THAT(stream_->frames, SizeIs(2));
}

// Protects holders from bulk: half of the queue is kept for what has to be said.
TEST_F(CacheSessionsTest, BulkLeavesRoom) {
  const size_t large = 300 << 10;
  while (sessions_.HasRoom(session_, large)) ASSERT_TRUE(Send(large));
  for (size_t bytes = large; bytes < options_.queue_bytes_max / 2; bytes += large) {
    ASSERT_TRUE(Send(large));
  }
  EXPECT_TRUE(sessions_.IsOpen(session_));
  EXPECT_FALSE(sessions_.HasRoom(session_ + 1, 0));
}

// Protects clients: what gathered goes out in order, in frames that they take.
TEST_F(CacheSessionsTest, WhatGathersGoesOutInFramesOfBoundedSize) {
  const size_t large = 300 << 10, count = 2 * client::kCacheFrameMessages;
  for (size_t i = 0; i < count; ++i) ASSERT_TRUE(Send(10));
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(Send(large));
  uint64_t expected = 0;
  for (size_t read = 0; read < stream_->frames.size(); ++read) {
    const std::string& frame = stream_->frames[read];
    EXPECT_LE(frame.size(), client::kCacheFrameBytes);
    cache::v1::ToClient message;
    ASSERT_TRUE(message.ParseFromString(frame));
    EXPECT_LE(message.events_size(), static_cast<int>(client::kCacheFrameMessages));
    for (const auto& event : message.events()) {
      EXPECT_EQ(event.invalidate().number(), ++expected);
    }
    sessions_.Idle(session_);
  }
  EXPECT_EQ(expected, last_number_);
}

}  // namespace
}  // namespace ringleader
