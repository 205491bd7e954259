#include "node/data_service.h"

#include <deque>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "model/item_codec.h"
#include "model/key_codec.h"
#include "node/evaluate.h"

namespace ringleader {
namespace {

constexpr uint32_t kStreamRetryAfterMs = 20;

// The bytes in which a request names its key; empty: it has none.
const std::string& KeyBytes(const data::v1::Request& request) {
  static const std::string* const none = new std::string();
  switch (request.operation_case()) {
    case data::v1::Request::kGet:
      return request.get().key();
    case data::v1::Request::kPut:
      return request.put().item();
    case data::v1::Request::kDelete:
      return request.delete_().key();
    case data::v1::Request::kUpdate:
      return request.update().key();
    default:
      return *none;
  }
}

}  // namespace

// The answering side of one stream, shared by the handler and by the requests under way. Send may
// be called by any applier.
class DataService::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::shared_ptr<Call> call, const DataServiceOptions& options)
      : call_(std::move(call)), options_(options) {}

  // False: the stream has enough to do.
  bool Begin(uint64_t bytes) {
    MutexLock lock(mutex_);
    if (requests_ >= options_.stream_requests_max ||
        (requests_ > 0 && bytes_ + bytes > options_.stream_bytes_max)) {
      return false;
    }
    ++requests_;
    bytes_ += bytes;
    return true;
  }

  // Answers a request that Begin has let in with `bytes`; 0 if it has not.
  void Send(data::v1::Response response, uint64_t bytes) {
    bool overflow = false;
    {
      MutexLock lock(mutex_);
      if (bytes > 0) {
        --requests_;
        bytes_ -= bytes;
      }
      if (ended_) return;
      answers_bytes_ += response.ByteSizeLong();
      answers_.push_back(std::move(response));
      overflow = answers_bytes_ > options_.answers_bytes_max;
      if (!overflow && !sending_) SendFrame();
      if (overflow) ended_ = true;
      FinishIfDone();
    }
    if (overflow) call_->Finish(absl::ResourceExhaustedError("answers are not being read"));
  }

  void Idle() {
    MutexLock lock(mutex_);
    sending_ = false;
    if (!ended_ && !answers_.empty()) SendFrame();
    FinishIfDone();
  }

  // The peer sends no more: the call ends once everything is answered and sent.
  void PeerFinished() {
    MutexLock lock(mutex_);
    peer_finished_ = true;
    FinishIfDone();
  }

  // The call is over: what is still to come is nobody's.
  void Close() {
    MutexLock lock(mutex_);
    ended_ = true;
    answers_.clear();
  }

 private:
  void FinishIfDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!peer_finished_ || ended_ || requests_ > 0 || !answers_.empty()) return;
    ended_ = true;
    call_->Finish(absl::OkStatus());
  }

  void SendFrame() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    data::v1::ResponseFrame frame;
    uint64_t frame_bytes = 0;
    while (!answers_.empty() && frame_bytes < options_.frame_bytes_max) {
      const uint64_t bytes = answers_.front().ByteSizeLong();
      frame_bytes += bytes;
      answers_bytes_ -= bytes;
      *frame.add_responses() = std::move(answers_.front());
      answers_.pop_front();
    }
    sending_ = true;
    // Refused only when the call has ended: nobody waits for the answers any more.
    if (!call_->Send(frame.SerializeAsString())) ended_ = true;
  }

  const std::shared_ptr<Call> call_;
  const DataServiceOptions options_;
  Mutex mutex_;
  std::deque<data::v1::Response> answers_ ABSL_GUARDED_BY(mutex_);
  uint64_t answers_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  bool peer_finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class DataService::ExchangeHandler : public CallHandler {
 public:
  ExchangeHandler(DataService& service, std::shared_ptr<Call> call)
      : service_(service),
        call_(call),
        stream_(std::make_shared<Stream>(std::move(call), service.options_)) {}

  void OnMessage(std::string message) override {
    data::v1::RequestFrame frame;
    if (!frame.ParseFromString(message)) {
      call_->Finish(absl::InvalidArgumentError("a frame can't be parsed"));
      return;
    }
    const Instant now = service_.clock_.Now();
    std::vector<PendingRequest> requests;
    for (data::v1::Request& request : *frame.mutable_requests()) {
      const uint64_t bytes = request.ByteSizeLong() + 1;  // none is free
      if (!stream_->Begin(bytes)) {
        data::v1::Response full = ErrorResponse(data::v1::ERROR_RESOURCE_EXHAUSTED,
                                                "too many unanswered requests in this stream");
        full.set_id(request.id());
        full.set_retry_after_ms(kStreamRetryAfterMs);
        stream_->Send(std::move(full), 0);
        continue;
      }
      requests.push_back(
          {std::move(request), now, [stream = stream_, bytes](data::v1::Response response) {
             stream->Send(std::move(response), bytes);
           }});
    }
    service_.Dispatch(std::move(requests));
  }

  void OnSendIdle() override { stream_->Idle(); }
  void OnPeerFinished() override { stream_->PeerFinished(); }
  void OnEnd(const absl::Status&) override { stream_->Close(); }

 private:
  DataService& service_;
  const std::shared_ptr<Call> call_;
  const std::shared_ptr<Stream> stream_;
};

class DataService::ExecuteHandler : public CallHandler {
 public:
  ExecuteHandler(DataService& service, std::shared_ptr<Call> call)
      : service_(service), call_(std::move(call)) {}

  void OnMessage(std::string message) override {
    PendingRequest pending;
    if (!pending.request.ParseFromString(message)) {
      call_->Finish(absl::InvalidArgumentError("the request can't be parsed"));
      return;
    }
    pending.received = service_.clock_.Now();
    pending.respond = [call = call_](data::v1::Response response) {
      // Refused when the caller is gone.
      if (call->Send(response.SerializeAsString())) call->Finish(absl::OkStatus());
    };
    std::vector<PendingRequest> requests;
    requests.push_back(std::move(pending));
    service_.Dispatch(std::move(requests));
  }
  void OnEnd(const absl::Status&) override {}

 private:
  DataService& service_;
  const std::shared_ptr<Call> call_;
};

absl::StatusOr<std::unique_ptr<CallHandler>> DataService::Accept(const IncomingCall& incoming) {
  const absl::string_view method = incoming.method.substr(
      incoming.method.substr(0, kDataServicePrefix.size()) == kDataServicePrefix
          ? kDataServicePrefix.size()
          : incoming.method.size());
  if (method == "Exchange") return std::make_unique<ExchangeHandler>(*this, incoming.call);
  if (method == "Execute") return std::make_unique<ExecuteHandler>(*this, incoming.call);
  return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
}

replication::GroupId DataService::Route(const data::v1::Request& request,
                                        data::v1::Response* error) const {
  if (request.has_route() && request.route().partition() != 0) {
    return request.route().partition();
  }
  const auto table = request.table_case() == data::v1::Request::kTableId
                         ? registry_.FindTable(request.table_id())
                         : registry_.FindTable(request.table_name());
  if (table == nullptr) {
    *error = ErrorResponse(data::v1::ERROR_TABLE_NOT_FOUND, "Requested resource not found");
    return 0;
  }
  if (request.has_query() || request.has_scan()) {
    *error = ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "a query or scan needs a route");
    return 0;
  }
  const auto item = model::DecodeItem(KeyBytes(request));
  if (!item.ok()) {
    *error = StatusResponse(item.status());
    return 0;
  }
  // Nothing but the token is wanted: the leader checks the key as a whole.
  const model::AttributeValue* key = item->Find(table->schema.key.partition.name);
  if (key == nullptr || key->type() != table->schema.key.partition.type) {
    *error = ErrorResponse(data::v1::ERROR_VALIDATION,
                           "The provided key element does not match the schema");
    return 0;
  }
  const auto group = registry_.FindByToken(model::TokenOfKey(table->schema.id, *key));
  if (group == 0) *error = ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "not on this node");
  return group;
}

// From here on its answer is counted.
void DataService::Measure(PendingRequest& pending) {
  pending.respond = [this, operation = DataOperation(pending.request.operation_case()),
                     received = pending.received,
                     respond = std::move(pending.respond)](data::v1::Response response) mutable {
    metrics_.Record(operation, static_cast<size_t>(response.error()),
                    HolderElapsed(received, clock_.Now()));
    respond(std::move(response));
  };
}

void DataService::Dispatch(std::vector<PendingRequest> requests) {
  std::map<replication::GroupId, std::vector<PendingRequest>> by_group;
  const auto refuse = [](PendingRequest& pending, data::v1::Response response) {
    response.set_id(pending.request.id());
    pending.respond(std::move(response));
  };
  for (PendingRequest& pending : requests) {
    Measure(pending);
    data::v1::Response error;
    const replication::GroupId group = Route(pending.request, &error);
    if (group == 0) {
      refuse(pending, std::move(error));
    } else {
      by_group[group].push_back(std::move(pending));
    }
  }
  for (auto& [group, share] : by_group) {
    auto replica = find_(group);
    const auto not_here =
        ErrorResponse(data::v1::ERROR_WRONG_ROUTE, "the partition is not on this node");
    if (replica == nullptr) {
      for (PendingRequest& pending : share) refuse(pending, not_here);
      continue;
    }
    Executor& applier = replica->applier();
    applier.Post([this, group = group, replica = std::move(replica), refuse, not_here,
                  share = std::move(share)]() mutable {
      Partition* partition = registry_.Open(group);
      if (partition != nullptr) return partition->Execute(replica, std::move(share));
      for (PendingRequest& pending : share) refuse(pending, not_here);
    });
  }
}

}  // namespace ringleader
