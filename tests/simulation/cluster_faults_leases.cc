// Faults where leases of the client cache are at stake: the lane of a process that holds something,
// and the leaders that granted it.
#include <algorithm>
#include <utility>
#include <vector>

#include "tests/simulation/cluster_faults.h"

namespace ringleader::simulation {
namespace {

constexpr Duration kWatchPeriod = std::chrono::milliseconds(20);
// An election takes up to 2 s and may have to be repeated.
constexpr Duration kSuccessorWithin = std::chrono::seconds(6);
// Its successor has carried something out by then, perhaps; and some ask the first one, perhaps.
constexpr Duration kComesBackWithin = std::chrono::milliseconds(600);
// How long a leader is led on before it is stopped, at most: it grants, or hands over.
constexpr Duration kStopWithin = std::chrono::seconds(1);

}  // namespace

void ClusterFaults::After(Duration delay, Task task) {
  world_.simulation().At(delay, [this, task = std::move(task)]() mutable {
    if (!is_healed_) task();
  });
}

// A process whose memory has something. 0: there is none.
HostId ClusterFaults::RandomHolder() {
  std::vector<HostId> holders;
  for (const CachingProcess& process : world_.CachingProcesses()) {
    if (process.memory->statistics().entries > 0) holders.push_back(process.host);
  }
  return holders.empty() ? 0 : holders[random_.Below(holders.size())];
}

void ClusterFaults::PauseFor(HostId host, Duration span) {
  world_.Pause(host);
  After(span, [this, host] { world_.Resume(host); });
}

// What a holder hears comes late, then not at all, and runs out; meanwhile leaders may be stopped.
void ClusterFaults::StrikeLeases() {
  const auto partitions = world_.Partitions();
  const HostId holder = RandomHolder();
  if (partitions.empty() || holder == 0) return;
  const uint64_t partition = 1 + random_.Below(partitions.size());
  const HostId leader = world_.LeaderOf(partition);
  if (leader == 0) return;
  Count("strike at leases");
  if (random_.Chance(0.6)) SlowDown(leader, holder);
  const auto& terms = world_.options().lease_terms;
  const Duration term = *std::max_element(terms.begin(), terms.end());
  const Duration silent_in = Some(term);
  if (random_.Chance(0.7)) {
    After(silent_in, [this, partition, holder] { Silence(partition, holder); });
  }
  if (random_.Chance(0.5)) {
    After(silent_in + Some(kStopWithin), [this, partition] { StopLeader(partition); });
  }
}

void ClusterFaults::SlowDown(HostId leader, HostId holder) {
  Count("slow link to a holder");
  const auto& terms = world_.options().lease_terms;
  const Duration term = *std::max_element(terms.begin(), terms.end());
  world_.network().SlowLink(
      leader, holder,
      DrawDuration(random_, std::chrono::milliseconds(5), std::chrono::milliseconds(1000)));
  After(2 * Some(term),
        [this, leader, holder] { world_.network().SlowLink(leader, holder, Duration(0)); });
}

void ClusterFaults::Silence(uint64_t partition, HostId holder) {
  const auto& terms = world_.options().lease_terms;
  const Duration span = 2 * Some(*std::max_element(terms.begin(), terms.end()));
  const HostId leader = world_.LeaderOf(partition);
  if (random_.Chance(0.5) || leader == 0) {
    Count("holder stands still");
    return PauseFor(holder, span);
  }
  Count("holder cut off from its leader");
  Block({{leader, holder}, {holder, leader}}, span);
}

// It stands still until there is another one, or is asked to hand over and then dies.
void ClusterFaults::StopLeader(uint64_t partition) {
  const HostId leader = world_.LeaderOf(partition);
  if (leader == 0) return;
  if (random_.Chance(0.4)) {
    Count("leader dies as it hands over");
    world_.machine(leader).node->Drain(kSuccessorWithin, [](size_t) {});
    return After(Some(kStopWithin), [this, leader] {
      if (world_.machine(leader).up()) Down(leader, /*power=*/false);
    });
  }
  Count("leader stands still until there is another");
  world_.Pause(leader);
  // One that hears nothing of the successor either.
  const HostId client = random_.Chance(0.5) ? RandomClient() : 0;
  if (client != 0) world_.Pause(client);
  AwaitSuccessor(partition, leader, client, world_.simulation().now() + kSuccessorWithin);
}

// Which may have to stand still as well, while it waits for what the first one granted.
void ClusterFaults::AwaitSuccessor(uint64_t partition, HostId stopped, HostId client,
                                   Duration until) {
  After(kWatchPeriod, [this, partition, stopped, client, until] {
    const HostId leader = world_.LeaderOf(partition);
    const bool is_there = leader != 0 && leader != stopped;
    if (!is_there && world_.simulation().now() < until) {
      return AwaitSuccessor(partition, stopped, client, until);
    }
    const Duration back = random_.Chance(0.5) ? Some(kComesBackWithin) : kWatchPeriod;
    After(back, [this, stopped] { world_.Resume(stopped); });
    if (client != 0) After(Some(back), [this, client] { world_.Resume(client); });
    if (!is_there || !random_.Chance(0.6)) return;
    After(Some(kStopWithin), [this, leader] {
      Count("successor stands still");
      PauseFor(leader, Some(kSuccessorWithin));
    });
  });
}

}  // namespace ringleader::simulation
