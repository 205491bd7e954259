#include "tests/unit/cache/lease_world.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace ringleader {
namespace {

using std::chrono::milliseconds;

// Clocks that are far off and no margin to speak of: what is wrong in the arithmetic shows.
LeaseOptions Options(int64_t lease_term_ms) {
  return {.lease_term = milliseconds(lease_term_ms), .drift = 0.12, .margin = milliseconds(1)};
}
// Of the nodes of one run, each its own.
constexpr uint32_t kLeaseTermsMs[] = {60, 100, 240};
// 1.05 / 0.95 = 1.105: any two clocks are less than 12% apart.
constexpr double kRates[] = {0.95, 1.0, 1.05};
constexpr size_t kLaneMax = 3;
// Not every key has room.
constexpr uint64_t kCacheBytes = 280;

}  // namespace

LeaseWorld::LeaseWorld(uint64_t seed) : random_(seed) {
  for (Node& node : nodes_) {
    node.clock = std::make_unique<DriftingClock>(now_us_, kRates[random_.Below(3)]);
    node.lease_term_ms = kLeaseTermsMs[random_.Below(3)];
  }
  for (Client& client : clients_) {
    client.clock = std::make_unique<DriftingClock>(now_us_, kRates[random_.Below(3)]);
    client.cache = std::make_unique<client::ItemCache>(
        *client.clock, client::ItemCacheOptions{.bytes_max = kCacheBytes, .shards = 1});
    for (Lane& lane : client.lanes) lane.session = ++last_session_;
  }
  for (int key = 0; key < kKeys; ++key) versions_["key" + std::to_string(key)] = 1;
  Elect();
}

void LeaseWorld::Step() {
  now_us_ += static_cast<int64_t>(random_.Below(5000));
  // A client stands still for a while, and so does everything else: lanes are slow below.
  if (random_.Below(100) == 0) now_us_ += 60'000;
  const uint64_t what = random_.Below(100);
  if (what < 45) {
    AskFor();
  } else if (what < 65) {
    Write();
  } else if (what < 67) {
    Elect();
  } else if (what < 69) {
    BreakLane();
  } else if (what < 70) {
    Transfer();
  }
  RunLeaders();
  for (size_t i = 0; i < requests_.size();) {
    if (requests_[i].due_us > now_us_) {
      ++i;
      continue;
    }
    const Request request = requests_[i];
    requests_.erase(requests_.begin() + static_cast<ptrdiff_t>(i));
    Arrive(request);
  }
  for (int client = 0; client < kClients; ++client) {
    for (int node = 0; node < kNodes; ++node) Deliver(client, node);
  }
  CheckReads();
}

// --- Leaders

void LeaseWorld::Elect() {
  ++counts_.elections;
  ++term_;
  Node& leader = nodes_[random_.Below(kNodes)];
  // The one before may not notice for long.
  for (Node& node : nodes_) {
    if (&node == &leader || random_.Below(3) == 0) Depose(node);
  }
  leader.term = term_;
  leader.eras = eras_;
  leader.versions = versions_;
  leader.confirmed = leader.clock->Now();
  leader.gate.emplace(Options(leader.lease_term_ms), term_, leader.clock->Now(), eras_);
}

void LeaseWorld::Depose(Node& node) {
  node.gate.reset();
  node.revoking = false;
}

void LeaseWorld::RunLeaders() {
  for (int index = 0; index < kNodes; ++index) {
    Node& node = nodes_[index];
    if (!node.gate.has_value()) continue;
    const Instant now = node.clock->Now();
    if (!IsNewest(node)) {
      std::string after;
      while (node.gate->NextOpened(now, &after)) continue;  // it commits nothing
      if (random_.Below(50) == 0) Depose(node);
      continue;
    }
    if (random_.Below(4) == 0) node.confirmed = now;
    std::string after;
    while (const auto key = node.gate->NextOpened(now, &after)) Commit(*key);
    if (node.gate->HasEarlier() && node.gate->EarlierAreOver(now)) {
      CommitEra(node, {.change = EraChange::kCloseEarlier});
      node.gate->EarlierClosed();
    }
    if (!node.gate->HasEarlier() && !node.revoking && random_.Below(20) == 0) Shrink(node);
    if (node.revoking && node.gate->IsRevoked(now)) {
      CommitEra(node, {.change = EraChange::kCloseAll});
      ++counts_.transfers;
      CHECK(eras_.empty());
      Elect();
    }
    if (node.gate.has_value()) node.gate->Maintain(now);
  }
}

// One entry closes all eras and opens those again where something is held.
void LeaseWorld::Shrink(Node& node) {
  const EraBuckets held = node.gate->HeldBuckets();
  EraRecord kept{.lease_term_ms = node.lease_term_ms};
  for (size_t bucket = 0; bucket < kEraBuckets; ++bucket) {
    if (held[bucket]) kept.buckets.push_back(static_cast<uint16_t>(bucket));
  }
  CommitEra(node, {.change = EraChange::kCloseAll});
  if (!kept.buckets.empty()) CommitEra(node, kept);
}

void LeaseWorld::Transfer() {
  for (int index = 0; index < kNodes; ++index) {
    Node& node = nodes_[index];
    if (!IsNewest(node) || node.revoking) continue;
    node.revoking = true;
    std::vector<Invalidation> invalidations;
    node.gate->Revoke(&invalidations);
    Send(index, std::move(invalidations));
  }
}

void LeaseWorld::Write() {
  const std::string key = RandomKey();
  for (int index = 0; index < kNodes; ++index) {
    Node& node = nodes_[index];
    if (!node.gate.has_value()) continue;
    std::vector<Invalidation> invalidations;
    const bool open = node.gate->Enter(key, node.clock->Now(), &invalidations);
    Send(index, std::move(invalidations));
    if (!IsNewest(node)) continue;
    if (open) {
      Commit(key);
    } else {
      ++counts_.parked;
    }
  }
}

void LeaseWorld::Commit(const std::string& key) {
  ++counts_.writes;
  const uint64_t version = ++versions_[key];
  for (Node& node : nodes_) {
    if (IsNewest(node)) node.versions[key] = version;
  }
  CheckReads();
}

void LeaseWorld::CommitEra(Node& node, const EraRecord& era) {
  eras_.Apply(era, term_);
  node.eras = eras_;
}

// --- Lanes

void LeaseWorld::Send(int node, std::vector<Invalidation> invalidations) {
  for (Invalidation& invalidation : invalidations) {
    for (int client = 0; client < kClients; ++client) {
      Lane& lane = clients_[client].lanes[node];
      if (lane.session != invalidation.session) continue;
      if (lane.messages.size() >= kLaneMax) {
        EndSession(client, node);
        break;
      }
      lane.messages.push_back({.due_us = now_us_ + static_cast<int64_t>(random_.Below(30'000)),
                               .session = lane.session,
                               .term = nodes_[node].term,
                               .key = invalidation.key,
                               .invalidation = invalidation.number});
    }
  }
}

void LeaseWorld::AskFor() {
  const int client = static_cast<int>(random_.Below(kClients));
  const int node = static_cast<int>(random_.Below(kNodes));
  requests_.push_back({.due_us = now_us_ + static_cast<int64_t>(random_.Below(20'000)),
                       .client = client,
                       .node = node,
                       .session = clients_[client].lanes[node].session,
                       .key = random_.Below(3) == 0 ? "" : RandomKey(),
                       .sent = clients_[client].clock->Now(),
                       .fill = ++last_fill_});
}

void LeaseWorld::GiveBack(int client, const std::vector<client::ItemCache::Dropped>& dropped) {
  for (const client::ItemCache::Dropped& each : dropped) {
    for (int node = 0; node < kNodes; ++node) {
      const Lane& lane = clients_[client].lanes[node];
      for (const auto& [term, deadline] : lane.deadlines) {
        if (deadline != each.deadline) continue;
        requests_.push_back({.due_us = now_us_ + static_cast<int64_t>(random_.Below(20'000)),
                             .client = client,
                             .node = node,
                             .session = lane.session,
                             .key = each.key,
                             .fill = each.fill,
                             .gives_back = term});
      }
    }
  }
}

void LeaseWorld::Arrive(const Request& request) {
  Node& node = nodes_[request.node];
  Lane& lane = clients_[request.client].lanes[request.node];
  if (!node.gate.has_value() || lane.session != request.session) return;
  if (request.gives_back != 0) {
    if (node.term != request.gives_back) return;
    const bool taken = node.gate->Returned(request.session, request.key, request.fill);
    ++(taken ? counts_.given_back : counts_.given_back_late);
    return;
  }
  if (lane.messages.size() >= kLaneMax) return;
  const Instant now = node.clock->Now();
  LeaseGate::Answer answer;
  if (request.key.empty()) {
    answer = node.gate->Renew(request.session, node.confirmed, now);
  } else {
    answer = node.gate->Grant(request.session, request.key, request.fill, node.confirmed, now,
                              false, node.eras);
    if (answer.refusal == LeaseGate::Refusal::kNoEra && IsNewest(node)) {
      CommitEra(node, {.change = EraChange::kOpen,
                       .buckets = {EraBucketOf(request.key)},
                       .lease_term_ms = node.lease_term_ms});
      answer = node.gate->Grant(request.session, request.key, request.fill, node.confirmed, now,
                                false, node.eras);
    }
  }
  if (answer.refusal != LeaseGate::Refusal::kNone) return;
  ++counts_.grants;
  if (!IsNewest(node)) ++counts_.deposed_grants;
  lane.messages.push_back({.due_us = now_us_ + static_cast<int64_t>(random_.Below(30'000)),
                           .session = lane.session,
                           .term = node.term,
                           .key = request.key,
                           .version = request.key.empty() ? 0 : node.versions[request.key],
                           .life = answer.life,
                           .sent = request.sent,
                           .fill = request.fill});
}

void LeaseWorld::Deliver(int index, int node) {
  Client& client = clients_[index];
  Lane& lane = client.lanes[node];
  const auto insert = [&](const Message& message, std::shared_ptr<client::GrantDeadline> deadline) {
    GiveBack(index, client.cache->Insert(message.key, model::Item(), message.version,
                                         std::move(deadline), message.fill));
  };
  while (!lane.messages.empty() && lane.messages.front().due_us <= now_us_) {
    const Message message = lane.messages.front();
    lane.messages.pop_front();
    std::shared_ptr<client::GrantDeadline>& deadline = lane.deadlines[message.term];
    if (deadline == nullptr) deadline = std::make_shared<client::GrantDeadline>();
    if (message.invalidation != 0) {
      client.cache->Erase(message.key, deadline.get());
      for (Node& each : nodes_) {
        if (each.gate.has_value() && each.term == message.term) {
          each.gate->Acknowledged(message.session, message.invalidation);
        }
      }
      continue;
    }
    if (!message.key.empty()) insert(message, deadline);
    deadline->Extend(message.sent, message.life);
  }
  if (!client.late.empty() && random_.Below(20) == 0) {
    insert(client.late.front().first, client.late.front().second);
    client.late.pop_front();
  }
}

void LeaseWorld::EndSession(int client, int index) {
  ++counts_.sessions_ended;
  Client& ended = clients_[client];
  Lane& lane = ended.lanes[index];
  for (const Message& message : lane.messages) {
    const auto deadline = lane.deadlines.find(message.term);
    if (message.invalidation == 0 && !message.key.empty() && deadline != lane.deadlines.end()) {
      ended.late.emplace_back(message, deadline->second);
    }
  }
  if (nodes_[index].gate.has_value()) nodes_[index].gate->Ended(lane.session);
  // A new session has deadlines of its own; what the old one granted stays until its own.
  lane = Lane{.session = ++last_session_};
}

void LeaseWorld::BreakLane() {
  EndSession(static_cast<int>(random_.Below(kClients)), static_cast<int>(random_.Below(kNodes)));
}

// --- The promise

void LeaseWorld::CheckReads() {
  for (Client& client : clients_) {
    for (const auto& [key, version] : versions_) {
      uint64_t found = 0;
      if (client::ItemCache::IsMiss(
              client.cache->Lookup(key, Duration(0), &found, [](model::PackedItem) {}))) {
        continue;
      }
      ++counts_.hits;
      if (found == version) continue;
      ++counts_.stale;
      if (first_stale_.empty()) {
        first_stale_ = key + " version " + std::to_string(found) + " of " +
                       std::to_string(version) + " at " + std::to_string(now_us_) + " us, term " +
                       std::to_string(term_);
      }
    }
  }
}

}  // namespace ringleader
