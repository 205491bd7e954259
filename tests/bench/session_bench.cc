// session-bench: many clients that cache, each with a few items, which they hold and do nothing
// with: what that costs the nodes, somebody else measures meanwhile. The clients share one process,
// one thread and one connection; to the nodes each is a client of its own.
//
//   session-bench COORDINATORS SESSIONS ITEMS SECONDS
//
// Prints "holding N items" when everything is held, and ends SECONDS later.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cached_reads.h"
#include "client/client_request.h"
#include "client/connection.h"
#include "common/check.h"
#include "common/grpc_network.h"

namespace ringleader {
namespace {

constexpr absl::string_view kTable = "session-bench";
constexpr auto kPause = std::chrono::milliseconds(200);

Item KeyOf(int session, int i) {
  Item key;
  key.Set("id", AttributeValue::String(absl::StrCat("session-", session, "-", i)));
  return key;
}

void Put(Client& client, int sessions, int items) {
  if (!client.DescribeTable(kTable).ok()) {
    CHECK_OK(client.CreateTable(kTable, {.partition = {"id", AttributeType::kString}}));
  }
  for (int session = 0; session < sessions; ++session) {
    std::vector<BatchEntry> batch;
    for (int i = 0; i < items; ++i) {
      Item item = KeyOf(session, i);
      item.Set("value", AttributeValue::Binary(std::string(100, 'x')));
      batch.push_back({BatchEntry::Kind::kPut, std::move(item)});
    }
    for (const absl::Status& put : client.BatchWrite(kTable, batch)) CHECK_OK(put);
  }
}

// Asks for what `reads` does not hold yet.
void Ask(client::CachedReads& reads, int session, int items) {
  if (reads.statistics().entries >= static_cast<uint64_t>(items)) return;
  for (int i = 0; i < items; ++i) {
    const Item key = KeyOf(session, i);
    reads.Execute(client::GetRequest(kTable, key, {}), [](const data::v1::Response&) {});
  }
}

int Main(int argc, char** argv) {
  int sessions = 0;
  int items = 0;
  int seconds = 0;
  if (argc != 5 || !absl::SimpleAtoi(argv[2], &sessions) || !absl::SimpleAtoi(argv[3], &items) ||
      !absl::SimpleAtoi(argv[4], &seconds)) {
    std::fprintf(stderr, "usage: session-bench COORDINATORS SESSIONS ITEMS SECONDS\n");
    return 2;
  }
  ClientOptions options;
  options.coordinators = absl::StrSplit(argv[1], ',');
  const auto lanes_network = NewGrpcNetwork({});
  client::Connection connection(client::RouterOptionsOf(options), NewGrpcNetwork({}),
                                SystemThreads(), SystemClock(), Random(SystemEntropy()));
  CHECK_OK(connection.AwaitMap(std::chrono::seconds(10)));
  Put(connection, sessions, items);
  Random random(SystemEntropy());
  std::vector<std::unique_ptr<client::CachedReads>> all;
  Executor* executor = nullptr;
  connection.RunAndWait([&](client::Router& router) {
    executor = Executor::Current();
    for (int session = 0; session < sessions; ++session) {
      all.push_back(std::make_unique<client::CachedReads>(CacheOptions{.bytes_max = 4 << 20},
                                                          router, *lanes_network, *executor,
                                                          SystemClock(), random.Fork()));
      all.back()->Start();
    }
  });
  const uint64_t wanted = static_cast<uint64_t>(sessions) * static_cast<uint64_t>(items);
  uint64_t held = 0;
  for (int tries = 0; tries < 300 && held < wanted; ++tries) {
    for (int session = 0; session < sessions; ++session) {
      Ask(*all[static_cast<size_t>(session)], session, items);
    }
    std::this_thread::sleep_for(kPause);
    held = 0;
    for (const auto& reads : all) held += reads->statistics().entries;
  }
  std::printf("holding %llu items\n", static_cast<unsigned long long>(held));
  std::fflush(stdout);
  std::this_thread::sleep_for(std::chrono::seconds(seconds));  // while its nodes are measured
  // The process ends with everything that it holds, as clients do.
  std::fflush(nullptr);
  std::_Exit(held == wanted ? 0 : 1);
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
