// Runs the scripts in tests/scenarios/raft: commands to a small group, and what the cores did about
// them as golden output. A script is blocks of command lines, a line "----" and the output, divided
// by empty lines; '#' begins a comment. After a change that means to alter behaviour:
//   RINGLEADER_REWRITE=1 build/bin/tests/unit_replication_core --gtest_filter='Scripts/*'
// and read the difference like code. The commands are listed in tests/scenarios/raft/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/check.h"
#include "replication/configuration.h"
#include "tests/unit/replication_core/test_cluster.h"

namespace ringleader::replication {
namespace {

const char* KindName(MessageKind kind) {
  static const char* const kNames[] = {"?",
                                       "pre-vote",
                                       "pre-vote-answer",
                                       "vote",
                                       "vote-answer",
                                       "append",
                                       "append-answer",
                                       "heartbeat",
                                       "heartbeat-answer",
                                       "snapshot",
                                       "timeout-now",
                                       "doubt-query",
                                       "doubt-answer"};
  return kNames[static_cast<int>(kind)];
}

const char* RoleName(Role role) {
  static const char* const kNames[] = {"follower", "pre-candidate", "candidate", "leader"};
  return kNames[static_cast<int>(role)];
}

std::string Text(LogPosition position) { return absl::StrCat(position.term, "/", position.index); }

std::string Text(const std::vector<Member>& members) {
  return absl::StrJoin(members, ",", [](std::string* out, const Member& member) {
    absl::StrAppend(out, member.replica);
  });
}

std::string Text(const Configuration& configuration) {
  std::string text =
      absl::StrCat("v", configuration.version, " (", Text(configuration.voters), ")");
  if (configuration.joint()) absl::StrAppend(&text, "&(", Text(configuration.outgoing), ")");
  if (!configuration.learners.empty()) {
    absl::StrAppend(&text, " learners (", Text(configuration.learners), ")");
  }
  return text;
}

std::string Text(const Entry& entry) {
  std::string text = Text(LogPosition{entry.term, entry.index});
  if (entry.kind == EntryKind::kConfiguration) {
    absl::StrAppend(&text, " ", Text(*DecodeConfiguration(*entry.payload)));
  } else if (entry.payload != nullptr) {
    const std::string& payload = *entry.payload;
    absl::StrAppend(&text, " ",
                    payload.size() > 12 ? absl::StrCat(payload.size(), " bytes") : payload);
  }
  return text;
}

std::string Text(const std::vector<Entry>& entries) {
  return absl::StrCat("[",
                      absl::StrJoin(entries, ", ",
                                    [](std::string* out, const Entry& entry) {
                                      absl::StrAppend(out, Text(entry));
                                    }),
                      "]");
}

std::string Text(const Message& message) {
  std::string text = absl::StrCat(message.from, "->", message.to, " ", KindName(message.kind),
                                  " term ", message.term);
  if (message.position != LogPosition{}) absl::StrAppend(&text, " at ", Text(message.position));
  if (message.promise != LogPosition{}) absl::StrAppend(&text, " promise ", Text(message.promise));
  if (message.index != 0) absl::StrAppend(&text, " after ", message.index);
  if (message.commit != 0) absl::StrAppend(&text, " commit ", message.commit);
  if (message.round != 0) absl::StrAppend(&text, " round ", message.round);
  if (!message.entries.empty()) absl::StrAppend(&text, " ", Text(message.entries));
  if (message.kind == MessageKind::kSnapshot) {
    absl::StrAppend(&text, " ", Text(message.snapshot.last), " ",
                    Text(message.snapshot.configuration));
  }
  if (message.rejected) absl::StrAppend(&text, " rejected");
  if (message.transfer) absl::StrAppend(&text, " transfer");
  if (message.lost) absl::StrAppend(&text, " lost");
  if (message.preliminary) absl::StrAppend(&text, " preliminary");
  if (message.doubtful) absl::StrAppend(&text, " doubtful");
  return text;
}

class Script {
 public:
  std::string Run(const std::string& line) {
    words_ = absl::StrSplit(line, ' ', absl::SkipEmpty());
    out_.clear();
    const std::string command = words_[0];
    if (command == "group") {
      Group();
    } else if (!RunInput(command) && !RunNetwork(command) && !RunNode(command) &&
               !RunShow(command)) {
      absl::StrAppend(&out_, "unknown command: ", line, "\n");
    }
    if (cluster_ != nullptr && !cluster_->violation().ok()) {
      absl::StrAppend(&out_, "VIOLATION ", cluster_->violation().ToString(), "\n");
    }
    return out_;
  }

 private:
  // --- Arguments ---
  std::string Named(const std::string& name) const {
    for (const std::string& word : words_) {
      if (absl::StartsWith(word, name + "=")) return word.substr(name.size() + 1);
    }
    return "";
  }
  uint64_t Number(const std::string& name, uint64_t otherwise) const {
    uint64_t value = 0;
    return absl::SimpleAtoi(Named(name), &value) ? value : otherwise;
  }
  uint64_t At(size_t position, uint64_t otherwise = 0) const {
    uint64_t value = 0;
    if (position >= words_.size() || !absl::SimpleAtoi(words_[position], &value)) return otherwise;
    return value;
  }
  bool Has(const std::string& word) const {
    return std::find(words_.begin(), words_.end(), word) != words_.end();
  }
  static std::vector<Member> Members(const std::string& text) {
    std::vector<Member> members;
    for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
      uint64_t replica = 0;
      CHECK(absl::SimpleAtoi(part, &replica));
      members.push_back({replica, 100 + replica});
    }
    return members;
  }
  bool Selected(const Message& message) const {
    const std::string kind = Named("kind");
    return (Number("from", message.from) == message.from) &&
           (Number("to", message.to) == message.to) &&
           (kind.empty() || kind == KindName(message.kind));
  }

  // --- Commands ---
  void Group() {
    CoreOptions options;
    options.election_ticks = static_cast<uint32_t>(Number("election", 10));
    options.heartbeat_ticks = static_cast<uint32_t>(Number("heartbeat", 2));
    options.inflight_messages_max = static_cast<uint32_t>(Number("inflight", 64));
    options.inflight_bytes_max = Number("inflight_bytes", 1 << 20);
    options.append_bytes_max = Number("append_bytes", 1 << 20);
    options.uncommitted_bytes_max = Number("uncommitted", 1 << 20);
    options.unapplied_bytes_max = Number("unapplied", 1 << 20);
    options.entry_cache_bytes_max = Number("cache", 1 << 20);
    options.waiting_reads_max = static_cast<uint32_t>(Number("reads", 100));
    cluster_ = std::make_unique<TestCluster>(options, 1);
    cluster_->Bootstrap(Number("voters", 3));
    for (const Member& member : Members(Named("empty"))) cluster_->AddEmpty(member.replica);
  }

  bool RunInput(const std::string& command) {
    const ReplicaId replica = At(1);
    if (command == "tick") {
      for (uint64_t i = 0; i < At(2, 1); ++i) {
        cluster_->core(replica).Tick();
        Print(replica);
      }
    } else if (command == "campaign") {
      cluster_->core(replica).Campaign();
      Print(replica);
    } else if (command == "propose") {
      const size_t bytes = Number("bytes", 0);
      const std::string text = bytes > 0 ? std::string(bytes, 'x') : words_[2];
      Result(cluster_->core(replica).Propose({std::make_shared<const std::string>(text)}));
      Print(replica);
    } else if (command == "expect") {
      cluster_->core(replica).ExpectProposal(At(2) != 0);
    } else if (command == "read") {
      const auto read = cluster_->Read(replica);
      absl::StrAppend(&out_, read.ok() ? absl::StrCat("read ", *read) : read.status().ToString(),
                      "\n");
      if (!Has("hold")) Print(replica);
    } else if (command == "change") {
      Result(cluster_->core(replica).ProposeConfiguration(Members(Named("voters")),
                                                          Members(Named("learners"))));
      Print(replica);
    } else if (command == "transfer") {
      const absl::Status status = cluster_->core(replica).TransferLeadership(Number("to", 0));
      if (!status.ok()) absl::StrAppend(&out_, status.ToString(), "\n");
      Print(replica);
    } else if (command == "unreachable") {
      cluster_->core(replica).ReportUnreachable(At(2));
      Print(replica);
    } else {
      return false;
    }
    return true;
  }

  bool RunNetwork(const std::string& command) {
    auto& network = cluster_->network();
    if (command == "deliver" || command == "drop" || command == "duplicate") {
      std::deque<Message> chosen;
      std::deque<Message> rest;
      for (Message& message : network) (Selected(message) ? chosen : rest).push_back(message);
      network = rest;
      for (const Message& message : chosen) {
        absl::StrAppend(&out_, command == "drop" ? "dropped " : "", Text(message), "\n");
        if (command == "drop") continue;
        cluster_->Deliver(message);
        if (command == "duplicate") cluster_->Deliver(message);
        if (cluster_->up(message.to)) Print(message.to);
      }
    } else if (command == "stray") {
      Stray();
    } else if (command == "hold") {
      for (Message& message : network) {
        if (Selected(message)) held_.push_back(message);
      }
      std::erase_if(network, [this](const Message& message) { return Selected(message); });
    } else if (command == "release") {
      for (const Message& message : held_) network.push_back(message);
      held_.clear();
    } else if (command == "cut") {
      for (const ReplicaId other : cluster_->replicas()) {
        if (words_.size() > 2 && At(2) != other) continue;
        cluster_->cut_links().insert({At(1), other});
        cluster_->cut_links().insert({other, At(1)});
      }
    } else if (command == "heal") {
      cluster_->cut_links().clear();
    } else if (command == "settle") {
      if (!cluster_->Settle()) absl::StrAppend(&out_, "never quiet\n");
    } else if (command == "run") {
      for (uint64_t i = 0; i < At(1, 1); ++i) {
        for (const ReplicaId replica : cluster_->replicas()) {
          if (cluster_->up(replica)) cluster_->core(replica).Tick();
        }
        if (!cluster_->Settle()) absl::StrAppend(&out_, "never quiet\n");
      }
    } else {
      return false;
    }
    return true;
  }

  // A message that nobody here has sent, at once.
  void Stray() {
    Message message;
    message.group = kTestGroup;
    message.from = Number("from", 0);
    message.to = Number("to", 0);
    message.term = Number("term", 0);
    for (int kind = 1; kind <= static_cast<int>(MessageKind::kDoubtAnswer); ++kind) {
      if (Named("kind") == KindName(static_cast<MessageKind>(kind))) {
        message.kind = static_cast<MessageKind>(kind);
      }
    }
    message.rejected = Has("rejected");
    cluster_->Deliver(message);
    Print(message.to);
  }

  bool RunNode(const std::string& command) {
    const ReplicaId replica = At(1);
    if (command == "crash") {
      cluster_->Crash(replica, Number("keep", 0));
    } else if (command == "restart") {
      cluster_->Restart(replica, static_cast<uint32_t>(Number("away", 0)));
    } else if (command == "wipe") {
      cluster_->Wipe(replica);
    } else if (command == "lose") {
      cluster_->LoseTail(replica, At(2),
                         Has("doubtful") ? TestCluster::Loss::kDoubtful
                         : Has("unseen") ? TestCluster::Loss::kUnseen
                                         : TestCluster::Loss::kCertain);
    } else if (command == "doubt") {
      cluster_->Doubt(replica, {At(2), At(3)});
    } else if (command == "compact") {
      Compact(replica);
    } else if (command == "sync") {
      if (!cluster_->Sync(replica)) absl::StrAppend(&out_, "nothing to sync\n");
      Print(replica);
    } else if (command == "apply") {
      if (!cluster_->ApplyOne(replica)) absl::StrAppend(&out_, "nothing to apply\n");
      Print(replica);
    } else if (command == "fetch") {
      cluster_->AnswerFetch(replica, !Has("unreadable"));
      Print(replica);
    } else if (command == "snapshot") {
      cluster_->SendSnapshot(replica, !Has("fail"));
      Print(replica);
    } else {
      return false;
    }
    return true;
  }

  void Compact(ReplicaId replica) {
    TestDisk& disk = cluster_->node(replica).disk;
    const LogPosition base = cluster_->core(replica).AdvanceCompaction(At(2), disk.applied);
    const PlacedConfiguration placed = disk.ConfigurationAt(base.index);
    disk.entries.erase(
        disk.entries.begin(),
        disk.entries.begin() + static_cast<std::ptrdiff_t>(base.index - disk.base.index));
    disk.base = base;
    disk.base_configuration = placed.configuration;
    disk.base_configuration_index = placed.index;
    absl::StrAppend(&out_, "base ", Text(base), "\n");
  }

  bool RunShow(const std::string& command) {
    if (command == "status") {
      for (const ReplicaId replica : cluster_->replicas()) Status(replica);
    } else if (command == "progress") {
      for (const auto& [peer, progress] : cluster_->core(At(1)).progress()) {
        static const char* const kStates[] = {"probe", "replicate", "snapshot"};
        absl::StrAppend(&out_, peer, ": ", kStates[static_cast<int>(progress.state)], " match ",
                        progress.match, " next ", progress.next, " under way ",
                        progress.inflight.messages(), progress.Paused() ? " paused" : "", "\n");
      }
    } else if (command == "log") {
      absl::StrAppend(&out_, "base ", Text(cluster_->node(At(1)).disk.base), " ",
                      Text(cluster_->node(At(1)).disk.entries), "\n");
    } else {
      return false;
    }
    return true;
  }

  // --- Output ---
  void Result(const absl::StatusOr<LogPosition>& result) {
    absl::StrAppend(&out_, result.ok() ? Text(*result) : result.status().ToString(), "\n");
  }

  void Status(ReplicaId replica) {
    if (!cluster_->up(replica)) {
      absl::StrAppend(&out_, replica, ": down\n");
      return;
    }
    const Core& core = cluster_->core(replica);
    absl::StrAppend(&out_, replica, ": ", RoleName(core.role()), " term ", core.term(), " leader ",
                    core.leader(), " last ", Text(core.last_position()), " commit ",
                    core.commit_index(), " applied ", core.applied_index(), " ",
                    Text(core.configuration()));
    if (core.role() == Role::kLeader) {
      absl::StrAppend(&out_, core.ready_to_serve() ? " serving" : " not serving",
                      core.lease_allowed() ? " lease" : " no lease");
    }
    if (core.promised() != LogPosition{}) {
      absl::StrAppend(&out_, " promised ", Text(core.promised()),
                      core.doubtful() ? " doubtful" : "");
    }
    absl::StrAppend(&out_, "\n");
  }

  void Print(ReplicaId replica) {
    const Effects effects = cluster_->Pump(replica);
    const auto line = [&](const std::string& text) {
      absl::StrAppend(&out_, "  ", replica, ": ", text, "\n");
    };
    if (effects.lease_revoked) line("lease revoked");
    if (effects.lost_leadership) {
      line(absl::StrCat("lost leadership of term ", effects.lost_leadership->term, " at commit ",
                        effects.lost_leadership->commit));
    }
    if (!effects.aborted_reads.empty()) {
      line(absl::StrCat("aborted reads ", absl::StrJoin(effects.aborted_reads, ",")));
    }
    if (effects.hard_state) {
      line(absl::StrCat("persist term ", effects.hard_state->term, " vote ",
                        effects.hard_state->vote));
    }
    if (effects.install_snapshot)
      line(absl::StrCat("install ", Text(effects.install_snapshot->last)));
    if (!effects.entries.empty()) line(absl::StrCat("persist ", Text(effects.entries)));
    for (const Message& message : effects.messages) line(absl::StrCat("send ", Text(message)));
    for (const HeartbeatRound& round : effects.heartbeats) {
      line(absl::StrCat("heartbeat round ", round.round));
    }
    if (effects.confirmed_round) {
      line(absl::StrCat("confirmed round ", effects.confirmed_round->round));
    }
    for (const auto& request : effects.snapshots) {
      line(absl::StrCat("snapshot for ", request.message.to, " from ", request.index_min));
    }
    for (const FetchRequest& fetch : effects.fetches) {
      line(absl::StrCat("fetch for ", fetch.replica, " ", fetch.first, "-", fetch.last));
    }
    if (!effects.apply.empty()) line(absl::StrCat("apply ", Text(effects.apply)));
    for (const ReadState& read : effects.reads) {
      line(absl::StrCat("read ", read.read, " at ", read.index));
    }
    if (effects.soft_state) {
      line(absl::StrCat(RoleName(effects.soft_state->role), " in term ", effects.soft_state->term,
                        ", leader ", effects.soft_state->leader));
    }
    if (effects.promise_settled) line("promise settled");
  }

  std::unique_ptr<TestCluster> cluster_;
  std::deque<Message> held_;
  std::vector<std::string> words_;
  std::string out_;
};

// Runs every block and returns the script with the output that it gave.
std::string Replay(const std::string& text) {
  Script script;
  std::string result;
  std::string output;
  bool in_output = false;
  for (absl::string_view view : absl::StrSplit(text, '\n')) {
    const std::string line(view);
    if (line == "----") {
      absl::StrAppend(&result, "----\n", output.empty() ? "ok\n" : output);
      output.clear();
      in_output = true;
    } else if (line.empty()) {
      if (result.empty() || !absl::EndsWith(result, "\n\n")) result += "\n";
      in_output = false;
    } else if (!in_output) {
      absl::StrAppend(&result, line, "\n");
      if (line[0] != '#') output += script.Run(line);
    }
  }
  while (absl::EndsWith(result, "\n\n")) result.pop_back();
  return result;
}

std::vector<std::string> AllScripts() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(RINGLEADER_SCENARIOS)) {
    if (file.path().extension() == ".txt") names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Scripts : public ::testing::TestWithParam<std::string> {};

// Protects the behaviour that the script's first lines name.
TEST_P(Scripts, GiveTheirGoldenOutput) {
  const std::string path = absl::StrCat(RINGLEADER_SCENARIOS, "/", GetParam(), ".txt");
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  ASSERT_TRUE(absl::StartsWith(text.str(), "# ")) << "a script opens with why it exists";
  const std::string result = Replay(text.str());
  EXPECT_FALSE(absl::StrContains(result, "VIOLATION")) << result;
  EXPECT_FALSE(absl::StrContains(result, "unknown command")) << result;
  if (std::getenv("RINGLEADER_REWRITE") != nullptr)
    std::ofstream(path) << result;
  else
    EXPECT_EQ(result, text.str());
}

INSTANTIATE_TEST_SUITE_P(All, Scripts, ::testing::ValuesIn(AllScripts()), [](const auto& script) {
  std::string name = script.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Protects the coverage of DESIGN section 11 from scripts that vanish.
TEST(ScriptsExist, AtLeastForty) { EXPECT_GE(AllScripts().size(), 40u); }

}  // namespace
}  // namespace ringleader::replication
