#include "tests/unit/replication_core/test_cluster.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "replication/configuration.h"
#include "replication/message_codec.h"

namespace ringleader::replication {

// --- Disk ---------------------------------------------------------------------------------------

LogPosition TestDisk::last() const {
  return entries.empty() ? base : LogPosition{entries.back().term, entries.back().index};
}

LogPosition TestDisk::At(Index index) const {
  CHECK(index >= base.index && index <= last().index) << index;
  if (index == base.index) return base;
  return {entries[index - base.index - 1].term, index};
}

PlacedConfiguration TestDisk::ConfigurationAt(Index index) const {
  PlacedConfiguration placed{base_configuration_index, base_configuration};
  for (const Entry& entry : entries) {
    if (entry.index > index) break;
    if (entry.kind != EntryKind::kConfiguration) continue;
    placed = {entry.index, *DecodeConfiguration(*entry.payload)};
  }
  return placed;
}

// --- Nodes --------------------------------------------------------------------------------------

void TestCluster::Bootstrap(uint64_t voters) {
  Configuration configuration;
  configuration.version = 1;
  for (ReplicaId replica = 1; replica <= voters; ++replica) {
    configuration.voters.push_back({replica, 100 + replica});
  }
  for (ReplicaId replica = 1; replica <= voters; ++replica) {
    TestNode& node = nodes_[replica];
    node.id = replica;
    node.disk.hard_state = {1, 0};
    node.disk.base = {1, 1};
    node.disk.base_configuration = configuration;
    node.disk.base_configuration_index = 1;
    node.disk.applied = 1;
    Start(&node, /*restarted=*/false);
  }
}

void TestCluster::AddEmpty(ReplicaId replica) {
  TestNode& node = nodes_[replica];
  node.id = replica;
  Start(&node, /*restarted=*/false);
}

void TestCluster::Start(TestNode* node, bool restarted, uint32_t ticks_away) {
  const TestDisk& disk = node->disk;
  RecoveredState state;
  state.group = kTestGroup;
  state.replica = node->id;
  state.hard_state = disk.hard_state;
  state.base = disk.base;
  state.last_index = disk.last().index;
  state.applied = disk.applied;
  const PlacedConfiguration placed = disk.ConfigurationAt(disk.applied);
  state.configuration = placed.configuration;
  state.configuration_index = placed.index;
  uint64_t bytes = 0;
  for (const Entry& entry : disk.entries) {
    if (state.term_runs.empty() || state.term_runs.back().term != entry.term) {
      state.term_runs.push_back({entry.index, entry.term});
    }
    if (entry.kind == EntryKind::kConfiguration && entry.index > disk.applied) {
      state.later_configurations.push_back({entry.index, *DecodeConfiguration(*entry.payload)});
    }
  }
  for (auto entry = disk.entries.rbegin(); entry != disk.entries.rend(); ++entry) {
    bytes += CostBytes(*entry);
    if (bytes > options_.entry_cache_bytes_max) break;
    state.tail.insert(state.tail.begin(), *entry);
  }
  state.restarted = restarted;
  state.ticks_away = ticks_away;
  state.promised = disk.promised;
  state.doubtful = disk.doubtful;
  node->core = std::make_unique<Core>(options_, std::move(state),
                                      Random(seed_ * 1000 + node->id * 100 + node->starts++));
}

std::vector<ReplicaId> TestCluster::replicas() const {
  std::vector<ReplicaId> replicas;
  for (const auto& [replica, node] : nodes_) replicas.push_back(replica);
  return replicas;
}

void TestCluster::Fail(absl::Status status) {
  if (violation_.ok()) violation_ = std::move(status);
}

// --- Effects ------------------------------------------------------------------------------------

Effects TestCluster::Pump(ReplicaId replica) {
  TestNode& node = nodes_.at(replica);
  std::vector<const Core*> cores;
  for (const auto& [id, other] : nodes_) {
    if (other.core != nullptr) cores.push_back(other.core.get());
  }
  // Before taking: the messages still in the effects are checked too.
  if (absl::Status status = invariants_.Check(cores); !status.ok()) Fail(status);
  Effects effects = node.core->TakeEffects();
  commit_max_ = std::max(commit_max_, node.core->commit_index());
  CheckReads(&node, effects);
  if (effects.persist_batch != 0 || effects.promise_settled) {
    node.writes.push_back({effects.persist_batch, effects.hard_state, effects.install_snapshot,
                           effects.entries, effects.promise_settled});
  }
  if (effects.install_snapshot) {
    node.applies.clear();
    node.installing = effects.install_snapshot->last.index;
  }
  for (const Message& message : effects.messages) network_.push_back(message);
  for (const HeartbeatRound& round : effects.heartbeats) {
    for (const HeartbeatRound::Peer& peer : round.peers) {
      Message heartbeat;
      heartbeat.group = kTestGroup;
      heartbeat.from = replica;
      heartbeat.to = peer.replica;
      heartbeat.term = round.term;
      heartbeat.round = round.round;
      heartbeat.commit = peer.commit;
      network_.push_back(heartbeat);
    }
  }
  if (absl::Status status = invariants_.Apply(replica, effects.apply); !status.ok()) Fail(status);
  for (const Entry& entry : effects.apply) node.applies.push_back(entry);
  for (const FetchRequest& fetch : effects.fetches) node.fetches.push_back(fetch);
  for (const SnapshotRequest& request : effects.snapshots) node.snapshots.push_back(request);
  if (absl::Status status = invariants_.Check(cores); !status.ok()) Fail(status);
  return effects;
}

absl::StatusOr<uint64_t> TestCluster::Read(ReplicaId replica) {
  auto read = core(replica).ReadIndex();
  if (read.ok()) node(replica).reads[*read] = commit_max_;
  return read;
}

// A read must see everything that was committed, by anyone, before it was asked for.
void TestCluster::CheckReads(TestNode* node, const Effects& effects) {
  for (const ReadState& read : effects.reads) {
    const auto issued = node->reads.find(read.read);
    if (issued == node->reads.end()) {
      Fail(absl::InternalError("a read was answered twice"));
    } else if (read.index < issued->second) {
      Fail(absl::InternalError("stale read"));
    } else {
      node->reads.erase(issued);
    }
  }
  for (const uint64_t read : effects.aborted_reads) node->reads.erase(read);
}

void TestCluster::Deliver(Message message) {
  if (!up(message.to) || cut_.contains({message.from, message.to})) return;
  // By way of its bytes, as in production.
  std::string bytes;
  EncodeMessage(message, &bytes);
  CHECK_LE(bytes.size(), EncodedSizeMax(message));
  auto decoded = DecodeMessage(bytes);
  CHECK_OK(decoded);
  core(message.to).Step(*std::move(decoded));
}

void TestCluster::ToDisk(TestNode* node, const TestNode::Write& write) {
  TestDisk& disk = node->disk;
  if (write.hard_state) disk.hard_state = *write.hard_state;
  if (write.install) {
    disk.base = write.install->last;
    disk.base_configuration = write.install->configuration;
    disk.base_configuration_index = disk.base.index;
    disk.applied = disk.base.index;
    disk.entries.clear();
  }
  if (!write.entries.empty()) {
    const Index first = write.entries.front().index;
    CHECK(first > disk.applied && first <= disk.last().index + 1);
    disk.entries.resize(first - disk.base.index - 1);
    disk.entries.insert(disk.entries.end(), write.entries.begin(), write.entries.end());
  }
  if (write.promise_settled) {
    disk.promised = {};
    disk.doubtful = false;
  }
}

bool TestCluster::Sync(ReplicaId replica) {
  TestNode& node = nodes_.at(replica);
  if (node.core == nullptr || node.writes.empty()) return false;
  const TestNode::Write write = node.writes.front();
  node.writes.pop_front();
  ToDisk(&node, write);
  if (write.batch != 0) node.core->Persisted(write.batch);
  if (write.install && node.installing == write.install->last.index) {
    node.core->Applied(*node.installing);
    node.installing.reset();
  }
  return true;
}

bool TestCluster::ApplyOne(ReplicaId replica) {
  TestNode& node = nodes_.at(replica);
  if (node.core == nullptr || node.applies.empty()) return false;
  const Index index = node.applies.front().index;
  node.applies.pop_front();
  node.disk.applied = index;
  node.core->Applied(index);
  return true;
}

bool TestCluster::AnswerFetch(ReplicaId replica, bool is_readable) {
  TestNode& node = nodes_.at(replica);
  if (node.core == nullptr || node.fetches.empty()) return false;
  const FetchRequest fetch = node.fetches.front();
  node.fetches.pop_front();
  const TestDisk& disk = node.disk;
  if (fetch.first <= disk.base.index) {
    node.core->EntriesFetched(fetch.replica, fetch.first, absl::OutOfRangeError("compacted"));
    return true;
  }
  if (!is_readable) {
    node.core->EntriesFetched(fetch.replica, fetch.first, absl::DataLossError("damaged"));
    return true;
  }
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  for (Index index = fetch.first; index <= std::min(fetch.last, disk.last().index); ++index) {
    const Entry& entry = disk.entries[index - disk.base.index - 1];
    bytes += CostBytes(entry);
    if (!entries.empty() && bytes > fetch.bytes_max) break;
    entries.push_back(entry);
  }
  node.core->EntriesFetched(fetch.replica, fetch.first, std::move(entries));
  return true;
}

bool TestCluster::SendSnapshot(ReplicaId replica, bool report_ok) {
  TestNode& node = nodes_.at(replica);
  if (node.core == nullptr || node.snapshots.empty()) return false;
  SnapshotRequest request = std::move(node.snapshots.front());
  node.snapshots.pop_front();
  const Index index = node.disk.applied;
  if (!report_ok || index < request.index_min) {
    node.core->ReportSnapshot(request.message.to, absl::UnavailableError("not delivered"));
    return true;
  }
  request.message.snapshot.last = node.disk.At(index);
  request.message.snapshot.configuration = node.disk.ConfigurationAt(index).configuration;
  network_.push_back(request.message);
  node.core->ReportSnapshot(request.message.to, index);
  return true;
}

// --- Faults -------------------------------------------------------------------------------------

void TestCluster::Crash(ReplicaId replica, size_t keep_writes) {
  TestNode& node = nodes_.at(replica);
  for (size_t i = 0; i < std::min(keep_writes, node.writes.size()); ++i) {
    ToDisk(&node, node.writes[i]);
  }
  node.core.reset();
  node.writes.clear();
  node.applies.clear();
  node.installing.reset();
  node.fetches.clear();
  node.snapshots.clear();
  node.reads.clear();
}

void TestCluster::Restart(ReplicaId replica, uint32_t ticks_away) {
  invariants_.Restarted(replica);
  Start(&nodes_.at(replica), /*restarted=*/true, ticks_away);
}

void TestCluster::Wipe(ReplicaId replica) {
  TestNode& node = nodes_.at(replica);
  invariants_.Wiped(replica);
  node.disk = TestDisk();
  Start(&node, /*restarted=*/false);
}

void TestCluster::LoseTail(ReplicaId replica, size_t count, Loss loss) {
  TestDisk& disk = nodes_.at(replica).disk;
  const LogPosition last = disk.last();
  while (count-- > 0 && disk.last().index > disk.applied) disk.entries.pop_back();
  if (disk.last() == last || loss == Loss::kUnseen) return;
  // A certain promise is not made doubtful by a later loss.
  const bool certain = disk.promised != LogPosition{} && !disk.doubtful;
  disk.doubtful = loss == Loss::kDoubtful && !certain;
  disk.promised = std::max(disk.promised, last);
}

void TestCluster::Doubt(ReplicaId replica, LogPosition torn) {
  TestDisk& disk = nodes_.at(replica).disk;
  if (torn <= disk.last() || disk.promised != LogPosition{}) return;
  disk.promised = torn;
  disk.doubtful = true;
}

bool TestCluster::Settle(size_t steps_max) {
  for (size_t step = 0; step < steps_max; ++step) {
    bool worked = false;
    for (auto& [replica, node] : nodes_) {
      if (node.core == nullptr) continue;
      if (node.core->HasEffects()) {
        Pump(replica);
        worked = true;
      }
      while (Sync(replica) || ApplyOne(replica) || AnswerFetch(replica) ||
             SendSnapshot(replica, true)) {
        worked = true;
      }
    }
    if (!network_.empty()) {
      Message message = std::move(network_.front());
      network_.pop_front();
      Deliver(std::move(message));
      worked = true;
    }
    if (!worked) return true;
  }
  return false;
}

}  // namespace ringleader::replication
