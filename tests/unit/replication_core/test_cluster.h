// A group of cores in memory, each with a disk that forgets what was not synced, and a network
// whose messages are delivered one by one in any order. Shared by the scenario scripts and the
// random tests; CoreInvariants are checked after every step.
#ifndef RINGLEADER_TESTS_UNIT_REPLICATION_CORE_TEST_CLUSTER_H_
#define RINGLEADER_TESTS_UNIT_REPLICATION_CORE_TEST_CLUSTER_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "replication/core.h"
#include "replication/core_invariants.h"

namespace ringleader::replication {

constexpr GroupId kTestGroup = 7;

// What survives a crash.
struct TestDisk {
  HardState hard_state;
  LogPosition base;
  Configuration base_configuration;
  Index base_configuration_index = 0;
  std::vector<Entry> entries;  // after base
  Index applied = 0;           // durable in the state machine
  LogPosition promised;
  bool doubtful = false;

  LogPosition last() const;
  LogPosition At(Index index) const;
  // The configuration in force at `index`, and the entry that carried it.
  PlacedConfiguration ConfigurationAt(Index index) const;
};

struct TestNode {
  ReplicaId id = 0;
  TestDisk disk;
  std::unique_ptr<Core> core;  // null while down
  CoreOptions options;
  uint64_t seed = 0;
  uint64_t starts = 0;

  struct Write {
    uint64_t batch = 0;
    std::optional<HardState> hard_state;
    std::optional<SnapshotMeta> install;
    std::vector<Entry> entries;
    bool promise_settled = false;
  };
  std::deque<Write> writes;  // not yet synced
  std::deque<Entry> applies;
  std::optional<Index> installing;  // to be reported as applied once synced
  std::deque<FetchRequest> fetches;
  std::deque<SnapshotRequest> snapshots;
  std::map<uint64_t, Index> reads;  // issued: the group's commit index at that time
};

class TestCluster {
 public:
  explicit TestCluster(CoreOptions options, uint64_t seed) : options_(options), seed_(seed) {}

  // Voters 1..voters of one new group, whose log begins after (term 1, index 1).
  void Bootstrap(uint64_t voters);
  // A learner-to-be that knows nothing.
  void AddEmpty(ReplicaId replica);

  TestNode& node(ReplicaId replica) { return nodes_.at(replica); }
  Core& core(ReplicaId replica) { return *nodes_.at(replica).core; }
  bool up(ReplicaId replica) const {
    const auto node = nodes_.find(replica);
    return node != nodes_.end() && node->second.core != nullptr;
  }
  std::vector<ReplicaId> replicas() const;
  std::deque<Message>& network() { return network_; }

  // Takes the effects of a node and puts them in the queues above; returns them for printing. Then
  // checks the invariants.
  Effects Pump(ReplicaId replica);
  void Deliver(Message message);
  // Makes the oldest write durable. False if there is none.
  bool Sync(ReplicaId replica);
  bool ApplyOne(ReplicaId replica);
  // Answers the oldest fetch / completes the oldest snapshot request (sends it and reports it).
  bool AnswerFetch(ReplicaId replica, bool is_readable = true);
  bool SendSnapshot(ReplicaId replica, bool report_ok);
  absl::StatusOr<uint64_t> Read(ReplicaId replica);
  // keep_writes of the writes under way are on disk nevertheless.
  void Crash(ReplicaId replica, size_t keep_writes);
  void Restart(ReplicaId replica, uint32_t ticks_away = 0);
  // Comes back with an empty disk (while down).
  void Wipe(ReplicaId replica);
  enum class Loss {
    kCertain,   // it knows that they were there
    kDoubtful,  // it can't say whether they were synced
    kUnseen,    // it does not notice, as when their write went elsewhere
  };
  // The disk can't read its newest `count` entries any more (only while down, only what is not
  // applied durably).
  void LoseTail(ReplicaId replica, size_t count, Loss loss);
  // The disk can't say whether entries up to `torn` were synced (while down).
  void Doubt(ReplicaId replica, LogPosition torn);
  // Everything that can be done at once, until nothing is left: sync, apply, fetch, deliver.
  // Returns false if it does not end within `steps_max`.
  bool Settle(size_t steps_max = 100000);

  Index commit_max() const { return commit_max_; }
  // The first violation seen; OK otherwise.
  const absl::Status& violation() const { return violation_; }
  // Messages for which this is true are dropped at delivery.
  std::set<std::pair<ReplicaId, ReplicaId>>& cut_links() { return cut_; }
  void Fail(absl::Status status);

 private:
  void Start(TestNode* node, bool restarted, uint32_t ticks_away = 0);
  void CheckReads(TestNode* node, const Effects& effects);
  void ToDisk(TestNode* node, const TestNode::Write& write);

  CoreOptions options_;
  uint64_t seed_;
  std::map<ReplicaId, TestNode> nodes_;
  std::deque<Message> network_;
  std::set<std::pair<ReplicaId, ReplicaId>> cut_;
  CoreInvariants invariants_;
  Index commit_max_ = 0;
  absl::Status violation_;
};

}  // namespace ringleader::replication

#endif  // RINGLEADER_TESTS_UNIT_REPLICATION_CORE_TEST_CLUSTER_H_
