#include "node/cache_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "node/evaluate.h"

namespace ringleader {
namespace {

cache::v1::Event NotHere(const CacheFill& fill) {
  cache::v1::Event event;
  event.mutable_filled()->set_number(fill.number);
  *event.mutable_filled()->mutable_response() =
      ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "the partition is not on this node");
  return event;
}

}  // namespace

class CacheService::SessionHandler : public CallHandler {
 public:
  SessionHandler(CacheService& service, std::shared_ptr<Call> call)
      : service_(service), call_(std::move(call)), session_(service_.sessions_.Open(call_)) {
    if (session_ == 0) call_->Finish(absl::ResourceExhaustedError("too many cache sessions"));
  }

  void OnMessage(std::string bytes) override {
    // Frames still come when the session is over, as long as the peer has not heard of it.
    if (!service_.sessions_.IsOpen(session_)) return;
    cache::v1::ToNode message;
    const bool valid = bytes.size() <= service_.options_.frame_bytes_max &&
                       message.ParseFromString(bytes) &&
                       message.has_open() != std::exchange(is_open_, true) &&
                       service_.Take(session_, untaken_, std::move(message));
    if (!valid) {
      service_.End(session_, absl::InvalidArgumentError("not a frame of a cache session, or more "
                                                        "than the node can take in"));
    }
  }
  void OnSendIdle() override { service_.sessions_.Idle(session_); }
  void OnPeerFinished() override { call_->Finish(absl::OkStatus()); }
  void OnEnd(const absl::Status&) override {
    service_.End(session_, absl::CancelledError("the cache session is over"));
  }

 private:
  CacheService& service_;
  const std::shared_ptr<Call> call_;
  const CacheSessionId session_;
  bool is_open_ = false;
  const Untaken untaken_ = std::make_shared<std::atomic<size_t>>(0);
};

absl::StatusOr<std::unique_ptr<CallHandler>> CacheService::Accept(const IncomingCall& incoming) {
  if (incoming.method != absl::StrCat(kCacheServicePrefix, "Session")) {
    return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
  }
  return std::make_unique<SessionHandler>(*this, incoming.call);
}

bool CacheService::Take(CacheSessionId session, const Untaken& untaken, cache::v1::ToNode message) {
  const size_t messages = static_cast<size_t>(message.fills_size()) +
                          static_cast<size_t>(message.renewals_size()) +
                          static_cast<size_t>(message.acknowledgements_size()) +
                          static_cast<size_t>(message.releases_size());
  if (messages + untaken->load() > options_.messages_max) return false;
  std::map<replication::GroupId, Share> shares;
  const Instant now = clock_.Now();
  for (const cache::v1::Acknowledge& acknowledge : message.acknowledgements()) {
    shares[acknowledge.partition()].acknowledgements[acknowledge.term()].push_back(
        acknowledge.number());
  }
  for (const cache::v1::Renew& renewal : message.renewals()) {
    shares[renewal.partition()].renewals.push_back(renewal);
  }
  for (cache::v1::Release& release : *message.mutable_releases()) {
    shares[release.partition()].releases.push_back(std::move(release));
  }
  for (cache::v1::Fill& fill : *message.mutable_fills()) {
    if (!fill.request().has_get() || fill.request().table_case() != data::v1::Request::kTableId) {
      return false;
    }
    const replication::GroupId group = fill.request().route().partition();
    shares[group].fills.push_back(
        {session, fill.number(), std::move(*fill.mutable_request()), now});
  }
  for (auto& [group, share] : shares) {
    share.place =
        Place(untaken, share.fills.size() + share.renewals.size() + share.releases.size());
    for (const auto& [term, numbers] : share.acknowledgements) share.place.Add(numbers.size());
    Post(session, group, std::move(share));
  }
  return true;
}

void CacheService::Post(CacheSessionId session, replication::GroupId group, Share share) {
  const auto replica = find_(group);
  if (replica == nullptr) {
    for (const CacheFill& fill : share.fills) sessions_.Send(session, 0, NotHere(fill));
    return;
  }
  replica->applier().Post([this, session, replica, share = std::move(share)]() mutable {
    Partition* const partition = registry_.Open(replica->group());
    if (partition == nullptr) {
      for (const CacheFill& fill : share.fills) {
        sessions_.Send(session, 0, NotHere(fill));
      }
      return;
    }
    for (const auto& [term, numbers] : share.acknowledgements) {
      partition->Acknowledged(replica, session, term, numbers);
    }
    for (const cache::v1::Release& release : share.releases) {
      partition->Released(session, release);
    }
    for (const cache::v1::Renew& renewal : share.renewals) {
      partition->Renew(replica, session, renewal);
    }
    for (CacheFill& fill : share.fills) partition->Fill(replica, std::move(fill));
  });
}

void CacheService::End(CacheSessionId session, const absl::Status& why) {
  if (session == 0) return;
  for (const replication::GroupId group : sessions_.End(session, why)) {
    const auto replica = find_(group);
    if (replica == nullptr) continue;
    replica->applier().Post([this, session, replica] {
      if (Partition* partition = registry_.Open(replica->group())) {
        partition->CacheSessionEnded(replica, session);
      }
    });
  }
}

}  // namespace ringleader
