// The dispatch, and the services for nodes and for other coordinators. The cluster's own service is
// in cluster_service.cc.
#include "coordinator/services.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/rpc.h"

namespace ringleader::coordinator {

absl::StatusOr<std::unique_ptr<CallHandler>> ServiceDispatch::Accept(const IncomingCall& incoming) {
  const size_t slash = incoming.method.rfind('/');
  if (slash != absl::string_view::npos) {
    const auto found = services_.find(std::string(incoming.method.substr(0, slash + 1)));
    if (found != services_.end()) return found->second->Accept(incoming);
  }
  return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
}

absl::StatusOr<std::unique_ptr<CallHandler>> LateService::Accept(const IncomingCall& incoming) {
  Service* service = service_.load();
  if (service == nullptr) return absl::UnavailableError("this coordinator is not formed yet");
  return service->Accept(incoming);
}

// --- Formation ----------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<CallHandler>> FormationService::Accept(
    const IncomingCall& incoming) {
  if (incoming.method == kHelloMethod) {
    return ServeUnary<v1::HelloRequest, v1::HelloResponse>(
        control_, incoming.call,
        [this](const v1::HelloRequest& request,
               const std::function<void(const v1::HelloResponse&)>& done) {
          v1::HelloResponse response = formation_.Hello(request);
          for (std::string& what : missing_()) response.add_missing(std::move(what));
          done(response);
        });
  }
  if (incoming.method != kRejoinMethod) {
    return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
  }
  return ServeUnary<v1::RejoinRequest, v1::RejoinResponse>(
      control_, incoming.call,
      [this](const v1::RejoinRequest& request, const Rejoined& done) { Rejoin(request, done); });
}

// A request may be of an incarnation that lost its disk since: it must not take the place from the
// one that is there now.
void FormationService::Rejoin(const v1::RejoinRequest& request, const Rejoined& done) {
  const auto& coordinators = director_.store().metadata().coordinators();
  const auto known = coordinators.find(request.coordinator());
  if (!director_.store().leads() || known == coordinators.end() ||
      known->second.incarnation() == request.incarnation()) {
    return Replace(request, done);  // changes nothing, and says why
  }
  formation_.AskIncarnation(request.coordinator(), [this, request, done](uint64_t incarnation) {
    if (incarnation == request.incarnation()) return Replace(request, done);
    v1::RejoinResponse response;
    response.mutable_outcome()->set_error(v1::ERROR_CONFLICT);
    response.mutable_outcome()->set_message("whoever asked is not at the coordinator's address");
    done(response);
  });
}

void FormationService::Replace(const v1::RejoinRequest& request, const Rejoined& done) {
  v1::Command command;
  command.mutable_rejoin_coordinator()->set_coordinator(request.coordinator());
  command.mutable_rejoin_coordinator()->set_incarnation(request.incarnation());
  director_.store().Propose(std::move(command), [this, done](const CommandOutcome& outcome) {
    v1::RejoinResponse response;
    response.mutable_outcome()->set_error(outcome.error);
    response.mutable_outcome()->set_message(outcome.message);
    response.mutable_outcome()->set_leader_address(director_.leader_address());
    response.set_replica(outcome.ok() ? outcome.id : 0);
    done(response);
  });
}

// --- Membership ---------------------------------------------------------------------------------

namespace {

constexpr absl::string_view kRegisterMethod = "/ringleader.coordinator.v1.Membership/Register";
constexpr absl::string_view kAttendMethod = "/ringleader.coordinator.v1.Membership/Attend";

// Posts what a stream says; the stream's number is drawn on the control executor with its first
// report.
class AttendHandler : public CallHandler {
 public:
  AttendHandler(Executor& control, Director& director, std::shared_ptr<Call> call)
      : control_(control), director_(director), call_(std::move(call)) {}

  void OnMessage(std::string message) override {
    v1::NodeReport report;
    if (!report.ParseFromString(message)) {
      call_->Finish(absl::InvalidArgumentError("malformed report"));
      return;
    }
    control_.Post([&director = director_, call = call_, number = number_,
                   report = std::move(report)]() mutable {
      if (*number == 0) *number = director.NewAttendance();
      director.Reported(*number, call, std::move(report));
    });
  }
  void OnPeerFinished() override { call_->Finish(absl::OkStatus()); }
  void OnEnd(const absl::Status&) override {
    control_.Post([&director = director_, number = number_] { director.AttendanceEnded(*number); });
  }

 private:
  Executor& control_;
  Director& director_;
  const std::shared_ptr<Call> call_;
  const std::shared_ptr<uint64_t> number_ = std::make_shared<uint64_t>(0);
};

}  // namespace

absl::StatusOr<std::unique_ptr<CallHandler>> MembershipService::Accept(
    const IncomingCall& incoming) {
  if (incoming.method == kAttendMethod) {
    return std::make_unique<AttendHandler>(control_, director_, incoming.call);
  }
  if (incoming.method != kRegisterMethod) {
    return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
  }
  return ServeUnary<v1::RegisterRequest, v1::RegisterResponse>(
      control_, incoming.call, [this](const v1::RegisterRequest& request, const Registered& done) {
        Register(request, done);
      });
}

void MembershipService::Register(const v1::RegisterRequest& request, const Registered& done) {
  v1::RegisterResponse refused;
  *refused.mutable_outcome() = MayHaveAddress(request);
  if (refused.outcome().error() != v1::ERROR_NONE) return done(refused);
  director_.BeginRegistration(request.address());
  v1::Command command;
  *command.mutable_register_node() = request;
  director_.store().Propose(
      std::move(command), [this, done, address = request.address()](const CommandOutcome& outcome) {
        director_.EndRegistration(address);
        v1::RegisterResponse response;
        response.mutable_outcome()->set_error(outcome.error);
        response.mutable_outcome()->set_message(outcome.message);
        response.mutable_outcome()->set_leader_address(director_.leader_address());
        response.set_cluster_version(director_.store().metadata().cluster_version());
        // Of the refusals only that of a removed node names one.
        response.set_removed(outcome.error == v1::ERROR_CONFLICT && outcome.id != 0);
        if (outcome.ok()) {
          response.set_node(outcome.id);
          response.set_formation(director_.store().metadata().plan().formation());
          director_.Registered(outcome.id);
        }
        done(response);
      });
}

// Of two nodes at one address nobody could reach the second, and the younger id condemns the older
// one, as it stands for a disk that was replaced. One whose disk was replaced is taken as soon as
// its former id has been silent for the alive timeout.
v1::Outcome MembershipService::MayHaveAddress(const v1::RegisterRequest& request) const {
  v1::Outcome outcome;
  if (!director_.store().leads()) return outcome;  // the proposal is refused as that
  if (director_.IsRegistering(request.address())) {
    outcome.set_error(v1::ERROR_UNAVAILABLE);
    outcome.set_message(
        absl::StrCat("another registration of ", request.address(), " is under way"));
    return outcome;
  }
  for (const auto& [id, record] : director_.store().metadata().nodes()) {
    const v1::Node& node = record.node();
    const bool is_same = record.incarnation() == request.incarnation();
    if (is_same && node.state() == v1::NODE_STATE_REMOVED) return {};  // it hears that instead
    if (is_same || node.address() != request.address() || node.state() == v1::NODE_STATE_REMOVED ||
        !node.alive()) {
      continue;
    }
    outcome.set_error(v1::ERROR_CONFLICT);
    outcome.set_message(absl::StrCat(
        "node ", id, " is alive at ", node.address(),
        ": every node needs an --advertise address of its own. If this is that node with an empty "
        "disk, it is taken once the old one has been silent for some seconds"));
  }
  return outcome;
}

}  // namespace ringleader::coordinator
