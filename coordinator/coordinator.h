// A coordinator, assembled from its seams: what main.cc runs over the machine, and the simulator in
// virtual time.
//
// It listens at once, finds its place among the others (formation.h), and only then opens its log:
// the log belongs to the formation. From there it follows the metadata, answers, and leads when its
// replica is elected.
//
// Executors: one control executor carries everything but replication and the data door, which have
// their own.
#ifndef RINGLEADER_COORDINATOR_COORDINATOR_H_
#define RINGLEADER_COORDINATOR_COORDINATOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/admin_server.h"
#include "common/executor.h"
#include "common/unary_client.h"
#include "coordinator/data_door.h"
#include "coordinator/director.h"
#include "coordinator/formation.h"
#include "coordinator/metadata_store.h"
#include "coordinator/services.h"
#include "replication/runtime.h"

namespace ringleader::coordinator {

struct CoordinatorOptions {
  std::string cluster = "ringleader";  // its name; data of another is refused
  uint64_t number = 1;                 // this coordinator's place in `addresses`, from 1
  std::vector<std::string> addresses;  // of all coordinators, in the same order everywhere
  std::string listen;                  // empty: its own address
  std::string directory;
  uint32_t partitions = 64;  // a power of two
  uint32_t replicas = 3;
  VersionRange versions;  // that this build can run
  BalancerOptions balancer;
  DataDoorOptions data;
  replication::RuntimeOptions runtime;  // cluster, node and directory are filled in
  // Told once, on any executor: what is on disk is unknown, or the data can't be used. The process
  // must end.
  std::function<void(const absl::Status&)> on_fatal;
};

class Coordinator {
 public:
  // The seams outlive it. Errors as IdentityFile::Open, and FAILED_PRECONDITION if the address
  // can't be bound; INVALID_ARGUMENT: the options contradict each other.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(const CoordinatorOptions& options,
                                                            const replication::RuntimeSeams& seams,
                                                            Random random);
  // Stops at once, as a crash would, but for what is durable.
  ~Coordinator();

  // Before the end: gives back what is leased to this coordinator, and hands the metadata's
  // leadership to another one if this one has it and there is one. `done` runs on the control
  // executor when it has, or gave up. Any thread.
  void HandOver(Task done);

  // What the admin pages show; the coordinator outlives the server that they are attached to.
  AdminHost Admin();

  Executor& control() { return *control_; }
  // On the control executor, or while none of its tasks runs.
  const MetadataStore& store() const { return *store_; }
  const v1::CoordinatorIdentity& identity() const { return identity_->identity(); }
  const DataDoor& data_door() const { return *data_door_; }
  // Null until this coordinator has found its place among the others.
  const replication::Runtime* runtime() const { return runtime_.get(); }

 private:
  Coordinator(const CoordinatorOptions& options, const replication::RuntimeSeams& seams,
              Random random);

  absl::Status Open();
  void Placed();
  absl::Status OpenRuntime();
  absl::Status CheckOldLog() const;
  void MakeReplica();
  void ReplicaMade(const absl::Status& status);
  void Tick();
  void PingCoordinators();
  void RecordBuild(const v1::HelloResponse& said);
  void HandLeadershipOver(Task done);
  void WaitHandedOver(int ticks_left, Task done);
  void Fail(const absl::Status& status);

  // cluster_metrics.cc, on the control executor
  void Collect(MetricSink& sink) const;
  std::vector<std::string> Missing() const;

  const CoordinatorOptions options_;
  const replication::RuntimeSeams seams_;
  Random random_;
  std::unique_ptr<IdentityFile> identity_;
  std::unique_ptr<Executor> control_;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<Director> director_;
  std::unique_ptr<UnaryClient> client_;
  std::unique_ptr<Formation> formation_;
  std::unique_ptr<replication::StateMachineFactory> factory_;
  std::unique_ptr<replication::Runtime> runtime_;
  LateService lanes_;
  std::unique_ptr<FormationService> formation_service_;
  std::unique_ptr<MembershipService> membership_service_;
  std::unique_ptr<ClusterService> cluster_service_;
  std::unique_ptr<DataDoor> data_door_;
  ServiceDispatch dispatch_;
  std::unique_ptr<Listener> listener_;
  bool founding_ = false;   // the first command is on its way
  bool recording_ = false;  // what a coordinator said of its build is on its way
  bool failed_ = false;
  uint64_t ticks_ = 0;
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_COORDINATOR_H_
