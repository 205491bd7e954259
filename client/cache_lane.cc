#include "client/cache_lane.h"

#include <algorithm>
#include <vector>

#include "common/check.h"
#include "common/mutants.h"
#include "common/status.h"
#include "model/item_codec.h"

namespace ringleader::client {
namespace {

constexpr absl::string_view kMethod = "/ringleader.cache.v1.Cache/Session";

}  // namespace

// Decodes on the network's threads and posts.
class CacheLane::Handler : public CallHandler {
 public:
  Handler(std::weak_ptr<CacheLane> lane, std::shared_ptr<Gate> gate, uint64_t stream)
      : lane_(std::move(lane)), gate_(std::move(gate)), stream_(stream) {}

  void OnMessage(std::string bytes) override {
    cache::v1::ToClient message;
    if (!IsCacheFrameBounded(bytes, kCacheFrameBytesMax, kCacheFrameMessagesMax) ||
        !message.ParseFromString(bytes)) {
      return Post([stream = stream_](CacheLane& lane) {
        if (stream == lane.stream_) lane.End(absl::DataLossError("a message can't be read"));
      });
    }
    Post([stream = stream_, message = std::move(message)](CacheLane& lane) mutable {
      lane.Taken(stream, std::move(message));
    });
  }
  void OnSendIdle() override {
    {
      MutexLock lock(gate_->mutex);
      if (gate_->stream != stream_) return;
      gate_->is_frame_out = false;
      if (!std::exchange(gate_->wants_idle, false)) return;
    }
    Post([stream = stream_](CacheLane& lane) { lane.SendIdle(stream); });
  }
  void OnEnd(const absl::Status& status) override {
    Post([stream = stream_, status](CacheLane& lane) { lane.Ended(stream, status); });
  }

 private:
  void Post(absl::AnyInvocable<void(CacheLane&)> event) {
    MutexLock lock(gate_->mutex);
    if (gate_->executor == nullptr) return;
    gate_->executor->Post([lane = lane_, event = std::move(event)]() mutable {
      if (const auto alive = lane.lock(); alive != nullptr) event(*alive);
    });
  }

  const std::weak_ptr<CacheLane> lane_;
  const std::shared_ptr<Gate> gate_;
  const uint64_t stream_;
};

CacheLane::~CacheLane() {
  {
    MutexLock lock(gate_->mutex);
    gate_->executor = nullptr;
  }
  if (call_ != nullptr) call_->Finish(absl::CancelledError("the client is closing"));
}

// --- The stream ---------------------------------------------------------------------------------

bool CacheLane::Open() {
  if (call_ != nullptr) return true;
  if (ended_.has_value() && HolderElapsed(*ended_, clock_.Now()) < reopen_after_) return false;
  {
    MutexLock lock(gate_->mutex);
    gate_->executor = &executor_;
    gate_->stream = ++stream_;
    gate_->is_frame_out = gate_->wants_idle = false;
  }
  has_answered_ = false;
  waiting_.Clear();
  cache::v1::Open open;
  open.set_client(client_);
  open.set_incarnation(stream_);
  *waiting_.For(open.ByteSizeLong()).mutable_open() = open;
  CallOptions options;
  options.connection = "cache";  // behind no bulk answers
  call_ = network_.Start(address_, kMethod, options,
                         std::make_unique<Handler>(weak_from_this(), gate_, stream_));
  return true;
}

// Otherwise Flush is called when the network has let go of the frame that it has.
bool CacheLane::MaySend() {
  MutexLock lock(gate_->mutex);
  gate_->wants_idle = gate_->is_frame_out;
  return !gate_->is_frame_out;
}

// One turn later: what else this turn asks for goes into the same frame.
void CacheLane::FlushSoon() {
  has_waiting_ = true;
  if (is_flush_posted_ || !MaySend()) return;
  is_flush_posted_ = true;
  executor_.Post([weak = weak_from_this()] {
    const auto lane = weak.lock();
    if (lane == nullptr) return;
    lane->is_flush_posted_ = false;
    lane->Flush();
  });
}

void CacheLane::Flush() {
  if (call_ == nullptr || !has_waiting_ || !MaySend()) return;
  std::string frame = waiting_.Pop();
  has_waiting_ = !waiting_.empty();
  {
    MutexLock lock(gate_->mutex);
    gate_->is_frame_out = true;
    gate_->wants_idle = has_waiting_;
  }
  if (!call_->Send(std::move(frame))) {
    End(absl::UnavailableError("the stream takes no more"));
  }
}

void CacheLane::SendIdle(uint64_t stream) {
  if (stream == stream_ && call_ != nullptr) Flush();
}

void CacheLane::Ended(uint64_t stream, const absl::Status& status) {
  if (stream == stream_) End(status);
}

// Nothing extends what was granted any more. The entries stay until their deadline: the node waits
// for that.
void CacheLane::End(const absl::Status& status) {
  if (call_ == nullptr) return;
  call_->Finish(absl::CancelledError("the session is over"));
  call_ = nullptr;
  ++stream_;  // events that are still to come are another's
  has_waiting_ = false;
  ended_ = clock_.Now();
  const bool refused = absl::IsResourceExhausted(status) || absl::IsUnimplemented(status);
  reopen_after_ =
      has_answered_ && !refused
          ? options_.reopen_min
          : std::min(refused ? options_.reopen_max : 2 * reopen_after_, options_.reopen_max);
  if (!MUTANT("entries-outlive-incarnation")) grants_.clear();
  fills_ = reads_ = 0;
  for (auto& [number, request] : std::exchange(requests_, {})) {
    if (request.done) request.done(std::nullopt);
  }
  if (left_) std::exchange(left_, nullptr)();
}

// A renewal is answered behind what went before it in its partition, and what goes to others is on
// its way there when it is.
void CacheLane::Leave(absl::AnyInvocable<void()> left) {
  is_leaving_ = true;
  if (call_ == nullptr || grants_.empty()) return left();
  left_ = std::move(left);
  auto& [where, grants] = *grants_.begin();
  Renew(where, grants, clock_.Now());
  last_renewal_ = last_number_;
}

void CacheLane::Close() { End(absl::CancelledError("the client is closing")); }

// --- Requests -----------------------------------------------------------------------------------

bool CacheLane::Fill(data::v1::Request request, const std::string& key, Duration wait_max,
                     FillDone done) {
  if (fills_ >= options_.fills_max || !Open()) return false;
  Ask({.made = clock_.Now(),
       .key = key,
       .done = std::move(done),
       .is_fill = true,
       .wait_max = std::min(wait_max, options_.fill_wait_max)},
      std::move(request));
  return true;
}

bool CacheLane::Read(data::v1::Request request, Duration wait_max, FillDone done) {
  if (fills_ >= options_.fills_max || reads_ >= options_.reads_max || !Open()) return false;
  ++reads_;
  Ask({.made = clock_.Now(),
       .key = "",
       .done = std::move(done),
       .is_fill = true,
       .no_grant = true,
       .wait_max = std::min(wait_max, options_.fill_wait_max)},
      std::move(request));
  return true;
}

void CacheLane::Ask(Request request, data::v1::Request read) {
  const uint64_t number = ++last_number_;
  cache::v1::Fill fill;
  fill.set_number(number);
  fill.set_no_grant(request.no_grant);
  *fill.mutable_request() = std::move(read);
  requests_.emplace(number, std::move(request));
  ++fills_;
  *waiting_.For(fill.ByteSizeLong()).add_fills() = std::move(fill);
  FlushSoon();
}

void CacheLane::Renew(const PartitionTerm& where, Grants& grants, const Instant& now) {
  const uint64_t number = ++last_number_;
  requests_.emplace(number, Request{.made = now});
  grants.is_asked = true;
  cache::v1::Renew renewal;
  renewal.set_number(number);
  renewal.set_partition(where.first);
  renewal.set_term(where.second);
  *waiting_.For(renewal.ByteSizeLong()).add_renewals() = renewal;
  FlushSoon();
}

// Nobody waits for it: it goes out with what goes out next, at the latest with the next tending.
void CacheLane::GiveBack(const ItemCache::Dropped& dropped) {
  const GrantOrigin& origin = dropped.deadline->origin();
  if (call_ == nullptr || origin.lane != this || origin.stream != stream_) return;
  Release(origin.partition, origin.term, dropped.key, dropped.fill);
}

void CacheLane::Release(uint64_t partition, uint64_t term, const std::string& key, uint64_t fill) {
  cache::v1::Release release;
  release.set_partition(partition);
  release.set_term(term);
  release.set_key(key);
  release.set_fill(fill);
  *waiting_.For(release.ByteSizeLong()).add_releases() = std::move(release);
}

template <typename Condition>
void CacheLane::GiveUp(Condition is_given_up) {
  std::vector<FillDone> given_up;
  for (auto& [number, request] : requests_) {
    if (request.done && is_given_up(request)) {
      given_up.push_back(std::exchange(request.done, nullptr));
    }
  }
  for (FillDone& done : given_up) done(std::nullopt);
}

void CacheLane::GiveUpFills() {
  GiveUp([](const Request&) { return true; });
}

void CacheLane::GiveUpOverdue() {
  GiveUp([now = clock_.Now()](const Request& request) {
    return HolderElapsed(request.made, now) >= request.wait_max;
  });
}

bool CacheLane::Tend() {
  if (call_ == nullptr) return false;
  if (!waiting_.empty()) FlushSoon();
  const Instant now = clock_.Now();
  if (!requests_.empty() &&
      HolderElapsed(requests_.begin()->second.made, now) >= options_.answer_max) {
    End(absl::DeadlineExceededError("the node does not answer"));
    return false;
  }
  GiveUpOverdue();
  for (auto at = grants_.begin(); at != grants_.end();) {
    auto& [where, grants] = *at;
    const bool has_entries = grants.deadline.use_count() > 1;
    const bool is_over = grants.deadline->Load().IsOver(now);
    if (is_over && !grants.is_asked && (!has_entries || grants.is_refused)) {
      at = grants_.erase(at);
      continue;
    }
    // Three attempts before the deadline.
    const bool is_due = HolderElapsed(grants.extended, now) >= grants.life / 2;
    if (has_entries && is_due && !grants.is_asked && !grants.is_refused) Renew(where, grants, now);
    ++at;
  }
  return !grants_.empty() || !requests_.empty();
}

// --- What the node says -------------------------------------------------------------------------

void CacheLane::Taken(uint64_t stream, cache::v1::ToClient message) {
  for (cache::v1::Event& event : *message.mutable_events()) {
    if (stream != stream_ || call_ == nullptr) return;
    if (!std::exchange(has_answered_, true)) reopen_after_ = options_.reopen_min;
    if (event.has_filled()) {
      TakeFilled(*event.mutable_filled());
    } else if (event.has_renewed()) {
      TakeRenewed(event.renewed());
    } else if (event.has_invalidate()) {
      TakeInvalidate(event.invalidate());
    }
  }
}

void CacheLane::TakeFilled(cache::v1::Filled& filled) {
  auto node = requests_.extract(filled.number());
  if (node.empty() || !node.mapped().is_fill) {
    return End(absl::DataLossError("an answer to nothing that was asked"));
  }
  Request& request = node.mapped();
  --fills_;
  if (request.no_grant) --reads_;
  Answer answer{.response = std::move(*filled.mutable_response())};
  const bool is_granted = filled.life_us() > 0 && !request.no_grant && !is_leaving_ &&
                          answer.response.error() == data::v1::ERROR_NONE;
  std::optional<model::Item> item;
  if (is_granted && answer.response.found()) {
    absl::StatusOr<model::Item> decoded = model::DecodeItem(answer.response.item());
    if (!decoded.ok()) {
      if (request.done) request.done(std::nullopt);
      return End(Annotate(decoded.status(), "an item that was granted"));
    }
    item = *std::move(decoded);
  }
  if (is_granted) {
    const Duration life = std::chrono::microseconds(filled.life_us());
    Grants& grants = grants_[{filled.partition(), filled.term()}];
    if (grants.deadline == nullptr) {
      grants.deadline = std::make_shared<GrantDeadline>(
          GrantOrigin{this, stream_, filled.partition(), filled.term()});
    }
    const auto dropped = cache_.Insert(request.key, item, answer.response.item_version(),
                                       grants.deadline, filled.number());
    observer_.Inserted(request.key, answer.response.item_version(), grants.deadline, dropped);
    grants.life = life;
    grants.extended = MUTANT("deadline-from-receipt") ? clock_.Now() : request.made;
    grants.deadline->Extend(grants.extended, life);
    grants.is_refused = false;
    answer.holds_now = !grants.deadline->Load().IsOver(clock_.Now());
  }
  if (is_leaving_ && filled.life_us() > 0) {  // it came too late to be kept
    Release(filled.partition(), filled.term(), request.key, filled.number());
    FlushSoon();
  }
  if (request.done) request.done(std::move(answer));
}

void CacheLane::TakeRenewed(const cache::v1::Renewed& renewed) {
  auto node = requests_.extract(renewed.number());
  if (node.empty() || node.mapped().is_fill) {
    if (!node.empty() && node.mapped().done) node.mapped().done(std::nullopt);
    return End(absl::DataLossError("an answer to nothing that was asked"));
  }
  if (left_ && renewed.number() == last_renewal_) return std::exchange(left_, nullptr)();
  const auto found = grants_.find({renewed.partition(), renewed.term()});
  if (found == grants_.end()) return;
  Grants& grants = found->second;
  grants.is_asked = false;
  grants.is_refused = renewed.life_us() == 0;
  if (grants.is_refused) return;
  grants.life = std::chrono::microseconds(renewed.life_us());
  grants.extended = MUTANT("deadline-from-receipt") ? clock_.Now() : node.mapped().made;
  grants.deadline->Extend(grants.extended, grants.life);
}

void CacheLane::TakeInvalidate(const cache::v1::Invalidate& invalidate) {
  const auto found = grants_.find({invalidate.partition(), invalidate.term()});
  // What this stream was granted and is over has no place here any more, and is not readable.
  if (found != grants_.end() && !MUTANT("acknowledges-unerased")) {
    const GrantDeadline* const deadline = found->second.deadline.get();
    if (cache_.Erase(invalidate.key(), deadline)) observer_.Erased(invalidate.key(), deadline);
  }
  cache::v1::Acknowledge acknowledge;
  acknowledge.set_partition(invalidate.partition());
  acknowledge.set_term(invalidate.term());
  acknowledge.set_number(invalidate.number());
  *waiting_.For(acknowledge.ByteSizeLong()).add_acknowledgements() = acknowledge;
  FlushSoon();
}

}  // namespace ringleader::client
