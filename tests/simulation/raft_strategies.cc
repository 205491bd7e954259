#include "tests/simulation/raft_strategies.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "replication/configuration.h"
#include "replication/transport.h"
#include "tests/simulation/run_draws.h"

namespace ringleader::simulation {

using replication::Configuration;
using replication::Index;
using replication::Lane;
using replication::LaneMethod;
using replication::Member;
using replication::ReplicaView;
using replication::Role;
using replication::Term;

namespace {

// Fine enough for what has to come between two messages.
constexpr Duration kStepPeriod = std::chrono::microseconds(500);

std::set<NodeId> NodesOf(const std::vector<Member>& members) {
  std::set<NodeId> nodes;
  for (const Member& member : members) nodes.insert(member.node);
  return nodes;
}

}  // namespace

Strategies::Strategies(World& world, Workload& workload, const StrategyOptions& options)
    : world_(world),
      workload_(workload),
      options_(options),
      random_(world.simulation().random().Fork()) {}

void Strategies::Start() {
  if (options_.every_max > Duration(0)) Next();
}

void Strategies::Next() {
  world_.simulation().At(Some(options_.every_max), [this] {
    if (healed_) return;
    if (steps_.empty()) Choose();
    if (steps_.empty()) Next();  // there was no place for it
  });
}

void Strategies::Choose() {
  const std::optional<Scene> scene = FindScene();
  if (!scene.has_value()) return;
  switch (random_.Below(7)) {
    case 0:
    case 1:
      return StaleLeader(*scene);
    case 2:
    case 3:
      return scene->others.size() == 2 ? OlderTerm(*scene) : LateAcknowledgement(*scene);
    case 4:
      return UnreadableHistory(*scene);
    default:
      return SoleHolder(*scene);
  }
}

std::optional<Strategies::Scene> Strategies::FindScene() {
  const auto groups = world_.groups();
  Scene scene{.group = groups[random_.Below(groups.size())]};
  scene.leader = world_.LeaderOf(scene.group);
  if (scene.leader == 0) return std::nullopt;
  const ReplicaView view = world_.machine(scene.leader).runtime->Find(scene.group)->view();
  scene.term = view.term;
  if (view.configuration.joint()) return std::nullopt;
  scene.others = NodesOf(view.configuration.voters);
  if (scene.others.erase(scene.leader) == 0) return std::nullopt;
  for (const NodeId node : scene.others) {
    if (!View(node, scene.group).has_value()) return std::nullopt;
  }
  return scene;
}

void Strategies::Perform(const std::string& name, std::vector<Step> steps) {
  CHECK(steps_.empty());
  Count(absl::StrCat("strategy ", name));
  name_ = name;
  steps_ = std::move(steps);
  step_ = 0;
  Watch(++performance_, Duration(0));
}

void Strategies::Watch(uint64_t performance, Duration waited) {
  const Step& step = steps_[step_];
  const Duration wait = step.is_so ? kStepPeriod : step.at_most;
  world_.simulation().At(wait, [this, performance, waited = waited + wait] {
    if (healed_ || performance != performance_) return;
    const Step& now = steps_[step_];
    if (now.is_so && !now.is_so()) {
      if (waited < now.at_most) return Watch(performance, waited);
      return Finish(absl::StrCat("given up at step ", step_));
    }
    const std::function<void()> then = now.then;  // it may end the performance, steps and all
    if (then) then();
    if (performance != performance_) return;  // it could not be done
    if (++step_ == steps_.size()) return Finish("carried out");
    Watch(performance, Duration(0));
  });
}

void Strategies::Finish(const std::string& how) {
  Count(absl::StrCat("strategy ", name_, ": ", how));
  steps_.clear();
  ++performance_;
  workload_.Release();
  world_.network().MendLinks();
  for (const NodeId node : std::exchange(asleep_, {})) world_.Resume(node);
  if (!healed_) Next();
}

void Strategies::Heal() {
  healed_ = true;
  if (!steps_.empty()) Finish("ended with the faults");
}

// The old voters are parted so that some hold their majority without the leader and the leader and
// the rest hold that of the new ones.
void Strategies::BeforeChange(GroupId group, NodeId leader,
                              const std::vector<Member>& next_voters) {
  if (options_.every_max == Duration(0) || !steps_.empty() || !random_.Chance(0.5)) return;
  const ReplicaView view = world_.machine(leader).runtime->Find(group)->view();
  const Nodes old = NodesOf(view.configuration.voters);
  const Nodes next = NodesOf(next_voters);
  const Nodes leaving = Without(Without(old, next), {leader});
  const Nodes staying = Without(Without(old, leaving), {leader});
  const size_t old_majority = old.size() / 2 + 1;
  if (leaving.empty() || leaving.size() > old_majority) return;
  Nodes those = SomeOf(staying, old_majority - leaving.size());
  those.insert(leaving.begin(), leaving.end());
  Nodes these = Without(next, those);
  these.insert(leader);
  if (those.size() < old_majority || these.size() < next.size() / 2 + 1) return;
  // What is under way before the change begins goes on being acknowledged.
  for (const NodeId node : these) CutAppends(node, those);
  const Term term = view.term;
  const auto is_proposed = [this, group, leader, before = view.configuration_index] {
    const auto now = View(leader, group);
    return now.has_value() && now->configuration_index > before;
  };
  const auto others_lead = [this, group, those, term] {
    return LeaderAmong(those, group, term, /*serving=*/true) != 0;
  };
  Perform("split members",
          {{std::chrono::milliseconds(100), is_proposed, nullptr},
           {DrawDuration(random_, std::chrono::microseconds(100), std::chrono::milliseconds(300)),
            nullptr, [this, these, those] { Separate(these, those); }},
           {std::chrono::seconds(4), others_lead, nullptr},
           {Some(std::chrono::milliseconds(500)), nullptr, nullptr}});
}

// --- What is seen and done ----------------------------------------------------------------------

std::optional<ReplicaView> Strategies::View(NodeId node, GroupId group) {
  const Machine& machine = world_.machine(node);
  if (!machine.up()) return std::nullopt;
  const auto replica = machine.runtime->Find(group);
  if (replica == nullptr) return std::nullopt;
  return replica->view();
}

Index Strategies::LastOf(const Nodes& nodes, GroupId group) {
  Index last = 0;
  for (const NodeId node : nodes) {
    const auto view = View(node, group);
    if (view.has_value()) last = std::max(last, view->last);
  }
  return last;
}

NodeId Strategies::LeaderAmong(const Nodes& nodes, GroupId group, Term above, bool serving) {
  for (const NodeId node : nodes) {
    const auto view = View(node, group);
    if (view.has_value() && view->role == Role::kLeader && view->term > above &&
        (view->serving || !serving)) {
      return node;
    }
  }
  return 0;
}

void Strategies::Separate(const Nodes& these, const Nodes& those) {
  for (const NodeId one : these) {
    for (const NodeId other : those) {
      world_.network().Cut(one, other);
      world_.network().Cut(other, one);
    }
  }
}

void Strategies::Isolate(NodeId node) {
  Nodes all;
  for (const auto& [other, machine] : world_.machines()) all.insert(other);
  Separate({node}, Without(std::move(all), {node}));
}

void Strategies::HandOver(GroupId group, NodeId from, NodeId to) {
  const auto view = View(from, group);
  if (!view.has_value()) return;
  for (const Member& voter : view->configuration.voters) {
    if (voter.node != to) continue;
    world_.machine(from).runtime->Find(group)->Transfer(voter.replica, [](const absl::Status&) {});
  }
}

void Strategies::CutAppends(NodeId from, const Nodes& to) {
  for (const NodeId node : to) world_.network().Cut(from, node, LaneMethod(Lane::kAppend));
}

Duration Strategies::SlowAnswers(const Scene& scene, Duration least, Duration most) {
  const Duration longer = DrawDuration(random_, least, most);
  for (const NodeId node : scene.others) world_.network().SlowLink(node, scene.leader, longer);
  return longer;
}

Strategies::Nodes Strategies::SomeOf(const Nodes& nodes, size_t count) {
  std::vector<NodeId> left(nodes.begin(), nodes.end());
  Nodes some;
  while (some.size() < count && !left.empty()) {
    const auto chosen = left.begin() + static_cast<ptrdiff_t>(random_.Below(left.size()));
    some.insert(*chosen);
    left.erase(chosen);
  }
  return some;
}

Strategies::Nodes Strategies::Without(Nodes nodes, const Nodes& some) {
  for (const NodeId node : some) nodes.erase(node);
  return nodes;
}

}  // namespace ringleader::simulation
