#include "tests/simulation/cluster_workload.h"

#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/check.h"
#include "model/decimal.h"

namespace ringleader::simulation {
namespace {

constexpr uint64_t kPassingPercent = 10;  // operations on the passing table beside the others

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

ClusterWorkload::ClusterWorkload(ClusterWorld& world, PassingTable& passing,
                                 const ClusterWorkloadOptions& options)
    : world_(world),
      passing_(passing),
      options_(options),
      derived_(static_cast<size_t>(world.options().clients)) {
  const auto keys = static_cast<size_t>(options.keys);
  for (int i = 0; i < world.options().clients * options.lanes; ++i) {
    lanes_.push_back({.random = world.simulation().random().Fork(), .client = i / options.lanes});
    lanes_.back().seen.resize(keys);
  }
  histories_.resize(keys);
  eventual_.resize(keys);
  versions_.resize(keys);
  last_success_.resize(keys);
  last_seen_.resize(keys);
  world.OnClientKilled([this](int client) { ClientKilled(client); });
  world.OnInvalidated([this](int client, absl::string_view table, const Item& key) {
    if (table != kWorkloadTable || client >= world_.options().clients) return;
    counts_["notice to a client"] += derived_[static_cast<size_t>(client)].erase(NumberOfItem(key));
  });
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
  if (lane.random.Below(100) < kPassingPercent) passing_.Use(lane.client);
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
  Send(lane.client, key, lane.event, [this, number, operation, key](const Answer& answer) {
    if (Over(number, operation)) Take(number, key, answer);
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
  if (client < world_.options().clients) derived_[static_cast<size_t>(client)].clear();
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
  if (read->found) event.output = Whole(key, read->item);
  ++counts_["read from memory"];
  event.returned = Now();
  world_.simulation().Trace(static_cast<uint64_t>(event.output));
  histories_[static_cast<size_t>(key)].push_back(event);
  if (read->found) Saw(key, {.event = event, .version = read->item_version}, false);
}

RegisterEvent ClusterWorkload::Draw(Lane& lane, int key) {
  RegisterEvent event;
  event.call = Now();
  if (lane.random.Below(100) < options_.reads_percent) {
    event.operation = RegisterOperation::kRead;
    return event;
  }
  if (lane.random.Below(100) < options_.deletes_percent) {
    event.operation =
        lane.random.Chance(0.5) ? RegisterOperation::kWrite : RegisterOperation::kSwap;  // of 0
    return event;
  }
  if (lane.random.Below(100) < options_.conditions_percent) {
    // What it saw itself, or what it was told of by who saw it last.
    const std::vector<int64_t>& seen = lane.random.Chance(0.5) ? lane.seen : last_seen_;
    event.operation = RegisterOperation::kCompareAndSet;
    event.expected = seen[static_cast<size_t>(key)];
    event.input = ++last_value_ * kValueStep;
  } else if (lane.random.Chance(0.5)) {
    event.operation =
        lane.random.Chance(0.5) ? RegisterOperation::kWrite : RegisterOperation::kSwap;
    event.input = ++last_value_ * kValueStep;
  } else {
    event.operation = RegisterOperation::kAdd;
    event.input = 1;
  }
  return event;
}

// All but the key follows from the value that was put, which adds leave as it is.
Item ClusterWorkload::ItemOf(int key, int64_t value) const {
  Item item = WorkloadKey(key);
  item.Set("value", NumberOf(value));
  const auto put = static_cast<uint64_t>(value / kValueStep);
  if (put == 0) return item;
  const uint64_t bytes = Random(put).Below(options_.padding_bytes_max + 1);
  item.Set("padding", AttributeValue::String(
                          std::string(bytes, static_cast<char>('a' + static_cast<int>(put % 26)))));
  return item;
}

int64_t ClusterWorkload::Whole(int key, const Item& item) {
  const int64_t value = ValueOfItem(item);
  if (item == ItemOf(key, value)) return value;
  world_.Violation(
      absl::StrCat("key-", key, ": an item of value ", value, " was shown that nobody wrote"));
  return value;
}

void ClusterWorkload::Send(int client, int key, const RegisterEvent& event, Answered done) {
  event.operation == RegisterOperation::kRead
      ? Get(client, key, event, std::move(done))
      : Write(world_.connection(client), key, event, std::move(done));
}

void ClusterWorkload::Get(int client, int key, const RegisterEvent& event, Answered done) {
  std::map<int, Derived>& derived = derived_[static_cast<size_t>(client)];
  const uint64_t mark = ++last_mark_;
  derived[key] = {.mark = mark};
  world_.connection(client).GetAsync(
      kWorkloadTable, WorkloadKey(key), {},
      [this, key, event, mark, &derived,
       done = std::move(done)](const absl::StatusOr<ReadResult>& read) {
        Answer answer{.event = event, .status = read.status()};
        if (read.ok() && read->found) {
          answer.event.output = Whole(key, read->item);
          answer.version = read->item_version;
        }
        const auto kept = derived.find(key);
        if (read.ok() && read->watched && kept != derived.end() && kept->second.mark == mark) {
          kept->second.value = answer.event.output;
        }
        done(std::move(answer));
      });
}

void ClusterWorkload::Write(client::Connection& connection, int key, const RegisterEvent& event,
                            Answered done) {
  const RegisterOperation operation = event.operation;
  WriteOptions options;
  if (operation == RegisterOperation::kSwap) options.return_values = ReturnValues::kAllOld;
  if (operation == RegisterOperation::kAdd) options.return_values = ReturnValues::kUpdatedNew;
  auto take = [this, key, event,
               done = std::move(done)](const absl::StatusOr<WriteResult>& written) {
    Answer answer{.event = event, .status = written.status()};
    RegisterEvent& told = answer.event;
    if (written.ok()) answer.version = written->item_version;
    if (told.operation == RegisterOperation::kCompareAndSet) told.output = written.ok() ? 1 : 0;
    if (written.ok() && told.operation == RegisterOperation::kAdd) {
      told.output = ValueOfItem(written->item);
    }
    if (written.ok() && told.operation == RegisterOperation::kSwap && !written->item.empty()) {
      told.output = Whole(key, written->item);
    }
    done(std::move(answer));
  };
  if (operation == RegisterOperation::kAdd) {
    options.names = {{"#v", "value"}};
    options.values.Set(":one", NumberOf(event.input));
    return connection.UpdateAsync(kWorkloadTable, WorkloadKey(key), "ADD #v :one", options,
                                  std::move(take));
  }
  if (event.input == 0) {
    return connection.RemoveAsync(kWorkloadTable, WorkloadKey(key), options, std::move(take));
  }
  if (operation == RegisterOperation::kCompareAndSet) {
    options.names = {{"#v", "value"}};
    options.condition = event.expected == 0 ? "attribute_not_exists(#v)" : "#v = :old";
    if (event.expected != 0) options.values.Set(":old", NumberOf(event.expected));
  }
  connection.PutAsync(kWorkloadTable, ItemOf(key, event.input), options, std::move(take));
}

void ClusterWorkload::Take(size_t number, int key, const Answer& answer) {
  Lane& lane = lanes_[number];
  const RegisterEvent& event = answer.event;
  int64_t& seen = lane.seen[static_cast<size_t>(key)];
  if (answer.status.ok()) {
    const bool is_told =
        event.operation == RegisterOperation::kRead || event.operation == RegisterOperation::kAdd;
    seen = is_told ? event.output : event.input;
    last_seen_[static_cast<size_t>(key)] = seen;
  }
  Record(key, answer);
  Next(number);
}

void ClusterWorkload::Record(int key, Answer answer) {
  RegisterEvent& event = answer.event;
  event.returned = Now();
  const ErrorKind kind = KindOf(answer.status);
  const bool done = answer.status.ok() || kind == ErrorKind::kConditionFailed;
  world_.simulation().Trace(static_cast<uint64_t>(event.output));
  world_.simulation().Trace(static_cast<uint64_t>(kind));
  ++counts_[done ? absl::StrCat(NameOf(event.operation),
                                answer.status.ok() ? "" : " refused by its condition")
                 : absl::StrCat("error: ", KindName(kind))];
  const bool is_write = event.operation != RegisterOperation::kRead;
  if (done) {
    Served(key);
    Saw(key, answer, /*is_eventual=*/false);
  } else if (is_write && kind == ErrorKind::kUnknownOutcome) {
    event.known = false;
  } else {
    return Refused(answer.status);
  }
  histories_[static_cast<size_t>(key)].push_back(event);
}

void ClusterWorkload::Saw(int key, const Answer& answer, bool is_eventual) {
  if (answer.version == 0) return;
  const RegisterEvent& event = answer.event;
  versions_[static_cast<size_t>(key)].push_back(
      {.version = answer.version,
       .value = event.output,
       .call = event.call,
       .returned = event.returned,
       .is_write = event.operation != RegisterOperation::kRead,
       .is_eventual = is_eventual});
}

void ClusterWorkload::Served(int key) {
  ++succeeded_;
  last_success_[static_cast<size_t>(key)] = world_.simulation().now();
}

// Nobody was there, or too much to do, or no time left.
void ClusterWorkload::Refused(const absl::Status& status) {
  const ErrorKind kind = KindOf(status);
  if (kind == ErrorKind::kUnavailable || kind == ErrorKind::kThrottled ||
      kind == ErrorKind::kDeadline) {
    return;
  }
  world_.Violation(absl::StrCat("an error that no fault explains: ", status.ToString()));
}

bool ClusterWorkload::AddToAll(Duration timeout, std::string* why_not) {
  return DoAll(RegisterOperation::kAdd, timeout, why_not);
}

bool ClusterWorkload::ReadAll(Duration timeout, std::string* why_not) {
  return DoAll(RegisterOperation::kRead, timeout, why_not);
}

bool ClusterWorkload::DoAll(RegisterOperation operation, Duration timeout, std::string* why_not) {
  const Duration end = world_.simulation().now() + timeout;
  for (int key = 0; key < options_.keys; ++key) {
    std::optional<Answer> last;
    while (!last.has_value() || !last->status.ok()) {
      if (last.has_value() && world_.simulation().now() > end) {
        *why_not = absl::StrCat(NameOf(operation), " of key-", key, ": ", last->status.ToString());
        return false;
      }
      RegisterEvent event{.operation = operation, .call = Now()};
      if (operation == RegisterOperation::kAdd) event.input = 1;
      last.reset();
      Send(0, key, event, [&last](Answer answer) { last = std::move(answer); });
      while (!last.has_value()) CHECK(world_.simulation().Step());
      Record(key, *last);
    }
    last_seen_[static_cast<size_t>(key)] = last->event.output;
  }
  return true;
}

void ClusterWorkload::CheckDerived() {
  for (size_t client = 0; client < derived_.size(); ++client) {
    for (const auto& [key, kept] : derived_[client]) {
      if (!kept.value.has_value()) continue;
      ++counts_["derived value that is still kept at the end"];
      const int64_t now = last_seen_[static_cast<size_t>(key)];
      if (*kept.value == now) continue;
      world_.Violation(absl::StrCat("client ", client, " has derived something from key-", key,
                                    "'s ", *kept.value, ", and was not told that it is ", now));
    }
  }
}

void ClusterWorkload::Check() {
  for (size_t key = 0; key < histories_.size(); ++key) {
    const std::string wrong = CheckRegister(histories_[key], 0, kCheckStepsMax).Complaint();
    if (!wrong.empty()) world_.Violation(absl::StrCat("key-", key, ": ", wrong));
  }
  for (size_t key = 0; key < versions_.size(); ++key) {
    const std::string wrong = CheckVersions(versions_[key]);
    if (!wrong.empty()) world_.Violation(absl::StrCat("key-", key, ": ", wrong));
  }
  CheckEventual();
}

}  // namespace ringleader::simulation
