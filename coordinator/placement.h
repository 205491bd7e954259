// Where replicas and leaders should be: pure functions of the nodes and the present assignment.
//
// Zones: a partition has at most `cap` replicas in one zone, cap being the least number with which
// R replicas fit (1 if there are R zones or more). Loads: a node's quota is its even share of all
// replicas under that rule; a small zone's nodes may have to carry more than those of a large one.
//
// The same input gives the same output. Not more than a few milliseconds for 4096 partitions on 100
// nodes from nothing; rebalancing costs moves x nodes x partitions of a node.
#ifndef RINGLEADER_COORDINATOR_PLACEMENT_H_
#define RINGLEADER_COORDINATOR_PLACEMENT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ringleader::coordinator {

struct PlacementNode {
  uint64_t id = 0;
  std::string zone;
};

// The nodes of one partition's replicas; order means nothing.
using Assignment = std::vector<std::vector<uint64_t>>;

// At most this many replicas of a partition in one zone; 0: there are fewer nodes than replicas.
size_t ZoneCap(const std::vector<PlacementNode>& nodes, size_t replicas);

// How many replicas each node is to have; the sum is partitions x replicas. Empty if there are
// fewer nodes than replicas. Where the share is not whole, the nodes that come first have one more.
std::map<uint64_t, size_t> Quotas(const std::vector<PlacementNode>& nodes, size_t partitions,
                                  size_t replicas);

// The first assignment: every node has exactly its quota. FAILED_PRECONDITION: fewer nodes than
// replicas.
absl::StatusOr<Assignment> PlaceAll(const std::vector<PlacementNode>& nodes, size_t partitions,
                                    size_t replicas);

struct Move {
  size_t partition = 0;  // its place in the assignment
  uint64_t from = 0;
  uint64_t to = 0;
  bool forced = false;  // `from` can't keep it
  friend bool operator==(const Move&, const Move&) = default;
};

// What leads from `current` to an assignment on `nodes` (those that may have replicas) alone that
// keeps the zone rule, with every load within a tenth of its node's quota: first what has to leave
// its node, then what breaks the zone rule, then the fewest moves that even the loads. A move
// without a place to go is left out. The moves in order never put two replicas of a partition on a
// node.
std::vector<Move> Rebalance(const std::vector<PlacementNode>& nodes, const Assignment& current,
                            size_t replicas);

// Loads within a tenth of the quota, or one replica.
struct LoadBand {
  size_t low = 0;
  size_t high = 0;
};
LoadBand BandOf(size_t quota);

// What evens the leaders out: `leaders[i]` leads partition i (0: nobody, or one that is not to be
// counted), `candidates[i]` may lead it. The moves change one leader each, no partition twice, and
// leave no two nodes further apart than the candidates force, or one.
std::vector<Move> SpreadLeaders(const std::vector<uint64_t>& leaders, const Assignment& candidates);

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_PLACEMENT_H_
