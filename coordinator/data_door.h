// ringleader.data.v1.Data as a coordinator serves it: every request, by routing. A router of the
// client library carries it out at the nodes; the router's map is this coordinator's metadata, told
// in the process. What nodes say of routes stays inside: a caller gets an outcome, or UNAVAILABLE.
//
// A coordinator keeps nothing of a request beyond its answer: a write carries its originator's
// session and sequence, so when a coordinator dies, the same write through another one has the
// outcome of the first. A write that brings no session gets one of the router's: then only what the
// router itself repeats is exactly-once.
//
// What is read often the nodes lease to the door as they do to any client that caches
// (node/cache.md): a get is then answered from its memory, on the network's thread. It is as
// current as a node's answer: a write, or the end of a table, waits until the door has let go of
// what it changes.
//
// Threads: the router has an executor of its own, so that metadata never waits behind data. All
// methods from any thread.
#ifndef RINGLEADER_COORDINATOR_DATA_DOOR_H_
#define RINGLEADER_COORDINATOR_DATA_DOOR_H_

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "client/admin.h"
#include "client/cached_reads.h"
#include "client/data_server.h"
#include "client/router.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/network.h"
#include "common/random.h"
#include "ringleader/coordinator/v1/coordinator.pb.h"

namespace ringleader::coordinator {

struct DataDoorOptions {
  client::DataServerOptions server;
  // A node that does not answer: shorter than a client's 3 s, so that the coordinator, which hears
  // of a new leader first, tries again before its client goes elsewhere.
  Duration attempt_timeout = std::chrono::seconds(2);
  CacheOptions cache;  // bytes_max 0: nothing is kept
  // A miss that waits for a node's lane goes by the router after this. Both waits together end
  // before the client's.
  Duration fill_wait_max = std::chrono::milliseconds(500);
};

class DataDoor : public Service {
 public:
  // The seams outlive it. Destroyed after the Listener that serves it.
  DataDoor(const DataDoorOptions& options, Network& network, Threads& threads, Clock& clock,
           Random random);
  ~DataDoor() override;

  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override {
    return server_.Accept(incoming);
  }

  // A newer map: complete, or what changed since the one before. `on_misfit` runs on the door's
  // executor if changes do not fit the map that is there: a complete one is needed.
  void ApplyMap(v1::MapUpdate update, std::function<void()> on_misfit);

  // Before the end: gives back what is leased to this coordinator, and keeps nothing any more.
  // Reads are served on, by the nodes. `done` runs on the door's executor. Any thread.
  void Leave(Task done);

  const RequestMetrics& metrics() const { return server_.metrics(); }
  // All zero if nothing is kept.
  CacheStatistics cache_statistics() const;
  // What is cached here, for observers in tests; null: nothing is kept.
  const client::ItemCache* memory() const {
    return cached_ == nullptr ? nullptr : &cached_->memory();
  }
  Executor& executor() { return *executor_; }

 private:
  void Take(std::vector<client::DataRequest> requests);

  std::unique_ptr<Executor> executor_;
  client::Router router_;
  client::Admin admin_;
  std::unique_ptr<client::CachedReads> cached_;  // null: nothing is kept
  client::DataServer server_;
  std::atomic<bool> has_map_{false};  // with partitions; it keeps them
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_DATA_DOOR_H_
