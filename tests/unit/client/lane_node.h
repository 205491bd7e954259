// The node's end of cache lanes, as far as a test plays it: keeps what they send, and says what the
// test wants.
#ifndef RINGLEADER_TESTS_UNIT_CLIENT_LANE_NODE_H_
#define RINGLEADER_TESTS_UNIT_CLIENT_LANE_NODE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/network.h"
#include "model/item_codec.h"
#include "ringleader/cache/v1/cache.pb.h"

namespace ringleader::client {

class LaneNode : public Service {
 public:
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    if (incoming.method != "/ringleader.cache.v1.Cache/Session") {
      return absl::UnimplementedError(incoming.method);
    }
    ++streams;
    call = incoming.call;
    return std::unique_ptr<CallHandler>(new Handler(*this));
  }
  void Say(const cache::v1::Event& event) {
    cache::v1::ToClient message;
    *message.add_events() = event;
    call->Send(message.SerializeAsString());
  }
  void Grant(uint64_t number, absl::string_view text, Duration life) {
    model::Item item;
    item.Set("text", model::AttributeValue::String(std::string(text)));
    GrantBytes(number, model::EncodeItem(item), life);
  }
  void GrantBytes(uint64_t number, std::string item, Duration life) {
    cache::v1::Event event;
    event.mutable_filled()->set_number(number);
    event.mutable_filled()->mutable_response()->set_found(true);
    event.mutable_filled()->mutable_response()->set_item(std::move(item));
    event.mutable_filled()->set_partition(1);
    event.mutable_filled()->set_term(2);
    event.mutable_filled()->set_life_us(static_cast<uint64_t>(life / std::chrono::microseconds(1)));
    Say(event);
  }

  int streams = 0;
  std::shared_ptr<Call> call;
  std::vector<cache::v1::Open> opens;
  std::vector<cache::v1::Fill> fills;
  std::vector<cache::v1::Renew> renewals;
  std::vector<cache::v1::Acknowledge> acknowledgements;
  std::vector<cache::v1::Release> releases;
  size_t largest_frame = 0;

 private:
  class Handler : public CallHandler {
   public:
    explicit Handler(LaneNode& node) : node_(node) {}
    void OnMessage(std::string bytes) override {
      cache::v1::ToNode message;
      ASSERT_TRUE(message.ParseFromString(bytes));
      node_.largest_frame = std::max(node_.largest_frame, bytes.size());
      if (message.has_open()) node_.opens.push_back(message.open());
      for (const auto& fill : message.fills()) node_.fills.push_back(fill);
      for (const auto& renewal : message.renewals()) node_.renewals.push_back(renewal);
      for (const auto& one : message.acknowledgements()) node_.acknowledgements.push_back(one);
      for (const auto& one : message.releases()) node_.releases.push_back(one);
    }
    void OnEnd(const absl::Status&) override {}

   private:
    LaneNode& node_;
  };
};

}  // namespace ringleader::client

#endif  // RINGLEADER_TESTS_UNIT_CLIENT_LANE_NODE_H_
