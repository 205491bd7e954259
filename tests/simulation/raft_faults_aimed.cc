// Faults where something is at stake: at a group in one of its rare moments, in the newest part of
// a log, and with a whole disk.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/raft_faults.h"

namespace ringleader::simulation {
namespace {

using replication::Replica;
using replication::ReplicaView;
using replication::Role;

constexpr Duration kAimPeriod = std::chrono::milliseconds(1);
// What is at stake is decided within a few round trips and syncs.
constexpr Duration kApartMax = std::chrono::seconds(5);  // long enough for an election
constexpr Duration kStrikeWithin = std::chrono::milliseconds(40);

}  // namespace

void Faults::Watch() {
  world_.simulation().At(kAimPeriod, [this] {
    if (healed_) return;
    for (const auto& [node, machine] : world_.machines()) {
      if (!machine.up()) continue;
      for (const auto& replica : machine.runtime->Replicas()) WatchReplica(node, *replica);
    }
    Watch();
  });
}

// Moments in which an election, a change of members, a transfer or the change over to a snapshot is
// half done.
void Faults::WatchReplica(NodeId node, const Replica& replica) {
  const ReplicaView view = replica.view();
  const std::pair<GroupId, NodeId> place(replica.group(), node);
  const auto noticed = [&](auto& seen, uint64_t now, const char* moment) {
    if (std::exchange(seen[place], now) == now || !random_.Chance(options_.strikes)) return;
    Count(absl::StrCat("strike at ", moment));
    const Duration delay = Some(kStrikeWithin);
    world_.simulation().At(delay, [this, node] {
      if (!healed_ && world_.machine(node).up()) Strike(node);
    });
  };
  if (!view.rebuilding) {
    rebuilding_.erase(place);
  } else if (rebuilding_.insert(place).second && random_.Chance(0.7)) {
    EachAlone();
  }
  if (view.base > view.applied) noticed(installs_, view.base, "a snapshot");
  if (view.role != Role::kLeader) return;
  if (!view.serving) noticed(new_leaders_, view.term, "a new leader");
  if (view.transferee != 0) noticed(transfers_, view.term, "a transfer");
  if (view.configuration.joint() || view.configuration_index > view.commit) {
    noticed(changes_, view.configuration_index, "a change of members");
  }
}

// Nobody leads, while a replica waits for who could send it a snapshot: longer than it waits before
// it takes distrusted state back.
void Faults::EachAlone() {
  Count("each alone while a replica waits for its state");
  std::vector<std::pair<NodeId, NodeId>> links;
  for (const auto& [from, a] : world_.machines()) {
    for (const auto& [to, b] : world_.machines()) {
      if (from != to) links.push_back({from, to});
    }
  }
  const Duration least = world_.options().runtime.takes_back_after();
  Block(links, least + Some(2 * least));
}

void Faults::Strike(NodeId node) {
  switch (random_.Below(4)) {
    case 0:
      return Down(node, /*power=*/false);
    case 1:
      return options_.wipes ? PauseFor(node) : Down(node, /*power=*/true);
    case 2:
      return PauseFor(node);
    default: {
      // With some of the others, or alone.
      std::vector<std::pair<NodeId, NodeId>> links;
      std::map<NodeId, bool> with;
      for (const auto& [other, machine] : world_.machines()) with[other] = random_.Chance(0.4);
      with[node] = true;
      for (const auto& [from, a] : with) {
        for (const auto& [to, b] : with) {
          if (a != b) links.push_back({from, to});
        }
      }
      return Block(links, Some(kApartMax));
    }
  }
}

// A block goes bad while the process is down, of the log (mostly a new one, whose entries the
// others may not have yet) or of a group's state.
void Faults::BadBlock(NodeId node) {
  if (!world_.MayHarm(node)) return;
  SimulatedFileSystem& disk = *world_.machine(node).disk;
  world_.Kill(node);
  const bool in_log = random_.Chance(0.8);
  std::vector<std::string> files;
  for (const std::string& file : disk.Files()) {
    const bool wanted = absl::StrContains(file, in_log ? "/log/" : "/groups/");
    if (wanted && !disk.Content(file).empty()) files.push_back(file);
  }
  if (!files.empty()) {
    world_.Harm(node);
    Count(in_log ? "bad block in the log" : "bad block in a state");
    const bool is_new = random_.Chance(0.7);
    const std::string& file = is_new ? files.back() : files[random_.Below(files.size())];
    const std::string content(disk.Content(file));
    uint64_t blocks =
        (content.size() + SimulatedFileSystem::kBlockBytes - 1) / SimulatedFileSystem::kBlockBytes;
    // Behind the last batch there is only what was preallocated.
    const size_t end = content.find_last_not_of('\0');
    if (end != content.npos) blocks = std::min(blocks, end / SimulatedFileSystem::kBlockBytes + 1);
    if (blocks > 0) {
      const uint64_t back =
          is_new ? random_.Below(std::min<uint64_t>(blocks, 8)) : random_.Below(blocks);
      disk.DamageBlock(file, blocks - 1 - back,
                       random_.Chance(0.5) ? SimulatedFileSystem::BadBlock::kNoise
                                           : SimulatedFileSystem::BadBlock::kZeros);
    }
  }
  world_.StartLater(node, Some(options_.pace.lasts_max));
}

void Faults::Wipe(NodeId node) {
  if (!world_.MayHarm(node)) return;
  Count("wiped disk");
  world_.Wipe(node);
  world_.StartLater(node, Some(options_.pace.lasts_max));
}

}  // namespace ringleader::simulation
