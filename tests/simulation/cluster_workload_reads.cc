// Reads other than linearizable gets: bounded staleness, eventual consistency, queries and scans.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/decimal.h"
#include "tests/simulation/cluster_workload.h"

namespace ringleader::simulation {
namespace {

constexpr int64_t kStaleMaxMs = 2000;
// The bound is counted by a clock that may run slow.
constexpr int64_t kStaleNanosecondsPerMs = 1'050'000;

}  // namespace

// What such a read shows was there at some time since so long before it began.
void ClusterWorkload::GetStale(size_t number, int key) {
  Lane& lane = lanes_[number];
  const int64_t stale_ms = lane.random.Between(1, kStaleMaxMs);
  RegisterEvent event = lane.event;
  event.call -= stale_ms * kStaleNanosecondsPerMs;
  ++counts_["read that may be stale"];
  world_.connection(lane.client)
      .GetAsync(kWorkloadTable, WorkloadKey(key),
                {.stale_max = std::chrono::milliseconds(stale_ms)},
                [this, number, operation = lane.operation, key,
                 event](const absl::StatusOr<ReadResult>& read) {
                  if (!Over(number, operation)) return;
                  Answer answer{.event = event, .status = read.status()};
                  if (read.ok() && read->found) {
                    answer.event.output = Whole(key, read->item);
                    answer.version = read->item_version;
                  }
                  Take(number, key, answer);
                });
}

void ClusterWorkload::GetEventual(size_t number, int key) {
  Lane& lane = lanes_[number];
  ++counts_["eventual read"];
  world_.connection(lane.client)
      .GetAsync(kWorkloadTable, WorkloadKey(key), {.consistency = Consistency::kEventual},
                [this, number, operation = lane.operation, key,
                 call = lane.event.call](const absl::StatusOr<ReadResult>& read) {
                  if (!Over(number, operation)) return;
                  if (read.ok()) {
                    SawEventually(key, read->found ? Whole(key, read->item) : 0,
                                  read->found ? read->item_version : 0, call);
                  } else {
                    ++counts_[absl::StrCat("error: ", KindName(KindOf(read.status())))];
                    Refused(read.status());
                  }
                  Next(number);
                });
}

void ClusterWorkload::SawEventually(int key, int64_t value, uint64_t version, int64_t call) {
  world_.simulation().Trace(static_cast<uint64_t>(value));
  const RegisterEvent event{.output = value, .call = call, .returned = Now()};
  eventual_[static_cast<size_t>(key)].push_back(event);
  Saw(key, {.event = event, .version = version}, /*is_eventual=*/true);
}

void ClusterWorkload::ReadPages(size_t number) {
  Lane& lane = lanes_[number];
  auto read = std::make_shared<PagedRead>();
  read->lane = number;
  read->operation = lane.operation;
  read->is_eventual = lane.random.Chance(0.3);
  read->options.consistency =
      read->is_eventual ? Consistency::kEventual : Consistency::kLinearizable;
  read->options.limit = static_cast<uint32_t>(lane.random.Below(4));  // 0: no limit
  read->began = Now();
  if (lane.random.Chance(0.7)) {
    read->group = lane.key / kKeysOfAGroup;
    read->options.names = {{"#i", "id"}};
    read->options.key_condition = "#i = :id";
    read->options.values.Set(":id", AttributeValue::String(absl::StrCat("key-", read->group)));
    read->options.backward = lane.random.Chance(0.5);
  }
  ++counts_[read->group >= 0 ? "query" : "scan"];
  NextPage(std::move(read));
}

void ClusterWorkload::NextPage(std::shared_ptr<PagedRead> read) {
  read->page_began = Now();
  client::Connection& connection = world_.connection(lanes_[read->lane].client);
  const auto done = [this, read](const absl::StatusOr<QueryPage>& page) { TakePage(read, page); };
  read->group >= 0 ? connection.QueryAsync(kWorkloadTable, read->options, done)
                   : connection.ScanAsync(kWorkloadTable, read->options, done);
}

void ClusterWorkload::TakePage(std::shared_ptr<PagedRead> read,
                               const absl::StatusOr<QueryPage>& page) {
  const Lane& lane = lanes_[read->lane];
  if (!lane.is_waiting || lane.operation != read->operation) return;
  const auto saw = [&](int key, int64_t value, int64_t since) {
    if (read->is_eventual) return SawEventually(key, value, /*version=*/0, since);
    world_.simulation().Trace(static_cast<uint64_t>(value));
    Served(key);
    histories_[static_cast<size_t>(key)].push_back(
        {.operation = RegisterOperation::kRead, .output = value, .call = since, .returned = Now()});
  };
  const auto over = [&] {
    Over(read->lane, read->operation);
    Next(read->lane);
  };
  if (!page.ok()) {
    ++counts_[absl::StrCat("error: ", KindName(KindOf(page.status())))];
    Refused(page.status());
    return over();
  }
  ++counts_["page of a query or scan"];
  if (page->count != page->items.size() ||
      (read->options.limit > 0 && page->count > read->options.limit)) {
    world_.Violation(absl::StrCat("a page of ", page->items.size(), " items says that it has ",
                                  page->count, ", with a limit of ", read->options.limit));
  }
  for (const Item& item : page->items) {
    const int key = NumberOfItem(item);
    const bool is_asked_for =
        key >= 0 && key < options_.keys && (read->group < 0 || key / kKeysOfAGroup == read->group);
    if (!is_asked_for || !read->found.insert(key).second) {
      world_.Violation(absl::StrCat("a query or scan shows key-", key,
                                    is_asked_for ? " twice" : ", which it did not ask for"));
      return over();
    }
    const bool is_in_order =
        read->group < 0 || read->last < 0 || (key < read->last) == read->options.backward;
    if (!is_in_order) {
      world_.Violation(absl::StrCat("a query shows key-", key, " after key-", read->last));
    }
    read->last = key;
    saw(key, Whole(key, item), read->page_began);
  }
  if (!page->last_key.empty()) {
    read->options.start_key = page->last_key;
    return NextPage(std::move(read));
  }
  // What no page had was not there when its page was read.
  for (int key = 0; key < options_.keys; ++key) {
    const bool is_asked_for = read->group < 0 || key / kKeysOfAGroup == read->group;
    if (is_asked_for && !read->found.contains(key)) saw(key, 0, read->began);
  }
  over();
}

// Nothing from nowhere: a value that was never written, one from the future, a sum of too many.
void ClusterWorkload::CheckEventual() {
  for (size_t key = 0; key < eventual_.size(); ++key) {
    for (const RegisterEvent& read : eventual_[key]) {
      const int64_t base = read.output - read.output % kValueStep;
      int64_t adds = 0;
      bool is_written = base == 0;
      for (const RegisterEvent& event : histories_[key]) {
        if (event.call > read.returned) continue;
        const bool is_set = event.operation == RegisterOperation::kWrite ||
                            event.operation == RegisterOperation::kSwap ||
                            (event.operation == RegisterOperation::kCompareAndSet &&
                             (!event.known || event.output == 1));
        is_written |= is_set && event.input == base;
        if (event.operation == RegisterOperation::kAdd) ++adds;
      }
      if (is_written && read.output - base <= adds) continue;
      world_.Violation(absl::StrCat("key-", key, ": an eventual read answered ", read.output,
                                    " at ", read.returned / 1'000'000,
                                    " ms, which it can't have had before"));
    }
  }
}

}  // namespace ringleader::simulation
