#include "common/grpc_network.h"

#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "common/grpc_network_values.h"
#include "common/live_calls.h"
#include "common/mutex.h"

namespace ringleader {
namespace {

// One outstanding operation of a queue. Completed() is called once, on the queue's thread.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void Completed(bool ok) = 0;
};

// What both sides of a call share: the send queue and the count of operations under way.
//
// Invariants:
//   1. At most one Write, one Read and one end operation are outstanding.
//   2. `operations_` counts the outstanding ones; the call holds itself alive until it is zero and
//      the handler has had its OnEnd.
//   3. The handler is touched on the queue's thread only.
class GrpcCall : public Call, public std::enable_shared_from_this<GrpcCall> {
 public:
  GrpcCall(LiveCalls& live, uint64_t queue_bytes_max)
      : live_(live), queue_bytes_max_(queue_bytes_max) {}

  bool Send(std::string message) override {
    MutexLock lock(mutex_);
    if (ended_ || finishing_.has_value()) return false;
    if (!queue_.empty() && queued_bytes_ + message.size() > queue_bytes_max_) return false;
    queued_bytes_ += message.size();
    queue_.push_back(std::move(message));
    if (started_ && !writing_) WriteNext();
    return true;
  }

  void Finish(absl::Status status) override {
    MutexLock lock(mutex_);
    if (ended_ || finishing_.has_value()) return;
    finishing_ = std::move(status);
    OnFinishing();
  }

  uint64_t queued_bytes() const override {
    MutexLock lock(mutex_);
    return queued_bytes_;
  }

 protected:
  // Embedded in the call, one a kind: an operation costs no allocation.
  template <typename Owner>
  class Step : public Operation {
   public:
    Step(Owner* owner, void (Owner::*completed)(bool)) : owner_(owner), completed_(completed) {}
    void Completed(bool ok) override { (owner_->*completed_)(ok); }

   private:
    Owner* const owner_;
    void (Owner::*const completed_)(bool);
  };

  virtual void StartWrite(grpc::ByteBuffer buffer, grpc::WriteOptions options)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;
  // Finish was called: do what can be done now.
  virtual void OnFinishing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;
  // The queue is empty and Finish was called.
  virtual void OnDrained() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    grpc::WriteOptions options;
    if (queue_.size() > 1)
      options.set_buffer_hint();  // the next follows at once: one syscall for both
    Began();
    written_bytes_ = queue_.front().size();
    std::string message = std::move(queue_.front());
    queue_.pop_front();
    StartWrite(ToBuffer(std::move(message)), options);
  }

  void WriteCompleted(bool ok) {
    bool idle = false;
    {
      MutexLock lock(mutex_);
      writing_ = false;
      queued_bytes_ -= written_bytes_;
      if (!ok) {
        DropQueue();
      } else if (!queue_.empty()) {
        WriteNext();
      } else if (finishing_.has_value()) {
        OnDrained();
      } else {
        idle = true;
      }
    }
    if (idle && handler_ != nullptr) handler_->OnSendIdle();
    Ended();
  }

  // The peer is gone: what is queued can't be sent any more.
  void DropQueue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ended_ = true;
    queue_.clear();
    queued_bytes_ = 0;
    written_bytes_ = 0;
  }

  void Began() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { ++operations_; }

  // The call's first operation is about to start: until the last has ended, the call holds itself.
  void HoldSelf() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    self_ = shared_from_this();
    live_.Enter();
  }

  // One operation is over; with the last one the call lets go of itself.
  void Ended() {
    std::shared_ptr<GrpcCall> last_hold;
    {
      MutexLock lock(mutex_);
      CHECK_GT(operations_, 0);
      if (--operations_ > 0) return;
      CHECK(handler_ == nullptr) << "a call's last operation ended before its OnEnd";
      last_hold = std::move(self_);
    }
    LiveCalls& live = live_;
    last_hold = nullptr;  // may destroy this
    live.Leave();
  }

  void TellEnd(const absl::Status& status) {
    {
      MutexLock lock(mutex_);
      DropQueue();
    }
    if (handler_ == nullptr) return;
    handler_->OnEnd(status);
    handler_ = nullptr;
  }

  LiveCalls& live_;  // outlives every call that holds itself

  mutable Mutex mutex_;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  int operations_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<absl::Status> finishing_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t written_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<GrpcCall> self_ ABSL_GUARDED_BY(mutex_);
  const uint64_t queue_bytes_max_;

  std::unique_ptr<CallHandler> handler_;  // the queue's thread only
  grpc::ByteBuffer received_;             // the queue's thread only
};

class ClientCall : public GrpcCall {
 public:
  ClientCall(LiveCalls& live, const CallOptions& options, std::unique_ptr<CallHandler> handler)
      : GrpcCall(live, options.send_queue_bytes_max) {
    handler_ = std::move(handler);
    for (const auto& [key, value] : options.metadata) context_.AddMetadata(key, value);
    if (options.timeout > Duration(0)) {
      context_.set_deadline(std::chrono::system_clock::now() +
                            std::chrono::duration_cast<std::chrono::microseconds>(options.timeout));
    }
  }

  void Start(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             grpc::CompletionQueue* queue) {
    channel_ = channel;
    stub_.emplace(channel);
    stream_ = stub_->PrepareCall(&context_, method, queue);
    MutexLock lock(mutex_);
    HoldSelf();
    Began();
    stream_->StartCall(&on_started_);
  }

  void Cancel() override { context_.TryCancel(); }

 private:
  void StartWrite(grpc::ByteBuffer buffer, grpc::WriteOptions options) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    stream_->Write(buffer, options, &on_written_);
  }

  void OnFinishing() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!finishing_->ok()) {
      context_.TryCancel();
    } else if (started_ && !writing_ && queue_.empty()) {
      OnDrained();
    }
  }

  void OnDrained() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Began();
    stream_->WritesDone(&on_writes_done_);
  }

  void Started(bool ok) {
    {
      MutexLock lock(mutex_);
      started_ = true;
      if (ok) {
        Began();
        stream_->Read(&received_, &on_read_);
        if (!queue_.empty()) {
          WriteNext();
        } else if (finishing_.has_value() && finishing_->ok()) {
          OnDrained();
        }
      } else {
        AwaitStatus();
      }
    }
    Ended();
  }

  void Read(bool ok) {
    if (ok) handler_->OnMessage(FromBuffer(received_));
    {
      MutexLock lock(mutex_);
      if (ok) {
        Began();
        stream_->Read(&received_, &on_read_);
      } else {
        AwaitStatus();
      }
    }
    Ended();
  }

  void AwaitStatus() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Began();
    stream_->Finish(&status_, &on_status_);
  }

  void StatusCame(bool) {
    TellEnd(FromGrpc(status_));
    Ended();
  }

  void WritesWereDone(bool) { Ended(); }

  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  std::optional<grpc::GenericStub> stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::Status status_;
  Step<ClientCall> on_started_{this, &ClientCall::Started};
  Step<ClientCall> on_read_{this, &ClientCall::Read};
  Step<ClientCall> on_written_{this, &ClientCall::WriteCompleted};
  Step<ClientCall> on_writes_done_{this, &ClientCall::WritesWereDone};
  Step<ClientCall> on_status_{this, &ClientCall::StatusCame};
};

class ServerCall : public GrpcCall {
 public:
  ServerCall(LiveCalls& live, grpc::AsyncGenericService& generic, Service* service,
             grpc::ServerCompletionQueue* queue)
      : GrpcCall(live, /*queue_bytes_max=*/64 << 20),
        generic_(generic),
        service_(service),
        completions_(queue) {}

  void Cancel() override { context_.TryCancel(); }

  // Waits for the next call to arrive on this queue, and takes it.
  void Await() {
    context_.AsyncNotifyWhenDone(&on_done_);
    MutexLock lock(mutex_);
    HoldSelf();
    Began();
    generic_.RequestCall(&context_, &stream_, completions_, completions_, &on_arrived_);
  }

 private:
  void StartWrite(grpc::ByteBuffer buffer, grpc::WriteOptions options) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    stream_.Write(buffer, options, &on_written_);
  }

  void OnFinishing() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (started_ && !writing_ && queue_.empty()) OnDrained();
  }

  void OnDrained() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Began();
    stream_.Finish(ToGrpc(*finishing_), &on_finished_);
  }

  void Arrived(bool ok) {
    if (!ok) return Ended();  // the server is shutting down
    std::make_shared<ServerCall>(live_, generic_, service_, completions_)->Await();
    CallMetadata metadata;
    for (const auto& [key, value] : context_.client_metadata()) {
      metadata.emplace_back(std::string(key.data(), key.size()),
                            std::string(value.data(), value.size()));
    }
    auto handler = service_->Accept(IncomingCall{.method = context_.method(),
                                                 .metadata = metadata,
                                                 .peer = context_.peer(),
                                                 .call = shared_from_this()});
    {
      MutexLock lock(mutex_);
      Began();  // on_done_, which comes once a call has arrived
      started_ = true;
      if (handler.ok()) {
        handler_ = *std::move(handler);
        Began();
        stream_.Read(&received_, &on_read_);
        if (!queue_.empty()) WriteNext();
      } else if (!finishing_.has_value()) {
        finishing_ = handler.status();
      }
      if (finishing_.has_value() && !writing_) OnDrained();
    }
    Ended();
  }

  void Read(bool ok) {
    if (handler_ != nullptr) {
      if (ok) {
        handler_->OnMessage(FromBuffer(received_));
      } else if (!done_) {
        handler_->OnPeerFinished();
      }
    }
    if (ok) {
      MutexLock lock(mutex_);
      Began();
      stream_.Read(&received_, &on_read_);
    }
    Ended();
  }

  void Finished(bool) { Ended(); }

  void Done(bool) {
    done_ = true;
    std::optional<absl::Status> given;
    {
      MutexLock lock(mutex_);
      given = finishing_;
    }
    if (context_.IsCancelled() || !given.has_value()) {
      TellEnd(absl::CancelledError("the caller went away or cancelled the call"));
    } else {
      TellEnd(*given);
    }
    Ended();
  }

  grpc::AsyncGenericService& generic_;
  Service* const service_;
  grpc::ServerCompletionQueue* const completions_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  bool done_ = false;  // the queue's thread only
  Step<ServerCall> on_arrived_{this, &ServerCall::Arrived};
  Step<ServerCall> on_read_{this, &ServerCall::Read};
  Step<ServerCall> on_written_{this, &ServerCall::WriteCompleted};
  Step<ServerCall> on_finished_{this, &ServerCall::Finished};
  Step<ServerCall> on_done_{this, &ServerCall::Done};
};

void Drive(grpc::CompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) static_cast<Operation*>(tag)->Completed(ok);
}

// A completion queue and its thread. Shut down with the last owner, when no call can start another
// operation on it.
class DrivenQueue {
 public:
  explicit DrivenQueue(std::unique_ptr<grpc::CompletionQueue> queue)
      : queue_(std::move(queue)), thread_(Drive, queue_.get()) {}
  ~DrivenQueue() {
    queue_->Shutdown();
    thread_.join();
  }
  grpc::CompletionQueue* get() const { return queue_.get(); }

 private:
  const std::unique_ptr<grpc::CompletionQueue> queue_;
  std::thread thread_;
};

using DrivenQueues = std::vector<std::shared_ptr<DrivenQueue>>;

class GrpcListener : public Listener {
 public:
  ~GrpcListener() override {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    live_.AwaitNone();
    server_ = nullptr;  // before its queues
  }

  absl::Status Start(absl::string_view address, Service* service,
                     const GrpcNetworkOptions& options) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(std::string(address), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterAsyncGenericService(&generic_);
    builder.SetMaxReceiveMessageSize(options.message_bytes_max);
    builder.SetMaxSendMessageSize(options.message_bytes_max);
    // Without this two processes can share a port, and each gets half of the other's calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               static_cast<int>(options.keepalive_time / Milliseconds(2)));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
    for (int i = 0; i < options.server_threads; ++i) {
      queues.push_back(builder.AddCompletionQueue());
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      for (const auto& queue : queues) Drain(*queue);
      return absl::FailedPreconditionError(
          absl::StrCat("can't listen on ", address,
                       ": the address is in use, not of this machine, or not host:port"));
    }
    for (auto& queue : queues) {
      std::make_shared<ServerCall>(live_, generic_, service, queue.get())->Await();
      queues_.push_back(std::make_shared<DrivenQueue>(std::move(queue)));
    }
    return absl::OkStatus();
  }

  int port() const override { return port_; }
  const DrivenQueues& queues() const { return queues_; }

 private:
  using Milliseconds = std::chrono::milliseconds;

  // A queue must be empty before it is destroyed.
  static void Drain(grpc::CompletionQueue& queue) {
    queue.Shutdown();
    Drive(&queue);
  }

  grpc::AsyncGenericService generic_;
  LiveCalls live_;
  DrivenQueues queues_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// Calls that it starts share the queues of the first listener, if there is one: each further thread
// that polls costs a wake-up for many events of the others, as gRPC lets one poll for all.
class GrpcNetwork : public Network {
 public:
  explicit GrpcNetwork(const GrpcNetworkOptions& options) : options_(options) {}

  ~GrpcNetwork() override {
    {
      MutexLock lock(mutex_);
      for (const auto& weak : calls_) {
        if (const auto call = weak.lock()) call->Cancel();
      }
    }
    live_.AwaitNone();
  }

  std::shared_ptr<Call> Start(absl::string_view address, absl::string_view method,
                              const CallOptions& options,
                              std::unique_ptr<CallHandler> handler) override {
    auto call = std::make_shared<ClientCall>(live_, options, std::move(handler));
    std::shared_ptr<grpc::Channel> channel;
    grpc::CompletionQueue* queue = nullptr;
    {
      MutexLock lock(mutex_);
      channel = ChannelTo(address, options.connection);
      while (queues_.size() < static_cast<size_t>(options_.client_threads)) {
        queues_.push_back(std::make_shared<DrivenQueue>(std::make_unique<grpc::CompletionQueue>()));
      }
      queue = queues_[next_queue_++ % queues_.size()]->get();
      if (calls_.size() >= sweep_at_) Sweep();
      calls_.push_back(call);
    }
    call->Start(channel, std::string(method), queue);
    return call;
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::string_view address,
                                                   Service* service) override {
    auto listener = std::make_unique<GrpcListener>();
    absl::Status started = listener->Start(address, service, options_);
    if (!started.ok()) return started;
    {
      MutexLock lock(mutex_);
      if (queues_.empty()) queues_ = listener->queues();
    }
    return std::unique_ptr<Listener>(std::move(listener));
  }

 private:
  std::shared_ptr<grpc::Channel> ChannelTo(absl::string_view address, absl::string_view connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto& channel = channels_[{std::string(address), std::string(connection)}];
    if (channel != nullptr) return channel;
    grpc::ChannelArguments arguments;
    const auto set_ms = [&arguments](const char* name, Duration value) {
      arguments.SetInt(name, static_cast<int>(value / std::chrono::milliseconds(1)));
    };
    arguments.SetMaxReceiveMessageSize(options_.message_bytes_max);
    arguments.SetMaxSendMessageSize(options_.message_bytes_max);
    // Channels of equal arguments would share one connection whatever their purpose.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    set_ms(GRPC_ARG_KEEPALIVE_TIME_MS, options_.keepalive_time);
    set_ms(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options_.keepalive_timeout);
    set_ms(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, options_.reconnect_min);
    set_ms(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, options_.connect_timeout);
    set_ms(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, options_.reconnect_max);
    channel = grpc::CreateCustomChannel(std::string(address), grpc::InsecureChannelCredentials(),
                                        arguments);
    return channel;
  }

  // Forgets calls that are gone; the next sweep comes when the list has doubled.
  void Sweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::erase_if(calls_, [](const auto& weak) { return weak.expired(); });
    sweep_at_ = std::max<size_t>(64, 2 * calls_.size());
  }

  const GrpcNetworkOptions options_;
  LiveCalls live_;

  Mutex mutex_;
  DrivenQueues queues_ ABSL_GUARDED_BY(mutex_);  // of the calls that are started here
  size_t next_queue_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<grpc::Channel>> channels_
      ABSL_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<ClientCall>> calls_ ABSL_GUARDED_BY(mutex_);
  size_t sweep_at_ ABSL_GUARDED_BY(mutex_) = 64;
};

}  // namespace

std::unique_ptr<Network> NewGrpcNetwork(const GrpcNetworkOptions& options) {
  // Debian's Abseil keeps a graph of all lock orders to find deadlocks: gRPC takes thousands of
  // locks a second, and each would be looked up in it under one global lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return std::make_unique<GrpcNetwork>(options);
}

}  // namespace ringleader
