// What replicas do: rounds, elections, the log, eras, the gate before the log.
#include <algorithm>

#include "tests/model/lease_model.h"

namespace ringleader::lease_model {
namespace {

bool HasEntry(const Replica& replica, EntryKind kind, int key) {
  for (int i = 0; i < replica.suffix_count; ++i) {
    const Entry& entry = replica.suffix[i];
    if (entry.kind == kind && entry.key == key && entry.term == replica.term) return true;
  }
  return false;
}

uint8_t LastTerm(const Replica& replica) {
  return replica.suffix_count == 0 ? 0 : replica.suffix[replica.suffix_count - 1].term;
}

bool AtLeastAsUpToDate(const Replica& a, const Replica& b) {
  if (LastTerm(a) != LastTerm(b)) return LastTerm(a) > LastTerm(b);
  return a.suffix_count >= b.suffix_count;
}

}  // namespace

bool LeaseModel::TakeGroupStep(const Step& step, State& state) const {
  Replica& leader = state.replicas[step.a];
  if (step.kind == StepKind::kElect) return Elect(state, step.a, step.b);
  if (step.kind == StepKind::kCrash) return Crash(state, step.a);
  if (!leader.leads) return false;
  switch (step.kind) {
    case StepKind::kRound: {
      Replica& follower = state.replicas[step.b];
      if (!bounds_.rounds || step.a == step.b || follower.term > leader.term) return false;
      if (follower.term < leader.term) {
        // That it learns of the term is Replicate's to show, unless nobody else could answer.
        if (state.replicas[kReplicas - step.a - step.b].term == leader.term) return false;
        EndLeadership(state, step.b);
      }
      follower.term = leader.term;
      leader.round_under_way = 1;
      leader.round_age = 0;
      return true;
    }
    case StepKind::kConfirm:
      if (!leader.round_under_way) return false;
      leader.confirmed_age = mutation_ == Mutation::kDeadlineFromConfirmation
                                 ? 0
                                 : std::min(leader.confirmed_age, leader.round_age);
      leader.round_under_way = 0;
      leader.round_age = 0;
      return true;
    case StepKind::kReplicate:
      return Replicate(state, step.a, step.b);
    case StepKind::kOpenEra:
      return leader.serves && !leader.revoking && !leader.shrinking &&
             (leader.own_eras & Bit(step.key)) == 0 && mutation_ != Mutation::kNoEra &&
             IsAskedFor(state, step.a, step.key) && Append(leader, EntryKind::kOpenEra, step.key);
    case StepKind::kCloseEras:
      return leader.serves && leader.honoured != 0 &&
             (!WaitsForEarlier(step.a, leader) || mutation_ == Mutation::kErasClosedEarly) &&
             Append(leader, EntryKind::kCloseEras, 0);
    case StepKind::kRevoke:
      if (!leader.serves || leader.revoking || state.transfers >= bounds_.transfers) return false;
      ++state.transfers;
      leader.revoking = 1;
      if (mutation_ == Mutation::kTransferWithoutRevoking) return true;
      for (int key = 0; key < bounds_.keys; ++key) Invalidate(state, step.a, key);
      return true;
    case StepKind::kCloseAll:
      return CloseAll(state, step.a);
    case StepKind::kShrink:
      return Shrink(state, step.a);
    case StepKind::kWriteArrives:
      if (!leader.serves || (leader.parked & Bit(step.key)) != 0 ||
          state.writes >= bounds_.writes) {
        return false;
      }
      ++state.writes;
      leader.parked |= Bit(step.key);
      Invalidate(state, step.a, step.key);
      return true;
    case StepKind::kPropose:
      return Propose(state, step.a, step.key);
    default:
      return false;
  }
}

// Eras are opened by the first fill that needs them.
bool LeaseModel::IsAskedFor(const State& state, int node, int key) const {
  for (const auto& lanes : state.lanes) {
    const Lane& lane = lanes[node];
    if (lane.request == RequestKind::kFill && !lane.taken && lane.request_key == key) return true;
  }
  return false;
}

bool LeaseModel::Append(Replica& leader, EntryKind kind, int key) const {
  if (leader.suffix_count == kSuffixMax) return false;
  if (kind != EntryKind::kWrite && HasEntry(leader, kind, key)) return false;
  leader.suffix[leader.suffix_count++] = {kind, static_cast<uint8_t>(key), leader.term};
  return true;
}

// What belongs to a leadership goes with it. Sessions and what is in their lanes stay.
void LeaseModel::EndLeadership(State& state, int index) const {
  Replica& replica = state.replicas[index];
  if (!replica.leads) return;
  Replica rest{};
  rest.term = replica.term;
  rest.current = replica.current;
  rest.suffix_count = replica.suffix_count;
  rest.suffix = replica.suffix;
  rest.confirmed_age = static_cast<uint8_t>(bounds_.LongestTerm());
  replica = rest;
  for (auto& lanes : state.lanes) {
    Lane& lane = lanes[index];
    lane.held = lane.invalidating = lane.granted = lane.read_early = lane.acknowledged = 0;
    lane.wait = lane.fill = {};
  }
}

bool LeaseModel::WaitsForEarlier(int index, const Replica& leader) const {
  const int lease_term =
      mutation_ == Mutation::kWaitsOwnTerm ? bounds_.TermOf(index) : leader.honoured_term;
  return leader.elected_age < lease_term;
}

// With the candidate's own vote, one more is a majority.
bool LeaseModel::Elect(State& state, int candidate_index, int voter_index) const {
  Replica& candidate = state.replicas[candidate_index];
  Replica& voter = state.replicas[voter_index];
  if (candidate_index == voter_index || state.terms >= bounds_.terms) return false;
  if (!candidate.current || !voter.current || candidate.suffix_count == kSuffixMax) return false;
  if (!AtLeastAsUpToDate(candidate, voter)) return false;
  EndLeadership(state, candidate_index);
  EndLeadership(state, voter_index);
  const uint8_t term = ++state.terms;
  state.node_of_term[term] = static_cast<uint8_t>(candidate_index);
  candidate.term = voter.term = term;
  candidate.leads = 1;
  candidate.elected_age = 0;
  return Append(candidate, EntryKind::kEmpty, 0);
}

// The follower takes all that the leader has: a majority has it, so it is committed.
bool LeaseModel::Replicate(State& state, int leader_index, int follower_index) const {
  Replica& leader = state.replicas[leader_index];
  Replica& follower = state.replicas[follower_index];
  if (leader_index == follower_index || follower.term > leader.term) return false;
  if (leader.suffix_count == 0 && follower.current && follower.suffix_count == 0) return false;
  if (follower.term < leader.term) EndLeadership(state, follower_index);
  follower.term = leader.term;
  follower.current = 1;
  follower.suffix_count = 0;
  follower.suffix = {};
  if (leader.suffix_count == 0) return true;
  for (int i = 0; i < leader.suffix_count; ++i) Commit(state, leader, leader.suffix[i]);
  leader.suffix_count = 0;
  leader.suffix = {};
  leader.pending = 0;
  leader.version = state.version;
  state.replicas[kReplicas - leader_index - follower_index].current = 0;
  return true;
}

void LeaseModel::Commit(State& state, Replica& leader, const Entry& entry) const {
  const auto close_below = [&state](int term) {
    for (int earlier = 1; earlier < term; ++earlier) state.eras[earlier] = 0;
  };
  const bool own = entry.term == leader.term;
  switch (entry.kind) {
    case EntryKind::kEmpty:
      if (!own) return;
      leader.serves = 1;
      for (int earlier = 1; earlier < entry.term; ++earlier) {
        if (state.eras[earlier] == 0) continue;
        leader.honoured |= state.eras[earlier];
        const int lease_term = bounds_.TermOf(state.node_of_term[earlier]);
        leader.honoured_term = std::max(leader.honoured_term, static_cast<uint8_t>(lease_term));
      }
      return;
    case EntryKind::kWrite:
      ++state.version[entry.key];
      return;
    case EntryKind::kOpenEra:
      if (mutation_ == Mutation::kLastEraOnly) close_below(entry.term);
      state.eras[entry.term] |= Bit(entry.key);
      if (own) leader.own_eras |= Bit(entry.key);
      return;
    case EntryKind::kCloseEras:
      close_below(entry.term);
      if (own && mutation_ != Mutation::kErasClosedEarly) {
        leader.honoured = leader.honoured_term = 0;
      }
      return;
    case EntryKind::kCloseAll:
      close_below(entry.term + 1);
      if (own) {
        leader.honoured = leader.honoured_term = leader.own_eras = leader.revoking = 0;
      }
      return;
    case EntryKind::kShrink:
      close_below(entry.term);
      state.eras[entry.term] &= entry.key;
      if (own) {
        leader.own_eras &= entry.key;
        leader.shrinking = 0;
      }
      return;
  }
}

// Its log is on disk; sessions and holders were in memory. That it may vote or campaign at once is
// in Elect.
bool LeaseModel::Crash(State& state, int index) const {
  if (state.crashes >= bounds_.crashes || !state.replicas[index].leads) return false;
  ++state.crashes;
  EndLeadership(state, index);
  for (int client = 0; client < bounds_.clients; ++client) EndSession(state, client, index);
  return true;
}

// The gate.
bool LeaseModel::Propose(State& state, int index, int key) const {
  Replica& leader = state.replicas[index];
  if ((leader.parked & Bit(key)) == 0 || leader.ghost[key] > 0) return false;
  for (const auto& lanes : state.lanes) {
    const Lane& lane = lanes[index];
    if ((lane.invalidating & Bit(key)) != 0 && lane.wait[key] > 0) return false;
  }
  if ((leader.honoured & Bit(key)) != 0 && WaitsForEarlier(index, leader) &&
      mutation_ != Mutation::kNoWaitAtFailover) {
    return false;
  }
  if (!Append(leader, EntryKind::kWrite, key)) return false;
  for (auto& lanes : state.lanes) lanes[index].invalidating &= static_cast<uint8_t>(~Bit(key));
  leader.parked &= static_cast<uint8_t>(~Bit(key));
  leader.pending |= Bit(key);
  return true;
}

bool LeaseModel::CloseAll(State& state, int index) const {
  Replica& leader = state.replicas[index];
  if (!leader.revoking || leader.shrinking) return false;
  if (mutation_ == Mutation::kTransferWithoutRevoking) {
    return Append(leader, EntryKind::kCloseAll, 0);
  }
  if (leader.honoured != 0 && WaitsForEarlier(index, leader)) return false;
  for (int key = 0; key < bounds_.keys; ++key) {
    if (leader.ghost[key] > 0) return false;
    for (const auto& lanes : state.lanes) {
      const Lane& lane = lanes[index];
      if ((lane.invalidating & Bit(key)) != 0 && lane.wait[key] > 0) return false;
    }
  }
  return Append(leader, EntryKind::kCloseAll, 0);
}

// One change of eras is under way at a time. Until it is applied, nothing is granted in what it
// closes.
bool LeaseModel::Shrink(State& state, int index) const {
  Replica& leader = state.replicas[index];
  if (!leader.serves || leader.revoking || leader.shrinking || leader.honoured != 0 ||
      state.shrinks >= bounds_.shrinks) {
    return false;
  }
  uint8_t held = 0;
  for (int key = 0; key < bounds_.keys; ++key) {
    if (HasEntry(leader, EntryKind::kOpenEra, key)) return false;
    if (leader.ghost[key] > 0) held |= Bit(key);
    for (const auto& lanes : state.lanes) {
      const Lane& lane = lanes[index];
      held |= lane.held & Bit(key);
      if ((lane.invalidating & Bit(key)) != 0 && lane.wait[key] > 0) held |= Bit(key);
    }
  }
  if (mutation_ == Mutation::kShrinksHeld) held = 0;
  const uint8_t closed = leader.own_eras & static_cast<uint8_t>(~held);
  if (closed == 0) return false;
  ++state.shrinks;
  leader.shrinking = closed;
  return Append(leader, EntryKind::kShrink, leader.own_eras & held);
}

}  // namespace ringleader::lease_model
