#include "client/channel.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/check.h"

namespace ringleader::client {
namespace {

constexpr absl::string_view kMethod = "/ringleader.data.v1.Data/Exchange";
constexpr char kRequestsTag = 0x0A;  // RequestFrame.requests: field 1, length-delimited

void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

}  // namespace

// Decodes on the network's threads and posts.
class Channel::Handler : public CallHandler {
 public:
  Handler(std::weak_ptr<Channel> channel, std::shared_ptr<Gate> gate, uint64_t stream)
      : channel_(std::move(channel)), gate_(std::move(gate)), stream_(stream) {}

  void OnMessage(std::string message) override {
    data::v1::ResponseFrame frame;
    if (!frame.ParseFromString(message)) {
      return Post([stream = stream_](Channel& channel) {
        if (channel.stream_ != stream || channel.call_ == nullptr) return;
        channel.call_->Finish(absl::CancelledError("an answer that can't be read"));
        channel.Ended(stream, absl::DataLossError("the server sent an answer that can't be read"));
      });
    }
    Post([stream = stream_, frame = std::move(frame)](Channel& channel) mutable {
      channel.Answered(stream, std::move(frame));
    });
  }

  void OnSendIdle() override {
    Post([stream = stream_](Channel& channel) { channel.SendIdle(stream); });
  }

  void OnEnd(const absl::Status& status) override {
    Post([stream = stream_, status](Channel& channel) { channel.Ended(stream, status); });
  }

 private:
  void Post(absl::AnyInvocable<void(Channel&)> event) {
    MutexLock lock(gate_->mutex);
    if (gate_->executor == nullptr) return;
    gate_->executor->Post([channel = channel_, event = std::move(event)]() mutable {
      if (const auto alive = channel.lock(); alive != nullptr) event(*alive);
    });
  }

  const std::weak_ptr<Channel> channel_;
  const std::shared_ptr<Gate> gate_;
  const uint64_t stream_;
};

Channel::Channel(Network& network, Executor& executor, std::string address,
                 const ChannelOptions& options)
    : network_(network), executor_(executor), address_(std::move(address)), options_(options) {
  CHECK_GE(options_.frame_requests_max, size_t{1});
  MutexLock lock(gate_->mutex);
  gate_->executor = &executor;
}

Channel::~Channel() {
  {
    MutexLock lock(gate_->mutex);
    gate_->executor = nullptr;
  }
  if (call_ != nullptr) call_->Finish(absl::CancelledError("the client is closing"));
}

uint64_t Channel::Submit(data::v1::Request* request, CompletionCallback done) {
  if (outstanding_.size() >= options_.requests_max) return 0;
  const uint64_t id = last_id_ + 1;
  request->set_id(id);
  Waiting waiting{.id = id};
  request->AppendToString(&waiting.encoded);
  const uint64_t bytes = waiting.encoded.size();
  if (bytes_ > 0 && bytes_ + bytes > options_.bytes_max) return 0;
  last_id_ = id;
  bytes_ += bytes;
  outstanding_.emplace(id, Outstanding{.done = std::move(done), .bytes = bytes});
  waiting_.push_back(std::move(waiting));
  if (!is_frame_out_) FlushSoon();
  return id;
}

bool Channel::Forget(uint64_t id) {
  const auto found = outstanding_.find(id);
  if (found == outstanding_.end()) return true;
  const bool is_sent = found->second.is_sent;
  bytes_ -= found->second.bytes;
  outstanding_.erase(found);  // NextFrame passes over what is not there
  return is_sent;
}

void Channel::Close(const absl::Status& status) {
  if (call_ != nullptr) call_->Finish(absl::CancelledError("the client is closing"));
  call_ = nullptr;
  ++stream_;
  FailAll(status);
}

// One turn later: what else this turn submits goes into the same frame.
void Channel::FlushSoon() {
  if (is_flush_posted_) return;
  is_flush_posted_ = true;
  executor_.Post([weak = weak_from_this()] {
    const auto channel = weak.lock();
    if (channel == nullptr) return;
    channel->is_flush_posted_ = false;
    channel->Flush();
  });
}

void Channel::Flush() {
  if (is_frame_out_ || waiting_.empty()) return;
  if (call_ == nullptr) {
    if (!may_open_) return;  // the timer flushes
    Open();
  }
  std::string frame = NextFrame();
  if (frame.empty()) return;
  is_frame_out_ = true;
  // Refused only by a call that has ended: its OnEnd is on its way and completes everything. That
  // the frame was refused is not remembered: "unknown" is always safe.
  call_->Send(std::move(frame));
}

void Channel::Open() {
  CHECK(call_ == nullptr);
  ++stream_;
  is_frame_out_ = false;
  has_answered_ = false;
  may_open_ = false;
  executor_.PostAfter(options_.reopen_min, [weak = weak_from_this()] {
    const auto channel = weak.lock();
    if (channel == nullptr) return;
    channel->may_open_ = true;
    channel->Flush();
  });
  CallOptions call;
  call.connection = "data";
  call_ = network_.Start(address_, kMethod, call,
                         std::make_unique<Handler>(weak_from_this(), gate_, stream_));
}

std::string Channel::NextFrame() {
  std::string frame;
  for (size_t count = 0; count < options_.frame_requests_max && !waiting_.empty();) {
    Waiting& next = waiting_.front();
    const auto found = outstanding_.find(next.id);
    if (found == outstanding_.end()) {  // forgotten
      waiting_.pop_front();
      continue;
    }
    if (!frame.empty() && frame.size() + next.encoded.size() > options_.frame_bytes_max) break;
    found->second.is_sent = true;
    frame.push_back(kRequestsTag);
    AppendVarint(next.encoded.size(), &frame);
    frame.append(next.encoded);
    waiting_.pop_front();
    ++count;
  }
  return frame;
}

void Channel::Answered(uint64_t stream, data::v1::ResponseFrame frame) {
  if (stream != stream_) return;
  failures_ = 0;
  has_answered_ = true;
  for (data::v1::Response& response : *frame.mutable_responses()) {
    const auto found = outstanding_.find(response.id());
    // Unsent ones can't be answered; forgotten ones need not be.
    if (found == outstanding_.end() || !found->second.is_sent) continue;
    CompletionCallback done = std::move(found->second.done);
    bytes_ -= found->second.bytes;
    outstanding_.erase(found);
    done({.fate = Fate::kAnswered, .response = std::move(response)});
  }
}

void Channel::SendIdle(uint64_t stream) {
  if (stream != stream_) return;
  is_frame_out_ = false;
  Flush();
}

void Channel::Ended(uint64_t stream, const absl::Status& status) {
  if (stream != stream_) return;
  call_ = nullptr;
  ++stream_;
  if (!has_answered_) ++failures_;
  FailAll(status.ok() ? absl::UnavailableError("the server ended the stream") : status);
}

void Channel::FailAll(const absl::Status& status) {
  is_frame_out_ = false;
  waiting_.clear();
  bytes_ = 0;
  // Completions may submit again: into the new, empty tables. They run in the order of submission,
  // as what is tried again draws its pauses in that order: equal seeds give equal runs.
  auto failed = std::exchange(outstanding_, {});
  std::vector<uint64_t> ids;
  for (const auto& [id, outstanding] : failed) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const uint64_t id : ids) {
    Outstanding& outstanding = failed.at(id);
    outstanding.done(
        {.fate = outstanding.is_sent ? Fate::kUnknown : Fate::kNotSent, .status = status});
  }
}

}  // namespace ringleader::client
