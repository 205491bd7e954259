#include "tests/model/lease_model.h"

#include <algorithm>
#include <cstring>

namespace ringleader::lease_model {
namespace {

constexpr const char* kMutationNames[] = {
    "the protocol",
    "deadline counted from receipt",
    "deadline counted from a round's confirmation",
    "deadline counted from the grant",
    "no drift margin",
    "no wait at failover",
    "a successor waits its own lease term",
    "only the last era honoured",
    "era record missing",
    "eras closed before they were waited out",
    "fill racing an invalidation",
    "entry outliving its session's incarnation",
    "entry outliving its partition's term",
    "invalidation dropped on overflow",
    "ended session not waited out",
    "deadline checked before the read",
    "deadline looked up after the entry",
    "granted while a write is pending",
    "renewal overtaking an invalidation",
    "transfer without revoking",
    "release of any fill",
    "given back and still served",
    "eras closed where something is held",
    "granted where eras are being closed",
};
static_assert(std::size(kMutationNames) == static_cast<size_t>(Mutation::kCount));

constexpr const char* kStepNames[] = {
    "tick",         "round",         "confirm",     "elect",        "replicate",
    "open-era",     "close-eras",    "revoke",      "close-all",    "shrink",
    "crash",        "write-arrives", "propose",     "fill",         "renew",
    "take-request", "register",      "deliver",     "deliver-late", "take-acknowledgement",
    "release",      "take-release",  "end-session", "new-session",  "read-begins",
    "read-looks",   "read-ends",
};
static_assert(std::size(kStepNames) == static_cast<size_t>(StepKind::kCount));

void CountDown(uint8_t& timer) {
  if (timer > 0) --timer;
}

void CountUp(uint8_t& age, int most) {
  if (age < most) ++age;
}

// No release will name them any more, but for those that are on their way.
void ForgetFills(Client& client, Lane& lane) {
  for (CachedItem& item : client.cache) item.fill = 0;
  for (Message& message : lane.messages) message.fill = 0;
  client.late.fill = 0;
  for (int key = 0; key < kKeys; ++key) {
    if ((lane.released & Bit(key)) == 0) lane.fill[key] = 0;
  }
}

}  // namespace

const char* NameOf(Mutation mutation) { return kMutationNames[static_cast<size_t>(mutation)]; }
const char* NameOf(StepKind kind) { return kStepNames[static_cast<size_t>(kind)]; }

std::string Step::ToString() const {
  return std::string(NameOf(kind)) + " " + std::to_string(a) + " " + std::to_string(b) + " " +
         std::to_string(key);
}

State LeaseModel::Initial() const {
  State state;
  std::memset(static_cast<void*>(&state), 0, sizeof(state));
  for (Replica& replica : state.replicas) {
    replica.term = 1;
    replica.current = 1;
    replica.confirmed_age = static_cast<uint8_t>(bounds_.LongestTerm());
  }
  state.replicas[0].leads = 1;
  state.replicas[0].serves = 1;
  state.replicas[0].elected_age = static_cast<uint8_t>(bounds_.LongestTerm());
  state.terms = 1;
  for (auto& lanes : state.lanes) {
    for (Lane& lane : lanes) lane.live = 1;
  }
  return state;
}

std::vector<Step> LeaseModel::AllSteps() const {
  std::vector<Step> steps;
  const auto add = [&steps](StepKind kind, int a_max, int b_max, int key_max) {
    for (int a = 0; a < a_max; ++a) {
      for (int b = 0; b < b_max; ++b) {
        for (int key = 0; key < key_max; ++key) {
          steps.push_back(
              {kind, static_cast<uint8_t>(a), static_cast<uint8_t>(b), static_cast<uint8_t>(key)});
        }
      }
    }
  };
  const int clients = bounds_.clients, keys = bounds_.keys;
  add(StepKind::kTick, 1, 1, 1);
  for (const StepKind kind : {StepKind::kRound, StepKind::kElect, StepKind::kReplicate}) {
    add(kind, kReplicas, kReplicas, 1);
  }
  for (const StepKind kind : {StepKind::kConfirm, StepKind::kCloseEras, StepKind::kRevoke,
                              StepKind::kCloseAll, StepKind::kShrink, StepKind::kCrash}) {
    add(kind, kReplicas, 1, 1);
  }
  for (const StepKind kind : {StepKind::kOpenEra, StepKind::kWriteArrives, StepKind::kPropose}) {
    add(kind, kReplicas, 1, keys);
  }
  for (const StepKind kind : {StepKind::kRenew, StepKind::kTakeRequest, StepKind::kRegister,
                              StepKind::kDeliver, StepKind::kEndSession, StepKind::kNewSession}) {
    add(kind, clients, kReplicas, 1);
  }
  add(StepKind::kFill, clients, kReplicas, keys);
  for (const StepKind kind :
       {StepKind::kTakeAcknowledgement, StepKind::kRelease, StepKind::kTakeRelease}) {
    add(kind, clients, kReplicas, keys);
  }
  for (const StepKind kind : {StepKind::kDeliverLate, StepKind::kReadLooks, StepKind::kReadEnds}) {
    add(kind, clients, 1, 1);
  }
  add(StepKind::kReadBegins, clients, 1, keys);
  return steps;
}

bool LeaseModel::MayTake(const Step& step, const State& state) {
  switch (step.kind) {
    case StepKind::kRound:
    case StepKind::kConfirm:
    case StepKind::kReplicate:
    case StepKind::kOpenEra:
    case StepKind::kCloseEras:
    case StepKind::kRevoke:
    case StepKind::kCloseAll:
    case StepKind::kShrink:
    case StepKind::kCrash:
    case StepKind::kWriteArrives:
    case StepKind::kPropose:
      return state.replicas[step.a].leads;
    case StepKind::kElect:
      return step.a != step.b && state.terms < kTermsMax;
    case StepKind::kFill:
    case StepKind::kRenew:
      return state.lanes[step.a][step.b].request == RequestKind::kNone &&
             state.replicas[step.b].leads;
    case StepKind::kTakeRequest:
      return state.lanes[step.a][step.b].request != RequestKind::kNone;
    case StepKind::kDeliver:
      return state.lanes[step.a][step.b].count > 0;
    case StepKind::kRegister:
      return state.lanes[step.a][step.b].read_early != 0;
    case StepKind::kTakeAcknowledgement:
      return state.lanes[step.a][step.b].acknowledged != 0;
    case StepKind::kRelease:
      return state.clients[step.a].cache[step.key].present;
    case StepKind::kTakeRelease:
      return state.lanes[step.a][step.b].released != 0;
    case StepKind::kNewSession:
      return !state.lanes[step.a][step.b].live;
    default:
      return true;
  }
}

bool LeaseModel::Take(const Step& step, State& state) const {
  switch (step.kind) {
    case StepKind::kTick:
      return Tick(state);
    case StepKind::kRound:
    case StepKind::kConfirm:
    case StepKind::kElect:
    case StepKind::kReplicate:
    case StepKind::kOpenEra:
    case StepKind::kCloseEras:
    case StepKind::kRevoke:
    case StepKind::kCloseAll:
    case StepKind::kShrink:
    case StepKind::kCrash:
    case StepKind::kWriteArrives:
    case StepKind::kPropose:
      return TakeGroupStep(step, state);
    case StepKind::kReadBegins:
    case StepKind::kReadLooks:
    case StepKind::kReadEnds:
      return TakeReadStep(step, state);
    default:
      return TakeSessionStep(step, state);
  }
}

void LeaseModel::Confirm(State& state) const {
  for (int index = 0; index < kReplicas; ++index) {
    Replica& leader = state.replicas[index];
    if (!leader.leads) continue;
    for (int other = 0; other < kReplicas; ++other) {
      if (other != index && state.replicas[other].term <= leader.term) leader.confirmed_age = 0;
    }
  }
}

bool LeaseModel::Tick(State& state) const {
  const int most = bounds_.LongestTerm();
  for (Replica& replica : state.replicas) {
    if (!replica.leads) continue;
    CountUp(replica.elected_age, most);
    CountUp(replica.confirmed_age, most);
    if (replica.round_under_way) CountUp(replica.round_age, most);
    for (uint8_t& ghost : replica.ghost) CountDown(ghost);
  }
  for (auto& lanes : state.lanes) {
    for (Lane& lane : lanes) {
      // One more than the term: of the mutant whose grants last longer.
      if (lane.request != RequestKind::kNone) CountUp(lane.request_age, most + 1);
      CountDown(lane.granted);
      for (uint8_t& wait : lane.wait) CountDown(wait);
    }
  }
  for (Client& client : state.clients) {
    for (uint8_t& deadline : client.deadline) CountDown(deadline);
    CountDown(client.late_life);
    CountDown(client.read.life);
  }
  return true;
}

bool LeaseModel::IsValid(const State& state, const Client& client, const CachedItem& item) const {
  if (!item.present) return false;
  const int node = state.node_of_term[item.term];
  if (mutation_ != Mutation::kOutlivesIncarnation && item.incarnation != client.incarnation[node]) {
    return false;
  }
  if (mutation_ != Mutation::kOutlivesTerm) return client.deadline[item.term] > 0;
  for (int term = 1; term <= state.terms; ++term) {
    if (state.node_of_term[term] == node && client.deadline[term] > 0) return true;
  }
  return false;
}

const char* LeaseModel::Broken(const State& state) const {
  if (state.stale_read) return "a read returned what was old when it began";
  for (const Client& client : state.clients) {
    for (int key = 0; key < kKeys; ++key) {
      if (client.cache[key].version < state.version[key] &&
          IsValid(state, client, client.cache[key])) {
        return "a change is committed and a client may still serve the value before it";
      }
    }
  }
  return nullptr;
}

void LeaseModel::Forget(State& state) const {
  for (int c = 0; c < bounds_.clients; ++c) {
    Client& client = state.clients[c];
    for (Lane& lane : state.lanes[c]) {
      // A later grant's deadline is never before an earlier one's: confirmed rounds only get newer.
      if (lane.held == 0) lane.granted = 0;
      for (int key = 0; key < kKeys; ++key) {
        if ((lane.invalidating & (1u << key)) == 0) lane.wait[key] = 0;
      }
      if (state.releases >= bounds_.releases) ForgetFills(client, lane);
    }
    for (CachedItem& item : client.cache) {
      if (!item.present || mutation_ == Mutation::kOutlivesTerm) continue;
      const int node = state.node_of_term[item.term];
      const Replica& leader = state.replicas[node];
      const bool gone = item.incarnation != client.incarnation[node] &&
                        mutation_ != Mutation::kOutlivesIncarnation &&
                        mutation_ != Mutation::kCheckedBeforeRead;
      const bool over = client.deadline[item.term] == 0 && client.late.term != item.term &&
                        state.lanes[c][node].count == 0 &&
                        !(leader.leads && leader.term == item.term);
      if (gone || over) item = {};
    }
  }
}

// Replicas 1 and 2 begin alike.
void LeaseModel::NumberReplicas(State& state) const {
  const int order = std::memcmp(&state.replicas[1], &state.replicas[2], sizeof(Replica));
  if (order <= 0) return;
  std::swap(state.replicas[1], state.replicas[2]);
  for (auto& lanes : state.lanes) std::swap(lanes[1], lanes[2]);
  for (Client& client : state.clients) std::swap(client.incarnation[1], client.incarnation[2]);
  for (uint8_t& node : state.node_of_term) {
    if (node != 0) node = static_cast<uint8_t>(3 - node);
  }
}

void LeaseModel::Canonicalize(State& state) const {
  if (!bounds_.rounds) Confirm(state);
  Forget(state);
  NumberReplicas(state);
  if (bounds_.clients < 2) return;
  const int clients = std::memcmp(&state.clients[0], &state.clients[1], sizeof(Client));
  if (clients < 0) return;
  if (clients == 0 && std::memcmp(&state.lanes[0], &state.lanes[1], sizeof(state.lanes[0])) <= 0) {
    return;
  }
  std::swap(state.clients[0], state.clients[1]);
  std::swap(state.lanes[0], state.lanes[1]);
}

}  // namespace ringleader::lease_model
