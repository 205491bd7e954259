// A storage node, assembled from the seams: the production process gives it the machine's, the
// simulator its own.
//
//   data directory
//     lock, identity         whose this is (identity.h)
//     plans/                 token ranges of replicas made by plans (partition_factory.h)
//     log/, groups/, outgoing/   replication/runtime.h
//
// Start opens what is there and serves it at once; a node that was never registered waits for a
// coordinator to give it an id. Executors: `node` (everything here), the runtime's, a few for
// compactions, one for what must not wait behind those, and one that reads for the scrub.
//
// Threads: Start, the destructor, and Drain from the owner; the rest is internal.
#ifndef RINGLEADER_NODE_NODE_H_
#define RINGLEADER_NODE_NODE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/admin_server.h"
#include "common/cluster_version.h"
#include "common/random.h"
#include "leveldb/cache.h"
#include "node/agent.h"
#include "node/cache_service.h"
#include "node/changing_tables.h"
#include "node/data_service.h"
#include "node/identity.h"
#include "node/partition_factory.h"
#include "node/peers.h"
#include "node/scrub.h"
#include "node/service_router.h"
#include "node/storage_metrics.h"
#include "replication/runtime.h"

namespace ringleader {

struct NodeOptions {
  std::string data;
  std::string listen;     // host:port; port 0: any
  std::string advertise;  // host:port by which others reach it
  std::string admin_address;
  std::string zone;
  VersionRange versions;   // that this build can run
  uint64_t formation = 0;  // expected; 0: whatever the coordinators say
  AgentOptions agent;
  replication::RuntimeOptions runtime;  // what is this node's own is filled in
  PartitionOptions partition;
  AdmissionOptions admission;
  DataServiceOptions service;
  CacheSessionsOptions cache_sessions;
  CacheServiceOptions cache_service;
  ScrubOptions scrub;
  uint64_t block_cache_bytes = 256 << 20;
  // Of all memtables; each partition gets its share of it, for `partitions_expected` of them.
  uint64_t memtable_bytes = 256 << 20;
  uint64_t partitions_expected = 32;
  uint64_t partition_memtable_min = 256 << 10;  // of that share; LevelDB takes 64 KiB at least
  int compactors = 2;
  // Writes are refused while the disk has less free than this.
  uint64_t free_bytes_min = 256 << 20;
  Duration maintain_period = std::chrono::milliseconds(100);
  // Told on some thread, at most a few times, when the process has to end.
  std::function<void(const absl::Status&)> on_fatal;
};

class Node {
 public:
  // UNAVAILABLE: the data directory is in use. FAILED_PRECONDITION: the port is taken, the
  // directory belongs to another cluster or to a newer build. DATA_LOSS: damaged.
  static absl::StatusOr<std::unique_ptr<Node>> Start(const NodeOptions& options,
                                                     const replication::RuntimeSeams& seams,
                                                     Random random);
  // Stops at once, as a crash would, but for what is durable.
  ~Node();

  int port() const { return listener_->port(); }

  // Hands every leadership over; `done` is called when none is left or `timeout` has passed, with
  // how many were left.
  void Drain(Duration timeout, std::function<void(size_t)> done);

  // What the admin pages show; the node outlives the server that they are attached to.
  AdminHost Admin();

  // What runs here, for observers in tests; null until the node is in a cluster.
  const replication::Runtime* runtime() const { return runtime_.get(); }
  const Registry& registry() const { return registry_; }

 private:
  // Refuses calls until the runtime is open.
  class Gate;

  Node(const NodeOptions& options, const replication::RuntimeSeams& seams, Random random);
  absl::Status Open();
  absl::Status OpenRuntime();
  AgentHost MakeHost();
  void Maintain();
  // False: no file system says.
  bool MeasureFree();
  std::string SpaceText() const;  // how much is free, and how much would do
  void HandOver(const std::shared_ptr<replication::Replica>& replica, replication::ReplicaId to);
  // Hands over what can be; how many are still led here and should not be.
  size_t HandOverAll();
  void DrainStep(Instant deadline, std::shared_ptr<std::function<void(size_t)>> done);

  // node_metrics.cc: tasks of `executor_`
  void Collect(MetricSink& sink) const;
  std::vector<std::string> Missing() const;

  // node_orders.cc: tasks of `executor_`
  coordinator::v1::RegisterRequest Introduce() const;
  bool Registered(const coordinator::v1::RegisterResponse& response);
  coordinator::v1::NodeReport Report();
  void ReportReplica(replication::Replica& replica, coordinator::v1::ReplicaReport* report) const;
  void CarryOut(const coordinator::v1::NodeOrders& orders);
  void Create(const coordinator::v1::CreateReplica& order);
  void Change(const coordinator::v1::ChangeMembers& order);
  void Destroy(const coordinator::v1::DestroyReplica& order);
  void Rebuild(const coordinator::v1::RebuildReplica& order);
  void ApplySchema(const coordinator::v1::ApplySchema& order);
  void Outdated(const std::string& why);
  void TakeClusterVersion(uint32_t version);
  void TakeMap(const coordinator::v1::MapUpdate& update);
  void FindPeers();

  const NodeOptions options_;
  const replication::RuntimeSeams seams_;
  Random random_;
  std::unique_ptr<FileLock> lock_;
  Instant alone_since_;  // when it was taken
  NodeIdentity identity_;
  PeerAddresses peers_;
  PeerAddresses saved_peers_;  // what the file has
  ChangingTables changing_tables_;
  Registry registry_;
  Admission admission_;
  CacheSessions cache_sessions_;
  StorageMetrics storage_metrics_;
  std::unique_ptr<leveldb::Cache> block_cache_;
  std::vector<std::unique_ptr<Executor>> compactors_;
  std::unique_ptr<Executor> flusher_;
  std::shared_ptr<Executor> executor_;
  std::unique_ptr<PartitionFactory> factory_;
  std::unique_ptr<DataService> data_;
  std::unique_ptr<CacheService> cache_;
  std::unique_ptr<replication::Runtime> runtime_;
  std::unique_ptr<Executor> scrubber_;
  std::unique_ptr<Scrub> scrub_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Agent> agent_;
  bool draining_ = false;
  bool removed_ = false;     // the coordinators say that this node was
  uint64_t free_bytes_ = 0;  // where the least is
  std::string free_least_;   // there
  bool disk_stalled_ = false;
  bool disk_full_ = false;
  Instant started_;
  Instant coordinators_heard_;  // meaningful if ever_heard_
  bool ever_heard_ = false;
  uint64_t map_version_ = 0;
};

}  // namespace ringleader

#endif  // RINGLEADER_NODE_NODE_H_
