// hold-bench: what a write costs whose key some client holds, beside one whose key nobody holds.
// Two processes, so that the holder can be paused or killed while the writer goes on:
//
//   hold-bench COORDINATORS hold SECONDS    reads 16 keys with a cache, again and again; prints
//                                           "holding" once all are in memory
//   hold-bench COORDINATORS write SECONDS   a thread for each of the 16 and of 16 others puts its
//                                           key, pauses 20 ms, and so on; prints one JSON object
//
// A put that fails is made again until it succeeds, and counts from its first attempt: what an
// application waits when a leader dies.
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/check.h"
#include "ringleader/client.h"
#include "tests/bench/latency.h"

namespace ringleader {
namespace {

using bench::LatencyHistogram;
using std::chrono::steady_clock;

constexpr int kKeys = 16;
constexpr absl::string_view kTable = "hold-bench";
constexpr auto kThink = std::chrono::milliseconds(20);  // meanwhile the holder reads it again
constexpr auto kReadPause = std::chrono::microseconds(500);

Item KeyOf(absl::string_view kind, int i) {
  Item key;
  key.Set("id", AttributeValue::String(absl::StrCat(kind, "-", i)));
  return key;
}

Item ItemOf(absl::string_view kind, int i) {
  Item item = KeyOf(kind, i);
  item.Set("value", AttributeValue::Binary(std::string(100, 'x')));
  return item;
}

void Hold(Client& client, steady_clock::time_point end) {
  bool is_said = false;
  while (steady_clock::now() < end) {
    for (int i = 0; i < kKeys; ++i) (void)client.Get(kTable, KeyOf("held", i));
    if (!is_said && client.cache_statistics().entries == kKeys) {
      is_said = true;
      std::printf("holding\n");
      std::fflush(stdout);
    }
    std::this_thread::sleep_for(kReadPause);
  }
}

void Write(Client& client, const Item& item, steady_clock::time_point end,
           LatencyHistogram* latency) {
  while (steady_clock::now() < end) {
    const auto begin = steady_clock::now();
    while (!client.Put(kTable, item).ok()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    latency->Record(steady_clock::now() - begin);
    std::this_thread::sleep_for(kThink);
  }
}

std::string WriteAll(Client& client, steady_clock::time_point end) {
  const std::vector<std::string> kinds = {"held", "other"};
  std::vector<std::vector<LatencyHistogram>> latencies(kinds.size());
  std::vector<std::thread> writers;
  for (size_t kind = 0; kind < kinds.size(); ++kind) {
    latencies[kind].resize(kKeys);
    for (int i = 0; i < kKeys; ++i) {
      LatencyHistogram* const latency = &latencies[kind][static_cast<size_t>(i)];
      writers.emplace_back([&client, item = ItemOf(kinds[kind], i), end, latency] {
        Write(client, item, end, latency);
      });
    }
  }
  for (std::thread& writer : writers) writer.join();
  const auto ms = [](Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
  };
  std::string text;
  for (size_t kind = 0; kind < kinds.size(); ++kind) {
    LatencyHistogram all;
    for (const LatencyHistogram& one : latencies[kind]) all.Merge(one);
    absl::StrAppendFormat(
        &text, "%s\"%s\": {\"count\": %d, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.1f}",
        text.empty() ? "" : ", ", kinds[kind], all.count(), ms(all.Quantile(0.5)),
        ms(all.Quantile(0.99)), ms(all.max()));
  }
  return text;
}

int Main(int argc, char** argv) {
  int seconds = 0;
  const std::string role = argc == 4 ? argv[2] : "";
  if ((role != "hold" && role != "write") || !absl::SimpleAtoi(argv[3], &seconds)) {
    std::fprintf(stderr, "usage: hold-bench COORDINATORS hold|write SECONDS\n");
    return 2;
  }
  ClientOptions options;
  options.coordinators = absl::StrSplit(argv[1], ',');
  if (role == "hold") options.cache.bytes_max = 1 << 20;
  auto client = Client::Connect(options);
  CHECK_OK(client);
  if (!(*client)->DescribeTable(kTable).ok()) {
    CHECK_OK((*client)->CreateTable(kTable, {.partition = {"id", AttributeType::kString}}));
  }
  const auto end = steady_clock::now() + std::chrono::seconds(seconds);
  if (role == "hold") {
    for (int i = 0; i < kKeys; ++i) CHECK_OK((*client)->Put(kTable, ItemOf("held", i)));
    Hold(**client, end);
  } else {
    std::printf("{%s}\n", WriteAll(**client, end).c_str());
  }
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
