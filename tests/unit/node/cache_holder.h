// A client that holds items of a node's partitions, for the tests of the cache in node/: it speaks
// to partitions and sessions directly, without a network.
#ifndef RINGLEADER_TESTS_UNIT_NODE_CACHE_HOLDER_H_
#define RINGLEADER_TESTS_UNIT_NODE_CACHE_HOLDER_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "node/cache_service.h"
#include "tests/unit/node/partition_world.h"

namespace ringleader {

inline constexpr Duration kTerm = LeaseOptions().lease_term;

// The client's end of a lane.
class Lane : public Call {
 public:
  bool Send(std::string message) override {
    if (ended_) return false;
    messages_.push_back(std::move(message));
    return true;
  }
  void Finish(absl::Status) override { ended_ = true; }
  uint64_t queued_bytes() const override { return 0; }

  std::vector<std::string> Take() { return std::exchange(messages_, {}); }

 private:
  std::vector<std::string> messages_;
  bool ended_ = false;
};

inline data::v1::Request FillRequest(absl::string_view pk) {
  data::v1::Request request = GetRequest(pk, 1);
  request.set_table_id(PartitionWorld::kTable);
  request.mutable_route()->set_partition(PartitionWorld::kGroup);
  return request;
}

// Runs it where the node's partition lives, if there is one by then.
inline void OnApplier(
    PartitionWorld& world, uint64_t node,
    std::function<void(const std::shared_ptr<replication::Replica>&, Partition&)> task) {
  const auto replica = world.ReplicaOf(node);
  replica->applier().Post([&world, node, replica, task = std::move(task)] {
    if (Partition* partition = world.PartitionOf(node)) task(replica, *partition);
  });
}

// A client that has a session with one node.
class Holder {
 public:
  Holder(PartitionWorld& world, uint64_t node)
      : world_(world), node_(node), session_(sessions().Open(lane_)) {}

  // Asks for the item; runs until it is answered. The first of a bucket is never granted.
  cache::v1::Filled Fill(absl::string_view pk, bool no_grant = false) {
    const uint64_t number = ++last_fill_;
    OnApplier(world_, node_,
              [this, request = FillRequest(pk), number, no_grant](const auto& replica,
                                                                  Partition& partition) {
                partition.Fill(replica, {{session_, number, request,
                                          world_.node(node_).clock->Now(), no_grant}});
              });
    for (int step = 0; step < 200; ++step) {
      world_.RunFor(std::chrono::milliseconds(5));
      for (const cache::v1::Event& event : Events()) {
        if (event.filled().number() == number) return event.filled();
      }
    }
    ADD_FAILURE() << "a fill was not answered";
    return {};
  }
  cache::v1::Filled FillGranted(absl::string_view pk) {
    for (int tries = 0; tries < 100; ++tries) {
      const cache::v1::Filled filled = Fill(pk);
      if (filled.life_us() > 0) return filled;
      world_.RunFor(std::chrono::milliseconds(50));
    }
    ADD_FAILURE() << pk << " is never granted";
    return {};
  }
  uint64_t Renew(uint64_t term) {
    cache::v1::Renew renewal;
    renewal.set_term(term);
    OnApplier(world_, node_, [this, renewal](const auto& replica, Partition& partition) {
      partition.Renew(replica, session_, renewal);
    });
    world_.RunFor(std::chrono::milliseconds(50));
    uint64_t life = 0;
    for (const cache::v1::Event& event : Events()) life = event.renewed().life_us();
    return life;
  }
  // All that were sent and not taken by now.
  std::vector<cache::v1::Invalidate> Invalidations() {
    Events();
    return std::exchange(invalidations_, {});
  }
  void Acknowledge(const cache::v1::Invalidate& invalidate) {
    OnApplier(world_, node_, [this, invalidate](const auto& replica, Partition& partition) {
      partition.Acknowledged(replica, session_, invalidate.term(), {invalidate.number()});
    });
  }
  // Of what `filled` brought, by the key that `invalidate` would name.
  void Release(const cache::v1::Filled& filled, const std::string& key) {
    cache::v1::Release release;
    release.set_term(filled.term());
    release.set_key(key);
    release.set_fill(filled.number());
    OnApplier(world_, node_, [this, release](const auto&, Partition& partition) {
      partition.Released(session_, release);
    });
  }
  void End() {
    sessions().End(session_, absl::CancelledError("the client is gone"));
    OnApplier(world_, node_, [this](const auto& replica, Partition& partition) {
      partition.CacheSessionEnded(replica, session_);
    });
  }

  CacheSessionId id() const { return session_; }

 private:
  CacheSessions& sessions() { return *world_.node(node_).cache_sessions; }
  std::vector<cache::v1::Event> Events() {
    std::vector<cache::v1::Event> events;
    for (std::vector<std::string> frames = lane_->Take(); !frames.empty(); frames = lane_->Take()) {
      for (const std::string& frame : frames) {
        cache::v1::ToClient message;
        CHECK(message.ParseFromString(frame));
        for (const cache::v1::Event& event : message.events()) {
          events.push_back(event);
          if (event.has_invalidate()) invalidations_.push_back(event.invalidate());
        }
      }
      sessions().Idle(session_);
    }
    return events;
  }

  PartitionWorld& world_;
  const uint64_t node_;
  const std::shared_ptr<Lane> lane_ = std::make_shared<Lane>();
  const CacheSessionId session_;
  uint64_t last_fill_ = 0;
  std::vector<cache::v1::Invalidate> invalidations_;
};

inline std::string Json(absl::string_view pk, int value) {
  return absl::StrCat(R"({"pk":")", pk, R"(","sk":1,"v":)", value, "}");
}

// A request on its way.
struct Sent {
  std::optional<data::v1::Response> response;
  Duration took{0};
  bool ok() const { return response.has_value() && response->error() == data::v1::ERROR_NONE; }
};

inline std::shared_ptr<Sent> Send(PartitionWorld& world, uint64_t node, data::v1::Request request) {
  auto sent = std::make_shared<Sent>();
  world.Send(node, std::move(request),
             [sent, &world, began = world.simulation().now()](data::v1::Response response) {
               sent->response = std::move(response);
               sent->took = world.simulation().now() - began;
             });
  return sent;
}

// A key in whose bucket the others' grants are not.
inline std::string OtherKey(absl::string_view pk) { return absl::StrCat(pk, "-other"); }

// Maintains every node as long as it lives.
inline void RunMaintained(PartitionWorld& world, Duration span, uint64_t but = 0) {
  for (Duration run(0); run < span; run += std::chrono::milliseconds(100)) {
    for (uint64_t node = 1; node <= world.nodes(); ++node) {
      if (node != but) world.Maintain(node);
    }
    world.RunFor(std::chrono::milliseconds(100));
  }
}

}  // namespace ringleader

#endif  // RINGLEADER_TESTS_UNIT_NODE_CACHE_HOLDER_H_
