#include "replication/progress.h"

#include "common/check.h"

namespace ringleader::replication {

void InflightWindow::Add(Index last, uint64_t bytes) {
  CHECK(!full());
  CHECK(sent_.empty() || sent_.back().last < last);
  sent_.push_back({last, bytes});
  bytes_ += bytes;
}

void InflightWindow::FreeTo(Index index) {
  while (!sent_.empty() && sent_.front().last <= index) FreeOldest();
}

void InflightWindow::FreeOldest() {
  CHECK(!sent_.empty());
  CHECK_GE(bytes_, sent_.front().bytes);
  bytes_ -= sent_.front().bytes;
  sent_.pop_front();
}

void InflightWindow::Clear() {
  sent_.clear();
  bytes_ = 0;
}

bool Progress::Paused() const {
  if (fetching) return true;
  switch (state) {
    case State::kProbe:
      return probe_sent;
    case State::kReplicate:
      return inflight.full();
    case State::kSnapshot:
      return true;
  }
  return true;
}

void Progress::BecomeProbe() {
  state = State::kProbe;
  next = match + 1;
  probe_sent = false;
  snapshot_requested = false;
  fetching = false;
  inflight.Clear();
}

void Progress::BecomeReplicate() {
  BecomeProbe();
  state = State::kReplicate;
}

void Progress::BecomeSnapshot() {
  BecomeProbe();
  state = State::kSnapshot;
  snapshot_requested = true;
}

}  // namespace ringleader::replication
