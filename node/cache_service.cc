#include "node/cache_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "node/evaluate.h"

namespace ringleader {
namespace {

constexpr size_t kStatusSessionsMax = 1000;

uint64_t Millis(Duration span) {
  return static_cast<uint64_t>(span / std::chrono::milliseconds(1));
}

// An answer that partitions add to. Sent when the last of them has let go of it.
class StatusAnswer {
 public:
  StatusAnswer(std::shared_ptr<Call> call, cache::v1::StatusResponse response)
      : call_(std::move(call)), response_(std::move(response)) {}
  ~StatusAnswer() {
    MutexLock lock(mutex_);
    call_->Send(response_.SerializeAsString());
    call_->Finish(absl::OkStatus());
  }
  StatusAnswer(const StatusAnswer&) = delete;
  StatusAnswer& operator=(const StatusAnswer&) = delete;

  void Add(const LeaseGate& gate, const std::vector<CacheSessionId>& holders) {
    MutexLock lock(mutex_);
    for (cache::v1::SessionStatus& session : *response_.mutable_sessions()) {
      const LeaseGate::SessionCounts counts = gate.CountsOf(session.session());
      if (counts.keys > 0) session.set_partitions(session.partitions() + 1);
      session.set_items(session.items() + counts.keys);
      session.set_invalidations(session.invalidations() + counts.invalidations);
      const auto found = std::find(holders.begin(), holders.end(), session.session());
      if (found != holders.end()) session.set_holds_item(true);
    }
  }

 private:
  const std::shared_ptr<Call> call_;
  Mutex mutex_;
  cache::v1::StatusResponse response_ ABSL_GUARDED_BY(mutex_);
};

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
  SessionHandler(CacheService& service, std::shared_ptr<Call> call, std::string peer)
      : service_(service),
        call_(std::move(call)),
        session_(service_.sessions_.Open(call_, std::move(peer))) {
    if (session_ == 0) call_->Finish(absl::ResourceExhaustedError("too many cache sessions"));
  }

  void OnMessage(std::string bytes) override {
    // Frames still come when the session is over, as long as the peer has not heard of it.
    if (!service_.sessions_.Heard(session_)) return;
    cache::v1::ToNode message;
    const CacheServiceOptions& options = service_.options_;
    const bool valid =
        client::IsCacheFrameBounded(bytes, options.frame_bytes_max, options.messages_max + 1) &&
        message.ParseFromString(bytes) && message.has_open() != std::exchange(is_open_, true) &&
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
  const Untaken untaken_ = std::make_shared<Waiting>();
};

class CacheService::StatusHandler : public CallHandler {
 public:
  StatusHandler(CacheService& service, std::shared_ptr<Call> call)
      : service_(service), call_(std::move(call)) {}

  void OnMessage(std::string bytes) override {
    cache::v1::StatusRequest request;
    if (!request.ParseFromString(bytes)) {
      return call_->Finish(absl::InvalidArgumentError("the request can't be read"));
    }
    if (!std::exchange(is_asked_, true)) service_.AnswerStatus(request, call_);
  }
  void OnPeerFinished() override {
    if (!is_asked_) call_->Finish(absl::InvalidArgumentError("there is no request"));
  }
  void OnEnd(const absl::Status&) override {}

 private:
  CacheService& service_;
  const std::shared_ptr<Call> call_;
  bool is_asked_ = false;
};

absl::StatusOr<std::unique_ptr<CallHandler>> CacheService::Accept(const IncomingCall& incoming) {
  if (incoming.method == absl::StrCat(kCacheServicePrefix, "Status")) {
    return std::make_unique<StatusHandler>(*this, incoming.call);
  }
  if (incoming.method != absl::StrCat(kCacheServicePrefix, "Session")) {
    return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
  }
  return std::make_unique<SessionHandler>(*this, incoming.call, incoming.peer);
}

bool CacheService::Take(CacheSessionId session, const Untaken& untaken, cache::v1::ToNode message) {
  if (message.has_open()) sessions_.Introduce(session, message.open());
  std::map<replication::GroupId, Share> shares;
  const Instant now = clock_.Now();
  size_t messages = 0, bytes = 0;
  const auto share_of = [&](replication::GroupId group, size_t key_bytes) -> Share& {
    Share& share = shares[group];
    ++share.messages;
    share.bytes += key_bytes;
    ++messages;
    bytes += key_bytes;
    return share;
  };
  for (const cache::v1::Acknowledge& acknowledge : message.acknowledgements()) {
    Share& share = share_of(acknowledge.partition(), 0);
    share.acknowledgements[acknowledge.term()].push_back(acknowledge.number());
  }
  for (const cache::v1::Renew& renewal : message.renewals()) {
    share_of(renewal.partition(), renewal.ByteSizeLong()).renewals.push_back(renewal);
  }
  for (cache::v1::Release& release : *message.mutable_releases()) {
    Share& share = share_of(release.partition(), release.ByteSizeLong());
    share.releases.push_back(std::move(release));
  }
  for (cache::v1::Fill& fill : *message.mutable_fills()) {
    if (!fill.request().has_get() || fill.request().table_case() != data::v1::Request::kTableId) {
      return false;
    }
    Share& share = share_of(fill.request().route().partition(), fill.ByteSizeLong());
    share.fills.push_back(
        {session, fill.number(), std::move(*fill.mutable_request()), now, fill.no_grant()});
  }
  if (messages + untaken->messages > options_.messages_max ||
      bytes + untaken->bytes > options_.bytes_max) {
    return false;
  }
  for (auto& [group, share] : shares) share.place = Place(untaken, share.messages, share.bytes);
  Post(session, std::move(shares));
  return true;
}

// One task for each applier, however many of its partitions the frame is for, and one frame with
// their answers; in the order of groups, as the order of addresses would differ from run to run.
void CacheService::Post(CacheSessionId session, Shares shares) {
  struct Part {
    Executor* applier = nullptr;
    std::vector<std::pair<std::shared_ptr<replication::Replica>, Share>> shares;
  };
  std::vector<Part> parts;
  for (auto& [group, share] : shares) {
    auto replica = find_(group);
    if (replica == nullptr) {
      for (const CacheFill& fill : share.fills) sessions_.Send(session, 0, NotHere(fill));
      continue;
    }
    Executor* const applier = &replica->applier();
    auto part = std::find_if(parts.begin(), parts.end(),
                             [applier](const Part& each) { return each.applier == applier; });
    if (part == parts.end()) part = parts.insert(parts.end(), Part{applier, {}});
    part->shares.emplace_back(std::move(replica), std::move(share));
  }
  for (Part& part : parts) {
    part.applier->Post([this, session, shares = std::move(part.shares)]() mutable {
      const CacheSessions::Gathering gathering(sessions_, session);
      for (auto& [replica, share] : shares) CarryOut(session, replica, share);
    });
  }
}

void CacheService::CarryOut(CacheSessionId session,
                            const std::shared_ptr<replication::Replica>& replica, Share& share) {
  Partition* const partition = registry_.Open(replica->group());
  if (partition == nullptr) {
    for (const CacheFill& fill : share.fills) sessions_.Send(session, 0, NotHere(fill));
    return;
  }
  for (const auto& [term, numbers] : share.acknowledgements) {
    partition->Acknowledged(replica, session, term, numbers);
  }
  for (const cache::v1::Release& release : share.releases) partition->Released(session, release);
  for (const cache::v1::Renew& renewal : share.renewals) {
    partition->Renew(replica, session, renewal);
  }
  if (!share.fills.empty()) partition->Fill(replica, std::move(share.fills));
}

void CacheService::Maintain() {
  for (const CacheSessionId session : sessions_.Overdue()) {
    End(session, absl::CancelledError("the cache session is over"));
  }
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

// One task for each partition that granted any session of the page something: it looks up each of
// them.
void CacheService::AnswerStatus(const cache::v1::StatusRequest& request,
                                std::shared_ptr<Call> call) {
  const size_t asked = request.sessions_max() == 0 ? kStatusSessionsMax : request.sessions_max();
  const size_t sessions_max = std::min(asked, kStatusSessionsMax);
  std::vector<CacheSessionView> page = sessions_.Sessions(request.after(), sessions_max + 1);
  cache::v1::StatusResponse response;
  if (page.size() > sessions_max) {
    page.pop_back();
    response.set_next_after(page.back().session);
  }
  std::set<replication::GroupId> groups;
  for (const CacheSessionView& view : page) {
    cache::v1::SessionStatus& session = *response.add_sessions();
    session.set_session(view.session);
    session.set_client(view.client);
    session.set_incarnation(view.incarnation);
    session.set_peer(view.peer);
    session.set_age_ms(Millis(view.age));
    session.set_silent_ms(Millis(view.silent));
    groups.insert(view.partitions.begin(), view.partitions.end());
  }
  const LeaseGate::Counts held = sessions_.held();
  cache::v1::HoldingStatus& total = *response.mutable_total();
  total.set_sessions(held.sessions);
  total.set_items(held.keys);
  total.set_grants(held.holders);
  total.set_waits(held.waits);
  total.set_blocked_items(held.blocked);
  const auto answer = std::make_shared<StatusAnswer>(std::move(call), std::move(response));
  const auto item = std::make_shared<const data::v1::Request>(request.item());
  for (const replication::GroupId group : groups) {
    const auto replica = find_(group);
    if (replica == nullptr) continue;
    replica->applier().Post([this, replica, answer, item] {
      const Partition* const partition = registry_.Open(replica->group());
      if (partition == nullptr || partition->gate() == nullptr) return;
      answer->Add(*partition->gate(), partition->HoldersOf(*item));
    });
  }
}

}  // namespace ringleader
