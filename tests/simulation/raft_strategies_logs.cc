// Logs that part after an election, and what was committed nearly lost.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "replication/log_format.h"
#include "replication/transport.h"
#include "tests/simulation/raft_strategies.h"
#include "tests/simulation/run_draws.h"

namespace ringleader::simulation {
namespace {

using replication::BatchHeader;
using replication::Index;
using replication::Lane;
using replication::LaneMethod;
using replication::Role;

constexpr Duration kElectedWithin = std::chrono::seconds(5);
// A restarted voter is silent for an election timeout, and doubt takes more.
constexpr Duration kRestartedElectsWithin = std::chrono::seconds(7);

struct FoundBatch {
  std::string path;
  BatchHeader header;
};

// What a segment holds, by sequence.
void FindBatches(const SimulatedFileSystem& disk, const std::string& path,
                 std::map<uint64_t, FoundBatch>& batches) {
  const std::string content = disk.Content(path);
  if (content.size() < replication::kBlockBytes) return;
  const absl::string_view bytes(content);
  const auto header = replication::DecodeSegmentHeader(bytes.substr(0, replication::kBlockBytes));
  if (!header.ok()) return;
  const uint64_t blocks = content.size() / replication::kBlockBytes;
  for (uint64_t block = replication::kSegmentHeaderBlocks; block < blocks; ++block) {
    const auto page = replication::DecodePage(
        *header, static_cast<uint32_t>(block),
        bytes.substr(block * replication::kBlockBytes, replication::kBlockBytes));
    if (page.has_value()) batches[page->batch.sequence] = {path, page->batch};
  }
}

std::map<uint64_t, FoundBatch> BatchesOf(const SimulatedFileSystem& disk) {
  std::map<uint64_t, FoundBatch> batches;
  for (const std::string& path : disk.Files()) {
    if (absl::StrContains(path, "/log/")) FindBatches(disk, path, batches);
  }
  return batches;
}

// Small batches hold all they have in two neighbouring blocks.
void DamageBatch(SimulatedFileSystem& disk, const FoundBatch& batch, uint64_t payload_block,
                 SimulatedFileSystem::BadBlock how) {
  const BatchHeader& header = batch.header;
  if (header.payload_blocks() > 0) {
    const uint64_t first = header.payload_offset() / replication::kBlockBytes;
    disk.DamageBlock(batch.path, first + payload_block % header.payload_blocks(), how);
  } else {
    disk.DamageBlock(batch.path, header.start_block, how);
    disk.DamageBlock(batch.path, header.start_block + 1, how);
  }
}

}  // namespace

void Strategies::Restart(NodeId node, bool power) {
  power ? world_.CutPower(node) : world_.Kill(node);
  world_.StartLater(node, Some(std::chrono::milliseconds(300)));
}

// Figure 8 of the Raft paper, with three voters: the leader of an older term has entries that
// nobody else has; another leader's own entry reaches nobody; the first one leads again, and its
// older entries reach the third voter while its own does not; then the second one is back.
void Strategies::OlderTerm(const Scene& scene) {
  if (scene.others.size() != 2) return;
  struct Cast {
    NodeId second = 0;
    NodeId third = 0;
    replication::Term second_term = 0;
    Index common = 0;
  };
  const auto cast = std::make_shared<Cast>();
  const NodeId first = scene.leader;
  const GroupId group = scene.group;
  CutAppends(first, scene.others);
  cast->common = LastOf(scene.others, group);
  const auto has_more = [this, scene, cast, extra = 1 + random_.Below(3)] {
    const auto view = View(scene.leader, scene.group);
    return view.has_value() && view->last >= LastOf(scene.others, scene.group) + extra;
  };
  const auto part = [this, scene, cast] {
    cast->common = LastOf(scene.others, scene.group);
    Isolate(scene.leader);
    for (const NodeId node : scene.others) CutAppends(node, scene.others);
  };
  const auto second_leads = [this, scene, cast] {
    cast->second = LeaderAmong(scene.others, scene.group, scene.term, /*serving=*/false);
    if (cast->second == 0) return false;
    cast->third = *Without(scene.others, {cast->second}).begin();
    cast->second_term = View(cast->second, scene.group)->term;
    return true;
  };
  const auto swap = [this, cast] {
    world_.network().MendLinks();
    Isolate(cast->second);
  };
  const auto first_leads = [this, group, first, cast] {
    return LeaderAmong({first}, group, cast->second_term, /*serving=*/false) != 0;
  };
  const auto older_arrive = [this, group, cast] {
    const auto view = View(cast->third, group);
    return view.has_value() && view->last > cast->common;
  };
  const auto swap_back = [this, first] {
    world_.network().MendLinks();
    Isolate(first);
  };
  const auto second_is_back = [this, scene, cast] {
    return LeaderAmong(scene.others, scene.group, cast->second_term, /*serving=*/true) != 0;
  };
  // What the log's thread takes at most is drawn for each run; its own entry has to be on the
  // second's disk.
  const Duration synced = std::chrono::milliseconds(20) + 2 * world_.options().sync_time_max;
  Perform("older term", {{std::chrono::seconds(2), has_more, part},
                         {kElectedWithin, second_leads, nullptr},
                         {synced, nullptr, swap},
                         {kElectedWithin, first_leads, nullptr},
                         {std::chrono::seconds(1), older_arrive,
                          [this, first, cast] { CutAppends(first, {cast->third}); }},
                         {synced + Some(std::chrono::milliseconds(100)), nullptr, swap_back},
                         {kElectedWithin, second_is_back, nullptr},
                         {Some(std::chrono::milliseconds(300)), nullptr, nullptr}});
}

// An acknowledgement that is under way for two elections, of five voters: what it speaks of was
// replaced meanwhile, its leader leads again, and has as many entries again on two voters.
void Strategies::LateAcknowledgement(const Scene& scene) {
  const GroupId group = scene.group;
  const NodeId first = scene.leader;
  const NodeId late = *SomeOf(scene.others, 1).begin();
  const Nodes rest = Without(scene.others, {late});
  const NodeId with = *SomeOf(rest, 1).begin();
  const auto goal = std::make_shared<Index>(0);
  const auto second = std::make_shared<NodeId>(0);
  const Duration longer =
      DrawDuration(random_, std::chrono::milliseconds(1800), std::chrono::milliseconds(5000));
  const size_t more = 3 + random_.Below(6);
  world_.network().SlowLink(late, first, longer);
  CutAppends(first, rest);
  workload_.Flood(group, first, more);
  const auto is_sent = [this, group, late, rest, goal, more] {
    *goal = LastOf(rest, group) + more;
    return LastOf({late}, group) >= *goal;
  };
  const auto part = [this, group, first, late, rest] {
    workload_.Hush(group);
    Separate({first, late}, rest);
  };
  const auto second_leads = [this, scene, rest, second] {
    *second = LeaderAmong(rest, scene.group, scene.term, /*serving=*/true);
    return *second != 0;
  };
  const auto rejoin = [this, first, late, longer] {
    world_.network().MendLinks();
    world_.network().SlowLink(late, first, longer);
  };
  const auto is_replaced = [this, group, first, late, second] {
    const auto view = View(*second, group);
    if (!view.has_value() || view->role != Role::kLeader) return false;
    for (const NodeId node : {first, late}) {
      const auto mine = View(node, group);
      if (!mine.has_value() || mine->term != view->term || mine->last != view->last) return false;
    }
    return true;
  };
  const auto hand_back = [this, group, first, second] { HandOver(group, *second, first); };
  const auto first_serves = [this, scene, first] {
    return LeaderAmong({first}, scene.group, scene.term, /*serving=*/true) != 0;
  };
  const auto write = [this, first, scene, with, more] {
    CutAppends(first, Without(scene.others, {with}));
    workload_.Release();
    workload_.Flood(scene.group, first, more);
  };
  const auto has_as_many = [this, group, first, with, goal] {
    return LastOf({first}, group) >= *goal && LastOf({with}, group) >= *goal;
  };
  const auto part_again = [this, scene, first, with] {
    Separate({first, with}, Without(scene.others, {with}));
  };
  const auto others_lead = [this, scene, first, with] {
    const auto view = View(first, scene.group);
    return LeaderAmong(Without(scene.others, {with}), scene.group,
                       view.has_value() ? view->term : scene.term, /*serving=*/true) != 0;
  };
  Perform("late acknowledgement", {{std::chrono::seconds(1), is_sent, part},
                                   {kElectedWithin, second_leads, rejoin},
                                   {std::chrono::seconds(1), is_replaced, hand_back},
                                   {std::chrono::seconds(1), first_serves, write},
                                   {std::chrono::seconds(1), has_as_many, nullptr},
                                   {Some(longer), nullptr, part_again},
                                   {kElectedWithin, others_lead, nullptr},
                                   {Some(std::chrono::milliseconds(300)), nullptr, nullptr}});
}

// What was committed is with the leader, which is cut off then, and with one voter of those that
// elect the next: that one restarts, in most cases without some of it.
void Strategies::SoleHolder(const Scene& scene) {
  const Nodes lacking = SomeOf(scene.others, scene.others.size() / 2);
  const NodeId holder = *SomeOf(Without(scene.others, lacking), 1).begin();
  const Machine& machine = world_.machine(holder);
  CutAppends(scene.leader, lacking);
  const auto batches = BatchesOf(*machine.disk);
  const uint64_t sequence = batches.empty() ? 0 : batches.rbegin()->first;
  const bool sync_fails = !options_.wipes && random_.Chance(0.25);
  const auto is_committed = [this, scene, lacking, extra = 1 + random_.Below(4)] {
    const auto view = View(scene.leader, scene.group);
    return view.has_value() && view->commit >= LastOf(lacking, scene.group) + extra;
  };
  const auto fail_sync = [this, holder, sync_fails] {
    if (!sync_fails) return;
    Count("failed sync");
    world_.machine(holder).disk->InjectError(SimulatedFileSystem::Operation::kSync, "/log/", 0, 1,
                                             absl::DataLossError("injected: the sync failed"));
  };
  const auto take_away = [this, scene, holder, sequence, sync_fails] {
    if (!world_.machine(holder).up()) return Finish("the holder is down");
    world_.network().Cut(scene.leader, holder, LaneMethod(Lane::kSnapshot));
    if (sync_fails) {
      Restart(holder, /*power=*/true);
    } else if (!TakeAway(holder, sequence)) {
      Restart(holder, /*power=*/!options_.wipes && random_.Chance(0.5));
    }
  };
  Nodes electing = lacking;
  electing.insert(holder);
  // An empty disk knows of the group by its leader only, who must not fill it.
  const auto is_known = [this, scene, holder, wiped = options_.wipes] {
    return !wiped || View(holder, scene.group).has_value();
  };
  // Everyone that is not among those that elect.
  const auto part = [this, electing] {
    Nodes apart;
    for (const auto& [node, other] : world_.machines()) apart.insert(node);
    Separate(Without(std::move(apart), electing), electing);
  };
  const auto others_lead = [this, scene, electing] {
    return LeaderAmong(electing, scene.group, scene.term, /*serving=*/true) != 0;
  };
  Perform("sole holder",
          {{std::chrono::seconds(2), is_committed, fail_sync},
           {DrawDuration(random_, std::chrono::microseconds(100), std::chrono::milliseconds(200)),
            nullptr, take_away},
           {std::chrono::seconds(1), is_known, part},
           {kRestartedElectsWithin, others_lead, nullptr},
           {Some(std::chrono::milliseconds(500)), nullptr, nullptr}});
}

// The holder goes down and loses something of what its log's batches after this sequence hold: a
// payload; a whole batch that later ones prove; its disk. False: this run tears batches, or
// another machine was harmed in it.
bool Strategies::TakeAway(NodeId holder, uint64_t after_sequence) {
  if (options_.tears || !world_.MayHarm(holder)) return false;
  if (options_.wipes) {
    Count("wiped disk");
    world_.Wipe(holder);
    world_.StartLater(holder, Some(std::chrono::milliseconds(300)));
    return true;
  }
  world_.Kill(holder);
  world_.StartLater(holder, Some(std::chrono::milliseconds(300)));
  SimulatedFileSystem& disk = *world_.machine(holder).disk;
  const auto batches = BatchesOf(disk);
  std::vector<FoundBatch> with_payloads;
  std::vector<FoundBatch> small;  // two neighbouring blocks, and proven to have been synced
  for (auto found = batches.upper_bound(after_sequence); found != batches.end(); ++found) {
    const BatchHeader& header = found->second.header;
    if (header.payload_blocks() > 0) with_payloads.push_back(found->second);
    if (header.blocks() == 2 && std::next(found) != batches.end()) small.push_back(found->second);
  }
  const auto how = random_.Chance(0.5) ? SimulatedFileSystem::BadBlock::kNoise
                                       : SimulatedFileSystem::BadBlock::kZeros;
  if (!with_payloads.empty() && (small.empty() || random_.Chance(0.7))) {
    DamageBatch(disk, with_payloads[random_.Below(with_payloads.size())], random_.Next(), how);
    Count("bad block in the log");
  } else if (!small.empty()) {
    DamageBatch(disk, small[random_.Below(small.size())], 0, how);
    Count("whole batch of the log lost");
  } else {
    return true;  // down, and whole
  }
  world_.Harm(holder);
  return true;
}

// A leader can no longer read what a follower lacks, and has applied it: its state has to stand in.
// The rest of the group has it all.
void Strategies::UnreadableHistory(const Scene& scene) {
  if (options_.wipes || options_.tears || !world_.MayHarm(scene.leader)) return;
  const Nodes lacking = SomeOf(scene.others, 1);
  const auto before = BatchesOf(*world_.machine(scene.leader).disk);
  CutAppends(scene.leader, lacking);
  // More than it keeps in memory, mostly.
  const auto is_ahead = [this, scene, lacking, extra = 10 + random_.Below(60)] {
    const auto view = View(scene.leader, scene.group);
    return view.has_value() && view->applied >= LastOf(lacking, scene.group) + extra;
  };
  const auto damage = [this, scene, sequence = before.empty() ? 0 : before.rbegin()->first] {
    if (!world_.MayHarm(scene.leader)) return Finish("another machine was harmed meanwhile");
    world_.Harm(scene.leader);
    SimulatedFileSystem& disk = *world_.machine(scene.leader).disk;
    const auto batches = BatchesOf(disk);
    for (auto found = batches.upper_bound(sequence); found != batches.end(); ++found) {
      if (std::next(found) == batches.end()) break;  // the last one: nothing proves it yet
      const BatchHeader& header = found->second.header;
      if (header.payload_blocks() == 0 && header.blocks() != 2) continue;
      DamageBatch(disk, found->second, 0, SimulatedFileSystem::BadBlock::kNoise);
      Count("bad block in the log");
    }
    world_.network().MendLinks();
  };
  const auto is_filled = [this, scene, lacking] {
    const auto view = View(scene.leader, scene.group);
    return view.has_value() && LastOf(lacking, scene.group) + 5 > view->applied;
  };
  workload_.Besiege(scene.group, scene.leader);
  Perform("unreadable history", {{std::chrono::seconds(3), is_ahead, damage},
                                 {std::chrono::seconds(2), is_filled, nullptr}});
}

}  // namespace ringleader::simulation
