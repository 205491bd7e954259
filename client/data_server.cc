#include "client/data_server.h"

#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace ringleader::client {
namespace {

constexpr uint32_t kStreamRetryAfterMs = 20;

// Before it is parsed, as a parsed request takes a hundred times the two bytes of an empty one.
bool FitsFrame(const std::string& message, const DataServerOptions& options) {
  if (message.size() > options.request_bytes_max) return false;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(message.data()),
                                               static_cast<int>(message.size()));
  for (uint64_t fields = 0; uint32_t tag = input.ReadTag(); ++fields) {
    if (fields >= options.frame_requests_max) return false;
    if (!google::protobuf::internal::WireFormatLite::SkipField(&input, tag)) return false;
  }
  return true;
}

}  // namespace

// The answering side of one stream, shared by the handler and by the requests under way. Send may
// be called by any thread.
//
// `flushing_`: a frame is being sent, or a flush is posted; either takes what has gathered.
class DataServer::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::shared_ptr<Call> call, const DataServerOptions& options,
         std::shared_ptr<std::atomic<uint64_t>> all_bytes)
      : call_(std::move(call)), options_(options), all_bytes_(std::move(all_bytes)) {}
  // Requests that were destroyed without an answer hold their place until now.
  ~Stream() { *all_bytes_ -= bytes_; }

  // False: the stream, or the server, has enough to do.
  bool Begin(uint64_t bytes) {
    MutexLock lock(mutex_);
    if (requests_ >= options_.stream_requests_max ||
        (requests_ > 0 && bytes_ + bytes > options_.stream_bytes_max)) {
      return false;
    }
    const uint64_t all_before = all_bytes_->fetch_add(bytes);
    if (all_before > 0 && all_before + bytes > options_.all_bytes_max) {
      *all_bytes_ -= bytes;
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
        *all_bytes_ -= bytes;
      }
      if (ended_) return;
      answers_bytes_ += response.ByteSizeLong();
      answers_.push_back(std::move(response));
      overflow = answers_bytes_ > options_.answers_bytes_max;
      if (!overflow && !flushing_) FlushSoon();
      if (overflow) ended_ = true;
      FinishIfDone();
    }
    if (overflow) call_->Finish(absl::ResourceExhaustedError("answers are not being read"));
  }

  void Idle() {
    MutexLock lock(mutex_);
    flushing_ = false;
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
  // An executor that stops before the flush runs is one of a process that ends.
  void FlushSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Executor* const executor = Executor::Current();
    if (executor == nullptr) return SendFrame();
    flushing_ = true;
    executor->Post([self = shared_from_this()] { self->Idle(); });
  }

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
    flushing_ = true;
    // Refused only when the call has ended: nobody waits for the answers any more.
    if (!call_->Send(frame.SerializeAsString())) ended_ = true;
  }

  const std::shared_ptr<Call> call_;
  const DataServerOptions options_;
  const std::shared_ptr<std::atomic<uint64_t>> all_bytes_;
  Mutex mutex_;
  std::deque<data::v1::Response> answers_ ABSL_GUARDED_BY(mutex_);
  uint64_t answers_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool flushing_ ABSL_GUARDED_BY(mutex_) = false;
  bool peer_finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class DataServer::ExchangeHandler : public CallHandler {
 public:
  ExchangeHandler(DataServer& server, std::shared_ptr<Call> call)
      : server_(server),
        call_(call),
        stream_(std::make_shared<Stream>(std::move(call), server.options_, server.all_bytes_)) {}

  void OnMessage(std::string message) override {
    if (!FitsFrame(message, server_.options_)) {
      call_->Finish(absl::InvalidArgumentError("a frame of too many requests or bytes"));
      return;
    }
    data::v1::RequestFrame frame;
    if (!frame.ParseFromString(message)) {
      call_->Finish(absl::InvalidArgumentError("a frame can't be parsed"));
      return;
    }
    const Instant now = server_.clock_.Now();
    std::vector<DataRequest> requests;
    for (data::v1::Request& request : *frame.mutable_requests()) {
      const uint64_t bytes = request.ByteSizeLong() + 1;  // none is free
      if (!stream_->Begin(bytes)) {
        data::v1::Response full;
        full.set_error(data::v1::ERROR_RESOURCE_EXHAUSTED);
        full.set_message("too many requests or bytes wait for their answers");
        full.set_id(request.id());
        full.set_retry_after_ms(kStreamRetryAfterMs);
        stream_->Send(std::move(full), 0);
        continue;
      }
      const size_t operation = DataOperation(request.operation_case());
      requests.push_back({std::move(request), now,
                          [&server = server_, stream = stream_, bytes, operation,
                           now](data::v1::Response response) {
                            server.Record(operation, now, response);
                            stream->Send(std::move(response), bytes);
                          }});
    }
    server_.handle_(std::move(requests));
  }

  void OnSendIdle() override { stream_->Idle(); }
  void OnPeerFinished() override { stream_->PeerFinished(); }
  void OnEnd(const absl::Status&) override { stream_->Close(); }

 private:
  DataServer& server_;
  const std::shared_ptr<Call> call_;
  const std::shared_ptr<Stream> stream_;
};

class DataServer::ExecuteHandler : public CallHandler {
 public:
  ExecuteHandler(DataServer& server, std::shared_ptr<Call> call)
      : server_(server), call_(std::move(call)) {}

  void OnMessage(std::string message) override {
    DataRequest pending;
    if (std::exchange(asked_, true) || message.size() > server_.options_.request_bytes_max) {
      call_->Finish(absl::InvalidArgumentError("one request a call, of bounded size"));
      return;
    }
    if (!pending.request.ParseFromString(message)) {
      call_->Finish(absl::InvalidArgumentError("the request can't be parsed"));
      return;
    }
    pending.received = server_.clock_.Now();
    pending.respond =
        [&server = server_, call = call_, received = pending.received,
         operation = DataOperation(pending.request.operation_case())](data::v1::Response response) {
          server.Record(operation, received, response);
          // Refused when the caller is gone.
          if (call->Send(response.SerializeAsString())) call->Finish(absl::OkStatus());
        };
    std::vector<DataRequest> requests;
    requests.push_back(std::move(pending));
    server_.handle_(std::move(requests));
  }
  void OnEnd(const absl::Status&) override {}

 private:
  DataServer& server_;
  const std::shared_ptr<Call> call_;
  bool asked_ = false;
};

void DataServer::Record(size_t operation, const Instant& received,
                        const data::v1::Response& response) {
  metrics_.Record(operation, static_cast<size_t>(response.error()),
                  HolderElapsed(received, clock_.Now()));
}

absl::StatusOr<std::unique_ptr<CallHandler>> DataServer::Accept(const IncomingCall& incoming) {
  const absl::string_view method = incoming.method.substr(
      incoming.method.substr(0, kDataServicePrefix.size()) == kDataServicePrefix
          ? kDataServicePrefix.size()
          : incoming.method.size());
  if (method == "Exchange") return std::make_unique<ExchangeHandler>(*this, incoming.call);
  if (method == "Execute") return std::make_unique<ExecuteHandler>(*this, incoming.call);
  return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
}

}  // namespace ringleader::client
