// One channel against the small cluster's node: batches, bounds, and what becomes of requests when
// the stream breaks. Also the numbers that writes carry.
#include "client/channel.h"

#include <gtest/gtest.h>

#include "client/write_sessions.h"
#include "tests/unit/client/fake_cluster.h"

namespace ringleader::client {
namespace {

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest()
      : simulation_(3),
        network_(simulation_),
        threads_(simulation_, std::chrono::microseconds(1)),
        cluster_(simulation_, network_),
        endpoint_(network_.NewEndpoint(FakeCluster::kClientHost, [] { return false; })),
        executor_(threads_.Start("ring-client")) {
    cluster_.answer = [](uint64_t, const data::v1::Request&, data::v1::Response*) { return true; };
  }
  ~ChannelTest() override {
    executor_->Stop();
    channel_.reset();
    endpoint_.reset();
  }

  void Open(const ChannelOptions& options) {
    channel_ =
        std::make_shared<Channel>(*endpoint_, *executor_, FakeCluster::NodeAddress(1), options);
  }
  uint64_t Submit() {
    data::v1::Request request;
    request.set_table_id(FakeCluster::kTable);
    return channel_->Submit(&request, [this](Completion c) { ++fates_[c.fate]; });
  }

  simulation::Simulation simulation_;
  simulation::SimulatedNetwork network_;
  simulation::SimulatedThreads threads_;
  FakeCluster cluster_;
  std::unique_ptr<Network> endpoint_;
  std::unique_ptr<Executor> executor_;
  std::shared_ptr<Channel> channel_;
  std::map<Fate, int> fates_;
};

TEST_F(ChannelTest, GathersWhileAFrameIsOutAndKeepsItsBounds) {
  // Protects: adaptive batching: few frames under load, none larger than its bound; one request
  // alone is not held back.
  Open({.requests_max = 100, .frame_requests_max = 30});
  EXPECT_NE(Submit(), 0u);
  simulation_.RunFor(std::chrono::milliseconds(10));
  EXPECT_EQ(fates_[Fate::kAnswered], 1);
  for (int i = 0; i < 100; ++i) EXPECT_NE(Submit(), 0u);
  EXPECT_EQ(Submit(), 0u);  // refused at once
  simulation_.RunFor(std::chrono::milliseconds(50));
  EXPECT_EQ(fates_[Fate::kAnswered], 101);
  EXPECT_EQ(cluster_.frames, 1 + 4);
  EXPECT_EQ(cluster_.largest_frame, 30u);
  EXPECT_EQ(channel_->outstanding_bytes(), 0u);
}

TEST_F(ChannelTest, ABrokenStreamCompletesEverythingOnce) {
  // Protects: sent is unknown, unsent is not sent, and none is left waiting.
  Open({.frame_requests_max = 10});
  cluster_.treat = [](uint64_t, const data::v1::Request&) { return Treatment::kIgnore; };
  for (int i = 0; i < 25; ++i) Submit();
  // The first frame leaves; the stream is closed before the next.
  while (channel_->outstanding() == 25 && cluster_.frames == 0) ASSERT_TRUE(simulation_.Step());
  const int sent = 10 * cluster_.frames;
  Open({});  // the old one's end: nobody is told
  EXPECT_TRUE(fates_.empty());
  for (int i = 0; i < 25; ++i) Submit();
  channel_->Close(absl::UnavailableError("closing"));
  EXPECT_EQ(fates_[Fate::kNotSent], 25);
  Submit();
  cluster_.treat = [](uint64_t, const data::v1::Request&) { return Treatment::kBreak; };
  simulation_.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(fates_[Fate::kUnknown], 1);
  EXPECT_EQ(channel_->outstanding(), 0u);
  EXPECT_GT(sent, 0);
}

TEST_F(ChannelTest, ForgettingSaysWhetherItMayHaveArrived) {
  // Protects: a deadline before sending is certain, one after it is not.
  Open({});
  cluster_.treat = [](uint64_t, const data::v1::Request&) { return Treatment::kIgnore; };
  const uint64_t unsent = Submit();
  EXPECT_FALSE(channel_->Forget(unsent));
  const uint64_t sent = Submit();
  simulation_.RunFor(std::chrono::milliseconds(10));
  EXPECT_TRUE(channel_->Forget(sent));
  EXPECT_EQ(cluster_.requests[1], 1);
  EXPECT_TRUE(fates_.empty());
}

TEST(WriteSessionsTest, LowestOutstandingNeverPassesAnOpenSequence) {
  // Protects: a partition prunes what is below it; passing an open one would lose its record.
  WriteSessions sessions(Random(1));
  std::vector<WriteSessions::Ticket> open;
  for (int i = 0; i < 3; ++i) open.push_back(*sessions.Begin(5));
  data::v1::WriteSession wire;
  sessions.End(open[1]);
  open[2].Fill(&wire);
  EXPECT_EQ(wire.sequence(), 3u);
  EXPECT_EQ(wire.lowest_outstanding(), 1u);
  sessions.End(open[0]);
  open[2].Fill(&wire);
  EXPECT_EQ(wire.lowest_outstanding(), 3u);
}

TEST(WriteSessionsTest, LanesAreApartAndBounded) {
  // Protects: a stuck write holds back its own slice of the ring only.
  WriteSessions sessions(Random(1));
  for (size_t i = 0; i < WriteSessions::kOpenMax; ++i) ASSERT_TRUE(sessions.Begin(0).has_value());
  EXPECT_FALSE(sessions.Begin(0).has_value());
  const auto other = sessions.Begin(UINT64_MAX);
  ASSERT_TRUE(other.has_value());
  data::v1::WriteSession wire;
  other->Fill(&wire);
  EXPECT_EQ(wire.sequence(), 1u);
  sessions.Renew(*other);
  data::v1::WriteSession renewed;
  sessions.Begin(UINT64_MAX)->Fill(&renewed);
  EXPECT_NE(renewed.session(), wire.session());
}

}  // namespace
}  // namespace ringleader::client
