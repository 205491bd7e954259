// get-bench: what a whole Client::Get costs that the client's memory answers, key to item: 100-byte
// values, hits only, against a cluster that runs.
//
//   get-bench COORDINATORS SECONDS [THREADS ...]
//
// Prints one JSON object: for each number of threads the median and the 99th percentile of batches
// of 100 reads, as nanoseconds for each read; reads a second, and for each core that they used.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
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

namespace ringleader {
namespace {

using std::chrono::steady_clock;

constexpr int kKeys = 16;
constexpr int kBatch = 100;
constexpr absl::string_view kTable = "get-bench";

Item KeyOf(int i) {
  Item key;
  key.Set("id", AttributeValue::String(absl::StrCat("key-", i)));
  return key;
}

double CpuSeconds() {
  rusage usage{};
  CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// Puts the keys and reads them until all are in memory.
void Fill(Client& client) {
  if (!client.DescribeTable(kTable).ok()) {
    CHECK_OK(client.CreateTable(kTable, {.partition = {"id", AttributeType::kString}}));
  }
  for (int i = 0; i < kKeys; ++i) {
    Item item = KeyOf(i);
    item.Set("value", AttributeValue::Binary(std::string(100, static_cast<char>(i))));
    CHECK_OK(client.Put(kTable, item));
  }
  const auto give_up = steady_clock::now() + std::chrono::seconds(30);
  while (client.cache_statistics().entries < kKeys) {
    CHECK(steady_clock::now() < give_up) << "the cluster grants nothing";
    for (int i = 0; i < kKeys; ++i) CHECK_OK(client.Get(kTable, KeyOf(i)));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// Nanoseconds for a read, of each batch.
std::vector<double> Read(Client& client, int first, const std::atomic<bool>& stop) {
  std::vector<Item> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back(KeyOf(i));
  std::vector<double> costs;
  auto at = static_cast<size_t>(first);
  while (!stop.load()) {
    const auto start = steady_clock::now();
    for (int i = 0; i < kBatch; ++i) {
      at = (at + 7) % keys.size();
      const auto read = client.Get(kTable, keys[at]);
      CHECK(read.ok() && read->found) << read.status();
    }
    const std::chrono::duration<double, std::nano> taken = steady_clock::now() - start;
    costs.push_back(taken.count() / kBatch);
  }
  return costs;
}

std::string Run(Client& client, int threads, int seconds) {
  std::vector<std::vector<double>> costs(static_cast<size_t>(threads));
  std::atomic<bool> stop{false};
  const CacheStatistics before = client.cache_statistics();
  const double cpu = CpuSeconds();
  const auto start = steady_clock::now();
  std::vector<std::thread> readers;
  for (int i = 0; i < threads; ++i) {
    readers.emplace_back([&, i] { costs[static_cast<size_t>(i)] = Read(client, i, stop); });
  }
  std::this_thread::sleep_for(std::chrono::seconds(seconds));  // how long it measures
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  const double taken = std::chrono::duration<double>(steady_clock::now() - start).count();
  const double used = CpuSeconds() - cpu;
  const CacheStatistics after = client.cache_statistics();
  std::vector<double> all;
  for (const auto& one : costs) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  const double reads = static_cast<double>(all.size()) * kBatch;
  return absl::StrFormat(
      "{\"threads\": %d, \"median_ns\": %.1f, \"p99_ns\": %.1f, \"per_second\": %.0f, "
      "\"per_core_second\": %.0f, \"misses\": %d}",
      threads, all[all.size() / 2], all[all.size() * 99 / 100], reads / taken, reads / used,
      after.misses - before.misses);
}

int Main(int argc, char** argv) {
  int seconds = 0;
  std::vector<int> threads;
  bool is_usage = argc >= 3 && absl::SimpleAtoi(argv[2], &seconds) && seconds > 0;
  for (int i = 3; i < argc; ++i) {
    is_usage &= absl::SimpleAtoi(argv[i], &threads.emplace_back()) && threads.back() > 0;
  }
  if (!is_usage) {
    std::fprintf(stderr, "usage: get-bench COORDINATORS SECONDS [THREADS ...]\n");
    return 2;
  }
  if (threads.empty()) threads = {1, 2};
  const std::vector<std::string> coordinators = absl::StrSplit(argv[1], ',');
  auto client = Client::Connect({.coordinators = coordinators, .cache = {.bytes_max = 64 << 20}});
  CHECK_OK(client);
  Fill(**client);
  std::string runs;
  for (const int count : threads) {
    absl::StrAppend(&runs, runs.empty() ? "" : ", ", Run(**client, count, seconds));
  }
  std::printf("[%s]\n", runs.c_str());
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
