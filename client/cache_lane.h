// A client's cache session with one node: the lane on which the node grants items, renews what it
// granted and takes it back (node/cache.md).
//
// Invariants
//   1. What the node sent is taken in its order. An invalidation is acknowledged after no lookup
//      that begins can find the entry any more.
//   2. A stream is one incarnation: its deadlines are extended by its own answers only, and by each
//      from when its request was made, which is before it was sent.
//   3. What memory dropped is given back to the node that granted it, by the fill that brought it.
//      It then costs no invalidation, and no place there.
//   4. A fill gets exactly one answer; none was to be had if the stream ends before.
//
// Renewed is what has entries, and only while it has. A stream that leaves a request unanswered for
// `answer_max` is ended. Outstanding requests are bounded.
//
// Threads: the executor; of its streams' events, those that come after it is gone find nothing.
#ifndef RINGLEADER_CLIENT_CACHE_LANE_H_
#define RINGLEADER_CLIENT_CACHE_LANE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "client/cache_frames.h"
#include "client/grant_deadline.h"
#include "client/item_cache.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "common/network.h"
#include "ringleader/cache/v1/cache.pb.h"

namespace ringleader::client {

struct CacheLaneOptions {
  size_t fills_max = 4096;  // outstanding
  size_t reads_max = 256;   // of them, those for no grant: a fill waits for what is before it
  Duration answer_max = std::chrono::seconds(3);
  // Who waits for a fill asks elsewhere after this; the grant that may still come is taken.
  Duration fill_wait_max = answer_max;
  // Between two attempts to open a stream, doubling while none is answered.
  Duration reopen_min = std::chrono::milliseconds(50);
  Duration reopen_max = std::chrono::seconds(5);
};

class CacheLane : public std::enable_shared_from_this<CacheLane> {
 public:
  struct Answer {
    data::v1::Response response;
    // Granted, and at this moment neither taken back nor over: the answer holds for every read that
    // is under way now, whenever it began.
    bool holds_now = false;
  };
  // Told of what the lane did to memory, before it does anything else.
  class Observer {
   public:
    virtual ~Observer() = default;
    // An item came in, and `dropped` made room for it, of whichever lane; or it is among them
    // itself.
    virtual void Inserted(const std::string& key, uint64_t version,
                          const std::shared_ptr<const GrantDeadline>& deadline,
                          const std::vector<ItemCache::Dropped>& dropped) = 0;
    virtual void Erased(const std::string& key, const GrantDeadline* deadline) = 0;
  };
  // None: no answer is to be had here; ask elsewhere.
  using FillDone = absl::AnyInvocable<void(std::optional<Answer>)>;

  // All outlive it. `client`: a random number of this process.
  CacheLane(Network& network, Executor& executor, Clock& clock, ItemCache& cache,
            std::string address, uint64_t client, const CacheLaneOptions& options,
            Observer& observer)
      : network_(network),
        executor_(executor),
        clock_(clock),
        cache_(cache),
        address_(std::move(address)),
        client_(client),
        options_(options),
        observer_(observer),
        reopen_after_(options.reopen_min) {}
  ~CacheLane();
  CacheLane(const CacheLane&) = delete;
  CacheLane& operator=(const CacheLane&) = delete;

  // Asks for an item and its grant, and waits so long at most; `key` is the whole key. False, and
  // `done` is not called: there is no stream at the moment, or it has enough to do.
  bool Fill(data::v1::Request request, const std::string& key, Duration wait_max, FillDone done);
  // Asks for an item alone, for so long at most: what is asked on one stream travels in fewer
  // frames.
  bool Read(data::v1::Request request, Duration wait_max, FillDone done);

  // Answers what is asked for with nothing: all, or that which has waited for its longest time. The
  // grants that still come are taken.
  void GiveUpFills();
  void GiveUpOverdue();

  // Gives back what memory dropped, if this stream was granted it.
  void GiveBack(const ItemCache::Dropped& dropped);

  // Renews what is due; called every `kTendPeriod`. False: there is nothing to tend.
  static constexpr Duration kTendPeriod = std::chrono::milliseconds(100);
  bool Tend();

  // After all was given back: takes no grant any more, and calls `left` when the node has taken
  // that in, or the stream is over.
  void Leave(absl::AnyInvocable<void()> left);
  // Answers everything, and ends the stream.
  void Close();

  bool is_open() const { return call_ != nullptr; }
  uint64_t incarnation() const { return stream_; }

 private:
  class Handler;
  struct Request {
    Instant made;
    std::string key;  // of a fill
    FillDone done;    // null: a renewal, or a fill that was given up
    bool is_fill = false;
    bool no_grant = false;
    Duration wait_max{0};  // for a fill's answer
  };
  // What was granted in one partition and term, by this stream.
  struct Grants {
    std::shared_ptr<GrantDeadline> deadline;
    Duration life{0};  // that the last answer gave
    Instant extended;  // when that was asked for
    bool is_asked = false;
    bool is_refused = false;
  };
  using PartitionTerm = std::pair<uint64_t, uint64_t>;

  bool Open();
  bool MaySend();
  void FlushSoon();
  void Flush();
  void End(const absl::Status& status);
  void Ask(Request request, data::v1::Request read);
  void Release(uint64_t partition, uint64_t term, const std::string& key, uint64_t fill);
  template <typename Condition>
  void GiveUp(Condition is_given_up);
  void Renew(const PartitionTerm& where, Grants& grants, const Instant& now);

  // Of stream number `stream`; ignored if that is over.
  void Taken(uint64_t stream, cache::v1::ToClient message);
  void SendIdle(uint64_t stream);
  void Ended(uint64_t stream, const absl::Status& status);
  void TakeFilled(cache::v1::Filled& filled);
  void TakeRenewed(const cache::v1::Renewed& renewed);
  void TakeInvalidate(const cache::v1::Invalidate& invalidate);

  Network& network_;
  Executor& executor_;
  Clock& clock_;
  ItemCache& cache_;
  const std::string address_;
  const uint64_t client_;
  const CacheLaneOptions options_;
  Observer& observer_;
  // What handlers of streams may reach, as long as it is there.
  struct Gate {
    Mutex mutex;
    Executor* executor ABSL_GUARDED_BY(mutex) = nullptr;
    uint64_t stream ABSL_GUARDED_BY(mutex) = 0;
    bool is_frame_out ABSL_GUARDED_BY(mutex) = false;  // in the network's hands
    bool wants_idle ABSL_GUARDED_BY(mutex) = false;    // to be told when it is not any more
  };
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::shared_ptr<Call> call_;              // null: no stream
  uint64_t stream_ = 0;                     // the incarnation
  CacheFrames<cache::v1::ToNode> waiting_;  // to be sent
  bool has_waiting_ = false;                // and somebody waits for it
  bool is_flush_posted_ = false;
  bool has_answered_ = false;  // this stream
  std::optional<Instant> ended_;
  Duration reopen_after_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, Request> requests_;
  size_t fills_ = 0;  // of requests_
  size_t reads_ = 0;  // of fills_
  std::map<PartitionTerm, Grants> grants_;
  bool is_leaving_ = false;
  uint64_t last_renewal_ = 0;        // whose answer says that it has left
  absl::AnyInvocable<void()> left_;  // null: it does not leave, or has left
};

}  // namespace ringleader::client

#endif  // RINGLEADER_CLIENT_CACHE_LANE_H_
