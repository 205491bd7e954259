// A leader that does not know yet that it was deposed, and clients that go on reading from it.
#include <memory>
#include <utility>
#include <vector>

#include "replication/configuration.h"
#include "tests/simulation/raft_strategies.h"
#include "tests/simulation/run_draws.h"

namespace ringleader::simulation {
namespace {

using replication::Role;

// More than an election takes, a split vote included; less than what a leader that nobody answers
// stays one for.
constexpr Duration kOthersLeadWithin = std::chrono::seconds(4);
// A voter that has just restarted is silent for an election timeout.
constexpr Duration kAskedWithin = std::chrono::seconds(4);
constexpr Duration kHeardRecently = std::chrono::milliseconds(400);
constexpr Duration kReadsFor = std::chrono::milliseconds(1500);

}  // namespace

void Strategies::StaleLeader(const Scene& scene) {
  switch (random_.Below(4)) {
    case 0:
      return LateAnswers(scene);
    case 1:
      return Asleep(scene);
    case 2:
      return HandedOver(scene);
    default:
      return ForgottenPromise(scene);
  }
}

std::function<bool()> Strategies::OthersLead(const Scene& scene) {
  return [this, scene] {
    return LeaderAmong(scene.others, scene.group, scene.term, /*serving=*/true) != 0;
  };
}

void Strategies::IsolateAndAsk(const Scene& scene) {
  Isolate(scene.leader);
  workload_.Besiege(scene.group, scene.leader);
}

// Answers to rounds that were sent long ago go on arriving when nothing else does any more.
void Strategies::LateAnswers(const Scene& scene) {
  const Duration late =
      SlowAnswers(scene, std::chrono::milliseconds(20), std::chrono::milliseconds(1500));
  Perform("late answers", {{late + Some(std::chrono::milliseconds(500)), nullptr,
                            [this, scene] { IsolateAndAsk(scene); }},
                           {kOthersLeadWithin, OthersLead(scene), nullptr},
                           {Some(kReadsFor), nullptr, nullptr}});
}

// It sleeps while another is elected, and wakes up with answers from before.
void Strategies::Asleep(const Scene& scene) {
  const Duration late =
      SlowAnswers(scene, std::chrono::milliseconds(10), std::chrono::milliseconds(500));
  const auto sleep = [this, scene] {
    world_.Pause(scene.leader);
    asleep_.insert(scene.leader);
    IsolateAndAsk(scene);
  };
  const auto wake = [this, scene] {
    world_.Resume(scene.leader);
    asleep_.clear();
  };
  Perform("asleep", {{late + Some(std::chrono::milliseconds(500)), nullptr, sleep},
                     {kOthersLeadWithin, OthersLead(scene), nullptr},
                     {Some(std::chrono::milliseconds(300)), nullptr, wake},
                     {Some(kReadsFor), nullptr, nullptr}});
}

// It hands leadership over, and hears late of the election that this brings.
void Strategies::HandedOver(const Scene& scene) {
  const Duration late =
      SlowAnswers(scene, std::chrono::milliseconds(20), std::chrono::milliseconds(800));
  const auto hand_over = [this, scene] {
    HandOver(scene.group, scene.leader, *SomeOf(scene.others, 1).begin());
    workload_.Besiege(scene.group, scene.leader);
  };
  Perform("handed over", {{late + Some(late), nullptr, hand_over},
                          {kOthersLeadWithin, OthersLead(scene), nullptr},
                          {late + Some(late), nullptr, nullptr}});
}

// Voters that hear nothing of the leader ask to be elected, with logs as long as the others', and
// one that had promised the leader not to elect anybody starts again. Or it does not: then the
// leader is cut off before anybody asks, and must still be deposed no earlier than its lease ends.
void Strategies::ForgottenPromise(const Scene& scene) {
  const Nodes deaf = SomeOf(scene.others, scene.others.size() / 2);
  const NodeId forgetful = *SomeOf(Without(scene.others, deaf), 1).begin();
  workload_.Hush(scene.group);
  const auto are_equal = [this, scene] {
    const auto leader = View(scene.leader, scene.group);
    if (!leader.has_value() || leader->commit < leader->last) return false;
    for (const NodeId node : scene.others) {
      const auto view = View(node, scene.group);
      if (!view.has_value() || view->last != leader->last) return false;
    }
    return true;
  };
  const auto deafen = [this, scene, deaf] {
    for (const NodeId node : deaf) world_.network().Cut(scene.leader, node);
  };
  const auto somebody_asks = [this, scene, deaf] {
    for (const NodeId node : deaf) {
      const auto view = View(node, scene.group);
      if (view.has_value() && view->role == Role::kPreCandidate) return true;
    }
    return false;
  };
  const bool forgets = random_.Chance(0.6);
  const auto forget = [this, scene, forgetful, forgets] {
    if (forgets) Restart(forgetful, /*power=*/!options_.wipes && random_.Chance(0.5));
    workload_.Release();
    IsolateAndAsk(scene);
  };
  std::vector<Step> steps = {{std::chrono::seconds(2), are_equal, deafen}};
  if (forgets) {
    steps.push_back({kAskedWithin, somebody_asks, nullptr});
    steps.push_back({Some(std::chrono::milliseconds(900)), nullptr, forget});
  } else {
    steps.push_back({kHeardRecently + Some(std::chrono::seconds(1)), nullptr, forget});
  }
  steps.push_back({std::chrono::milliseconds(1500), OthersLead(scene), nullptr});
  steps.push_back({Some(std::chrono::milliseconds(900)), nullptr, nullptr});
  Perform("forgotten promise", std::move(steps));
}

}  // namespace ringleader::simulation
