#include "tests/simulation/cluster_passing_table.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "model/decimal.h"

namespace ringleader::simulation {
namespace {

constexpr absl::string_view kName = "passing";
constexpr size_t kKeys = 3;
constexpr Duration kRenewWithin = std::chrono::seconds(60);

Item KeyItem(size_t key) {
  Item item;
  item.Set("id", AttributeValue::String(absl::StrCat("passing-", key)));
  return item;
}

int64_t ValueOf(const ReadResult& read) {
  int64_t value = 0;
  if (!read.found) return value;
  const AttributeValue* const found = read.item.Find("value");
  return found != nullptr && absl::SimpleAtoi(found->number().ToString(), &value) ? value : -1;
}

}  // namespace

PassingTable::PassingTable(ClusterWorld& world)
    : world_(world), random_(world.simulation().random().Fork()), histories_(kKeys) {}

void PassingTable::Change() { is_there_ ? Delete().IgnoreError() : Create().IgnoreError(); }

absl::Status PassingTable::Create() {
  const KeySchema key{.partition = {"id", AttributeType::kString}};
  const absl::Status created = world_.administration().CreateTable(kName, key).status();
  const ErrorKind kind = KindOf(created);
  is_there_ = true;
  if (created.ok()) ++counts_["table created"];
  if (!created.ok() && kind != ErrorKind::kTableExists && kind != ErrorKind::kTableInUse) {
    Refused(created);
  }
  return created;
}

absl::Status PassingTable::Delete() {
  RegisterEvent event{.operation = RegisterOperation::kWrite, .call = Now()};
  const absl::Status deleted = world_.administration().DeleteTable(kName);
  event.returned = Now();
  event.known = deleted.ok();
  const ErrorKind kind = KindOf(deleted);
  if (kind == ErrorKind::kTableInUse) return deleted;  // it is being created
  is_there_ = !deleted.ok() && kind != ErrorKind::kTableNotFound;
  if (deleted.ok()) ++counts_["table deleted"];
  if (!deleted.ok() && kind != ErrorKind::kTableNotFound) Refused(deleted);
  // One that is not found may be gone by an earlier call, which was not answered.
  if (kind == ErrorKind::kTableNotFound) return deleted;
  for (auto& history : histories_) history.push_back(event);
  return deleted;
}

void PassingTable::Use(int client) {
  if (!world_.ClientRuns(client)) return;
  client::Connection& connection = world_.connection(client);
  const size_t key = random_.Below(kKeys);
  RegisterEvent event{.operation = RegisterOperation::kRead, .call = Now()};
  if (const auto read = connection.GetFromMemory(kName, KeyItem(key), {}); read.has_value()) {
    RegisterEvent seen = event;
    seen.output = ValueOf(*read);
    ++counts_["passing table: read from memory"];
    Done(key, seen, absl::OkStatus());
  }
  ++under_way_;
  const uint64_t draw = random_.Below(10);
  if (draw < 6) {
    return connection.GetAsync(kName, KeyItem(key), {},
                               [this, key, event](const absl::StatusOr<ReadResult>& read) mutable {
                                 --under_way_;
                                 if (read.ok()) event.output = ValueOf(*read);
                                 Done(key, event, read.status());
                               });
  }
  auto done = [this, key](RegisterEvent written) {
    return [this, key, written](const absl::StatusOr<WriteResult>& result) {
      --under_way_;
      Done(key, written, result.status());
    };
  };
  event.operation = RegisterOperation::kWrite;
  if (draw == 6) return connection.RemoveAsync(kName, KeyItem(key), {}, done(event));
  event.input = ++last_value_;
  Item item = KeyItem(key);
  item.Set("value", AttributeValue::Number(model::Decimal(event.input)));
  connection.PutAsync(kName, item, {}, done(event));
}

void PassingTable::Done(size_t key, RegisterEvent event, const absl::Status& status) {
  const ErrorKind kind = KindOf(status);
  const bool is_read = event.operation == RegisterOperation::kRead;
  event.returned = Now();
  event.known = status.ok();
  world_.simulation().Trace(static_cast<uint64_t>(event.output));
  world_.simulation().Trace(static_cast<uint64_t>(kind));
  ++counts_[absl::StrCat("passing table: ", is_read ? "read" : "write",
                         status.ok() ? "" : absl::StrCat(", ", KindName(kind)))];
  const bool is_absent = kind == ErrorKind::kTableNotFound || kind == ErrorKind::kTableInUse;
  const bool may_have_happened = !is_read && (is_absent || kind == ErrorKind::kUnknownOutcome);
  if (status.ok() || may_have_happened) return histories_[key].push_back(event);
  if (!is_absent) Refused(status);
}

// Nobody was there, or too much to do, or no time left; who administers may not know more.
void PassingTable::Refused(const absl::Status& status) {
  const ErrorKind kind = KindOf(status);
  if (kind == ErrorKind::kUnavailable || kind == ErrorKind::kThrottled ||
      kind == ErrorKind::kDeadline || kind == ErrorKind::kUnknownOutcome) {
    return;
  }
  world_.Violation(
      absl::StrCat("passing table: an error that no fault explains: ", status.ToString()));
}

bool PassingTable::Renew(std::string* why_not) {
  const Duration end = world_.simulation().now() + kRenewWithin;
  const auto again = [&](const absl::Status& status, const char* what) {
    *why_not = absl::StrCat(what, " the passing table: ", status.ToString());
    if (world_.simulation().now() > end) return false;
    world_.simulation().RunFor(std::chrono::milliseconds(100));
    return true;
  };
  for (absl::Status deleted = Delete();
       !deleted.ok() && KindOf(deleted) != ErrorKind::kTableNotFound; deleted = Delete()) {
    if (!again(deleted, "deleting")) return false;
  }
  for (absl::Status created = Create(); !created.ok() && KindOf(created) != ErrorKind::kTableExists;
       created = Create()) {
    if (!again(created, "creating")) return false;
  }
  for (size_t key = 0; key < kKeys; ++key) {
    while (true) {
      RegisterEvent event{.operation = RegisterOperation::kRead, .call = Now()};
      const auto read = world_.connection(0).Get(kName, KeyItem(key));
      if (read.ok()) event.output = ValueOf(*read);
      Done(key, event, read.status());
      if (read.ok()) break;
      if (!again(read.status(), "reading")) return false;
    }
  }
  return true;
}

void PassingTable::Check() {
  for (size_t key = 0; key < kKeys; ++key) {
    const std::string wrong = CheckRegister(histories_[key], 0, kCheckStepsMax).Complaint();
    if (!wrong.empty()) world_.Violation(absl::StrCat("passing table, key ", key, ": ", wrong));
  }
}

}  // namespace ringleader::simulation
