// What leaves a replica for its peers: messages, heartbeats, snapshots, and entries that a peer
// lacks and the core has no longer in memory.
#include <string>
#include <utility>

#include "common/mutants.h"
#include "common/rare_branches.h"
#include "replication/message_codec.h"
#include "replication/replica.h"
#include "replication/snapshot_sender.h"

namespace ringleader::replication {
namespace {

Lane LaneOf(MessageKind kind) {
  return kind == MessageKind::kAppend ? Lane::kAppend : Lane::kControl;
}

}  // namespace

NodeId Replica::NodeOf(ReplicaId replica) const {
  const Configuration& configuration = core_.configuration();
  for (const auto* list :
       {&configuration.voters, &configuration.outgoing, &configuration.learners}) {
    for (const Member& member : *list) {
      if (member.replica == replica) return member.node;
    }
  }
  const auto heard = heard_from_.find(replica);
  return heard == heard_from_.end() ? 0 : heard->second;
}

void Replica::SendMessage(const Message& message) {
  const NodeId node = NodeOf(message.to);
  if (node == 0) return;
  std::string bytes;
  if (message.kind == MessageKind::kHeartbeatAnswer && !place_.promises.MayPromise()) {
    RARE_BRANCH("replica: a promise is withheld");
    place_.counters.promises_withheld.Add();
    Message unpromised = message;
    unpromised.round = 0;
    EncodeMessage(unpromised, &bytes);
  } else {
    EncodeMessage(message, &bytes);
  }
  place_.transport.Send(node, LaneOf(message.kind), bytes);
}

void Replica::SendHeartbeats(const HeartbeatRound& round) {
  rounds_.Sent(round.term, round.round, place_.clock.Now());
  if (hold_heartbeats_) return;
  for (const HeartbeatRound::Peer& peer : round.peers) {
    SendMessage({.kind = MessageKind::kHeartbeat,
                 .group = group_,
                 .from = id_,
                 .to = peer.replica,
                 .term = round.term,
                 .commit = peer.commit,
                 .round = round.round});
  }
}

// As long as this node itself would promise, if nobody has promised less. An older build does not
// tell: it is taken to have the same options.
Duration Replica::LeaseOf(uint64_t promised_us) const {
  const ReplicaOptions& options = place_.options;
  const Duration own = PromiseLength(options.core.election_ticks, options.tick_period);
  const uint64_t own_us = static_cast<uint64_t>(own / std::chrono::microseconds(1));
  const Duration promised =
      promised_us < own_us ? std::chrono::microseconds(static_cast<int64_t>(promised_us)) : own;
  return LeaseLength(promised, options.clock_drift_max);
}

void Replica::SendAll(Effects& effects) {
  for (const HeartbeatRound& round : effects.heartbeats) SendHeartbeats(round);
  for (const Message& message : effects.messages) SendMessage(message);
  if (effects.confirmed_round.has_value()) {
    const auto sent =
        rounds_.Confirmed(effects.confirmed_round->term, effects.confirmed_round->round);
    if (sent.has_value()) {
      const Duration length = LeaseOf(effects.confirmed_round->promised_us);
      MutexLock lock(view_mutex_);
      view_.lease_from = MUTANT("lease-from-receipt") ? place_.clock.Now() : *sent;
      view_.lease_length = length;
      view_.has_lease = true;
    }
  }
  for (SnapshotRequest& request : effects.snapshots) {
    const NodeId node = NodeOf(request.message.to);
    place_.snapshots.Send(shared_from_this(), node, std::move(request));
  }
  for (const FetchRequest& request : effects.fetches) Fetch(request);
}

void Replica::Fetch(const FetchRequest& request) {
  place_.files.Post([self = shared_from_this(), request] {
    auto entries =
        self->place_.log.Read(self->group_, request.first, request.last, request.bytes_max);
    self->place_.worker.Post([self, request, entries = std::move(entries)]() mutable {
      if (self->closed_) return;
      if (absl::IsDataLoss(entries.status())) {
        self->NoteUnreadable(request.first, entries.status());
      }
      self->core_.EntriesFetched(request.replica, request.first, std::move(entries));
      self->Turn();
      self->place_.flush_soon();
    });
  });
}

}  // namespace ringleader::replication
