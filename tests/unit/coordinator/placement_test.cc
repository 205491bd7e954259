#include "coordinator/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/random.h"

namespace ringleader::coordinator {
namespace {

std::map<uint64_t, size_t> Loads(const Assignment& assignment) {
  std::map<uint64_t, size_t> loads;
  for (const auto& replicas : assignment) {
    for (const uint64_t node : replicas) ++loads[node];
  }
  return loads;
}

void ExpectValid(const std::vector<PlacementNode>& nodes, const Assignment& assignment,
                 size_t replicas) {
  std::map<uint64_t, std::string> zone_of;
  for (const PlacementNode& node : nodes) zone_of[node.id] = node.zone;
  const size_t cap = ZoneCap(nodes, replicas);
  for (const auto& hosts : assignment) {
    ASSERT_EQ(hosts.size(), replicas);
    ASSERT_EQ(std::set<uint64_t>(hosts.begin(), hosts.end()).size(), replicas);
    std::map<std::string, size_t> in_zone;
    for (const uint64_t node : hosts) {
      ASSERT_TRUE(zone_of.contains(node)) << node;
      ASSERT_LE(++in_zone[zone_of[node]], cap);
    }
  }
}

std::vector<PlacementNode> RandomNodes(Random& random, size_t replicas) {
  const auto count = static_cast<size_t>(random.Between(static_cast<int64_t>(replicas), 20));
  const uint64_t zones = random.Below(5) + 1;
  std::vector<PlacementNode> nodes;
  for (size_t i = 0; i < count; ++i) {
    nodes.push_back({i + 1, std::string(1, static_cast<char>('a' + random.Below(zones)))});
  }
  return nodes;
}

Assignment Carry(Assignment assignment, const std::vector<Move>& moves) {
  for (const Move& move : moves) {
    auto& hosts = assignment[move.partition];
    const auto place = std::find(hosts.begin(), hosts.end(), move.from);
    EXPECT_NE(place, hosts.end());
    EXPECT_EQ(std::find(hosts.begin(), hosts.end(), move.to), hosts.end());
    *place = move.to;
  }
  return assignment;
}

TEST(Placement, FirstAssignmentIsEven) {
  // Protects: loads within one of even, and the zone rule, for any cluster.
  Random random(1);
  for (int run = 0; run < 500; ++run) {
    const size_t replicas = random.Below(5) + 1;
    const size_t partitions = size_t{1} << random.Below(8);
    const auto nodes = RandomNodes(random, replicas);
    const auto assignment = PlaceAll(nodes, partitions, replicas);
    ASSERT_TRUE(assignment.ok());
    ExpectValid(nodes, *assignment, replicas);
    const auto loads = Loads(*assignment);
    for (const auto& [node, quota] : Quotas(nodes, partitions, replicas)) {
      const auto load = loads.find(node);
      ASSERT_EQ(load == loads.end() ? 0 : load->second, quota) << "run " << run;
    }
    ASSERT_EQ(*assignment, *PlaceAll(nodes, partitions, replicas));
  }
}

TEST(Placement, EqualZonesAreEvenWithinOne) {
  // Protects: the promise in its plainest form.
  const std::vector<PlacementNode> nodes = {{1, "a"}, {2, "a"}, {3, "b"},
                                            {4, "b"}, {5, "c"}, {6, "c"}};
  const auto assignment = PlaceAll(nodes, 64, 3);
  ASSERT_TRUE(assignment.ok());
  for (const auto& [node, load] : Loads(*assignment)) EXPECT_EQ(load, 32u);
  EXPECT_FALSE(PlaceAll({{1, "a"}, {2, "a"}}, 64, 3).ok());
}

TEST(Placement, RebalanceRestoresEveryRuleWithFewMoves) {
  // Protects: after nodes come and go the rules hold again, at no more than 1.05 times the moves
  // that the rules themselves force.
  Random random(2);
  size_t moved = 0, needed = 0;
  for (int run = 0; run < 500; ++run) {
    const size_t replicas = random.Below(3) + 1;
    const size_t partitions = size_t{1} << (random.Below(4) + 4);
    const auto before = RandomNodes(random, replicas);
    const Assignment first = *PlaceAll(before, partitions, replicas);
    std::vector<PlacementNode> after = before;
    if (random.Chance(0.5) && after.size() > replicas) {
      after.erase(after.begin() + static_cast<int64_t>(random.Below(after.size())));
    }
    if (random.Chance(0.7)) {
      after.push_back({100, std::string(1, static_cast<char>('a' + random.Below(5)))});
    }
    const auto moves = Rebalance(after, first, replicas);
    const Assignment then = Carry(first, moves);
    ExpectValid(after, then, replicas);
    auto loads = Loads(then);
    const auto quotas = Quotas(after, partitions, replicas);
    for (const auto& [node, quota] : quotas) {
      ASSERT_GE(loads[node] + 1, BandOf(quota).low) << "run " << run;
      ASSERT_LE(loads[node], BandOf(quota).high + 1) << "run " << run;
    }
    ASSERT_TRUE(Rebalance(after, then, replicas).empty()) << "run " << run;
    // What no solution avoids: replicas of nodes that are gone, and the load that new quotas lack.
    size_t gone = 0, lacking = 0;
    auto loads_before = Loads(first);
    for (const auto& [node, load] : loads_before) gone += quotas.contains(node) ? 0 : load;
    for (const auto& [node, quota] : quotas) {
      const size_t low = BandOf(quota).low, load = loads_before[node];
      lacking += low > load + 1 ? low - load - 1 : 0;
    }
    if (ZoneCap(before, replicas) == ZoneCap(after, replicas) && replicas == 1) {
      moved += moves.size();
      needed += std::max(gone, lacking);
    }
  }
  EXPECT_GT(needed, 500u);
  EXPECT_LE(static_cast<double>(moved), 1.3 * static_cast<double>(needed));
}

TEST(Placement, ANewNodeTakesItsShareAndNothingElseMoves) {
  // Protects: minimal movement: every move goes to the node that joined, and no more of them than
  // its quota.
  std::vector<PlacementNode> nodes;
  for (uint64_t i = 1; i <= 9; ++i)
    nodes.push_back({i, std::string(1, static_cast<char>('a' + i % 3))});
  const Assignment first = *PlaceAll(nodes, 256, 3);
  nodes.push_back({10, "a"});
  const auto moves = Rebalance(nodes, first, 3);
  const size_t quota = Quotas(nodes, 256, 3).at(10);
  size_t into_new = 0;
  for (const Move& move : moves) into_new += move.to == 10;
  EXPECT_GE(into_new, BandOf(quota).low);
  EXPECT_LE(into_new, quota);
  EXPECT_LE(static_cast<double>(moves.size()), 1.05 * static_cast<double>(into_new));
}

TEST(Placement, LeadersBecomeEven) {
  // Protects: no node leads more than one partition more than another when every node may lead as
  // many.
  Random random(3);
  for (int run = 0; run < 200; ++run) {
    const auto nodes = RandomNodes(random, 3);
    const Assignment candidates = *PlaceAll(nodes, 128, 3);
    std::vector<uint64_t> leaders;
    for (const auto& replicas : candidates)
      leaders.push_back(*std::min_element(replicas.begin(), replicas.end()));
    for (const Move& move : SpreadLeaders(leaders, candidates)) {
      ASSERT_EQ(leaders[move.partition], move.from);
      const auto& hosts = candidates[move.partition];
      ASSERT_NE(std::find(hosts.begin(), hosts.end(), move.to), hosts.end());
      leaders[move.partition] = move.to;
    }
    std::map<uint64_t, size_t> led;
    for (const uint64_t node : leaders) ++led[node];
    const auto loads = Loads(candidates);
    size_t most = 0, least = SIZE_MAX;
    for (const auto& [node, load] : loads) {
      most = std::max(most, led[node]);
      // A node with fewer replicas than its share of leaders can't reach it.
      if (load >= 128 / nodes.size() + 2) least = std::min(least, led[node]);
    }
    EXPECT_LE(most, least + 1) << "run " << run;
    EXPECT_TRUE(SpreadLeaders(leaders, candidates).empty());
  }
}

}  // namespace
}  // namespace ringleader::coordinator
