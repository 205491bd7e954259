// What the metadata leader decides: from the metadata and what the nodes last reported, the
// commands to propose and the orders to send. No I/O, no waiting: called again and again, each time
// deciding everything anew from the latest reports, so that a lost order, a restarted coordinator
// or a command that came too late cost a round and nothing else.
//
// A move's steps, each taken when the leader's report shows the one before in a committed
// configuration that is not joint:
//   1 the new replica is no member          add it as a learner
//   2 it is a learner and has caught up     one joint change: it votes, the old one is a learner
//   3 the old one is a learner              remove it
//   4 the old one is no member              end the move (a command)
// An aborted move takes the learner out again. If that votes already, it is swapped back first, or
// the move ends after all where the old one can't vote any more. Replicas that neither wish nor
// move names are destroyed. Orders name the configuration version that they were decided on; the
// node drops them if its own is another.
//
// Not thread-safe.
#ifndef RINGLEADER_COORDINATOR_BALANCER_H_
#define RINGLEADER_COORDINATOR_BALANCER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "coordinator/metadata.h"
#include "coordinator/placement.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"
#include "ringleader/coordinator/v1/metadata.pb.h"

namespace ringleader::coordinator {

struct BalancerOptions {
  // A node that has not reported for this long is not alive: nothing new goes there.
  Duration alive_timeout = std::chrono::seconds(10);
  // After this its replicas are replaced. Long: copying data for a restart would cost more.
  Duration dead_after = std::chrono::minutes(5);
  // Nothing is done for the sake of even leaders until nothing has changed for this long.
  Duration leaders_settle = std::chrono::seconds(10);
  // A transfer that showed no effect is asked for again after this.
  Duration transfer_retry = std::chrono::seconds(5);
  size_t moves_max = 8;            // under way at once
  size_t moves_into_node_max = 2;  // of these
  size_t transfers_max = 4;        // ordered in one decision
};

// What one node said last.
struct NodeSeen {
  Instant heard;
  bool complete = false;  // has sent a complete report in this attendance
  bool draining = false;
  bool disk_stalled = false;  // its disk takes no writes
  bool disk_full = false;     // and this is why
  uint64_t free_bytes = 0;
  std::map<uint64_t, v1::ReplicaReport> replicas;  // by partition
};
using Observations = std::map<uint64_t, NodeSeen>;  // by node

struct Decision {
  std::vector<v1::Command> commands;
  std::map<uint64_t, v1::NodeOrders> orders;  // by node
};

class Balancer {
 public:
  explicit Balancer(const BalancerOptions& options) : options_(options) {}

  // Leadership of the metadata began: nothing is known of the nodes, and nobody is dead yet.
  void Reset(const Instant& now);

  Decision Decide(const Metadata& metadata, const Observations& seen, const Instant& now);

  // Replicas of one partition that hold different data at the same index of its log (DESIGN section
  // 11, rule 21). `odd`: those that a majority of the wished replicas, which agree, differs from;
  // none if no majority agrees. Of each partition the first index that shows any.
  struct Divergence {
    uint64_t partition = 0;
    uint64_t index = 0;
    struct Odd {
      uint64_t node = 0;
      uint64_t replica = 0;
      uint64_t hash = 0;
    };
    std::vector<Odd> odd;
  };
  static std::vector<Divergence> FindDivergences(const Metadata& metadata,
                                                 const Observations& seen);

  // The report of a partition's leader, of the newest term; null: nobody that is alive says so.
  // What a node said last, before it went silent, counts for nothing.
  static const v1::ReplicaReport* LeaderReport(const Metadata& metadata, const Observations& seen,
                                               uint64_t partition, uint64_t* node);

  // Its disk was replaced: the same address, a younger id that was not removed since.
  static bool IsSuperseded(const Metadata& metadata, const v1::Node& node);

 private:
  struct Round;  // one Decide

  void JudgeNodes(Round& round);
  bool IsDead(const Round& round, const v1::NodeRecord& record) const;
  void FormPartitions(Round& round) const;
  void Reconcile(Round& round, const v1::PartitionRecord& record) const;
  void RecordReport(Round& round, const v1::PartitionRecord& record,
                    const v1::ReplicaReport& report, uint64_t node) const;
  void OrderCreation(Round& round, const v1::PartitionRecord& record) const;
  void OrderDestruction(Round& round) const;
  static bool AreAllWell(const Round& round, const v1::PartitionRecord& record);
  void OrderRebuilding(Round& round) const;
  void MendBadFiles(Round& round);
  void Advance(Round& round, const v1::PartitionRecord& record, const v1::ReplicaReport& report,
               uint64_t leader_node);
  void RemoveStrays(Round& round, const v1::PartitionRecord& record,
                    const v1::ReplicaReport& report, uint64_t leader_node);
  bool ShouldAbort(const Round& round, const v1::PartitionRecord& record) const;
  bool MayVoteAgain(const Round& round, const v1::PartitionRecord& record) const;
  void NoteMissing(const Round& round);
  bool IsGone(const Round& round, uint64_t replica) const;
  void PlanReplacements(Round& round) const;
  void PlanMoves(Round& round) const;
  bool MayMove(const Round& round, const v1::PartitionRecord& record, const Move& move) const;
  void StartMove(Round& round, const v1::PartitionRecord& record, uint64_t to_node,
                 uint64_t remove_replica, const std::string& reason) const;
  void SettleTables(Round& round) const;
  void LeaveDraining(Round& round);
  void EvenLeaders(Round& round);
  bool OrderTransfer(Round& round, uint64_t partition, uint64_t to_node);

  const BalancerOptions options_;
  Instant since_;                              // leadership of the metadata began
  Instant changed_;                            // the last change that leaders should settle after
  std::map<uint64_t, uint64_t> last_leaders_;  // by partition
  std::set<uint64_t> last_alive_;
  std::map<uint64_t, Instant> transfers_;  // by partition, when ordered last
  std::map<uint64_t, Instant> missing_;    // by replica that its node does not have, since when
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_BALANCER_H_
