// Protects what Raft relies on between nodes: lanes that don't hold each other up, frames that only
// their addressee takes, bounded queues, and recovery after a break.
#include "replication/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_network.h"
#include "tests/simulation/simulation.h"

namespace ringleader::replication {
namespace {

using simulation::SimulatedClock;
using simulation::SimulatedNetwork;
using simulation::Simulation;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Recorder : TransportHandler {
  void OnFrame(const Sender& from, Lane lane,
               const std::vector<absl::string_view>& messages) override {
    ++frames;
    promised_us.push_back(from.promised_us);
    for (const absl::string_view message : messages) {
      received.push_back(absl::StrCat(from.node, "/", static_cast<int>(lane), "/", message));
    }
  }
  void OnUnreachable(NodeId node, Lane) override { unreachable.push_back(node); }
  int frames = 0;
  std::vector<uint64_t> promised_us;  // of each frame
  std::vector<std::string> received;
  std::vector<NodeId> unreachable;
};

class TransportTest : public ::testing::Test {
 protected:
  // A node as a transport sees it; order of members is order of construction.
  struct Node {
    Node(TransportTest& test, NodeId id, TransportOptions options)
        : network(test.world_.NewEndpoint(id, nullptr)) {
      options.cluster = options.cluster == 0 ? 9 : options.cluster;
      options.node = id;
      transport = std::make_unique<Transport>(*network, test.clock_, handler, options);
      listener = *network->Listen(absl::StrCat("n", id), transport.get());
    }
    ~Node() { listener = nullptr; }
    Recorder handler;
    std::unique_ptr<Network> network;
    std::unique_ptr<Transport> transport;
    std::unique_ptr<Listener> listener;
  };

  void Run(int ms = 100) { simulation_.RunFor(milliseconds(ms)); }

  Simulation simulation_{1};
  SimulatedClock clock_{simulation_, 1.0};
  SimulatedNetwork world_{simulation_};
};

TEST_F(TransportTest, OneTurnsMessagesTravelInOneFrame) {
  Node one(*this, 1, {}), two(*this, 2, {});
  one.transport->SetAddress(2, "n2");
  for (int i = 0; i < 3; ++i) one.transport->Send(2, Lane::kControl, absl::StrCat("m", i));
  one.transport->Flush();
  Run();
  EXPECT_THAT(two.handler.received, ElementsAre("1/0/m0", "1/0/m1", "1/0/m2"));
  EXPECT_EQ(two.handler.frames, 1);
}

// Leases rest on it: an older build, which says nothing, is told from one that promises little.
TEST_F(TransportTest, WhatASenderPromisesComesWithItsFrames) {
  Node one(*this, 1, {.promise_us = 250}), two(*this, 2, {}), three(*this, 3, {});
  for (Node* node : {&one, &three}) {
    node->transport->SetAddress(2, "n2");
    node->transport->Send(2, Lane::kControl, "m");
    node->transport->Flush();
    Run();
  }
  EXPECT_THAT(two.handler.promised_us, ElementsAre(250, UINT64_MAX));
}

TEST_F(TransportTest, NothingLeavesBeforeFlush) {
  Node one(*this, 1, {}), two(*this, 2, {});
  one.transport->SetAddress(2, "n2");
  one.transport->Send(2, Lane::kControl, "m");
  Run();
  EXPECT_THAT(two.handler.received, IsEmpty());
}

TEST_F(TransportTest, AnAddressThatBelongsToAnotherNodeNowIsRefused) {
  Node one(*this, 1, {}), three(*this, 3, {});
  one.transport->SetAddress(2, "n3");  // node 2 used to be there
  one.transport->Send(2, Lane::kAppend, "for node 2 only");
  one.transport->Flush();
  Run();
  EXPECT_THAT(three.handler.received, IsEmpty());
  EXPECT_THAT(one.handler.unreachable, ElementsAre(2));
}

TEST_F(TransportTest, AnotherClustersNodeIsRefused) {
  TransportOptions other;
  other.cluster = 10;
  Node one(*this, 1, {}), two(*this, 2, other);
  one.transport->SetAddress(2, "n2");
  one.transport->Send(2, Lane::kAppend, "m");
  one.transport->Flush();
  Run();
  EXPECT_THAT(two.handler.received, IsEmpty());
}

TEST_F(TransportTest, AFullLaneDropsAndTheOthersGoOn) {
  TransportOptions options;
  options.queue_bytes_max = {1000, 1000, 1000};
  Node one(*this, 1, options), two(*this, 2, {});
  one.transport->SetAddress(2, "n2");
  const std::string large(600, 'x');
  EXPECT_TRUE(one.transport->Send(2, Lane::kAppend, large));
  EXPECT_FALSE(one.transport->Send(2, Lane::kAppend, large));
  EXPECT_TRUE(one.transport->Send(2, Lane::kControl, "vote"));
  one.transport->Flush();
  Run();
  EXPECT_THAT(two.handler.received, SizeIs(2));
  EXPECT_EQ(one.transport->statistics().lanes[1].messages_dropped, 1u);
}

TEST_F(TransportTest, AMessageLargerThanTheLaneStillPassesAlone) {
  TransportOptions options;
  options.queue_bytes_max = {10, 10, 10};
  Node one(*this, 1, options), two(*this, 2, {});
  one.transport->SetAddress(2, "n2");
  EXPECT_TRUE(one.transport->Send(2, Lane::kAppend, std::string(5000, 'x')));
  one.transport->Flush();
  Run();
  EXPECT_THAT(two.handler.received, SizeIs(1));
}

TEST_F(TransportTest, ABrokenLaneIsToldOnceAndDialledAgain) {
  Node one(*this, 1, {});
  one.transport->SetAddress(2, "n2");  // nobody there yet
  one.transport->Send(2, Lane::kControl, "lost");
  one.transport->Flush();
  Run();
  EXPECT_THAT(one.handler.unreachable, ElementsAre(2));
  Node two(*this, 2, {});
  Run(2000);
  EXPECT_TRUE(one.transport->Send(2, Lane::kControl, "again"));
  one.transport->Flush();
  Run();
  EXPECT_THAT(two.handler.received, ElementsAre("1/0/again"));
}

TEST_F(TransportTest, AnUnknownNodeIsDroppedAndCounted) {
  Node one(*this, 1, {});
  EXPECT_FALSE(one.transport->Send(5, Lane::kControl, "m"));
  EXPECT_EQ(one.transport->statistics().lanes[0].messages_dropped, 1u);
}

}  // namespace
}  // namespace ringleader::replication
