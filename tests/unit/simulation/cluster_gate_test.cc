// What asserts the gate of the client cache at every commit: that it sees a grant which is still
// valid, wherever the memory is, and takes no other for one.
#include "tests/simulation/cluster_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/effects.h"
#include "tests/simulation/simulation.h"

namespace ringleader::simulation {
namespace {

using client::GrantDeadline;
using client::ItemCache;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr HostId kHost = 7;
constexpr replication::GroupId kPartition = 3;
constexpr replication::Term kTerm = 4;

class ClusterGateTest : public testing::Test {
 protected:
  void Insert(uint64_t version, const std::optional<model::Item>& item = model::Item()) {
    auto deadline = std::make_shared<GrantDeadline>(client::GrantOrigin{.term = kTerm - 1});
    deadline->Extend(clock_.Now(), milliseconds(100));
    memory_.Insert("k", item, version, deadline, /*fill=*/++fills_);
  }
  void Apply(replication::Index index, bool is_delete = false) {
    EffectsWriter effects;
    if (is_delete) {
      effects.Delete("k");
    } else {
      effects.Put("k", "item");
    }
    const auto payload = std::make_shared<const std::string>(effects.Finish(1, 1));
    const replication::Entry entry{kTerm, index, replication::EntryKind::kCommand, payload};
    gate_.Applying(kPartition, {&entry, 1});
  }
  uint64_t Count(const std::string& what) const {
    const auto found = gate_.counts().find(what);
    return found == gate_.counts().end() ? 0 : found->second;
  }

  Simulation simulation_{1};
  SimulatedClock clock_{simulation_, 1};
  ItemCache memory_{clock_, {.bytes_max = 64 << 10, .shards = 1}};
  std::vector<std::string> violations_;
  ClusterGate gate_{[this] {
                      return std::vector<CachingProcess>{{kHost, &memory_}};
                    },
                    [this](const std::string& what) { violations_.push_back(what); }};
  uint64_t fills_ = 0;
};

// Protects the assertion: a change of what memory still answers fails the run, and says where.
TEST_F(ClusterGateTest, AGrantThatIsNotOverIsSeen) {
  Insert(5);
  Apply(6);
  EXPECT_THAT(violations_,
              ElementsAre(AllOf(HasSubstr("entry 6 of partition 3 and term 4"), HasSubstr("puts k"),
                                HasSubstr("host 7"), HasSubstr("version 5"),
                                HasSubstr("grant of term 3"))));
}

// Protects runs without a fault: what has run out, was taken back, or was granted of the entry
// itself breaks nothing. And what is asserted of nothing is not counted as if it were.
TEST_F(ClusterGateTest, WhatIsNotReadableIsNoViolation) {
  Insert(5);
  simulation_.RunFor(milliseconds(100));
  Apply(6);
  EXPECT_EQ(Count("gate: a grant was over at a commit"), 1u);
  Insert(6);
  Apply(6);  // by the next replica
  gate_.LookAround();
  memory_.Erase("k", nullptr);
  Apply(7);
  EXPECT_EQ(Count("gate: a grant was taken back before a commit"), 1u);
  Apply(8);
  EXPECT_THAT(violations_, IsEmpty());
  EXPECT_EQ(Count("gate: asserted"), 3u);
  EXPECT_EQ(Count("gate: asserted of an item that was held"), 1u);
}

// Protects what the moment of the commit does not show: a grant that was on its way, of an item as
// it was before.
TEST_F(ClusterGateTest, AGrantThatComesLaterIsSeen) {
  Apply(6);
  Insert(5);
  gate_.LookAround();
  ASSERT_EQ(violations_.size(), 1u);
  EXPECT_THAT(violations_[0], HasSubstr("was committed"));
  Insert(0, std::nullopt);
  gate_.LookAround();
  ASSERT_EQ(violations_.size(), 2u);
  EXPECT_THAT(violations_[1], HasSubstr("its absence"));
  memory_.Erase("k", nullptr);
  Apply(7, /*is_delete=*/true);
  Insert(0, std::nullopt);
  gate_.LookAround();
  ASSERT_EQ(violations_.size(), 2u);
  Insert(6);
  gate_.LookAround();
  EXPECT_EQ(violations_.size(), 3u);
}

}  // namespace
}  // namespace ringleader::simulation
