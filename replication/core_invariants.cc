#include "replication/core_invariants.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "replication/configuration.h"

namespace ringleader::replication {
namespace {

absl::Status Violated(const Core& core, absl::string_view what) {
  return absl::InternalError(
      absl::StrCat("replica ", core.replica(), " in term ", core.term(), ": ", what));
}

template <typename Map>
void Bound(Map* history) {
  while (history->size() > CoreInvariants::kHistoryMax) history->erase(history->begin());
}

}  // namespace

// A condition of `core`; the property is named when it fails.
#define REQUIRE(condition, property)                   \
  do {                                                 \
    if (!(condition)) return Violated(core, property); \
  } while (false)

absl::Status CoreInvariants::Check(const std::vector<const Core*>& cores) {
  for (const Core* core : cores) RETURN_IF_ERROR(CheckOne(*core));
  return CheckGroup(cores);
}

absl::Status CoreInvariants::CheckGroup(const std::vector<const Core*>& cores) {
  for (const Core* core : cores) {
    RETURN_IF_ERROR(CheckElectionSafety(*core));
    RETURN_IF_ERROR(CheckCommitted(*core));
  }
  for (const Core* core : cores) {
    RETURN_IF_ERROR(CheckLeaderCompleteness(*core));
    for (const Core* other : cores) {
      if (core->replica() < other->replica()) {
        RETURN_IF_ERROR(CheckLogMatching(*core, *other));
      }
    }
  }
  Bound(&leaders_);
  Bound(&committed_);
  Bound(&applied_);
  return absl::OkStatus();
}

void CoreInvariants::Restarted(ReplicaId replica) {
  Seen& seen = seen_[replica];
  seen.commit = 0;
  seen.term = seen.durable.term;
  seen.vote = seen.durable.vote;
}

// --- One core -----------------------------------------------------------------------------------

absl::Status CoreInvariants::CheckOne(const Core& core) {
  RETURN_IF_ERROR(CheckLog(core));
  RETURN_IF_ERROR(CheckMessages(core));
  if (core.role_ == Role::kLeader) RETURN_IF_ERROR(CheckLeader(core));
  REQUIRE(core.role_ == Role::kLeader || (core.progress_.empty() && core.waiting_reads_.empty()),
          "a follower keeps a leader's state");
  REQUIRE(core.role_ == Role::kFollower || core.promise_ == LogPosition{},
          "stands or leads below its promise");
  return CheckHistory(core);
}

absl::Status CoreInvariants::CheckLog(const Core& core) const {
  const CoreLog& log = core.log_;
  REQUIRE(log.base().index <= log.durable() && log.durable() <= log.last().index, "log bounds");
  REQUIRE(core.installing_ || log.base().index <= core.applied_, "base above applied");
  REQUIRE(core.applied_ <= core.handed_ && core.handed_ <= core.commit_, "applied above commit");
  REQUIRE(core.commit_ <= log.last().index, "commit above the log's end");
  REQUIRE(core.handed_ <= log.durable(), "applies what is not durable");
  REQUIRE(core.persist_handed_ <= log.last().index, "persisted above the log's end");
  REQUIRE(log.cache_first() <= log.durable() + 1, "an entry that is not durable is not in memory");
  REQUIRE(log.last().term <= core.term(), "an entry of a later term");
  uint64_t bytes = 0;
  for (Index index = log.cache_first(); index <= log.last().index; ++index) {
    const Entry& entry = log.CachedEntry(index);
    REQUIRE(entry.index == index && log.TermAt(index) == entry.term, "cached entry misplaced");
    bytes += CostBytes(entry);
  }
  REQUIRE(bytes == log.cache_bytes(), "cache bytes");
  for (const Core::PendingBatch& batch : core.pending_batches_) {
    REQUIRE(batch.last_index <= core.persist_handed_, "a write under way above the log's end");
  }
  Index previous = 0;
  for (const PlacedConfiguration& placed : core.configurations_) {
    REQUIRE(placed.index > previous || &placed == &core.configurations_.front(),
            "configurations out of order");
    previous = placed.index;
  }
  REQUIRE(previous <= log.last().index, "a configuration that is not in the log");
  return absl::OkStatus();
}

// Nothing on its way out reveals what is not on disk (rule 7).
absl::Status CoreInvariants::CheckMessages(const Core& core) const {
  for (const Message& message : core.effects_.messages) {
    const bool asks = message.kind == MessageKind::kPreVote ||
                      message.kind == MessageKind::kPreVoteAnswer || message.preliminary;
    REQUIRE(asks || message.term <= core.durable_hard_state_.term, "reveals a term");
    if (message.kind == MessageKind::kVoteAnswer && !message.rejected &&
        message.term == core.durable_hard_state_.term) {
      REQUIRE(core.durable_hard_state_.vote == message.to, "reveals a vote");
    }
    if (message.kind == MessageKind::kAppendAnswer && !message.rejected &&
        message.term == core.term()) {
      REQUIRE(message.position.index <= core.log_.durable() && !core.InstallPending(),
              "acknowledges what is not durable");
    }
  }
  return absl::OkStatus();
}

absl::Status CoreInvariants::CheckLeader(const Core& core) const {
  const CoreLog& log = core.log_;
  REQUIRE(core.leader_ == core.self_ && core.HardStateDurable(), "leads without a durable vote");
  REQUIRE(log.last().term == core.term(), "leads without an entry of its term");
  REQUIRE(log.TermAt(core.term_first_index_).value_or(core.term()) == core.term(),
          "first entry of the term");
  REQUIRE(core.confirmed_round_ <= core.round_, "confirmed a round that was not sent");
  for (const auto& [replica, progress] : core.progress_) {
    REQUIRE(IsMember(core.configuration(), replica) && replica != core.self_, "unknown peer");
    REQUIRE(progress.match < progress.next && progress.next <= log.last().index + 1,
            "match < next <= last + 1");
    REQUIRE(progress.acknowledged_round <= core.round_, "answered a round that was not sent");
    REQUIRE(progress.state == Progress::State::kReplicate || progress.inflight.messages() == 0,
            "appends under way outside replicate");
    REQUIRE(progress.state != Progress::State::kSnapshot || !progress.fetching,
            "fetches for a peer that waits for a snapshot");
  }
  const size_t peers = AllMembers(core.configuration()).size() -
                       (IsMember(core.configuration(), core.self_) ? 1 : 0);
  REQUIRE(core.progress_.size() == peers, "a member without progress");
  uint64_t uncommitted = 0;
  for (const auto& charge : core.uncommitted_) uncommitted += charge.bytes;
  REQUIRE(uncommitted == core.uncommitted_bytes_, "uncommitted bytes");
  return absl::OkStatus();
}

absl::Status CoreInvariants::CheckHistory(const Core& core) {
  Seen& seen = seen_[core.replica()];
  REQUIRE(core.term() >= seen.term, "its term went back");
  REQUIRE(core.term() > seen.term || seen.vote == 0 || core.hard_state_.vote == seen.vote,
          "it changed its vote");
  REQUIRE(core.commit_ >= seen.commit, "its commit index went back");
  seen = {core.term(), core.hard_state_.vote, core.durable_hard_state_, core.commit_};
  return absl::OkStatus();
}

// --- The group ----------------------------------------------------------------------------------

absl::Status CoreInvariants::CheckElectionSafety(const Core& core) {
  if (core.role() != Role::kLeader) return absl::OkStatus();
  const ReplicaId leader = leaders_.try_emplace(core.term(), core.replica()).first->second;
  REQUIRE(leader == core.replica(), absl::StrCat("election safety: ", leader, " led this term"));
  return absl::OkStatus();
}

absl::Status CoreInvariants::CheckCommitted(const Core& core) {
  const Index first = std::max(core.base_position().index, Index{1});
  REQUIRE(core.commit_index() <= core.last_position().index, "commit above the log's end");
  auto known = committed_.lower_bound(first);
  for (Index index = first; index <= core.commit_index(); ++index, ++known) {
    const Term term = *core.log_.TermAt(index);
    if (known == committed_.end() || known->first != index) {
      known = committed_.emplace_hint(known, index, Committed{term, core.term()});
    }
    REQUIRE(known->second.term == term, absl::StrCat("committed entry ", index, " has term ", term,
                                                     ", elsewhere ", known->second.term));
    known->second.known_in = std::min(known->second.known_in, core.term());
  }
  return absl::OkStatus();
}

absl::Status CoreInvariants::CheckLeaderCompleteness(const Core& core) const {
  if (core.role() != Role::kLeader) return absl::OkStatus();
  for (auto known = committed_.lower_bound(core.base_position().index); known != committed_.end();
       ++known) {
    if (known->second.known_in > core.term()) continue;
    REQUIRE(core.log_.TermAt(known->first) == known->second.term,
            absl::StrCat("leader completeness: lacks committed entry ", known->first));
  }
  return absl::OkStatus();
}

absl::Status CoreInvariants::CheckLogMatching(const Core& a, const Core& b) const {
  const Index first = std::max(a.base_position().index, b.base_position().index);
  Index index = std::min(a.last_position().index, b.last_position().index);
  bool equal = false;
  for (; index >= first && index > 0; --index) {
    const bool same = a.log_.TermAt(index) == b.log_.TermAt(index);
    if (equal && !same) {
      return Violated(a, absl::StrCat("log matching: differs from ", b.replica(), " at ", index,
                                      ", below an equal entry"));
    }
    equal = same;
  }
  return absl::OkStatus();
}

absl::Status CoreInvariants::Apply(ReplicaId replica, absl::Span<const Entry> entries) {
  for (const Entry& entry : entries) {
    const auto known =
        applied_.try_emplace(entry.index, Applied{entry.term, entry.kind, entry.payload}).first;
    const Applied& other = known->second;
    const bool same_payload =
        other.payload == entry.payload ||
        (other.payload != nullptr && entry.payload != nullptr && *other.payload == *entry.payload);
    if (other.term != entry.term || other.kind != entry.kind || !same_payload) {
      return absl::InternalError(absl::StrCat("state machine safety: replica ", replica,
                                              " applies another entry at ", entry.index));
    }
  }
  return absl::OkStatus();
}

#undef REQUIRE

}  // namespace ringleader::replication
