// Spreading leaders: augmenting paths from the node that leads most to one that leads least.
#include <deque>
#include <map>
#include <set>

#include "common/check.h"
#include "coordinator/placement.h"

namespace ringleader::coordinator {
namespace {

struct Step {
  uint64_t from = 0;  // 0: the start
  size_t partition = 0;
};

class LeaderSpreader {
 public:
  LeaderSpreader(const std::vector<uint64_t>& leaders, const Assignment& candidates)
      : first_(leaders), leaders_(leaders), candidates_(candidates) {
    CHECK_EQ(leaders.size(), candidates.size());
    for (size_t partition = 0; partition < leaders.size(); ++partition) {
      for (const uint64_t node : candidates[partition]) led_[node];
    }
    for (size_t partition = 0; partition < leaders.size(); ++partition) {
      if (leaders[partition] != 0) led_[leaders[partition]].insert(partition);
    }
  }

  std::vector<Move> Run() {
    while (ImproveOnce()) {
    }
    std::vector<Move> moves;
    for (size_t partition = 0; partition < leaders_.size(); ++partition) {
      if (leaders_[partition] == first_[partition]) continue;
      moves.push_back({partition, first_[partition], leaders_[partition], false});
    }
    return moves;
  }

 private:
  // Each success lowers the sum of squared loads: the loop ends.
  bool ImproveOnce() {
    std::multimap<size_t, uint64_t> by_load;
    for (const auto& [node, led] : led_) by_load.emplace(led.size(), node);
    for (auto most = by_load.rbegin(); most != by_load.rend(); ++most) {
      if (Relieve(most->second)) return true;
    }
    return false;
  }

  // Gives one leadership of `from` away, over others if need be, to a node that leads at least two
  // fewer.
  bool Relieve(uint64_t from) {
    std::map<uint64_t, Step> reached = {{from, {}}};
    std::deque<uint64_t> queue = {from};
    while (!queue.empty()) {
      const uint64_t node = queue.front();
      queue.pop_front();
      for (const size_t partition : led_.at(node)) {
        for (const uint64_t next : candidates_[partition]) {
          if (!reached.try_emplace(next, Step{node, partition}).second) continue;
          if (led_.at(next).size() + 2 <= led_.at(from).size()) {
            Follow(reached, next);
            return true;
          }
          queue.push_back(next);
        }
      }
    }
    return false;
  }

  void Follow(const std::map<uint64_t, Step>& reached, uint64_t last) {
    for (uint64_t node = last; reached.at(node).from != 0; node = reached.at(node).from) {
      const Step step = reached.at(node);
      led_.at(step.from).erase(step.partition);
      led_.at(node).insert(step.partition);
      leaders_[step.partition] = node;
    }
  }

  const std::vector<uint64_t> first_;
  std::vector<uint64_t> leaders_;
  const Assignment& candidates_;
  std::map<uint64_t, std::set<size_t>> led_;
};

}  // namespace

std::vector<Move> SpreadLeaders(const std::vector<uint64_t>& leaders,
                                const Assignment& candidates) {
  return LeaderSpreader(leaders, candidates).Run();
}

}  // namespace ringleader::coordinator
