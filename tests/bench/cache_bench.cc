// cache-bench: what a read from the application's own memory costs: 100-byte items, hits only, on
// the machine's clocks, over 16 keys and over as many as no processor's cache holds.
//
//   cache-bench [THREADS]
//
// Prints, for one thread and for THREADS, the median and the 99th percentile of batches of 100
// lookups, as nanoseconds for each lookup, and lookups a second over all threads.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/item_cache.h"
#include "common/check.h"
#include "common/clock.h"

namespace ringleader {
namespace {

constexpr int kBatch = 100;
constexpr int kBatches = 20'000;

std::string KeyOf(size_t i) { return "users/" + std::to_string(i * 7919); }

// Nanoseconds for a lookup, of each batch.
std::vector<double> Read(client::ItemCache& cache, const std::vector<std::string>& keys,
                         size_t first) {
  std::vector<double> costs;
  model::Item item;
  uint64_t version = 0;
  size_t at = first;
  for (int batch = 0; batch < kBatches; ++batch) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kBatch; ++i) {
      at = (at + 7919) % keys.size();
      CHECK(cache.Lookup(keys[at], Duration(0), &version, [&](model::PackedItem found) {
        item = found.Unpack();
      }) == client::ItemCache::Found::kItem);
    }
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    costs.push_back(taken.count() / kBatch);
  }
  return costs;
}

void Run(client::ItemCache& cache, const std::vector<std::string>& keys, int threads) {
  std::vector<std::vector<double>> costs(static_cast<size_t>(threads));
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> readers;
  for (int i = 0; i < threads; ++i) {
    readers.emplace_back([&, i] {
      costs[static_cast<size_t>(i)] = Read(cache, keys, static_cast<size_t>(i) * 101 + 7);
    });
  }
  for (std::thread& reader : readers) reader.join();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  std::vector<double> all;
  for (const auto& one : costs) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  std::printf("%d threads: median %.0f ns, 99th percentile %.0f ns, %.1f million reads a second\n",
              threads, all[all.size() / 2], all[all.size() * 99 / 100],
              static_cast<double>(all.size()) * kBatch / taken.count() / 1e6);
}

int Main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  if (threads < 1 || threads > 64) {
    std::fprintf(stderr, "usage: cache-bench [THREADS], 1 to 64\n");
    return 2;
  }
  for (const size_t count : {size_t{16}, size_t{100'000}}) {
    client::ItemCache cache(SystemClock(), {.bytes_max = 64 << 20});
    const auto deadline = std::make_shared<client::GrantDeadline>();
    deadline->Extend(SystemClock().Now(), std::chrono::hours(1));
    model::Item item;
    item.Set("value", model::AttributeValue::Binary(std::string(100, 'x')));
    std::vector<std::string> keys;
    for (size_t i = 0; i < count; ++i) {
      keys.push_back(KeyOf(i));
      cache.Insert(keys.back(), item, 1, deadline, 1);
    }
    std::printf("%zu keys\n", count);
    Run(cache, keys, 1);
    if (threads > 1) Run(cache, keys, threads);
  }
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
