// The Cluster service: the map, tables, administration.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/admin.h"
#include "coordinator/rpc.h"
#include "coordinator/services.h"
#include "model/table_schema.h"

namespace ringleader::coordinator {
namespace {

constexpr absl::string_view kPrefix = "/ringleader.coordinator.v1.Cluster/";
constexpr uint32_t kListDefault = 100;
constexpr uint32_t kListMax = 1000;

// Posts the watcher's wish once, and its end.
class WatchHandler : public CallHandler {
 public:
  WatchHandler(Executor& control, Director& director, std::shared_ptr<Call> call)
      : control_(control), director_(director), call_(std::move(call)) {}

  void OnMessage(std::string message) override {
    v1::WatchRequest request;
    if (!request.ParseFromString(message) || std::exchange(asked_, true)) {
      call_->Finish(absl::InvalidArgumentError("one request is expected"));
      return;
    }
    control_.Post([&director = director_, call = call_, number = number_, request] {
      *number = director.NewAttendance();
      director.Watch(*number, call, request);
    });
  }
  void OnEnd(const absl::Status&) override {
    control_.Post([&director = director_, number = number_] { director.WatchEnded(*number); });
  }

 private:
  Executor& control_;
  Director& director_;
  const std::shared_ptr<Call> call_;
  const std::shared_ptr<uint64_t> number_ = std::make_shared<uint64_t>(0);
  bool asked_ = false;
};

model::KeyAttribute KeyOf(const v1::KeyAttribute& key) {
  model::AttributeType type = model::AttributeType::kString;
  if (key.type() == v1::KEY_TYPE_NUMBER) type = model::AttributeType::kNumber;
  if (key.type() == v1::KEY_TYPE_BINARY) type = model::AttributeType::kBinary;
  return {key.name(), type};
}

absl::Status ValidateTable(const v1::CreateTableRequest& request) {
  for (const v1::KeyAttribute* key :
       {&request.schema().partition_key(), &request.schema().sort_key()}) {
    if (!v1::KeyType_IsValid(key->type())) return absl::InvalidArgumentError("unknown key type");
  }
  model::TableSchema schema;
  schema.id = 1;
  schema.name = request.name();
  schema.key.partition = KeyOf(request.schema().partition_key());
  if (!request.schema().sort_key().name().empty()) {
    schema.key.sort = KeyOf(request.schema().sort_key());
  }
  return schema.Validate();
}

v1::AdminResponse Refusal(v1::Error error, const std::string& message) {
  v1::AdminResponse response;
  response.mutable_outcome()->set_error(error);
  response.mutable_outcome()->set_message(message);
  return response;
}

}  // namespace

// --- Who answers --------------------------------------------------------------------------------

template <typename Request, typename Response>
UnaryServer ClusterService::Serve(Handler<Request, Response> handler) {
  return ServerOf<Request, Response>(
      [this, handler](const Request& request, std::function<void(const Response&)> done) {
        (this->*handler)(request, std::move(done));
      });
}

UnaryServer ClusterService::ServerOfMethod(absl::string_view method) {
  if (method == "CreateTable") return Serve(&ClusterService::CreateTable);
  if (method == "DescribeTable") return Serve(&ClusterService::DescribeTable);
  if (method == "DeleteTable") return Serve(&ClusterService::DeleteTable);
  if (method == "ListTables") return Serve(&ClusterService::ListTables);
  if (method == "DrainNode") return Serve(&ClusterService::DrainNode);
  if (method == "UndrainNode") return Serve(&ClusterService::UndrainNode);
  if (method == "RemoveNode") return Serve(&ClusterService::RemoveNode);
  if (method == "MovePartition") return Serve(&ClusterService::MovePartition);
  if (method == "TransferPartition") return Serve(&ClusterService::TransferPartition);
  if (method == "RaiseClusterVersion") return Serve(&ClusterService::RaiseClusterVersion);
  if (method == "Status") return Serve(&ClusterService::Status);
  return nullptr;
}

absl::StatusOr<std::unique_ptr<CallHandler>> ClusterService::Accept(const IncomingCall& incoming) {
  absl::string_view method = incoming.method;
  method.remove_prefix(std::min(method.size(), kPrefix.size()));
  if (method == "Watch") {
    return std::make_unique<WatchHandler>(control_, director_, incoming.call);
  }
  UnaryServer serve = ServerOfMethod(method);
  if (serve == nullptr)
    return absl::UnimplementedError(absl::StrCat("no method ", incoming.method));
  bool was_passed_on = false;
  Duration timeout = kPassOnTimeout;
  for (const auto& [key, value] : incoming.metadata) {
    if (key == kPassedOnKey) was_passed_on = true;
    int64_t ms = 0;
    if (key == client::kCallTimeoutKey && absl::SimpleAtoi(value, &ms) && ms > 0) {
      timeout = std::min<Duration>(std::chrono::milliseconds(ms), kPassOnTimeout);
    }
  }
  return NewUnaryHandler(
      control_, incoming.call,
      [this, serve = std::move(serve), was_passed_on, timeout, path = std::string(incoming.method)](
          std::shared_ptr<Call> call, std::string request) {
        if (was_passed_on || !ShouldPassOn()) return serve(std::move(call), std::move(request));
        PassOn(path, std::move(call), std::move(request), timeout);
      });
}

// One that is elected and has not applied its first entry yet names itself.
bool ClusterService::ShouldPassOn() const {
  const std::string leader = director_.leader_address();
  return !director_.store().leads() && !leader.empty() && leader != address_ &&
         passed_on_ < kPassedOnMax;
}

// No answer is told as such: the leader may have carried it out.
void ClusterService::PassOn(const std::string& method, std::shared_ptr<Call> call,
                            std::string request, Duration timeout) {
  ++passed_on_;
  const std::string leader = director_.leader_address();
  client_.Call(leader, method, std::move(request),
               {.metadata = {{std::string(kPassedOnKey), "1"}}, .timeout = timeout},
               [this, call = std::move(call), leader](absl::StatusOr<std::string> answer) {
                 --passed_on_;
                 if (!answer.ok()) {
                   call->Finish(absl::UnavailableError(absl::StrCat(
                       "the metadata leader at ", leader, ": ", answer.status().message())));
                   return;
                 }
                 call->Send(*std::move(answer));
                 call->Finish(absl::OkStatus());
               });
}

v1::Outcome ClusterService::OutcomeOf(const CommandOutcome& outcome) const {
  v1::Outcome response;
  response.set_error(outcome.error);
  response.set_message(outcome.message);
  response.set_may_have_happened(outcome.may_have_happened);
  if (outcome.error == v1::ERROR_NOT_LEADER) {
    response.set_leader_address(director_.leader_address());
  }
  return response;
}

void ClusterService::WhenCurrent(std::function<void()> read,
                                 std::function<void(const v1::Outcome&)> refuse) {
  if (!director_.store().leads()) {
    return refuse(OutcomeOf({v1::ERROR_NOT_LEADER, "not the metadata leader"}));
  }
  director_.store().ReadBarrier(
      [this, read = std::move(read), refuse = std::move(refuse)](const absl::Status& status) {
        if (!status.ok()) {
          return refuse(OutcomeOf({v1::ERROR_UNAVAILABLE, std::string(status.message())}));
        }
        read();
      });
}

// --- Tables -------------------------------------------------------------------------------------

namespace {

v1::TableResponse RefusedTable(const v1::Outcome& outcome) {
  v1::TableResponse response;
  *response.mutable_outcome() = outcome;
  return response;
}

}  // namespace

void ClusterService::ProposeTable(v1::Command command, TableDone done) {
  director_.store().Propose(std::move(command), [this, done](const CommandOutcome& outcome) {
    v1::TableResponse response;
    *response.mutable_outcome() = OutcomeOf(outcome);
    const auto& tables = director_.store().metadata().tables();
    const auto found = tables.find(outcome.id);
    if (found != tables.end()) *response.mutable_table() = found->second.table();
    response.set_version(director_.store().metadata().version());
    done(response);
  });
}

void ClusterService::CreateTable(const v1::CreateTableRequest& request, TableDone done) {
  if (const absl::Status status = ValidateTable(request); !status.ok()) {
    v1::TableResponse response;
    response.mutable_outcome()->set_error(v1::ERROR_INVALID);
    response.mutable_outcome()->set_message(std::string(status.message()));
    return done(response);
  }
  v1::Command command;
  command.mutable_create_table()->set_name(request.name());
  *command.mutable_create_table()->mutable_schema() = request.schema();
  command.mutable_create_table()->set_created_ms(clock_.WallMicros() / 1000);
  ProposeTable(std::move(command), std::move(done));
}

// A table of another id that has the name by now is not meant. None gets it between this look and
// the command: the name becomes free by a command that this leader has not proposed yet.
void ClusterService::DeleteTable(const v1::TableRequest& request, TableDone done) {
  const auto remove = [this, request, done] {
    const MetadataStore& store = director_.store();
    const v1::TableRecord* const named = store.metadata().FindTable(request.name());
    if (request.id() != 0 && (named == nullptr || named->table().id() != request.id())) {
      v1::TableResponse response;
      response.mutable_table()->set_id(request.id());
      response.set_version(store.metadata().version());
      return done(response);
    }
    v1::Command command;
    command.set_delete_table(request.name());
    ProposeTable(std::move(command), done);
  };
  WhenCurrent(remove, [done](const v1::Outcome& outcome) { done(RefusedTable(outcome)); });
}

void ClusterService::DescribeTable(const v1::TableRequest& request, TableDone done) {
  WhenCurrent(
      [this, name = request.name(), done] {
        v1::TableResponse response;
        if (const v1::TableRecord* record = director_.store().metadata().FindTable(name)) {
          *response.mutable_table() = record->table();
        } else {
          response.mutable_outcome()->set_error(v1::ERROR_NOT_FOUND);
          response.mutable_outcome()->set_message(
              absl::StrCat("Requested resource not found: Table: ", name, " not found"));
        }
        done(response);
      },
      [done](const v1::Outcome& outcome) { done(RefusedTable(outcome)); });
}

void ClusterService::ListTables(const v1::ListTablesRequest& request,
                                std::function<void(const v1::ListTablesResponse&)> done) {
  WhenCurrent(
      [this, request, done] {
        std::vector<std::string> names;
        for (const auto& [id, record] : director_.store().metadata().tables()) {
          if (record.table().name() > request.start_after()) names.push_back(record.table().name());
        }
        std::sort(names.begin(), names.end());
        const size_t limit =
            std::min(request.limit() == 0 ? kListDefault : request.limit(), kListMax);
        v1::ListTablesResponse response;
        response.set_more(names.size() > limit);
        names.resize(std::min(names.size(), limit));
        for (const std::string& name : names) response.add_names(name);
        done(response);
      },
      [done](const v1::Outcome& outcome) {
        v1::ListTablesResponse response;
        *response.mutable_outcome() = outcome;
        done(response);
      });
}

// --- Administration -----------------------------------------------------------------------------

void ClusterService::ProposeAdmin(v1::Command command, AdminDone done) {
  director_.store().Propose(std::move(command), [this, done](const CommandOutcome& outcome) {
    v1::AdminResponse response;
    *response.mutable_outcome() = OutcomeOf(outcome);
    done(response);
  });
}

void ClusterService::DrainNode(const v1::NodeRequest& request, AdminDone done) {
  v1::Command command;
  command.mutable_set_node_state()->set_node(request.node());
  command.mutable_set_node_state()->set_from(v1::NODE_STATE_UP);
  command.mutable_set_node_state()->set_to(v1::NODE_STATE_DRAINING);
  ProposeAdmin(std::move(command), std::move(done));
}

void ClusterService::UndrainNode(const v1::NodeRequest& request, AdminDone done) {
  v1::Command command;
  command.mutable_set_node_state()->set_node(request.node());
  command.mutable_set_node_state()->set_from(v1::NODE_STATE_DRAINING);
  command.mutable_set_node_state()->set_to(v1::NODE_STATE_UP);
  ProposeAdmin(std::move(command), std::move(done));
}

namespace {

// The first partition whose data nobody could read or write again if `node` never returned: of its
// voters too few would be left that are alive and not removed. Empty: there is none.
std::string WhatLosesItsMajority(const Metadata& metadata, uint64_t node) {
  for (const auto& [id, record] : metadata.partitions()) {
    size_t voters = 0, left = 0;
    bool has_node = false;
    for (const v1::Replica& replica : record.partition().replicas()) {
      if (!replica.voter()) continue;
      ++voters;
      has_node |= replica.node() == node;
      const v1::NodeRecord* const host = metadata.FindNode(replica.node());
      left += replica.node() != node && host != nullptr && host->node().alive() &&
              host->node().state() != v1::NODE_STATE_REMOVED;
    }
    if (!has_node || left > voters / 2) continue;
    return absl::StrCat("partition ", id, " would have ", left, " of its ", voters,
                        " voters: no majority, and its data could not be read or written again");
  }
  return "";
}

}  // namespace

// A node that is there has to be drained first; one that is gone for good need not be, unless its
// replicas are needed to copy from.
void ClusterService::RemoveNode(const v1::NodeRequest& request, AdminDone done) {
  const Metadata& metadata = director_.store().metadata();
  const v1::NodeRecord* node = metadata.FindNode(request.node());
  v1::Command command;
  command.mutable_set_node_state()->set_node(request.node());
  command.mutable_set_node_state()->set_to(v1::NODE_STATE_REMOVED);
  if (director_.store().leads() && node != nullptr) {
    command.mutable_set_node_state()->set_from(node->node().state());
    size_t replicas = 0;
    for (const auto& [id, record] : metadata.partitions()) {
      for (const v1::Replica& replica : record.wish()) replicas += replica.node() == request.node();
    }
    if (replicas > 0 && node->node().alive()) {
      return done(Refusal(v1::ERROR_IN_USE,
                          absl::StrCat("node ", request.node(), " has ", replicas,
                                       " replicas: drain it, and wait until it has none")));
    }
    if (const std::string lost = WhatLosesItsMajority(metadata, request.node());
        !request.force() && node->node().state() != v1::NODE_STATE_REMOVED && !lost.empty()) {
      return done(
          Refusal(v1::ERROR_IN_USE,
                  absl::StrCat("without node ", request.node(), " ", lost,
                               ". Start the silent nodes again; --force gives up what they hold")));
    }
  }
  ProposeAdmin(std::move(command), std::move(done));
}

void ClusterService::MovePartition(const v1::MovePartitionRequest& request, AdminDone done) {
  const auto& partitions = director_.store().metadata().partitions();
  const auto found = partitions.find(request.partition());
  v1::Command command;
  command.mutable_plan_move()->set_partition(request.partition());
  if (director_.store().leads() && found != partitions.end()) {
    const v1::PartitionRecord& record = found->second;
    if (request.epoch() != 0 && request.epoch() != record.partition().epoch()) {
      return done(Refusal(v1::ERROR_CONFLICT,
                          absl::StrCat("the partition's epoch is ", record.partition().epoch())));
    }
    if (request.from_node() == request.to_node()) {
      return done(Refusal(v1::ERROR_INVALID, "from and to are the same node"));
    }
    command.mutable_plan_move()->set_expected_plan_version(record.plan_version());
    for (const v1::Replica& replica : record.wish()) {
      if (replica.node() == request.from_node()) {
        command.mutable_plan_move()->set_remove_replica(replica.id());
      }
    }
  }
  command.mutable_plan_move()->set_add_node(request.to_node());
  command.mutable_plan_move()->set_reason("asked for");
  ProposeAdmin(std::move(command), std::move(done));
}

void ClusterService::TransferPartition(const v1::TransferRequest& request, AdminDone done) {
  if (!director_.store().leads()) {
    v1::AdminResponse response;
    *response.mutable_outcome() = OutcomeOf({v1::ERROR_NOT_LEADER, "not the metadata leader"});
    return done(response);
  }
  const absl::Status status = director_.OrderTransfer(request.partition(), request.to_node());
  if (status.ok()) return done(v1::AdminResponse());
  done(Refusal(absl::IsNotFound(status) ? v1::ERROR_NOT_FOUND : v1::ERROR_UNAVAILABLE,
               std::string(status.message())));
}

void ClusterService::RaiseClusterVersion(const v1::RaiseVersionRequest& request, AdminDone done) {
  const Metadata& metadata = director_.store().metadata();
  v1::Command command;
  command.mutable_raise_version()->set_from(metadata.cluster_version());
  command.mutable_raise_version()->set_to(request.version() != 0 ? request.version()
                                                                 : metadata.NewestKnownVersion());
  ProposeAdmin(std::move(command), std::move(done));
}

void ClusterService::Status(const v1::StatusRequest&,
                            std::function<void(const v1::StatusResponse&)> done) {
  WhenCurrent([this, done] { done(director_.DescribeHealth()); },
              [done](const v1::Outcome& outcome) {
                v1::StatusResponse response;
                *response.mutable_outcome() = outcome;
                done(response);
              });
}

}  // namespace ringleader::coordinator
