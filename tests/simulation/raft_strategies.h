// Faults of several steps, each aimed at one rule by what the simulator can see of the replicas:
// who leads in which term, where logs end, what is committed. A strategy is a row of steps that
// wait for something to be so, with delays that the seed draws; the production code knows nothing
// of it. It keeps every bound of fault-model.md, so that production code passes.
//
//   stale leader    a leader is cut off while its clients go on reading from it: its answers come
//                   late, it sleeps, it hands leadership over, or a voter that promised it a lease
//                   forgets that (rules 3 to 6)
//   older term      Raft's figure 8: an entry of an older term reaches a majority by a leader whose
//                   own entry does not (rule 1)
//   late acknowledgement
//                   what it speaks of was replaced, and its leader leads again (rule 9)
//   sole holder     what was committed is on one voter of the next majority, and that one loses it
//                   or nearly (rules 7, 10, 11)
//   split members   the voters part along a change of members: the old ones' majority and the new
//                   ones' (rule 14)
//
// At most one is under way. It is given up when a step takes too long: other faults go on.
#ifndef RINGLEADER_TESTS_SIMULATION_RAFT_STRATEGIES_H_
#define RINGLEADER_TESTS_SIMULATION_RAFT_STRATEGIES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/raft_workload.h"
#include "tests/simulation/raft_world.h"

namespace ringleader::simulation {

struct StrategyOptions {
  Duration every_max{0};  // between the end of one and the next; 0: none
  // Of other faults this part is left out while a strategy is under way.
  double calm = 0;
  // One machine may lose its disk; power is never cut then.
  bool wipes = false;
  // Batches of many entries may be torn; no disk is harmed then.
  bool tears = false;
};

class Strategies {
 public:
  Strategies(World& world, Workload& workload, const StrategyOptions& options);

  void Start();
  // Ends what is under way and mends what it broke.
  void Heal();
  // Whether another fault has to wait.
  bool Holds() { return !steps_.empty() && random_.Chance(options_.calm); }

  // The leader on this node is about to replace voters: a strategy may begin just now.
  void BeforeChange(GroupId group, NodeId leader,
                    const std::vector<replication::Member>& next_voters);

  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  using Nodes = std::set<NodeId>;

  // A group with a leader whose voters are all up.
  struct Scene {
    GroupId group = 0;
    NodeId leader = 0;
    replication::Term term = 0;
    Nodes others;  // voters
  };

  // Waits until `is_so`, then does `then` and goes on. Without `is_so`: waits for `at_most`.
  struct Step {
    Duration at_most{0};
    std::function<bool()> is_so;
    std::function<void()> then;
  };

  void Next();
  void Choose();
  std::optional<Scene> FindScene();
  void Perform(const std::string& name, std::vector<Step> steps);
  void Watch(uint64_t performance, Duration waited);
  void Finish(const std::string& how);

  // raft_strategies_reads.cc
  void StaleLeader(const Scene& scene);
  void LateAnswers(const Scene& scene);
  void Asleep(const Scene& scene);
  void HandedOver(const Scene& scene);
  void ForgottenPromise(const Scene& scene);
  std::function<bool()> OthersLead(const Scene& scene);
  void IsolateAndAsk(const Scene& scene);
  // raft_strategies_logs.cc
  void OlderTerm(const Scene& scene);
  void LateAcknowledgement(const Scene& scene);
  void SoleHolder(const Scene& scene);
  void UnreadableHistory(const Scene& scene);
  bool TakeAway(NodeId holder, uint64_t after_sequence);
  void Restart(NodeId node, bool power);

  std::optional<replication::ReplicaView> View(NodeId node, GroupId group);
  replication::Index LastOf(const Nodes& nodes, GroupId group);  // the highest; 0: none is up
  // A node of these leads in a term above this one; 0: none. `serving`: has applied its own entry.
  NodeId LeaderAmong(const Nodes& nodes, GroupId group, replication::Term above, bool serving);
  // No message between the two.
  void Separate(const Nodes& these, const Nodes& those);
  void Isolate(NodeId node);
  void HandOver(GroupId group, NodeId from, NodeId to);
  void CutAppends(NodeId from, const Nodes& to);
  // By what is returned, which is drawn between the two.
  Duration SlowAnswers(const Scene& scene, Duration least, Duration most);
  Nodes SomeOf(const Nodes& nodes, size_t count);
  static Nodes Without(Nodes nodes, const Nodes& some);

  Duration Some(Duration max) { return Duration(random_.Between(1, max.count())); }
  void Count(const std::string& what) { ++counts_[what]; }

  World& world_;
  Workload& workload_;
  const StrategyOptions options_;
  Random random_;
  bool healed_ = false;
  std::string name_;
  std::vector<Step> steps_;  // empty: none is under way
  size_t step_ = 0;
  uint64_t performance_ = 0;  // its number: events of an earlier one are void
  Nodes asleep_;
  std::map<std::string, uint64_t> counts_;
};

}  // namespace ringleader::simulation

#endif  // RINGLEADER_TESTS_SIMULATION_RAFT_STRATEGIES_H_
