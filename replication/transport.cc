#include "replication/transport.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/coding.h"
#include "common/logging.h"

namespace ringleader::replication {
namespace {

constexpr char kFrameVersion = 1;
constexpr absl::string_view kMethods[kLanes] = {
    "/ringleader.replication.v1.Replication/Control",
    "/ringleader.replication.v1.Replication/Append",
    "/ringleader.replication.v1.Replication/Snapshot",
};
constexpr absl::string_view kConnections[kLanes] = {"raft-control", "raft-append", "raft-snapshot"};
constexpr absl::string_view kClusterKey = "ring-cluster";
constexpr absl::string_view kFromKey = "ring-from";
constexpr absl::string_view kToKey = "ring-to";
constexpr absl::string_view kPromiseKey = "ring-promise-us";

uint64_t MetadataNumber(const CallMetadata& metadata, absl::string_view key) {
  uint64_t number = 0;
  for (const auto& [name, value] : metadata) {
    if (name == key && !absl::SimpleAtoi(value, &number)) return 0;
  }
  return number;
}

}  // namespace

absl::string_view LaneMethod(Lane lane) { return kMethods[static_cast<size_t>(lane)]; }

// One direction of one lane to one node.
//
// Invariants:
//   1. Frames leave in the order their messages were queued, one call at a time.
//   2. `queued_bytes_` is the size of `frames_` and never exceeds the lane's bound by more than one
//   message.
//   3. A call's events count only while `incarnation_` is the one it was started with.
class Transport::OutgoingLane : public std::enable_shared_from_this<OutgoingLane> {
 public:
  OutgoingLane(Transport& owner, NodeId to, Lane lane) : owner_(owner), to_(to), lane_(lane) {}

  void SetAddress(absl::string_view address) {
    MutexLock lock(mutex_);
    address_ = std::string(address);
  }

  // True if this made the lane dirty: it was empty before.
  bool Queue(absl::string_view message, bool* dropped) {
    MutexLock lock(mutex_);
    const uint64_t bound = owner_.options_.queue_bytes_max[static_cast<size_t>(lane_)];
    *dropped = queued_bytes_ > 0 && queued_bytes_ + message.size() > bound;
    *dropped |= call_ == nullptr && owner_.clock_.Now().raw < redial_at_;
    if (*dropped) {
      ++statistics_.messages_dropped;
      return false;
    }
    const bool was_empty = queued_bytes_ == 0;
    if (frames_.empty() || frames_.back().size() >= owner_.options_.frame_bytes_max) {
      frames_.emplace_back(1, kFrameVersion);
    }
    PutVarint(message.size(), frames_.back());
    frames_.back().append(message.data(), message.size());
    queued_bytes_ += message.size();
    ++queued_messages_;
    return was_empty;
  }

  void Flush() {
    uint64_t dial = 0;
    {
      MutexLock lock(mutex_);
      if (queued_bytes_ == 0 || writing_) return;
      if (call_ == nullptr) {
        dial = ++incarnation_;
        writing_ = true;  // nobody else dials or writes meanwhile
      }
    }
    if (dial != 0) Dial(dial);
    MutexLock lock(mutex_);
    if (dial != 0 && incarnation_ == dial) writing_ = false;
    WriteQueued();
  }

  void SendIdle(uint64_t incarnation) {
    MutexLock lock(mutex_);
    if (incarnation != incarnation_) return;
    writing_ = false;
    redial_wait_ = Duration(0);  // it works: the next break is the first again
    WriteQueued();
  }

  void CallEnded(uint64_t incarnation, const absl::Status& status);

  TransportStatistics::PerLane statistics() const {
    MutexLock lock(mutex_);
    TransportStatistics::PerLane now = statistics_;
    now.connected = call_ != nullptr;
    return now;
  }

  // The transport goes away: no more events reach it.
  void Close() {
    std::shared_ptr<Call> call;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      ++incarnation_;
      call = std::move(call_);
    }
    if (call != nullptr) call->Finish(absl::CancelledError("the transport is stopping"));
  }

 private:
  void Dial(uint64_t incarnation);

  void WriteQueued() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (call_ == nullptr || writing_ || queued_bytes_ == 0) return;
    for (std::string& frame : frames_) {
      const uint64_t bytes = frame.size();
      if (!call_->Send(std::move(frame))) break;  // ended: CallEnded follows
      ++statistics_.frames_sent;
      statistics_.bytes_sent += bytes;
    }
    statistics_.messages_sent += queued_messages_;
    DropQueue();
    writing_ = true;
  }

  void DropQueue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    frames_.clear();
    queued_bytes_ = 0;
    queued_messages_ = 0;
  }

  Transport& owner_;
  const NodeId to_;
  const Lane lane_;

  mutable Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::string address_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mutex_);
  uint64_t incarnation_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::string> frames_ ABSL_GUARDED_BY(mutex_);
  uint64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t queued_messages_ ABSL_GUARDED_BY(mutex_) = 0;
  Duration redial_at_ ABSL_GUARDED_BY(mutex_){0};  // by the raw clock
  Duration redial_wait_ ABSL_GUARDED_BY(mutex_){0};
  TransportStatistics::PerLane statistics_ ABSL_GUARDED_BY(mutex_);
};

class Transport::OutgoingHandler : public CallHandler {
 public:
  OutgoingHandler(std::shared_ptr<OutgoingLane> lane, uint64_t incarnation)
      : lane_(std::move(lane)), incarnation_(incarnation) {}
  void OnMessage(std::string) override {}  // nothing is said in this direction
  void OnSendIdle() override { lane_->SendIdle(incarnation_); }
  void OnEnd(const absl::Status& status) override { lane_->CallEnded(incarnation_, status); }

 private:
  const std::shared_ptr<OutgoingLane> lane_;
  const uint64_t incarnation_;
};

void Transport::OutgoingLane::Dial(uint64_t incarnation) {
  std::string address;
  {
    MutexLock lock(mutex_);
    address = address_;
  }
  CallOptions options;
  options.metadata = {{std::string(kClusterKey), absl::StrCat(owner_.options_.cluster)},
                      {std::string(kFromKey), absl::StrCat(owner_.options_.node)},
                      {std::string(kToKey), absl::StrCat(to_)},
                      {std::string(kPromiseKey), absl::StrCat(owner_.options_.promise_us)}};
  // The lane bounds what is queued; the call must take a whole frame when it is idle.
  options.send_queue_bytes_max =
      2 * owner_.options_.queue_bytes_max[static_cast<size_t>(lane_)] + (64 << 20);
  options.connection = std::string(kConnections[static_cast<size_t>(lane_)]);
  // Unlocked: the handler's events may come before Start returns.
  std::shared_ptr<Call> call =
      owner_.network_.Start(address, LaneMethod(lane_), options,
                            std::make_unique<OutgoingHandler>(shared_from_this(), incarnation));
  MutexLock lock(mutex_);
  if (closed_ || incarnation_ != incarnation) {
    lock.Unlock();
    call->Finish(absl::CancelledError("the transport is stopping"));
    lock.Lock();
    return;
  }
  call_ = std::move(call);
}

void Transport::OutgoingLane::CallEnded(uint64_t incarnation, const absl::Status& status) {
  MutexLock lock(mutex_);
  if (closed_ || incarnation != incarnation_) return;
  ++incarnation_;
  call_ = nullptr;
  writing_ = false;
  ++statistics_.breaks;
  statistics_.messages_dropped += queued_messages_;
  DropQueue();
  redial_wait_ =
      std::clamp(2 * redial_wait_, owner_.options_.redial_min, owner_.options_.redial_max);
  redial_at_ = owner_.clock_.Now().raw + redial_wait_;
  LogDebug("transport: ", kConnections[static_cast<size_t>(lane_)], " to node ", to_,
           " ended: ", status.ToString());
  // Under the lock, so that Close waits for it: afterwards the handler may go away.
  owner_.handler_.OnUnreachable(to_, lane_);
}

class Transport::IncomingHandler : public CallHandler {
 public:
  IncomingHandler(Transport& transport, std::shared_ptr<Call> call, Sender from, Lane lane)
      : transport_(transport), call_(std::move(call)), from_(from), lane_(lane) {}

  void OnMessage(std::string frame) override {
    std::vector<absl::string_view> messages;
    Decoder decoder(frame);
    const bool known = decoder.Byte() == static_cast<uint8_t>(kFrameVersion);
    while (known && decoder.ok() && decoder.remaining() > 0) {
      messages.push_back(decoder.LengthPrefixed());
    }
    if (!known || !decoder.ok()) {
      call_->Finish(absl::InvalidArgumentError("malformed or unknown frame"));
      return;
    }
    {
      MutexLock lock(transport_.mutex_);
      transport_.received_[static_cast<size_t>(lane_)] += messages.size();
      transport_.received_bytes_[static_cast<size_t>(lane_)] += frame.size();
    }
    transport_.handler_.OnFrame(from_, lane_, messages);
  }
  void OnPeerFinished() override { call_->Finish(absl::OkStatus()); }
  void OnEnd(const absl::Status&) override {}

 private:
  Transport& transport_;
  const std::shared_ptr<Call> call_;
  const Sender from_;
  const Lane lane_;
};

Transport::Transport(Network& network, Clock& clock, TransportHandler& handler,
                     const TransportOptions& options)
    : network_(network), clock_(clock), handler_(handler), options_(options) {
  CHECK_NE(options.cluster, 0u);
  CHECK_NE(options.node, 0u);
}

Transport::~Transport() {
  std::vector<std::shared_ptr<OutgoingLane>> lanes;
  {
    MutexLock lock(mutex_);
    for (const auto& [node, its_lanes] : lanes_) {
      lanes.insert(lanes.end(), its_lanes.begin(), its_lanes.end());
    }
  }
  for (const auto& lane : lanes) lane->Close();
}

void Transport::SetAddress(NodeId node, absl::string_view address) {
  CHECK_NE(node, 0u);
  MutexLock lock(mutex_);
  auto& lanes = lanes_[node];
  for (size_t i = 0; i < kLanes; ++i) {
    if (lanes[i] == nullptr) {
      lanes[i] = std::make_shared<OutgoingLane>(*this, node, static_cast<Lane>(i));
    }
    lanes[i]->SetAddress(address);
  }
}

bool Transport::Send(NodeId to, Lane lane, absl::string_view message) {
  const size_t number = static_cast<size_t>(lane);
  std::shared_ptr<OutgoingLane> outgoing;
  {
    MutexLock lock(mutex_);
    const auto found = lanes_.find(to);
    if (found == lanes_.end()) {
      ++unknown_drops_[number];
      return false;
    }
    outgoing = found->second[number];
  }
  bool dropped = false;
  if (outgoing->Queue(message, &dropped)) {
    MutexLock lock(mutex_);
    dirty_.push_back(std::move(outgoing));
  }
  return !dropped;
}

void Transport::Flush() {
  std::vector<std::shared_ptr<OutgoingLane>> dirty;
  {
    MutexLock lock(mutex_);
    dirty.swap(dirty_);
  }
  for (const auto& lane : dirty) lane->Flush();
}

bool Transport::IsLaneMethod(absl::string_view method) {
  for (const absl::string_view lane_method : kMethods) {
    if (method == lane_method) return true;
  }
  return false;
}

absl::StatusOr<std::unique_ptr<CallHandler>> Transport::Accept(const IncomingCall& incoming) {
  const uint64_t cluster = MetadataNumber(incoming.metadata, kClusterKey);
  Sender from{.node = MetadataNumber(incoming.metadata, kFromKey)};
  const uint64_t promised_us = MetadataNumber(incoming.metadata, kPromiseKey);
  if (promised_us != 0) from.promised_us = promised_us;
  const NodeId to = MetadataNumber(incoming.metadata, kToKey);
  if (cluster != options_.cluster || to != options_.node || from.node == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("this is node ", options_.node, " of cluster ", options_.cluster,
                     "; the call is for node ", to, " of cluster ", cluster));
  }
  for (size_t i = 0; i < kLanes; ++i) {
    if (incoming.method == kMethods[i]) {
      return std::make_unique<IncomingHandler>(*this, incoming.call, from, static_cast<Lane>(i));
    }
  }
  return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
}

TransportStatistics Transport::statistics() const {
  TransportStatistics sum;
  MutexLock lock(mutex_);
  for (const auto& [node, lanes] : lanes_) {
    for (size_t i = 0; i < kLanes; ++i) {
      const TransportStatistics::PerLane one = lanes[i]->statistics();
      sum.lanes[i].messages_sent += one.messages_sent;
      sum.lanes[i].frames_sent += one.frames_sent;
      sum.lanes[i].bytes_sent += one.bytes_sent;
      sum.lanes[i].messages_dropped += one.messages_dropped;
      sum.lanes[i].breaks += one.breaks;
      sum.lanes[i].connected += one.connected;
    }
  }
  for (size_t i = 0; i < kLanes; ++i) {
    sum.lanes[i].messages_dropped += unknown_drops_[i];
    sum.lanes[i].messages_received = received_[i];
    sum.lanes[i].bytes_received = received_bytes_[i];
  }
  return sum;
}

}  // namespace ringleader::replication
