// What clients and sessions do: fills, renewals, invalidations, acknowledgements, reads.
#include <algorithm>

#include "tests/model/lease_model.h"

namespace ringleader::lease_model {
namespace {

bool HasInvalidation(const Lane& lane, int key) {
  for (int i = 0; i < lane.count; ++i) {
    if (lane.messages[i].kind == MessageKind::kInvalidate && lane.messages[i].key == key) {
      return true;
    }
  }
  return false;
}

void FinishRequest(Lane& lane) {
  lane.request = RequestKind::kNone;
  lane.request_key = lane.request_number = lane.request_age = lane.taken = lane.read_early = 0;
}

}  // namespace

bool LeaseModel::TakeSessionStep(const Step& step, State& state) const {
  Lane& lane = state.lanes[step.a][step.b];
  Client& client = state.clients[step.a];
  switch (step.kind) {
    case StepKind::kFill:
    case StepKind::kRenew:
      // Only to a leader: others answer nothing that changes anything.
      if (lane.request != RequestKind::kNone || !lane.live || !state.replicas[step.b].leads ||
          state.requests >= bounds_.requests) {
        return false;
      }
      ++state.requests;
      lane.request = step.kind == StepKind::kFill ? RequestKind::kFill : RequestKind::kRenew;
      lane.request_key = step.key;
      if (bounds_.releases > 0) lane.request_number = state.requests;
      return true;
    case StepKind::kTakeRequest:
      return TakeRequest(state, step.a, step.b);
    case StepKind::kRegister: {
      if (lane.read_early == 0) return false;
      const int version = lane.read_early - 1;
      lane.read_early = 0;
      return Grant(state, step.a, step.b, lane.request_key, version);
    }
    case StepKind::kDeliver:
      return Deliver(state, step.a, step.b);
    case StepKind::kDeliverLate:
      if (client.late.kind == MessageKind::kNone) return false;
      Insert(client, client.late, client.late_incarnation);
      // It can extend nothing but its own incarnation.
      if (client.late_incarnation == client.incarnation[state.node_of_term[client.late.term]]) {
        uint8_t& deadline = client.deadline[client.late.term];
        deadline = std::max(deadline, client.late_life);
      }
      client.late = {};
      client.late_incarnation = client.late_life = 0;
      return true;
    case StepKind::kTakeAcknowledgement:
      if ((lane.acknowledged & Bit(step.key)) == 0) return false;
      lane.acknowledged &= static_cast<uint8_t>(~Bit(step.key));
      lane.invalidating &= static_cast<uint8_t>(~Bit(step.key));
      return true;
    case StepKind::kRelease:
      return Release(state, step.a, step.b, step.key);
    case StepKind::kTakeRelease:
      return TakeRelease(lane, step.key);
    case StepKind::kEndSession:
      // One that holds nothing is not worth a step.
      if (!lane.live || !state.replicas[step.b].leads || state.ends >= bounds_.sessions) {
        return false;
      }
      if ((lane.held | lane.invalidating) == 0 && lane.count == 0) return false;
      ++state.ends;
      EndSession(state, step.a, step.b);
      return true;
    case StepKind::kNewSession:
      return NewSession(state, step.a, step.b);
    default:
      return false;
  }
}

int LeaseModel::Life(int node, const Replica& leader) const {
  const int age = mutation_ == Mutation::kDeadlineFromGrant ? 0 : leader.confirmed_age;
  return std::max(bounds_.TermOf(node) - age, 0);
}

bool LeaseModel::MayGrant(int node, const Replica& leader, int key) const {
  if (!leader.leads || !leader.serves || leader.revoking || Life(node, leader) == 0) return false;
  if ((leader.parked & Bit(key)) != 0) return false;
  if ((leader.pending & Bit(key)) != 0 && mutation_ != Mutation::kGrantedWhilePending) return false;
  if ((leader.shrinking & Bit(key)) != 0 && mutation_ != Mutation::kGrantsWhileShrinking) {
    return false;
  }
  return (leader.own_eras & Bit(key)) != 0 || mutation_ == Mutation::kNoEra;
}

// Looking, registering and answering are one turn. An answer that grants nothing ends the request.
bool LeaseModel::TakeRequest(State& state, int client, int node) const {
  Lane& lane = state.lanes[client][node];
  const Replica& leader = state.replicas[node];
  if (!lane.live || lane.request == RequestKind::kNone || lane.taken) return false;
  lane.taken = 1;
  const bool room = lane.count < bounds_.lane;
  if (lane.request == RequestKind::kRenew) {
    if (!leader.leads || lane.held == 0 || Life(node, leader) == 0 || !room || leader.revoking) {
      FinishRequest(lane);
      return true;
    }
    return Grant(state, client, node, -1, 0);
  }
  if (!MayGrant(node, leader, lane.request_key) || !room) {
    FinishRequest(lane);
    return true;
  }
  const uint8_t version = leader.version[lane.request_key];
  if (mutation_ == Mutation::kFillRacesInvalidation) {
    lane.read_early = static_cast<uint8_t>(1 + version);
    return true;
  }
  return Grant(state, client, node, lane.request_key, version);
}

// `key` -1: a renewal of what the session holds.
bool LeaseModel::Grant(State& state, int client, int node, int key, int version) const {
  Lane& lane = state.lanes[client][node];
  const Replica& leader = state.replicas[node];
  const int life = Life(node, leader);
  if (life == 0 || lane.count == bounds_.lane) return false;
  lane.granted = std::max<uint8_t>(lane.granted, static_cast<uint8_t>(life));
  const int told = life + (mutation_ == Mutation::kNoDriftMargin ? 1 : 0);
  Message message{MessageKind::kRenew, 0, 0, leader.term, static_cast<uint8_t>(told), 0};
  if (key >= 0) {
    lane.held |= Bit(key);
    message.fill = lane.fill[key] = lane.request_number;
    message.kind = MessageKind::kFill;
    message.key = static_cast<uint8_t>(key);
    message.version = static_cast<uint8_t>(version);
  } else if (mutation_ == Mutation::kRenewalOvertakes && lane.count == 1) {
    lane.messages[1] = lane.messages[0];
    lane.messages[0] = message;
    lane.count = 2;
    return true;
  }
  lane.messages[lane.count++] = message;
  return true;
}

// The holders of a key are asked to drop it. Renewals that follow come after it in the lane.
void LeaseModel::Invalidate(State& state, int node, int key) const {
  for (int client = 0; client < bounds_.clients; ++client) {
    Lane& lane = state.lanes[client][node];
    if ((lane.held & Bit(key)) == 0) continue;
    lane.held &= static_cast<uint8_t>(~Bit(key));
    lane.fill[key] = 0;
    if (lane.count == bounds_.lane && mutation_ == Mutation::kDroppedOnOverflow) continue;
    lane.wait[key] = lane.granted;
    lane.invalidating |= Bit(key);
    lane.acknowledged &= static_cast<uint8_t>(~Bit(key));
    if (lane.count == bounds_.lane) {
      EndSession(state, client, node);
      continue;
    }
    lane.messages[lane.count++] = {MessageKind::kInvalidate, static_cast<uint8_t>(key), 0, 0, 0, 0};
  }
}

// However late: whether it may be served is decided when it is read.
void LeaseModel::Insert(Client& client, const Message& message, int incarnation) const {
  client.cache[message.key] = {1, message.version, message.term, static_cast<uint8_t>(incarnation),
                               message.fill};
}

// Memory evicts an item. The node need not ask for it any more when it changes. On its way a
// release may be overtaken by whatever comes later, as long as the session lasts.
bool LeaseModel::Release(State& state, int index, int node, int key) const {
  Lane& lane = state.lanes[index][node];
  Client& client = state.clients[index];
  CachedItem& item = client.cache[key];
  if (!item.present || state.node_of_term[item.term] != node || !lane.live ||
      item.incarnation != client.incarnation[node] || (lane.released & Bit(key)) != 0 ||
      state.releases >= bounds_.releases) {
    return false;
  }
  ++state.releases;
  lane.released |= Bit(key);
  lane.released_fill[key] = item.fill;
  if (mutation_ != Mutation::kReleasedAndServed) item = {};
  return true;
}

bool LeaseModel::TakeRelease(Lane& lane, int key) const {
  if ((lane.released & Bit(key)) == 0) return false;
  const bool is_newest =
      lane.fill[key] == lane.released_fill[key] || mutation_ == Mutation::kReleaseOfAnyFill;
  lane.released &= static_cast<uint8_t>(~Bit(key));
  lane.released_fill[key] = 0;
  if ((lane.held & Bit(key)) == 0 || !is_newest) return true;
  lane.held &= static_cast<uint8_t>(~Bit(key));
  lane.fill[key] = 0;
  return true;
}

bool LeaseModel::Deliver(State& state, int index, int node) const {
  Lane& lane = state.lanes[index][node];
  Client& client = state.clients[index];
  if (lane.count == 0) return false;
  const Message message = lane.messages[0];
  for (int i = 1; i < lane.count; ++i) lane.messages[i - 1] = lane.messages[i];
  lane.messages[--lane.count] = {};
  if (message.kind == MessageKind::kInvalidate) {
    CachedItem& item = client.cache[message.key];
    if (item.present && state.node_of_term[item.term] == node) item = {};
    // An acknowledgement names its invalidation: one that was superseded counts for nothing.
    if ((lane.invalidating & Bit(message.key)) != 0 && !HasInvalidation(lane, message.key)) {
      if (bounds_.slow_acknowledgement) {
        lane.acknowledged |= Bit(message.key);
      } else {
        lane.invalidating &= static_cast<uint8_t>(~Bit(message.key));
      }
    }
    return true;
  }
  const int age = mutation_ == Mutation::kDeadlineFromReceipt ? 0 : lane.request_age;
  const int life = message.life - age;
  FinishRequest(lane);
  if (message.kind == MessageKind::kFill) {
    Insert(client, message, client.incarnation[node]);
  }
  uint8_t& deadline = client.deadline[message.term];
  deadline = std::max<uint8_t>(deadline, static_cast<uint8_t>(std::max(life, 0)));
  return true;
}

// By the node: the stream broke, the client is slow, the lane is full. The client does not know.
void LeaseModel::EndSession(State& state, int index, int node) const {
  Lane& lane = state.lanes[index][node];
  Client& client = state.clients[index];
  Replica& leader = state.replicas[node];
  for (int key = 0; key < kKeys && leader.leads; ++key) {
    if (mutation_ == Mutation::kForgottenSession) break;
    uint8_t& ghost = leader.ghost[key];
    if ((lane.held & Bit(key)) != 0) ghost = std::max(ghost, lane.granted);
    if ((lane.invalidating & Bit(key)) != 0) ghost = std::max(ghost, lane.wait[key]);
  }
  if (bounds_.late && lane.count > 0 && lane.messages[0].kind == MessageKind::kFill &&
      client.late.kind == MessageKind::kNone) {
    client.late = lane.messages[0];
    client.late_incarnation = client.incarnation[node];
    client.late_life = static_cast<uint8_t>(std::max(client.late.life - lane.request_age, 0));
  }
  lane = {};
}

bool LeaseModel::NewSession(State& state, int index, int node) const {
  Lane& lane = state.lanes[index][node];
  Client& client = state.clients[index];
  if (lane.live || state.sessions >= bounds_.sessions) return false;
  ++state.sessions;
  ++client.incarnation[node];
  lane.live = 1;
  for (int term = 1; term <= state.terms; ++term) {
    if (state.node_of_term[term] == node) client.deadline[term] = 0;
  }
  return true;
}

// Two steps of an application's read, anything may come between: it takes the entry together with
// the deadline that this has now, and then looks at the clock. Looking the deadline up again in the
// second step is wrong: the entry may have been invalidated meanwhile, and what follows the
// invalidation in the lane may have extended the deadline.
bool LeaseModel::TakeReadStep(const Step& step, State& state) const {
  Client& client = state.clients[step.a];
  Read& read = client.read;
  if (step.kind == StepKind::kReadBegins) {
    if (read.phase != ReadPhase::kIdle || state.reads >= bounds_.reads) return false;
    ++state.reads;
    read = {};
    read.phase = ReadPhase::kBegun;
    read.key = step.key;
    read.newest_at_start = state.version[step.key];
    return true;
  }
  const CachedItem& item = client.cache[read.key];
  const bool checks_first = mutation_ == Mutation::kCheckedBeforeRead;
  const bool checks_again = mutation_ == Mutation::kDeadlineReloaded;
  if (step.kind == StepKind::kReadLooks) {
    if (read.phase != ReadPhase::kBegun) return false;
    read.phase = ReadPhase::kHalf;
    if (!item.present || (!checks_again && !IsValid(state, client, item))) {
      read = {};  // a miss
    } else if (!checks_first) {
      read.taken = item;
      read.life = client.deadline[item.term];
    }
    return true;
  }
  if (read.phase != ReadPhase::kHalf) return false;
  const CachedItem served = checks_first ? item : read.taken;
  bool valid = read.life > 0;
  if (checks_first) valid = served.present;
  if (checks_again) valid = IsValid(state, client, served);
  if (valid && served.version < read.newest_at_start) state.stale_read = 1;
  read = {};
  return true;
}

}  // namespace ringleader::lease_model
