#include "node/cache_sessions.h"

#include <utility>

#include "common/executor.h"
#include "common/mutants.h"

namespace ringleader {

CacheSessionId CacheSessions::Open(std::shared_ptr<Call> call, std::string peer) {
  MutexLock lock(mutex_);
  if (lanes_.size() >= options_.sessions_max) {
    refused_.Add();
    return 0;
  }
  const CacheSessionId session = ++last_;
  Lane& lane = lanes_[session];
  lane.call = std::move(call);
  lane.peer = std::move(peer);
  lane.opened = lane.heard = clock_.Now();
  return session;
}

void CacheSessions::Introduce(CacheSessionId session, const cache::v1::Open& open) {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  if (found == lanes_.end()) return;
  found->second.client = open.client();
  found->second.incarnation = open.incarnation();
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
  if (found == lanes_.end() || found->second.is_over) return false;
  Lane& lane = found->second;
  lane.partitions.insert(partition);
  const size_t bytes = event.ByteSizeLong();
  const bool overflows = lane.waiting.bytes() + bytes > options_.queue_bytes_max;
  if (overflows && MUTANT("overflow-drops-invalidation")) return true;
  if (overflows) {
    overflowed_.Add();
    Close(lane, absl::ResourceExhaustedError("the cache session's messages are not read"));
    return false;
  }
  *lane.waiting.For(bytes).add_events() = std::move(event);
  if (lane.is_frame_out || lane.gatherings > 0) return true;
  // Behind what waits for this thread: what that sends goes into the same frame. An executor that
  // stops before is one of a process that ends.
  Executor* const executor = Executor::Current();
  if (executor == nullptr) return Flush(lane);
  ++lane.gatherings;
  executor->Post([this, session] { EndGathering(session); });
  return true;
}

bool CacheSessions::HasRoom(CacheSessionId session, size_t bytes) const {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  return found != lanes_.end() &&
         found->second.waiting.bytes() + bytes <= options_.queue_bytes_max / 2;
}

void CacheSessions::Gather(CacheSessionId session) {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  if (found != lanes_.end()) ++found->second.gatherings;
}

// A session that ends by this tells its partitions by the end of its call.
void CacheSessions::EndGathering(CacheSessionId session) {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  if (found == lanes_.end() || found->second.gatherings == 0) return;
  Lane& lane = found->second;
  const bool is_due = --lane.gatherings == 0 && !lane.is_over && !lane.is_frame_out;
  if (is_due && !lane.waiting.empty()) Flush(lane);
}

// Nothing goes out any more: what waits never arrives, and nothing that is sent later does. The
// partitions are told once the call has ended.
void CacheSessions::Close(Lane& lane, const absl::Status& why) {
  if (std::exchange(lane.is_over, true)) return;
  lane.call->Finish(why);
  lane.closed = clock_.Now();
  lane.waiting.Clear();
}

bool CacheSessions::Flush(Lane& lane) {
  lane.is_frame_out = true;
  lane.frame_sent = clock_.Now();
  if (lane.call->Send(lane.waiting.Pop())) return true;
  Close(lane, absl::UnavailableError("the cache session's stream is over"));
  return false;
}

void CacheSessions::Idle(CacheSessionId session) {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  if (found == lanes_.end() || found->second.is_over) return;
  found->second.is_frame_out = false;
  if (!found->second.waiting.empty()) Flush(found->second);
}

bool CacheSessions::Heard(CacheSessionId session) {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  if (found == lanes_.end() || found->second.is_over) return false;
  found->second.heard = clock_.Now();
  return true;
}

std::vector<CacheSessionId> CacheSessions::Overdue() {
  std::vector<CacheSessionId> overdue;
  MutexLock lock(mutex_);
  const Instant now = clock_.Now();
  for (auto& [session, lane] : lanes_) {
    if (!lane.is_over) {
      const bool is_unread =
          lane.is_frame_out && HolderElapsed(lane.frame_sent, now) >= options_.silent_max;
      if (!is_unread && HolderElapsed(lane.heard, now) < options_.silent_max) continue;
      silent_.Add();
      Close(lane, absl::DeadlineExceededError("nothing was heard of this client for too long"));
      overdue.push_back(session);
      // What has not gone out by now holds the end up for as long.
      if (lane.is_frame_out) lane.call->Cancel();
    } else if (HolderElapsed(lane.closed, now) >= options_.linger_max) {
      lane.call->Cancel();
      overdue.push_back(session);
    }
  }
  return overdue;
}

bool CacheSessions::IsOpen(CacheSessionId session) const {
  MutexLock lock(mutex_);
  const auto found = lanes_.find(session);
  return found != lanes_.end() && !found->second.is_over;
}

std::vector<CacheSessionView> CacheSessions::Sessions(CacheSessionId after,
                                                      size_t sessions_max) const {
  std::vector<CacheSessionView> sessions;
  MutexLock lock(mutex_);
  const Instant now = clock_.Now();
  for (auto at = lanes_.upper_bound(after); at != lanes_.end(); ++at) {
    if (sessions.size() == sessions_max) break;
    const Lane& lane = at->second;
    sessions.push_back({.session = at->first,
                        .client = lane.client,
                        .incarnation = lane.incarnation,
                        .peer = lane.peer,
                        .age = HolderElapsed(lane.opened, now),
                        .silent = HolderElapsed(lane.heard, now),
                        .partitions = lane.partitions});
  }
  return sessions;
}

// Unsigned, and each partition takes away what it added.
void CacheSessions::CountHeld(const LeaseGate::Counts& before, const LeaseGate::Counts& now) {
  MutexLock lock(mutex_);
  held_.keys += now.keys - before.keys;
  held_.holders += now.holders - before.holders;
  held_.waits += now.waits - before.waits;
  held_.blocked += now.blocked - before.blocked;
}

LeaseGate::Counts CacheSessions::held() const {
  MutexLock lock(mutex_);
  LeaseGate::Counts held = held_;
  held.sessions = lanes_.size();
  return held;
}

size_t CacheSessions::size() const {
  MutexLock lock(mutex_);
  return lanes_.size();
}

}  // namespace ringleader
