// The coordinator's gRPC services. One Service is what the Listener serves; it hands each call to
// who serves its method, by the method's path.
//
// What only the metadata leader may answer is answered NOT_LEADER elsewhere, with the leader's
// address if it is known; but the Cluster service's calls are passed on to it, so that a client
// needs to reach any one coordinator. A call is passed on once: whoever gets one that was passed on
// already, and does not lead, answers NOT_LEADER. Map subscriptions are served by every coordinator
// from what it has applied.
//
// Accept is called from the network's threads and posts; the rest runs on the control executor.
#ifndef RINGLEADER_COORDINATOR_SERVICES_H_
#define RINGLEADER_COORDINATOR_SERVICES_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "common/network.h"
#include "common/unary_client.h"
#include "coordinator/director.h"
#include "coordinator/formation.h"
#include "coordinator/rpc.h"

namespace ringleader::coordinator {

// Calls by the part of their path before the method's name: "/ringleader.coordinator.v1.Cluster/".
// Filled before the Listener exists.
class ServiceDispatch : public Service {
 public:
  // `service` outlives the Listener.
  void Add(const std::string& prefix, Service* service) { services_[prefix] = service; }
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

 private:
  std::map<std::string, Service*> services_;
};

// A service that appears later than the Listener: the replication's lanes, which need the cluster's
// id. Until then its calls end with UNAVAILABLE and are tried again.
class LateService : public Service {
 public:
  void Set(Service* service) { service_.store(service); }
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

 private:
  std::atomic<Service*> service_{nullptr};
};

// Hello and Rejoin.
class FormationService : public Service {
 public:
  // `missing`: why this coordinator does not serve, for whoever says Hello.
  FormationService(Executor& control, Formation& formation, Director& director,
                   std::function<std::vector<std::string>()> missing)
      : control_(control),
        formation_(formation),
        director_(director),
        missing_(std::move(missing)) {}
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

 private:
  using Rejoined = std::function<void(const v1::RejoinResponse&)>;
  void Rejoin(const v1::RejoinRequest& request, const Rejoined& done);
  void Replace(const v1::RejoinRequest& request, const Rejoined& done);

  Executor& control_;
  Formation& formation_;
  Director& director_;
  const std::function<std::vector<std::string>()> missing_;
};

// Register and Attend.
class MembershipService : public Service {
 public:
  MembershipService(Executor& control, Director& director)
      : control_(control), director_(director) {}
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

 private:
  using Registered = std::function<void(const v1::RegisterResponse&)>;
  void Register(const v1::RegisterRequest& request, const Registered& done);
  v1::Outcome MayHaveAddress(const v1::RegisterRequest& request) const;

  Executor& control_;
  Director& director_;
};

// What a call's metadata says: that a coordinator has passed it on.
inline constexpr absl::string_view kPassedOnKey = "ringleader-passed-on";

// Watch, tables, administration.
class ClusterService : public Service {
 public:
  // Calls that are under way to the leader; further ones are answered NOT_LEADER.
  static constexpr size_t kPassedOnMax = 1000;
  // Of a caller that does not say.
  static constexpr Duration kPassOnTimeout = std::chrono::seconds(5);

  // All outlive it. `address`: this coordinator's own.
  ClusterService(Executor& control, Director& director, Clock& clock, UnaryClient& client,
                 const std::string& address)
      : control_(control), director_(director), clock_(clock), client_(client), address_(address) {}
  absl::StatusOr<std::unique_ptr<CallHandler>> Accept(const IncomingCall& incoming) override;

 private:
  template <typename Request, typename Response>
  using Handler = void (ClusterService::*)(const Request&, std::function<void(const Response&)>);
  template <typename Request, typename Response>
  UnaryServer Serve(Handler<Request, Response> handler);
  UnaryServer ServerOfMethod(absl::string_view method);
  bool ShouldPassOn() const;
  void PassOn(const std::string& method, std::shared_ptr<Call> call, std::string request,
              Duration timeout);

  using TableDone = std::function<void(const v1::TableResponse&)>;
  using AdminDone = std::function<void(const v1::AdminResponse&)>;
  void CreateTable(const v1::CreateTableRequest& request, TableDone done);
  void DescribeTable(const v1::TableRequest& request, TableDone done);
  void DeleteTable(const v1::TableRequest& request, TableDone done);
  void ListTables(const v1::ListTablesRequest& request,
                  std::function<void(const v1::ListTablesResponse&)> done);
  void DrainNode(const v1::NodeRequest& request, AdminDone done);
  void UndrainNode(const v1::NodeRequest& request, AdminDone done);
  void RemoveNode(const v1::NodeRequest& request, AdminDone done);
  void MovePartition(const v1::MovePartitionRequest& request, AdminDone done);
  void TransferPartition(const v1::TransferRequest& request, AdminDone done);
  void RaiseClusterVersion(const v1::RaiseVersionRequest& request, AdminDone done);
  void Status(const v1::StatusRequest& request,
              std::function<void(const v1::StatusResponse&)> done);

  void ProposeAdmin(v1::Command command, AdminDone done);
  void ProposeTable(v1::Command command, TableDone done);
  // Runs `read` when the metadata here is as new as a linearizable read needs; `refuse` otherwise.
  void WhenCurrent(std::function<void()> read, std::function<void(const v1::Outcome&)> refuse);
  v1::Outcome OutcomeOf(const CommandOutcome& outcome) const;

  Executor& control_;
  Director& director_;
  Clock& clock_;
  UnaryClient& client_;
  const std::string address_;
  size_t passed_on_ = 0;  // under way
};

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_COORDINATOR_SERVICES_H_
