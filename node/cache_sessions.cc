#include "node/cache_sessions.h"

#include <utility>

#include "common/mutants.h"

namespace ringleader {

CacheSessionId CacheSessions::Open(std::shared_ptr<Call> call) {
  MutexLock lock(mutex_);
  if (lanes_.size() >= options_.sessions_max) {
    refused_.Add();
    return 0;
  }
  const CacheSessionId session = ++last_;
  lanes_[session].call = std::move(call);
  return session;
}

std::set<replication::GroupId> CacheSessions::End(CacheSessionId session, const absl::Status& why) {
  MutexLock lock(mutex_);
  auto lane = lanes_.extract(session);
  if (lane.empty()) return {};
  Close(lane.mapped(), why);
  return std::move(lane.mapped().partitions);
}

bool CacheSessions::Send(CacheSessionId session, replication::GroupId partition,
                         cache::v1::Event event) {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  if (found == lanes_.end() || found->second.call == nullptr) return false;
  Lane& lane = found->second;
  lane.partitions.insert(partition);
  lane.waiting_bytes += event.ByteSizeLong();
  *lane.waiting.add_events() = std::move(event);
  if (lane.waiting_bytes > options_.queue_bytes_max && MUTANT("overflow-drops-invalidation")) {
    lane.waiting.mutable_events()->RemoveLast();
    return true;
  }
  if (lane.waiting_bytes > options_.queue_bytes_max) {
    overflowed_.Add();
    Close(lane, absl::ResourceExhaustedError("the cache session's messages are not read"));
    return false;
  }
  return lane.is_frame_out || Flush(lane);
}

// Nothing goes out any more: what waits never arrives, and nothing that is sent later does. The
// partitions are told once the call has ended.
void CacheSessions::Close(Lane& lane, const absl::Status& why) {
  if (lane.call != nullptr) lane.call->Finish(why);
  lane.call = nullptr;
  lane.waiting.Clear();
}

bool CacheSessions::Flush(Lane& lane) {
  lane.is_frame_out = true;
  lane.waiting_bytes = 0;
  if (lane.call->Send(std::exchange(lane.waiting, {}).SerializeAsString())) return true;
  Close(lane, absl::UnavailableError("the cache session's stream is over"));
  return false;
}

void CacheSessions::Idle(CacheSessionId session) {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  if (found == lanes_.end() || found->second.call == nullptr) return;
  found->second.is_frame_out = false;
  if (found->second.waiting.events_size() > 0) Flush(found->second);
}

bool CacheSessions::IsOpen(CacheSessionId session) const {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  return found != lanes_.end() && found->second.call != nullptr;
}

size_t CacheSessions::size() const {
  MutexLock lock(mutex_);
  return lanes_.size();
}

}  // namespace ringleader
