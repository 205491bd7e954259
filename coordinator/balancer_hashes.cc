// Replicas that hold different data: who is rebuilt, and when nobody is.
//
// Nothing tells which of two states is the right one but that most replicas have it: each made it
// from the same log by itself. So a minority is rebuilt, one replica at a time, and only while all
// others are well, as its group counts on it for less until it is filled again. Without a majority,
// two replicas or three different states, nothing is changed: an operator has to decide
// (health.cc raises the alarm).
//
// And replicas of which the scrub found a file bad: what else they hold is good, so one is rebuilt
// only while all are well, and while a leader that is whole can fill it.
#include <algorithm>

#include "coordinator/balancer_round.h"

namespace ringleader::coordinator {

std::vector<Balancer::Divergence> Balancer::FindDivergences(const Metadata& metadata,
                                                            const Observations& seen) {
  std::vector<Divergence> divergences;
  for (const auto& [id, record] : metadata.partitions()) {
    std::map<uint64_t, std::vector<Divergence::Odd>> by_index;
    for (const v1::Replica& replica : record.wish()) {
      const auto node = seen.find(replica.node());
      if (node == seen.end()) continue;
      const auto report = node->second.replicas.find(id);
      if (report == node->second.replicas.end() || report->second.replica() != replica.id()) {
        continue;
      }
      for (const v1::RangeHash& hash : report->second.hashes()) {
        by_index[hash.index()].push_back({replica.node(), replica.id(), hash.hash()});
      }
    }
    for (auto& [index, held] : by_index) {
      std::map<uint64_t, int> holders;
      for (const Divergence::Odd& one : held) ++holders[one.hash];
      if (holders.size() < 2) continue;
      Divergence& found = divergences.emplace_back(Divergence{id, index, {}});
      for (const auto& [hash, count] : holders) {
        if (count <= record.wish_size() / 2) continue;
        found.odd = std::move(held);
        std::erase_if(found.odd, [hash = hash](const auto& one) { return one.hash == hash; });
        break;
      }
      break;
    }
  }
  return divergences;
}

bool Balancer::AreAllWell(const Round& round, const v1::PartitionRecord& record) {
  return std::all_of(record.wish().begin(), record.wish().end(), [&](const auto& replica) {
    const v1::ReplicaReport* const report = round.Replica(replica.node(), record.partition().id());
    return round.alive.contains(replica.node()) && report != nullptr &&
           report->replica() == replica.id() && report->failure().empty();
  });
}

void Balancer::OrderRebuilding(Round& round) const {
  for (const Divergence& divergence : FindDivergences(round.metadata, round.seen)) {
    if (divergence.odd.empty()) continue;
    const v1::PartitionRecord& record = round.metadata.partitions().at(divergence.partition);
    if (record.has_move()) continue;
    const Divergence::Odd& odd = divergence.odd.front();
    if (!AreAllWell(round, record)) continue;
    v1::RebuildReplica& order = *round.decision.orders[odd.node].add_rebuild();
    order.set_partition(divergence.partition);
    order.set_replica(odd.replica);
    order.mutable_hash()->set_index(divergence.index);
    order.mutable_hash()->set_hash(odd.hash);
  }
}

// A leader's is rebuilt when another has taken over, which is whole: that one fills it.
void Balancer::MendBadFiles(Round& round) {
  for (const auto& [id, led] : round.leaders) {
    const v1::PartitionRecord& record = round.metadata.partitions().at(id);
    if (record.has_move() || record.wish_size() < 2 || !AreAllWell(round, record)) continue;
    uint64_t bad_node = 0, whole_node = 0;
    for (const v1::Replica& replica : record.wish()) {
      const bool is_bad = !round.Replica(replica.node(), id)->bad_file().empty();
      (is_bad ? bad_node : whole_node) = replica.node();
    }
    if (bad_node == 0 || whole_node == 0) continue;
    if (!led.report->bad_file().empty()) {
      OrderTransfer(round, id, whole_node);
      continue;
    }
    const v1::ReplicaReport& bad = *round.Replica(bad_node, id);
    v1::RebuildReplica& order = *round.decision.orders[bad_node].add_rebuild();
    order.set_partition(id);
    order.set_replica(bad.replica());
    order.set_bad_file(bad.bad_file());
  }
}

}  // namespace ringleader::coordinator
