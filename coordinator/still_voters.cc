#include "coordinator/still_voters.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ringleader::coordinator {
namespace {

// What the voter's own node says of it; null: the node is away or not heard yet, or says that it
// has failed, which is told as that.
const v1::ReplicaReport* OwnReport(const Metadata& metadata, const Observations& seen,
                                   uint64_t partition, const v1::Replica& voter) {
  const v1::NodeRecord* const node = metadata.FindNode(voter.node());
  const auto host = seen.find(voter.node());
  if (node == nullptr || !node->node().alive() || host == seen.end()) return nullptr;
  const auto report = host->second.replicas.find(partition);
  if (report == host->second.replicas.end() || report->second.replica() != voter.id() ||
      !report->second.failure().empty()) {
    return nullptr;
  }
  return &report->second;
}

}  // namespace

void StillVoters::Update(const Metadata& metadata, const Observations& seen, const Instant& now) {
  std::map<Key, Behind> behind;
  for (const auto& [partition, record] : metadata.partitions()) {
    uint64_t leader_node = 0;
    const v1::ReplicaReport* const leader =
        Balancer::LeaderReport(metadata, seen, partition, &leader_node);
    if (leader == nullptr) continue;
    for (const v1::Replica& voter : leader->members()) {
      const auto& near = leader->caught_up();
      const bool is_near = std::find(near.begin(), near.end(), voter.id()) != near.end();
      if (!voter.voter() || voter.node() == leader_node || is_near) continue;
      const v1::ReplicaReport* const own = OwnReport(metadata, seen, partition, voter);
      if (own == nullptr) continue;
      const Key key{partition, voter.id()};
      const auto before = behind_.find(key);
      const bool stands = before != behind_.end() && before->second.applied == own->applied();
      behind[key] = stands ? before->second
                           : Behind{.node = voter.node(), .applied = own->applied(), .since = now};
    }
  }
  behind_ = std::move(behind);
}

std::vector<std::string> StillVoters::Alarms(const Instant& now) const {
  std::vector<std::string> alarms;
  size_t count = 0;
  for (const auto& [key, behind] : behind_) {
    const Duration since = WaiterElapsed(behind.since, now);
    if (since < kStillAfter || ++count > kNamedMax) continue;
    alarms.push_back(absl::StrCat(
        "Replica ", key.second, " of partition ", key.first, " on node ", behind.node,
        " votes and stands still: its leader is ahead, and it has applied nothing for ",
        since / std::chrono::seconds(1), " s. It may be waiting for a snapshot."));
  }
  if (count > kNamedMax) {
    alarms.push_back(absl::StrCat(count - kNamedMax, " more voters stand still."));
  }
  return alarms;
}

}  // namespace ringleader::coordinator
