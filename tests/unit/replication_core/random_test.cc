// Random schedules of a small group under CoreInvariants: loss, duplication, reordering, crashes
// that forget what was not synced, damaged logs, membership changes, transfers, compaction. Each
// seed is one schedule; a failure prints the seed that replays it.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "replication/configuration.h"
#include "tests/unit/replication_core/test_cluster.h"

namespace ringleader::replication {
namespace {

CoreOptions SmallOptions() {
  CoreOptions options;
  options.election_ticks = 10;
  options.heartbeat_ticks = 2;
  options.inflight_messages_max = 4;
  options.inflight_bytes_max = 1024;
  options.append_bytes_max = 300;
  options.uncommitted_bytes_max = 2048;
  options.unapplied_bytes_max = 1024;
  options.entry_cache_bytes_max = 600;
  return options;
}

class Schedule {
 public:
  Schedule(uint64_t seed, bool lockstep)
      : random_(seed), lockstep_(lockstep), cluster_(SmallOptions(), seed) {
    cluster_.Bootstrap(1 + 2 * random_.Below(3));
    if (random_.Chance(0.5)) cluster_.AddEmpty(8);
    if (random_.Chance(0.5)) cluster_.AddEmpty(9);
    loss_ = random_.Chance(0.5) ? 0.1 * random_.Fraction() : 0;
  }

  absl::Status Run(size_t steps) {
    for (size_t step = 0; step < steps && cluster_.violation().ok(); ++step) Act();
    return cluster_.violation();
  }

  // Faults end; the group must elect a leader and commit again, everywhere.
  absl::Status Heal() {
    cluster_.cut_links().clear();
    for (const ReplicaId replica : cluster_.replicas()) {
      if (!cluster_.up(replica)) cluster_.Restart(replica);
    }
    for (int tick = 0; tick < 600 && cluster_.violation().ok(); ++tick) {
      for (const ReplicaId replica : cluster_.replicas()) Tick(replica);
      if (!cluster_.Settle()) return absl::InternalError("never quiet");
      ++now_;
      if (Agreed()) return cluster_.violation();
    }
    if (!cluster_.violation().ok()) return cluster_.violation();
    return absl::InternalError("no agreement after the faults ended: " + Describe());
  }

  uint64_t committed() const { return cluster_.commit_max(); }

 private:
  ReplicaId Any() {
    const auto replicas = cluster_.replicas();
    return replicas[random_.Below(replicas.size())];
  }

  void Tick(ReplicaId replica) {
    cluster_.core(replica).Tick();
    Pump(replica);
  }

  void Pump(ReplicaId replica) {
    const Effects effects = cluster_.Pump(replica);
    for (const HeartbeatRound& round : effects.heartbeats) {
      round_sent_at_[{replica, round.term, round.round}] = now_;
    }
    if (effects.confirmed_round) {
      const auto& confirmed = *effects.confirmed_round;
      lease_[replica] = {confirmed.term,
                         round_sent_at_[{replica, confirmed.term, confirmed.round}]};
    }
    const bool elected = effects.soft_state && effects.soft_state->role == Role::kLeader;
    if (lockstep_ && elected) CheckLeases(replica);
  }

  // Nobody is elected while another leader may still read by its lease.
  void CheckLeases(ReplicaId elected) {
    for (const auto& [replica, lease] : lease_) {
      if (replica == elected || !cluster_.up(replica)) continue;
      const Core& core = cluster_.core(replica);
      if (core.role() != Role::kLeader || core.term() != lease.term) continue;
      if (!core.lease_allowed()) continue;
      const uint64_t lease_ticks = SmallOptions().election_ticks - 1;
      if (now_ < lease.sent_at + lease_ticks) {
        cluster_.Fail(absl::InternalError(
            absl::StrCat("replica ", elected, " elected while ", replica, " holds a lease")));
      }
    }
  }

  void Act() {
    const uint64_t choice = random_.Below(1000);
    if (choice < 470) return DeliverSome();
    if (choice < 620) return TickSome();
    if (choice < 700) return Disk();
    if (choice < 780) return Propose();
    if (choice < 800) return Read();
    if (choice < 970) return Finish();
    if (choice < 980) return Change();
    if (choice < 985) return Transfer();
    if (choice < 992) return Compact();
    if (choice < 998) return Rarely();
    DeliverSome();
  }

  void Rarely() {
    if (random_.Chance(0.2)) return CrashOrRestart();
    if (random_.Chance(0.1)) Partition();
  }

  void DeliverSome() {
    auto& network = cluster_.network();
    if (network.empty()) return;
    size_t at = random_.Chance(0.7) ? 0 : random_.Below(network.size());
    Message message = network[at];
    if (!random_.Chance(0.02)) network.erase(network.begin() + static_cast<std::ptrdiff_t>(at));
    while (network.size() > 300) network.pop_front();
    if (random_.Chance(loss_)) return;
    const ReplicaId to = message.to;
    cluster_.Deliver(std::move(message));
    if (cluster_.up(to)) Pump(to);
  }

  void TickSome() {
    if (!lockstep_) {
      const ReplicaId replica = Any();
      if (cluster_.up(replica)) Tick(replica);
      return;
    }
    if (random_.Chance(0.8)) return;  // messages are faster than ticks
    for (const ReplicaId replica : cluster_.replicas()) {
      if (cluster_.up(replica)) Tick(replica);
    }
    ++now_;
  }

  void Disk() {
    const ReplicaId replica = Any();
    if (cluster_.Sync(replica)) Pump(replica);
  }

  void Finish() {
    const ReplicaId replica = Any();
    if (!cluster_.up(replica)) return;
    switch (random_.Below(4)) {
      case 0:
        cluster_.AnswerFetch(replica);
        break;
      case 1:
        cluster_.SendSnapshot(replica, random_.Chance(0.8));
        break;
      default:
        cluster_.ApplyOne(replica);
        cluster_.Sync(replica);
    }
    Pump(replica);
  }

  void Propose() {
    const ReplicaId replica = Any();
    if (!cluster_.up(replica)) return;
    std::vector<Payload> payloads;
    for (uint64_t i = 0; i <= random_.Below(3); ++i) {
      payloads.push_back(std::make_shared<const std::string>(
          absl::StrCat("p", ++proposals_, std::string(random_.Below(60), 'x'))));
    }
    cluster_.core(replica).Propose(std::move(payloads)).IgnoreError();
    Pump(replica);
  }

  void Read() {
    const ReplicaId replica = Any();
    if (!cluster_.up(replica)) return;
    cluster_.Read(replica).IgnoreError();
    if (random_.Chance(0.5)) Pump(replica);
  }

  void Change() {
    const ReplicaId replica = Any();
    if (!cluster_.up(replica)) return;
    std::vector<Member> voters;
    std::vector<Member> learners;
    for (const ReplicaId member : cluster_.replicas()) {
      const uint64_t part = random_.Below(4);
      if (part < 2) voters.push_back({member, 100 + member});
      if (part == 2) learners.push_back({member, 100 + member});
    }
    cluster_.core(replica).ProposeConfiguration(voters, learners).IgnoreError();
    Pump(replica);
  }

  void Transfer() {
    const ReplicaId replica = Any();
    if (!cluster_.up(replica)) return;
    cluster_.core(replica).TransferLeadership(Any()).IgnoreError();
    Pump(replica);
  }

  void Compact() {
    const ReplicaId replica = Any();
    if (!cluster_.up(replica) || cluster_.node(replica).installing) return;
    TestDisk& disk = cluster_.node(replica).disk;
    const Index index = disk.applied - random_.Below(std::min<Index>(disk.applied + 1, 5));
    if (index <= disk.base.index) return;
    const LogPosition base = cluster_.core(replica).AdvanceCompaction(index, disk.applied);
    if (base.index <= disk.base.index || base.index > disk.applied) return;
    const PlacedConfiguration placed = disk.ConfigurationAt(base.index);
    disk.entries.erase(
        disk.entries.begin(),
        disk.entries.begin() + static_cast<std::ptrdiff_t>(base.index - disk.base.index));
    disk.base = base;
    disk.base_configuration = placed.configuration;
    disk.base_configuration_index = placed.index;
    Pump(replica);
  }

  void CrashOrRestart() {
    const ReplicaId replica = Any();
    if (!cluster_.up(replica)) return cluster_.Restart(replica);
    TestNode& node = cluster_.node(replica);
    const size_t keep = random_.Below(node.writes.size() + 1);
    LogPosition torn;
    for (size_t i = keep; i < node.writes.size(); ++i) {
      if (node.writes[i].entries.empty()) continue;
      const Entry& last = node.writes[i].entries.back();
      torn = std::max(torn, {last.term, last.index});
    }
    cluster_.Crash(replica, keep);
    lease_.erase(replica);
    // What is really gone may be so at one replica at a time: a group can't outlive the loss of all
    // its copies. Doubt about what was never synced may come to any number.
    const bool doubtful = random_.Chance(0.5);
    if (doubtful && torn != LogPosition{}) cluster_.Doubt(replica, torn);
    if (!random_.Chance(0.3) || Indispensable(replica)) return;
    if (damaged_ != 0 && cluster_.node(damaged_).disk.promised != LogPosition{}) return;
    damaged_ = replica;
    cluster_.LoseTail(replica, 1 + random_.Below(4),
                      doubtful ? TestCluster::Loss::kDoubtful : TestCluster::Loss::kCertain);
  }

  // Losing a replica's log here could make the group wait for ever, by design: it is in every
  // quorum of a configuration that may be in force.
  bool Indispensable(ReplicaId replica) {
    for (const ReplicaId other : cluster_.replicas()) {
      const TestDisk& disk = cluster_.node(other).disk;
      const Configuration& latest = disk.ConfigurationAt(UINT64_MAX).configuration;
      if (latest.joint() || (IsVoter(latest, replica) && latest.voters.size() < 3)) return true;
    }
    return false;
  }

  void Partition() {
    auto& cut = cluster_.cut_links();
    if (random_.Chance(0.6)) return cut.clear();
    const ReplicaId replica = Any();
    const bool one_way = random_.Chance(0.3);
    for (const ReplicaId other : cluster_.replicas()) {
      cut.insert({replica, other});
      if (!one_way) cut.insert({other, replica});
    }
  }

  bool Agreed() {
    ReplicaId leader = 0;
    for (const ReplicaId replica : cluster_.replicas()) {
      if (cluster_.core(replica).ready_to_serve()) leader = replica;
    }
    if (leader == 0) return false;
    const Core& core = cluster_.core(leader);
    if (core.configuration().joint() || core.commit_index() < core.last_position().index) {
      return false;
    }
    for (const auto& [replica, progress] : core.progress()) {
      if (cluster_.core(replica).applied_index() < core.commit_index()) return false;
      if (cluster_.core(replica).promised() != LogPosition{}) return false;
    }
    return true;
  }

  std::string Describe() {
    std::string text;
    for (const ReplicaId replica : cluster_.replicas()) {
      const Core& core = cluster_.core(replica);
      absl::StrAppend(&text, "\n ", replica, ": role ", static_cast<int>(core.role()), " term ",
                      core.term(), " last ", core.last_position().term, "/",
                      core.last_position().index, " commit ", core.commit_index(), " applied ",
                      core.applied_index(), " promise ", core.promised().term, "/",
                      core.promised().index, core.doubtful() ? " doubtful" : "", " voters");
      for (const ReplicaId voter : AllVoters(core.configuration())) {
        absl::StrAppend(&text, " ", voter);
      }
    }
    return text;
  }

  struct Lease {
    Term term = 0;
    uint64_t sent_at = 0;
  };
  Random random_;
  bool lockstep_;
  double loss_ = 0;
  TestCluster cluster_;
  uint64_t proposals_ = 0;
  ReplicaId damaged_ = 0;  // the last that lost what it had synced
  uint64_t now_ = 0;       // in ticks
  std::map<std::tuple<ReplicaId, Term, uint64_t>, uint64_t> round_sent_at_;
  std::map<ReplicaId, Lease> lease_;
};

class RandomSchedule : public ::testing::TestWithParam<uint64_t> {};

// Protects Raft's five safety properties, linearizable reads, leases (rules 1 to 7, 9, 14) and that
// a healed group works again.
TEST_P(RandomSchedule, KeepsTheInvariantsAndHeals) {
  Schedule schedule(GetParam(), /*lockstep=*/GetParam() % 2 == 0);
  ASSERT_TRUE(schedule.Run(20000).ok()) << schedule.Run(0) << "\nseed " << GetParam();
  const absl::Status healed = schedule.Heal();
  ASSERT_TRUE(healed.ok()) << healed << "\nseed " << GetParam();
  EXPECT_GT(schedule.committed(), 1u);
}

// Protects the test above from testing nothing: its schedules commit a good deal under their
// faults.
TEST(RandomSchedules, MakeProgress) {
  uint64_t committed = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Schedule schedule(seed, /*lockstep=*/seed % 2 == 0);
    ASSERT_TRUE(schedule.Run(20000).ok());
    committed += schedule.committed();
  }
  EXPECT_GT(committed, 1000u);
}

// RINGLEADER_SEEDS (how many) and RINGLEADER_SEED (the first) widen or replay.
uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSchedule,
                         ::testing::Range<uint64_t>(FromEnvironment("RINGLEADER_SEED", 1),
                                                    FromEnvironment("RINGLEADER_SEED", 1) +
                                                        FromEnvironment("RINGLEADER_SEEDS", 40)));

}  // namespace
}  // namespace ringleader::replication
