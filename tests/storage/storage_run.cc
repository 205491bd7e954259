#include "tests/storage/storage_run.h"

#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader::storage {
namespace {

using data::v1::Request;
using data::v1::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kNodes = 3;
constexpr uint64_t kKeys = 12;
// The longest a request may take with one damaged replica of three: its leader may be the damaged
// one, be closed, and restart into silence (two election timeouts of 1 s), twice.
constexpr Duration kAnswerMax = seconds(30);
// A rebuilt replica waits a second, then for a snapshot; twice within a minute, as it may be
// damaged twice.
constexpr Duration kHealMax = seconds(120);

class Run {
 public:
  Run(uint64_t seed, Aim aim) : random_(seed), aim_(aim), world_(seed, kNodes) {}

  RunResult Play() {
    world_.CreatePartition(kNodes);
    Work(20 + random_.Below(60));
    if (failed()) return result_;
    victim_ = 1 + random_.Below(kNodes);
    BreakDisk();
    if (result_.damage.empty()) return result_;
    Work(20 + random_.Below(30));
    if (!failed()) RestartVictim();
    if (!failed()) AwaitHealing();
    if (!failed()) LeanOnVictim();
    return result_;
  }

 private:
  bool failed() const { return !result_.failure.empty(); }
  void Fail(std::string why) {
    if (!failed()) result_.failure = std::move(why);
  }

  // Null if the node is down, or has none.
  std::shared_ptr<replication::Replica> ReplicaOn(uint64_t node) {
    return world_.node(node).runtime == nullptr ? nullptr : world_.ReplicaOf(node);
  }

  void Pass(Duration span) {
    for (Duration at{0}; at < span; at += milliseconds(100)) {
      world_.RunFor(milliseconds(100));
      for (uint64_t node = 1; node <= kNodes; ++node) {
        const auto replica = ReplicaOn(node);
        if (replica == nullptr) continue;
        if (replica->view().rebuilding) result_.noticed = true;
        world_.Maintain(node);
      }
    }
  }

  // Until the group's leader has answered. What is asked may be asked twice.
  std::optional<Response> Ask(const Request& request) {
    const Duration end = world_.simulation().now() + kAnswerMax;
    std::string last = "no leader";
    while (world_.simulation().now() < end) {
      if (const uint64_t leader = world_.Leader(); leader != 0) {
        Response response = world_.Call(leader, request);
        ++result_.operations;
        if (response.error() == data::v1::ERROR_NONE) return response;
        last = absl::StrCat("error ", response.error(), ": ", response.message());
      }
      Pass(milliseconds(100));
    }
    Fail(absl::StrCat("no answer in 30 s: ", last));
    return std::nullopt;
  }

  void Write() {
    const std::string key = absl::StrCat("k", random_.Below(kKeys));
    // Lengths from a few bytes to a few blocks: inlined in a page of the log, and not.
    const std::string filling(random_.Below(random_.Chance(0.5) ? 200 : 9000), 'x');
    const uint64_t value = ++last_value_;
    if (!Ask(PutRequest(absl::StrCat(R"({"pk":")", key, R"(","sk":1,"v":)", value, R"(,"f":")",
                                     filling, R"("})")))
             .has_value()) {
      return;
    }
    model_[key] = absl::StrCat(R"("v":)", value, "}");
  }

  void Read(const std::string& key) {
    const auto response = Ask(GetRequest(key, 1));
    if (!response.has_value()) return;
    const auto wanted = model_.find(key);
    const std::string found = response->found() ? PlainJson(response->item()) : "nothing";
    const bool right =
        wanted == model_.end() ? !response->found() : absl::StrContains(found, wanted->second);
    if (!right) {
      Fail(absl::StrCat(key, " is ",
                        found.substr(found.size() - std::min<size_t>(found.size(), 40)),
                        " and should hold ", wanted == model_.end() ? "nothing" : wanted->second));
    }
  }

  void Work(uint64_t operations) {
    for (; operations > 0 && !failed(); --operations) {
      const uint64_t draw = random_.Below(20);
      if (draw < 11) {
        Write();
      } else if (draw < 17) {
        Read(absl::StrCat("k", random_.Below(kKeys)));
      } else if (draw == 17) {
        const auto replica = ReplicaOn(1 + random_.Below(kNodes));
        if (replica != nullptr) replica->FlushAndCompact();
      } else if (draw == 18) {
        MoveLeader(1 + random_.Below(kNodes));
      } else {
        Pass(milliseconds(random_.Between(100, 2000)));
      }
    }
  }

  void MoveLeader(uint64_t to) {
    const uint64_t leader = world_.Leader();
    if (leader == 0 || leader == to) return;
    const auto replica = ReplicaOn(leader);
    if (replica == nullptr) return;
    replica->Transfer(10 + to, [](const absl::Status&) {});
    Pass(milliseconds(300));
  }

  void BreakDisk() {
    const uint64_t how = random_.Below(3);
    if (how == 1) world_.Kill(victim_);
    if (how == 2) world_.CutPower(victim_);
    const Damage damage = DamageOneBlock(*world_.node(victim_).disk, aim_, random_);
    damaged_at_ = world_.simulation().now();
    if (!damage.path.empty()) {
      constexpr const char* kHow[] = {"running", "stopped", "without power"};
      result_.damage = absl::StrCat("node ", victim_, ", ", kHow[how], ": ", damage.what);
    }
    if (how == 0) return;
    if (random_.Chance(0.5)) Work(5);  // it misses something
    world_.Start(victim_);
  }

  void RestartVictim() {
    if (random_.Chance(0.3)) return;
    if (random_.Chance(0.5)) {
      world_.Kill(victim_);
    } else {
      world_.CutPower(victim_);
    }
    Pass(milliseconds(random_.Between(100, 1500)));
    world_.Start(victim_);
  }

  // All items of one replica; nothing if it can't tell.
  std::optional<std::string> Contents(uint64_t node) {
    Request request;
    request.mutable_scan()->set_consistency(data::v1::CONSISTENCY_EVENTUAL);
    std::string contents;
    while (true) {
      const Response response = world_.Call(node, request);
      if (response.error() != data::v1::ERROR_NONE) return std::nullopt;
      for (const std::string& item : response.page().items()) contents += item;
      if (response.page().last_evaluated_key().empty()) return contents;
      request.mutable_scan()->set_exclusive_start_key(response.page().last_evaluated_key());
    }
  }

  bool AllEqual() {
    std::set<std::string> different;
    for (uint64_t node = 1; node <= kNodes; ++node) {
      if (ReplicaOn(node) == nullptr) return false;
      const auto contents = Contents(node);
      if (!contents.has_value()) return false;
      different.insert(*contents);
    }
    return different.size() == 1;
  }

  // Reading all of it is also what finds damage that no request has met.
  void AwaitHealing() {
    const Duration end = world_.simulation().now() + kHealMax;
    while (!AllEqual()) {
      if (world_.simulation().now() > end) {
        const auto replica = ReplicaOn(victim_);
        return Fail(absl::StrCat(
            "not healed in 120 s: ",
            replica == nullptr ? "the replica is gone" : replica->view().failure.ToString()));
      }
      Pass(milliseconds(200));
    }
    result_.healed = world_.simulation().now() - damaged_at_;
  }

  // With another node gone, every answer rests on what the damaged one has.
  void LeanOnVictim() {
    const uint64_t gone = 1 + victim_ % kNodes;
    world_.Kill(gone);
    MoveLeader(victim_);
    for (uint64_t key = 0; key < kKeys && !failed(); ++key) Read(absl::StrCat("k", key));
    if (!failed()) Write();
    world_.Start(gone);
  }

  Random random_;
  const Aim aim_;
  PartitionWorld world_;
  RunResult result_;
  uint64_t victim_ = 0;
  Duration damaged_at_{0};
  uint64_t last_value_ = 0;
  std::map<std::string, std::string> model_;  // key to how its item ends
};

}  // namespace

RunResult RunOnce(uint64_t seed, Aim aim) { return Run(seed, aim).Play(); }

}  // namespace ringleader::storage
