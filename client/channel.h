// Many requests on one Exchange stream to one address (DESIGN section 12). Batches adapt: a frame
// is never held back to fill it, and while one is in the network's hands the requests that come
// gather into the next. The stream is opened by the first request, and again after it broke.
//
// Invariants:
//   1. Every request that Submit took gets exactly one completion, unless it is forgotten.
//   2. A request is kNotSent only if no byte of it was given to the network.
//   3. At most one frame is in the network's hands.
//   4. Requests and bytes that wait or await an answer are bounded; what is over is refused at
//   once.
//
// Threads: every method and every completion on the executor, completions never from inside Submit.
// Owned by a shared_ptr; the executor outlives it, the network's calls may outlive both.
#ifndef RINGLEADER_CLIENT_CHANNEL_H_
#define RINGLEADER_CLIENT_CHANNEL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "common/network.h"
#include "ringleader/data/v1/data.pb.h"

namespace ringleader::client {

enum class Fate {
  kAnswered,  // `response`
  kNotSent,   // certainly not carried out
  kUnknown,   // sent; the stream broke before the answer
};

struct Completion {
  Fate fate = Fate::kNotSent;
  data::v1::Response response;
  absl::Status status;  // why there is no answer
};

using CompletionCallback = absl::AnyInvocable<void(Completion)>;

struct ChannelOptions {
  size_t requests_max = 16384;
  uint64_t bytes_max = 64 << 20;
  size_t frame_requests_max = 512;
  uint64_t frame_bytes_max = 1 << 20;
  // Between two attempts to open a stream.
  Duration reopen_min = std::chrono::milliseconds(20);
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(Network& network, Executor& executor, std::string address, const ChannelOptions& options);
  // Cancels the stream; completions that have not run never will.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Queues a request under an id of the channel's own, which is returned; 0, and the request was
  // not taken: a bound is reached.
  uint64_t Submit(data::v1::Request* request, CompletionCallback done);

  // Nobody waits for this one any more: no completion. True: it may have reached the peer.
  bool Forget(uint64_t id);

  // Completes everything, kNotSent or kUnknown, and ends the stream.
  void Close(const absl::Status& status);

  const std::string& address() const { return address_; }
  size_t outstanding() const { return outstanding_.size(); }
  uint64_t outstanding_bytes() const { return bytes_; }
  // Streams in a row that ended without a single answer; 0 after an answer.
  int failures() const { return failures_; }

 private:
  class Handler;
  // What the handlers of its streams may reach, as long as it is there.
  struct Gate {
    Mutex mutex;
    Executor* executor ABSL_GUARDED_BY(mutex) = nullptr;
  };
  struct Outstanding {
    CompletionCallback done;
    uint64_t bytes = 0;
    bool is_sent = false;
  };
  struct Waiting {
    uint64_t id = 0;
    std::string encoded;
  };

  void FlushSoon();
  void Flush();
  void Open();
  std::string NextFrame();
  void Answered(uint64_t stream, data::v1::ResponseFrame frame);
  void SendIdle(uint64_t stream);
  void Ended(uint64_t stream, const absl::Status& status);
  void FailAll(const absl::Status& status);

  Network& network_;
  Executor& executor_;
  const std::string address_;
  const ChannelOptions options_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::shared_ptr<Call> call_;  // null: no stream
  uint64_t stream_ = 0;         // its number; events of older ones are ignored
  bool is_frame_out_ = false;
  bool is_flush_posted_ = false;
  bool may_open_ = true;
  bool has_answered_ = false;  // this stream
  int failures_ = 0;
  uint64_t last_id_ = 0;
  uint64_t bytes_ = 0;  // of `outstanding_`
  std::deque<Waiting> waiting_;
  absl::flat_hash_map<uint64_t, Outstanding> outstanding_;
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_CHANNEL_H_
