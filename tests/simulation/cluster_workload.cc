#include "tests/simulation/cluster_workload.h"

#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/decimal.h"

namespace ringleader::simulation {
namespace {

AttributeValue NumberOf(int64_t value) { return AttributeValue::Number(model::Decimal(value)); }

int64_t IntegerOf(const AttributeValue* value) {
  int64_t number = 0;
  return value != nullptr && absl::SimpleAtoi(value->number().ToString(), &number) ? number : 0;
}

absl::string_view NameOf(RegisterOperation operation) {
  switch (operation) {
    case RegisterOperation::kRead:
      return "read";
    case RegisterOperation::kWrite:
      return "write";
    case RegisterOperation::kSwap:
      return "write that tells what was there";
    case RegisterOperation::kCompareAndSet:
      return "conditional write";
    case RegisterOperation::kAdd:
      return "add";
  }
  return "";
}

}  // namespace

Item WorkloadKey(int key) {
  Item item;
  item.Set("id", AttributeValue::String(absl::StrCat("key-", key / kKeysOfAGroup)));
  item.Set("n", NumberOf(key % kKeysOfAGroup));
  return item;
}

int NumberOfItem(const Item& item) {
  const AttributeValue* const id = item.Find("id");
  absl::string_view name = id != nullptr ? absl::string_view(id->string()) : "";
  int group = 0;
  if (!absl::ConsumePrefix(&name, "key-") || !absl::SimpleAtoi(name, &group)) return -1;
  return kKeysOfAGroup * group + static_cast<int>(IntegerOf(item.Find("n")));
}

int64_t ValueOfItem(const Item& item) { return IntegerOf(item.Find("value")); }

ClusterWorkload::ClusterWorkload(ClusterWorld& world, const ClusterWorkloadOptions& options)
    : world_(world), options_(options) {
  const auto keys = static_cast<size_t>(options.keys);
  for (int i = 0; i < world.options().clients * options.lanes; ++i) {
    lanes_.push_back({.random = world.simulation().random().Fork(), .client = i / options.lanes});
    lanes_.back().seen.resize(keys);
  }
  histories_.resize(keys);
  eventual_.resize(keys);
  last_success_.resize(keys);
  last_seen_.resize(keys);
  world.OnClientKilled([this](int client) { ClientKilled(client); });
}

absl::Status ClusterWorkload::CreateTable() {
  const KeySchema key{.partition = {"id", AttributeType::kString},
                      .sort = model::KeyAttribute{"n", AttributeType::kNumber}};
  return world_.administration().CreateTable(kWorkloadTable, key).status();
}

void ClusterWorkload::Start() {
  for (size_t i = 0; i < lanes_.size(); ++i) Next(i);
}

void ClusterWorkload::Next(size_t number) {
  const auto think = Duration(lanes_[number].random.Between(0, options_.think_max.count()));
  world_.simulation().At(think, [this, number] {
    if (stopped_) return;
    world_.ClientRuns(lanes_[number].client) ? Begin(number) : Next(number);
  });
}

void ClusterWorkload::Begin(size_t number) {
  Lane& lane = lanes_[number];
  LookIntoMemory(lane);
  const int key = static_cast<int>(lane.random.Below(static_cast<uint64_t>(options_.keys)));
  const uint64_t operation = ++lane.operation;
  lane.is_waiting = true;
  lane.key = key;
  lane.event = Draw(lane, key);
  ++under_way_;
  if (lane.event.operation == RegisterOperation::kRead) {
    const uint64_t draw = lane.random.Below(100);
    if (draw < 8) return GetStale(number, key);
    if (draw < 18) return GetEventual(number, key);
    if (draw < 30) return ReadPages(number);
  }
  const uint64_t padding = lane.random.Below(options_.padding_bytes_max + 1);
  Send(lane.client, key, lane.event, padding,
       [this, number, operation, key](const RegisterEvent& done, const absl::Status& status) {
         if (Over(number, operation)) Answered(number, key, done, status);
       });
}

bool ClusterWorkload::Over(size_t number, uint64_t operation) {
  Lane& lane = lanes_[number];
  if (!lane.is_waiting || lane.operation != operation) return false;
  lane.is_waiting = false;
  --under_way_;
  return true;
}

void ClusterWorkload::ClientKilled(int client) {
  for (size_t number = 0; number < lanes_.size(); ++number) {
    Lane& lane = lanes_[number];
    if (lane.client != client || !Over(number, lane.operation)) continue;
    ++counts_["left open by its client's end"];
    if (lane.event.operation != RegisterOperation::kRead) {
      lane.event.known = false;
      histories_[static_cast<size_t>(lane.key)].push_back(lane.event);
    }
    Next(number);
  }
}

// As an application's own thread does: at once, beside whatever the library is doing.
void ClusterWorkload::LookIntoMemory(Lane& lane) {
  if (!world_.ClientRuns(lane.client)) return;
  const int key = static_cast<int>(lane.random.Below(static_cast<uint64_t>(options_.keys)));
  const std::optional<ReadResult> read =
      world_.connection(lane.client).GetFromMemory(kWorkloadTable, WorkloadKey(key), {});
  if (!read.has_value()) return;
  RegisterEvent event{.operation = RegisterOperation::kRead, .call = Now()};
  if (read->found) event.output = ValueOfItem(read->item);
  ++counts_["read from memory"];
  event.returned = Now();
  world_.simulation().Trace(static_cast<uint64_t>(event.output));
  histories_[static_cast<size_t>(key)].push_back(event);
}

RegisterEvent ClusterWorkload::Draw(Lane& lane, int key) {
  RegisterEvent event;
  event.call = Now();
  if (lane.random.Below(100) < options_.reads_percent) {
    event.operation = RegisterOperation::kRead;
    return event;
  }
  if (lane.random.Below(100) < options_.deletes_percent) {
    event.operation = RegisterOperation::kWrite;  // of 0
    return event;
  }
  if (lane.random.Below(100) < options_.conditions_percent) {
    // What it saw itself, or what it was told of by who saw it last.
    const std::vector<int64_t>& seen = lane.random.Chance(0.5) ? lane.seen : last_seen_;
    event.operation = RegisterOperation::kCompareAndSet;
    event.expected = seen[static_cast<size_t>(key)];
    event.input = ++last_value_ * kValueStep;
  } else if (lane.random.Chance(0.5)) {
    event.operation = RegisterOperation::kWrite;
    event.input = ++last_value_ * kValueStep;
  } else {
    event.operation = RegisterOperation::kAdd;
    event.input = 1;
  }
  return event;
}

void ClusterWorkload::Send(int client, int key, RegisterEvent event, uint64_t padding,
                           std::function<void(RegisterEvent, const absl::Status&)> done) {
  client::Connection& connection = world_.connection(client);
  Item item = WorkloadKey(key);
  WriteOptions options;
  const auto fill = [&] {
    item.Set("value", NumberOf(event.input));
    item.Set("padding", AttributeValue::String(std::string(padding, 'p')));
  };
  switch (event.operation) {
    case RegisterOperation::kRead:
      return connection.GetAsync(kWorkloadTable, item, {},
                                 [event, done](absl::StatusOr<ReadResult> read) mutable {
                                   if (read.ok() && read->found)
                                     event.output = ValueOfItem(read->item);
                                   done(event, read.status());
                                 });
    case RegisterOperation::kWrite:
      if (event.input == 0) {
        return connection.RemoveAsync(
            kWorkloadTable, item, {},
            [event, done](const absl::StatusOr<WriteResult>& gone) { done(event, gone.status()); });
      }
      fill();
      return connection.PutAsync(
          kWorkloadTable, item, {},
          [event, done](const absl::StatusOr<WriteResult>& put) { done(event, put.status()); });
    case RegisterOperation::kCompareAndSet:
      fill();
      options.names = {{"#v", "value"}};
      options.condition = event.expected == 0 ? "attribute_not_exists(#v)" : "#v = :old";
      if (event.expected != 0) options.values.Set(":old", NumberOf(event.expected));
      return connection.PutAsync(kWorkloadTable, item, options,
                                 [event, done](const absl::StatusOr<WriteResult>& put) mutable {
                                   event.output = put.ok() ? 1 : 0;
                                   done(event, put.status());
                                 });
    case RegisterOperation::kAdd:
      options.names = {{"#v", "value"}};
      options.values.Set(":one", NumberOf(event.input));
      options.return_values = ReturnValues::kUpdatedNew;
      return connection.UpdateAsync(kWorkloadTable, item, "ADD #v :one", options,
                                    [event, done](absl::StatusOr<WriteResult> added) mutable {
                                      if (added.ok()) event.output = ValueOfItem(added->item);
                                      done(event, added.status());
                                    });
  }
}

void ClusterWorkload::Answered(size_t number, int key, const RegisterEvent& event,
                               const absl::Status& status) {
  Lane& lane = lanes_[number];
  int64_t& seen = lane.seen[static_cast<size_t>(key)];
  if (status.ok() && event.operation == RegisterOperation::kCompareAndSet) {
    seen = event.input;
  } else if (status.ok()) {
    seen = event.operation == RegisterOperation::kWrite ? event.input : event.output;
  }
  if (status.ok()) last_seen_[static_cast<size_t>(key)] = seen;
  Record(key, event, status);
  Next(number);
}

void ClusterWorkload::Record(int key, RegisterEvent event, const absl::Status& status) {
  event.returned = Now();
  const ErrorKind kind = KindOf(status);
  const bool done = status.ok() || kind == ErrorKind::kConditionFailed;
  world_.simulation().Trace(static_cast<uint64_t>(event.output));
  world_.simulation().Trace(static_cast<uint64_t>(kind));
  ++counts_[done ? absl::StrCat(NameOf(event.operation),
                                status.ok() ? "" : " refused by its condition")
                 : absl::StrCat("error: ", KindName(kind))];
  if (done) {
    Served(key);
  } else if (kind == ErrorKind::kUnknownOutcome) {
    event.known = false;
  } else {
    return Refused(kind, status);
  }
  histories_[static_cast<size_t>(key)].push_back(event);
}

void ClusterWorkload::Served(int key) {
  ++succeeded_;
  last_success_[static_cast<size_t>(key)] = world_.simulation().now();
}

void ClusterWorkload::Refused(ErrorKind kind, const absl::Status& status) {
  if (kind == ErrorKind::kValidation || kind == ErrorKind::kInternal ||
      kind == ErrorKind::kTableNotFound || kind == ErrorKind::kNotFound) {
    world_.Violation(absl::StrCat("an error that no fault explains: ", status.ToString()));
  }
}

bool ClusterWorkload::ReadAll(Duration timeout, std::string* why_not) {
  const Duration end = world_.simulation().now() + timeout;
  for (int key = 0; key < options_.keys; ++key) {
    while (true) {
      RegisterEvent event{.operation = RegisterOperation::kRead, .call = Now()};
      const auto read = world_.connection(0).Get(kWorkloadTable, WorkloadKey(key));
      if (read.ok() && read->found) event.output = ValueOfItem(read->item);
      Record(key, event, read.status());
      if (read.ok()) break;
      if (world_.simulation().now() < end) continue;
      *why_not = absl::StrCat("key-", key, " can't be read: ", read.status().ToString());
      return false;
    }
  }
  return true;
}

void ClusterWorkload::Check() {
  for (size_t key = 0; key < histories_.size(); ++key) {
    const LinearizabilityResult result = CheckRegister(histories_[key], 0, kCheckStepsMax);
    if (result.verdict == LinearizabilityResult::kLinearizable) continue;
    world_.Violation(absl::StrCat("key-", key, ": ",
                                  result.verdict == LinearizabilityResult::kUndecided
                                      ? "the history could not be decided: "
                                      : "not linearizable: ",
                                  result.explanation));
  }
  CheckEventual();
}

}  // namespace ringleader::simulation
