#include "coordinator/placement.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "common/check.h"
#include "common/mutants.h"

namespace ringleader::coordinator {
namespace {

std::map<std::string, std::vector<uint64_t>> ByZone(const std::vector<PlacementNode>& nodes) {
  std::map<std::string, std::vector<uint64_t>> zones;
  for (const PlacementNode& node : nodes) zones[node.zone].push_back(node.id);
  for (auto& [zone, ids] : zones) std::sort(ids.begin(), ids.end());
  return zones;
}

// Varies ties from partition to partition, so that the same nodes are not always together.
uint64_t TieOrder(size_t partition, uint64_t node) {
  uint64_t hash = (partition + 1) * 0x9e3779b97f4a7c15u ^ node * 0xff51afd7ed558ccdu;
  hash ^= hash >> 32;
  return hash * 0xc4ceb9fe1a85ec53u;
}

// One zone's part of the first assignment.
struct ZonePlan {
  std::vector<uint64_t> nodes;
  size_t cap = 0;        // replicas of one partition
  size_t remaining = 0;  // to be placed here in all
  size_t chosen = 0;     // for the partition at hand
};

// How many replicas of the next partition each zone takes. `left`: partitions to be placed, this
// one included. A zone takes what it could not place later, then whoever has most left.
void ChooseZones(std::vector<ZonePlan>& zones, size_t replicas, size_t left) {
  size_t missing = replicas;
  for (ZonePlan& zone : zones) {
    const size_t later_max = (left - 1) * zone.cap;
    zone.chosen = zone.remaining > later_max ? zone.remaining - later_max : 0;
    CHECK_LE(zone.chosen, missing);
    missing -= zone.chosen;
  }
  for (; missing > 0; --missing) {
    ZonePlan* best = nullptr;
    for (ZonePlan& zone : zones) {
      if (zone.chosen >= std::min(zone.cap, zone.remaining)) continue;
      // Compares remaining / cap without division, less what is chosen already.
      if (best == nullptr || (zone.remaining - zone.chosen * left) * best->cap >
                                 (best->remaining - best->chosen * left) * zone.cap) {
        best = &zone;
      }
    }
    CHECK(best != nullptr);
    ++best->chosen;
  }
}

// So that the odd replica stays where it is.
std::vector<PlacementNode> MostLoadedFirst(std::vector<PlacementNode> nodes,
                                           const Assignment& current) {
  std::map<uint64_t, size_t> load;
  for (const auto& replicas : current) {
    for (const uint64_t node : replicas) ++load[node];
  }
  std::sort(nodes.begin(), nodes.end(), [&](const PlacementNode& a, const PlacementNode& b) {
    return load[a.id] != load[b.id] ? load[a.id] > load[b.id] : a.id < b.id;
  });
  return nodes;
}

// The state of a rebalancing under way.
class Rebalancer {
 public:
  Rebalancer(const std::vector<PlacementNode>& nodes, const Assignment& current, size_t replicas)
      : assignment_(current),
        cap_(ZoneCap(nodes, replicas)),
        quotas_(Quotas(MostLoadedFirst(nodes, current), current.size(), replicas)) {
    for (const PlacementNode& node : nodes) {
      zone_of_[node.id] = node.zone;
      hosted_[node.id];
    }
    for (size_t partition = 0; partition < current.size(); ++partition) {
      for (const uint64_t node : current[partition]) {
        if (zone_of_.contains(node)) hosted_[node].insert(partition);
      }
    }
  }

  std::vector<Move> Run() {
    if (cap_ == 0) return {};
    ReplaceDisplaced();
    RepairZones();
    EvenLoads();
    return std::move(moves_);
  }

 private:
  bool Has(size_t partition, uint64_t node) const {
    const auto& nodes = assignment_[partition];
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  }

  size_t InZone(size_t partition, const std::string& zone) const {
    size_t count = 0;
    for (const uint64_t node : assignment_[partition]) {
      const auto known = zone_of_.find(node);
      count += known != zone_of_.end() && known->second == zone;
    }
    return count;
  }

  bool MayMove(size_t partition, uint64_t from, uint64_t to) const {
    if (Has(partition, to)) return false;
    const auto from_zone = zone_of_.find(from);
    const std::string& to_zone = zone_of_.at(to);
    if (from_zone != zone_of_.end() && from_zone->second == to_zone) return true;
    return InZone(partition, to_zone) < cap_ || MUTANT("ignores-zones");
  }

  void Apply(size_t partition, uint64_t from, uint64_t to, bool forced) {
    auto& nodes = assignment_[partition];
    const auto place = std::find(nodes.begin(), nodes.end(), from);
    CHECK(place != nodes.end());
    CHECK(!Has(partition, to));
    *place = to;
    if (const auto host = hosted_.find(from); host != hosted_.end()) host->second.erase(partition);
    hosted_[to].insert(partition);
    moves_.push_back({partition, from, to, forced});
  }

  // Replicas above the quota (negative: below).
  int64_t Excess(uint64_t node) const {
    return static_cast<int64_t>(hosted_.at(node).size()) - static_cast<int64_t>(quotas_.at(node));
  }

  // The node with most room that may take a replica from `from`; 0: none.
  uint64_t BestTarget(size_t partition, uint64_t from) const {
    uint64_t best = 0;
    for (const auto& [node, quota] : quotas_) {
      if (!MayMove(partition, from, node)) continue;
      if (best == 0 || std::make_tuple(Excess(node), TieOrder(partition, node)) <
                           std::make_tuple(Excess(best), TieOrder(partition, best))) {
        best = node;
      }
    }
    return best;
  }

  void ReplaceDisplaced() {
    for (size_t partition = 0; partition < assignment_.size(); ++partition) {
      const std::vector<uint64_t> nodes = assignment_[partition];
      for (const uint64_t node : nodes) {
        if (zone_of_.contains(node)) continue;
        const uint64_t target = BestTarget(partition, node);
        if (target != 0) Apply(partition, node, target, true);
      }
    }
  }

  void RepairZones() {
    for (size_t partition = 0; partition < assignment_.size(); ++partition) {
      const std::vector<uint64_t> nodes = assignment_[partition];
      for (const uint64_t node : nodes) {
        const auto zone = zone_of_.find(node);
        if (zone == zone_of_.end() || InZone(partition, zone->second) <= cap_) continue;
        uint64_t best = 0;
        for (const auto& [other, quota] : quotas_) {
          if (zone_of_.at(other) == zone->second || !MayMove(partition, node, other)) continue;
          if (best == 0 || Excess(other) < Excess(best)) best = other;
        }
        if (best != 0) Apply(partition, node, best, false);
      }
    }
  }

  // The partition that may go from one node to the other; SIZE_MAX: none.
  size_t Movable(uint64_t from, uint64_t to) const {
    for (const size_t partition : hosted_.at(from)) {
      if (MayMove(partition, from, to)) return partition;
    }
    return SIZE_MAX;
  }

  // Moves one replica's worth of load from `from` to the best of `to`, over other nodes if there
  // is no direct way. False: there is none.
  bool Shift(uint64_t from, const std::vector<uint64_t>& to) {
    std::map<uint64_t, uint64_t> previous = {{from, 0}};
    std::deque<uint64_t> queue = {from};
    uint64_t reached = 0;
    while (!queue.empty() && reached == 0) {
      const uint64_t node = queue.front();
      queue.pop_front();
      for (const uint64_t target : to) {
        if (reached != 0 || previous.contains(target) || Movable(node, target) == SIZE_MAX) {
          continue;
        }
        previous[target] = node;
        reached = target;
      }
      for (const auto& [next, quota] : quotas_) {
        if (reached != 0 || previous.contains(next) || Movable(node, next) == SIZE_MAX) continue;
        previous[next] = node;
        queue.push_back(next);
      }
    }
    if (reached == 0) return false;
    // From the far end: each node gives before it takes.
    for (uint64_t node = reached; previous.at(node) != 0; node = previous.at(node)) {
      const uint64_t giver = previous.at(node);
      Apply(Movable(giver, node), giver, node, false);
    }
    return true;
  }

  // Nodes by load relative to quota, `sign` 1: the emptiest first.
  std::vector<uint64_t> ByExcess(int sign) const {
    std::vector<uint64_t> nodes;
    for (const auto& [node, quota] : quotas_) nodes.push_back(node);
    std::stable_sort(nodes.begin(), nodes.end(),
                     [&](uint64_t a, uint64_t b) { return sign * Excess(a) < sign * Excess(b); });
    return nodes;
  }

  std::vector<uint64_t> Where(int sign, bool below_quota) const {
    std::vector<uint64_t> nodes = ByExcess(sign);
    std::erase_if(
        nodes, [&](uint64_t node) { return below_quota ? Excess(node) >= 0 : Excess(node) <= 0; });
    return nodes;
  }

  void EvenLoads() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (const uint64_t node : ByExcess(-1)) {
        if (hosted_.at(node).size() <= BandOf(quotas_.at(node)).high) continue;
        if ((moved = Shift(node, Where(1, true)))) break;
      }
      if (moved) continue;
      for (const uint64_t node : ByExcess(1)) {
        if (hosted_.at(node).size() >= BandOf(quotas_.at(node)).low) continue;
        for (const uint64_t giver : Where(-1, false)) {
          if ((moved = Shift(giver, {node}))) break;
        }
        if (moved) break;
      }
    }
  }

  Assignment assignment_;
  const size_t cap_;
  const std::map<uint64_t, size_t> quotas_;
  std::map<uint64_t, std::string> zone_of_;
  std::map<uint64_t, std::set<size_t>> hosted_;
  std::vector<Move> moves_;
};

}  // namespace

size_t ZoneCap(const std::vector<PlacementNode>& nodes, size_t replicas) {
  if (nodes.size() < replicas) return 0;
  const auto zones = ByZone(nodes);
  for (size_t cap = 1;; ++cap) {
    size_t room = 0;
    for (const auto& [zone, ids] : zones) room += std::min(cap, ids.size());
    if (room >= replicas) return cap;
  }
}

// Water filling: rounds of one replica for each node that has room, so that loads differ by one
// unless a zone or a node is full (a node never has more replicas than there are partitions).
std::map<uint64_t, size_t> Quotas(const std::vector<PlacementNode>& nodes, size_t partitions,
                                  size_t replicas) {
  std::map<uint64_t, size_t> quotas;
  const size_t cap = ZoneCap(nodes, replicas);
  if (cap == 0) return quotas;
  std::map<std::string, size_t> room;
  for (const auto& [zone, ids] : ByZone(nodes)) {
    room[zone] = partitions * std::min(cap, ids.size());
  }
  for (const PlacementNode& node : nodes) quotas[node.id] = 0;
  size_t missing = partitions * replicas;
  while (missing > 0) {
    const size_t before = missing;
    for (const PlacementNode& node : nodes) {
      size_t& quota = quotas[node.id];
      size_t& left = room[node.zone];
      if (missing == 0 || left == 0 || quota == partitions) continue;
      ++quota;
      --left;
      --missing;
    }
    CHECK_LT(missing, before);
  }
  return quotas;
}

absl::StatusOr<Assignment> PlaceAll(const std::vector<PlacementNode>& nodes, size_t partitions,
                                    size_t replicas) {
  const size_t cap = ZoneCap(nodes, replicas);
  if (cap == 0) return absl::FailedPreconditionError("there are fewer nodes than replicas");
  std::map<uint64_t, size_t> left_of = Quotas(nodes, partitions, replicas);
  std::vector<ZonePlan> zones;
  for (auto& [name, ids] : ByZone(nodes)) {
    ZonePlan zone{ids, std::min(cap, ids.size())};
    for (const uint64_t node : ids) zone.remaining += left_of.at(node);
    zones.push_back(std::move(zone));
  }
  Assignment assignment(partitions);
  for (size_t partition = 0; partition < partitions; ++partition) {
    ChooseZones(zones, replicas, partitions - partition);
    for (ZonePlan& zone : zones) {
      std::sort(zone.nodes.begin(), zone.nodes.end(), [&](uint64_t a, uint64_t b) {
        return std::make_tuple(-static_cast<int64_t>(left_of.at(a)), TieOrder(partition, a)) <
               std::make_tuple(-static_cast<int64_t>(left_of.at(b)), TieOrder(partition, b));
      });
      for (size_t i = 0; i < zone.chosen; ++i) {
        CHECK_GT(left_of.at(zone.nodes[i]), size_t{0});
        --left_of.at(zone.nodes[i]);
        assignment[partition].push_back(zone.nodes[i]);
      }
      zone.remaining -= zone.chosen;
    }
  }
  return assignment;
}

LoadBand BandOf(size_t quota) {
  const size_t slack = quota / 10;
  return {quota - slack, quota + slack};
}

std::vector<Move> Rebalance(const std::vector<PlacementNode>& nodes, const Assignment& current,
                            size_t replicas) {
  return Rebalancer(nodes, current, replicas).Run();
}

}  // namespace ringleader::coordinator
