#include "tests/unit/node/partition_world.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "model/item_codec.h"
#include "model/json.h"

namespace ringleader {

using replication::Replica;

PartitionWorld::PartitionWorld(uint64_t seed, int nodes)
    : simulation_(seed), network_(simulation_) {
  network_.AddLossyMethods("/ringleader.replication.");
  for (int i = 1; i <= nodes; ++i) {
    PartitionNode& node = nodes_[static_cast<uint64_t>(i)];
    node.disk = std::make_unique<SimulatedFileSystem>(seed + static_cast<uint64_t>(i));
    node.clock = std::make_unique<simulation::SimulatedClock>(simulation_, 1.0);
    node.compactions = SystemThreads().Start("compact");
    Start(static_cast<uint64_t>(i));
  }
}

PartitionWorld::~PartitionWorld() {
  for (auto& [number, node] : nodes_) Kill(number);
}

std::string PartitionWorld::Address(uint64_t node) { return absl::StrCat("node-", node, ":7100"); }

void PartitionWorld::Start(uint64_t number) {
  PartitionNode& node = nodes_.at(number);
  node.threads = std::make_unique<simulation::SimulatedThreads>(
      simulation_, std::chrono::microseconds(50), "node");
  node.network =
      network_.NewEndpoint(number, [threads = node.threads.get()] { return threads->paused(); });
  node.registry = std::make_unique<Registry>();
  node.registry->SetClusterVersion(VersionRange().newest);
  node.admission = std::make_unique<Admission>(AdmissionOptions());
  node.cache_sessions = std::make_unique<CacheSessions>(CacheSessionsOptions(), *node.clock);
  const PartitionPlace place{{.file_system = *node.disk,
                              .clock = *node.clock,
                              .compactions = *node.compactions,
                              .flushes = *node.compactions,
                              .write_buffer_bytes = 64 << 10},
                             *node.registry,
                             *node.admission,
                             partition_options_,
                             node.cache_sessions.get()};
  node.factory = std::make_unique<PartitionFactory>(
      place, std::vector<Executor*>{node.compactions.get()}, "/data/plans");
  node.data = std::make_unique<DataService>(
      [&node](replication::GroupId group) { return node.runtime->Find(group); }, *node.registry,
      *node.clock, DataServiceOptions());
  replication::RuntimeOptions options;
  options.cluster = 77;
  options.node = number;
  options.directory = "/data";
  options.replica.retain_bytes = 64 << 10;
  // Small, so that segments end and are reclaimed: and the simulated disk holds each twice in
  // memory.
  options.log.segment_bytes = 256 << 10;
  options.log.reserve_bytes = 32 << 10;
  options.log.log_bytes_target = 1 << 20;
  options.log.entropy = simulation_.random().Next() | 1;
  auto runtime =
      replication::Runtime::Open(options, {*node.disk, *node.network, *node.threads, *node.clock},
                                 *node.factory, simulation_.random().Fork());
  CHECK_OK(runtime);
  node.runtime = *std::move(runtime);
  for (const auto& [other, ignored] : nodes_) {
    node.runtime->transport().SetAddress(other, Address(other));
    node.registry->SetAddress(other, Address(other));
  }
  node.router = std::make_unique<ServiceRouter>();
  node.router->Add(kDataServicePrefix, node.data.get());
  node.router->Add("/ringleader.replication.", &node.runtime->transport());
  auto listener = node.network->Listen(Address(number), node.router.get());
  CHECK_OK(listener);
  node.listener = *std::move(listener);
  for (auto& [other, peer] : nodes_) {
    if (peer.runtime == nullptr) continue;
    peer.runtime->transport().SetAddress(number, Address(number));
    peer.registry->SetAddress(number, Address(number));
  }
}

void PartitionWorld::Kill(uint64_t number) {
  PartitionNode& node = nodes_.at(number);
  node.listener = nullptr;
  node.router = nullptr;
  node.runtime = nullptr;
  node.data = nullptr;
  node.factory = nullptr;
  node.network = nullptr;
  node.threads = nullptr;
  node.disk->RestartProcess();
}

void PartitionWorld::CutPower(uint64_t number) {
  nodes_.at(number).disk->CrashNow();
  Kill(number);
  nodes_.at(number).disk->Restart();
}

void PartitionWorld::CreatePartition(int voters) {
  replication::Configuration configuration;
  for (int i = 1; i <= voters; ++i) {
    configuration.voters.push_back({static_cast<uint64_t>(10 + i), static_cast<uint64_t>(i)});
  }
  int created = 0;
  for (const replication::Member& member : configuration.voters) {
    PartitionNode& node = nodes_.at(member.node);
    CHECK_OK(node.factory->SavePlan(kGroup, member.replica, model::TokenRange()));
    replication::NewGroup group{.group = kGroup, .replica = member.replica};
    group.configuration = configuration;
    node.runtime->CreateGroup(group, [&created](const absl::Status& status) {
      CHECK_OK(status);
      ++created;
    });
  }
  while (created < voters) CHECK(simulation_.Step());
  CreateTable();
}

void PartitionWorld::CreateTable() {
  coordinator::v1::Table table;
  table.set_id(kTable);
  table.set_name("things");
  table.set_state(coordinator::v1::TABLE_STATE_ACTIVE);
  table.set_schema_version(1);
  table.mutable_schema()->mutable_partition_key()->set_name("pk");
  table.mutable_schema()->mutable_sort_key()->set_name("sk");
  table.mutable_schema()->mutable_sort_key()->set_type(coordinator::v1::KEY_TYPE_NUMBER);
  const auto record = MakeTableRecord(table);
  CHECK_OK(record);
  for (int round = 0; round < 100; ++round) {
    const uint64_t leader = WaitForLeader();
    const auto replica = ReplicaOf(leader);
    replica->applier().Post([this, leader, replica, record] {
      if (Partition* partition = PartitionOf(leader)) partition->ProposeTable(replica, *record);
    });
    RunFor(std::chrono::milliseconds(100));
    if (nodes_.at(leader).registry->FindTable(kTable) != nullptr) return;
  }
  CHECK(false) << "the table was not created";
}

uint64_t PartitionWorld::Leader() {
  for (auto& [number, node] : nodes_) {
    if (node.runtime == nullptr) continue;
    const auto replica = node.runtime->Find(kGroup);
    if (replica != nullptr && replica->view().serving) return number;
  }
  return 0;
}

uint64_t PartitionWorld::WaitForLeader() {
  for (int step = 0; step < 3000; ++step) {
    if (const uint64_t leader = Leader(); leader != 0) return leader;
    RunFor(std::chrono::milliseconds(10));
  }
  CHECK(false) << "no leader in 30 s";
  return 0;
}

void PartitionWorld::Send(uint64_t number, data::v1::Request request,
                          std::function<void(data::v1::Response)> done) {
  PartitionNode& node = nodes_.at(number);
  request.mutable_route()->set_partition(kGroup);
  if (request.table_case() == data::v1::Request::TABLE_NOT_SET) request.set_table_id(kTable);
  std::vector<PendingRequest> requests;
  requests.push_back({std::move(request), node.clock->Now(), std::move(done)});
  node.data->Dispatch(std::move(requests));
}

data::v1::Response PartitionWorld::Call(uint64_t number, data::v1::Request request) {
  auto answer = std::make_shared<std::optional<data::v1::Response>>();
  Send(number, std::move(request),
       [answer](data::v1::Response response) { *answer = std::move(response); });
  const Duration end = simulation_.now() + std::chrono::seconds(10);
  while (!answer->has_value() && simulation_.now() < end) CHECK(simulation_.Step());
  return answer->has_value() ? **answer : ErrorResponse(data::v1::ERROR_DEADLINE, "no answer");
}

void PartitionWorld::Maintain(uint64_t node) {
  const auto replica = ReplicaOf(node);
  if (replica == nullptr) return;
  replica->applier().Post([this, node, replica] {
    if (Partition* partition = PartitionOf(node)) partition->Maintain(replica);
  });
}

std::string PartitionWorld::Dump(uint64_t number) {
  data::v1::Request request;
  request.mutable_scan()->set_consistency(data::v1::CONSISTENCY_EVENTUAL);
  std::string dump;
  while (true) {
    const data::v1::Response response = Call(number, request);
    CHECK_EQ(response.error(), data::v1::ERROR_NONE) << response.message();
    for (const std::string& item : response.page().items()) absl::StrAppend(&dump, item, "\n");
    if (response.page().last_evaluated_key().empty()) return dump;
    request.mutable_scan()->set_exclusive_start_key(response.page().last_evaluated_key());
  }
}

std::string ItemBytes(absl::string_view json) {
  const auto item = model::ItemFromPlainJson(json);
  CHECK_OK(item);
  return model::EncodeItem(*item);
}

std::string KeyBytes(absl::string_view pk, int sk) {
  return ItemBytes(absl::StrCat(R"({"pk":")", pk, R"(","sk":)", sk, "}"));
}

std::string PlainJson(const std::string& item_bytes) {
  const auto item = model::DecodeItem(item_bytes);
  CHECK_OK(item);
  std::string json;
  CHECK_OK(model::AppendPlainJson(*item, &json));
  return json;
}

data::v1::Request GetRequest(absl::string_view pk, int sk) {
  data::v1::Request request;
  request.mutable_get()->set_key(KeyBytes(pk, sk));
  return request;
}

data::v1::Request PutRequest(absl::string_view json) {
  data::v1::Request request;
  request.mutable_put()->set_item(ItemBytes(json));
  return request;
}

data::v1::Request UpdateRequest(absl::string_view pk, int sk, absl::string_view update,
                                absl::string_view values) {
  data::v1::Request request;
  request.mutable_update()->set_key(KeyBytes(pk, sk));
  request.mutable_update()->mutable_expressions()->set_update(std::string(update));
  request.mutable_update()->mutable_expressions()->set_values(ItemBytes(values));
  return request;
}

data::v1::Request Increment(absl::string_view pk) {
  return UpdateRequest(pk, 1, "SET n = if_not_exists(n, :zero) + :one", R"({":zero":0,":one":1})");
}

}  // namespace ringleader
