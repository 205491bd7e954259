#include "client/write_sessions.h"

#include "common/check.h"

namespace ringleader::client {

WriteSessions::WriteSessions(Random random) : random_(random) {
  for (auto& lane : lanes_) lane = NewLane();
}

std::shared_ptr<WriteSessions::Ticket::Lane> WriteSessions::NewLane() {
  auto lane = std::make_shared<Ticket::Lane>();
  do {
    lane->session = random_.Next();
  } while (lane->session == 0);
  return lane;
}

std::optional<WriteSessions::Ticket> WriteSessions::Begin(model::Token token) {
  const auto& lane = lanes_[token >> (64 - kLaneBits)];
  if (lane->ended.size() >= kOpenMax) return std::nullopt;
  lane->ended.push_back(false);
  return Ticket(lane, lane->lowest + lane->ended.size() - 1);
}

void WriteSessions::Ticket::Fill(data::v1::WriteSession* session) const {
  CHECK_GE(sequence_, lane_->lowest) << "a sequence that has ended is sent again";
  session->set_session(lane_->session);
  session->set_sequence(sequence_);
  session->set_lowest_outstanding(lane_->lowest);
}

void WriteSessions::End(const Ticket& ticket) {
  Ticket::Lane& lane = *ticket.lane_;
  CHECK_GE(ticket.sequence_, lane.lowest);
  const uint64_t offset = ticket.sequence_ - lane.lowest;
  CHECK_LT(offset, lane.ended.size());
  CHECK(!lane.ended[offset]) << "a sequence ends twice";
  lane.ended[offset] = true;
  while (!lane.ended.empty() && lane.ended.front()) {
    lane.ended.pop_front();
    ++lane.lowest;
  }
}

void WriteSessions::Renew(const Ticket& ticket) {
  for (auto& lane : lanes_) {
    if (lane == ticket.lane_) lane = NewLane();
  }
}

}  // namespace ringleader::client
